"""Notebook 15: insure the trip, and defend it."""

from __future__ import annotations

import asyncio
import inspect
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from lab.breaking.scenarios import UNDO_OF, CancelAt, Scenario, request_for, standard_scenarios
from lab.checking.common import (
    NOTHING_HELD,
    cancel_during,
    happy,
    lost_reply,
    outage,
    rejection,
    undo_down,
)
from lab.checking.exercise import UNATTEMPTED, Exercise, WorkflowExercise, judged
from lab.checking.judging import nothing_left, released
from lab.checking.modules import PRELUDE, Answer, CellProblem, load_answer, load_module
from lab.checking.mutants import Mutant, mutants
from lab.checking.real import book_for_real
from lab.checking.report_card import Line, ReportCard
from lab.checking.trials import (
    Found,
    Problem,
    Run,
    Trial,
    first_to_object,
    simulate_trials,
)
from lab.exercises import insurance
from lab.simulation import NeverYields
from lab.simulation.guard import guarded
from travel.models import Cancellation, TripRequest
from travel.providers.payments import TEST_DECLINE
from travel.store.address import sqlite_url
from travel.store.database import Database, open_database
from travel.store.inventory import store_seed_data
from travel.store.seed_data import load_seed_data

INSURED_UNDO_OF = {**UNDO_OF, "insure_trip": "cancel_insurance"}

ACTIVITIES_PRELUDE = """\
from lab.exercises.insurance import Policy, issue, revoke
from temporalio import activity
from travel.models import Cancellation, TripRequest, idempotency_key
from travel.providers.once import do_once, undo_once
"""

DESK_SKELETON = """
class Insurance:
    def __init__(self, database) -> None:
        self.database = database

    @activity.defn
    def insure_trip(self, request: TripRequest) -> Policy:
        raise NotImplementedError("issue(connection, request), once for each key")

    @activity.defn
    def cancel_insurance(self, trip: Cancellation) -> None:
        raise NotImplementedError("revoke(connection, trip.confirmation_code)")
"""

DESK_SOLUTION = """
class Insurance:
    def __init__(self, database) -> None:
        self.database = database

    @activity.defn
    def insure_trip(self, request: TripRequest) -> Policy:
        key = idempotency_key(request.confirmation_code, "insure_trip")
        return do_once(self.database, key, Policy, lambda connection: issue(connection, request))

    @activity.defn
    def cancel_insurance(self, trip: Cancellation) -> None:
        key = idempotency_key(trip.confirmation_code, "insure_trip")
        code = trip.confirmation_code
        undo_once(self.database, key, lambda connection: revoke(connection, code))
"""

HEAD = """
@workflow.defn
class InsuredTrip:
    @workflow.run
    async def run(self, request: TripRequest) -> int:
        await call(Activities.store_booking_request, request)
        trip, undos = Cancellation(request.confirmation_code), []
        try:
            undos.append(Activities.cancel_flight)
            flight = await call(Activities.book_flight, request)
            undos.append(Activities.cancel_hotel)
            hotel = await call(Activities.book_hotel, request)
            undos.append(Activities.cancel_car)
            car = await call(Activities.book_car, request)
            price_cents = flight.price_cents + hotel.price_cents + car.price_cents
            bill = PaymentRequest(request.confirmation_code, request.customer, price_cents)
"""

TAIL = """            undos.append(Activities.refund_payment)
            await call(Activities.accept_payment, bill)
        except (ActivityError, asyncio.CancelledError):
            await uninterrupted(self.undo_all(undos, trip))
            raise
        return price_cents

    async def undo_all(self, undos, trip):
        for undo in reversed(undos):
            await call_undo(undo, trip)
"""

SKELETON = (
    HEAD
    + """            # Insurance.insure_trip, Insurance.cancel_insurance: here, or further down?
            raise NotImplementedError("the insurance")
"""
    + TAIL
)

SOLUTION = (
    HEAD
    + """            undos.append(Insurance.cancel_insurance)
            await call(Insurance.insure_trip, request)
"""
    + TAIL
)

IN_PRODUCTION = """
from travel.workflows.book_trip import BookTrip


@workflow.defn
class InsuredBookTrip(BookTrip):
    @workflow.init
    def __init__(self, request: TripRequest) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: TripRequest):
        return await super().run(request)

    async def _accept_payment(self, trip, price_cents):
        await self._step(
            Insurance.insure_trip, trip, undo=Insurance.cancel_insurance, summary="insurance"
        )
        return await super()._accept_payment(trip, price_cents)
"""

TESTS_SOLUTION = """
lost = Fault.LOST_ACKNOWLEDGEMENT
my_tests = [
    Scenario("all is well", "mine"),
    Scenario("card declined", "mine", {"confirmation_code": TEST_DECLINE}),
    *(
        Scenario(f"{step}: replies lost", "mine", faults=(fault_at(step, lost),))
        for step in (*STEPS, "insure_trip")
    ),
    Scenario(
        "cancel while undoing",
        "mine",
        {"confirmation_code": TEST_DECLINE},
        cancels=(CancelAt("cancel_hotel"),),
    ),
]
"""


# --- the two Activities -----------------------------------------------------------


@dataclass(eq=False)
class DeskExercise(Exercise):
    """The answer is a class of two Activities in an ``%%activities`` cell."""

    async def judge(self, answer: Any = None) -> ReportCard:
        """Call them in the orders in which calls arrive."""
        cell = answer or self.cell
        if cell is None:
            return ReportCard(self.title, note=UNATTEMPTED)
        desk = load_desk(cell)
        try:
            return ReportCard(self.title, await asyncio.to_thread(_play_all, desk))
        except NotImplementedError:
            return ReportCard(self.title, note=UNATTEMPTED)

    def load(self, cell: str) -> Any:
        """The class in the cell."""
        return load_desk(cell)


def load_desk(cell: str) -> Any:
    """The class ``Insurance`` of a cell."""
    module = load_module("insurance_desk", cell, ACTIVITIES_PRELUDE)
    desk = getattr(module, "Insurance", None)
    for name in ("insure_trip", "cancel_insurance"):
        if not hasattr(getattr(desk, name, None), "__temporal_activity_definition"):
            raise CellProblem(f"The class Insurance needs an Activity {name}.")
    return desk


def _play_all(desk: Any) -> list[Line]:
    """Stops at the first that never ends."""
    lines: list[Line] = []
    for sequence in SEQUENCES:
        lines.append(_play(desk, *sequence))
        problem = lines[-1].problem
        if problem is not None and problem.mistake == "never ended":
            break
    return lines


SEQUENCES = (
    ("insure", "one policy", {1: 1}),
    ("insure, insure", "one policy, the same answer twice", {1: 1}),
    ("insure, cancel", "no policy", {1: 0}),
    ("insure, cancel, cancel", "no policy", {1: 0}),
    ("cancel, insure", "the late one is refused", {1: 0}),
    ("insure, cancel, insure", "the late one is refused", {1: 0}),
    ("insure, insure another trip", "a policy each", {1: 1, 2: 1}),
    ("insure, insure another trip, cancel", "the other trip keeps its own", {1: 0, 2: 1}),
    ("cancel, insure another trip", "the other trip is insured", {1: 0, 2: 1}),
    ("insure a daredevil", "refused", {3: 0}),
)
_TRIPS = {"": 1, "another trip": 2, "a daredevil": 3}


def _play(desk_type: Any, calls: str, should: str, left: dict[int, int]) -> Line:
    with tempfile.TemporaryDirectory(prefix="travel-") as folder:
        database = _database(folder)
        try:
            answers = guarded(
                lambda: _call(desk_type(database), calls), "The class Insurance", limit=3.0
            )
            return Line(calls, should, _objection(database, calls, answers, left))
        except NotImplementedError:
            raise
        except NeverYields as endless:
            return Line(calls, should, Problem("never ended", str(endless)))
        except Exception as error:
            return Line(calls, should, Problem("bug", f"{type(error).__name__}: {error}"))
        finally:
            database.close()


def _database(folder: str) -> Database:
    database = open_database(sqlite_url(Path(folder, "travel.sqlite")))
    store_seed_data(database, load_seed_data())
    insurance.open_book(database)
    return database


def _request(trip: int) -> TripRequest:
    return request_for(trip, {"customer": insurance.UNINSURABLE} if trip == 3 else None)


def _call(desk: Any, calls: str) -> list[Any]:
    answers = []
    for call in calls.split(", "):
        name, _, whose = call.partition(" ")
        request = _request(_TRIPS[whose])
        if name == "insure":
            try:
                answers.append(_result(desk.insure_trip(request)))
            except insurance.Rejected as refusal:
                answers.append(refusal)
        else:
            _result(desk.cancel_insurance(Cancellation(request.confirmation_code)))
    return answers


def _result(answer: Any) -> Any:
    """Of a plain method or of an ``async def``."""
    return asyncio.run(answer) if inspect.iscoroutine(answer) else answer


def _objection(
    database: Database, calls: str, answers: list[Any], left: dict[int, int]
) -> Problem | None:
    with database.snapshot() as connection:
        held = [row.confirmation_code for row in connection.execute(insurance.policies.select())]
    for trip, wanted in left.items():
        count = held.count(_request(trip).confirmation_code)
        if count != wanted:
            mistake = _mistake_of(calls, count, wanted)
            return Problem(mistake, f"{count} policies of trip {trip} in the book")
    first = answers[0] if answers else None
    if calls in ("insure", "insure, insure") and any(
        not isinstance(answer, insurance.Policy) for answer in answers
    ):
        return Problem("not idempotent", f"the answers were {answers}")
    if calls == "insure a daredevil" and not isinstance(first, insurance.Rejected):
        return Problem("incomplete", f"the answer was {first!r}")
    if calls in LATE and not isinstance(answers[-1], insurance.Rejected):
        return Problem("no tombstone", f"the late one was told {answers[-1]!r}")
    return None


LATE = ("cancel, insure", "insure, cancel, insure")


def _mistake_of(calls: str, count: int, wanted: int) -> str:
    if count > wanted:
        if calls in LATE:
            return "no tombstone"
        return "not idempotent" if wanted else "undo forgotten"
    return "incomplete"


# --- the Workflow ---------------------------------------------------------------------


def _trial(name: str, kind: str, should: str, **how: Any) -> Trial:
    return Trial(Scenario(name, kind, **how), should, (released,))


@dataclass(eq=False)
class InsuredExercise(WorkflowExercise):
    """The Workflow uses the learner's own Activities."""

    desk: DeskExercise | None = None

    async def judge_cell(self, cell: str, desk_cell: str = "") -> ReportCard:
        """The report card of a Workflow and its two Activities."""
        self._office = load_desk(desk_cell or self.desk_cell)
        return await super().judge_cell(cell)

    def read(self, cell: str) -> Answer:
        """The cell's module, which sees the class ``Insurance``."""
        return self.answer(cell, self._office)

    async def try_out(self, loaded: Answer) -> list[list[Found]]:
        """What is found after all trials."""
        run = self.run_of(loaded, self._office)
        return await asyncio.to_thread(simulate_trials, run, self.trials)

    def _elsewhere(self, loaded: Answer) -> list[Line]:
        """Other processes would need the learner's Activities too; the trials have to do."""
        return []

    async def book_for_real(self, loaded: Answer) -> Problem | None:
        """One trip, with a policy."""
        return await book_for_real(
            loaded.workflows_in_order,
            further_activities=_activities_of(self._office),
            further_findings=insurance.audit_policies,
        )

    def load(self, cell: str) -> Any:
        """The Workflow class in the cell."""
        return self.answer(cell, load_desk(self.desk_cell)).design

    @property
    def desk_cell(self) -> str:
        """The learner's Activities, or ours until these have passed their own check."""
        desk = self.desk
        passed = desk is not None and desk.last is not None and desk.last.passed
        return desk.cell if desk is not None and desk.cell and passed else DESK_SOLUTION

    def answer(self, cell: str, desk: Any) -> Answer:
        """The same with Activities that are given."""
        imported = (
            "with workflow.unsafe.imports_passed_through():\n"
            f"    from {desk.__module__} import Insurance\n"
        )
        return load_answer(self.name, cell, PRELUDE + imported)

    def run_of(self, loaded: Answer, desk: Any) -> Run:
        """How trials of it are run."""
        return Run(
            loaded.workflows_in_order,
            _activities_of(desk),
            insurance.audit_policies,
            INSURED_UNDO_OF,
        )


def _activities_of(desk: Any) -> Callable[[Database], list[Any]]:
    def activities(database: Database) -> list[Any]:
        insurance.open_book(database)
        office = desk(database)
        return [office.insure_trip, office.cancel_insurance]

    return activities


insurance_desk = DeskExercise(
    name="insurance_desk",
    title="Two Activities",
    skeleton=DESK_SKELETON,
    hints=(
        "The same key twice issues one policy, and a cancellation that comes first is remembered.",
        "Look at book_hotel and cancel_hotel in travel/activities.py, and at the hotel's book and "
        "cancel in travel/providers/hotels.py.",
        "do_once(self.database, key, Policy, lambda connection: ...)  and  undo_once(...), with "
        "the same key",
    ),
    solution_code=DESK_SOLUTION,
    why="Both Activities build the key from the confirmation code and the name of the do, so the "
    "undo finds what the do did. do_once and undo_once keep answers and tombstones.",
)

insured_trip = InsuredExercise(
    name="insured_trip",
    title="An insured trip",
    skeleton=SKELETON,
    desk=insurance_desk,
    trials=(
        happy(),
        _trial(
            "the insurer says no",
            "rejection",
            "everything is released, and nobody is charged in the end",
            changes={"customer": insurance.UNINSURABLE},
        ),
        rejection("book_car"),
        rejection("accept_payment"),
        outage("insure_trip"),
        lost_reply("insure_trip"),
        lost_reply("accept_payment"),
        cancel_during("insure_trip"),
        _trial(
            "cancel during cancel_insurance",
            "cancel",
            NOTHING_HELD,
            changes={"confirmation_code": TEST_DECLINE},
            cancels=(CancelAt("cancel_insurance"),),
        ),
        undo_down("cancel_insurance"),
    ),
    hints=(
        "The insurer may say no. May it still say so after the customer has paid?",
        "Look at the pivot in notebook 06, and at when an undo is registered in notebook 07.",
        "undos.append(...)  and  await call(Insurance.insure_trip, ...)  before the payment",
    ),
    solution_code=SOLUTION,
    why="The insurer can refuse and can be undone, so its step belongs before the pivot, where a "
    "refusal still costs nothing. Its undo is registered first, like every other.",
)


# --- the mutants ------------------------------------------------------------------------


@dataclass(frozen=True)
class Submission:
    """What the mutants are made of, and what has to notice them."""

    tests: Sequence[Scenario]
    cell: str
    desk_cell: str = DESK_SOLUTION


@dataclass(eq=False)
class MutantExercise(Exercise):
    """The answer is a list of scenarios; every mutant of the learner's Workflow must fail one.

    A mutant that none of the course's own scenarios tells from the original is none: what
    was changed has nothing to do with the saga.
    """

    trip: InsuredExercise = field(default=insured_trip)

    async def judge(self, answer: Any = None) -> ReportCard:
        """Run the tests against the Workflow, then against its mutants."""
        if answer is None or answer is ... or answer == []:
            return ReportCard(self.title, note=UNATTEMPTED)
        if not isinstance(answer, Submission):
            if self.trip.cell is None:
                return ReportCard(self.title, note="run the cell with your Workflow first.")
            answer = Submission(answer, self.trip.cell, self.trip.desk_cell)
        if wrong := _no_scenario(answer.tests):
            return ReportCard(
                self.title, note=f"my_tests holds {wrong}; expected Scenario(…) only."
            )
        return await asyncio.to_thread(self._judge, answer)

    def _judge(self, answer: Submission) -> ReportCard:
        trials = [Trial(test, "holds for your own code", (nothing_left,)) for test in answer.tests]
        desk = load_desk(answer.desk_cell)
        loaded = self.trip.answer(answer.cell, desk)
        run = self.trip.run_of(loaded, desk)
        own = [judged(each) for each in simulate_trials(run, trials)]
        if any(line.problem for line in own):
            return ReportCard(self.title, own, "First your own code has to pass your tests.")
        passed = cache(lambda: _passed_by(run))
        lines = [self._line(mutant, desk, trials, passed) for mutant in mutants(answer.cell)]
        return ReportCard(self.title, [line for line in lines if line is not None])

    def _line(
        self,
        mutant: Mutant,
        desk: Any,
        trials: Sequence[Trial],
        passed: Callable[[], Sequence[Trial]],
    ) -> Line | None:
        try:
            run = self.trip.run_of(self.trip.answer(mutant.cell, desk), desk)
        except CellProblem:  # broken so that it is no Workflow any more
            return None
        if caught := first_to_object(run, trials):
            return Line(mutant.change, f'noticed by "{caught}"')
        if not first_to_object(run, passed()):
            return None
        problem = Problem("mutant survives", "all your tests pass, as if nothing had happened")
        return Line(mutant.change, "noticed by one of your tests", problem)


def _no_scenario(tests: Any) -> str:
    if not isinstance(tests, Sequence):
        return f"{tests!r:.60}"
    return next((f"{test!r:.60}" for test in tests if not isinstance(test, Scenario)), "")


def _passed_by(run: Run) -> list[Trial]:
    """Every scenario that the original holds against: no other tells it from a mutant."""
    everything = _everything()
    found = simulate_trials(run, everything)
    return [t for t, each in zip(everything, found, strict=False) if judged(each).problem is None]


def _everything() -> list[Trial]:
    extra = [trial.scenario for trial in insured_trip.trials if "insur" in trial.scenario.name]
    return [
        Trial(scenario, "whole, or nothing left", (nothing_left,))
        for scenario in (*extra, *standard_scenarios())
    ]


defend_it = MutantExercise(
    name="defend_it",
    title="Defend it",
    hints=(
        "Each mutant is harmless until a certain fault comes. Read what was changed: which fault?",
        "Look at the standard scenarios in notebooks/lab/breaking/scenarios.py; the scoreboard of "
        "every notebook ran them.",
        'Scenario("...", "mine", faults=(fault_at("insure_trip", Fault....),))',
    ),
    solution_code=TESTS_SOLUTION,
    why="A dropped or late undo shows when the step is done and its reply lost, the order when a "
    "late step fails, a bare shield when a cancel arrives during the undo. One lost reply for "
    "each step and two more scenarios notice them all.",
)


async def everything_we_know(cell: str) -> ReportCard:
    """Put a Workflow with insurance through every scenario of the course, and the insurer's."""
    desk = load_desk(insured_trip.desk_cell)
    run = insured_trip.run_of(insured_trip.answer(cell, desk), desk)
    found = await asyncio.to_thread(simulate_trials, run, _everything())
    lines = [judged(each) for each in found]
    note = "That is what still goes wrong." if any(line.problem for line in lines) else ""
    return ReportCard("Everything we know", lines, note, only_problems=True)
