"""When the server tries again, and how long it waits before that."""

from __future__ import annotations

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import RetryPolicy
from temporalio.api.enums.v1 import TimeoutType
from temporalio.api.failure.v1 import Failure

from .clock import SECOND
from .forms import nanoseconds

DEFAULT_RETRIES = RetryPolicy(
    initial_interval=Duration(seconds=1),
    backoff_coefficient=2.0,
    maximum_interval=Duration(seconds=100),
)
"""The server's own, where a Workflow gives none."""

SCHEDULE_TO_CLOSE = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE
SCHEDULE_TO_START = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START
START_TO_CLOSE = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
HEARTBEAT = TimeoutType.TIMEOUT_TYPE_HEARTBEAT
TIMEOUT_NAMES: dict[int, str] = {
    SCHEDULE_TO_CLOSE: "ScheduleToClose",
    SCHEDULE_TO_START: "ScheduleToStart",
    START_TO_CLOSE: "StartToClose",
    HEARTBEAT: "Heartbeat",
}

LONGEST_PAUSE = round(timedelta(days=3650).total_seconds()) * SECOND


def backoff(retries: RetryPolicy, attempt: int, failure: Failure) -> int:
    """Nanoseconds until the next attempt after ``attempt``; the failure may ask for its own."""
    info = failure.application_failure_info
    if failure.HasField("application_failure_info") and info.HasField("next_retry_delay"):
        return nanoseconds(info.next_retry_delay)
    initial = nanoseconds(retries.initial_interval) or SECOND
    try:
        pause = initial * (retries.backoff_coefficient or 2.0) ** (attempt - 1)
    except OverflowError:
        pause = float("inf")
    longest = nanoseconds(retries.maximum_interval)
    if longest and (pause <= 0 or pause > longest):
        pause = longest
    return round(min(pause, LONGEST_PAUSE))


def retryable(failure: Failure, retries: RetryPolicy) -> bool:
    """Whether another attempt may follow this failure."""
    if failure.HasField("timeout_failure_info"):
        kind = failure.timeout_failure_info.timeout_type
        return f"TemporalTimeout:{TIMEOUT_NAMES[kind]}" not in retries.non_retryable_error_types
    if failure.HasField("terminated_failure_info") or failure.HasField("canceled_failure_info"):
        return False
    info = failure.application_failure_info
    return not info.non_retryable and info.type not in retries.non_retryable_error_types
