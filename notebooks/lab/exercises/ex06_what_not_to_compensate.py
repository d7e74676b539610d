"""Notebook 06: the pivot, and a customer who cancels."""

from lab.breaking.scenarios import CancelAt, Scenario, fault_at
from lab.checking.common import (
    cancel_during,
    cancel_during_undo,
    email_down,
    happy,
    outage,
    rejection,
)
from lab.checking.exercise import WorkflowExercise
from lab.checking.judging import emailed, released
from lab.checking.trials import Trial
from travel.faults import Fault

BOOKING = """
        await call(Activities.store_booking_request, request)
        trip, undos = Cancellation(request.confirmation_code), []
        try:
            flight = await call(Activities.book_flight, request)
            undos.append(Activities.cancel_flight)
            hotel = await call(Activities.book_hotel, request)
            undos.append(Activities.cancel_hotel)
            car = await call(Activities.book_car, request)
            undos.append(Activities.cancel_car)
            price_cents = flight.price_cents + hotel.price_cents + car.price_cents
            bill = PaymentRequest(request.confirmation_code, request.customer, price_cents)
            await call(Activities.accept_payment, bill)
"""

HEAD = """
@workflow.defn
class {name}:
    @workflow.run
    async def run(self, request: TripRequest) -> int:"""

UNDO = """        except ActivityError:
            for undo in reversed(undos):
                await call_undo(undo, trip)
            raise
"""

EMAIL = """        email = ConfirmationEmail(request.confirmation_code, request.customer, "Booked.")
"""

PIVOT_SKELETON = (
    HEAD.format(name="ThePivot")
    + BOOKING
    + UNDO
    + EMAIL
    + """        # Send it: call(Activities.send_confirmation_email, email). And if that fails?
        raise NotImplementedError("the email")
"""
)

PIVOT_SOLUTION = (
    HEAD.format(name="ThePivot")
    + BOOKING
    + UNDO
    + EMAIL
    + """        try:
            await call(Activities.send_confirmation_email, email)
        except ActivityError:
            workflow.logger.warning("The confirmation email could not be sent.")
        return price_cents
"""
)

THINKING = BOOKING.replace(
    "            await call(Activities.accept_payment, bill)\n",
    "            await workflow.sleep(timedelta(hours=1))  # to change their mind\n"
    "            await call(Activities.accept_payment, bill)\n",
)

CANCEL_SKELETON = (
    HEAD.format(name="SurvivesCancel")
    + THINKING
    + """        except ActivityError:  # and what else?
            raise NotImplementedError("undo, whatever arrives meanwhile") from None
        return price_cents
"""
)

CANCEL_SOLUTION = (
    HEAD.format(name="SurvivesCancel")
    + THINKING
    + """        except (ActivityError, asyncio.CancelledError):
            await uninterrupted(self.undo_all(undos, trip))
            raise
        return price_cents

    async def undo_all(self, undos, trip):
        for undo in reversed(undos):
            await call_undo(undo, trip)
"""
)

_NO_ANSWER = Scenario(
    "cancel while the car does not answer",
    "cancel",
    faults=(fault_at("book_car", Fault.OUTAGE),),
    cancels=(CancelAt("book_car", attempt=2),),
)
_THINKING = Scenario("cancel in the hour to think", "cancel")
_AGAIN = Scenario(
    "the same, and again while undoing", "cancel", cancels=(CancelAt("cancel_hotel"),)
)
CANCELED = "the trip is canceled, and nothing is held"

the_pivot = WorkflowExercise(
    name="the_pivot",
    title="The pivot",
    skeleton=PIVOT_SKELETON,
    trials=(happy(emailed), email_down(), rejection("accept_payment"), outage("book_car")),
    hints=(
        "After the payment the trip stands. What may a failing email change?",
        "Compare EmailInTheSaga with what follows it in this notebook: where does the try block "
        "end?",
        "try:  await call(Activities.send_confirmation_email, ...)  with an except of its own",
    ),
    solution_code=PIVOT_SOLUTION,
    why="The payment is the pivot: before it everything is undone on failure, after it nothing is. "
    "The email has a try block of its own, so its error reaches neither the saga nor the caller.",
)

survive_a_cancel = WorkflowExercise(
    name="survive_a_cancel",
    title="Survive a cancel",
    skeleton=CANCEL_SKELETON,
    trials=(
        happy(),
        rejection("book_car"),
        cancel_during("store_booking_request"),
        Trial(_NO_ANSWER, CANCELED, (released,)),
        Trial(_THINKING, CANCELED, (released,), cancel_in_pause=True),
        Trial(_AGAIN, CANCELED, (released,), cancel_in_pause=True),
        cancel_during_undo("cancel_hotel"),
        cancel_during_undo("cancel_flight"),
        cancel_during_undo("cancel_hotel", times=3),
    ),
    hints=(
        "A cancel request is an exception too, and it may arrive twice.",
        "Look for uninterrupted in this notebook, and for what asyncio.shield does not protect.",
        "except (..., asyncio.CancelledError):  await uninterrupted(...)  and then raise",
    ),
    shapes={
        "cancel missed": "except (ActivityError, asyncio....):",
        "one shield": "await uninterrupted(...)  around everything that undoes",
        "cancel swallowed": "raise, as the last line of the except block",
    },
    solution_code=CANCEL_SOLUTION,
    why="CancelledError is caught beside ActivityError, so a cancel sets off the same undo, and "
    "raise hands it on. uninterrupted waits for the undo in a loop, so no further request "
    "can break it off.",
)
