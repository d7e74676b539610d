"""Put a Workflow through trials, on the simulator, and collect what can be seen afterwards.

Each trip has a world and a clock of its own, so a patient answer costs nothing and one that
never ends is known as such in a second or two.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import Any

from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import (
    UnfinishedSignalHandlersWarning,
    UnfinishedUpdateHandlersWarning,
)

from lab.breaking.scenarios import UNDO_OF, CancelAt, Scenario, request_for
from lab.breaking.simulated import Bench, Simulated
from lab.checking.desk import Operator, Said
from lab.checking.tempo import SECONDS, Tempo
from lab.checking.watch import Watch, watched
from lab.running.system import CountedScript
from lab.showing.history import RUNNING, History, Step, role_of
from lab.simulation import Handle, NeverYields, NotDeterministic, Simulation
from lab.simulation.choices import Arrival, Cancel, Evict, Fault, Fixed
from travel.audit import Finding
from travel.errors import Rejected, Unavailable
from travel.faults import Fault as Drawn
from travel.faults import ScriptedFault
from travel.models import TripRequest
from travel.store.database import Database

MAX_STEPS = 30_000
"""Things that happen to one trip: enough for an email that is tried each minute for a day, by
hand, with three attempts each."""

FEWER_STEPS = 1_500
"""For the rest, once a trip did not come to its end."""

SLOWNESS_SECONDS = 0.8
SANDBOXED = 3
"""Trials that run in the sandbox, which takes three times as long; it sees what they do."""


@dataclass(frozen=True)
class Problem:
    """Something that should hold and does not: the mistake it looks like, and what was found."""

    mistake: str
    found: str


@dataclass(frozen=True)
class Trial:
    """A scenario, and what should hold after it; ``variants`` are more of its kind.

    ``judges`` look at what was found, one after the other; the first to object decides.
    The first attempt of each Activity in ``slow`` takes a while before it is carried out.
    That of each in ``silent`` is not answered before all is over.
    ``cancel_in_pause`` sends a cancel request while the Workflow does nothing but sleep.
    ``taking`` are seconds that every attempt of an Activity takes. ``refusing`` says how
    often an Activity is definitely refused before it is done. ``down`` says for how many
    seconds from the trip's beginning the provider of an Activity is down. ``beside`` are pairs
    of steps on branches that do not wait for each other, so neither is the newer one.
    ``later`` says how often the provider of an Activity asks to come again in a day.
    ``cancel_with`` names a step whose reply and a cancel request come in one activation.
    ``operator`` is at the desk once nothing happens any more. With ``forgetful`` the Worker
    evicts the Workflow from its cache between any two tasks. ``looks`` is after how many
    steps of the simulation to look, for a trip that may go on for ever; 0 is at its end.
    """

    scenario: Scenario
    should: str
    judges: tuple[Callable[[Found], Problem | None], ...]
    slow: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    cancel_in_pause: bool = False
    variants: tuple[Scenario, ...] = ()
    taking: Mapping[str, float] = field(default_factory=dict)
    refusing: Mapping[str, int] = field(default_factory=dict)
    down: Mapping[str, float] = field(default_factory=dict)
    later: Mapping[str, int] = field(default_factory=dict)
    cancel_with: str = ""
    beside: tuple[frozenset[str], ...] = ()
    operator: Callable[[Operator], None] | None = None
    forgetful: bool = False
    looks: int = 0

    @property
    def name(self) -> str:
        """The scenario's."""
        return self.scenario.name


@dataclass(frozen=True)
class Call:
    """One scheduled Activity in the order of all that happened: ``began``, ``ended`` count events.

    ``ended`` is None for one that was under way when the Workflow closed; ``outcome`` then
    says ``"running"``. One that the Workflow asked to cancel ended with that.
    """

    activity: str
    began: int
    ended: int | None = None
    outcome: str = RUNNING

    @property
    def role(self) -> str:
        """See ``role_of``."""
        return role_of(self.activity)


@dataclass(frozen=True)
class Found:
    """What the audit and the Event History say after a trial.

    ``failure`` is the Workflow's own failure, or that of its last Workflow Task if it cannot
    go on; ``never_awaited`` the coroutines that Python saw dropped; ``chance`` what it asked
    of chance or the clock; ``replay`` what a replay complained about; ``endless`` what the
    watchdog said; ``said`` what the operator did.
    """

    trial: Trial
    request: TripRequest
    status: str
    history: History
    findings: list[Finding]
    failure: Failure
    calls: list[Call] = field(default_factory=list)
    never_awaited: list[str] = field(default_factory=list)
    replay: str = ""
    endless: str = ""
    chance: str = ""
    task_failed: bool = False
    minutes: float = 0.0
    simulated: Simulated | None = field(default=None, repr=False)
    undo_of: Mapping[str, str] = field(default_factory=lambda: UNDO_OF)
    said: list[Said] = field(default_factory=list)

    def steps(self, activity: str) -> list[Step]:
        """Every time the Workflow scheduled that Activity."""
        return [step for step in self.history.steps if step.activity == activity]

    def step(self, activity: str) -> Step | None:
        """The last time it did."""
        return next(reversed(self.steps(activity)), None)

    def calls_of(self, activity: str) -> list[Call]:
        """The same, by the order of events."""
        return [call for call in self.calls if call.activity == activity]

    @property
    def failure_type(self) -> str:
        """The Python type of the error that ended the Workflow, if an error of its own did."""
        return self.failure.application_failure_info.type

    @property
    def blamed(self) -> str:
        """The Activity whose error ended the Workflow, if one did."""
        return self.chain[0] if self.chain else ""

    @cached_property
    def chain(self) -> list[str]:
        """The Activities that the failure names, from the outside in."""
        names, failure = [], self.failure
        while True:
            if failure.HasField("activity_failure_info"):
                names.append(failure.activity_failure_info.activity_type.name)
            if not failure.HasField("cause"):
                return names
            failure = failure.cause


@dataclass(frozen=True)
class Run:
    """How trials are run: the design first, then what it starts."""

    workflows: tuple[Any, ...]
    further_activities: Callable[[Database], Sequence[Any]] | None = None
    further_findings: Callable[[Database], list[Finding]] = lambda database: []
    undo_of: Mapping[str, str] = field(default_factory=lambda: UNDO_OF)
    tempo: Tempo = field(default_factory=Tempo)

    @property
    def module(self) -> str:
        """Where the design is written."""
        return str(self.workflows[0].__module__)

    def bench(self, sandboxed: bool = False) -> Bench:
        """Where it is run."""
        return Bench(
            *self.workflows,
            further_activities=self.further_activities,
            further_findings=self.further_findings,
            interceptors=[self.tempo],
            runner=SandboxedWorkflowRunner() if sandboxed else None,
        )


async def run_trials(
    design: Any,
    trials: Sequence[Trial],
    *,
    workflows: Sequence[Any] = (),
    further_activities: Callable[[Database], Sequence[Any]] | None = None,
    further_findings: Callable[[Database], list[Finding]] = lambda database: [],
    undo_of: Mapping[str, str] = UNDO_OF,
) -> list[list[Found]]:
    """Simulate the trip of each trial and of its variants; what was found, trial by trial."""
    others = tuple(each for each in workflows if each is not design)
    run = Run((design, *others), further_activities, further_findings, undo_of)
    return await asyncio.to_thread(simulate_trials, run, trials)


def simulate_trials(run: Run, trials: Sequence[Trial]) -> list[list[Found]]:
    """The same, here and now; the first ones in the sandbox."""
    # What goes wrong on purpose, and the sandbox's own complaints, belong on the report card.
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)
    with _dropped_coroutines(run.module) as dropped:
        plain, sandboxed = run.bench(), run.bench(sandboxed=True)
        try:
            found = _simulate_all(run, trials, plain, sandboxed)
        finally:
            plain.close()
            sandboxed.close()
    return [[replace(one, never_awaited=dropped) for one in each] for each in found]


def first_to_object(run: Run, trials: Sequence[Trial]) -> str:
    """The name of the first trial in which a judge objects, or nothing."""
    with _dropped_coroutines(run.module):
        bench = run.bench()
        try:
            for place, trial in enumerate(trials, 1):
                found = _simulate(run, bench, trial, place, FEWER_STEPS, closely=False)
                if any(judge(found) for judge in trial.judges):
                    return trial.name
        finally:
            bench.close()
    return ""


def _simulate_all(
    run: Run, trials: Sequence[Trial], plain: Bench, sandboxed: Bench
) -> list[list[Found]]:
    found: list[list[Found]] = []
    steps = MAX_STEPS
    for place, trial in enumerate(trials, 1):
        scenarios = (trial.scenario, *trial.variants)
        each: list[Found] = []
        for number, scenario in enumerate(scenarios):
            bench = sandboxed if place <= SANDBOXED and not number else plain
            tried = replace(trial, scenario=scenario, variants=())
            each.append(_simulate(run, bench, tried, place, trial.looks or steps))
            if each[-1].status == "stuck" and not trial.looks:
                steps = FEWER_STEPS
            if bench is sandboxed and not each[-1].endless:
                each.append(_simulate(run, plain, tried, place, steps, watching=True))
            if each[-1].endless:  # it would take seconds each time
                return [*found, each]
        found.append(each)
    return found


def _simulate(
    run: Run,
    bench: Bench,
    trial: Trial,
    place: int,
    steps: int,
    *,
    closely: bool = True,
    watching: bool = False,
) -> Found:
    """``closely`` also replays it; ``watching`` sees whether it asks chance or the clock.

    Only what is known to give control back may be watched: Python cannot stop code that runs
    in circles while a profiler looks on.
    """
    request = request_for(place, trial.scenario.changes)
    _prepare(bench, trial, request)
    run.tempo.begin({**SECONDS, **trial.taking}, bench.stop)
    code = request.confirmation_code
    faults = [replace(fault, confirmation_code=code) for fault in trial.scenario.faults]
    said: list[Said] = []
    operate = trial.operator

    def at_rest(simulation: Simulation, handle: Handle) -> None:
        assert operate is not None, "somebody is at the desk"
        operate(Operator(simulation, handle, said))

    with watched(run.module if watching else "") as watch:
        simulated = bench.book(
            request,
            _Script(faults, trial, bench),
            _Choices(bench, trial),
            max_steps=steps,
            verify=closely,
            at_rest=at_rest if operate else None,
        )
    return replace(_read(run, trial, simulated, watch), said=said)


def _prepare(bench: Bench, trial: Trial, request: TripRequest) -> None:
    for cancel in trial.scenario.cancels:
        bench.at(request, cancel.step, _send(cancel), cancel.attempt)
    for step in trial.slow:
        bench.at(request, step, lambda handle: asyncio.sleep(SLOWNESS_SECONDS))


def _send(cancel: CancelAt) -> Callable[[Any], None]:
    def send(handle: Any) -> None:
        for _ in range(cancel.times):
            handle.cancel()

    return send


class _Script(CountedScript):
    """The trial's faults, what is definitely refused, and who is down until when."""

    def __init__(self, faults: Sequence[ScriptedFault], trial: Trial, bench: Bench) -> None:
        super().__init__(faults)
        self._refusing = dict(trial.refusing)
        self._later = dict(trial.later)
        self._down, self._bench = trial.down, bench

    def draw(self, step: str, confirmation_code: str, attempt: int) -> Drawn | None:
        if self._refusing.get(step, 0) > 0:
            self._refusing[step] -= 1
            raise Rejected(f"{step}: no, and that is final.")
        if self._later.get(step, 0) > 0:
            self._later[step] -= 1
            raise _come_again(step)
        if self._bench.seconds < self._down.get(step, 0):
            return Drawn.OUTAGE
        return super().draw(step, confirmation_code, attempt)


def _come_again(step: str) -> ApplicationError:
    """As ``Activities`` tell of a provider that says when to ask again."""
    kind = Unavailable.__name__
    return ApplicationError(f"{step}: not today.", type=kind, next_retry_delay=timedelta(days=1))


class _Choices(Fixed):
    """Silence, a cancel request in a pause, and a Worker that forgets."""

    def __init__(self, bench: Bench, trial: Trial) -> None:
        super().__init__([Fault(step, "very late") for step in trial.silent])
        self._bench = bench
        self._cancel = trial.cancel_in_pause
        self._forgetful = trial.forgetful
        self._cancel_with = trial.cancel_with

    def hold(self, workflow: str, task: int) -> int:
        """The moment before a Workflow Task begins: a request now is in the same activation."""
        if self._cancel_with and self._bench.told == self._cancel_with:
            self._cancel_with = ""
            self._bench.handle(workflow).cancel()
        return super().hold(workflow, task)

    def arrivals(self, moment: int) -> Sequence[Arrival]:
        if self._forgetful:
            return (Evict(moment),)
        if not self._cancel or not self._bench.pausing:
            return ()
        self._cancel = False
        return (Cancel(moment),)


def _read(run: Run, trial: Trial, simulated: Simulated, watch: Watch) -> Found:
    last = simulated.handle.last
    problem = simulated.problem
    if problem is not None and not isinstance(problem, (NeverYields, NotDeterministic)):
        raise problem
    stuck = simulated.status == RUNNING
    failure = last.failure or Failure()
    task_failure = last.task_failure if stuck else None
    return Found(
        trial=trial,
        request=simulated.request,
        status="stuck" if stuck else simulated.status,
        history=simulated.history,
        findings=simulated.findings,
        failure=task_failure if task_failure is not None else failure,
        calls=list(_calls(simulated)),
        replay=_complaint(problem) or _mismatch(task_failure),
        endless=str(problem) if isinstance(problem, NeverYields) else "",
        chance=watch.seen,
        task_failed=task_failure is not None,
        minutes=simulated.simulation.now / 60e9,
        simulated=simulated,
        undo_of=run.undo_of,
    )


def _complaint(problem: Exception | None) -> str:
    """What a replay complains about; not about the order in which siblings are told to stop.

    A ``TaskGroup`` keeps them in a set, and so does it with every Workflow that uses one.
    """
    if not isinstance(problem, NotDeterministic):
        return ""
    stops = [what.startswith("request_cancel_activity") for what in (problem.first, problem.again)]
    return "" if all(stops) else str(problem)


def _mismatch(failure: Failure | None) -> str:
    text = failure.message if failure is not None else ""
    return text if "ondeterminism" in text else ""


_ENDS = {
    "activity_task_completed": "completed",
    "activity_task_failed": "failed",
    "activity_task_timed_out": "timed out",
    "activity_task_canceled": "canceled",
    "activity_task_cancel_requested": "canceled",
}


def _calls(simulated: Simulated) -> Iterator[Call]:
    """The Activities of all Workflows, in the order in which they were scheduled."""
    events = [
        (now, place, number, name, attributes, run.run_id)
        for place, run in enumerate(
            run for runs in simulated.simulation.runs.values() for run in runs
        )
        for number, (name, now, attributes, _metadata) in enumerate(run.events.records, 1)
    ]
    events.sort(key=lambda event: event[:3])
    calls: dict[tuple[str, int], Call] = {}
    for order, (_now, _place, number, name, attributes, run_id) in enumerate(events):
        if name == "activity_task_scheduled":
            calls[run_id, number] = Call(attributes["activity_type"]["name"], order)
        elif name == "workflow_execution_timed_out":
            for key, call in calls.items():
                if key[0] == run_id and call.ended is None:
                    calls[key] = replace(call, ended=order, outcome="timed out")
        elif name in _ENDS:
            key = (run_id, attributes["scheduled_event_id"])
            if calls[key].ended is None:
                calls[key] = replace(calls[key], ended=order, outcome=_ENDS[name])
    yield from sorted(calls.values(), key=lambda call: call.began)


@contextmanager
def _dropped_coroutines(module: str) -> Iterator[list[str]]:
    """Names of coroutines that this module made and did not await, as Python warns of them."""
    dropped: list[str] = []
    _listeners[module] = dropped
    before = warnings.showwarning
    warnings.showwarning = _listen
    gc.freeze()  # what was there before need not be looked through
    try:
        yield dropped
    finally:
        gc.collect()  # a coroutine in an error's traceback would be warned of in a later cell
        gc.unfreeze()
        _listeners.pop(module, None)
        if not _listeners:
            warnings.showwarning = before if before is not _listen else _PRINT


_listeners: dict[str, list[str]] = {}
_PRINT = warnings.showwarning
_UNFINISHED = (UnfinishedSignalHandlersWarning, UnfinishedUpdateHandlersWarning)


def _listen(message: Any, category: type, filename: str, *rest: Any, **named: Any) -> None:
    if issubclass(category, _UNFINISHED):
        return  # a judge tells it
    text = str(message)
    for module, dropped in _listeners.items():
        if module in filename and "was never awaited" in text:
            dropped.append(text.split("'")[1])
            return
    if "was never awaited" not in text:
        _PRINT(message, category, filename, *rest, **named)
