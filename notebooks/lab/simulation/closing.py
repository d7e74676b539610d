"""How a run closes, and what follows: another run of the chain, and news for its parent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from temporalio.api.common.v1 import Payloads, SearchAttributes
from temporalio.api.enums.v1 import ContinueAsNewInitiator, ParentClosePolicy, RetryState
from temporalio.api.failure.v1 import Failure

from .clock import SECOND
from .forms import execution, nanoseconds, new_failure, queue, seconds
from .retries import backoff, retryable
from .run import Child, Outgoing, Run, Start

if TYPE_CHECKING:
    from .server import Server

RUNNING = "running"
CHANGE_VERSION = "TemporalChangeVersion"
SHORTEST_RUN = 1.0
"""Seconds. A run that continues as new sooner than that has its successor wait."""


def complete(server: Server, run: Run, out: Outgoing, completed: int) -> None:
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


def fail(server: Server, run: Run, out: Outgoing, completed: int) -> None:
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


def cancel(server: Server, run: Run, out: Outgoing, completed: int) -> None:
    _close(
        server,
        run,
        "canceled",
        "workflow_execution_canceled",
        {"workflow_task_completed_event_id": completed},
    )
    tell_parent(server, run, "child_workflow_execution_canceled", {})


def continue_as_new(server: Server, run: Run, out: Outgoing, completed: int) -> None:
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
    run_timeout = nanoseconds(command.workflow_run_timeout) / SECOND or start.run_timeout
    pause = nanoseconds(command.backoff_start_interval) / SECOND
    _close(
        server,
        run,
        "continued as new",
        "workflow_execution_continued_as_new",
        {
            "new_execution_run_id": following,
            "workflow_type": {"name": workflow_type},
            "task_queue": queue(command.task_queue or start.task_queue),
            "input": Payloads(payloads=command.arguments) if command.arguments else None,
            "workflow_run_timeout": seconds(run_timeout),
            "workflow_task_timeout": seconds(start.task_timeout),
            "workflow_task_completed_event_id": completed,
            "backoff_start_interval": seconds(pause, none=True),
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
    failure = new_failure(message="workflow timeout", timeout_failure_info={"timeout_type": 1})
    whole = bool(run.start.expires) and server.now >= run.start.expires
    nothing_left: tuple[int, int | None] = (RetryState.RETRY_STATE_TIMEOUT, None)
    state, pause = nothing_left if whole else _workflow_retry(server, run, failure)
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
    run.failure = new_failure(message=reason, terminated_failure_info={})
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
    if not retryable(failure, policy):
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
    return new_failure(
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
                "workflow_execution": execution(run),
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
        cause = new_failure(canceled_failure_info={})
        return "cancelled", _child_failure(
            "Child Workflow execution cancelled", cause, child, nothing_more
        )
    if event.endswith("timed_out"):
        cause = new_failure(message="Timed out", timeout_failure_info={"timeout_type": 1})
        return "failed", _child_failure("Child Workflow execution timed out", cause, child, state)
    if event.endswith("terminated"):
        cause = new_failure(message="Terminated", terminated_failure_info={})
        return "failed", _child_failure(
            "Child Workflow execution terminated", cause, child, nothing_more
        )
    return "failed", _child_failure(
        "Child Workflow execution failed", run.failure or new_failure(), child, state
    )


def _child_failure(message: str, cause: Failure, child: Child, state: int) -> Failure:
    return new_failure(
        message=message, cause=cause, child_workflow_execution_failure_info=child.info(state)
    )
