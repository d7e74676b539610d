"""Commands that concern other Workflows: children, and those known by their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import (
    CancelExternalWorkflowExecutionFailedCause,
    ParentClosePolicy,
    SignalExternalWorkflowExecutionFailedCause,
    StartChildWorkflowExecutionFailedCause,
)
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.child_workflow.child_workflow_pb2 import (
    StartChildWorkflowExecutionFailedCause as StartFailedCause,
)

from .clock import SECOND
from .errors import NotSimulated
from .forms import duration, nanoseconds, new_failure, queue
from .run import Child, Job, Outgoing, Run, Start

if TYPE_CHECKING:
    from .server import Server

RUNNING = "running"
TAKEN = StartFailedCause.START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS
UNKNOWN_TARGET = SignalExternalWorkflowExecutionFailedCause.Value(
    "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND"
)
UNKNOWN_CANCEL_TARGET = CancelExternalWorkflowExecutionFailedCause.Value(
    "CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND"
)
ALREADY_EXISTS = StartChildWorkflowExecutionFailedCause.Value(
    "START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS"
)


def start_child(server: Server, run: Run, out: Outgoing, completed: int) -> None:
    child: Child = out.what
    command = child.command
    if command.cron_schedule:
        raise NotSimulated(
            f"Workflow {run.id} starts a child on a cron schedule ({command.cron_schedule}), "
            "which is not simulated; try it on a real server."
        )
    child.sent = True
    child.event_id = run.events.add(
        "start_child_workflow_execution_initiated",
        server.now,
        {
            "namespace": server.namespace,
            "workflow_id": command.workflow_id,
            "workflow_type": {"name": command.workflow_type},
            "task_queue": queue(command.task_queue),
            "input": Payloads(payloads=command.input) if command.input else None,
            "workflow_execution_timeout": command.workflow_execution_timeout
            if command.HasField("workflow_execution_timeout")
            else None,
            "workflow_run_timeout": command.workflow_run_timeout
            if command.HasField("workflow_run_timeout")
            else command.workflow_execution_timeout,
            "workflow_task_timeout": command.workflow_task_timeout
            if command.HasField("workflow_task_timeout")
            else duration(10 * SECOND),
            "parent_close_policy": command.parent_close_policy,
            "workflow_task_completed_event_id": completed,
            "workflow_id_reuse_policy": command.workflow_id_reuse_policy,
            "retry_policy": command.retry_policy if command.HasField("retry_policy") else None,
            "header": {"fields": dict(command.headers)},
            "memo": {"fields": dict(command.memo)} if command.memo else None,
            "search_attributes": command.search_attributes
            if command.HasField("search_attributes")
            else None,
            "inherit_build_id": True,
        },
        out.metadata,
    )
    server.soon(lambda: _begin_child(server, run, child), f"{command.workflow_id} begins")


def _begin_child(server: Server, run: Run, child: Child) -> None:
    command = child.command
    abandoned = command.parent_close_policy == ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON
    if run.status != RUNNING and not abandoned:
        return
    if server.refuses(command.workflow_id, command.workflow_id_reuse_policy):
        server.arrive(run, lambda: _child_not_started(server, run, child))
        return
    root = run.start.root or (run.id, run.run_id)
    found = server.begin(
        Start(
            workflow_id=command.workflow_id,
            workflow_type=command.workflow_type,
            input=list(command.input),
            task_queue=command.task_queue,
            execution_timeout=nanoseconds(command.workflow_execution_timeout) / SECOND,
            run_timeout=nanoseconds(command.workflow_run_timeout) / SECOND,
            task_timeout=nanoseconds(command.workflow_task_timeout) / SECOND or 10,
            retry_policy=command.retry_policy if command.HasField("retry_policy") else None,
            memo=dict(command.memo),
            search_attributes=dict(command.search_attributes.indexed_fields),
            headers=dict(command.headers),
            parent=child,
            root=root,
            user_metadata=child.metadata,
        )
    )
    child.run_id = found.run_id
    if run.status == RUNNING:
        server.arrive(run, lambda: _child_started(server, run, child))


def _child_started(server: Server, run: Run, child: Child) -> None:
    if run.status != RUNNING:
        return
    child.started_event_id = server.record(
        run,
        "child_workflow_execution_started",
        {
            "namespace": server.namespace,
            "initiated_event_id": child.event_id,
            "workflow_execution": {
                "workflow_id": child.command.workflow_id,
                "run_id": child.run_id,
            },
            "workflow_type": {"name": child.command.workflow_type},
            "header": {"fields": dict(child.command.headers)},
        },
    )
    if not child.resolved:
        job = Job()
        start = job.resolve_child_workflow_execution_start
        start.seq = child.seq
        start.succeeded.run_id = child.run_id
        run.jobs.append(job)
    server.wake(run)


def _child_not_started(server: Server, run: Run, child: Child) -> None:
    if run.status != RUNNING:
        return
    server.record(
        run,
        "start_child_workflow_execution_failed",
        {
            "namespace": server.namespace,
            "workflow_id": child.command.workflow_id,
            "workflow_type": {"name": child.command.workflow_type},
            "cause": ALREADY_EXISTS,
            "initiated_event_id": child.event_id,
        },
    )
    child.closed = True
    if not child.resolved:
        child.resolved = True
        job = Job()
        start = job.resolve_child_workflow_execution_start
        start.seq = child.seq
        start.failed.workflow_id = child.command.workflow_id
        start.failed.workflow_type = child.command.workflow_type
        start.failed.cause = TAKEN
        run.jobs.append(job)
    server.wake(run)


def cancel_child(server: Server, run: Run, out: Outgoing, completed: int) -> None:
    child, reason = out.what
    _cancel_other(
        server, run, child.command.workflow_id, child.run_id, reason, completed, seq=0, child=child
    )


def cancel_external(server: Server, run: Run, out: Outgoing, completed: int) -> None:
    command = out.what
    target = command.workflow_execution
    reason = f"Cancel requested by workflow with run id {run.run_id} with reason: {command.reason}"
    _cancel_other(
        server, run, target.workflow_id, target.run_id, reason, completed, seq=command.seq
    )


def _cancel_other(
    server: Server,
    run: Run,
    workflow_id: str,
    run_id: str,
    reason: str,
    completed: int,
    *,
    seq: int,
    child: Child | None = None,
) -> None:
    target = {"workflow_id": workflow_id, "run_id": run_id}
    initiated = run.events.add(
        "request_cancel_external_workflow_execution_initiated",
        server.now,
        {
            "workflow_task_completed_event_id": completed,
            "namespace": server.namespace,
            "workflow_execution": target,
            "child_workflow_only": child is not None,
            "reason": reason,
        },
    )

    def deliver() -> None:
        found = server.current(workflow_id, "" if child else run_id)
        known = found is not None and found.status == RUNNING
        if known:
            assert found is not None
            server.request_cancel(found, reason, by=run, initiated=initiated)
        server.arrive(run, lambda: answer(known))

    def answer(known: bool) -> None:
        if run.status != RUNNING:
            return
        about = {
            "initiated_event_id": initiated,
            "namespace": server.namespace,
            "workflow_execution": target,
        }
        if known:
            server.record(run, "external_workflow_execution_cancel_requested", about)
        else:
            about["cause"] = UNKNOWN_CANCEL_TARGET
            server.record(run, "request_cancel_external_workflow_execution_failed", about)
        if child is None:
            job = Job()
            resolution = job.resolve_request_cancel_external_workflow
            resolution.seq = seq
            if not known:
                resolution.failure.CopyFrom(
                    _not_found("Unable to cancel external workflow because not found")
                )
            run.jobs.append(job)
        server.wake(run)

    server.soon(deliver, f"{workflow_id} is asked to cancel")


def signal_external(server: Server, run: Run, out: Outgoing, completed: int) -> None:
    command = out.what
    child = command.WhichOneof("target") == "child_workflow_id"
    workflow_id = command.child_workflow_id if child else command.workflow_execution.workflow_id
    run_id = "" if child else command.workflow_execution.run_id
    target = {"workflow_id": workflow_id, "run_id": run_id}
    initiated = run.events.add(
        "signal_external_workflow_execution_initiated",
        server.now,
        {
            "workflow_task_completed_event_id": completed,
            "namespace": server.namespace,
            "workflow_execution": target,
            "signal_name": command.signal_name,
            "input": Payloads(payloads=command.args) if command.args else None,
            "child_workflow_only": child,
            "header": {"fields": dict(command.headers)} if command.headers else None,
        },
    )

    def deliver() -> None:
        found = server.current(workflow_id, run_id)
        known = found is not None and found.status == RUNNING
        if known:
            assert found is not None
            server.signal(found, command.signal_name, list(command.args), by=run)
        server.arrive(run, lambda: answer(known))

    def answer(known: bool) -> None:
        if run.status != RUNNING:
            return
        about = {
            "initiated_event_id": initiated,
            "namespace": server.namespace,
            "workflow_execution": target,
        }
        if known:
            server.record(run, "external_workflow_execution_signaled", about)
        else:
            about["cause"] = UNKNOWN_TARGET
            server.record(run, "signal_external_workflow_execution_failed", about)
        job = Job()
        job.resolve_signal_external_workflow.seq = command.seq
        if not known:
            job.resolve_signal_external_workflow.failure.CopyFrom(
                _not_found("Unable to signal external workflow because it was not found")
            )
        run.jobs.append(job)
        server.wake(run)

    server.soon(deliver, f"{workflow_id} is signalled")


def _not_found(message: str) -> Failure:
    return new_failure(
        message=message, application_failure_info={"type": "ExternalWorkflowExecutionNotFound"}
    )
