"""What the server does with each command of a Workflow Task."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from temporalio.api.common.v1 import Payloads, SearchAttributes
from temporalio.api.update.v1 import Input, Meta, Outcome, Request

from . import closing, others
from .forms import duration, json_payload, nanoseconds, queue
from .run import Job, Outgoing, Run, Timer

if TYPE_CHECKING:
    from .server import Server

RUNNING = "running"
CLOSING = {
    "complete_workflow_execution",
    "fail_workflow_execution",
    "cancel_workflow_execution",
    "continue_as_new_workflow_execution",
}


def _schedule_activity(server: Server, run: Run, out: Outgoing, completed: int) -> None:
    task = out.what
    command = task.command
    task.event_id = run.events.add(
        "activity_task_scheduled",
        server.now,
        {
            "activity_id": command.activity_id,
            "activity_type": {"name": command.activity_type},
            "task_queue": queue(command.task_queue),
            "header": {"fields": dict(command.headers)},
            "input": Payloads(payloads=command.arguments) if command.arguments else None,
            "schedule_to_close_timeout": duration(task.schedule_to_close),
            "schedule_to_start_timeout": duration(task.schedule_to_start),
            "start_to_close_timeout": duration(task.start_to_close),
            "heartbeat_timeout": duration(task.heartbeat_timeout),
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
    delay = nanoseconds(timeout)
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
    data = json_payload({"id": command.patch_id, "deprecated": command.deprecated})
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
    payload = json_payload(patches)
    payload.metadata["type"] = b"KeywordList"
    attributes = SearchAttributes(indexed_fields={closing.CHANGE_VERSION: payload})
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
                meta=Meta(update_id=update.id, identity=server.identity),
                input=Input(
                    name=update.name,
                    args=Payloads(payloads=update.args) if update.args else None,
                ),
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


SEND: dict[str, Callable[[Any, Run, Outgoing, int], None]] = {
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
    "start_child": others.start_child,
    "cancel_child": others.cancel_child,
    "signal_external": others.signal_external,
    "cancel_external": others.cancel_external,
    "complete_workflow_execution": closing.complete,
    "fail_workflow_execution": closing.fail,
    "cancel_workflow_execution": closing.cancel,
    "continue_as_new_workflow_execution": closing.continue_as_new,
}
