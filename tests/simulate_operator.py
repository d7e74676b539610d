"""A person at the desk, on the simulator: every fault while an undo is refused, stuck or settled.

``python -m tests.simulate_operator`` puts both sagas, under both sets of the SDK's logic flags in
turn, into each of the situations below, for each undo that can be refused. In each of them every
fault hits every step and every undo, and from the first undo on a cancel request, an eviction
with replay and a further Update arrive at every moment. What is judged: the audit, which excuses
what was settled up to its amount; the end of the Workflow, with the failure that came first
according to its Event History; and who still waits must say so where the desk looks.
Exit codes: 0 nothing lost, 1 something, 2 bad usage.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import tests.paths  # noqa: F401

# isort: split
from lab.simulation import (
    Arrival,
    Cancel,
    Evict,
    Fault,
    Handle,
    Outcome,
    Schedule,
    Simulation,
    Trial,
    Update,
    faults_at,
)
from lab.simulation import Decision as Deviation
from temporalio.client import WorkflowUpdateFailedError
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError
from temporalio.service import RPCError

from tests.simulated_trips import SAGAS, TOLD, Travel, requests
from travel.audit import Report, audit
from travel.models import Decision, TripProgress, TripRequest
from travel.store.accounts import UNDOES
from travel.store.booking_requests import record_outcome
from travel.temporal.search_attributes import TRIP_STATUS
from travel.workflows.book_trip import BookTrip

STEPS = ("store_booking_request", "book_flight", "book_hotel", "book_car", "accept_payment")
UNDOS = ("refund_payment", "cancel_car", "cancel_hotel", "cancel_flight")
BY_HAND = Decision("", "Kim", "paid back by bank transfer")
A_MOMENT = timedelta(seconds=10)
"""What a person gives the trip before looking again."""

MOST_DECISIONS = 12
UNANSWERED = "AcceptedUpdateCompletedWorkflow"
SHOWN = 3
VERIFIED = 5
"""One run in so many is replayed as a whole, beside those that an eviction replays."""

NO_PAYMENT = (Fault("accept_payment", "outage", attempts=0),)
"""Why the trip fails: after it all four undos are owed."""

SLOW = tuple(Fault(step, "slow") for step in STEPS)
"""Nearly three seconds a step, so that a deadline of whole seconds can meet any of them."""


@dataclass(frozen=True)
class Situation:
    """What goes on while something else goes wrong.

    ``answers`` are what the calls of one undo meet, each in all its attempts; then it works.
    ``says`` is what the person decides whenever the trip waits, the last of them for ever.
    """

    name: str
    answers: tuple[str, ...] = ("rejected",)
    says: tuple[str, ...] = ("settle",)
    cause: tuple[Fault, ...] = NO_PAYMENT
    patient: bool = False
    """Decides when nothing else happens any more; else as soon as the trip waits."""
    twice: bool = False
    """Sends every Update twice under one id and once under another, evicted in between."""
    cancels: bool = False
    """Asks to cancel before the first decision."""
    continues: bool = False
    """The server suggests to continue as new while something waits."""
    deadlines: tuple[int, ...] = ()
    cancelled: bool = False
    """Somebody has asked to cancel, in one step or another: that is why it fails."""


REFUSED_TWICE = ("rejected", "rejected")
DOWN = ("outage", "outage")
TRY_THEN_SETTLE = ("try now", "settle")

SITUATIONS = (
    Situation("refused, nobody decides yet", says=()),
    Situation("refused, settled"),
    Situation("refused, tried now", says=("try now",)),
    Situation("refused, tried now, refused again, settled", REFUSED_TWICE, TRY_THEN_SETTLE),
    Situation("refused, settled by an Update sent three times, evictions around it", twice=True),
    Situation("refused, a cancel request, settled", cancels=True),
    Situation("down, tried now", DOWN, ("try now",)),
    Situation("down, settled", DOWN),
    Situation("canceled in every step, refused, settled", cause=(), cancelled=True),
    Situation("deadline in every step", (), (), SLOW, deadlines=(1, 4, 7, 10)),
    Situation("deadline in every step, refused, settled", cause=SLOW, deadlines=(1, 4, 7, 10)),
    Situation("deadline while undoing, refused, settled", patient=True, deadlines=(4,)),
    Situation("continued as new, refused, settled", patient=True, continues=True),
    Situation(
        "continued as new, refused, tried now, refused again, settled",
        REFUSED_TWICE,
        TRY_THEN_SETTLE,
        patient=True,
        continues=True,
    ),
    Situation("continued as new, down, tried now", DOWN, ("try now",), continues=True),
    Situation("continued as new, down, settled", DOWN, continues=True),
    Situation(
        "continued as new, canceled in every step, refused, settled",
        cause=(),
        cancelled=True,
        patient=True,
        continues=True,
    ),
    Situation(
        "continued as new, deadline, refused, settled",
        cause=SLOW,
        deadlines=(4, 10),
        patient=True,
        continues=True,
    ),
)


@dataclass(frozen=True)
class Case:
    """A situation with nothing open: which undo, when the trip fails, which limit."""

    situation: Situation
    undo: str = ""
    deadline: int | None = None
    cancel: int = 0
    limit: int | None = None
    again: bool = False
    """The same but for the limit was tried before."""

    @property
    def base(self) -> tuple[Deviation, ...]:
        answers = enumerate(self.situation.answers, start=1)
        refusals = (Fault(self.undo, fate, call, attempts=0) for call, fate in answers)
        cancel = [Cancel(self.cancel)] if self.cancel else []
        return (*refusals, *self.situation.cause, *cancel)


# --- the person ---------------------------------------------------------------------------


class Person:
    """Looks for a trip that waits where the desk looks, and decides what the situation says."""

    def __init__(self, simulation: Simulation, handle: Handle, situation: Situation) -> None:
        self.simulation, self.handle, self.situation = simulation, handle, situation
        self.decided = self.unanswered = 0
        self.waits_from = self.waits_since = 0

    def work(self) -> None:
        """Until the trip waits for nobody any more."""
        says = self.situation.says
        for number in range(MOST_DECISIONS if says else 1):
            self._look()
            if not says or not self.waits():
                return
            if self.situation.cancels and not number:
                self.handle.cancel("a better offer")
            self._decide(says[min(number, len(says) - 1)])
            self.simulation.run_for(A_MOMENT)

    def waits(self) -> bool:
        """Whether the desk lists it."""
        if self.handle.status != "running" or not waiting(self.handle):
            return False
        if not self.waits_from:
            self.waits_from = self.handle.last.events.next_id
            self.waits_since = self.simulation.moment
        return True

    def _look(self) -> None:
        situation = self.situation
        until = self.waits
        if situation.patient or situation.continues or not situation.says:
            until = lambda: self.waits() and len(self.handle.runs) > 1  # noqa: E731
        self.simulation.run(until=until)

    def _decide(self, what: str) -> None:
        stuck = self.handle.query(BookTrip.progress).waiting
        if not stuck:
            return
        undo = stuck[0].undo
        decision = replace(BY_HAND, undo=undo) if what == "settle" else Decision(undo)
        self.decided += 1
        if not self.situation.twice:
            self._send(decision)
            return
        self._evict()
        self._send(decision, f"decision {self.decided}", f"decision {self.decided}")
        self._evict()
        self._send(decision)

    def _send(self, decision: Decision, *ids: str) -> None:
        with suppress(RPCError):  # closed meanwhile
            sent = [
                self.handle.start_update(BookTrip.decide, decision, id=id) for id in ids or ("",)
            ]
            for update in sent:
                try:
                    update.result()
                except WorkflowUpdateFailedError as error:
                    # Not recorded, or no longer waiting: looks again.
                    cause = error.cause
                    lost = isinstance(cause, ApplicationError) and cause.type == UNANSWERED
                    self.unanswered += lost

    def _evict(self) -> None:
        self.simulation.arrival(Evict(0))


def waiting(handle: Handle) -> bool:
    """Whether it says so where the desk looks."""
    status = handle.last.search_attributes[TRIP_STATUS.name]  # not decoded: asked at every step
    return bytes(status.data).startswith(b'"waiting')


# --- one run after the other ----------------------------------------------------------------


class Runs:
    """One saga in one situation after another."""

    def __init__(self, name: str) -> None:
        self.travel = Travel()
        self.saga = SAGAS[name]
        self._codes = [self.travel.code(self.saga, next_flags=flags) for flags in (False, True)]
        self._before = self.travel.world.snapshot()
        self._trials: dict[tuple[Case, bool], Trial] = {}
        self._count = 0
        self.person: Person
        self.report: Report
        self.prices = self._prices()

    def run(self, case: Case, *deviations: Deviation, next_flags: bool = False) -> Outcome:
        """What comes of it; ``left`` are sentences on what is wrong."""
        trial = self._trial(case, next_flags)
        self._count += 1
        trial.verify = self._count % VERIFIED == 0
        return trial.run(Schedule(*deviations, *case.base))

    def cases(self, situation: Situation) -> Iterator[Case]:
        """With every undo, every way to fail, and every limit that the trip can meet."""
        for undo in UNDOS if situation.answers else ("",):
            for case in self._failing(Case(situation, undo)):
                if undo and undo not in self.run(case).scheduled:
                    continue  # it is not owed
                if not situation.continues:
                    yield case
                    continue
                for number, limit in enumerate(self._limits()):
                    yield replace(case, limit=limit, again=number > 0)

    def _failing(self, case: Case) -> Iterator[Case]:
        situation = case.situation
        if situation.cancelled:
            begun = [at for at, site in self.run(case).sites if site.activity in STEPS]
            yield from (replace(case, cancel=moment + 1) for moment in begun)
        else:
            yield from (replace(case, deadline=at) for at in situation.deadlines or (None,))

    def deviations(self, case: Case) -> list[Deviation]:
        """Every fault at every Activity; from the first undo on every arrival at every moment.

        With a further limit the trip is the same up to the first Workflow Task that finds
        something waiting, so what comes before was tried with the first one.
        """
        calm = self.run(case)
        if case.again:
            return self._arrivals(case, calm, self.person.waits_since)
        begun = [moment for moment, site in calm.sites if site.activity in UNDOS]
        return [*_faults(calm), *(self._arrivals(case, calm, begun[0]) if begun else ())]

    def _arrivals(self, case: Case, calm: Outcome, since: int) -> list[Deviation]:
        moments = [Arrival(moment) for moment in range(since, calm.moments + 1)]
        tasks = [Arrival(at, during=True) for at in calm.task_moments if at >= since]
        found: list[Deviation] = [Cancel(one.at, during=one.during) for one in (*moments, *tasks)]
        if not case.again:
            found += [Evict(one.at) for one in moments]
        if case.situation.says:
            decision = (replace(BY_HAND, undo=case.undo or UNDOS[-1]),)
            found += [
                Update(one.at, during=one.during, name="decide", args=decision)
                for one in (*moments, *tasks)
            ]
        return found

    def _limits(self) -> list[int]:
        """Every length of the Event History at which a Workflow Task finds something waiting."""
        first = self.person.waits_from
        assert first, "what is refused is waited for"
        names = self.person.handle.events(0)
        begun = [n for n, name in enumerate(names, start=1) if name == "workflow_task_started"]
        return [max(n for n in begun if n < first), *(n for n in begun if n > first)]

    def _trial(self, case: Case, next_flags: bool) -> Trial:
        if (case, next_flags) not in self._trials:
            request = replace(requests()[0], book_within_seconds=case.deadline)
            self.travel.world.restore(self._before)
            trial = self.travel.trial(self._codes[next_flags], self.saga, request)
            self._trials[case, next_flags] = trial.with_code(
                script=lambda simulation: self._book(simulation, case, request),
                judge=lambda outcome: list(self._wrong(outcome, case, request)),
            )
        return self._trials[case, next_flags]

    def _book(self, simulation: Simulation, case: Case, request: TripRequest) -> Handle:
        if case.limit:
            simulation.suggest_continue_as_new_at = case.limit
        status = TypedSearchAttributes([SearchAttributePair(TRIP_STATUS, "booking")])
        handle = simulation.start(
            self.saga, request, id=request.workflow_id, search_attributes=status
        )
        self.person = Person(simulation, handle, case.situation)
        self.person.work()
        return handle

    def _prices(self) -> dict[str, int]:
        """What each undo gives back, from a calm trip."""
        self.travel.world.restore(self._before)
        trial = self.travel.trial(self._codes[False], self.saga, requests()[0])
        booked = trial.run(Schedule()).result
        return {
            "cancel_flight": booked.flight.price_cents,
            "cancel_hotel": booked.hotel.price_cents,
            "cancel_car": booked.car.price_cents,
            "refund_payment": booked.payment.amount_cents,
        }

    # --- judging --------------------------------------------------------------------------

    def _wrong(self, outcome: Outcome, case: Case, request: TripRequest) -> Iterator[str]:
        assert outcome.handle is not None or outcome.problem is not None
        if outcome.problem is not None or outcome.handle is None:
            yield str(outcome.problem)
            return
        owed: set[str] = set()
        if outcome.status == "running":
            progress = outcome.handle.query(BookTrip.progress)
            owed = {UNDOES[undo] for undo in progress.to_undo}
            yield from _wrong_with_open(outcome, case.situation, progress)
        else:
            yield from _wrong_with_end(outcome)
        if self.person.unanswered:
            yield "a decision was accepted and never answered"
        self.report = self._audit(request, TOLD.get(outcome.status, "failed"))
        yield from (f.problem for f in self.report.findings if f.kind not in owed)
        for one in self.report.settled:
            if one.amount_cents != self.prices[one.undo]:
                yield f"{one.undo} is settled with {one.amount_cents} cents"

    def _audit(self, request: TripRequest, told: Any) -> Report:
        world, database = self.travel.world, self.travel.memory.database
        world.do(("told", told), lambda: record_outcome(database, request, told))
        report: Report = world.ask("report", lambda: audit(database))
        return report


def _faults(calm: Outcome) -> Iterator[Fault]:
    """Every fault at every Activity that was called.

    At a step in all attempts, so that the step fails by it; at an undo in the first one, for
    an undo is asked without limit.
    """
    for fault in faults_at(calm):
        if fault.attempt == 1:
            yield replace(fault, attempts=0 if fault.activity in STEPS else 1)


def _wrong_with_open(
    outcome: Outcome, situation: Situation, progress: TripProgress
) -> Iterator[str]:
    assert outcome.handle is not None
    if situation.says:
        yield f"it does not end: {progress.status}"
    if outcome.exhausted:
        yield "it never comes to rest"
    if not progress.waiting or not waiting(outcome.handle):
        yield f"it is open, and nobody sees what it waits for: {progress.status}"
    if not progress.failure:
        yield "it is open, and does not say why it failed"
    if {stuck.undo for stuck in progress.waiting} != set(progress.to_undo):
        yield f"it owes {progress.to_undo} and waits for {progress.stuck}"


def _wrong_with_end(outcome: Outcome) -> Iterator[str]:
    assert outcome.handle is not None
    first = first_failures(outcome.handle)
    if outcome.status == "completed":
        if not first <= {CANCEL, DEADLINE}:
            yield f"it completed, although {first} came first"
        if undone := [name for name in outcome.scheduled if name in UNDOS]:
            yield f"it completed, and called {undone}"
    elif (told := _told(outcome)) not in first:
        yield f"it ended with {told}, and not with one of {first}"


CANCEL, DEADLINE = "a cancel request", "the deadline"


def first_failures(handle: Handle) -> set[str]:
    """What made the trip fail, by its Event History; several if one Workflow Task brought them."""
    steps: dict[int, str] = {}
    found: set[str] = set()
    for number, (name, _now, about, _metadata) in enumerate(handle.runs[0].events.records, 1):
        if name == "activity_task_scheduled":
            steps[number] = about["activity_type"]["name"]
        elif name in ("activity_task_failed", "activity_task_timed_out"):
            scheduled = about["scheduled_event_id"]
            if steps[scheduled] in STEPS:
                found.add(_failure_of(steps[scheduled], scheduled))
        elif name == "workflow_execution_cancel_requested":
            found.add(CANCEL)
        elif name == "timer_fired":
            found.add(DEADLINE)
        elif name == "workflow_task_completed" and found:
            return found
    return found


def _told(outcome: Outcome) -> str:
    """The same of what the caller sees."""
    error = outcome.error
    if isinstance(error, ApplicationError) and error.type == "DeadlineExceeded":
        return DEADLINE
    if isinstance(error, CancelledError):  # and no Activity that was cancelled
        return CANCEL
    if isinstance(error, ActivityError):
        return _failure_of(error.activity_type, error.scheduled_event_id)
    return repr(error)


def _failure_of(activity: str, scheduled_event_id: int) -> str:
    return f"{activity}, event {scheduled_event_id}"


# --- counting -----------------------------------------------------------------------------


@dataclass
class Tally:
    """What came of a number of schedules in one situation."""

    tried: int = 0
    lost: int = 0
    seconds: float = 0.0
    happened: Counter[str] = field(default_factory=Counter)
    settled_cents: int = 0
    losses: list[str] = field(default_factory=list)

    def add(self, runs: Runs, case: Case, next_flags: bool, outcome: Outcome) -> None:
        self.tried += 1
        person = runs.person
        self.happened[outcome.status] += 1
        self.happened["waited"] += bool(person.waits_from)
        self.happened["decided"] += bool(person.decided)
        self.happened["continued"] += len(person.handle.runs) > 1
        self.happened["deadline"] += _told(outcome) == DEADLINE
        if outcome.left:
            self.lost += 1
            about = f"{case.situation.name}, deadline {case.deadline}, limit {case.limit}"
            about += ", next flags" if next_flags else ", shipped flags"
            self.losses.append(f"{about}: {'; '.join(outcome.left)}\n{outcome.schedule!r}")
        else:
            self.happened["settled"] += bool(runs.report.settled)
            self.settled_cents += runs.report.settled_cents

    def merge(self, other: Tally) -> None:
        self.tried += other.tried
        self.lost += other.lost
        self.seconds += other.seconds
        self.happened.update(other.happened)
        self.settled_cents += other.settled_cents
        self.losses += other.losses


def tally(saga: str, number: int, one_in: int = 1) -> Tally:
    """Situation ``number`` with every deviation, or with one in so many.

    Under either set of the SDK's logic flags in turn: what is tried under the one with one
    undo refused is tried under the other with the next.
    """
    total = Tally()
    begun = time.process_time()
    runs = Runs(saga)
    tried = 0
    for place, case in enumerate(runs.cases(SITUATIONS[number])):
        for turn, deviation in enumerate(runs.deviations(case), start=place):
            tried += 1
            if (tried + number) % one_in == 0:
                flags = turn % 2 == 1
                total.add(runs, case, flags, runs.run(case, deviation, next_flags=flags))
    total.seconds = time.process_time() - begun
    return total


Counts = dict[tuple[str, str], Tally]
"""By situation and saga."""


def everything(jobs: int = 1, one_in: int = 1) -> Counts:
    """Both sagas, all situations."""
    counts: Counts = {(situation.name, saga): Tally() for situation in SITUATIONS for saga in SAGAS}
    parts = [(saga, number) for number in range(len(SITUATIONS)) for saga in SAGAS]
    for (saga, number), found in zip(parts, _carried_out(parts, jobs, one_in), strict=True):
        counts[SITUATIONS[number].name, saga].merge(found)
    return counts


def _carried_out(parts: Sequence[tuple[str, int]], jobs: int, one_in: int) -> Iterator[Tally]:
    if jobs == 1:
        yield from (tally(*part, one_in) for part in parts)
        return
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(tally, *part, one_in) for part in parts]
        yield from (future.result() for future in futures)


# --- the command --------------------------------------------------------------------------

COLUMNS = ("waited", "decided", "settled", "continued", "deadline", *TOLD, "running")
"""What really happened, counted in trips."""


def table(counts: Counts) -> str:
    """Situation by saga in Markdown: schedules tried, what happened in them, what was lost."""
    names = {"deadline": "DeadlineExceeded", "running": "still waits"}
    head = ["situation", *SAGAS, *(names.get(column, column) for column in COLUMNS), "lost"]
    rows = [_row(situation.name, counts, [situation.name]) for situation in SITUATIONS]
    rows.append(_row("all", counts, [situation.name for situation in SITUATIONS]))
    lines = ["| " + " | ".join(head) + " |", "|---|" + "--:|" * (len(head) - 1)]
    return "\n".join([*lines, *rows])


def _row(title: str, counts: Counts, names: Iterable[str]) -> str:
    by_saga, total = [0] * len(SAGAS), Tally()
    for name in names:
        for place, saga in enumerate(SAGAS):
            by_saga[place] += counts[name, saga].tried
            total.merge(counts[name, saga])
    happened = [total.happened[column] for column in COLUMNS]
    cells = [f"{number:,}" if number else "" for number in (*by_saga, *happened)]
    return f"| {title} | " + " | ".join([*cells, f"**{total.lost:,}**"]) + " |"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    begun = time.monotonic()
    counts = everything(options.jobs, options.one_in)
    seconds = time.monotonic() - begun
    total = Tally()
    for found in counts.values():
        total.merge(found)
    print(table(counts))
    print(
        f"\n{total.tried:,} schedules in {seconds:,.0f} s, {total.seconds:,.0f} s of processor, "
        f"{options.jobs} processes"
    )
    print(f"settled by hand: ${total.settled_cents / 100:,.2f}")
    print(f"lost: {total.lost:,}")
    for loss in total.losses[:SHOWN]:
        print(loss)
    return int(total.lost > 0)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulate_operator", description=__doc__)
    parser.add_argument("--jobs", type=_positive, default=multiprocessing.cpu_count())
    parser.add_argument(
        "--one-in", type=_positive, default=1, metavar="N", help="only every Nth schedule"
    )
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
