"""What the cases share.

``World`` stands for what is booked: its Activities keep a diary, and what is held.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

from travel.saga import Saga

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


@workflow.defn
class Failing:
    @workflow.run
    async def run(self) -> None:
        raise failure("the child failed")
