"""Answers to the exercises of notebook 05."""

from lab.exercises import never_stuck, patience
from lab.exercises.ex05_retry import STUCK_HEAD, TRIP

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

ROUNDS = never_stuck.solution_code

AT_ONCE = (
    STUCK_HEAD
    + """        async def until_done(undo):
            while True:
                try:
                    return await call_undo(undo, trip)
                except ActivityError:
                    await workflow.sleep(60)

        await asyncio.gather(*[until_done(undo) for undo in reversed(undos)])
"""
)

RECURSIVE = (
    STUCK_HEAD
    + """        failed = []
        while undos:
            undo = undos.pop()
            try:
                await call_once(undo, trip)
            except FailureError:
                failed.insert(0, undo)
        if failed:
            await asyncio.sleep(60)
            await self.undo_all(failed, trip)
"""
)

ONE_AFTER_THE_OTHER = (
    STUCK_HEAD
    + """        for undo in reversed(undos):
            while True:
                try:
                    await call_undo(undo, trip)
                    break
                except ActivityError:
                    await workflow.sleep(60)
"""
)

GIVES_UP = (
    STUCK_HEAD
    + """        for undo in reversed(undos):
            try:
                await call_undo(undo, trip)
            except ActivityError:
                pass
"""
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
    },
    "never_stuck": {
        "untouched": Answer(never_stuck.skeleton, UNTOUCHED),
        "reference, rounds": Answer(ROUNDS, CORRECT),
        "all at once": Answer(AT_ONCE, CORRECT),
        "recursive, one attempt each": Answer(RECURSIVE, CORRECT),
        "a stuck undo blocks the rest": Answer(ONE_AFTER_THE_OTHER, "blocked"),
        "its error is ignored": Answer(GIVES_UP, "gave up"),
        "its error ends the loop": Answer(
            STUCK_HEAD
            + "        for undo in reversed(undos):\n            await call_undo(undo, trip)\n",
            "gave up",
        ),
        "its error raised at the end": Answer(
            changed(
                AT_ONCE,
                (
                    "                except ActivityError:\n",
                    "                except ActivityError as error:\n"
                    "                    self.error = error\n",
                ),
                (
                    "        await asyncio.gather(",
                    "        self.error = None\n        await asyncio.gather(",
                ),
                (
                    "for undo in reversed(undos)])\n",
                    "for undo in reversed(undos)])\n        if self.error:\n            raise self.error\n",  # noqa: E501
                ),
            ),
            "cause hidden",
        ),
        "oldest first": Answer(
            changed(ROUNDS, ("reversed(tuple(undos))", "tuple(undos)")), "wrong order"
        ),
    },
}
