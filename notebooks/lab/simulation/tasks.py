"""Workflow Tasks: what the server writes of them, and what their end does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import temporalio.service
from temporalio.api.common.v1 import Payloads, SearchAttributes
from temporalio.api.enums.v1 import ContinueAsNewInitiator, WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure

from .clock import SECOND
from .commands import CLOSING, SEND
from .forms import execution, new_failure, queue, seconds, sticky_queue
from .retries import START_TO_CLOSE
from .run import CORE_FLAGS, Outgoing, Run

if TYPE_CHECKING:
    from .server import Server

RUNNING = "running"
BUG = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE
"""Why a task failed whose code raised what is no failure of the Workflow."""

HEARTBEAT_SHARE = 0.8
"""Of a Workflow Task's timeout: when core completes one that local Activities keep open."""


def started(run: Run) -> dict[str, Any]:
    """Attributes of a run's first event."""
    start, parent = run.start, run.start.parent
    continued = start.initiator == ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW
    return {
        "workflow_type": {"name": start.workflow_type},
        "workflow_id": run.id,
        "task_queue": queue(start.task_queue),
        "input": Payloads(payloads=start.input) if start.input else None,
        "workflow_execution_timeout": seconds(start.execution_timeout, none=True),
        "workflow_run_timeout": seconds(
            start.run_timeout or start.execution_timeout, none=not continued
        ),
        "workflow_task_timeout": seconds(start.task_timeout),
        "original_execution_run_id": run.run_id,
        "first_execution_run_id": start.first_run_id,
        "identity": run.server.identity,
        "attempt": start.attempt,
        "retry_policy": start.retry_policy,
        "first_workflow_task_backoff": seconds(start.backoff, none=continued),
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
        "parent_workflow_execution": execution(parent.parent) if parent else None,
        "parent_initiated_event_id": parent.event_id if parent else None,
        "root_workflow_execution": {"workflow_id": start.root[0], "run_id": start.root[1]}
        if start.root
        else None,
        "priority": start.priority,
    }


def task_scheduled(run: Run) -> dict[str, Any]:
    """Attributes of a Workflow Task's first event."""
    return {
        "task_queue": sticky_queue(run) if run.sticky else queue(run.start.task_queue),
        "start_to_close_timeout": seconds(run.start.task_timeout),
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


def closes(outgoing: list[Outgoing]) -> bool:
    """Whether one of the commands closes the run."""
    return any(out.kind in CLOSING for out in outgoing)


def complete_task(server: Server, run: Run) -> None:
    """The Worker has answered: write what it asked for, and do it."""
    if run.buffered and closes(run.outgoing):
        failure = new_failure(message="UnhandledCommand")
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
                SEND[out.kind](server, run, out, completed)
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


def _write_arrived(run: Run) -> None:
    """What arrived while the task was open is written now."""
    buffered, run.buffered = run.buffered, []
    for action in buffered:
        action()


def _flush(server: Server, run: Run) -> None:
    _write_arrived(run)
    if run.status == RUNNING and run.update_jobs and not run.waits_for_task:
        run.waits_for_task = run.speculative = True
        server.schedule_task(run)


def fail_task(server: Server, run: Run, failure: Failure, cause: int | None = None) -> None:
    """The Worker could not do it: all of it is tried again, from the history."""
    _take_back(run)
    run.task_failure = failure
    about = {"cause": cause or BUG, "failure": failure, "identity": server.identity}
    _write_end(server, run, "workflow_task_failed", about)
    server.count("Workflow Task failed")
    _try_again(server, run)


def lose_task(server: Server, run: Run) -> None:
    """The Worker died over it: when its timeout has passed, another one is given it."""
    task = run.tasks_begun

    def time_out() -> None:
        if not run.task_open or run.tasks_begun != task or run.status != RUNNING:
            return
        _take_back(run)
        _write_end(server, run, "workflow_task_timed_out", {"timeout_type": START_TO_CLOSE})
        server.count("Workflow Task timed out")
        _try_again(server, run)

    delay = round(run.start.task_timeout * SECOND)
    server.queue.push(delay, time_out, f"Workflow Task of {run.id} times out")


def _take_back(run: Run) -> None:
    """What the Workflow asked for in this task was never sent."""
    for revert in reversed(run.reverts):
        revert()
    run.reverts = []
    run.outgoing, run.rejections = [], []
    run.journal = [entry for entry in run.journal if entry.task != run.tasks]
    run.tasks -= 1
    run.flags = set(run.recorded_flags)
    updates = [job for job in run.task_jobs if job.HasField("do_update")]
    others = [job for job in run.task_jobs if not job.HasField("do_update")]
    late = [job for job in run.jobs if not job.resolve_activity.is_local]
    run.jobs = [*others, *late]
    run.update_jobs = [*updates, *run.update_jobs]
    for local in run.locals.values():
        local.restart()
    run.evict()


def _write_end(server: Server, run: Run, name: str, about: dict[str, Any]) -> None:
    """Only a task's first attempt is in the history, unless a later one succeeds."""
    scheduled, begun = run.task_events
    if run.task_attempt > 1:
        run.events.drop_last(2)
        return
    attributes = {"scheduled_event_id": scheduled, "started_event_id": begun, **about}
    run.events.add(name, server.now, attributes)


def _try_again(server: Server, run: Run) -> None:
    run.task_open = False
    news = bool(run.buffered)
    run.failing = True
    _write_arrived(run)
    run.failing = False
    if run.status == RUNNING:
        server.try_task_again(run, news)
    run.sticky = False


def watch_task(server: Server, run: Run) -> None:
    """Keep a task alive that local Activities keep open, as core does."""
    task = run.tasks_begun
    if run.watched_task == task:
        return
    run.watched_task = task

    def beat() -> None:
        if not run.task_open or run.tasks_begun != task:
            return
        complete_task(server, run)
        if run.status != RUNNING:
            return
        if not run.waits_for_task:
            run.waits_for_task = True
            server.write_scheduled(run)
        server.start_task(run)

    delay = round(run.start.task_timeout * HEARTBEAT_SHARE * SECOND)
    label = f"Workflow Task of {run.id} is kept alive"
    server.queue.push(delay, beat, label, background=True)
