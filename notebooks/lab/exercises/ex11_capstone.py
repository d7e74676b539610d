"""Notebook 11: insure the trip, and defend it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
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
from lab.checking.report_card import Line, ReportCard
from lab.checking.trials import Found, Problem, Trial, run_trials
from lab.exercises import insurance
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
    return [_play(desk, calls, should, left) for calls, should, left in SEQUENCES]


SEQUENCES = (
    ("insure", "one policy", 1),
    ("insure, insure", "one policy, the same answer twice", 1),
    ("insure, cancel", "no policy", 0),
    ("insure, cancel, cancel", "no policy", 0),
    ("cancel, insure", "the late one is refused", 0),
)


def _play(desk_type: Any, calls: str, should: str, left: int) -> Line:
    with tempfile.TemporaryDirectory(prefix="travel-") as folder:
        database = _database(folder)
        try:
            answers = _call(desk_type(database), calls, request_for(1))
            return Line(calls, should, _objection(database, calls, answers, left))
        except NotImplementedError:
            raise
        except Exception as error:
            return Line(calls, should, Problem("bug", f"{type(error).__name__}: {error}"))
        finally:
            database.close()


def _database(folder: str) -> Database:
    database = open_database(sqlite_url(Path(folder, "travel.sqlite")))
    store_seed_data(database, load_seed_data())
    insurance.open_book(database)
    return database


def _call(desk: Any, calls: str, request: TripRequest) -> list[Any]:
    answers = []
    for call in calls.split(", "):
        if call == "insure":
            try:
                answers.append(desk.insure_trip(request))
            except insurance.Rejected as refusal:
                answers.append(refusal)
        else:
            desk.cancel_insurance(Cancellation(request.confirmation_code))
    return answers


def _objection(database: Database, calls: str, answers: list[Any], left: int) -> Problem | None:
    with database.snapshot() as connection:
        held = len(connection.execute(insurance.policies.select()).all())
    if held != left:
        mistake = {"insure, insure": "not idempotent", "cancel, insure": "no tombstone"}
        return Problem(mistake.get(calls, "undo forgotten"), f"{held} policies in the book")
    if calls.startswith("cancel"):
        return None
    if any(not isinstance(answer, insurance.Policy) for answer in answers):
        return Problem("not idempotent", f"the answers were {answers}")
    return None


# --- the Workflow ---------------------------------------------------------------------


def _trial(name: str, kind: str, should: str, **how: Any) -> Trial:
    return Trial(Scenario(name, kind, **how), should, (released,))


@dataclass(eq=False)
class InsuredExercise(WorkflowExercise):
    """The Workflow uses the learner's own Activities."""

    desk: DeskExercise | None = None

    async def judge_cell(self, cell: str, desk_cell: str = "") -> ReportCard:
        """The report card of a Workflow and its two Activities."""
        found = await self.run(cell, load_desk(desk_cell or self.desk_cell), self.trials)
        if any(one.failure_type == "NotImplementedError" for one in found):
            return ReportCard(self.title, note=UNATTEMPTED)
        return ReportCard(self.title, [judged(one) for one in found])

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
        """The cell's module, which sees the class ``Insurance``."""
        imported = (
            "with workflow.unsafe.imports_passed_through():\n"
            f"    from {desk.__module__} import Insurance\n"
        )
        return load_answer(self.name, cell, PRELUDE + imported)

    async def run(self, cell: str, desk: Any, trials: Sequence[Trial]) -> list[Found]:
        """What is found after the trials."""

        def activities(database: Database) -> list[Any]:
            insurance.open_book(database)
            office = desk(database)
            return [office.insure_trip, office.cancel_insurance]

        return await run_trials(
            self.answer(cell, desk).design,
            trials,
            further_activities=activities,
            further_findings=insurance.audit_policies,
            undo_of=INSURED_UNDO_OF,
        )


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

MUTANTS_AT_ONCE = 4


@dataclass(frozen=True)
class Submission:
    """What the mutants are made of, and what has to notice them."""

    tests: Sequence[Scenario]
    cell: str
    desk_cell: str = DESK_SOLUTION


@dataclass(eq=False)
class MutantExercise(Exercise):
    """The answer is a list of scenarios; every mutant of the learner's Workflow must fail one."""

    trip: InsuredExercise = field(default=insured_trip)

    async def judge(self, answer: Any = None) -> ReportCard:
        """Run the tests against the Workflow, then against its mutants."""
        if answer is None or answer is ... or answer == []:
            return ReportCard(self.title, note=UNATTEMPTED)
        if not isinstance(answer, Submission):
            if self.trip.cell is None:
                return ReportCard(self.title, note="run the cell with your Workflow first.")
            answer = Submission(answer, self.trip.cell, self.trip.desk_cell)
        trials = [Trial(test, "holds for your own code", (nothing_left,)) for test in answer.tests]
        desk = load_desk(answer.desk_cell)
        own = [judged(one) for one in await self.trip.run(answer.cell, desk, trials)]
        if any(line.problem for line in own):
            return ReportCard(self.title, own, "First your own code has to pass your tests.")
        slots = asyncio.Semaphore(MUTANTS_AT_ONCE)

        async def line(mutant: Mutant) -> Line:
            async with slots:
                return await self._line(mutant, desk, trials)

        return ReportCard(
            self.title, await asyncio.gather(*[line(one) for one in mutants(answer.cell)])
        )

    async def _line(self, mutant: Mutant, desk: Any, trials: Sequence[Trial]) -> Line:
        found = await self.trip.run(mutant.cell, desk, trials)
        lines = [judged(one) for one in found]
        caught = next((line.tried for line in lines if line.problem), None)
        if caught:
            return Line(mutant.change, f'noticed by "{caught}"')
        problem = Problem("mutant survives", "all your tests pass, as if nothing had happened")
        return Line(mutant.change, "noticed by one of your tests", problem)


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
    extra = [trial.scenario for trial in insured_trip.trials if "insur" in trial.scenario.name]
    trials = [
        Trial(scenario, "whole, or nothing left", (nothing_left,))
        for scenario in (*standard_scenarios(), *extra)
    ]
    found = await insured_trip.run(cell, load_desk(insured_trip.desk_cell), trials)
    lines = [judged(one) for one in found]
    note = "That is what still goes wrong." if any(line.problem for line in lines) else ""
    return ReportCard("Everything we know", lines, note, only_problems=True)
