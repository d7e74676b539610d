"""One run of a Workflow, seen from the Worker: what the SDK's core keeps of it.

Core stands between the server's events and the Workflow's code. Events become jobs,
jobs an activation, and the commands that come back are kept until the Workflow Task is
completed: what is cancelled before it was sent is never sent. This is a small copy of
core's state machines (``temporalio/bridge/sdk-core/…/machines``), which decide what a
Workflow sees of its own cancel requests, and when.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import temporalio.common
import temporalio.converter
import temporalio.workflow
from temporalio.api.common.v1 import Payload, Payloads, RetryPolicy
from temporalio.api.enums.v1 import RetryState
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.child_workflow.child_workflow_pb2 import ChildWorkflowCancellationType
from temporalio.bridge.proto.workflow_activation import WorkflowActivation, WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands.workflow_commands_pb2 import (
    ActivityCancellationType,
)
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails

from . import instances
from .code import Code
from .errors import NotSimulated
from .events import Events, timestamp
from .forms import new_failure
from .loop import birthplace
from .seeds import randomness_seed

if TYPE_CHECKING:
    from .activities import ActivityTask
    from .clock import Item
    from .local import LocalTask
    from .server import Server

Job = WorkflowActivationJob
ABANDON = ActivityCancellationType.ABANDON
WAIT = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
CHILD_IMMEDIATE = (ChildWorkflowCancellationType.ABANDON, ChildWorkflowCancellationType.TRY_CANCEL)
CORE_FLAGS = [4, 3, 1, 2]

_ORDER = {
    "initialize_workflow": 0,
    "notify_has_patch": 1,
    "update_random_seed": 2,
    "signal_workflow": 3,
    "do_update": 3,
    "query_workflow": 6,
    "remove_from_cache": 7,
}


@dataclass
class Start:
    """What a run is started with; durations in seconds, 0 for none."""

    workflow_id: str
    workflow_type: str
    input: list[Payload]
    task_queue: str
    execution_timeout: float = 0
    run_timeout: float = 0
    task_timeout: float = 10
    retry_policy: RetryPolicy | None = None
    memo: dict[str, Payload] = field(default_factory=dict)
    search_attributes: dict[str, Payload] = field(default_factory=dict)
    headers: dict[str, Payload] = field(default_factory=dict)
    attempt: int = 1
    first_run_id: str = ""
    continued_run_id: str = ""
    initiator: int = 0
    continued_failure: Failure | None = None
    last_result: Payloads | None = None
    parent: Child | None = None
    root: tuple[str, str] | None = None
    backoff: float = 0
    user_metadata: Any = None
    priority: Any = None
    expires: int = 0


@dataclass
class Timer:
    """A timer that the Workflow started."""

    seq: int
    command: Any
    metadata: Any
    event_id: int = 0
    sent: bool = False
    done: bool = False
    item: Any = None


@dataclass
class Child:
    """A child Workflow as its parent knows it."""

    parent: Run
    seq: int
    command: Any
    metadata: Any
    event_id: int = 0
    started_event_id: int = 0
    run_id: str = ""
    sent: bool = False
    resolved: bool = False
    closed: bool = False
    dropped: bool = False

    def info(self, state: int) -> dict[str, Any]:
        """``ChildWorkflowExecutionFailureInfo``."""
        return {
            "namespace": self.command.namespace,
            "workflow_execution": {"workflow_id": self.command.workflow_id, "run_id": self.run_id},
            "workflow_type": {"name": self.command.workflow_type},
            "initiated_event_id": self.event_id,
            "started_event_id": self.started_event_id,
            "retry_state": state,
        }


@dataclass
class Outgoing:
    """A command that waits for the end of the Workflow Task."""

    kind: str
    what: Any
    metadata: Any = None


@dataclass
class Activation:
    """One activation as it was, so that it can be replayed."""

    task: int
    jobs: list[Job]
    now: int
    history_length: int
    commands: Any
    patches: list[str] = field(default_factory=list)
    flags: set[int] = field(default_factory=set)


class Run:
    """State of one run; ``status`` is ``"running"`` until it is closed."""

    def __init__(self, server: Server, start: Start, run_id: str) -> None:
        self.server = server
        self.code: Code = server.code
        self.start = start
        self.id = start.workflow_id
        self.run_id = run_id
        self.definition = self.code.workflow(start.workflow_type)
        self.events = Events(server.epoch)
        self.instance: WorkflowInstance | None = None
        self.journal: list[Activation] = []
        self.flags: set[int] = set()
        self.recorded_flags: set[int] = set()
        self.jobs: list[Job] = []
        self.outgoing: list[Outgoing] = []
        self.rejections: list[Any] = []
        self.timers: dict[int, Timer] = {}
        self.activities: dict[int, ActivityTask] = {}
        self.locals: dict[int, LocalTask] = {}
        self.children: dict[int, Child] = {}
        self.updates: dict[str, Any] = {}
        self.patches: dict[str, bool] = {}
        self.task_patches: list[str] = []
        self.search_attributes = dict(start.search_attributes)
        self.memo = dict(start.memo)
        self.cancel_requested = False
        self.tasks = self.tasks_begun = self.tasks_completed = 0
        self.watched_task = 0
        self.task_activations = 0
        self.task_events = (0, 0)
        self.status = "running"
        self.result: Payload | None = None
        self.failure: Failure | None = None
        self.next_run: Run | None = None
        self.limit: Item | None = None
        # The Workflow Task: at most one is scheduled, and then open.
        self.waits_to_begin = self.waits_for_task = self.speculative = self.task_open = False
        self.failing = False
        self.task_alone = self.sticky = False
        self.task_attempt = 1
        self.task_failure: Failure | None = None
        self.failures_in_vain = 0
        self.scheduled_at = self.scheduled_event_id = self.task_time = 0
        self.held: int | None = None
        self.buffered: list[Callable[[], None]] = []
        self.update_jobs: list[Job] = []
        self.task_jobs: list[Job] = []
        self.reverts: list[Callable[[], object]] = []
        self.time_started = self.first_task_time = 0

    # --- jobs --------------------------------------------------------------------------

    def initialize(self) -> Job:
        """The job that begins a run."""
        start = self.start
        job = Job()
        init = job.initialize_workflow
        init.workflow_type = start.workflow_type
        init.workflow_id = self.id
        init.arguments.extend(start.input)
        init.randomness_seed = randomness_seed(self.run_id)
        init.attempt = start.attempt
        init.first_execution_run_id = start.first_run_id or self.run_id
        init.original_execution_run_id = self.run_id
        init.start_time.CopyFrom(timestamp(self.server.epoch + self.server.now))
        if start.last_result is not None:
            init.last_completion_result.CopyFrom(start.last_result)
        if start.continued_failure is not None:
            init.continued_failure.CopyFrom(start.continued_failure)
        for name, payload in start.headers.items():
            init.headers[name].CopyFrom(payload)
        return job

    def resolve_activity(self, seq: int, status: str, what: Any, local: bool = False) -> None:
        """What an Activity came to: ``completed`` with a payload, else a failure."""
        job = Job()
        job.resolve_activity.seq = seq
        job.resolve_activity.is_local = local
        result = getattr(job.resolve_activity.result, status)
        if status == "completed":
            result.result.CopyFrom(what)
        elif status == "backoff":
            result.CopyFrom(what)
        else:
            result.failure.CopyFrom(what)
        self.jobs.append(job)

    def resolve_child(self, child: Child, status: str, what: Any) -> None:
        """What a child came to: ``completed`` with a payload, else a failure."""
        child.resolved = True
        job = Job()
        job.resolve_child_workflow_execution.seq = child.seq
        result = getattr(job.resolve_child_workflow_execution.result, status)
        if status != "completed":
            result.failure.CopyFrom(what)
        elif what is not None:
            result.result.CopyFrom(what)
        else:
            result.SetInParent()
        self.jobs.append(job)

    # --- the instance ------------------------------------------------------------------

    def activate(self, jobs: list[Job], *, now: int, replaying: bool = False) -> Any:
        """Hand the Workflow an activation; return the SDK's completion."""
        act = self.activation(jobs, now, self.events_seen, replaying, self.flags)
        if self.instance is None:
            self.instance = self.create_instance(act)
        return instances.activate(self.instance, act, self.what)

    def activation(
        self, jobs: Iterable[Job], now: int, length: int, replaying: bool, flags: Iterable[int]
    ) -> WorkflowActivation:
        """An activation as core builds it."""
        return WorkflowActivation(
            run_id=self.run_id,
            timestamp=timestamp(self.server.epoch + now),
            is_replaying=replaying,
            history_length=length,
            history_size_bytes=length * 150,
            continue_as_new_suggested=length >= self.server.suggest_continue_as_new_at,
            available_internal_flags=sorted(flags),
            jobs=sorted(jobs, key=_order),
        )

    @property
    def what(self) -> str:
        """Whose code is running, as errors name it."""
        return f"The code of Workflow {self.id}"

    @property
    def events_seen(self) -> int:
        """Id of the event that began the Workflow Task."""
        return self.task_events[1]

    def create_instance(self, act: WorkflowActivation) -> WorkflowInstance:
        """A fresh instance of the Workflow, as the SDK's Worker makes it."""
        code = self.code
        details = WorkflowInstanceDetails(
            payload_converter_factory=code.new_payload_converter,
            failure_converter_class=code.converter.failure_converter_class,
            interceptor_classes=code.workflow_interceptors,
            defn=self.definition,
            info=self._info(),
            randomness_seed=randomness_seed(self.run_id),
            extern_functions=code.extern_functions,
            disable_eager_activity_execution=True,
            worker_level_failure_exception_types=code.failure_exception_types,
            patch_activation_callback=None,
            last_completion_result=self.start.last_result or Payloads(),
            last_failure=self.start.continued_failure,
            default_workflow_logic_flags=code.flags,
        )
        runner = code.runner if self.definition.sandboxed else code.unsandboxed
        with birthplace():
            instance = runner.create_instance(details)
        return instances.kept(instance, self.server)

    def _info(self) -> temporalio.workflow.Info:
        start = self.start
        attributes = temporalio.api.common.v1.SearchAttributes(
            indexed_fields=start.search_attributes
        )
        converter = temporalio.converter
        started = self.server.date(self.time_started)
        return temporalio.workflow.Info(
            attempt=start.attempt,
            continued_run_id=start.continued_run_id or None,
            cron_schedule=None,
            execution_timeout=_timedelta(start.execution_timeout),
            first_execution_run_id=start.first_run_id or self.run_id,
            headers=dict(start.headers),
            namespace=self.server.namespace,
            original_execution_run_id=self.run_id,
            parent=self._parent_info(),
            root=temporalio.workflow.RootInfo(workflow_id=start.root[0], run_id=start.root[1])
            if start.root
            else None,
            raw_memo=dict(start.memo),
            retry_policy=temporalio.common.RetryPolicy.from_proto(start.retry_policy)
            if start.retry_policy
            else None,
            run_id=self.run_id,
            run_timeout=_timedelta(start.run_timeout),
            search_attributes=converter.decode_search_attributes(attributes),
            start_time=self.server.date(self.first_task_time),
            workflow_start_time=started,
            task_queue=start.task_queue,
            task_timeout=timedelta(seconds=start.task_timeout),
            typed_search_attributes=converter.decode_typed_search_attributes(attributes),
            workflow_id=self.id,
            workflow_type=start.workflow_type,
            priority=temporalio.common.Priority._from_proto(start.priority)
            if start.priority
            else temporalio.common.Priority.default,
        )

    def _parent_info(self) -> temporalio.workflow.ParentInfo | None:
        if self.start.parent is None:
            return None
        parent = self.start.parent.parent
        return temporalio.workflow.ParentInfo(
            namespace=self.server.namespace, run_id=parent.run_id, workflow_id=parent.id
        )

    def evict(self) -> None:
        """Drop the instance; its tasks end quietly."""
        instance, self.instance = self.instance, None
        if instance is not None:
            instances.evict(instance, self.run_id, self.what)

    # --- commands ----------------------------------------------------------------------

    def take(self, completion: WorkflowActivationCompletion) -> None:
        """Keep the commands of an activation, in the order in which they will be sent."""
        last = None
        for command in completion.successful.commands:
            kind = command.WhichOneof("variant")
            if kind in _TERMINAL:
                last = last or (kind, command)
                continue
            handler = _HANDLERS.get(kind or "")
            if handler is None:
                raise NotSimulated(
                    f"Workflow {self.id} asked for {kind}, which is not simulated; "
                    "try it on a real server."
                )
            metadata = command.user_metadata if command.HasField("user_metadata") else None
            handler(self, getattr(command, kind or ""), metadata)
        if last:
            kind, command = last
            self.outgoing.append(Outgoing(kind, getattr(command, kind)))

    def _schedule_activity(self, command: Any, metadata: Any) -> None:
        task = self.server.activity_task(self, command, metadata)
        self.activities[command.seq] = task
        self.reverts.append(task.forget)
        self.outgoing.append(Outgoing("schedule_activity", task, metadata))

    def _cancel_activity(self, command: Any, _metadata: Any) -> None:
        task = self.activities.get(command.seq)
        # Over already: it comes in one activation with what the Workflow cancels it for.
        if task is None or task.resolved or task.asked_to_cancel:
            return
        task.asked_to_cancel = True
        self.reverts.append(task.forget_cancel)
        if not task.sent:
            task.dropped = True
        elif task.command.cancellation_type != ABANDON:
            self.outgoing.append(Outgoing("request_cancel_activity", task))
        if not task.sent or task.command.cancellation_type != WAIT:
            task.resolved = True
            self.resolve_activity(command.seq, "cancelled", task.cancel_failure(0, 0))

    def _start_timer(self, command: Any, metadata: Any) -> None:
        timer = Timer(command.seq, command, metadata)
        self.timers[command.seq] = timer
        self.reverts.append(lambda: self.timers.pop(command.seq, None))
        self.outgoing.append(Outgoing("start_timer", timer, metadata))

    def _cancel_timer(self, command: Any, _metadata: Any) -> None:
        timer = self.timers[command.seq]
        if timer.sent and not timer.done:
            self.outgoing.append(Outgoing("cancel_timer", timer))
        if not timer.done:
            timer.done = True
            self.reverts.append(lambda: setattr(timer, "done", False))

    def _start_child(self, command: Any, metadata: Any) -> None:
        child = Child(self, command.seq, command, metadata)
        self.children[command.seq] = child
        self.reverts.append(lambda: self.children.pop(command.seq, None))
        self.outgoing.append(Outgoing("start_child", child, metadata))

    def _cancel_child(self, command: Any, _metadata: Any) -> None:
        child = self.children[command.child_workflow_seq]
        if child.resolved or child.closed:
            return
        how = child.command.cancellation_type
        self.reverts.append(lambda: setattr(child, "resolved", False))
        if not child.sent:
            child.dropped = child.resolved = True
            job = Job()
            start = job.resolve_child_workflow_execution_start
            start.seq = child.seq
            start.cancelled.failure.CopyFrom(
                _cancelled(
                    f"Child Workflow Execution cancelled before scheduled: {command.reason}",
                    child,
                )
            )
            self.jobs.append(job)
            return
        if how != ChildWorkflowCancellationType.ABANDON:
            self.outgoing.append(Outgoing("cancel_child", (child, command.reason)))
        if how in CHILD_IMMEDIATE:
            self.resolve_child(
                child, "cancelled", _cancelled("Child Workflow execution cancelled", child)
            )

    def _signal_external(self, command: Any, _metadata: Any) -> None:
        self.outgoing.append(Outgoing("signal_external", command))

    def _cancel_external(self, command: Any, _metadata: Any) -> None:
        self.outgoing.append(Outgoing("cancel_external", command))

    def _cancel_signal(self, command: Any, _metadata: Any) -> None:
        for out in self.outgoing:
            if out.kind == "signal_external" and out.what.seq == command.seq:
                self.outgoing.remove(out)
                job = Job()
                job.resolve_signal_external_workflow.seq = command.seq
                job.resolve_signal_external_workflow.failure.CopyFrom(
                    new_failure(
                        message="Signal was cancelled before being sent", canceled_failure_info={}
                    )
                )
                self.jobs.append(job)
                return

    def _upsert_search_attributes(self, command: Any, _metadata: Any) -> None:
        self.outgoing.append(Outgoing("search_attributes", command.search_attributes))

    def _modify_properties(self, command: Any, _metadata: Any) -> None:
        self.outgoing.append(Outgoing("memo", command.upserted_memo))

    def _patch(self, command: Any, _metadata: Any) -> None:
        if command.patch_id in self.patches:
            return
        others = sorted([*self.patches, command.patch_id])
        self.patches[command.patch_id] = command.deprecated
        self.task_patches.append(command.patch_id)
        self.reverts.append(lambda: self.patches.pop(command.patch_id, None))
        self.outgoing.append(Outgoing("patch", (command, others)))

    def _update_response(self, command: Any, _metadata: Any) -> None:
        update = self.updates[command.protocol_instance_id]
        kind = command.WhichOneof("response")
        if kind == "rejected" and not update.accepted:
            self.rejections.append((update, command.rejected))
            return
        if kind == "accepted":
            update.accepted = True
            self.reverts.append(lambda: setattr(update, "accepted", False))
        self.outgoing.append(Outgoing(f"update_{kind}", (update, command)))

    def _schedule_local(self, command: Any, metadata: Any) -> None:
        self.locals[command.seq] = self.server.local_task(self, command, metadata)
        self.reverts.append(lambda: self.locals.pop(command.seq, None))

    def _cancel_local(self, command: Any, _metadata: Any) -> None:
        self.locals[command.seq].cancel()


_TERMINAL = {
    "complete_workflow_execution",
    "fail_workflow_execution",
    "cancel_workflow_execution",
    "continue_as_new_workflow_execution",
}

_HANDLERS: dict[str, Any] = {
    "schedule_activity": Run._schedule_activity,
    "request_cancel_activity": Run._cancel_activity,
    "start_timer": Run._start_timer,
    "cancel_timer": Run._cancel_timer,
    "start_child_workflow_execution": Run._start_child,
    "cancel_child_workflow_execution": Run._cancel_child,
    "signal_external_workflow_execution": Run._signal_external,
    "request_cancel_external_workflow_execution": Run._cancel_external,
    "cancel_signal_workflow": Run._cancel_signal,
    "upsert_workflow_search_attributes": Run._upsert_search_attributes,
    "modify_workflow_properties": Run._modify_properties,
    "set_patch_marker": Run._patch,
    "update_response": Run._update_response,
    "schedule_local_activity": Run._schedule_local,
    "request_cancel_local_activity": Run._cancel_local,
}


def _order(job: Job) -> int:
    kind = job.WhichOneof("variant") or ""
    if kind == "resolve_activity" and job.resolve_activity.is_local:
        return 5
    return _ORDER.get(kind, 4)


def _cancelled(message: str, child: Child) -> Failure:
    return new_failure(
        message=message,
        cause={"canceled_failure_info": {}},
        child_workflow_execution_failure_info=child.info(
            RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE
        ),
    )


def _timedelta(seconds: float) -> timedelta | None:
    return timedelta(seconds=seconds) if seconds else None


def utc(nanoseconds: int) -> datetime:
    """A moment, given in nanoseconds since 1970."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=rest // 1000)
