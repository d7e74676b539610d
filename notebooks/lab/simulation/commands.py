"""What the server does with the commands of a Workflow Task, and how a run closes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import temporalio.service
from temporalio.api.common.v1 import Payload, Payloads, SearchAttributes
from temporalio.api.enums.v1 import (
    CancelExternalWorkflowExecutionFailedCause,
    ContinueAsNewInitiator,
    EventType,
    ParentClosePolicy,
    RetryState,
    SignalExternalWorkflowExecutionFailedCause,
    StartChildWorkflowExecutionFailedCause,
    TaskQueueKind,
    WorkflowTaskFailedCause,
)
from temporalio.api.failure.v1 import Failure
from temporalio.api.update.v1 import Outcome, Request

from .activities import _nanoseconds, _retryable, backoff
from .clock import SECOND
from .errors import NotSimulated
from .run import CORE_FLAGS, Child, Job, Outgoing, Run, Start, Timer

if TYPE_CHECKING:
    from .server import Server

RUNNING = "running"
CLOSING = {
    "complete_workflow_execution",
    "fail_workflow_execution",
    "cancel_workflow_execution",
    "continue_as_new_workflow_execution",
}
CHANGE_VERSION = "TemporalChangeVersion"
HEARTBEAT_SHARE = 0.8
"""Of a Workflow Task's timeout: when core completes one that local Activities keep open."""

SHORTEST_RUN = 1.0
"""Seconds. A run that continues as new sooner than that has its successor wait."""

UNKNOWN_TARGET = SignalExternalWorkflowExecutionFailedCause.Value(
    "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND"
)
UNKNOWN_CANCEL_TARGET = CancelExternalWorkflowExecutionFailedCause.Value(
    "CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND"
)
ALREADY_EXISTS = StartChildWorkflowExecutionFailedCause.Value(
    "START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS"
)


# --- attributes of events ----------------------------------------------------------------


def started(run: Run) -> dict[str, Any]:
    """Attributes of a run's first event."""
    start, parent = run.start, run.start.parent
    continued = start.initiator == ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW
    return {
        "workflow_type": {"name": start.workflow_type},
        "workflow_id": run.id,
        "task_queue": _queue(start.task_queue),
        "input": Payloads(payloads=start.input) if start.input else None,
        "workflow_execution_timeout": _seconds(start.execution_timeout, none=True),
        "workflow_run_timeout": _seconds(
            start.run_timeout or start.execution_timeout, none=not continued
        ),
        "workflow_task_timeout": _seconds(start.task_timeout),
        "original_execution_run_id": run.run_id,
        "first_execution_run_id": start.first_run_id,
        "identity": run.server.identity,
        "attempt": start.attempt,
        "retry_policy": start.retry_policy,
        "first_workflow_task_backoff": _seconds(start.backoff, none=continued),
        "header": {"fields": start.headers} if start.headers else None,
        "memo": {"fields": start.memo} if start.memo else None,
        "search_attributes": SearchAttributes(indexed_fields=start.search_attributes)
        if start.search_attributes
        else None,
        "continued_execution_run_id": start.continued_run_id or None,
        "initiator": start.initiator or None,
        "continued_failure": start.continued_failure,
        "last_completion_result": start.last_result,
        "parent_workflow_namespace": run.server.namespace if parent else None,
        "parent_workflow_execution": _execution(parent.parent) if parent else None,
        "parent_initiated_event_id": parent.event_id if parent else None,
        "root_workflow_execution": {"workflow_id": start.root[0], "run_id": start.root[1]}
        if start.root
        else None,
        "priority": start.priority,
    }


def task_scheduled(run: Run) -> dict[str, Any]:
    """Attributes of a Workflow Task's first event."""
    return {
        "task_queue": _sticky(run) if run.sticky else _queue(run.start.task_queue),
        "start_to_close_timeout": _seconds(run.start.task_timeout),
        "attempt": run.task_attempt,
    }


def task_started(server: Server, run: Run) -> dict[str, Any]:
    """Attributes of a Workflow Task's second event."""
    return {
        "scheduled_event_id": run.scheduled_event_id,
        "identity": server.identity,
        "request_id": server.request_id(),
        "history_size_bytes": len(run.events.records) * 150,
        "suggest_continue_as_new": run.events.next_id >= server.suggest_continue_as_new_at,
    }


def _task_completed(server: Server, run: Run) -> int:
    scheduled, begun = run.task_events
    new_flags = run.flags - run.recorded_flags
    run.recorded_flags |= new_flags
    for entry in reversed(run.journal):
        if entry.task != run.tasks:
            break
        entry.flags = set(new_flags)
        entry.patches = list(run.task_patches)
    sdk: dict[str, Any] = {"lang_used_flags": sorted(new_flags)}
    if run.tasks_completed == 0:
        sdk |= {
            "core_used_flags": CORE_FLAGS,
            "sdk_name": "temporal-python",
            "sdk_version": temporalio.service.__version__,
        }
    run.tasks_completed += 1
    return run.events.add(
        "workflow_task_completed",
        server.now,
        {
            "scheduled_event_id": scheduled,
            "started_event_id": begun,
            "identity": server.identity,
            "sdk_metadata": sdk,
            "metering_metadata": {},
        },
    )


# --- the end of a Workflow Task ----------------------------------------------------------


def closes(outgoing: list[Outgoing]) -> bool:
    """Whether one of the commands closes the run."""
    return any(out.kind in CLOSING for out in outgoing)


def complete_task(server: Server, run: Run) -> None:
    """The Worker has answered: write what it asked for, and do it."""
    if run.buffered and closes(run.outgoing):
        failure = Failure(message="UnhandledCommand")
        fail_task(
            server,
            run,
            failure,
            WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND,
        )
        return
    run.task_failure = None
    run.task_attempt = 1
    run.sticky = True
    outgoing, run.outgoing = run.outgoing, []
    rejections, run.rejections = run.rejections, []
    if run.task_alone and not outgoing and rejections:
        _leave_no_trace(run)
    else:
        _forget_rejected(run, rejections)
        completed = _task_completed(server, run)
        for out in outgoing:
            if not getattr(out.what, "dropped", False):
                _SEND[out.kind](server, run, out, completed)
    run.reverts = []
    run.task_open = False
    run.locals = {seq: local for seq, local in run.locals.items() if not local.resolved}
    for update, failure in rejections:
        update.outcome = ("rejected", failure)
    _flush(server, run)


def _leave_no_trace(run: Run) -> None:
    """A task for Updates alone that were all rejected is not in the history."""
    run.events.drop_last(2)
    run.journal = [entry for entry in run.journal if entry.task != run.tasks]


def _forget_rejected(run: Run, rejections: list[Any]) -> None:
    gone = {update.id for update, _failure in rejections}
    if not gone:
        return
    for entry in run.journal:
        if entry.task == run.tasks:
            entry.jobs = [
                job
                for job in entry.jobs
                if not (job.HasField("do_update") and job.do_update.id in gone)
            ]
            entry.commands = [
                command
                for command in entry.commands
                if command.update_response.protocol_instance_id not in gone
            ]


def _flush(server: Server, run: Run) -> None:
    """What arrived while the task was open is written now."""
    buffered, run.buffered = run.buffered, []
    for action in buffered:
        action()
    if run.status == RUNNING and run.update_jobs and not run.waits_for_task:
        run.waits_for_task = run.speculative = True
        server.schedule_task(run)


def fail_task(server: Server, run: Run, failure: Failure, cause: int | None = None) -> None:
    """The Worker could not do it: all of it is tried again, from the history."""
    for revert in reversed(run.reverts):
        revert()
    run.reverts = []
    run.outgoing, run.rejections = [], []
    run.locals = {seq: local for seq, local in run.locals.items() if not local.resolved}
    run.journal = [entry for entry in run.journal if entry.task != run.tasks]
    run.tasks -= 1
    run.flags = set(run.recorded_flags)
    run.jobs = [*(job for job in run.task_jobs if not job.HasField("do_update")), *run.jobs]
    run.update_jobs = [
        *(job for job in run.task_jobs if job.HasField("do_update")),
        *run.update_jobs,
    ]
    run.evict()
    scheduled, begun = run.task_events
    if run.task_attempt == 1:
        run.events.add(
            "workflow_task_failed",
            server.now,
            {
                "scheduled_event_id": scheduled,
                "started_event_id": begun,
                "cause": cause
                or WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE,
                "failure": failure,
                "identity": server.identity,
            },
        )
    else:
        run.events.drop_last(2)
    run.task_open = False
    run.task_failure = failure
    server.count("Workflow Task failed")
    news = bool(run.buffered)
    _flush(server, run)
    if run.status == RUNNING:
        server.try_task_again(run, news)
    run.sticky = False


def watch_task(server: Server, run: Run) -> None:
    """Keep a task alive that local Activities keep open, as core does."""
    task = run.tasks

    def beat() -> None:
        if not run.task_open or run.tasks != task or run.status != RUNNING:
            return
        complete_task(server, run)
        if run.status == RUNNING and run.locals and not run.waits_for_task:
            run.waits_for_task = True
            server.write_scheduled(run)
        if run.locals:
            server.start_task(run)

    if not run.beating:
        run.beating = True
        server.queue.push(
            round(run.start.task_timeout * HEARTBEAT_SHARE * SECOND),
            lambda: (setattr(run, "beating", False), beat())[1],
            f"Workflow Task of {run.id} is kept alive",
            background=True,
        )


# --- commands ----------------------------------------------------------------------------


def _schedule_activity(server: Server, run: Run, out: Outgoing, completed: int) -> None:
    task = out.what
    command = task.command
    task.event_id = run.events.add(
        "activity_task_scheduled",
        server.now,
        {
            "activity_id": command.activity_id,
            "activity_type": {"name": command.activity_type},
            "task_queue": _queue(command.task_queue),
            "header": {"fields": dict(command.headers)},
            "input": Payloads(payloads=command.arguments) if command.arguments else None,
            "schedule_to_close_timeout": _duration(task.schedule_to_close),
            "schedule_to_start_timeout": _duration(task.schedule_to_start),
            "start_to_close_timeout": _duration(task.start_to_close),
            "heartbeat_timeout": _duration(task.heartbeat_timeout),
            "workflow_task_completed_event_id": completed,
            "retry_policy": task.retries,
            "use_workflow_build_id": True,
        },
        out.metadata,
    )
    task.schedule()


def _cancel_activity(server: Server, run: Run, out: Outgoing, completed: int) -> None:
    task = out.what
    if task.closed:
        return
    event = run.events.add(
        "activity_task_cancel_requested",
        server.now,
        {"scheduled_event_id": task.event_id, "workflow_task_completed_event_id": completed},
    )
    task.request_cancel(event)


def _start_timer(server: Server, run: Run, out: Outgoing, completed: int) -> None:
    timer: Timer = out.what
    if timer.done:
        return
    timer.sent = True
    timeout = timer.command.start_to_fire_timeout
    timer.event_id = run.events.add(
        "timer_started",
        server.now,
        {
            "timer_id": str(timer.seq),
            "start_to_fire_timeout": timeout,
            "workflow_task_completed_event_id": completed,
        },
        out.metadata,
    )
    delay = _nanoseconds(timeout)
    timer.item = server.queue.push(
        delay, lambda: server.arrive(run, lambda: _fire(server, run, timer)), f"timer of {run.id}"
    )


def _fire(server: Server, run: Run, timer: Timer) -> None:
    if timer.done or run.status != RUNNING:
        return
    timer.done = True
    server.record(
        run, "timer_fired", {"timer_id": str(timer.seq), "started_event_id": timer.event_id}
    )
    job = Job()
    job.fire_timer.seq = timer.seq
    run.jobs.append(job)
    server.wake(run)


def _cancel_timer(server: Server, run: Run, out: Outgoing, completed: int) -> None:
    timer: Timer = out.what
    timer.item.cancel()
    run.events.add(
        "timer_canceled",
        server.now,
        {
            "timer_id": str(timer.seq),
            "started_event_id": timer.event_id,
            "workflow_task_completed_event_id": completed,
            "identity": server.identity,
        },
    )


def _search_attributes(server: Server, run: Run, out: Outgoing, completed: int) -> None:
    for name, payload in out.what.indexed_fields.items():
        known = run.search_attributes.get(name)
        if known is not None and "type" not in payload.metadata:
            payload.metadata["type"] = known.metadata["type"]
        run.search_attributes[name] = payload
    run.events.add(
        "upsert_workflow_search_attributes",
        server.now,
        {"workflow_task_completed_event_id": completed, "search_attributes": out.what},
    )


def _memo(server: Server, run: Run, out: Outgoing, completed: int) -> None:
    for name, payload in out.what.fields.items():
        run.memo[name] = payload
        if payload.metadata.get("encoding") == b"binary/null":
            del run.memo[name]
    run.events.add(
        "workflow_properties_modified",
        server.now,
        {"workflow_task_completed_event_id": completed, "upserted_memo": out.what},
    )


def _patch(server: Server, run: Run, out: Outgoing, completed: int) -> None:
    command, patches = out.what
    data = _json({"id": command.patch_id, "deprecated": command.deprecated})
    run.events.add(
        "marker_recorded",
        server.now,
        {
            "marker_name": "core_patch",
            "details": {"patch-data": Payloads(payloads=[data])},
            "workflow_task_completed_event_id": completed,
        },
        out.metadata,
    )
    payload = _json(patches)
    payload.metadata["type"] = b"KeywordList"
    attributes = SearchAttributes(indexed_fields={CHANGE_VERSION: payload})
    _search_attributes(server, run, Outgoing("search_attributes", attributes), completed)


def _local_marker(server: Server, run: Run, out: Outgoing, completed: int) -> None:
    details, failure, command = out.what
    if command.include_arguments_in_marker:
        details["input"] = list(command.arguments)
    run.events.add(
        "marker_recorded",
        server.now,
        {
            "marker_name": "core_local_activity",
            "details": {name: Payloads(payloads=found) for name, found in details.items()},
            "workflow_task_completed_event_id": completed,
            "failure": failure,
        },
        out.metadata,
    )


def _update_accepted(server: Server, run: Run, out: Outgoing, _completed: int) -> None:
    update, _command = out.what
    update.accepted_event_id = run.events.add(
        "workflow_execution_update_accepted",
        server.now,
        {
            "protocol_instance_id": update.id,
            "accepted_request_message_id": update.message_id,
            "accepted_request_sequencing_event_id": update.sequencing_id,
            "accepted_request": Request(
                meta={"update_id": update.id, "identity": server.identity},
                input={
                    "name": update.name,
                    "args": Payloads(payloads=update.args) if update.args else None,
                },
            ),
        },
    )


def _update_completed(server: Server, run: Run, out: Outgoing, _completed: int) -> None:
    update, command = out.what
    _close_update(server, run, update, Outcome(success=Payloads(payloads=[command.completed])))
    update.outcome = ("completed", command.completed)


def _update_failed(server: Server, run: Run, out: Outgoing, _completed: int) -> None:
    update, command = out.what
    _close_update(server, run, update, Outcome(failure=command.rejected))
    update.outcome = ("failed", command.rejected)


def _close_update(server: Server, run: Run, update: Any, outcome: Outcome) -> None:
    run.events.add(
        "workflow_execution_update_completed",
        server.now,
        {
            "meta": {"update_id": update.id, "identity": server.identity},
            "accepted_event_id": update.accepted_event_id,
            "outcome": outcome,
        },
    )


# --- other Workflows ---------------------------------------------------------------------


def _start_child(server: Server, run: Run, out: Outgoing, completed: int) -> None:
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
            "task_queue": _queue(command.task_queue),
            "input": Payloads(payloads=command.input) if command.input else None,
            "workflow_execution_timeout": command.workflow_execution_timeout
            if command.HasField("workflow_execution_timeout")
            else None,
            "workflow_run_timeout": command.workflow_run_timeout
            if command.HasField("workflow_run_timeout")
            else command.workflow_execution_timeout,
            "workflow_task_timeout": command.workflow_task_timeout
            if command.HasField("workflow_task_timeout")
            else _duration(10 * SECOND),
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
            execution_timeout=_nanoseconds(command.workflow_execution_timeout) / SECOND,
            run_timeout=_nanoseconds(command.workflow_run_timeout) / SECOND,
            task_timeout=_nanoseconds(command.workflow_task_timeout) / SECOND or 10,
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
        start.failed.cause = 1
        run.jobs.append(job)
    server.wake(run)


def _cancel_child(server: Server, run: Run, out: Outgoing, completed: int) -> None:
    child, reason = out.what
    _cancel_other(
        server, run, child.command.workflow_id, child.run_id, reason, completed, seq=0, child=child
    )


def _cancel_external(server: Server, run: Run, out: Outgoing, completed: int) -> None:
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


def _signal_external(server: Server, run: Run, out: Outgoing, completed: int) -> None:
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
    return Failure(
        message=message, application_failure_info={"type": "ExternalWorkflowExecutionNotFound"}
    )


# --- closing -----------------------------------------------------------------------------


def _complete(server: Server, run: Run, out: Outgoing, completed: int) -> None:
    result = out.what.result
    run.result = result
    _close(
        server,
        run,
        "completed",
        "workflow_execution_completed",
        {
            "result": Payloads(payloads=[result]),
            "workflow_task_completed_event_id": completed,
        },
    )
    tell_parent(
        server, run, "child_workflow_execution_completed", {"result": Payloads(payloads=[result])}
    )


def _fail(server: Server, run: Run, out: Outgoing, completed: int) -> None:
    failure = out.what.failure
    run.failure = failure
    state, pause = _workflow_retry(server, run, failure)
    following = server.new_id() if pause is not None else ""
    _close(
        server,
        run,
        "failed",
        "workflow_execution_failed",
        {
            "failure": failure,
            "retry_state": state,
            "workflow_task_completed_event_id": completed,
            "new_execution_run_id": following or None,
        },
        again=pause is not None,
    )
    if pause is not None:
        _begin_again(
            server,
            run,
            following,
            initiator=ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_RETRY,
            attempt=run.start.attempt + 1,
            backoff=pause / SECOND,
            continued_failure=failure,
        )
        return
    tell_parent(
        server,
        run,
        "child_workflow_execution_failed",
        {"failure": failure, "retry_state": state},
    )


def _cancel(server: Server, run: Run, out: Outgoing, completed: int) -> None:
    _close(
        server,
        run,
        "canceled",
        "workflow_execution_canceled",
        {"workflow_task_completed_event_id": completed},
    )
    tell_parent(server, run, "child_workflow_execution_canceled", {})


def _continue_as_new(server: Server, run: Run, out: Outgoing, completed: int) -> None:
    command = out.what
    start = run.start
    following = server.new_id()
    workflow_type = command.workflow_type or start.workflow_type
    memo = dict(command.memo) or dict(start.memo)
    attributes = (
        dict(command.search_attributes.indexed_fields)
        if command.HasField("search_attributes")
        else {k: v for k, v in run.search_attributes.items() if k != CHANGE_VERSION}
    )
    retries = command.retry_policy if command.HasField("retry_policy") else start.retry_policy
    run_timeout = _nanoseconds(command.workflow_run_timeout) / SECOND or start.run_timeout
    pause = _nanoseconds(command.backoff_start_interval) / SECOND
    _close(
        server,
        run,
        "continued as new",
        "workflow_execution_continued_as_new",
        {
            "new_execution_run_id": following,
            "workflow_type": {"name": workflow_type},
            "task_queue": _queue(command.task_queue or start.task_queue),
            "input": Payloads(payloads=command.arguments) if command.arguments else None,
            "workflow_run_timeout": _seconds(run_timeout),
            "workflow_task_timeout": _seconds(start.task_timeout),
            "workflow_task_completed_event_id": completed,
            "backoff_start_interval": _seconds(pause, none=True),
            "header": {"fields": dict(command.headers)} if command.headers else None,
            "memo": {"fields": memo} if memo else None,
            "search_attributes": SearchAttributes(indexed_fields=attributes)
            if attributes
            else None,
            "inherit_build_id": True,
        },
        again=True,
    )
    _begin_again(
        server,
        run,
        following,
        initiator=ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW,
        workflow_type=workflow_type,
        task_queue=command.task_queue or start.task_queue,
        input=list(command.arguments),
        memo=memo,
        search_attributes=attributes,
        retry_policy=retries,
        run_timeout=run_timeout,
        headers=dict(command.headers),
        backoff=max(pause, SHORTEST_RUN - (server.now - run.time_started) / SECOND),
    )


def _begin_again(server: Server, run: Run, run_id: str, **changes: Any) -> None:
    """The next run of the chain."""
    old = run.start
    kept = {
        "workflow_id": run.id,
        "workflow_type": old.workflow_type,
        "input": old.input,
        "task_queue": old.task_queue,
        "execution_timeout": old.execution_timeout,
        "run_timeout": old.run_timeout,
        "task_timeout": old.task_timeout,
        "retry_policy": old.retry_policy,
        "memo": old.memo,
        "search_attributes": old.search_attributes,
        "headers": old.headers,
        "first_run_id": old.first_run_id,
        "continued_run_id": run.run_id,
        "last_result": old.last_result,
        "parent": old.parent,
        "root": old.root,
        "user_metadata": old.user_metadata,
        "priority": old.priority,
        "expires": old.expires,
    }
    run.next_run = server.begin(Start(**(kept | changes)), run_id=run_id)


def time_out(server: Server, run: Run) -> None:
    """The run's or the whole execution's timeout has passed: no code runs any more."""
    if run.status != RUNNING:
        return
    failure = Failure(message="workflow timeout", timeout_failure_info={"timeout_type": 1})
    whole = bool(run.start.expires) and server.now >= run.start.expires
    state, pause = RetryState.RETRY_STATE_TIMEOUT, None
    if not whole:
        state, pause = _workflow_retry(server, run, failure)
    following = server.new_id() if pause is not None else ""
    run.failure = failure
    _close(
        server,
        run,
        "timed out",
        "workflow_execution_timed_out",
        {"retry_state": state, "new_execution_run_id": following or None},
        again=pause is not None,
    )
    if pause is not None:
        _begin_again(
            server,
            run,
            following,
            initiator=ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_RETRY,
            attempt=run.start.attempt + 1,
            backoff=pause / SECOND,
            continued_failure=failure,
        )
        return
    tell_parent(server, run, "child_workflow_execution_timed_out", {"retry_state": state})


def terminate(server: Server, run: Run, reason: str) -> None:
    """No code runs any more; what is under way is not undone."""
    if run.status != RUNNING:
        return
    run.failure = Failure(message=reason, terminated_failure_info={})
    _close(
        server,
        run,
        "terminated",
        "workflow_execution_terminated",
        {"reason": reason, "identity": server.identity},
    )
    tell_parent(server, run, "child_workflow_execution_terminated", {})


def _workflow_retry(server: Server, run: Run, failure: Failure) -> tuple[int, int | None]:
    """Whether the Workflow's own retry policy gives it another run, and after how long."""
    policy = run.start.retry_policy
    if policy is None:
        return RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET, None
    if not _retryable(failure, policy):
        return RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE, None
    if policy.maximum_attempts and run.start.attempt >= policy.maximum_attempts:
        return RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED, None
    pause = backoff(policy, run.start.attempt, failure)
    if run.start.expires and server.now + pause > run.start.expires:
        return RetryState.RETRY_STATE_TIMEOUT, None
    return RetryState.RETRY_STATE_IN_PROGRESS, pause


def _close(
    server: Server,
    run: Run,
    status: str,
    event: str,
    attributes: dict[str, Any],
    *,
    again: bool = False,
) -> None:
    if run.waits_for_task and not run.scheduled_event_id:
        run.speculative = False
    run.events.add(event, server.now, attributes)
    run.status = status
    run.waits_for_task = False
    if run.limit is not None:
        run.limit.cancel()
    for task in list(run.activities.values()):
        task.close()
    for timer in run.timers.values():
        if timer.item is not None:
            timer.item.cancel()
    for child in run.children.values():
        if child.sent and not child.closed and not again:
            _part_with(server, run, child)
    for update in run.updates.values():
        if update.outcome is None:
            update.outcome = ("failed", _unfinished_update(update.accepted))
    if run.task_open:
        server.dying.append(run)
    else:
        run.evict()


def _unfinished_update(accepted: bool) -> Failure:
    return Failure(
        message="Workflow Update failed because the Workflow completed before the Update completed."
        if accepted
        else "Workflow Update failed because the Workflow completed.",
        application_failure_info={
            "type": "AcceptedUpdateCompletedWorkflow" if accepted else "WorkflowClosed",
            "non_retryable": True,
        },
    )


def _part_with(server: Server, run: Run, child: Child) -> None:
    policy = child.command.parent_close_policy
    if policy == ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON:
        return

    def carry_out() -> None:
        found = server.current(child.command.workflow_id)
        if found is None or found.start.parent is not child or found.status != RUNNING:
            return
        if policy == ParentClosePolicy.PARENT_CLOSE_POLICY_REQUEST_CANCEL:
            server.request_cancel(found, "by parent close policy", by=run, initiated=0)
        else:
            server.arrive(found, lambda: terminate(server, found, "by parent close policy"))

    server.soon(carry_out, f"{child.command.workflow_id} loses its parent")


def tell_parent(server: Server, run: Run, event: str, attributes: dict[str, Any]) -> None:
    """A child has closed for good; its parent hears of it after a message's time."""
    for told in server.on_closed:
        told(run)
    child = run.start.parent
    if child is None or child.closed:
        return
    parent = child.parent

    def deliver() -> None:
        if parent.status != RUNNING or child.closed:
            return
        child.closed = True
        server.record(
            parent,
            event,
            {
                "namespace": server.namespace,
                "workflow_execution": _execution(run),
                "workflow_type": {"name": run.start.workflow_type},
                "initiated_event_id": child.event_id,
                "started_event_id": child.started_event_id,
                **attributes,
            },
        )
        if not child.resolved:
            parent.resolve_child(child, *_child_outcome(child, run, event, attributes))
        server.wake(parent)

    server.soon(lambda: server.arrive(parent, deliver), f"{run.id} tells its parent")


def _child_outcome(
    child: Child, run: Run, event: str, attributes: dict[str, Any]
) -> tuple[str, Any]:
    """What the parent's Workflow sees, in the words of the SDK's core."""
    nothing_more = RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE
    state = attributes.get("retry_state", nothing_more)
    if event.endswith("completed"):
        return "completed", run.result
    if event.endswith("canceled"):
        cause = Failure(canceled_failure_info={})
        return "cancelled", _child_failure(
            "Child Workflow execution cancelled", cause, child, nothing_more
        )
    if event.endswith("timed_out"):
        cause = Failure(message="Timed out", timeout_failure_info={"timeout_type": 1})
        return "failed", _child_failure("Child Workflow execution timed out", cause, child, state)
    if event.endswith("terminated"):
        cause = Failure(message="Terminated", terminated_failure_info={})
        return "failed", _child_failure(
            "Child Workflow execution terminated", cause, child, nothing_more
        )
    return "failed", _child_failure(
        "Child Workflow execution failed", run.failure or Failure(), child, state
    )


def _child_failure(message: str, cause: Failure, child: Child, state: int) -> Failure:
    return Failure(
        message=message, cause=cause, child_workflow_execution_failure_info=child.info(state)
    )


# --- small things ------------------------------------------------------------------------


def _execution(run: Run) -> dict[str, str]:
    return {"workflow_id": run.id, "run_id": run.run_id}


def _queue(name: str) -> dict[str, Any]:
    return {"name": name, "kind": TaskQueueKind.TASK_QUEUE_KIND_NORMAL}


def _sticky(run: Run) -> dict[str, Any]:
    return {
        "name": f"{run.server.identity}-cache",
        "kind": TaskQueueKind.TASK_QUEUE_KIND_STICKY,
        "normal_name": run.start.task_queue,
    }


def _seconds(seconds: float, *, none: bool = False) -> dict[str, int] | None:
    if none and not seconds:
        return None
    return _duration(round(seconds * SECOND))


def _duration(nanoseconds: int) -> dict[str, int]:
    whole, rest = divmod(nanoseconds, SECOND)
    return {"seconds": whole, "nanos": rest}


def _json(value: Any) -> Payload:
    data = json.dumps(value, separators=(",", ":")).encode()
    return Payload(metadata={"encoding": b"json/plain"}, data=data)


_SEND: dict[str, Callable[[Any, Run, Outgoing, int], None]] = {
    "schedule_activity": _schedule_activity,
    "request_cancel_activity": _cancel_activity,
    "start_timer": _start_timer,
    "cancel_timer": _cancel_timer,
    "search_attributes": _search_attributes,
    "memo": _memo,
    "patch": _patch,
    "local_marker": _local_marker,
    "update_accepted": _update_accepted,
    "update_completed": _update_completed,
    "update_rejected": _update_failed,
    "start_child": _start_child,
    "cancel_child": _cancel_child,
    "signal_external": _signal_external,
    "cancel_external": _cancel_external,
    "complete_workflow_execution": _complete,
    "fail_workflow_execution": _fail,
    "cancel_workflow_execution": _cancel,
    "continue_as_new_workflow_execution": _continue_as_new,
}

assert EventType.EVENT_TYPE_TIMER_FIRED, "event types are named after their attributes"
