"""Every way for a trip to go wrong, crossed with every way for its undoing to go wrong.

``expected`` says what must come of a case: which compensations, in which order, and which
status. It knows nothing of Temporal and shares no code with the saga.

``python -m tests.matrix`` puts every design through all cases and prints, as Markdown, how
many trips each design loses.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

import tests.paths  # noqa: F401

# isort: split
import lab.breaking.scenarios
from lab.breaking.scenarios import (
    CancelAt,
    Scenario,
    Verdict,
    fault_at,
    request_for,
    run_scenarios,
    simulate,
)
from lab.breaking.simulated import Bench
from lab.running.system import SwitchableFaults, System, start
from lab.running.triggers import Triggers
from lab.showing.history import RUNNING
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from travel.errors import Unavailable
from travel.faults import Fault, ScriptedFault
from travel.faults.injection import FaultInjection
from travel.providers.payments import TEST_DECLINE
from travel.workflows.book_in_parallel import BookInParallel
from travel.workflows.book_trip import BookTrip

ATTEMPTS = 4 * lab.breaking.scenarios.AT_ONCE
"""Attempts at once: an attempt that is held back takes a slot, and others may not wait for it."""

HOLD_SECONDS = 2.5
"""An attempt that is held back must still reply before its timeout of three seconds."""

DEAD_SECONDS = 3.5

STUCK_SECONDS = 300.0
"""Real time; many trips at once take their time on a busy machine."""

# --- the cases ------------------------------------------------------------------

STORE, FLIGHT, HOTEL, CAR, PAYMENT, EMAIL = (
    "store_booking_request",
    "book_flight",
    "book_hotel",
    "book_car",
    "accept_payment",
    "send_confirmation_email",
)
STEPS = (STORE, FLIGHT, HOTEL, CAR, PAYMENT, EMAIL)
UNDO_OF = {
    FLIGHT: "cancel_flight",
    HOTEL: "cancel_hotel",
    CAR: "cancel_car",
    PAYMENT: "refund_payment",
}

REJECTED = {
    STORE: {"origin": "XYZ"},
    FLIGHT: {"departure_date": "2026-01-01"},
    HOTEL: {"room_type": "presidential"},
    CAR: {"car_type": "limousine"},
    PAYMENT: {"confirmation_code": TEST_DECLINE},
}
"""The changes to a request that make a step's provider say no. An email is never refused."""

Commit = Callable[[], Awaitable[Any]]


class Trip(Protocol):
    """What a plan needs of a Workflow's handle, a client's or a simulated one."""

    async def cancel(self) -> None: ...

    async def result(self) -> Any: ...


Plan = Callable[[Trip, Commit], Awaitable[Any]]


@dataclass(frozen=True)
class Trouble:
    """What happens to a step; ``comes_to`` is what the step comes to by it.

    ``"no"``: it was definitely not done. ``"done"``: it was, in the end. ``"unknown"``: it
    failed, and may have been done. ``"cancel"``: the customer cancelled while it was under way.
    ``faults`` are pairs of a fault and the attempts that it hits. ``plan`` is what is done with
    the first attempt.
    """

    kind: str
    comes_to: str
    faults: tuple[tuple[Fault, tuple[int, ...]], ...] = ()
    plan: Plan | None = None


async def _cancel_before_commit(trip: Trip, commit: Commit) -> Any:
    """The provider hears of the step when the trip is long undone."""
    await trip.cancel()
    await _closed(trip)
    return await commit()


async def _cancel_at_commit(trip: Trip, commit: Commit) -> Any:
    """The step and its undo are on their way at the same time."""
    await trip.cancel()
    result = await commit()
    await _closed(trip)
    return result


async def _cancel_after_commit(trip: Trip, commit: Commit) -> Any:
    """Done, and cancelled before the reply."""
    result = await commit()
    await trip.cancel()
    await _closed(trip)
    return result


async def _dead_before_commit(_trip: Trip, _commit: Commit) -> Any:
    """As of a process that died: no reply, and nothing was done."""
    await asyncio.sleep(DEAD_SECONDS)
    raise Unavailable("Nobody is waiting for this.")


async def _closed(trip: Trip) -> None:
    """Return when the trip has come to its end, or soon enough to reply all the same."""
    await asyncio.wait([asyncio.create_task(_end(trip))], timeout=HOLD_SECONDS)


async def _end(trip: Trip) -> None:
    await asyncio.gather(trip.result(), return_exceptions=True)


EVER: tuple[int, ...] = ()
FIRST = (1,)
DOWN = (Fault.OUTAGE, EVER)

TROUBLES = {
    "rejection": Trouble("rejection", "no"),
    "outage": Trouble("outage", "unknown", (DOWN,)),
    "blip": Trouble("blip", "done", ((Fault.BLIP, FIRST),)),
    "first reply lost": Trouble("lost reply", "done", ((Fault.LOST_ACKNOWLEDGEMENT, FIRST),)),
    "every reply lost": Trouble("lost reply", "unknown", ((Fault.LOST_ACKNOWLEDGEMENT, EVER),)),
    "late commit": Trouble("late commit", "done", ((Fault.LATE_COMMIT, FIRST),)),
    "late commit, then outage": Trouble(
        "late commit", "unknown", ((Fault.LATE_COMMIT, FIRST), DOWN)
    ),
    "crash after commit": Trouble("crash", "done", ((Fault.NO_REPLY, FIRST),)),
    "crash after commit, then outage": Trouble("crash", "unknown", ((Fault.NO_REPLY, FIRST), DOWN)),
    "crash before commit": Trouble("crash", "done", plan=_dead_before_commit),
    "crash before commit, then outage": Trouble(
        "crash", "unknown", (DOWN,), plan=_dead_before_commit
    ),
    "cancel before commit": Trouble("cancel", "cancel", plan=_cancel_before_commit),
    "cancel at commit": Trouble("cancel", "cancel", plan=_cancel_at_commit),
    "cancel after commit": Trouble("cancel", "cancel", plan=_cancel_after_commit),
}

A_FEW_MINUTES = tuple(range(1, 13))
"""More attempts than one turn of a compensation has (nine), fewer than two have."""

UNDO_FAULTS = {
    "outage": (Fault.OUTAGE, A_FEW_MINUTES),
    "lost reply": (Fault.LOST_ACKNOWLEDGEMENT, FIRST),
    "crash": (Fault.NO_REPLY, FIRST),
}
UNDO_CANCELS = {"cancel": 1, "three cancels": 3}
UNDO_TROUBLES = (*UNDO_FAULTS, *UNDO_CANCELS)


@dataclass(frozen=True)
class Case:
    """A trouble at a step, and perhaps another in one of the compensations that it leads to."""

    step: str
    trouble: str
    undo: str = ""
    undo_trouble: str = ""

    @property
    def kind(self) -> str:
        """The column of the table that it belongs to."""
        return "and then while undoing" if self.undo else TROUBLES[self.trouble].kind

    def __str__(self) -> str:
        also = f", {self.undo_trouble} in {self.undo}" if self.undo else ""
        return f"{self.trouble} at {self.step}{also}"


def all_cases(parallel: bool = False) -> list[Case]:
    """Every trouble at every step, alone and with every trouble in every compensation."""
    alone = [
        Case(step, trouble)
        for step in STEPS
        for trouble in TROUBLES
        if trouble != "rejection" or step in REJECTED
    ]
    return [
        crossed
        for case in alone
        for crossed in (
            case,
            *(
                Case(case.step, case.trouble, undo, trouble)
                for undo in expected(case, parallel).compensations
                for trouble in UNDO_TROUBLES
            ),
        )
    ]


# --- what must come of a case ------------------------------------------------------


@dataclass(frozen=True)
class Expected:
    """The status of the Workflow and the compensations in its Event History."""

    status: str
    compensations: tuple[str, ...] = ()


def expected(case: Case, parallel: bool = False) -> Expected:
    """What must come of a case; ``parallel`` is for flight, hotel and car booked at once."""
    comes_to = TROUBLES[case.trouble].comes_to
    if comes_to == "done" or case.step == EMAIL:
        return Expected("completed")
    touched = [step for step in _under_way_or_done(case.step, parallel) if step in UNDO_OF]
    if comes_to == "no" and case.step in touched:
        touched.remove(case.step)
    undos = [UNDO_OF[step] for step in reversed(touched)]
    if case.undo_trouble == "outage":
        undos.append(case.undo)  # its second turn, after everybody's first
    return Expected("canceled" if comes_to == "cancel" else "failed", tuple(undos))


def _under_way_or_done(step: str, parallel: bool) -> tuple[str, ...]:
    """The steps that were begun when this one failed."""
    if parallel and step in (FLIGHT, HOTEL, CAR):
        step = CAR
    return STEPS[: STEPS.index(step) + 1]


# --- putting a design through them ----------------------------------------------------


@dataclass(frozen=True)
class Result:
    """What came of a case."""

    case: Case
    verdict: Verdict

    @property
    def lost(self) -> bool:
        """Whether anything is orphaned, or the trip never came to an end."""
        return not self.verdict.clean

    def problems(self, wanted: Expected) -> list[str]:
        """What differs from what was expected, a line each."""
        found = [f"{finding.problem}" for finding in self.verdict.findings]
        if self.verdict.status != wanted.status:
            found.append(f"{self.verdict.status} ({self.verdict.reason}), expected {wanted.status}")
        if tuple(self.verdict.compensations) != wanted.compensations:
            found.append(f"undone {self.verdict.compensations}, expected {wanted.compensations}")
        undos = [step for step in self.verdict.history.steps if step.role == "undo"]
        if any((a.closed or 0) > b.scheduled for a, b in pairwise(undos)):
            found.append("a compensation was not awaited")
        return [f"{self.case}: {problem}" for problem in found]


@dataclass
class Plans(Interceptor):
    """A Worker interceptor that carries out the plan for the first attempt of a step.

    ``handle`` finds a trip by its Workflow id, ``keep`` holds on to an attempt that outlives
    its timeout.
    """

    handle: Callable[[str], Trip]
    keep: Callable[[asyncio.Task[Any]], object]
    plans: dict[tuple[str, str], Plan] = field(default_factory=dict)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Planned(next, self)


class _Planned(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, plans: Plans) -> None:
        super().__init__(next)
        self._plans = plans

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        workflow_id = info.workflow_id or ""
        plan = self._plans.plans.pop((workflow_id, info.activity_type), None)
        if plan is None:
            return await self.next.execute_activity(input)
        trip = self._plans.handle(workflow_id)
        attempt = asyncio.create_task(plan(trip, lambda: self.next.execute_activity(input)))
        self._plans.keep(attempt)
        # The SDK cancels an attempt at its timeout. The provider would not notice.
        return await asyncio.shield(attempt)


def simulate_cases(design: Any, cases: Sequence[Case]) -> list[Result]:
    """Put ``design`` through the cases, on the simulator."""
    kept: set[asyncio.Task[Any]] = set()
    plans = Plans(lambda workflow_id: SimulatedTrip(bench, workflow_id), kept.add)
    bench = Bench(design, interceptors=[plans])
    try:
        return [_simulated(bench, plans, *numbered) for numbered in enumerate(cases, 1)]
    finally:
        bench.close()


def _simulated(bench: Bench, plans: Plans, number: int, case: Case) -> Result:
    scenario = scenario_of(case)
    request = request_for(number, scenario.changes)
    if plan := TROUBLES[case.trouble].plan:
        plans.plans[request.workflow_id, case.step] = plan
    return Result(case, simulate(bench, scenario, request))


@dataclass(frozen=True)
class SimulatedTrip:
    """A trip as a plan sees it."""

    bench: Bench
    workflow_id: str

    async def cancel(self) -> None:
        self.bench.handle(self.workflow_id).cancel()

    async def result(self) -> Any:
        while self.bench.handle(self.workflow_id).status == RUNNING:
            await asyncio.sleep(0.05)


async def run_cases(design: Any, cases: Sequence[Case]) -> list[Result]:
    """Put ``design`` through the cases, on a real server."""
    lab.breaking.scenarios.PATIENCE_SECONDS = STUCK_SECONDS
    scenarios = [scenario_of(case) for case in cases]
    async with planned(design) as (system, plans):
        for number, (case, scenario) in enumerate(zip(cases, scenarios, strict=True), 1):
            if plan := TROUBLES[case.trouble].plan:
                workflow_id = request_for(number, scenario.changes).workflow_id
                plans.plans[workflow_id, case.step] = plan
        verdicts = await run_scenarios(design, scenarios, system=system)
    return [Result(case, verdict) for case, verdict in zip(cases, verdicts, strict=True)]


@asynccontextmanager
async def planned(design: Any, *more: Interceptor) -> AsyncIterator[tuple[System, Plans]]:
    """A system whose Worker carries out plans as well; ``more`` come first."""
    triggers, switch = Triggers(), SwitchableFaults()
    injection = FaultInjection(switch)
    plans = Plans(lambda workflow_id: handles(workflow_id), injection.send_late)
    with ThreadPoolExecutor(ATTEMPTS) as threads:
        system = await start(
            designs=[design],
            interceptors=[*more, triggers, plans, injection, triggers.in_flight],
            max_concurrent_activities=ATTEMPTS,
            activity_executor=threads,
        )
        handles = system.client.get_workflow_handle
        system.triggers, system.switch, system._injection = triggers, switch, injection
        try:
            yield system, plans
        finally:
            await system.close()


def scenario_of(case: Case) -> Scenario:
    """The case in the words of the lab, but for its plan."""
    trouble = TROUBLES[case.trouble]
    faults = [fault_at(case.step, fault, *attempts) for fault, attempts in trouble.faults]
    changes = REJECTED[case.step] if trouble.comes_to == "no" else {}
    if case.undo_trouble in UNDO_FAULTS:
        fault, attempts = UNDO_FAULTS[case.undo_trouble]
        faults.append(ScriptedFault(case.undo, fault, attempts))
    cancels = UNDO_CANCELS.get(case.undo_trouble)
    return Scenario(
        str(case),
        case.kind,
        dict(changes),
        tuple(faults),
        (CancelAt(case.undo, times=cancels),) if cancels else (),
    )


# --- the table ------------------------------------------------------------------------

FLAWED = (
    ("without_compensation", "WithoutCompensation"),
    ("undo_everything", "UndoEverything"),
    ("forward_order", "ForwardOrder"),
    ("undo_not_awaited", "UndoNotAwaited"),
    ("undo_what_succeeded", "UndoWhatSucceeded"),
    ("retry_then_undo", "RetryThenUndo"),
    ("email_in_the_saga", "EmailInTheSaga"),
    ("one_shield", "OneShield"),
    ("undo_registered_late", "UndoRegisteredLate"),
    ("except_exception", "ExceptException"),
    ("siblings_lost", "SiblingsLost"),
)


def load(module: str, design: str) -> Any:
    """A flawed design."""
    return getattr(importlib.import_module(f"lab.designs.{module}"), design)


def table(rows: Iterable[tuple[str, Sequence[Result]]]) -> str:
    """How many trips each design lost, by kind, as Markdown."""
    lines: list[str] = []
    for name, results in rows:
        kinds = list(dict.fromkeys(result.case.kind for result in results))
        if not lines:
            heads = [f"{kind} ({_count(results, kind)})" for kind in kinds]
            lines.append(f"| design | {' | '.join(heads)} | all ({len(results)}) |")
            lines.append("|---|" + "--:|" * (len(kinds) + 1))
        lost = [str(_count([r for r in results if r.lost], kind)) for kind in kinds]
        total = sum(result.lost for result in results)
        lines.append(f"| {name} | {' | '.join(lost)} | **{total}** |")
    return "\n".join(lines)


def _count(results: Iterable[Result], kind: str) -> int:
    return sum(result.case.kind == kind for result in results)


def tell(results: Iterable[Result], parallel: bool) -> None:
    """Print what differs from what was expected of the saga."""
    for result in results:
        for problem in result.problems(expected(result.case, parallel)):
            print(problem, flush=True)


def run_all(names: Sequence[str]) -> None:
    """Put the designs through all cases and print what each of them loses."""
    designs = [(design, load(module, design)) for module, design in FLAWED]
    designs += [("**BookTrip**", BookTrip), ("**BookInParallel**", BookInParallel)]
    rows = []
    for name, design in designs:
        if not names or design.__name__ in names:
            results = simulate_cases(design, all_cases())
            rows.append((name, results))
            print(f"{name}: {sum(result.lost for result in results)} lost", flush=True)
            if design in (BookTrip, BookInParallel):
                tell(results, parallel=design is BookInParallel)
    print(table(rows))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("designs", nargs="*", help="names of Workflows; default: all")
    run_all(parser.parse_args().designs)


if __name__ == "__main__":
    main()
