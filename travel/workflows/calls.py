"""How a Workflow calls an Activity: timeouts and retries, decided in one place."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy

A = TypeVar("A")
R = TypeVar("R")

REJECTIONS = ["Rejected"]
"""Failures that asking again cannot change."""

ATTEMPT_TIMEOUT = timedelta(seconds=3)
"""Start-to-close. A provider answers in milliseconds; after this long the attempt
is given up, and whether it happened is unknown."""

STEP_RETRIES = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2,
    maximum_attempts=3,
    non_retryable_error_types=REJECTIONS,
)
"""Long enough for a blip, short enough for a customer who waits."""

UNDO_RETRIES = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=10),
    non_retryable_error_types=REJECTIONS,
)
"""No limit on attempts: an undo may not be given up. Only a definite no ends them;
that one waits for a person."""

UNDO_TURN = timedelta(minutes=1)
"""Schedule-to-close of the first turn. After this long the next undo gets its own."""

LONG_TURN = timedelta(hours=1)
"""Schedule-to-close of every further turn, while nobody waits behind it.

Why not one Activity without any limit, as the official advice has it? Its attempts write
nothing to the Event History, which is its charm, but the Workflow does not hear of them
either: no query, no search attribute and no metric could tell how long an undo has been
stuck, and why. An hour is the compromise. See ``tests/rounds_or_retries.py`` for figures.
"""

LONG_TURN_RETRIES = RetryPolicy(
    initial_interval=timedelta(minutes=1),
    backoff_coefficient=2,
    maximum_interval=timedelta(minutes=10),
    non_retryable_error_types=REJECTIONS,
)
"""A provider that is back is noticed within ten minutes. Its own word when to come again
goes first."""

LONGEST_PAUSE = LONG_TURN / 2
"""For undos that fail at once. A turn of an hour needs no pause after it; see ``Saga``."""


async def call_once(activity: Callable[[Any, A], R], message: A) -> R:
    """Run a step in a single attempt, as the early designs do. Not for new code."""
    result: R = await workflow.execute_activity_method(
        activity,
        message,
        start_to_close_timeout=ATTEMPT_TIMEOUT,
        retry_policy=RetryPolicy(maximum_attempts=1),
    )
    return result


async def call(activity: Callable[[Any, A], R], message: A, summary: str | None = None) -> R:
    """Run a step: a few attempts, then fail. ``summary`` is what the Web UI shows."""
    result: R = await workflow.execute_activity_method(
        activity,
        message,
        start_to_close_timeout=ATTEMPT_TIMEOUT,
        retry_policy=STEP_RETRIES,
        summary=summary,
    )
    return result


async def call_undo(activity: Callable[[Any, A], R], message: A, summary: str | None = None) -> R:
    """Run the first turn of a compensation: attempts without limit for ``UNDO_TURN``."""
    result: R = await workflow.execute_activity_method(
        activity,
        message,
        start_to_close_timeout=ATTEMPT_TIMEOUT,
        schedule_to_close_timeout=UNDO_TURN,
        retry_policy=UNDO_RETRIES,
        summary=summary,
    )
    return result


async def call_undo_for_an_hour(
    activity: Callable[[Any, A], R], message: A, summary: str | None = None
) -> R:
    """Run a further turn of a compensation: attempts for ``LONG_TURN``, or a definite no."""
    result: R = await workflow.execute_activity_method(
        activity,
        message,
        start_to_close_timeout=ATTEMPT_TIMEOUT,
        schedule_to_close_timeout=LONG_TURN,
        retry_policy=LONG_TURN_RETRIES,
        summary=summary,
    )
    return result
