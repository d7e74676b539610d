"""Notebook 08: change the code of trips that are under way."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lab.breaking.scenarios import Scenario
from lab.checking.common import happy, rejection
from lab.checking.exercise import WorkflowExercise
from lab.checking.modules import Answer
from lab.checking.trials import Found, Problem, Trial, replay, run_trials
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
    + """        # From now on: self._book_car(trip), and only then self._book_hotel(trip).
        raise NotImplementedError("the car first, for new trips")
        hotel = car = ...
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
    Trial(Scenario("an old trip, booked", "old"), "fits the new code", ()),
    Trial(
        Scenario("an old trip, no such car", "old", {"car_type": "limousine"}),
        "fits the new code",
        (),
    ),
)


def car_before_hotel(found: Found) -> Problem | None:
    """The new way."""
    car, hotel = found.step("book_car"), found.step("book_hotel")
    if car and hotel and car.scheduled >= hotel.scheduled:
        return Problem("no change", "the hotel was booked before the car, as ever")
    return None


def fits(found: Found) -> Problem | None:
    """An old Event History can be replayed by the new code."""
    if found.replay:
        return Problem("replay", "nondeterminism error: the Event History expects another step")
    return None


@dataclass(eq=False)
class ChangeExercise(WorkflowExercise):
    """Old trips are replayed by the learner's Workflow, then new trips are booked with it."""

    async def try_out(self, loaded: Answer) -> list[Found]:
        """What is found in old trips and new ones."""
        new = await run_trials(loaded.design, self.trials)
        old = await run_trials(BookTrip, OLD)
        return [await _replayed(one, loaded) for one in old] + new


async def _replayed(found: Found, loaded: Answer) -> Found:
    assert found.recorded is not None
    complaint = await replay(found.recorded, loaded.design)
    return replace(found, replay=complaint, trial=replace(found.trial, judges=(fits,)))


car_first = ChangeExercise(
    name="car_first",
    title="Car first",
    skeleton=SKELETON,
    trials=(
        replace(
            happy(car_before_hotel),
            scenario=Scenario("a new trip", "new"),
            should="the car comes before the hotel, and the trip is whole",
            replayed=True,
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
