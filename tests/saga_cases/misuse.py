"""Blocks that continue as new, and what nobody should write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from temporalio import workflow

from saga_cases.world import Base, a_saga, do, failure, take
from travel.saga import SagaError


async def fail_later() -> None:
    await asyncio.sleep(1)
    raise failure("a sibling")


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
            case "in a task of an undo":
                async with self.saga:
                    await self.step("flight")
                    await self.saga.step(
                        lambda: do("hotel"),
                        undo=lambda: asyncio.gather(self.step("refund"), self.step("fee")),
                        name="hotel",
                    )
                    raise failure()
            case "in an undo of a saga inside":
                async with self.saga:
                    await self.step("flight")
                    async with a_saga() as inner:
                        await inner.step(
                            lambda: do("hotel"), undo=lambda: self.step("refund"), name="hotel"
                        )
                        raise failure()
            case "saga not awaited":
                async with self.saga:
                    inner = asyncio.create_task(self.inner("wait"))
                    await self.step("flight")
                await inner
            case "left behind in a gather":
                await asyncio.gather(self.inner("wait"), fail_later())
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
            await asyncio.gather(self.inner(), fail_later())

    async def inner(self) -> None:
        async with a_saga() as saga:
            await take(saga, "room")
            await take(saga, "breakfast")


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
