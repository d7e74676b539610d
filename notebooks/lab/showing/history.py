"""What Temporal recorded of one Workflow, in the words of the course.

``read_history`` asks the server once. All else (tables, pictures, checks) reads
the ``History`` that it returns.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from google.protobuf.json_format import MessageToDict
from temporalio.api.common.v1 import Payload, RetryPolicy
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import WorkflowHandle
from temporalio.converter import default as default_converter

RUNNING = "running"

CLOSES = {
    "WorkflowExecutionCompleted": "completed",
    "WorkflowExecutionFailed": "failed",
    "WorkflowExecutionCanceled": "canceled",
    "WorkflowExecutionTerminated": "terminated",
    "WorkflowExecutionTimedOut": "timed out",
    "WorkflowExecutionContinuedAsNew": "continued as new",
}

ENDS = {
    "ActivityTaskCompleted": "completed",
    "ActivityTaskFailed": "failed",
    "ActivityTaskTimedOut": "timed out",
    "ActivityTaskCanceled": "canceled",
}


@dataclass(frozen=True)
class Step:
    """One Activity that was scheduled; all moments in seconds from the Workflow's start.

    An Activity that the Workflow asked to cancel counts as canceled, whatever it did
    after that: the Workflow did not wait for it.

    ``started`` is the last attempt's. ``failure`` is the type of the first cause,
    ``"Rejected"`` for example, and ``message`` what it said, in one line.
    ``earlier`` has begin and end of each attempt before the last one. No event tells them:
    they are what the retry policy and the last attempt's start leave room for.
    ``earlier_failure`` is the type of the failure before the last attempt.
    """

    activity: str
    role: str
    outcome: str
    attempts: int
    scheduled: float
    started: float | None = None
    closed: float | None = None
    failure: str = ""
    message: str = ""
    summary: str = ""
    earlier: tuple[tuple[float, float], ...] = ()
    earlier_failure: str = ""

    @property
    def words(self) -> str:
        """The message without the Activity's own name in front."""
        return self.message.removeprefix(f"{self.activity}: ")


@dataclass(frozen=True)
class Event:
    """One event of the Event History, named as the Web UI names it.

    ``activity`` is the id of the Scheduled event of the Activity it speaks of, or 0.
    """

    id: int
    type: str
    detail: str
    seconds: float
    activity: int = 0


@dataclass(frozen=True)
class History:
    """A Workflow as it stands in its Event History; ``steps`` in the order of scheduling."""

    workflow_id: str
    workflow_type: str
    status: str
    reason: str
    steps: list[Step]
    events: list[Event]
    cancel_requested: list[float]
    seconds: float

    @property
    def compensations(self) -> list[str]:
        """The undo Activities that were scheduled, in their order."""
        return [step.activity for step in self.steps if step.role == "undo"]

    @property
    def failed_step(self) -> Step | None:
        """The first Activity that was to move the trip forward and did not."""
        forward = (step for step in self.steps if step.role == "step")
        return next((step for step in forward if step.outcome not in ("completed", RUNNING)), None)


async def read_history(handle: WorkflowHandle[Any, Any]) -> History:
    """Read the Event History, and what the server knows of Activities still running."""
    description = await handle.describe()
    fetched = await handle.fetch_history()
    return history_of(handle.id, fetched.events, description.raw_description.pending_activities)


def history_of(
    workflow_id: str, events: Iterable[HistoryEvent], pending: Iterable[PendingActivityInfo] = ()
) -> History:
    """The same from events that are here already; ``pending`` are Activities still running."""
    reader = _Reader({info.activity_id: info for info in pending})
    for event in events:
        reader.read(event)
    return reader.history(workflow_id)


NOTICE_SECONDS = 2.0
"""Less than an attempt has."""


async def cancel_noticed(handle: WorkflowHandle[Any, Any]) -> None:
    """If the Workflow was asked to cancel, wait until it has dealt with that."""
    deadline = time.monotonic() + NOTICE_SECONDS
    while time.monotonic() < deadline:
        names = [type_name(event) async for event in handle.fetch_history_events()]
        asked = [n for n, name in enumerate(names) if name == "WorkflowExecutionCancelRequested"]
        if not asked or not {"WorkflowTaskCompleted", *CLOSES}.isdisjoint(names[asked[-1] :]):
            return
        await asyncio.sleep(0.02)


def role_of(activity: str) -> str:
    """``"undo"``, ``"email"``, ``"other"`` (looks, but books nothing) or ``"step"``."""
    if activity.startswith(("cancel_", "refund_")):
        return "undo"
    if "email" in activity:
        return "email"
    return "other" if activity.startswith("find_") else "step"


class _Reader:
    """Reads events one after the other; an Activity is known by its Scheduled event's id."""

    def __init__(self, pending: Mapping[str, PendingActivityInfo]) -> None:
        self._pending = pending
        self._steps: dict[int, Step] = {}
        self._timers: dict[int, str] = {}
        self._policies: dict[int, RetryPolicy] = {}
        self._scheduled_by: dict[int, float] = {}
        self._events: list[Event] = []
        self._cancel_requested: list[float] = []
        self._status, self._reason = RUNNING, ""
        self._workflow_type = ""
        self._begin = 0.0
        self._seconds = 0.0

    def history(self, workflow_id: str) -> History:
        return History(
            workflow_id=workflow_id,
            workflow_type=self._workflow_type,
            status=self._status,
            reason=self._reason,
            steps=[self._steps[event_id] for event_id in sorted(self._steps)],
            events=self._events,
            cancel_requested=self._cancel_requested,
            seconds=self._seconds,
        )

    def read(self, event: HistoryEvent) -> None:
        moment = event.event_time.ToNanoseconds() / 1e9
        if not self._events:
            self._begin = moment
        self._seconds = moment - self._begin
        kind = type_name(event)
        attributes = getattr(event, event.WhichOneof("attributes") or "", None)
        if kind.startswith("ActivityTask"):
            detail = self._read_activity(kind, event, attributes)
        else:
            detail = self._read_workflow(kind, event, attributes)
        activity = getattr(attributes, "scheduled_event_id", 0) if "Activity" in kind else 0
        if kind == "ActivityTaskScheduled":
            activity = event.event_id
        self._events.append(Event(event.event_id, kind, detail, self._seconds, activity))

    def _read_activity(self, kind: str, event: HistoryEvent, attributes: Any) -> str:
        if kind == "ActivityTaskScheduled":
            step = self._steps[event.event_id] = self._scheduled(event, attributes)
            return step.activity
        step = self._steps[attributes.scheduled_event_id]
        if kind == "ActivityTaskStarted":
            step = self._started(step, attributes)
        elif kind == "ActivityTaskCancelRequested":
            step = replace(step, outcome="canceled", closed=self._seconds)
        elif kind in ENDS and step.outcome == RUNNING:
            step = replace(step, outcome=ENDS[kind], closed=self._seconds)
            if kind in ("ActivityTaskFailed", "ActivityTaskTimedOut"):
                step = replace(step, **_failure(attributes.failure))
        self._steps[attributes.scheduled_event_id] = step
        return step.activity + _remark(kind, step, attributes)

    def _started(self, step: Step, attributes: Any) -> Step:
        policy = self._policies[attributes.scheduled_event_id]
        return replace(
            step,
            started=self._seconds,
            attempts=attributes.attempt,
            earlier=_earlier_attempts(step.scheduled, self._seconds, attributes.attempt, policy),
            earlier_failure=_failure(attributes.last_failure)["failure"],
        )

    def _scheduled(self, event: HistoryEvent, attributes: Any) -> Step:
        self._policies[event.event_id] = attributes.retry_policy
        activity = attributes.activity_type.name
        step = Step(
            activity,
            role_of(activity),
            RUNNING,
            attempts=0,
            # What one Workflow Task schedules is scheduled at once, though written one by one.
            scheduled=self._scheduled_by.setdefault(
                attributes.workflow_task_completed_event_id, self._seconds
            ),
            summary=_summary(event),
        )
        pending = self._pending.get(attributes.activity_id)
        if pending is None:
            return step
        # A retried Activity has no Started event before it closes.
        failure = _failure(pending.last_failure) if pending.HasField("last_failure") else {}
        return replace(step, attempts=pending.attempt, **failure)

    def _read_workflow(self, kind: str, event: HistoryEvent, attributes: Any) -> str:
        if kind == "WorkflowExecutionStarted":
            self._workflow_type = attributes.workflow_type.name
            return self._workflow_type
        if kind == "WorkflowExecutionCancelRequested":
            self._cancel_requested.append(self._seconds)
        if kind in CLOSES:
            self._status = CLOSES[kind]
            self._reason = _closing_words(kind, attributes)
            return self._reason
        if kind == "TimerStarted":
            self._timers[event.event_id] = _summary(event) or _duration(attributes)
            return self._timers[event.event_id]
        if kind in ("TimerFired", "TimerCanceled"):
            return self._timers.get(attributes.started_event_id, "")
        return _other_detail(kind, attributes)


def _earlier_attempts(
    scheduled: float, started: float, attempts: int, policy: RetryPolicy
) -> tuple[tuple[float, float], ...]:
    """Begin and end of the attempts before the one that ``started``, all equally long."""
    if attempts < 2:
        return ()
    first, longest = (
        duration.ToTimedelta().total_seconds()
        for duration in (policy.initial_interval, policy.maximum_interval)
    )
    longest = longest or max(started - scheduled, first)
    pauses = [min(first, longest)]
    while len(pauses) < attempts - 1:  # no power: of thousands of attempts it is no number
        pauses.append(min(pauses[-1] * policy.backoff_coefficient, longest))
    # A provider may have asked for other pauses than the policy's.
    work = max(started - scheduled - sum(pauses), 0.0)
    stretch = (started - scheduled - work) / (sum(pauses) or 1.0)
    spans, begin = [], scheduled
    for pause in pauses:
        end = begin + work / len(pauses)
        spans.append((begin, end))
        begin = end + pause * stretch
    return tuple(spans)


def type_name(event: HistoryEvent) -> str:
    """``ActivityTaskScheduled`` for ``EVENT_TYPE_ACTIVITY_TASK_SCHEDULED``."""
    name = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
    return "".join(word.capitalize() for word in name.split("_"))


def in_words(seconds: float) -> str:
    """``"40 ms"``, ``"2.5 s"``, ``"1 min"``, ``"3 h"``, ``"3 days"``."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms" if seconds else "0"
    for size, unit in ((86400, "day"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= 0.999 * size:
            amount = f"{seconds / size:.1f}".removesuffix(".0")
            return f"{amount} {unit}{'s' if unit == 'day' and amount != '1' else ''}"
    return f"{seconds:.0f} s"


def one_line(text: str) -> str:
    """The text without line breaks."""
    return " ".join(text.split())


def _failure(failure: Failure) -> dict[str, str]:
    """Type and message of the first cause: what the provider said, not who passed it on."""
    while failure.HasField("cause"):
        failure = failure.cause
    kind = failure.application_failure_info.type
    if failure.HasField("timeout_failure_info"):
        kind = "Timeout"
    return {"failure": kind, "message": one_line(failure.message) or kind}


def _closing_words(kind: str, attributes: Any) -> str:
    """The words of the error that ``handle.result()`` raises."""
    if kind == "WorkflowExecutionFailed":
        return _failure(attributes.failure)["message"]
    if kind == "WorkflowExecutionTerminated":
        return one_line(attributes.reason) or "Workflow terminated"
    words = {
        "WorkflowExecutionCanceled": "Workflow cancelled",
        "WorkflowExecutionTimedOut": "Workflow timed out",
    }
    return words.get(kind, "")


def _remark(kind: str, step: Step, attributes: Any) -> str:
    """What stands in brackets: what it cost, or what went wrong."""
    if kind in ("ActivityTaskFailed", "ActivityTaskTimedOut"):
        return f" ({step.words})"
    if kind == "ActivityTaskCompleted" and (cents := _cost_cents(attributes.result.payloads)):
        return f" (${cents / 100:,.2f})".replace(".00)", ")")
    return ""


def _cost_cents(payloads: Sequence[Payload]) -> int:
    result = default_converter().payload_converter.from_payloads(payloads)[0] if payloads else None
    if not isinstance(result, dict):
        return 0
    return int(result.get("price_cents") or result.get("amount_cents") or 0)


def _summary(event: HistoryEvent) -> str:
    if not event.user_metadata.HasField("summary"):
        return ""
    payload = event.user_metadata.summary
    return one_line(str(default_converter().payload_converter.from_payload(payload)))


def _duration(attributes: Any) -> str:
    timeout: timedelta = attributes.start_to_fire_timeout.ToTimedelta()
    return in_words(timeout.total_seconds())


def _other_detail(kind: str, attributes: Any) -> str:
    if kind == "UpsertWorkflowSearchAttributes":
        fields = attributes.search_attributes.indexed_fields
        decode = default_converter().payload_converter.from_payload
        return ", ".join(f"{name} = {_plain(decode(fields[name]))}" for name in sorted(fields))
    if kind == "MarkerRecorded":
        return str(attributes.marker_name)
    if kind == "WorkflowTaskFailed":
        return one_line(attributes.failure.message)
    named = MessageToDict(attributes) if attributes is not None else {}
    return str(named.get("signalName", ""))


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
