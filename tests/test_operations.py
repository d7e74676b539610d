"""What an operator can do to a trip in the Web UI, and what tombstones make of it.

Reset, retry of a closed trip, and Pause: told in ``travel/providers/once.py``.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporal import (
    UNDOS,
    Call,
    Gate,
    Switch,
    System,
    a_new_trip,
    activity_calls,
    compensations,
    failure_of,
    root,
    run,
    running_system,
)
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import (
    PauseActivityRequest,
    ResetWorkflowExecutionRequest,
    UnpauseActivityRequest,
)
from temporalio.client import WorkflowHandle
from temporalio.common import WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner

from travel.audit import audit
from travel.booking import result_of
from travel.store.database import Database
from travel.workflows import calls
from travel.workflows.book_trip import BookTrip


async def reset(system: System, handle: WorkflowHandle[Any, Any], event_id: int) -> None:
    """Run it again from that Workflow Task on: what came after is forgotten by Temporal."""
    client = system.client
    response = await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id),
            reason="tried in a test",
            workflow_task_finish_event_id=event_id,
            request_id=uuid4().hex,
        )
    )
    assert response.run_id


async def first_task(handle: WorkflowHandle[Any, Any]) -> int:
    return await task_after(handle, "WorkflowExecutionStarted")


async def task_after(handle: WorkflowHandle[Any, Any], activity: str) -> int:
    """The end of the first Workflow Task after that Activity was completed, or after the start."""
    reached = activity == "WorkflowExecutionStarted"
    scheduled: dict[int, str] = {}
    async for event in handle.fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            attributes = event.activity_task_scheduled_event_attributes
            scheduled[event.event_id] = attributes.activity_type.name
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            done = event.activity_task_completed_event_attributes.scheduled_event_id
            reached = reached or scheduled[done] == activity
        if reached and event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            return event.event_id
    raise AssertionError(f"no Workflow Task after {activity}")


def test_a_reset_of_a_trip_that_was_undone_meets_its_tombstones(
    temporal_address: str, sqlite_database: Database
) -> None:
    """It fails again, whatever has become free: its keys are spent. Nothing is held."""

    async def test() -> None:
        async with running_system(temporal_address, sqlite_database) as system:
            trip = a_new_trip(car_type="limousine")
            _, handle = await system.book(trip)
            await reset(system, handle, await first_task(handle))
            again = system.client.get_workflow_handle_for(BookTrip.run, handle.id)
            result = await result_of(again, trip, sqlite_database)
            assert not result.booked
            assert "was undone, so it can no longer be done" in result.reason
            assert await compensations(again) == []  # a definite no: nothing to undo

    run(test())
    assert audit(sqlite_database).clean


def test_a_reset_of_a_trip_that_stands_books_nothing_twice(
    temporal_address: str, sqlite_database: Database
) -> None:
    """The keys give every step the answer that it gave before, the payment too."""

    async def test() -> None:
        async with running_system(temporal_address, sqlite_database) as system:
            trip = a_new_trip()
            first, handle = await system.book(trip)
            await reset(system, handle, await task_after(handle, "book_hotel"))
            again = system.client.get_workflow_handle_for(BookTrip.run, handle.id)
            result = await result_of(again, trip, sqlite_database)
            assert result.confirmation == first.confirmation

    run(test())
    report = audit(sqlite_database)
    assert (report.completed, report.clean) == (1, True)


def test_a_closed_trip_is_tried_again_under_a_new_code_or_not_at_all(
    temporal_address: str, sqlite_database: Database
) -> None:
    """The same id is refused by the client; forced, by the tombstones; a new code books."""

    async def test() -> None:
        async with running_system(temporal_address, sqlite_database) as system:
            trip = a_new_trip(car_type="limousine")
            _, handle = await system.book(trip)
            assert (await system.start(trip)).id == handle.id  # the closed one is found
            forced = await system.client.start_workflow(
                BookTrip.run,
                trip,
                id=trip.workflow_id,
                task_queue=system.queue,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            )
            assert "was undone" in str(root(await failure_of(forced)))
            result, _ = await system.book(a_new_trip())
            assert result.booked

    run(test())
    assert audit(sqlite_database).clean


def test_a_paused_undo_waits_for_its_operator_and_so_do_the_older_ones(
    temporal_address: str, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pause stops the clock of the turn too: nobody else gets one until somebody unpauses."""
    switch = Switch("cancel_hotel")
    turn = timedelta(seconds=3)
    monkeypatch.setattr(calls, "UNDO_TURN", turn)
    runner = UnsandboxedWorkflowRunner()  # the sandbox would load the file anew

    async def test() -> None:
        gate = Gate("cancel_hotel")  # or the turn could be over before somebody can pause it
        system = running_system(
            temporal_address, sqlite_database, switch, gate=gate, workflow_runner=runner
        )
        async with system as it:
            trip = a_new_trip(car_type="limousine")
            handle = await it.start(trip)
            await gate.reached.wait()
            assert await pause(it, handle, "cancel_hotel")
            await gate.open()
            await asyncio.sleep(2 * turn.total_seconds())
            assert [call.outcome for call in await undo_turns(handle)] == ["open"]
            switch.down.clear()
            await unpause(it, handle, "cancel_hotel")
            assert not (await result_of(handle, trip, sqlite_database)).booked
            assert "cancel_flight" in [call.name for call in await undo_turns(handle)]

    run(test())
    assert audit(sqlite_database).clean


async def undo_turns(handle: WorkflowHandle[Any, Any]) -> list[Call]:
    return [call for call in await activity_calls(handle) if call.name in UNDOS]


def operator(system: System, handle: WorkflowHandle[Any, Any], activity: str) -> dict[str, Any]:
    return {
        "namespace": system.client.namespace,
        "execution": WorkflowExecution(workflow_id=handle.id),
        "type": activity,
        "identity": "a person",
    }


async def unpause(system: System, handle: WorkflowHandle[Any, Any], activity: str) -> None:
    request = UnpauseActivityRequest(**operator(system, handle, activity))
    await system.client.workflow_service.unpause_activity(request)


async def pause(system: System, handle: WorkflowHandle[Any, Any], activity: str) -> bool:
    """Whether there was such an Activity to pause yet."""
    request = PauseActivityRequest(**operator(system, handle, activity), reason="asking the hotel")
    try:
        await system.client.workflow_service.pause_activity(request)
    except RPCError as error:
        assert error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT), error
        return False
    return True
