"""Failures that the body deals with."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError

from saga_cases.world import (
    MINUTE,
    ONCE,
    Base,
    Failing,
    World,
    a_saga,
    do,
    failure,
    look,
    take,
    undo,
)
from travel.saga import Saga


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
