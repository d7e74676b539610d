"""Notebook 03: write the compensations."""

from lab.checking.common import happy, outage, rejection
from lab.checking.exercise import WorkflowExercise
from lab.checking.judging import one_after_the_other
from lab.checking.trials import Found, Problem

ORDER = ("book_hotel", "book_car", "book_flight", "accept_payment")
"""Another one than that of the designs in the notebook, so theirs cannot be copied."""

SKELETON = """
@workflow.defn
class UndoInReverse:
    @workflow.run
    async def run(self, request: TripRequest) -> int:
        await call_once(Activities.store_booking_request, request)
        trip = Cancellation(request.confirmation_code)
        # --- your code ---
        hotel = await call_once(Activities.book_hotel, request)
        car = await call_once(Activities.book_car, request)
        flight = await call_once(Activities.book_flight, request)
        price_cents = hotel.price_cents + car.price_cents + flight.price_cents
        bill = PaymentRequest(request.confirmation_code, request.customer, price_cents)
        await call_once(Activities.accept_payment, bill)
        raise NotImplementedError("your compensations; then this line goes")
        # --- end ---
        return price_cents
"""

SOLUTION = """
@workflow.defn
class UndoInReverse:
    @workflow.run
    async def run(self, request: TripRequest) -> int:
        await call_once(Activities.store_booking_request, request)
        trip = Cancellation(request.confirmation_code)
        undos = []
        try:
            hotel = await call_once(Activities.book_hotel, request)
            undos.append(Activities.cancel_hotel)
            car = await call_once(Activities.book_car, request)
            undos.append(Activities.cancel_car)
            flight = await call_once(Activities.book_flight, request)
            undos.append(Activities.cancel_flight)
            price_cents = hotel.price_cents + car.price_cents + flight.price_cents
            bill = PaymentRequest(request.confirmation_code, request.customer, price_cents)
            await call_once(Activities.accept_payment, bill)
        except ActivityError:
            for undo in reversed(undos):
                await call_undo(undo, trip)
            raise
        return price_cents
"""


def hotel_first(found: Found) -> Problem | None:
    """The steps came in the order of the task."""
    began = [step.activity for step in found.history.steps if step.activity in ORDER]
    if began and began != list(ORDER[: len(began)]):
        return Problem("not the task", f"the steps came as {', '.join(began)}")
    return None


undo_in_reverse = WorkflowExercise(
    name="undo_in_reverse",
    title="Undo in reverse",
    skeleton=SKELETON,
    trials=(
        happy(hotel_first),
        rejection("book_flight", one_after_the_other),
        rejection("book_hotel", one_after_the_other),
        rejection("book_car", one_after_the_other),
        rejection("accept_payment", one_after_the_other),
        outage("book_car", one_after_the_other),
    ),
    hints=(
        "When the error arrives, your code must know which steps have succeeded, and in which "
        "order.",
        "Look at UndoWhatSucceeded in this notebook: how does it know? Its order is that of its "
        "own steps; which is the newest of yours?",
        "try: the steps  except ActivityError: await call_undo(...) for each that succeeded, then "
        "raise",
    ),
    shapes={
        "wrong order": "the newest step's undo first; here the flight is newer than the car",
        "not the task": "the order of the skeleton: hotel, car, flight, payment",
        "not awaited": "await call_undo(..., trip)",
        "error swallowed": "the last line of the except block: raise",
        "cause hidden": "a bare raise passes on the error that was caught",
    },
    solution_code=SOLUTION,
    why="The list says which steps returned, so only what was booked is undone. Read backwards it "
    "has the newest first, each undo is awaited, and the bare raise tells the caller what really "
    "failed. A variable a step does as well.",
)
