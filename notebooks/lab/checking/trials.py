"""Put a Workflow through trials, all at once, and collect what can be seen afterwards."""

from __future__ import annotations

import asyncio
import gc
import itertools
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.service import RPCError
from temporalio.worker import Replayer

from lab.breaking.scenarios import UNDO_OF, CancelAt, Scenario, request_for
from lab.running.background import background
from lab.running.system import EXERCISES, System, Trip, start
from lab.showing.history import History, Step
from travel.audit import Finding
from travel.models import TripRequest
from travel.store.database import Database
from travel.temporal.connection import connect, quiet_runtime

PATIENCE_SECONDS = 10.0
"""Real time without progress after which a trip counts as one that never ends, on an idle
machine."""

ATTEMPTS_THAT_COUNT = 20
"""No provider is down for longer in a trial: more attempts are no progress."""

LENIENCE = 15
"""On a busy one: so many times as long as the quickest of the trips took."""

LONGEST_PATIENCE_SECONDS = 60.0
"""After that even one that goes on and on, but gets nowhere."""

SLOWNESS_SECONDS = 0.8

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Problem:
    """Something that should hold and does not: the mistake it looks like, and what was found."""

    mistake: str
    found: str


@dataclass(frozen=True)
class Trial:
    """A scenario, and what should hold after it.

    ``judges`` look at what was found, one after the other; the first to object decides.
    The first attempt of each Activity in ``slow`` takes a while before it is carried out.
    That of each in ``silent`` is not answered before all is over.
    ``cancel_in_pause`` sends a cancel request while the Workflow sleeps (on the real clock).
    ``replayed`` asks for a replay of the Event History afterwards.
    """

    scenario: Scenario
    should: str
    judges: tuple[Callable[[Found], Problem | None], ...]
    slow: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    cancel_in_pause: bool = False
    replayed: bool = False

    @property
    def name(self) -> str:
        """The scenario's."""
        return self.scenario.name


@dataclass(frozen=True)
class Found:
    """What the audit and the Event History say after a trial.

    ``failure`` is the Workflow's own failure; ``never_awaited`` the coroutines that
    Python saw dropped; ``replay`` what a replay of the Event History complained about.
    """

    trial: Trial
    request: TripRequest
    status: str
    history: History
    findings: list[Finding]
    failure: Failure
    never_awaited: list[str] = field(default_factory=list)
    replay: str = ""
    recorded: WorkflowHistory | None = None
    undo_of: Mapping[str, str] = field(default_factory=lambda: UNDO_OF)

    def steps(self, activity: str) -> list[Step]:
        """Every time the Workflow scheduled that Activity."""
        return [step for step in self.history.steps if step.activity == activity]

    def step(self, activity: str) -> Step | None:
        """The last time it did."""
        return next(reversed(self.steps(activity)), None)

    @property
    def failure_type(self) -> str:
        """The Python type of the error that ended the Workflow, if an error of its own did."""
        return self.failure.application_failure_info.type

    @property
    def blamed(self) -> str:
        """The Activity whose error ended the Workflow, if one did."""
        return self.failure.activity_failure_info.activity_type.name


async def run_trials(
    design: Any,
    trials: Sequence[Trial],
    *,
    further_activities: Any = None,
    further_findings: Callable[[Database], list[Finding]] = lambda database: [],
    undo_of: Mapping[str, str] = UNDO_OF,
) -> list[Found]:
    """Book one trip for each trial, all at once; what was found, in the order of the trials."""
    number = next(_numbers)
    with _dropped_coroutines(design.__module__) as dropped:
        system = await start(
            workflows=[design],
            namespace=EXERCISES,
            queue=f"exercise-{number}",
            further_activities=further_activities,
            workflow_failure_exception_types=[Exception],
        )
        try:
            found = await _run(system, design, trials, number)
            findings = [*system.audit().findings, *further_findings(system.database)]
            return [
                replace(await _read(trip, trial, findings, design, dropped), undo_of=undo_of)
                for trial, trip in found
            ]
        finally:
            await system.close()


async def _run(
    system: System, design: Any, trials: Sequence[Trial], number: int
) -> list[tuple[Trial, Trip]]:
    pairs = [(trial, _request(trial, place, number)) for place, trial in enumerate(trials, 1)]
    system.faults = [
        replace(fault, confirmation_code=request.confirmation_code)
        for trial, request in pairs
        for fault in trial.scenario.faults
    ]
    over = asyncio.Event()
    for trial, request in pairs:
        _prepare(system, trial, request, over)
    trips = await asyncio.gather(*[_begin(system, design, *pair) for pair in pairs])
    await _until_over(trips)
    background().loop.call_soon_threadsafe(over.set)
    if any(trial.slow or trial.silent for trial, _ in pairs):
        await asyncio.sleep(SLOWNESS_SECONDS + 0.2)  # what was under way may still commit
    await system.settled()
    return [(trial, trip) for (trial, _), trip in zip(pairs, trips, strict=True)]


def _request(trial: Trial, place: int, number: int) -> TripRequest:
    request = request_for(place, trial.scenario.changes)
    return replace(request, confirmation_code=f"{request.confirmation_code}-{number}")


def _prepare(system: System, trial: Trial, request: TripRequest, over: asyncio.Event) -> None:
    for cancel in trial.scenario.cancels:
        system.at(request, cancel.step, _send(cancel), cancel.attempt)
    for step in trial.slow:
        system.at(request, step, lambda handle: asyncio.sleep(SLOWNESS_SECONDS))
    for step in trial.silent:
        system.at(request, step, lambda handle: over.wait())


def _send(cancel: CancelAt) -> Callable[[Any], Any]:
    async def send(handle: Any) -> None:
        for _ in range(cancel.times):
            await handle.cancel()

    return send


async def _begin(system: System, design: Any, trial: Trial, request: TripRequest) -> Trip:
    if not trial.cancel_in_pause:
        return await system.begin(request, design)
    trip = await (await _with_real_clock(system)).begin(request, design)
    _canceling[trip] = asyncio.create_task(_cancel_in_pause(trip))
    return trip


async def _until_over(trips: Sequence[Trip]) -> None:
    """Wait for the trips to end; what still runs long after the last that did is stuck."""
    began = last_end = time.monotonic()
    ends = {asyncio.create_task(trip.end(10 * LONGEST_PATIENCE_SECONDS)): trip for trip in trips}
    running, patience = set(ends), 2 * PATIENCE_SECONDS
    while running:
        before = await _progress([ends[task] for task in running])
        done, running = await asyncio.wait(
            running, timeout=patience, return_when=asyncio.FIRST_COMPLETED
        )
        if done:
            last_end = time.monotonic()
            if len(running) == len(ends) - len(done):
                patience = max(PATIENCE_SECONDS, LENIENCE * (last_end - began))
                patience = min(patience, LONGEST_PATIENCE_SECONDS)
            continue
        too_long = time.monotonic() > last_end + LONGEST_PATIENCE_SECONDS
        if too_long or await _progress([ends[task] for task in running]) == before:
            break
    others = {_canceling.pop(trip) for trip in trips if trip in _canceling}
    for task in ends.keys() | others:
        task.cancel()
    await asyncio.gather(*ends, *others, return_exceptions=True)


async def _progress(trips: Sequence[Trip]) -> int:
    """Grows as long as the trips get anywhere: events, and attempts at what may still succeed."""
    about = await asyncio.gather(*[background().run(trip.handle.describe()) for trip in trips])
    pending = [other for each in about for other in each.raw_description.pending_activities]
    attempts = [min(activity.attempt, ATTEMPTS_THAT_COUNT) for activity in pending]
    return sum(description.history_length for description in about) + sum(attempts)


_canceling: dict[Trip, asyncio.Task[None]] = {}


async def _with_real_clock(system: System) -> System:
    client = await background().run(connect(system.server.address, namespace=EXERCISES))
    return replace(system, client=client)


async def _cancel_in_pause(trip: Trip) -> None:
    while not any(event.type == "TimerStarted" for event in (await trip.history()).events):
        await asyncio.sleep(0.05)
    await trip.cancel()


async def _read(
    trip: Trip, trial: Trial, findings: list[Finding], design: Any, dropped: list[str]
) -> Found:
    history = await trip.history()
    raw = await background().run(trip.handle.fetch_history())
    status = history.status
    if trip.result is None:
        with suppress(RPCError):  # it may have ended since
            await trip.terminate("it did not end")
        status = "stuck"
    code = trip.request.confirmation_code
    return Found(
        trial=trial,
        request=trip.request,
        status=status,
        history=history,
        findings=[finding for finding in findings if finding.confirmation_code == code],
        failure=_failure(raw.events[-1]),
        never_awaited=dropped,
        replay=await replay(raw, design) if trial.replayed else "",
        recorded=raw,
    )


def _failure(last: HistoryEvent) -> Failure:
    return last.workflow_execution_failed_event_attributes.failure


async def replay(history: WorkflowHistory, design: Any) -> str:
    """What a replay of ``history`` by ``design`` complains about, if anything."""
    return await background().run(_replay(history, design))


async def _replay(history: WorkflowHistory, design: Any) -> str:
    replayer = Replayer(workflows=[design], runtime=quiet_runtime())
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    return str(result.replay_failure or "")


@contextmanager
def _dropped_coroutines(module: str) -> Iterator[list[str]]:
    """Names of coroutines that this module made and did not await, as Python warns of them."""
    dropped: list[str] = []
    _listeners[module] = dropped
    before = warnings.showwarning
    warnings.showwarning = _listen
    try:
        yield dropped
    finally:
        gc.collect()  # a coroutine in an error's traceback would be warned of in a later cell
        _listeners.pop(module, None)
        if not _listeners:
            warnings.showwarning = before if before is not _listen else _PRINT


_listeners: dict[str, list[str]] = {}
_PRINT = warnings.showwarning


def _listen(message: Any, category: type, filename: str, *rest: Any, **named: Any) -> None:
    text = str(message)
    for module, dropped in _listeners.items():
        if module in filename and "was never awaited" in text:
            dropped.append(text.split("'")[1])
            return
    if "was never awaited" not in text:
        _PRINT(message, category, filename, *rest, **named)
