"""Notebook 05: timeouts and retry policies."""

from dataclasses import replace

from lab.checking.common import (
    HOURS,
    blip,
    happy,
    no_reply,
    outage,
    rejection,
    slow_answer,
    undo_down,
    undo_put_off,
)
from lab.checking.exercise import WorkflowExercise
from lab.checking.judging import rejection_asked_once, retried_blip, within
from lab.checking.trials import Trial

TRIP = """

@workflow.defn
class Patient:
    @workflow.run
    async def run(self, request: TripRequest) -> int:
        await step(Activities.store_booking_request, request)
        undos = []
        try:
            flight = await step(Activities.book_flight, request)
            undos.append(Activities.cancel_flight)
            hotel = await step(Activities.book_hotel, request)
            undos.append(Activities.cancel_hotel)
            car = await step(Activities.book_car, request)
            undos.append(Activities.cancel_car)
            price_cents = flight.price_cents + hotel.price_cents + car.price_cents
            bill = PaymentRequest(request.confirmation_code, request.customer, price_cents)
            await step(Activities.accept_payment, bill)
        except ActivityError:
            for activity in reversed(undos):
                await undo(activity, Cancellation(request.confirmation_code))
            raise
        return price_cents
"""

SKELETON = (
    """
async def step(activity, message):
    raise NotImplementedError("workflow.execute_activity_method(activity, message, ...)")


async def undo(activity, trip):
    raise NotImplementedError("workflow.execute_activity_method(activity, trip, ...)")
"""
    + TRIP
)

SOLUTION = (
    """
async def step(activity, message):
    return await workflow.execute_activity_method(
        activity,
        message,
        start_to_close_timeout=timedelta(seconds=3),
        retry_policy=RetryPolicy(maximum_attempts=3, non_retryable_error_types=["Rejected"]),
    )


async def undo(activity, trip):
    await workflow.execute_activity_method(
        activity, trip, start_to_close_timeout=timedelta(seconds=3)
    )
"""
    + TRIP
)


def answered_soon(trial: Trial) -> Trial:
    """A customer waits, so silence is not waited for long."""
    return replace(trial, judges=(within(10, "never ended"), *trial.judges))


patience = WorkflowExercise(
    name="patience",
    title="Patience",
    skeleton=SKELETON,
    trials=(
        happy(),
        blip("book_hotel", retried_blip("book_hotel"), within(10, "too slow")),
        rejection("book_car", rejection_asked_once),
        outage("book_car"),
        slow_answer("book_hotel"),
        answered_soon(no_reply("book_hotel")),
        undo_down("cancel_hotel", HOURS),
        undo_down("cancel_flight", HOURS),
        undo_put_off("cancel_flight"),
    ),
    hints=(
        "A customer waits for a step; nobody waits for an undo. Which of the two may give up?",
        "Look at STEP_RETRIES and UNDO_RETRIES in travel/workflows/calls.py, as shown in this "
        "notebook.",
        "start_to_close_timeout=timedelta(...), retry_policy=RetryPolicy(maximum_attempts=..., "
        "non_retryable_error_types=[...])",
    ),
    shapes={
        "rejection retried": 'non_retryable_error_types=["..."]  names the class of the error',
        "blip not retried": "maximum_attempts=...  for a step: more than one",
        "gave up": "an undo without maximum_attempts tries until it succeeds",
        "too hasty": "start_to_close_timeout=...  of more than two seconds",
        "too slow": "initial_interval is a second if you say nothing",
        "never ended": "an attempt needs start_to_close_timeout of a few seconds, for a hotel "
        "that never answers, and a step needs maximum_attempts",
    },
    solution_code=SOLUTION,
    why="Each attempt of a step is short and there are few of them, because a customer waits; a "
    "rejection is final at once. An undo goes on until its provider is back, because what it "
    "does not release stays held for ever.",
)
