"""Workflows that use the Saga as people write Workflows, a class for each way.

``World`` stands for what is booked: its Activities keep a diary, and what is held.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

from travel.saga import Saga, SagaError, uninterrupted

ONCE = RetryPolicy(maximum_attempts=1)
MINUTE = timedelta(minutes=1)


class World:
    """Three Activities that write down when they were called, and what is held now.

    ``troubles`` says how each further call of an entry goes wrong: ``"rejected"``, ``"lost"``
    (done, no reply), ``"down"`` (not done), ``"wait"`` (until ``opened``) or ``"wait, lost"``.
    A call without an entry goes well.
    """

    def __init__(self, **troubles: list[str]) -> None:
        self.diary: list[str] = []
        self.held: set[str] = set()
        self.troubles = {name.replace("_", " "): kinds for name, kinds in troubles.items()}
        self.opened = asyncio.Event()

    @activity.defn
    async def do(self, name: str) -> str:
        trouble = await self._begin(f"do {name}")
        if trouble == "rejected":
            raise ApplicationError(f"{name}: no", type="Rejected", non_retryable=True)
        if trouble == "down":
            raise ApplicationError(f"{name}: down")
        self.held.add(name)
        if "lost" in trouble:
            raise ApplicationError(f"{name}: reply lost")
        return name

    @activity.defn
    async def undo(self, name: str) -> None:
        if await self._begin(f"undo {name}") == "down":
            raise ApplicationError(f"undo {name}: down")
        self.held.discard(name)

    @activity.defn
    async def look(self, name: str) -> str:
        await self._begin(f"look {name}")
        return name

    async def _begin(self, entry: str) -> str:
        self.diary.append(entry)
        trouble = (self.troubles.get(entry) or [""]).pop(0)
        if "wait" in trouble:
            await self.opened.wait()
        return trouble

    @property
    def undone(self) -> list[str]:
        return [entry.removeprefix("undo ") for entry in self.diary if entry.startswith("undo ")]


async def do(name: str) -> str:
    return await workflow.execute_activity_method(
        World.do, name, start_to_close_timeout=timedelta(seconds=30), retry_policy=ONCE
    )


async def undo(name: str) -> None:
    await workflow.execute_activity_method(
        World.undo, name, start_to_close_timeout=timedelta(seconds=30), retry_policy=ONCE
    )


async def look(name: str) -> None:
    await workflow.execute_activity_method(
        World.look, name, start_to_close_timeout=timedelta(seconds=30), retry_policy=ONCE
    )


async def take(saga: Saga, name: str) -> str:
    return await saga.step(lambda: do(name), undo=lambda: undo(name), name=name)


def a_saga(**options: Any) -> Saga:
    return Saga(rejections=["Rejected"], **options)


def failure(message: str = "the body failed") -> ApplicationError:
    return ApplicationError(message)


class Base:
    def __init__(self) -> None:
        self.saga = a_saga()
        self.paid = False
        self.notes: list[str] = []

    async def step(self, name: str) -> str:
        return await take(self.saga, name)

    @workflow.signal
    async def add(self, name: str) -> None:
        self.notes.append(f"adding {name}")
        try:
            await self.step(name)
            self.notes.append(f"added {name}")
        finally:
            self.notes.append(f"over {name}")

    @workflow.signal
    async def add_both(self, names: list[str]) -> None:
        await asyncio.gather(*map(self.step, names))

    @workflow.signal
    async def add_group(self, names: list[str]) -> None:
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(self.step(name))

    @workflow.signal
    def pay(self) -> None:
        self.paid = True

    @workflow.signal
    def abort(self) -> None:
        self.saga.fail(failure("aborted"))

    @workflow.signal
    async def explode(self) -> None:
        raise failure("a handler raised")

    @workflow.update
    async def try_to_add(self, name: str) -> str:
        return await self.step(name)

    @workflow.query
    def told(self) -> list[str]:
        return self.notes


# --- S1: exceptions that are no failure ---------------------------------------------


@workflow.defn
class PlainErrorTranslated(Base):
    @workflow.run
    async def run(self) -> str:
        try:
            async with self.saga:
                await self.step("flight")
                return str({"flight": 100}["hotel"])
        except KeyError as error:
            raise ApplicationError(f"no price: {error}") from error


@workflow.defn
class PlainErrorAnswered(Base):
    """Whoever asks for everything gets everything, and then says that all is well."""

    @workflow.run
    async def run(self, how: str) -> str:
        try:
            async with self.saga:
                await self.step("flight")
                if how == "in a task group":
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self.step("hotel"))
                        group.create_task(self.bug())
                elif how == "in a gather":
                    await asyncio.gather(self.step("hotel"), self.bug())
                elif how == "in an inner saga":
                    async with a_saga() as inner:
                        await take(inner, "hotel")
                        await self.bug()
                await self.bug()
        except BaseException:
            return "never mind"
        return "booked"

    async def bug(self) -> None:
        raise ValueError("a bug")


@workflow.defn(failure_exception_types=[ExceptionGroup])
class GroupDeclared(Base):
    """Whoever uses a TaskGroup may say that a group ends the Workflow."""

    @workflow.run
    async def run(self) -> str:
        async with self.saga:
            await self.step("flight")
            async with asyncio.TaskGroup() as group:
                group.create_task(self.no_price())
        return "booked"

    async def no_price(self) -> None:
        raise KeyError("no price")


@workflow.defn
class FinallyReturns(Base):
    @workflow.run
    async def run(self) -> str:
        try:
            async with self.saga:
                await self.step("flight")
                raise ValueError("a bug")
        finally:
            return "never mind"  # noqa: B012


@workflow.defn
class PlainErrorNamed(Base):
    @workflow.run
    async def run(self) -> str:
        self.saga = a_saga(failures=[KeyError])
        try:
            async with self.saga:
                await self.step("flight")
                return str({"flight": 100}["hotel"])
        except KeyError as error:
            raise ApplicationError(f"no price: {error}") from error


@workflow.defn(failure_exception_types=[KeyError])
class PlainErrorDeclared(Base):
    @workflow.run
    async def run(self) -> str:
        async with self.saga:
            await self.step("flight")
            return str({"flight": 100}["hotel"])


@workflow.defn
class NothingOwed(Base):
    """A plain error before the first step, and after a definite no, is as without a saga."""

    @workflow.run
    async def run(self) -> str:
        try:
            async with self.saga:
                try:
                    await self.step("flight")
                except ActivityError:
                    raise KeyError("flight") from None
        except KeyError:
            return "answered"
        return "booked"


@workflow.defn
class FailureAnswered(Base):
    """A failure is undone before anybody outside can answer it."""

    @workflow.run
    async def run(self) -> str:
        try:
            async with self.saga:
                await self.step("flight")
                await self.step("hotel")
        except ActivityError:
            await look("what is left")
            return "answered"
        return "booked"


@workflow.defn
class GroupOfBoth(Base):
    @workflow.run
    async def run(self) -> None:
        async with self.saga:
            await self.step("flight")
            raise ExceptionGroup("both", [ValueError("a bug"), failure("a failure")])


# --- S2: undos that end by anything, callbacks that raise ----------------------------


@workflow.defn
class StrangeUndo(Base):
    """The undo of b goes wrong once, in a way of its own."""

    @workflow.run
    async def run(self, how: str) -> None:
        first = True

        async def undo_b() -> None:
            nonlocal first
            await undo("b")
            if first:
                first = False
                await self.go_wrong(how)

        async with self.saga:
            await self.step("a")
            await self.saga.step(lambda: do("b"), undo=undo_b, name="b")
            raise failure()

    async def go_wrong(self, how: str) -> None:
        match how:
            case "waits in vain":
                await workflow.wait_condition(lambda: False, timeout=MINUTE)
            case "asyncio.timeout":
                async with asyncio.timeout(60):
                    await asyncio.Event().wait()
            case "cancelled part":
                part = asyncio.create_task(asyncio.Event().wait())
                part.cancel()
                await part
            case "task group":
                async with asyncio.TaskGroup() as group:
                    group.create_task(undo("b1"))
                    group.create_task(undo("b2"))
            case "group in a group":
                raise ExceptionGroup("out", [ExceptionGroup("in", [failure("undo")])])
            case "a saga of its own":
                async with a_saga() as saga:
                    await take(saga, "voucher")
                    raise failure("undo")
            case "child Workflow":
                await workflow.execute_child_workflow(Failing.run, retry_policy=ONCE)


@workflow.defn
class Failing:
    @workflow.run
    async def run(self) -> None:
        raise failure("the child failed")


@workflow.defn
class BugInUndo(Base):
    @workflow.run
    async def run(self) -> str:
        async def undo_b() -> None:
            raise KeyError("a bug in the undo")

        try:
            async with self.saga:
                await self.step("a")
                await self.saga.step(lambda: do("b"), undo=undo_b, name="b")
                raise failure()
        except BaseException:
            return "never mind"


@workflow.defn
class CallbackRaises(Base):
    @workflow.run
    async def run(self, how: str) -> None:
        def callback() -> None:
            match how:
                case "failure":
                    raise failure("callback")
                case "bug":
                    raise KeyError("callback")
                case "cancelled":
                    raise asyncio.CancelledError

        self.saga = a_saga(on_change=callback)
        async with self.saga:
            await self.step("a")
            await self.step("b")
            raise failure()


# --- S3: messages ---------------------------------------------------------------------


@workflow.defn
class Basket(Base):
    @workflow.run
    async def run(self) -> str:
        async with self.saga:
            await self.step("flight")
            await workflow.wait_condition(lambda: self.paid)
            await self.step("payment")
        await look("the rest")
        return "booked"

    @workflow.signal
    async def swap(self, name: str) -> None:
        """With a saga of its own, in which it takes a step of the basket's."""
        async with a_saga() as swap:
            await take(swap, "voucher")
            await self.step(name)


@workflow.defn
class BasketInVain(Base):
    """Has a plan B around the block, and waits for its handlers as it should."""

    @workflow.run
    async def run(self) -> str:
        try:
            async with self.saga:
                await self.step("flight")
                await workflow.wait_condition(lambda: self.paid)
        except FailureError:
            async with a_saga() as second:
                await take(second, "train")
                await workflow.wait_condition(workflow.all_handlers_finished)
                await take(second, "bus")
            return "by train"
        return "booked"


@workflow.defn
class OpenLater(Base):
    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.paid)
        async with self.saga:
            await self.step("flight")
        return "booked"


@workflow.defn
class SagaInHandler(Base):
    """The handler has a saga of its own, and the Workflow does not wait for it."""

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.paid)
        if self.notes == ["polite"]:
            await workflow.wait_condition(workflow.all_handlers_finished)
        return "over"

    @workflow.update
    async def book(self, polite: bool) -> str:
        self.notes = ["polite"] if polite else []
        async with a_saga() as saga:
            await take(saga, "flight")
            await take(saga, "hotel")
        return "booked"


@workflow.defn
class BlockInATask(Base):
    """The block runs in a task, and the Workflow's own task takes a step in it."""

    @workflow.run
    async def run(self) -> str:
        block = asyncio.create_task(self.block())
        await asyncio.sleep(1)
        await self.step("hotel")
        self.paid = True
        await block
        return "booked"

    async def block(self) -> None:
        async with self.saga:
            await self.step("flight")
            await workflow.wait_condition(lambda: self.paid)


@workflow.defn
class TasksFromBefore(Base):
    """The tasks are made before the block is entered."""

    @workflow.run
    async def run(self) -> str:
        tasks = [asyncio.create_task(self.later(name)) for name in ("flight", "hotel")]
        async with self.saga:
            await asyncio.gather(*tasks)
        return "booked"

    async def later(self, name: str) -> str:
        await asyncio.sleep(1)
        return await self.step(name)


@workflow.defn
class OpenAfterCalm(Base):
    """A cancel request is held up until the block is entered, for which a handler waits."""

    @workflow.run
    async def run(self) -> str:
        await uninterrupted(look("calmly"))
        async with self.saga:
            await self.step("flight")
        return "booked"


@workflow.defn
class DeadlineBasket(Base):
    """A customer who never chooses a room, and a deadline for the whole."""

    @workflow.run
    async def run(self) -> str:
        deadline = asyncio.create_task(self.deadline())
        async with self.saga:
            await self.step("flight")
            await workflow.wait_condition(lambda: self.paid)
        deadline.cancel()
        return "booked"

    async def deadline(self) -> None:
        await asyncio.sleep(600)
        self.saga.fail(failure("too late"))

    @workflow.update
    async def choose(self) -> str:
        async def room() -> str:
            await workflow.wait_condition(lambda: "chosen" in self.notes)
            return await do("room")

        return await self.saga.step(room, undo=lambda: undo("room"), name="room")


@workflow.defn
class SettledMeanwhile(Base):
    """The provider answers a step long after it was cancelled: a no."""

    @workflow.run
    async def run(self) -> str:
        async with self.saga:
            await self.step("flight")
            await workflow.wait_condition(lambda: self.paid)
            raise failure()

    @workflow.signal
    async def add_slowly(self) -> None:
        async def seat() -> None:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(60)
                raise ApplicationError("no seat", type="Rejected") from None

        await self.saga.step(seat, undo=lambda: undo("seat"), name="seat")

    @workflow.signal
    def settle(self, name: str) -> None:
        self.saga.settle(name)


# --- S4: failures that the body deals with ---------------------------------------------


@workflow.defn
class Fallback(Base):
    @workflow.run
    async def run(self, how: str) -> str:
        async with self.saga:
            await self.step("flight")
            match how:
                case "plan B":
                    try:
                        await self.step("hotelA")
                    except ActivityError:
                        await self.step("hotelB")
                case "side by side":
                    await asyncio.gather(
                        self.step("hotelA"), self.step("hotelB"), return_exceptions=True
                    )
                case "first of two":
                    tasks = [asyncio.create_task(self.step(n)) for n in ("hotelA", "hotelB")]
                    await workflow.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                    for task in tasks:
                        task.cancel()
                    await workflow.wait(tasks)
                case "in time":
                    try:
                        async with asyncio.timeout(1):
                            await self.step("hotelA")
                    except (TimeoutError, ActivityError):
                        await self.step("hotelB")
                case "a bug in do":
                    try:
                        await self.saga.step(self.half, undo=lambda: undo("hotelA"), name="hotelA")
                    except KeyError:
                        await self.step("hotelB")
                case "local":
                    try:
                        await self.saga.step(self.local, undo=lambda: undo("hotelA"), name="hotelA")
                    except FailureError:
                        await self.step("hotelB")
                case "child":
                    try:
                        await self.saga.step(
                            lambda: workflow.execute_child_workflow(Failing.run),
                            undo=lambda: undo("hotelA"),
                            name="hotelA",
                        )
                    except FailureError:
                        await self.step("hotelB")
        self.notes.append("after the block")
        await look("around")
        return "booked"

    async def half(self) -> None:
        await do("hotelA")
        raise KeyError("a price")

    async def local(self) -> str:
        return str(
            await workflow.execute_local_activity_method(
                World.do, "hotelA", start_to_close_timeout=MINUTE, retry_policy=ONCE
            )
        )


@workflow.defn
class DealsWithTooMuch(Base):
    """Takes the failure by which a cancelled Activity ends for a failure of the hotel's."""

    @workflow.run
    async def run(self, how: str) -> str:
        async with self.saga:
            await self.step("flight")
            if how.startswith("a sibling"):
                asking = asyncio.create_task(self.hotel(how))
                await asyncio.sleep(20)
                raise failure()
            asking = asyncio.create_task(self.deadline())
            await self.hotel(how)
            await asking
        return "booked"

    async def hotel(self, how: str) -> None:
        if how.endswith("inner saga"):
            async with a_saga() as saga:
                await self.one_of_two(saga, ask=False)
        else:
            await self.one_of_two(self.saga, ask=True)

    async def one_of_two(self, saga: Saga, *, ask: bool) -> None:
        try:
            await take(saga, "hotelA")
        except ActivityError:
            await workflow.wait_condition(lambda: self.paid or not ask)
            await take(saga, "hotelB")

    async def deadline(self) -> None:
        await asyncio.sleep(20)
        self.saga.fail(failure())


# --- S5: cancel requests ----------------------------------------------------------------


@workflow.defn
class InnerSaga(Base):
    @workflow.run
    async def run(self) -> str:
        async with self.saga:
            await self.step("flight")
            try:
                async with a_saga() as inner:
                    await take(inner, "roomA")
                    await take(inner, "breakfastA")
            except ActivityError:
                await self.step("roomB")
        return "booked with B"


@workflow.defn
class CancelledAround(Base):
    """A scope of asyncio's cancels the block while something is undone."""

    @workflow.run
    async def run(self, how: str) -> str:
        try:
            match how:
                case "timeout":
                    async with asyncio.timeout(60):
                        await self.block()
                case "task group":
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self.tolerant())
                        group.create_task(self.fail_later())
        except (FailureError, TimeoutError, ExceptionGroup) as error:
            self.notes.append(type(error).__name__)
        await look("on")
        return ", ".join(self.notes)

    async def block(self) -> None:
        async with self.saga:
            await self.step("flight")
            raise failure()

    async def tolerant(self) -> None:
        try:
            await self.block()
        except FailureError:
            self.notes.append("tolerated")
        await asyncio.sleep(3600)
        self.notes.append("slept")

    async def fail_later(self) -> None:
        await asyncio.sleep(60)
        raise failure("a sibling")


@workflow.defn
class Uninterrupted(Base):
    @workflow.run
    async def run(self) -> str:
        await uninterrupted(look("calmly"))
        await look("on")
        return "not cancelled"


# --- S6 and S7 ----------------------------------------------------------------------------


@workflow.defn
class ContinueInside(Base):
    @workflow.run
    async def run(self, lap: int) -> str:
        async with self.saga:
            if lap == 0 or await self.step(f"lap{lap}"):
                workflow.continue_as_new(lap + 1)
        return "over"


@workflow.defn
class ContinueInInner(Base):
    @workflow.run
    async def run(self) -> str:
        async with self.saga:
            await self.step("flight")
            async with a_saga():
                workflow.continue_as_new()
        return "over"


@workflow.defn
class Misused(Base):
    @workflow.run
    async def run(self, how: str) -> str:
        match how:
            case "without a block":
                await self.step("flight")
            case "after the block":
                async with self.saga:
                    await self.step("flight")
                await self.step("hotel")
            case "used twice":
                for name in ("flight", "hotel"):
                    async with self.saga:
                        await self.step(name)
            case "entered twice":
                async with self.saga:
                    await self.step("flight")
                    async with self.saga:
                        await self.step("hotel")
            case "not awaited":
                async with self.saga:
                    late = asyncio.create_task(self.step("late"))
                    await self.step("flight")
                await late
            case "no function":
                async with self.saga:
                    await self.step("flight")
                    await self.saga.step(lambda: do("hotel"), undo=None, name="hotel")  # type: ignore[arg-type]
            case "in an undo":
                async with self.saga:
                    await self.step("flight")
                    await self.saga.step(
                        lambda: do("hotel"), undo=lambda: self.step("refund"), name="hotel"
                    )
                    raise failure()
            case "saga not awaited":
                async with self.saga:
                    inner = asyncio.create_task(self.inner("wait"))
                    await self.step("flight")
                await inner
            case "left behind in a gather":
                await asyncio.gather(self.inner("wait"), self.fail_later())
            case "never left":
                await self.saga.__aenter__()
                await self.step("flight")
            case "abandoned generator":
                async for _ in self.generator():
                    break
        return "over"

    async def inner(self, name: str) -> None:
        async with a_saga() as saga:
            await take(saga, "before")
            await take(saga, name)

    async def fail_later(self) -> None:
        await asyncio.sleep(1)
        raise failure("a sibling")

    async def generator(self) -> AsyncIterator[int]:
        async with self.saga:
            await self.step("flight")
            yield 1
            await self.step("hotel")


@workflow.defn
class InnerBesideSibling(Base):
    """An inner saga beside a failing sibling: it belongs to the block around it."""

    @workflow.run
    async def run(self) -> None:
        async with self.saga:
            await self.step("flight")
            await asyncio.gather(self.inner(), self.fail_later())

    async def inner(self) -> None:
        async with a_saga() as saga:
            await take(saga, "room")
            await take(saga, "breakfast")

    async def fail_later(self) -> None:
        await asyncio.sleep(1)
        raise failure("a sibling")


@workflow.defn
class MisuseAnswered(Base):
    @workflow.run
    async def run(self) -> str:
        async with self.saga:
            await self.step("flight")
        try:
            await self.step("hotel")
        except SagaError as error:
            return str(error)
        return "booked"


@workflow.defn
class SideBySide(Base):
    """Two sagas of one block, on an exit stack."""

    @workflow.run
    async def run(self) -> None:
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(a_saga())
            second = await stack.enter_async_context(a_saga())
            await take(first, "a")
            await take(second, "b")
            await take(first, "c")
            raise failure()
