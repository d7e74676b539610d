"""What a trip under way waits for, in words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import WorkflowExecutionDescription, WorkflowHandle
from temporalio.service import RPCError

from travel.temporal.search_attributes import TRIP_STATUS

PATIENCE = timedelta(seconds=10)


async def waits_for(handle: WorkflowHandle[Any, Any]) -> str:
    """For example ``cancel_hotel, attempt 7: no connection (outage).``; asks the server alone."""
    try:
        about = await handle.describe(rpc_timeout=PATIENCE)
    except RPCError as error:
        return f"something that the server does not tell: {error.message}"
    raw = about.raw_description
    if raw.pending_activities:
        return "; ".join(map(_activity, raw.pending_activities))
    if raw.HasField("pending_workflow_task"):
        attempt = raw.pending_workflow_task.attempt
        tried = f", attempt {attempt}: it fails again and again" if attempt > 1 else ""
        return f"a Worker that runs its Workflow code{tried}"
    return _status(about) or "a timer or a message"


def _activity(pending: PendingActivityInfo) -> str:
    name = pending.activity_type.name
    waiting = pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    if waiting and not pending.HasField("last_failure"):
        return f"a Worker that takes {name}"
    said = " ".join(pending.last_failure.message.split()).removeprefix(f"{name}: ")
    return f"{name}, attempt {pending.attempt}" + (f": {said}" if said else "")


def _status(about: WorkflowExecutionDescription) -> str:
    """What the Workflow says itself, between two turns of an undo that is stuck."""
    status = about.typed_search_attributes.get(TRIP_STATUS) or ""
    return status.removeprefix("waiting for ") if status.startswith("waiting for ") else ""
