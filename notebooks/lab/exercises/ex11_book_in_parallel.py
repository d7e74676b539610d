"""Notebook 11: flight, hotel and car at once."""

from dataclasses import replace
from typing import Any

from lab.breaking.scenarios import Scenario
from lab.checking.common import (
    NO_CAR,
    NO_ROOM,
    happy,
    lost_reply,
    outage,
    rejection,
)
from lab.checking.exercise import WorkflowExercise
from lab.checking.judging import at_once, released
from lab.checking.trials import Trial

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
    + """            # flight, hotel and car at once: step(Activities.book_flight, ..., request)
            raise NotImplementedError("three bookings at the same time")
            flight = hotel = car = ...
"""
    + TAIL
)

SOLUTION = (
    HEAD
    + """            flight, hotel, car = await asyncio.gather(
                step(Activities.book_flight, Activities.cancel_flight, request),
                step(Activities.book_hotel, Activities.cancel_hotel, request),
                step(Activities.book_car, Activities.cancel_car, request),
            )
"""
    + TAIL
)


def _siblings(name: str, changes: dict[str, Any], slow: str) -> Trial:
    return Trial(
        Scenario(name, "siblings", changes),
        "nothing is held, though another was still booking",
        (released,),
        slow=(slow,),
    )


side_by_side = WorkflowExercise(
    name="side_by_side",
    title="Side by side",
    skeleton=SKELETON,
    trials=(
        replace(happy(at_once("book_flight", "book_hotel", "book_car")), should="booked, at once"),
        _siblings("no such car, and a slow hotel", NO_CAR, "book_hotel"),
        _siblings("no such car, and a slow flight", NO_CAR, "book_flight"),
        _siblings("no such room, and a slow car", NO_ROOM, "book_car"),
        rejection("accept_payment"),
        outage("book_hotel"),
        lost_reply("book_car"),
        lost_reply("accept_payment"),
    ),
    hints=(
        "Start all three, then wait for all three.",
        "Look at BookInParallel in this notebook, and at what SiblingsLost does differently.",
        "..., ..., ... = await asyncio.gather(step(...), step(...), step(...))",
    ),
    solution_code=SOLUTION,
    why="gather starts the three steps before it waits for any of them. The saga knows of each of "
    "them from its start, so when one fails it lets the others settle and undoes them too.",
)
