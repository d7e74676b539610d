"""Notebook 06: the pivot, and a customer who cancels."""

from lab.breaking.scenarios import CancelAt, Scenario, fault_at
from lab.checking.common import (
    NO_CAR,
    NOTHING_HELD,
    cancel_during,
    cancel_during_undo,
    email_down,
    happy,
    outage,
    rejection,
)
from lab.checking.exercise import WorkflowExercise
from lab.checking.judging import EMAIL, PAYMENT, booked, emailed, released
from lab.checking.trials import Found, Problem, Trial
from travel.faults import Fault

HOURS_DOWN = 2
"""The mail server: less than the three hours that the task asks for."""

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

MESSAGE = (
    '        email = ConfirmationEmail(request.confirmation_code, request.customer, "Booked.")\n'
)

PIVOT_SKELETON = (
    HEAD.format(name="ThePivot")
    + BOOKING
    + UNDO
    + MESSAGE
    + """        # --- your code: Activities.send_confirmation_email, for three hours ---
        raise NotImplementedError("the email; then this line goes")
        # --- end ---
        return price_cents
"""
)

PIVOT_SOLUTION = (
    HEAD.format(name="ThePivot")
    + BOOKING
    + UNDO
    + MESSAGE
    + """        try:
            await workflow.execute_activity_method(
                Activities.send_confirmation_email,
                email,
                start_to_close_timeout=ATTEMPT_TIMEOUT,
                schedule_to_close_timeout=timedelta(hours=3),
            )
        except ActivityError:
            workflow.logger.warning("The confirmation email could not be sent.")
        return price_cents
"""
)

PAY = "            await call(Activities.accept_payment, bill)\n"
THINKING = BOOKING + (
    "            await workflow.sleep(timedelta(hours=1))  # until then all is given back\n"
)

CANCEL_SKELETON = (
    HEAD.format(name="SurvivesCancel")
    + THINKING
    + """        except ActivityError:  # and what else? Is all on the list that is to be undone?
            raise NotImplementedError("undo, whatever arrives meanwhile") from None
        return price_cents
"""
)

CANCEL_SOLUTION = (
    HEAD.format(name="SurvivesCancel")
    + THINKING.replace(PAY, PAY + "            undos.append(Activities.refund_payment)\n")
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
_THINKING = Scenario("cancel in the hour after the payment", "cancel")
_AGAIN = Scenario(
    "the same, and again while undoing", "cancel", cancels=(CancelAt("cancel_hotel"),)
)
_TRIED_AGAIN = Scenario(
    "cancel while an undo is tried again",
    "cancel",
    NO_CAR,
    faults=(fault_at("cancel_hotel", Fault.OUTAGE, 1, 2, 3),),
    cancels=(CancelAt("cancel_hotel", attempt=2),),
)
CANCELED = "the trip is canceled, and nothing is held"


def sent_at_last(found: Found) -> Problem | None:
    """The mail server came back, and the customer got the email."""
    if any(call.outcome == "completed" for call in found.calls_of(EMAIL)):
        return None
    fact = f"the mail server came back after {HOURS_DOWN} hours, and nobody tried any more"
    return Problem("email let go", fact)


def hour_after_payment(found: Found) -> Problem | None:
    """The trip ends an hour after it was paid."""
    paid = found.step(PAYMENT)
    if paid is None or paid.closed is None or found.history.seconds - paid.closed > 3599:
        return None
    return Problem("not the task", "once it was paid, the trip could not be given back for an hour")


_MAIL_IS_BACK = Trial(
    Scenario(f"the mail server is down for {HOURS_DOWN} hours", "email"),
    "the trip stands, and the email is sent",
    (booked, emailed, sent_at_last),
    down={EMAIL: HOURS_DOWN * 3600},
)

the_pivot = WorkflowExercise(
    name="the_pivot",
    title="The pivot",
    skeleton=PIVOT_SKELETON,
    trials=(
        happy(emailed),
        rejection("accept_payment"),
        outage("book_car"),
        _MAIL_IS_BACK,
        email_down(),
    ),
    hints=(
        "After the payment the trip stands. What may a failing email change, and how long may it "
        "be tried?",
        "Compare EmailInTheSaga with BookTrip._send_email in this notebook: where does the try "
        "block end? And which of the two timeouts of the exercise is the three hours?",
        "workflow.execute_activity_method(..., ..., start_to_close_timeout=..., "
        "schedule_to_close_timeout=...)  awaited in a try of its own, with an except of its own",
    ),
    shapes={"never ended": "schedule_to_close_timeout=timedelta(...)"},
    solution_code=PIVOT_SOLUTION,
    why="The payment is the pivot: before it everything is undone on failure, after it nothing is. "
    "The email has a try block of its own, so its error reaches neither the saga nor the caller. "
    "Without a retry policy of yours Temporal tries until the schedule-to-close timeout is over.",
)

survive_a_cancel = WorkflowExercise(
    name="survive_a_cancel",
    title="Survive a cancel",
    skeleton=CANCEL_SKELETON,
    trials=(
        happy(hour_after_payment),
        rejection("book_car"),
        rejection("accept_payment"),
        cancel_during("store_booking_request"),
        Trial(_NO_ANSWER, CANCELED, (released,)),
        Trial(_THINKING, CANCELED, (released,), cancel_in_pause=True),
        Trial(_AGAIN, CANCELED, (released,), cancel_in_pause=True),
        cancel_during_undo("cancel_hotel"),
        cancel_during_undo("cancel_flight"),
        Trial(_TRIED_AGAIN, NOTHING_HELD, (released,)),
        cancel_during_undo("cancel_hotel", times=3),
    ),
    hints=(
        "A cancel request is an exception too, and it may arrive twice. What has been done by the "
        "end of the hour?",
        "Look for uninterrupted in this notebook, and for what asyncio.shield does not protect.",
        "except (..., asyncio.CancelledError):  await uninterrupted(...)  and then raise",
    ),
    shapes={
        "cancel missed": "except (ActivityError, asyncio....):",
        "one shield": "await uninterrupted(...)  around everything that undoes",
        "refund forgotten": "undos.append(...)  once it is paid, as after each booking",
        "not the task": "the order of the skeleton: the payment, then the hour",
        "cancel swallowed": "raise, as the last line of the except block",
    },
    solution_code=CANCEL_SOLUTION,
    why="CancelledError is caught beside ActivityError, so a cancel sets off the same undo, and "
    "raise hands it on. The payment is on the list too, for the pivot is the end of the hour. "
    "uninterrupted waits for the undo in a loop, so no further request "
    "can break it off.",
)
