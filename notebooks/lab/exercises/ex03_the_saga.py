"""Notebook 03: write the compensations."""

from lab.checking.common import happy, outage, rejection
from lab.checking.exercise import WorkflowExercise

SKELETON = """
@workflow.defn
class UndoInReverse:
    @workflow.run
    async def run(self, request: TripRequest) -> int:
        await call_once(Activities.store_booking_request, request)
        trip = Cancellation(request.confirmation_code)
        flight = hotel = car = payment = None
        try:
            flight = await call_once(Activities.book_flight, request)
            hotel = await call_once(Activities.book_hotel, request)
            car = await call_once(Activities.book_car, request)
            price_cents = flight.price_cents + hotel.price_cents + car.price_cents
            bill = PaymentRequest(request.confirmation_code, request.customer, price_cents)
            payment = await call_once(Activities.accept_payment, bill)
        except ActivityError:
            # Undo what was booked: await call_undo(Activities.cancel_flight, trip), ...
            raise NotImplementedError("your compensations") from None
        return price_cents
"""

SOLUTION = SKELETON.replace(
    """            # Undo what was booked: await call_undo(Activities.cancel_flight, trip), ...
            raise NotImplementedError("your compensations") from None
""",
    """            if payment:
                await call_undo(Activities.refund_payment, trip)
            if car:
                await call_undo(Activities.cancel_car, trip)
            if hotel:
                await call_undo(Activities.cancel_hotel, trip)
            if flight:
                await call_undo(Activities.cancel_flight, trip)
            raise
""",
)

undo_in_reverse = WorkflowExercise(
    name="undo_in_reverse",
    title="Undo in reverse",
    skeleton=SKELETON,
    trials=(
        happy(),
        rejection("book_flight"),
        rejection("book_hotel"),
        rejection("book_car"),
        rejection("accept_payment"),
        outage("book_car"),
    ),
    hints=(
        "A variable that is still None belongs to a step that did not succeed.",
        "Look at the except block of UndoWhatSucceeded in this notebook, and at its order.",
        "if hotel:  await call_undo(Activities.cancel_hotel, ...)  and, at the very end, raise",
    ),
    shapes={
        "wrong order": "the block of the newest step first: payment, car, hotel, flight",
        "not awaited": "await call_undo(..., trip)",
        "error swallowed": "the last line of the except block: raise",
        "cause hidden": "a bare raise hands on the error that was caught",
    },
    solution_code=SOLUTION,
    why="Each variable says whether its step returned, so only what was booked is undone. The "
    "newest goes first, each undo is awaited, and the bare raise tells the caller what "
    "really failed.",
)
