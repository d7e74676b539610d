"""No way out of a saga's block loses an undo in silence: every way that people have found."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from lab.running.evicting import evicting
from lab.simulation import Cancel, Code, Decision, Fault, Hold, Schedule, Signal, Simulation, Update
from lab.simulation import Handle as Simulated
from saga_cases.answers import DealsWithTooMuch, Fallback
from saga_cases.cancels import CancelledAround, InnerSaga, Uninterrupted
from saga_cases.exceptions import (
    FailureAnswered,
    FinallyReturns,
    GroupDeclared,
    GroupOfBoth,
    NothingOwed,
    PlainErrorAnswered,
    PlainErrorDeclared,
    PlainErrorNamed,
    PlainErrorTranslated,
)
from saga_cases.messages import (
    Basket,
    BasketInVain,
    BlockInATask,
    DeadlineBasket,
    OpenAfterCalm,
    OpenLater,
    SagaInHandler,
    SettledMeanwhile,
    TasksFromBefore,
)
from saga_cases.misuse import (
    ContinueInInner,
    ContinueInside,
    InnerBesideSibling,
    MisuseAnswered,
    Misused,
    SideBySide,
)
from saga_cases.undos import BugInUndo, CallbackRaises, StrangeUndo
from saga_cases.world import Failing, World
from temporal import failure_of, root, run, until
from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError
from temporalio.testing import TimeSkipper
from temporalio.worker import Worker

from travel.temporal.connection import connect

Handle = WorkflowHandle[Any, Any]


@asynccontextmanager
async def started(
    address: str, world: World, design: Any, *args: Any, virtual: bool = True, **options: Any
) -> AsyncIterator[Handle]:
    """A Workflow under way, and the Worker that it needs: a bare one, as a beginner's."""
    plain = await connect(address)
    client = TimeSkipper(plain).client if virtual else plain
    queue = f"saga-{uuid4().hex}"
    activities = [world.do, world.undo, world.look]
    # Not all that there are: the sandbox loads each one anew, for every Worker.
    workflows = list(dict.fromkeys([design, Failing]))
    async with (
        evicting() as runner,
        Worker(
            client,
            task_queue=queue,
            workflows=workflows,
            activities=activities,
            workflow_runner=runner,
            **options,
        ),
    ):
        handle = await client.start_workflow(design.run, args=args, id=queue, task_queue=queue)
        yield handle
        if await status_of(handle) == WorkflowExecutionStatus.RUNNING:
            await handle.terminate()


async def status_of(handle: Handle) -> WorkflowExecutionStatus | None:
    return (await handle.describe()).status


async def refused(handle: Handle) -> str:
    """The sentence with which the Workflow Task fails, while the Workflow stays open."""
    found: list[str] = []

    async def failed() -> bool:
        async for event in handle.fetch_history_events():
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
                found.append(event.workflow_task_failed_event_attributes.failure.message)
        return bool(found)

    await until(failed)
    assert await status_of(handle) == WorkflowExecutionStatus.RUNNING
    return found[0]


async def written(world: World, entry: str) -> None:
    async def there() -> bool:
        return entry in world.diary

    await until(there)


async def noted(handle: Handle, note: str) -> None:
    async def there() -> bool:
        return note in await handle.query("told")

    await until(there)


async def cancelled(handle: Handle) -> None:
    """Ask for cancellation and wait until the Workflow knows."""
    await handle.cancel()

    async def seen() -> bool:
        types = [event.event_type async for event in handle.fetch_history_events()]
        if EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED not in types:
            return False
        since = types.index(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED)
        return EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED in types[since:]

    await until(seen)


def message(error: BaseException | None) -> str:
    cause = root(error)
    assert isinstance(cause, ApplicationError), repr(cause)
    return cause.message


FLAGS = pytest.mark.parametrize("next_flags", [False, True], ids=["shipped flags", "next flags"])


def simulated(
    world: World, design: Any, *args: Any, schedule: tuple[Decision, ...] = (), **options: Any
) -> Simulated:
    """What came of the Workflow, in the simulator and in a replay."""
    code = Code([design], [world.do, world.undo, world.look], **options)
    simulation = Simulation(code, Schedule(*schedule))
    handle = simulation.start(design, *args)
    simulation.run().verify()
    return handle


# --- S1: exceptions that are no failure to Temporal --------------------------------------


def test_a_plain_error_does_not_get_past_the_block_and_the_sentence_says_why(
    temporal_address: str,
) -> None:
    async def test() -> None:
        world = World()
        async with started(temporal_address, world, PlainErrorTranslated) as handle:
            sentence = await refused(handle)
            assert "KeyError('hotel')" in sentence and "owes flight" in sentence
            assert "raise an ApplicationError inside the block" in sentence
            assert world.undone == [], "a bug compensates nothing"

    run(test())


@pytest.mark.parametrize("how", ["", "in a task group", "in a gather", "in an inner saga"])
def test_nobody_outside_can_answer_a_plain_error(temporal_address: str, how: str) -> None:
    async def test() -> None:
        world = World()
        async with started(temporal_address, world, PlainErrorAnswered, how) as handle:
            assert "ValueError('a bug')" in await refused(handle)
            assert world.undone == []

    run(test())


def test_not_even_by_a_return_in_a_finally(temporal_address: str) -> None:
    async def test() -> None:
        world = World()
        async with started(temporal_address, world, FinallyReturns) as handle:
            assert "ValueError('a bug')" in await refused(handle)
            assert world.undone == []

    run(test())


@pytest.mark.parametrize("design", [PlainErrorNamed, PlainErrorDeclared])
def test_a_plain_error_that_is_named_as_a_failure_is_undone(
    temporal_address: str, design: Any
) -> None:
    async def test() -> None:
        world = World()
        async with started(temporal_address, world, design) as handle:
            assert "hotel" in message(await failure_of(handle))
            assert world.undone == ["flight"]
            assert world.held == set()

    run(test())


def test_on_a_worker_to_which_everything_is_a_failure_a_bug_is_undone(
    temporal_address: str,
) -> None:
    async def test() -> None:
        world = World()
        options: dict[str, Any] = {"workflow_failure_exception_types": [Exception]}
        async with started(temporal_address, world, PlainErrorTranslated, **options) as handle:
            assert "hotel" in message(await failure_of(handle))
            assert world.held == set()

    run(test())


def test_a_group_that_is_declared_a_failure_is_undone() -> None:
    world = World()
    handle = simulated(world, GroupDeclared)
    assert (handle.status, world.undone) == ("failed", ["flight"])
    assert "ExceptionGroup" in str(handle.error)


def test_a_plain_error_passes_where_nothing_is_owed(temporal_address: str) -> None:
    async def test() -> None:
        world = World(do_flight=["rejected"])
        async with started(temporal_address, world, NothingOwed) as handle:
            assert await handle.result() == "answered"
            assert world.diary == ["do flight"]

    run(test())


def test_a_failure_is_undone_before_somebody_outside_answers_it(temporal_address: str) -> None:
    async def test() -> None:
        world = World(do_hotel=["lost"])
        async with started(temporal_address, world, FailureAnswered) as handle:
            assert await handle.result() == "answered"
            assert world.diary[2:] == ["undo hotel", "undo flight", "look what is left"]
            assert world.held == set()

    run(test())


def test_a_failure_beside_a_bug_in_one_group_is_undone_and_raised(temporal_address: str) -> None:
    """Mending the bug would not undo the failure."""

    async def test() -> None:
        world = World()
        async with started(temporal_address, world, GroupOfBoth) as handle:
            assert message(await failure_of(handle)) == "a failure"
            assert world.held == set()

    run(test())


# --- S2: undos that end by anything but success ------------------------------------------


@pytest.mark.parametrize(
    ("how", "rest"),
    [
        ("waits in vain", []),
        ("asyncio.timeout", []),
        ("cancelled part", []),
        ("task group", ["b1", "b2"]),
        ("group in a group", []),
        ("a saga of its own", ["voucher"]),
        ("child Workflow", []),
    ],
)
def test_what_would_end_a_workflow_is_a_stuck_undo(
    temporal_address: str, how: str, rest: list[str]
) -> None:
    async def test() -> None:
        world = World(undo_b1=["down"])
        async with started(temporal_address, world, StrangeUndo, how) as handle:
            assert message(await failure_of(handle)) == "the body failed"
            assert world.undone == ["b", *rest, "a", "b"], "the others get their turns"
            assert world.held == set()

    run(test())


def test_a_bug_in_an_undo_keeps_the_workflow_open(temporal_address: str) -> None:
    async def test() -> None:
        world = World()
        async with started(temporal_address, world, BugInUndo) as handle:
            sentence = await refused(handle)
            assert "a bug in the undo" in sentence and "b, a" in sentence

    run(test())


@pytest.mark.parametrize("how", ["failure", "bug", "cancelled"])
def test_a_callback_that_raises_harms_nothing(
    temporal_address: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        world = World()
        async with started(temporal_address, world, CallbackRaises, how) as handle:
            assert message(await failure_of(handle)) == "the body failed"
            assert world.undone == ["b", "a"]

    with caplog.at_level(logging.ERROR):
        run(test())
    assert "on_change of a saga raised" in caplog.text


# --- S3: steps in handlers of messages ---------------------------------------------------


@pytest.mark.parametrize(
    ("trouble", "undone"), [("lost", ["seat", "flight"]), ("rejected", ["flight"])]
)
def test_a_step_that_fails_in_a_signal_handler_undoes_everything(
    temporal_address: str, trouble: str, undone: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        world = World(do_seat=[trouble])
        async with started(temporal_address, world, Basket) as handle:
            await written(world, "do flight")
            await handle.signal("add", "seat")
            error = await failure_of(handle)
            assert isinstance(error, ActivityError)
            assert "seat" in message(error)
            assert world.undone == undone
            assert world.held == set()
            assert await handle.query("told") == ["adding seat", "over seat"]

    with caplog.at_level(logging.ERROR):
        run(test())
    assert caplog.records == []


def test_two_steps_in_one_signal_handler(temporal_address: str) -> None:
    async def test() -> None:
        world = World(do_seat=["wait"], do_meal=["lost"])
        async with started(temporal_address, world, Basket, virtual=False) as handle:
            await written(world, "do flight")
            await handle.signal("add_both", ["seat", "meal"])
            assert message(await failure_of(handle)) == "meal: reply lost"
            assert world.undone == ["meal", "seat", "flight"]

    run(test())


def test_a_step_in_a_signal_handler_under_way_when_the_block_fails(temporal_address: str) -> None:
    async def test() -> None:
        world = World(do_seat=["wait"], do_payment=["lost"])
        async with started(temporal_address, world, Basket, virtual=False) as handle:
            await handle.signal("add", "seat")
            await written(world, "do seat")
            await handle.signal("pay")
            assert message(await failure_of(handle)) == "payment: reply lost"
            assert world.undone == ["payment", "seat", "flight"]
            assert await status_of(handle) == WorkflowExecutionStatus.FAILED

    run(test())


def test_a_good_end_waits_for_the_steps_in_handlers(temporal_address: str) -> None:
    async def test() -> None:
        world = World(do_seat=["wait"])
        async with started(temporal_address, world, Basket, virtual=False) as handle:
            await handle.signal("add", "seat")
            await written(world, "do seat")
            await handle.signal("pay")
            await written(world, "do payment")
            world.opened.set()
            assert await handle.result() == "booked"
            assert world.held == {"flight", "seat", "payment"}

    run(test())


def test_and_fails_if_one_of_them_fails(temporal_address: str) -> None:
    async def test() -> None:
        world = World(do_seat=["wait, lost"])
        async with started(temporal_address, world, Basket, virtual=False) as handle:
            await handle.signal("add", "seat")
            await written(world, "do seat")
            await handle.signal("pay")
            await written(world, "do payment")
            world.opened.set()
            assert message(await failure_of(handle)) == "seat: reply lost"
            assert world.held == set()

    run(test())


@FLAGS
@pytest.mark.parametrize("events", [1, 2, 3])
@pytest.mark.parametrize("paid", range(3, 9))
def test_and_fails_if_one_of_them_fails_as_the_block_ends(
    paid: int, events: int, next_flags: bool
) -> None:
    """The reply that ends the block and the one that says no, in one activation or two."""
    world = World()
    code = Code([Basket], [world.do, world.undo, world.look], next_flags=next_flags)
    for task in range(2, 6):
        schedule = Schedule(
            Signal(1, name="add", args=("seat",)),
            Signal(paid, name="pay"),
            Fault("do", "lost reply", call=2),
            Hold(task, events),
        )
        simulation = Simulation(code, schedule)
        handle = simulation.start(Basket)
        simulation.run().verify()
        assert (handle.status, world.held) == ("failed", set()), schedule


@FLAGS
def test_and_fails_at_a_deadline_that_passes_while_it_waits_for_them(next_flags: bool) -> None:
    world = World()
    schedule = (Update(3, name="choose"), Signal(3, name="pay"))
    handle = simulated(world, DeadlineBasket, schedule=schedule, next_flags=next_flags)
    assert (handle.status, message(handle.error)) == ("failed", "too late")
    assert world.undone == ["room", "flight"]


def test_a_cancel_request_while_a_good_end_waits_for_them_undoes_everything(
    temporal_address: str,
) -> None:
    async def test() -> None:
        world = World(do_seat=["wait"])
        async with started(temporal_address, world, Basket, virtual=False) as handle:
            await handle.signal("add", "seat")
            await written(world, "do seat")
            await handle.signal("pay")
            await written(world, "do payment")
            await handle.cancel()
            assert isinstance(await failure_of(handle), CancelledError)
            assert sorted(world.undone) == ["flight", "payment", "seat"]

    run(test())


@pytest.mark.parametrize("late", ["while undoing", "over"])
def test_a_late_step_in_a_signal_handler_is_refused_without_harm(
    temporal_address: str, late: str
) -> None:
    async def test() -> None:
        undoing = late == "while undoing"
        troubles = {"undo_flight": ["wait"], "do_payment": ["rejected"]} if undoing else {}
        world = World(**troubles, look_the_rest=["wait"])
        async with started(temporal_address, world, Basket, virtual=False) as handle:
            await written(world, "do flight")
            await handle.signal("pay")
            await written(world, "undo flight" if undoing else "look the rest")
            await handle.signal("add", "seat")
            await noted(handle, "over seat")
            world.opened.set()
            error = await failure_of(handle)
            assert (message(error) == "payment: no") if undoing else (error is None)
            assert "do seat" not in world.diary
            assert world.held == (set() if undoing else {"flight", "payment"})

    run(test())


def test_after_a_failure_in_a_signal_handler_the_workflow_may_go_on(temporal_address: str) -> None:
    async def test() -> None:
        world = World(do_seat=["lost"])
        async with started(temporal_address, world, BasketInVain) as handle:
            await written(world, "do flight")
            await handle.signal("add", "seat")
            assert await handle.result() == "by train"
            assert world.held == {"train", "bus"}

    run(test())


@FLAGS
@pytest.mark.parametrize("signal", ["add_both", "add_group"])
@pytest.mark.parametrize("at", range(1, 5))
def test_nor_does_a_task_of_the_handlers_end_it(at: int, signal: str, next_flags: bool) -> None:
    world = World(do_seat=["lost"])
    schedule = (Signal(at, name=signal, args=(("seat", "meal"),)),)
    handle = simulated(world, BasketInVain, schedule=schedule, next_flags=next_flags)
    assert (handle.status, world.held) == ("completed", {"train", "bus"})


@FLAGS
@pytest.mark.parametrize("signal", ["add_both", "add_group"])
@pytest.mark.parametrize("trouble", ["", "rejected"])
def test_late_steps_in_tasks_of_a_handlers_are_refused_without_harm(
    signal: str, trouble: str, next_flags: bool
) -> None:
    """Late: while the payment is undone, or after the block."""
    for at in range(9, 15):
        world = World(do_payment=[trouble])
        schedule = (Signal(1, name="pay"), Signal(at, name=signal, args=(("seat", "meal"),)))
        handle = simulated(world, Basket, schedule=schedule, next_flags=next_flags)
        assert handle.status == ("failed" if trouble else "completed"), schedule
        assert trouble == "" or world.held == set(), schedule


@FLAGS
def test_a_step_that_fails_in_a_handlers_own_saga_undoes_that_one_too(next_flags: bool) -> None:
    world = World(do_seat=["lost"])
    schedule = (Signal(3, name="swap", args=("seat",)),)
    handle = simulated(world, Basket, schedule=schedule, next_flags=next_flags)
    assert (handle.status, message(handle.error)) == ("failed", "seat: reply lost")
    assert sorted(world.undone) == ["flight", "seat", "voucher"]


@FLAGS
@pytest.mark.parametrize("during", [False, True])
@pytest.mark.parametrize("asked", range(2, 6))
def test_a_cancel_request_ends_no_handler_that_waits_for_the_block(
    asked: int, during: bool, next_flags: bool
) -> None:
    world = World()
    schedule = (Signal(1, name="add", args=("seat",)), Cancel(asked, during=during))
    handle = simulated(world, OpenAfterCalm, schedule=schedule, next_flags=next_flags)
    assert (handle.status, world.held) == ("canceled", set())


@FLAGS
def test_a_step_may_be_settled_while_its_reply_is_waited_for(next_flags: bool) -> None:
    world = World()
    schedule = (
        Signal(3, name="add_slowly"),
        Signal(5, name="pay"),
        Signal(7, name="settle", args=("seat",)),
    )
    handle = simulated(world, SettledMeanwhile, schedule=schedule, next_flags=next_flags)
    assert (handle.status, message(handle.error)) == ("failed", "the body failed")
    assert world.undone == ["flight"]


def test_a_signal_handler_makes_the_block_fail(temporal_address: str) -> None:
    async def test() -> None:
        world = World()
        async with started(temporal_address, world, Basket) as handle:
            await written(world, "do flight")
            await handle.signal("abort")
            assert message(await failure_of(handle)) == "aborted"
            assert world.held == set()

    run(test())


@FLAGS
@pytest.mark.parametrize("during", [False, True])
@pytest.mark.parametrize("at", range(2, 6))
def test_also_in_one_activation_with_the_reply_for_which_it_waits(
    at: int, during: bool, next_flags: bool
) -> None:
    for events in (0, 1, 2):
        world = World()
        schedule = (Signal(at, name="abort", during=during), Hold(2, events))
        handle = simulated(world, Basket, schedule=schedule, next_flags=next_flags)
        assert (handle.status, message(handle.error)) == ("failed", "aborted"), schedule
        assert world.held == set(), schedule


def test_a_signal_handler_that_raises_cannot_close_the_workflow(temporal_address: str) -> None:
    async def test() -> None:
        world = World()
        async with started(temporal_address, world, Basket) as handle:
            await written(world, "do flight")
            await handle.signal("explode")
            sentence = await refused(handle)
            assert "flight not undone" in sentence and "saga.fail(error)" in sentence

    run(test())


def test_a_step_that_fails_in_an_update_handler_fails_the_update(temporal_address: str) -> None:
    async def test() -> None:
        world = World(do_seat=["lost"], look_the_rest=["wait"])
        async with started(temporal_address, world, Basket, virtual=False) as handle:
            await written(world, "do flight")
            with pytest.raises(WorkflowUpdateFailedError) as failed:
                await handle.execute_update("try_to_add", "seat")
            assert message(failed.value.cause) == "seat: reply lost"
            assert await handle.execute_update("try_to_add", "meal") == "meal"
            await handle.signal("pay")
            await written(world, "look the rest")
            with pytest.raises(WorkflowUpdateFailedError) as failed:
                await handle.execute_update("try_to_add", "wine")
            assert message(failed.value.cause) == "wine is not begun: the saga is over."
            world.opened.set()
            assert await handle.result() == "booked"
            assert world.held == {"flight", "meal", "payment"}

    run(test())


@pytest.mark.parametrize("signal", ["add", "add_both"])
def test_a_step_in_a_handler_waits_for_the_block(temporal_address: str, signal: str) -> None:
    """A message may come before the Workflow has begun."""

    async def test() -> None:
        world = World()
        async with started(temporal_address, world, OpenLater) as handle:
            await handle.signal(signal, ["seat"] if signal == "add_both" else "seat")
            assert await handle.query("told") == (["adding seat"] if signal == "add" else [])
            assert world.diary == []
            await handle.signal("pay")
            assert await handle.result() == "booked"
            assert world.held == {"flight", "seat"}

    run(test())


@pytest.mark.parametrize("polite", [True, False])
def test_a_workflow_cannot_end_over_a_handlers_saga(temporal_address: str, polite: bool) -> None:
    async def test() -> None:
        world = World(do_hotel=["wait"])
        async with started(temporal_address, world, SagaInHandler, virtual=False) as handle:
            update = asyncio.create_task(handle.execute_update("book", polite))
            await written(world, "do hotel")
            await handle.signal("pay")
            if polite:
                world.opened.set()
                assert await update == "booked"
                assert await handle.result() == "over"
            else:
                assert "all_handlers_finished" in await refused(handle)
                update.cancel()

    run(test())


def test_a_step_of_the_workflows_own_task_in_the_block_of_another(temporal_address: str) -> None:
    async def test() -> None:
        world = World(do_hotel=["lost"])
        async with started(temporal_address, world, BlockInATask) as handle:
            assert message(await failure_of(handle)) == "hotel: reply lost"
            assert world.undone == ["hotel", "flight"]

    run(test())


def test_steps_in_tasks_made_before_the_block(temporal_address: str) -> None:
    async def test() -> None:
        world = World(do_hotel=["lost"])
        async with started(temporal_address, world, TasksFromBefore) as handle:
            assert message(await failure_of(handle)) == "hotel: reply lost"
            assert sorted(world.undone) == ["flight", "hotel"]

    run(test())


# --- S4: failures that the body deals with itself ----------------------------------------


@pytest.mark.parametrize(
    "how", ["plan B", "side by side", "first of two", "in time", "a bug in do", "local", "child"]
)
def test_what_never_came_back_is_undone_although_the_block_ends_well(
    temporal_address: str, how: str
) -> None:
    async def test() -> None:
        slow = how in ("first of two", "in time")
        trouble = "wait" if slow else "" if how == "a bug in do" else "lost"
        world = World(do_hotelA=[trouble])
        async with started(temporal_address, world, Fallback, how, virtual=False) as h:
            assert await h.result() == "booked"
            assert world.undone == ["hotelA"]
            assert world.diary[-2:] == ["undo hotelA", "look around"], "before the block is left"
            assert world.held == {"flight", "hotelB"}

    run(test())


@FLAGS
@pytest.mark.parametrize(
    "how", ["a sibling", "a deadline", "a sibling, inner saga", "a deadline, inner saga"]
)
def test_whoever_deals_with_a_failed_step_does_not_go_on_while_all_is_undone(
    how: str, next_flags: bool
) -> None:
    world = World()
    schedule = (Fault("do", "no reply", call=2),)
    handle = simulated(world, DealsWithTooMuch, how, schedule=schedule, next_flags=next_flags)
    assert (handle.status, message(handle.error)) == ("failed", "the body failed")
    assert world.undone == ["hotelA", "flight"]


def test_what_was_definitely_refused_needs_no_undo_at_a_good_end(temporal_address: str) -> None:
    async def test() -> None:
        world = World(do_hotelA=["rejected"])
        async with started(temporal_address, world, Fallback, "plan B") as handle:
            assert await handle.result() == "booked"
            assert world.undone == []

    run(test())


def test_a_cancel_request_while_plan_a_is_undone_at_a_good_end(temporal_address: str) -> None:
    async def test() -> None:
        world = World(do_hotelA=["lost"], undo_hotelA=["wait"])
        async with started(temporal_address, world, Fallback, "plan B", virtual=False) as handle:
            await written(world, "undo hotelA")
            await cancelled(handle)
            world.opened.set()
            assert isinstance(await failure_of(handle), CancelledError)
            assert await status_of(handle) == WorkflowExecutionStatus.CANCELED
            assert world.held == {"flight", "hotelB"}, "the block had ended well"

    run(test())


# --- S5: cancel requests while something is undone ---------------------------------------


def test_a_cancel_request_during_an_inner_undo_is_delivered_after_it(temporal_address: str) -> None:
    async def test() -> None:
        world = World(do_breakfastA=["rejected"], undo_roomA=["wait"])
        async with started(temporal_address, world, InnerSaga, virtual=False) as handle:
            await written(world, "undo roomA")
            await cancelled(handle)
            world.opened.set()
            assert isinstance(await failure_of(handle), CancelledError)
            assert await status_of(handle) == WorkflowExecutionStatus.CANCELED
            assert world.undone[0] == "roomA" and world.undone[-1] == "flight"
            assert "do roomB" not in world.diary
            assert world.held == set()

    run(test())


def test_a_cancel_request_during_uninterrupted_work_is_delivered_after_it(
    temporal_address: str,
) -> None:
    async def test() -> None:
        world = World(look_calmly=["wait"])
        async with started(temporal_address, world, Uninterrupted, virtual=False) as handle:
            await written(world, "look calmly")
            await cancelled(handle)
            world.opened.set()
            await failure_of(handle)
            assert await status_of(handle) == WorkflowExecutionStatus.CANCELED

    run(test())


def test_a_timeout_that_expires_while_undoing_cancels_nothing_after_its_own_scope(
    temporal_address: str,
) -> None:
    async def test() -> None:
        world = World(undo_flight=["down", "down"])
        async with started(temporal_address, world, CancelledAround, "timeout") as handle:
            assert await handle.result() == "ApplicationError"
            assert world.diary[-1] == "look on"
            assert world.held == set()

    run(test())


def test_the_abort_of_a_task_group_reaches_a_task_that_was_undoing(temporal_address: str) -> None:
    async def test() -> None:
        world = World(undo_flight=["down", "down"])
        async with started(temporal_address, world, CancelledAround, "task group") as handle:
            assert await handle.result() == "tolerated, ExceptionGroup"
            assert world.held == set()

    run(test())


# --- S6: continue-as-new -----------------------------------------------------------------


def test_continue_as_new_inside_the_block_is_refused_where_something_is_owed(
    temporal_address: str,
) -> None:
    async def test() -> None:
        world = World()
        async with started(temporal_address, world, ContinueInside, 0) as handle:
            assert "continue_as_new inside the block would forget lap1" in await refused(handle)
            assert world.held == {"lap1"}

    run(test())


def test_continue_as_new_in_an_inner_block_does_not_forget_the_outer_one(
    temporal_address: str,
) -> None:
    async def test() -> None:
        world = World()
        async with started(temporal_address, world, ContinueInInner) as handle:
            assert "would forget flight" in await refused(handle)

    run(test())


def test_where_everything_is_a_failure_it_is_undone_before_it_is_refused(
    temporal_address: str,
) -> None:
    async def test() -> None:
        world = World()
        options: dict[str, Any] = {"workflow_failure_exception_types": [Exception]}
        async with started(temporal_address, world, ContinueInside, 0, **options) as handle:
            assert "would forget lap1" in str(await failure_of(handle))
            assert world.held == set()

    run(test())


# --- S7: misuse --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("without a block", "flight is a step before the block"),
        ("after the block", "hotel is a step after the block"),
        ("used twice", "This saga is over: make a new one"),
        ("entered twice", "This saga is open: make a new one"),
        ("not awaited", "Still under way at the end of the block: late"),
        ("in an undo", "refund is a step in an undo"),
        ("in a task of an undo", "refund is a step in an undo"),
        ("in an undo of a saga inside", "refund is a step in an undo"),
        ("saga not awaited", "a saga inside this one"),
        ("no function", "hotel: expected a function for do and undo, not None"),
        ("left behind in a gather", "would end with wait, before not undone"),
        ("never left", "would end with flight not undone"),
        ("abandoned generator", "would end with flight not undone"),
    ],
)
def test_a_misuse_is_an_error_at_once_that_names_it(
    temporal_address: str, how: str, sentence: str
) -> None:
    async def test() -> None:
        world = World(do_wait=["wait"], do_late=["wait"])
        async with started(temporal_address, world, Misused, how) as handle:
            assert sentence in await refused(handle)
            world.opened.set()

    run(test())


def test_a_misuse_where_nothing_is_owed_may_be_answered(temporal_address: str) -> None:
    async def test() -> None:
        world = World()
        async with started(temporal_address, world, MisuseAnswered) as handle:
            assert "hotel is a step after the block" in await handle.result()
            assert world.held == {"flight"}

    run(test())


def test_an_inner_saga_beside_a_failing_sibling_is_undone_by_the_block_around(
    temporal_address: str,
) -> None:
    async def test() -> None:
        world = World(do_breakfast=["wait"])
        async with started(temporal_address, world, InnerBesideSibling, virtual=False) as handle:
            assert message(await failure_of(handle)) == "a sibling"
            assert world.undone == ["breakfast", "room", "flight"]

    run(test())


def test_two_sagas_side_by_side(temporal_address: str) -> None:
    async def test() -> None:
        world = World()
        async with started(temporal_address, world, SideBySide) as handle:
            assert message(await failure_of(handle)) == "the body failed"
            assert world.undone == ["b", "c", "a"]

    run(test())
