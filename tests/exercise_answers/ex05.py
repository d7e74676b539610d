"""Answers to the exercises of notebook 05."""

from lab.exercises import patience
from lab.exercises.ex05_retry import TRIP

from exercise_answers.answer import CORRECT, UNTOUCHED, Answer, changed

PATIENT = patience.solution_code

BY_HELPERS = (
    """
async def step(activity, message):
    return await call(activity, message)


async def undo(activity, trip):
    await workflow.execute_activity_method(
        activity, trip, start_to_close_timeout=ATTEMPT_TIMEOUT, retry_policy=UNDO_RETRIES
    )
"""
    + TRIP
)

BY_TIME = (
    """
async def step(activity, message):
    return await workflow.execute_activity_method(
        activity,
        message,
        start_to_close_timeout=timedelta(seconds=4),
        schedule_to_close_timeout=timedelta(minutes=2),
        retry_policy=RetryPolicy(
            maximum_interval=timedelta(seconds=30), non_retryable_error_types=["Rejected"]
        ),
    )


async def undo(activity, trip):
    while True:
        try:
            return await call_once(activity, trip)
        except ActivityError:
            await workflow.sleep(30)
"""
    + TRIP
)

ANSWERS = {
    "patience": {
        "untouched": Answer(patience.skeleton, UNTOUCHED),
        "reference": Answer(PATIENT, CORRECT),
        "the course's own policies": Answer(BY_HELPERS, CORRECT),
        "limits by time, a loop for undo": Answer(BY_TIME, CORRECT),
        "no retries": Answer(
            changed(PATIENT, ("maximum_attempts=3", "maximum_attempts=1")), "blip not retried"
        ),
        "rejection retried": Answer(
            changed(PATIENT, (', non_retryable_error_types=["Rejected"]', "")), "rejection retried"
        ),
        "step without limit": Answer(changed(PATIENT, ("maximum_attempts=3, ", "")), "never ended"),
        "attempt without a short timeout": Answer(
            changed(
                PATIENT,
                (
                    "        message,\n        start_to_close_timeout=timedelta(seconds=3)",
                    "        message,\n        schedule_to_close_timeout=timedelta(hours=1)",
                ),
            ),
            "never ended",
        ),
        "undo gives up after three": Answer(
            changed(
                PATIENT,
                (
                    "activity, trip, start_to_close_timeout=timedelta(seconds=3)\n",
                    "activity,\n        trip,\n        start_to_close_timeout=timedelta(seconds=3),"
                    "\n        retry_policy=RetryPolicy(maximum_attempts=3),\n",
                ),
            ),
            "gave up",
        ),
        "an undo for thirty days": Answer(
            changed(
                PATIENT,
                (
                    "activity, trip, start_to_close_timeout=timedelta(seconds=3)",
                    "activity, trip, start_to_close_timeout=timedelta(seconds=3), "
                    "schedule_to_close_timeout=timedelta(days=30)",
                ),
            ),
            "gave up",
        ),
        "an undo given a text": Answer(
            changed(PATIENT, ("activity, trip, start", "activity, trip.confirmation_code, start")),
            "bug",
        ),
    },
}
