"""Cancel requests."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError

from saga_cases.world import Base, a_saga, failure, look, take
from travel.saga import uninterrupted


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
