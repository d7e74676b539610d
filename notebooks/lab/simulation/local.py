"""Local Activities: run by the Worker within a Workflow Task, kept as markers.

While one runs, its Workflow Task stays open. Core keeps such a task alive by
completing it and asking for the next one at once; see ``commands.watch_task``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import RetryState
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.activity_result import DoBackoff

from .attempts import Attempt
from .choices import Site
from .clock import SECOND, Item
from .events import timestamp
from .forms import duration, json_payload, nanoseconds, new_failure
from .retries import (
    DEFAULT_RETRIES,
    SCHEDULE_TO_CLOSE,
    SCHEDULE_TO_START,
    START_TO_CLOSE,
    backoff,
    retryable,
)
from .run import ABANDON, WAIT, Outgoing

if TYPE_CHECKING:
    from .run import Run

_TIMED_OUT: dict[int, str] = {
    SCHEDULE_TO_CLOSE: "schedule to close",
    START_TO_CLOSE: "start to close",
    SCHEDULE_TO_START: "schedule to start",
}


class LocalTask:
    """One local Activity; ``resolved`` once the Workflow has been told."""

    is_local = True

    def __init__(self, run: Run, command: Any, metadata: Any, call: int) -> None:
        self.run = run
        self.server = run.server
        self.command = command
        self.metadata = metadata
        self.call = call
        self.type: str = command.activity_type
        self.task_queue = run.start.task_queue
        self.resolved = self.may_be_done = False
        self.begun = False
        self.attempt = max(command.attempt, 1)
        self.current: Attempt | None = None
        self.scheduled_at = self.attempt_scheduled_at = self.started_at = run.task_time
        if command.HasField("original_schedule_time"):
            original = command.original_schedule_time.ToNanoseconds()
            self.scheduled_at = original - self.server.epoch
        self.details: tuple[Payload, ...] = ()
        self.retries = command.retry_policy if command.HasField("retry_policy") else DEFAULT_RETRIES
        self.schedule_to_close = nanoseconds(command.schedule_to_close_timeout)
        self.start_to_close = nanoseconds(command.start_to_close_timeout) or self.schedule_to_close
        self.heartbeat_timeout = 0
        self.threshold = nanoseconds(command.local_retry_threshold) or 60 * SECOND
        self.waits = command.cancellation_type == WAIT
        self.abandons = command.cancellation_type == ABANDON
        self._cancelled = False
        self._items: list[Item] = []

    def begin(self) -> None:
        """Run the first attempt; called as often as the Worker looks."""
        if self.begun or self.resolved:
            return
        self.begun = True
        self.scheduled_now = self.server.now
        if self.schedule_to_close:
            left = self.scheduled_at + self.schedule_to_close - self.server.now
            self._later(left, lambda: self._time_out(SCHEDULE_TO_CLOSE))
        self._attempt()

    scheduled_now = 0

    def _attempt(self) -> None:
        if self.resolved:
            return
        self.started_at = self.attempt_scheduled_at = self.server.now
        site = Site(self.run.id, self.type, self.call, self.attempt)
        self.current = Attempt(self, self.server.worker, self.server.fate(site))  # type: ignore[arg-type]
        if self.start_to_close:
            attempt = self.current
            self._later(
                self.start_to_close,
                lambda: self._time_out(START_TO_CLOSE) if self.current is attempt else None,
            )
        self.current.begin()

    def _later(self, delay: int, action: Any) -> None:
        self._items.append(self.server.queue.push(delay, action, f"local {self.type}"))

    @property
    def deadline(self) -> int:
        """When the Worker gives up the attempt."""
        limits = [self.started_at + self.start_to_close] if self.start_to_close else []
        if self.schedule_to_close:
            limits.append(self.scheduled_at + self.schedule_to_close)
        return min(limits)

    def report(self, told: Callable[[], None]) -> None:
        """Something from the attempt: the Workflow Task is open for nothing else."""
        if self.run.status == "running":
            told()

    def knows(self, attempt: Attempt) -> bool:
        return not self.resolved and self.current is attempt

    def heartbeat(self, _attempt: Attempt, _details: Any) -> str:
        return ""

    def complete(self, attempt: Attempt, result: Payload) -> None:
        if self.knows(attempt):
            self._resolve("completed", result)

    def fail(self, attempt: Attempt, failure: Failure) -> None:
        if not self.knows(attempt):
            return
        pause = self._pause(failure)
        if pause is None:
            self._resolve("failed", failure)
        elif pause > self.threshold:
            self._back_off(pause, failure)
        else:
            self.current = None
            self.attempt += 1
            self._later(pause, self._attempt)

    def cancelled(self, attempt: Attempt, failure: Failure) -> None:
        if self.knows(attempt):
            self._resolve("cancelled", failure)

    def cancel(self) -> None:
        """The Workflow asks for it."""
        if self.resolved or self._cancelled:
            return
        self._cancelled = True
        self.run.reverts.append(lambda: setattr(self, "_cancelled", False))
        running = self.current
        if running is not None and not self.abandons:
            running._cancel(cancel_requested=True)
        if not self.waits or running is None:
            self._resolve("cancelled", new_failure(canceled_failure_info={}), in_turn=True)

    def _pause(self, failure: Failure) -> int | None:
        if not retryable(failure, self.retries):
            return None
        if self.retries.maximum_attempts and self.attempt >= self.retries.maximum_attempts:
            return None
        return backoff(self.retries, self.attempt, failure)

    def _time_out(self, kind: int) -> None:
        if self.resolved:
            return
        failure = new_failure(
            message=f"Activity timed out: {_TIMED_OUT[kind]}",
            timeout_failure_info={"timeout_type": kind},
        )
        if kind == START_TO_CLOSE and (pause := self._pause(failure)) is not None:
            self.current = None
            self.attempt += 1
            self._later(pause, self._attempt)
            return
        self._resolve("failed", failure, timed_out=True)

    def _back_off(self, pause: int, failure: Failure) -> None:
        how = DoBackoff(attempt=self.attempt + 1)
        how.backoff_duration.FromNanoseconds(pause)
        how.original_schedule_time.CopyFrom(timestamp(self.server.epoch + self.scheduled_at))
        self._finish()
        self.run.resolve_activity(self.command.seq, "backoff", how, local=True)
        self._mark(None, failure, pause)
        self.server.resume(self.run)

    def _resolve(
        self, status: str, what: Any, *, in_turn: bool = False, timed_out: bool = False
    ) -> None:
        self._finish()
        told = what
        if status == "cancelled" and what.HasField("canceled_failure_info"):
            told = self._wrapped(
                "Local Activity cancelled", what, RetryState.RETRY_STATE_CANCEL_REQUESTED
            )
        elif timed_out:
            told = self._wrapped(
                "Local Activity timed out", what, RetryState.RETRY_STATE_CANCEL_REQUESTED
            )
        self.run.resolve_activity(self.command.seq, status, told, local=True)
        if not in_turn:
            self.run.task_time = max(self.run.task_time, self.server.now)
        if status == "completed":
            self._mark(what, None, 0, timed=not in_turn)
        else:
            self._mark(None, what, 0, timed=not in_turn)
        if not in_turn:
            self.server.resume(self.run)

    def restart(self) -> None:
        """Its Workflow Task was lost, and with it whatever it came to: run it anew."""
        self.resolved = self.begun = self._cancelled = False
        self.current = None
        self._stop()

    def _finish(self) -> None:
        self.resolved = True
        self.run.reverts.append(self.restart)
        self._stop()

    def _stop(self) -> None:
        for item in self._items:
            item.cancel()
        self._items = []

    def _wrapped(self, message: str, cause: Failure, state: int) -> Failure:
        return new_failure(
            message=message,
            cause=cause,
            activity_failure_info={
                "activity_type": {"name": self.type},
                "activity_id": self.command.activity_id,
                "retry_state": state,
            },
        )

    def _mark(
        self, result: Payload | None, failure: Failure | None, pause: int, *, timed: bool = True
    ) -> None:
        """The marker that stands for it in the history."""
        data: dict[str, Any] = {
            "seq": self.command.seq,
            "attempt": self.attempt,
            "activity_id": self.command.activity_id,
            "activity_type": self.type,
            "complete_time": duration(self.server.epoch + self.run.task_time) if timed else None,
            "backoff": duration(pause) if pause else None,
            "original_schedule_time": duration(self.server.epoch + self.scheduled_at),
            "activation_index": self.run.task_activations,
        }
        details = {"data": [json_payload(data)]}
        if result is not None:
            details["result"] = [result]
        self.run.outgoing.append(
            Outgoing("local_marker", (details, failure, self.command), self.metadata)
        )
