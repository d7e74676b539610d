"""Notebook 11: the car beside the flight, and the hotel after the flight."""

from dataclasses import replace
from typing import Any

from lab.breaking.scenarios import Scenario
from lab.checking.common import (
    NO_CAR,
    NO_FLIGHT,
    NO_ROOM,
    happy,
    lost_reply,
    outage,
    rejection,
)
from lab.checking.exercise import WorkflowExercise
from lab.checking.judging import at_once, booked, released
from lab.checking.trials import Found, Problem, Trial

HEAD = """
@workflow.defn
class SideBySide:
    @workflow.run
    async def run(self, request: TripRequest) -> int:
        await call(Activities.store_booking_request, request)
        async with Saga(rejections=REJECTIONS) as saga:

            async def step(do, undo, message):
                trip = Cancellation(request.confirmation_code)
                undoing = partial(call_undo, undo, trip)
                return await saga.step(partial(call, do, message), undo=undoing, name=undo.__name__)

"""

TAIL = """            price_cents = flight.price_cents + hotel.price_cents + car.price_cents
            bill = PaymentRequest(request.confirmation_code, request.customer, price_cents)
            await step(Activities.accept_payment, Activities.refund_payment, bill)
        return price_cents
"""

SKELETON = (
    HEAD
    + """            # --- your code: step(Activities.book_flight, ..., request) and the others ---
            flight = hotel = car = ...
            raise NotImplementedError("three bookings; then this line goes")
            # --- end ---
"""
    + TAIL
)

SOLUTION = (
    HEAD
    + """
            async def flight_then_hotel():
                flight = await step(Activities.book_flight, Activities.cancel_flight, request)
                hotel = await step(Activities.book_hotel, Activities.cancel_hotel, request)
                return flight, hotel

            (flight, hotel), car = await asyncio.gather(
                flight_then_hotel(), step(Activities.book_car, Activities.cancel_car, request)
            )
"""
    + TAIL
)


BRANCHES = (
    frozenset(("book_car", "book_flight")),
    frozenset(("book_car", "book_hotel")),
)
"""Neither of the two waits for the other."""


def hotel_after_flight(found: Found) -> Problem | None:
    """The hotel is told when the guest lands."""
    flight, hotel = found.step("book_flight"), found.step("book_hotel")
    if hotel is None or (flight and flight.closed and flight.closed <= hotel.scheduled):
        return None
    return Problem("not the task", "book_hotel began before the flight was booked")


def hotel_before_car(found: Found) -> Problem | None:
    """A slow car holds up nobody."""
    flight, hotel, car = (found.step(f"book_{what}") for what in ("flight", "hotel", "car"))
    if not (flight and hotel and car) or flight.closed is None or car.closed is None:
        return None
    if flight.closed < car.closed <= hotel.scheduled:
        return Problem("not parallel", "book_hotel waited for the car")
    return None


def _siblings(name: str, changes: dict[str, Any], slow: str) -> Trial:
    return Trial(
        Scenario(name, "siblings", changes),
        "nothing is held, though another was still booking",
        (released,),
        slow=(slow,),
    )


_SLOW_CAR = Trial(
    Scenario("every provider says yes, the car late", "happy"),
    "booked, and the hotel does not wait for the car",
    (booked, hotel_after_flight, hotel_before_car),
    slow=("book_car",),
)
_SLOW_FLIGHT = Trial(
    Scenario("every provider says yes, the flight late", "happy"),
    "booked, and the hotel waits for the flight",
    (booked, hotel_after_flight),
    slow=("book_flight",),
)
_TRIALS = (
    replace(
        happy(hotel_after_flight, at_once("book_flight", "book_car")),
        should="booked, flight and car at once",
    ),
    _SLOW_FLIGHT,
    _SLOW_CAR,
    _siblings("no such car, and a slow hotel", NO_CAR, "book_hotel"),
    _siblings("no such car, and a slow flight", NO_CAR, "book_flight"),
    _siblings("no such room, and a slow car", NO_ROOM, "book_car"),
    _siblings("no such flight, and a slow car", NO_FLIGHT, "book_car"),
    rejection("accept_payment"),
    outage("book_hotel"),
    lost_reply("book_car"),
    lost_reply("accept_payment"),
)

side_by_side = WorkflowExercise(
    name="side_by_side",
    title="Side by side",
    skeleton=SKELETON,
    trials=[replace(trial, beside=BRANCHES) for trial in _TRIALS],
    hints=(
        "Two things go on side by side. One of them has two steps. Which?",
        "Look at BookInParallel._book in this notebook. What gather is given need not be a single "
        "step; and look at what SiblingsLost does differently.",
        "async def ...():  two steps, one after the other;  await asyncio.gather(...(), step(...))",
    ),
    shapes={
        "not the task": "flight = await step(...)  and in the line after it the hotel",
        "not parallel": "await asyncio.gather(flight and hotel in a function of yours, step(car))",
    },
    solution_code=SOLUTION,
    why="gather starts both branches before it waits for either; within one of them an await puts "
    "the hotel after the flight. The saga knows of each step from its start, so when one fails it "
    "lets the others settle and undoes them too.",
)
