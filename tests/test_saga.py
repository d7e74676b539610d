"""The Saga by itself: what is undone, in which order, and that nothing stops it."""

from __future__ import annotations

import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from saga_workflows import Journey, Plan, World
from temporal import failure_of, root, run, suspended_in, until
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError
from temporalio.testing import TimeSkipper
from temporalio.worker import Worker

from travel import saga
from travel.temporal.connection import connect

Handle = WorkflowHandle[Any, Any]


@asynccontextmanager
async def journey(
    address: str, world: World, plan: Plan, *, virtual: bool = True, **options: Any
) -> AsyncIterator[Handle]:
    """A Journey under way, on a virtual clock, and the Worker that it needs."""
    client: Client = await connect(address)
    if virtual:
        client = TimeSkipper(client).client
    queue = f"saga-{uuid4().hex}"
    activities = [world.do, world.undo]
    async with Worker(
        client, task_queue=queue, workflows=[Journey], activities=activities, **options
    ):
        yield await client.start_workflow(Journey.run, plan, id=queue, task_queue=queue)


async def event_types(handle: Handle) -> list[int]:
    return [event.event_type async for event in handle.fetch_history_events()]


async def until_event(handle: Handle, event_type: int) -> None:
    async def happened() -> bool:
        return event_type in await event_types(handle)

    await until(happened)


async def seen_cancel(handle: Handle) -> None:
    """Ask for cancellation and wait until the Workflow knows."""
    await handle.cancel()
    requested = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
    worked = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED

    async def seen() -> bool:
        types = await event_types(handle)
        return worked in types[types.index(requested) :]

    await until(seen)


async def status_of(handle: Handle) -> WorkflowExecutionStatus | None:
    return (await handle.describe()).status


async def until_written(world: World, entry: str) -> None:
    async def written() -> bool:
        return entry in world.diary

    await until(written)


def message_of(error: BaseException | None) -> str:
    cause = root(error)
    assert isinstance(cause, ApplicationError)
    return cause.message


# --- what is undone, and in which order ---------------------------------------


@pytest.mark.parametrize("way", ["in sequence", "gather", "task group"])
def test_without_an_error_everything_stands(temporal_address: str, way: str) -> None:
    async def test() -> None:
        world = World()
        async with journey(temporal_address, world, Plan(way=way)) as handle:
            assert await handle.result() == ["a", "b", "c"]
            assert sorted(world.diary) == ["do a", "do b", "do c"]
            assert await handle.query(Journey.to_undo) == []

    run(test())


@pytest.mark.parametrize(
    ("troubles", "undone"),
    [
        ({"do_a": ["rejected"]}, []),
        ({"do_c": ["rejected"]}, ["undo b", "undo a"]),
        ({"do_c": ["outage"]}, ["undo c", "undo b", "undo a"]),
        ({"do_c": ["fatal"]}, ["undo c", "undo b", "undo a"]),
    ],
)
def test_newest_first_and_without_what_was_rejected(
    temporal_address: str, troubles: dict[str, list[str]], undone: list[str]
) -> None:
    async def test() -> None:
        world = World(**troubles)
        async with journey(temporal_address, world, Plan()) as handle:
            error = await failure_of(handle)
            assert isinstance(error, ActivityError)
            assert world.undone == undone

    run(test())


def test_a_step_that_timed_out_is_undone(temporal_address: str) -> None:
    async def test() -> None:
        world = World(do_quick=["lost"])
        plan = Plan(["a", "quick"])
        async with journey(temporal_address, world, plan) as handle:
            await failure_of(handle)
            assert world.undone == ["undo quick", "undo a"]

    run(test())


def test_a_failure_of_the_body_itself_undoes_everything(temporal_address: str) -> None:
    async def test() -> None:
        world = World()
        async with journey(temporal_address, world, Plan(end="failure")) as handle:
            assert message_of(await failure_of(handle)) == "the body failed"
            assert world.undone == ["undo c", "undo b", "undo a"]

    run(test())


def test_an_undo_waits_for_the_one_before_it(temporal_address: str) -> None:
    async def test() -> None:
        world = World(undo_c=["wait"])
        async with journey(temporal_address, world, Plan(end="failure")) as handle:
            await until_written(world, "undo c")
            assert await handle.query(Journey.to_undo) == ["c", "b", "a"]
            assert world.undone == ["undo c"]
            world.opened.set()
            await failure_of(handle)
            assert world.undone == ["undo c", "undo b", "undo a"]

    run(test())


# --- side by side -------------------------------------------------------------


@pytest.mark.parametrize("way", ["gather", "task group"])
def test_steps_under_way_beside_a_failed_one_are_undone(temporal_address: str, way: str) -> None:
    async def test() -> None:
        world = World(do_b=["rejected"], do_c=["wait"])
        async with journey(temporal_address, world, Plan(way=way)) as handle:
            error = await failure_of(handle)
            world.opened.set()
            assert isinstance(error, ActivityError)
            assert message_of(error) == "do b: no"
            assert world.undone == ["undo c", "undo a"]

    run(test())


def test_siblings_are_settled_before_anything_is_undone(temporal_address: str) -> None:
    async def test() -> None:
        world = World(do_a=["rejected"], do_b=["wait"], do_c=["wait"])
        async with journey(temporal_address, world, Plan(way="gather and tidy")) as handle:
            await failure_of(handle)
            world.opened.set()
            tidied = [entry for entry in world.diary if "tidy" in entry]
            assert sorted(tidied) == ["do tidy a", "do tidy b", "do tidy c"]
            assert world.diary[-2:] == ["undo c", "undo b"]

    run(test())


def test_a_group_of_failures_is_compensated_and_its_first_raised(temporal_address: str) -> None:
    async def test() -> None:
        world = World()
        async with journey(temporal_address, world, Plan(end="group of failures")) as handle:
            assert message_of(await failure_of(handle)) == "first"
            assert world.undone == ["undo c", "undo b", "undo a"]

    run(test())


# --- undos that fail ----------------------------------------------------------


@pytest.mark.parametrize("trouble", ["outage", "fatal"])
def test_a_stuck_undo_gives_its_turn_away_and_is_tried_again(
    temporal_address: str, trouble: str
) -> None:
    async def test() -> None:
        world = World(undo_b=[trouble, trouble])
        async with journey(temporal_address, world, Plan(end="failure")) as handle:
            error = await failure_of(handle)
            assert message_of(error) == "the body failed", "not the error of the undo"
            assert world.undone == ["undo c", "undo b", "undo a", "undo b", "undo b"]
            changes = await handle.query(Journey.stuck_at_each_change)
            assert changes == [[], [], ["b"], ["b"], ["b"], []]

    run(test())


def test_what_is_stuck_can_be_seen(temporal_address: str) -> None:
    async def test() -> None:
        world = World(undo_a=["outage"], undo_c=["outage"])
        plan = Plan(end="failure")
        async with journey(temporal_address, world, plan, virtual=False) as handle:
            await until_written(world, "undo a")

            async def stuck() -> bool:
                return await handle.query(Journey.stuck) == ["c", "a"]

            await until(stuck)
            assert await handle.query(Journey.to_undo) == ["c", "a"]
            await handle.terminate()

    run(test())


def test_the_pauses_grow_up_to_an_hour(temporal_address: str) -> None:
    async def test() -> None:
        world = World(undo_a=["outage"] * 7)
        plan = Plan(["a"], end="failure")
        async with journey(temporal_address, world, plan) as handle:
            await failure_of(handle)
            pauses = [
                event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
                async for event in handle.fetch_history_events()
                if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED
            ]
            assert pauses == [timedelta(minutes=n) for n in (1, 2, 4, 8, 16, 32, 60)]

    run(test())


# --- cancel requests ----------------------------------------------------------


def test_cancelled_in_a_sleep(temporal_address: str) -> None:
    async def test() -> None:
        world = World()
        plan = Plan(end="sleep")
        async with journey(temporal_address, world, plan, virtual=False) as handle:
            await until_event(handle, EventType.EVENT_TYPE_TIMER_STARTED)
            await handle.cancel()
            assert isinstance(await failure_of(handle), CancelledError)
            assert await status_of(handle) == WorkflowExecutionStatus.CANCELED
            assert world.undone == ["undo c", "undo b", "undo a"]

    run(test())


@pytest.mark.parametrize("way", ["in sequence", "gather", "task group"])
def test_cancelled_during_a_step(temporal_address: str, way: str) -> None:
    async def test() -> None:
        world = World(do_c=["wait"])
        async with journey(temporal_address, world, Plan(way=way)) as handle:
            await until_written(world, "do c")
            await handle.cancel()
            assert isinstance(await failure_of(handle), CancelledError)
            world.opened.set()
            assert world.undone[0] == "undo c"
            assert sorted(world.undone) == ["undo a", "undo b", "undo c"]
            assert await status_of(handle) == WorkflowExecutionStatus.CANCELED

    run(test())


def test_cancelled_during_compensation(temporal_address: str) -> None:
    async def test() -> None:
        world = World(undo_c=["wait"])
        async with journey(temporal_address, world, Plan(end="failure")) as handle:
            await until_written(world, "undo c")
            await seen_cancel(handle)
            world.opened.set()
            assert message_of(await failure_of(handle)) == "the body failed"
            assert world.undone == ["undo c", "undo b", "undo a"]
            assert await status_of(handle) == WorkflowExecutionStatus.FAILED

    run(test())


@pytest.mark.parametrize("end", ["failure", "sleep"])
def test_cancelled_three_times_during_compensation(temporal_address: str, end: str) -> None:
    """Whatever began the compensation: a failure, or a cancel request itself."""

    async def test() -> None:
        world = World(undo_c=["wait"])
        plan = Plan(end=end)
        async with journey(temporal_address, world, plan, virtual=False) as handle:
            if end == "sleep":
                await until_event(handle, EventType.EVENT_TYPE_TIMER_STARTED)
                await handle.signal(Journey.cancel_main)
            await until_written(world, "undo c")
            for _ in range(3):
                await handle.signal(Journey.cancel_main)
                assert await handle.query(Journey.to_undo) == ["c", "b", "a"]
            world.opened.set()
            error = await failure_of(handle)
            assert isinstance(error, ApplicationError if end == "failure" else CancelledError)
            assert world.undone == ["undo c", "undo b", "undo a"]

    run(test())


# --- bugs, and eviction from the cache ----------------------------------------


def test_a_bug_does_not_compensate(temporal_address: str) -> None:
    """Temporal keeps the Workflow open until the code is mended; the trip may yet succeed."""

    async def test() -> None:
        world = World()
        plan = Plan(end="bug")
        async with journey(temporal_address, world, plan, virtual=False) as handle:
            await until_event(handle, EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED)
            assert await status_of(handle) == WorkflowExecutionStatus.RUNNING
            assert world.undone == []
            await handle.terminate()

    run(test())


@pytest.mark.parametrize("way", ["in sequence", "gather", "task group"])
def test_evicted_after_every_task(
    temporal_address: str, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        world = World(undo_b=["outage"])
        plan = Plan(way=way, end="failure")
        async with journey(temporal_address, world, plan, max_cached_workflows=0) as handle:
            assert message_of(await failure_of(handle)) == "the body failed"
            assert world.undone == ["undo c", "undo b", "undo a", "undo b"]

    with caplog.at_level(logging.ERROR):
        run(test())
    assert caplog.records == [], "no tasks remain, and no other error"


def test_a_worker_that_stops_in_mid_compensation_leaves_no_error(
    temporal_address: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    async def test() -> None:
        world = World(undo_c=["wait"], do_b=["wait"])
        for plan, entry in ((Plan(["c"], end="failure"), "undo c"), (Plan(["b"]), "do b")):
            async with journey(temporal_address, world, plan, virtual=False) as handle:
                await until_written(world, entry)
            await handle.terminate()
        gc.collect()

    with caplog.at_level(logging.ERROR):
        run(test())
    assert caplog.records == []
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("plan", "troubles", "entry"),
    [
        (Plan(["a"]), {"do_a": ["wait"]}, "do a"),
        (Plan(way="gather"), {"do_b": ["wait"]}, "do b"),
        (Plan(way="task group"), {"do_b": ["wait"]}, "do b"),
        (Plan(way="gather and tidy"), {"do_b": ["rejected"], "do_tidy b": ["wait"]}, "do tidy b"),
        (Plan(end="failure"), {"undo_b": ["wait"]}, "undo b"),
        (Plan(end="failure"), {"undo_c": ["fatal"], "undo_a": ["wait"]}, "undo a"),
    ],
)
def test_a_saga_whose_worker_stopped_asks_nothing_of_another(
    temporal_address: str, plan: Plan, troubles: dict[str, list[str]], entry: str
) -> None:
    """The SDK evicts no Workflow when its Worker stops: Python's garbage collector ends it.

    Perhaps in the thread of another Workflow, which would be asked for what a saga wants.
    """

    async def test() -> None:
        world = World(**troubles)
        async with journey(temporal_address, world, plan, virtual=False) as handle:
            await until_written(world, entry)
        await handle.terminate()

    gc.disable()
    try:
        run(test())
        dropped = suspended_in(saga)
        assert dropped
        for coroutine in dropped:
            coroutine.close()  # as the collector does; it raises if something is asked for
    finally:
        gc.enable()
