"""Signals and Updates that take steps, fail the saga, or come too late."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from saga_cases.world import Base, a_saga, do, failure, look, take, undo
from travel.saga import uninterrupted


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
