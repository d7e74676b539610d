"""Activities: a task as the server keeps it, with its timeouts and retries.

The rules are those of the server's ``RetryActivity`` and its timer queue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import RetryState
from temporalio.api.failure.v1 import Failure

from .attempts import Attempt
from .choices import Fate, Site
from .clock import SECOND, Item
from .forms import nanoseconds, new_failure
from .retries import (
    DEFAULT_RETRIES,
    HEARTBEAT,
    SCHEDULE_TO_CLOSE,
    SCHEDULE_TO_START,
    START_TO_CLOSE,
    TIMEOUT_NAMES,
    backoff,
    retryable,
)

if TYPE_CHECKING:
    from .run import Run

NOT_STARTED = Payload(metadata={"encoding": b"json/plain"}, data=b'"ACTIVITY_ID_NOT_STARTED"')
"""What the server says of a cancelled Activity that no Worker was running."""


class ActivityTask:
    """One scheduled Activity.

    ``sent``, ``asked_to_cancel``, ``dropped`` and ``resolved`` are what the Worker knows
    of it; all else is the server's.
    """

    def __init__(self, run: Run, command: Any, metadata: Any, call: int) -> None:
        self.run = run
        self.server = run.server
        self.command = command
        self.metadata = metadata
        self.call = call
        self.type: str = command.activity_type
        self.sent = self.asked_to_cancel = self.dropped = self.resolved = False
        self.may_be_done = False
        """Whether an attempt was carried out, or still may be."""
        self.closed = False
        self.cancel_requested = False
        self.cancel_event_id = 0
        self.event_id = 0
        self.attempt = 0
        self.current: Attempt | None = None
        self.scheduled_at = self.attempt_scheduled_at = self.started_at = 0
        self.last_failure: Failure | None = None
        self.details: Sequence[Payload] = ()
        self.retries = command.retry_policy if command.HasField("retry_policy") else DEFAULT_RETRIES
        self._set_timeouts(command, round(run.start.run_timeout * SECOND))
        self._limit: Item | None = None
        self._timers: dict[int, Item] = {}
        self._next: Item | None = None
        self.is_local = False
        self.task_queue: str = command.task_queue

    def _set_timeouts(self, command: Any, run_timeout: int) -> None:
        """As the server fills in what was not given, and cuts what is too long."""
        limit = nanoseconds(command.schedule_to_close_timeout) or run_timeout
        self.schedule_to_close = _shorter(limit, run_timeout)
        given = nanoseconds(command.schedule_to_start_timeout)
        self.schedule_to_start = _shorter(given, self.schedule_to_close)
        given = nanoseconds(command.start_to_close_timeout)
        self.start_to_close = _shorter(given, self.schedule_to_close)
        given = nanoseconds(command.heartbeat_timeout)
        self.heartbeat_timeout = min(given, self.start_to_close)

    # --- a Workflow Task that failed ---------------------------------------------------

    def forget(self) -> None:
        """The command that scheduled it was never sent."""
        self.run.activities.pop(self.command.seq, None)
        self.server.uncall(self.run, self.type)

    def forget_cancel(self) -> None:
        """The command that cancels it was never sent."""
        self.asked_to_cancel = self.dropped = self.resolved = False

    # --- on its way --------------------------------------------------------------------

    def schedule(self) -> None:
        """The command has reached the server."""
        self.sent = True
        self.scheduled_at = self.server.now
        if self.schedule_to_close:
            self._limit = self._after(self.schedule_to_close, SCHEDULE_TO_CLOSE)
        self._dispatch()

    def _dispatch(self) -> None:
        self.attempt += 1
        self.attempt_scheduled_at = self.server.now
        if self.schedule_to_start:
            self._timers[SCHEDULE_TO_START] = self._after(self.schedule_to_start, SCHEDULE_TO_START)
        if self.server.polled(self.command.task_queue):
            self._next = self.server.soon(self._begin, f"{self.type} begins")

    def _begin(self) -> None:
        worker = self.server.worker
        self._stop_timers()
        self.started_at = self.server.now
        if self.start_to_close:
            self._timers[START_TO_CLOSE] = self._after(self.start_to_close, START_TO_CLOSE)
        self._expect_heartbeat()
        site = Site(self.run.id, self.type, self.call, self.attempt)
        fate = self.server.fate(site)
        if fate is Fate.REJECTED and self.may_be_done:
            # "Definitely not done" would be a lie: an earlier attempt was, or will be.
            fate = Fate.OK
        self.current = Attempt(self, worker, fate)
        self.current.begin()

    def _after(self, delay: int, kind: int) -> Item:
        return self.server.queue.push(
            delay,
            lambda: self.server.arrive(self.run, lambda: self.time_out(kind)),
            f"{self.type}: {TIMEOUT_NAMES[kind]} timeout",
        )

    def _expect_heartbeat(self) -> None:
        if self.heartbeat_timeout:
            if item := self._timers.pop(HEARTBEAT, None):
                item.cancel()
            self._timers[HEARTBEAT] = self._after(self.heartbeat_timeout, HEARTBEAT)

    def _stop_timers(self) -> None:
        for item in self._timers.values():
            item.cancel()
        self._timers.clear()

    @property
    def deadline(self) -> int:
        """When the server gives up the attempt that is running, if it hears nothing."""
        limits = [self.started_at + t for t in (self.start_to_close, self.heartbeat_timeout) if t]
        if self.schedule_to_close:
            limits.append(self.scheduled_at + self.schedule_to_close)
        return min(limits)

    # --- what the Worker reports -------------------------------------------------------

    def report(self, told: Callable[[], None]) -> None:
        """Something from the Worker; an open Workflow Task is not disturbed by it."""
        self.server.arrive(self.run, told)

    def knows(self, attempt: Attempt) -> bool:
        """Whether a report of this attempt still finds its task."""
        return not self.closed and self.current is attempt

    def heartbeat(self, attempt: Attempt, details: Sequence[Payload]) -> str:
        """Take a heartbeat; answer ``""``, ``"cancelled"`` or ``"not found"``."""
        if not self.knows(attempt):
            return "not found"
        self.details = details
        self._expect_heartbeat()
        return "cancelled" if self.cancel_requested else ""

    def complete(self, attempt: Attempt, result: Payload) -> None:
        if not self.knows(attempt):
            return
        started = self._record_start()
        self._record(
            "activity_task_completed",
            {"result": {"payloads": [result]}, "identity": self.server.identity},
            started,
        )
        self._resolve("completed", result)

    def fail(self, attempt: Attempt, failure: Failure) -> None:
        if not self.knows(attempt):
            return
        state = self._retry(failure)
        if state == RetryState.RETRY_STATE_IN_PROGRESS:
            return
        started = self._record_start()
        self._record(
            "activity_task_failed",
            {"failure": failure, "retry_state": state, "identity": self.server.identity},
            started,
        )
        wrapped = self._wrap("Activity task failed", failure, state, started, self.server.identity)
        self._resolve("failed", wrapped)

    def cancelled(self, attempt: Attempt, failure: Failure) -> None:
        """The Activity ended by a cancellation that it was told of."""
        if not self.knows(attempt):
            return
        started = self._record_start()
        details = list(failure.canceled_failure_info.details.payloads)
        self._record(
            "activity_task_canceled",
            {
                "details": {"payloads": details} if details else None,
                "latest_cancel_requested_event_id": self.cancel_event_id,
                "identity": self.server.identity,
            },
            started,
        )
        self._resolve("cancelled", self.cancel_failure(self.event_id, started, details))

    # --- what the server does by itself ------------------------------------------------

    def request_cancel(self, event_id: int) -> bool:
        """Note a request to cancel; tell whether the task is cancelled at once.

        One that no Worker is running is; another hears of it with its next heartbeat.
        """
        self.cancel_requested = True
        self.cancel_event_id = event_id
        if self.current is not None:
            return False
        details = [NOT_STARTED]
        self._record(
            "activity_task_canceled",
            {
                "details": {"payloads": details},
                "latest_cancel_requested_event_id": event_id,
                "identity": self.server.identity,
            },
            0,
        )
        self._resolve("cancelled", self.cancel_failure(self.event_id, 0, details))
        return True

    def time_out(self, kind: int) -> None:
        """One of its four timeouts has passed."""
        if self.closed:
            return
        failure = new_failure(
            message=f"activity {TIMEOUT_NAMES[kind]} timeout",
            source="Server",
            timeout_failure_info={"timeout_type": kind},
        )
        retryable = kind in (START_TO_CLOSE, HEARTBEAT)
        state = self._retry(failure) if retryable else RetryState.RETRY_STATE_TIMEOUT
        if state == RetryState.RETRY_STATE_IN_PROGRESS:
            return
        if state == RetryState.RETRY_STATE_TIMEOUT and kind != SCHEDULE_TO_START:
            failure.message = (
                "Not enough time to schedule next retry before activity ScheduleToClose timeout, "
                "giving up retrying"
            )
            failure.timeout_failure_info.timeout_type = SCHEDULE_TO_CLOSE
        if self.details:
            failure.timeout_failure_info.last_heartbeat_details.payloads.extend(self.details)
        if kind == SCHEDULE_TO_CLOSE and self.last_failure is not None:
            failure.cause.CopyFrom(self.last_failure)
        started = self._record_start() if self.current is not None else 0
        self._record("activity_task_timed_out", {"failure": failure, "retry_state": state}, started)
        wrapped = self._wrap("Activity task timed out", failure, state, started, "")
        self._resolve("failed", wrapped)

    def close(self) -> None:
        """The Workflow is closed; nobody waits for it any more."""
        self.closed = True
        self._stop_timers()
        for item in (self._limit, self._next):
            if item is not None:
                item.cancel()

    # --- retries -----------------------------------------------------------------------

    def _retry(self, failure: Failure) -> int:
        """Schedule another attempt, or say why there is none."""
        if self.cancel_requested:
            return RetryState.RETRY_STATE_CANCEL_REQUESTED
        if not retryable(failure, self.retries):
            return RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE
        if self.retries.maximum_attempts and self.attempt >= self.retries.maximum_attempts:
            return RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED
        pause = backoff(self.retries, self.attempt, failure)
        limit = self.schedule_to_close
        if limit and self.server.now + pause > self.scheduled_at + limit:
            return RetryState.RETRY_STATE_TIMEOUT
        self.last_failure = failure
        self.current = None
        self._stop_timers()
        self._next = self.server.queue.push(pause, self._dispatch, f"{self.type} is tried again")
        return RetryState.RETRY_STATE_IN_PROGRESS

    # --- events ------------------------------------------------------------------------

    def _record_start(self) -> int:
        """The Started event, which the server writes when the last attempt has ended."""
        return self.run.events.add(
            "activity_task_started",
            self.started_at,
            {
                "scheduled_event_id": self.event_id,
                "identity": self.server.identity,
                "request_id": self.server.request_id(),
                "attempt": self.attempt,
                "last_failure": self.last_failure,
            },
        )

    def _record(self, name: str, attributes: dict[str, Any], started: int) -> None:
        self.server.record(
            self.run,
            name,
            {"scheduled_event_id": self.event_id, "started_event_id": started, **attributes},
        )

    def _resolve(self, status: str, what: Any) -> None:
        self.close()
        del self.run.activities[self.command.seq]
        if not self.resolved:
            self.resolved = True
            self.run.resolve_activity(self.command.seq, status, what)
        self.server.wake(self.run)

    def cancel_failure(
        self, scheduled: int, started: int, details: Sequence[Payload] = ()
    ) -> Failure:
        """What the Workflow sees of a cancelled Activity."""
        about = {"details": {"payloads": details}} if details else {}
        return self._wrap(
            "Activity cancelled",
            new_failure(canceled_failure_info=about),
            RetryState.RETRY_STATE_CANCEL_REQUESTED,
            started,
            self.server.identity if scheduled else "",
            scheduled=scheduled,
        )

    def _wrap(
        self,
        message: str,
        cause: Failure,
        state: int,
        started: int,
        identity: str,
        *,
        scheduled: int | None = None,
    ) -> Failure:
        return new_failure(
            message=message,
            cause=cause,
            activity_failure_info={
                "activity_type": {"name": self.type},
                "activity_id": self.command.activity_id,
                "identity": identity,
                "retry_state": state,
                "scheduled_event_id": self.event_id if scheduled is None else scheduled,
                "started_event_id": started,
            },
        )


def _shorter(given: int, limit: int) -> int:
    """The shorter of the two; 0 is none."""
    return min(given or limit, limit or given)
