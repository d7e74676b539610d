"""Tiny Workflows that use the Saga, and Activities that only write a diary."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

from travel.saga import Saga, uninterrupted

ATTEMPT = timedelta(seconds=1)
ONCE = RetryPolicy(maximum_attempts=1)


class World:
    """Two Activities, ``do`` and ``undo``, that write down when they were called.

    ``troubles`` says how each further call of an entry goes wrong: ``"rejected"``,
    ``"outage"``, ``"lost"`` (done, no reply), ``"fatal"`` (not retryable) or
    ``"wait"`` (until ``opened``). A call without an entry goes well.
    """

    def __init__(self, **troubles: list[str]) -> None:
        self.diary: list[str] = []
        self.troubles = {name.replace("_", " "): kinds for name, kinds in troubles.items()}
        self.opened = asyncio.Event()

    @activity.defn
    async def do(self, name: str) -> str:
        await self._act(f"do {name}")
        return name

    @activity.defn
    async def undo(self, name: str) -> None:
        await self._act(f"undo {name}")

    async def _act(self, entry: str) -> None:
        self.diary.append(entry)
        trouble = self.troubles.get(entry) or [""]
        match trouble.pop(0):
            case "rejected":
                raise ApplicationError(f"{entry}: no", type="Rejected")
            case "outage":
                raise ApplicationError(f"{entry}: no connection")
            case "fatal":
                raise ApplicationError(f"{entry}: no way", non_retryable=True)
            case "lost":
                await asyncio.sleep(60)
            case "wait":
                await self.opened.wait()

    @property
    def undone(self) -> list[str]:
        return [entry for entry in self.diary if entry.startswith("undo")]


@dataclass(frozen=True)
class Plan:
    """Steps to take in a certain way, and how the body ends."""

    steps: list[str] = field(default_factory=lambda: ["a", "b", "c"])
    way: str = "in sequence"
    end: str = "well"


async def do(name: str) -> str:
    result: str = await workflow.execute_activity_method(
        World.do, name, start_to_close_timeout=timedelta(seconds=30), retry_policy=ONCE
    )
    return result


async def do_quickly(name: str) -> str:
    result: str = await workflow.execute_activity_method(
        World.do, name, start_to_close_timeout=ATTEMPT, retry_policy=ONCE
    )
    return result


async def undo(name: str) -> None:
    await workflow.execute_activity_method(
        World.undo, name, start_to_close_timeout=timedelta(seconds=30), retry_policy=ONCE
    )


@workflow.defn
class Journey:
    """Takes the steps of a plan in a saga; each is undone by ``undo`` of its name."""

    @workflow.init
    def __init__(self, plan: Plan) -> None:
        self.changes: list[list[str]] = []
        self.saga = Saga(rejections=["Rejected"], on_change=self._note)
        self.main: asyncio.Task[Any] | None = None

    def _note(self) -> None:
        self.changes.append(self.saga.stuck)

    @workflow.run
    async def run(self, plan: Plan) -> list[str]:
        self.main = asyncio.current_task()
        async with self.saga:
            done = await self._take(plan)
            await self._end(plan)
        return done

    @workflow.query
    def stuck(self) -> list[str]:
        return self.saga.stuck

    @workflow.query
    def to_undo(self) -> list[str]:
        return self.saga.to_undo

    @workflow.query
    def stuck_at_each_change(self) -> list[list[str]]:
        return self.changes

    @workflow.signal
    def cancel_main(self) -> None:
        """What a cancel request does; the server passes on one, code may send many."""
        assert self.main is not None
        self.main.cancel()

    async def _take(self, plan: Plan) -> list[str]:
        match plan.way:
            case "in sequence":
                return [await self._step(name) for name in plan.steps]
            case "gather":
                return list(await asyncio.gather(*map(self._step, plan.steps)))
            case "task group":
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(self._step(name)) for name in plan.steps]
                return [task.result() for task in tasks]
            case "gather and tidy":
                return list(await asyncio.gather(*map(self._step_and_tidy, plan.steps)))
        raise AssertionError(plan.way)

    async def _step(self, name: str) -> str:
        take = do_quickly if name == "quick" else do
        return await self.saga.step(partial(take, name), undo=partial(undo, name), name=name)

    async def _step_and_tidy(self, name: str) -> str:
        try:
            return await self._step(name)
        finally:
            await uninterrupted(do(f"tidy {name}"))

    async def _end(self, plan: Plan) -> None:
        match plan.end:
            case "failure":
                raise ApplicationError("the body failed")
            case "bug":
                raise NameError("a bug")
            case "sleep":
                await asyncio.sleep(timedelta(days=1).total_seconds())
            case "group of failures":
                raise ExceptionGroup("several", [ApplicationError("first"), ValueError("second")])
