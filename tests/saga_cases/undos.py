"""Undos that end by anything, callbacks that raise."""

from __future__ import annotations

import asyncio

from temporalio import workflow

from saga_cases.world import MINUTE, ONCE, Base, Failing, a_saga, do, failure, take, undo


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
