"""Notebook 10: change the code of trips that are under way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from lab.breaking.scenarios import Scenario, request_for
from lab.breaking.simulated import Bench, Simulated
from lab.checking.common import happy, rejection
from lab.checking.exercise import WorkflowExercise
from lab.checking.modules import Answer
from lab.checking.report_card import Line
from lab.checking.trials import Found, Problem
from lab.simulation import NotDeterministic
from travel.workflows.book_trip import BookTrip

HEAD = """
from travel.workflows.book_trip import BookTrip


@workflow.defn(name="BookTrip")
class CarFirst(BookTrip):
    @workflow.init
    def __init__(self, request: TripRequest) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: TripRequest):
        return await super().run(request)

    async def _book(self, trip):
        flight = await self._book_flight(trip)
"""

TAIL = """        price_cents = flight.price_cents + hotel.price_cents + car.price_cents
        payment = await self._accept_payment(trip, price_cents)
        return flight, hotel, car, payment
"""

SKELETON = (
    HEAD
    + """        # --- your code: self._book_car(trip), and only then self._book_hotel(trip) ---
        raise NotImplementedError("the car first, for new trips; then this line goes")
        hotel = car = ...
        # --- end ---
"""
    + TAIL
)

SOLUTION = (
    HEAD
    + """        if workflow.patched("car-first"):
            car = await self._book_car(trip)
            hotel = await self._book_hotel(trip)
        else:
            hotel = await self._book_hotel(trip)
            car = await self._book_car(trip)
"""
    + TAIL
)

OLD = (
    Scenario("an old trip, booked", "old"),
    Scenario("an old trip, no such car", "old", {"car_type": "limousine"}),
    Scenario("an old trip in a suite", "old", {"room_type": "suite"}),
)
NEW_ROOMS = ("standard", "deluxe", "suite")


def car_before_hotel(found: Found) -> Problem | None:
    """The new way."""
    car, hotel = found.step("book_car"), found.step("book_hotel")
    if car and hotel and car.scheduled >= hotel.scheduled:
        return Problem("no change", "the hotel was booked before the car, as ever")
    return None


@dataclass(eq=False)
class ChangeExercise(WorkflowExercise):
    """Old trips get the learner's Workflow at every moment; then new trips are booked with it."""

    async def further_lines(self, loaded: Answer) -> list[Line]:
        """A line for each old trip."""
        return await asyncio.to_thread(_old_trips, loaded)


def _old_trips(loaded: Answer) -> list[Line]:
    return [_old_trip(loaded, place, scenario) for place, scenario in enumerate(OLD, 1)]


def _old_trip(loaded: Answer, place: int, scenario: Scenario) -> Line:
    """Begin it with the old code, and go on with the new during each step in turn."""
    tried, should = scenario.name, "fits the new code, whenever that is deployed"
    bench = Bench(BookTrip)
    new = bench.next_version(loaded.workflows_in_order)
    request = request_for(place, scenario.changes)
    try:
        calm = bench.book(request)
        for moment in [1, *(begun + 1 for begun, _attempt in calm.simulation.sites)]:
            bench.deploy(new, moment)
            problem = _fits(bench.book(request), calm)
            if problem is not None:
                return Line(tried, should, problem)
    finally:
        bench.close()
    return Line(tried, should)


def _fits(mixed: Simulated, calm: Simulated) -> Problem | None:
    """It goes on where the old code was, and comes to the same end."""
    failure = mixed.handle.last.task_failure
    if isinstance(mixed.problem, NotDeterministic) or failure is not None:
        return Problem("replay", "nondeterminism error: the Event History expects another step")
    if mixed.problem is not None:
        return Problem("never ended", str(mixed.problem))
    if mixed.status != calm.status or mixed.findings:
        left = mixed.findings[0].problem if mixed.findings else f"the trip {mixed.status}"
        return Problem("replay", left)
    return None


car_first = ChangeExercise(
    name="car_first",
    title="Car first",
    skeleton=SKELETON,
    trials=(
        replace(
            happy(car_before_hotel),
            scenario=Scenario("a new trip", "new"),
            should="the car comes before the hotel, and the trip is whole",
            variants=tuple(
                Scenario(f"a new trip, {room} room", "new", {"room_type": room})
                for room in NEW_ROOMS
            ),
        ),
        rejection("accept_payment"),
    ),
    hints=(
        "Two kinds of trips meet your code: those that began before it, and the others.",
        "Compare CoolingOff with CoolingOffPatched in this notebook: what does the second ask?",
        'if workflow.patched("..."):  the new order, else the old one',
    ),
    shapes={"no change": "workflow.patched is True for a trip that begins now"},
    solution_code=SOLUTION,
    why="patched is False for a trip that passed this point under the old code, so its replay "
    "meets the steps that its Event History expects. A new trip records a marker and goes the "
    "new way.",
)
