"""Sagas of a market stall, for ``prove``: right ones in several shapes, and wrong ones."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

from travel.saga import Saga, uninterrupted, wait_through


@dataclass(frozen=True)
class Order:
    """Apples, pears, and money for both."""

    number: str


class Market:
    """What lies in whose basket, and what was answered under which key."""

    def __init__(self) -> None:
        self.baskets: dict[str, list[str]] = {"apples": [], "pears": [], "money": []}
        self.answers: dict[str, str] = {}
        self.letters: list[str] = []

    def snapshot(self) -> object:
        return {k: [*v] for k, v in self.baskets.items()}, {**self.answers}, [*self.letters]

    def restore(self, kept: Any) -> None:
        baskets, answers, letters = kept
        self.baskets = {k: [*v] for k, v in baskets.items()}
        self.answers, self.letters = {**answers}, [*letters]

    def held(self) -> list[str]:
        return [f"{what} of {n}" for what, numbers in self.baskets.items() for n in numbers]

    def take(self, what: str, order: Order) -> None:
        key = f"{order.number}/{what}"
        if self.answers.get(key) == "undone":
            raise ApplicationError(f"{key} was undone.", type="Rejected", non_retryable=True)
        if key not in self.answers:
            self.baskets[what].append(order.number)
        self.answers[key] = "done"

    def give_back(self, what: str, order: Order) -> None:
        key = f"{order.number}/{what}"
        if self.answers.get(key) == "done":
            self.baskets[what].remove(order.number)
        self.answers[key] = "undone"


class Stall:
    """The Activities."""

    def __init__(self, market: Market) -> None:
        self.market = market

    @activity.defn
    def take_apples(self, order: Order) -> None:
        self.market.take("apples", order)

    @activity.defn
    def return_apples(self, order: Order) -> None:
        self.market.give_back("apples", order)

    @activity.defn
    async def take_pears(self, order: Order) -> None:
        self.market.take("pears", order)

    @activity.defn
    async def return_pears(self, order: Order) -> None:
        self.market.give_back("pears", order)

    @activity.defn
    def pay(self, order: Order) -> None:
        self.market.take("money", order)

    @activity.defn
    def pay_back(self, order: Order) -> None:
        self.market.give_back("money", order)

    @activity.defn
    def write_letter(self, order: Order) -> None:
        self.market.letters.append(order.number)


FEW = RetryPolicy(maximum_attempts=2, non_retryable_error_types=["Rejected"])
call = partial(
    workflow.execute_activity_method,
    start_to_close_timeout=timedelta(seconds=5),
    retry_policy=FEW,
)
undo = partial(workflow.execute_activity_method, start_to_close_timeout=timedelta(seconds=5))


async def step(saga: Saga, do: Any, undo_it: Any, order: Order) -> None:
    await saga.step(
        partial(call, do, order), undo=partial(undo, undo_it, order), name=undo_it.__name__
    )


@workflow.defn
class SideBySide:
    """Apples and pears at once, then the money."""

    @workflow.run
    async def run(self, order: Order) -> str:
        async with Saga(rejections=["Rejected"]) as saga:
            await asyncio.gather(
                step(saga, Stall.take_apples, Stall.return_apples, order),
                step(saga, Stall.take_pears, Stall.return_pears, order),
            )
            await step(saga, Stall.pay, Stall.pay_back, order)
        return "done"


@workflow.defn
class PivotInTheMiddle:
    """Once it is paid the pears are got, however long that takes."""

    @workflow.run
    async def run(self, order: Order) -> str:
        async with Saga(rejections=["Rejected"]) as saga:
            await step(saga, Stall.take_apples, Stall.return_apples, order)
            await step(saga, Stall.pay, Stall.pay_back, order)
        await uninterrupted(self.pears(order))
        return "done"

    async def pears(self, order: Order) -> None:
        while True:
            try:
                await undo(Stall.take_pears, order)
                return
            except ActivityError:
                await workflow.sleep(60)


@workflow.defn
class Fruit:
    """A child that takes one kind of fruit."""

    @workflow.run
    async def run(self, order: Order, kind: str) -> None:
        await call(Stall.take_apples if kind == "apples" else Stall.take_pears, order)


@workflow.defn
class UndoFruit:
    """A child that gives everything back."""

    @workflow.run
    async def run(self, order: Order) -> None:
        await undo(Stall.return_pears, order)
        await undo(Stall.return_apples, order)


@workflow.defn
class InChildren:
    """Every step is a child Workflow, and so is the undoing."""

    @workflow.run
    async def run(self, order: Order) -> str:
        try:
            for kind in ("apples", "pears"):
                await workflow.execute_child_workflow(
                    Fruit.run, args=[order, kind], id=f"{order.number}-{kind}"
                )
        except BaseException:
            await uninterrupted(
                workflow.execute_child_workflow(UndoFruit.run, order, id=f"{order.number}-undo")
            )
            raise
        return "done"


@workflow.defn
class ByUpdate:
    """The money comes by an Update; nobody is asked for it."""

    def __init__(self) -> None:
        self.approved: bool | None = None

    @workflow.update
    def approve(self, yes: bool) -> None:
        self.approved = yes

    @workflow.run
    async def run(self, order: Order) -> str:
        async with Saga(rejections=["Rejected"]) as saga:
            await step(saga, Stall.take_apples, Stall.return_apples, order)
            await workflow.wait_condition(lambda: self.approved is not None)
            if not self.approved:
                raise ApplicationError("Not approved.")
            await step(saga, Stall.pay, Stall.pay_back, order)
        return "done"


@workflow.defn
class AsksAPerson:
    """An undo that fails for two days waits until somebody says that it may be tried again."""

    def __init__(self) -> None:
        self.calls = 0

    @workflow.run
    async def run(self, order: Order) -> str:
        try:
            await call(Stall.take_apples, order)
            await call(Stall.pay, order)
        except (ActivityError, asyncio.CancelledError):
            await uninterrupted(self.give_back(order))
            raise
        return "done"

    async def give_back(self, order: Order) -> None:
        for wanted in (Stall.pay_back, Stall.return_apples):
            for turn in range(1_000):
                with contextlib.suppress(ActivityError):
                    await undo(wanted, order, schedule_to_close_timeout=timedelta(days=2))
                    break
                await wait_through(lambda turn=turn: self.calls > turn)

    @workflow.signal
    def try_again(self) -> None:
        self.calls += 1


@workflow.defn
class Answering:
    """Tells its caller "not today" instead of raising."""

    @workflow.run
    async def run(self, order: Order) -> str:
        try:
            async with Saga(rejections=["Rejected"]) as saga:
                await step(saga, Stall.take_apples, Stall.return_apples, order)
                await step(saga, Stall.pay, Stall.pay_back, order)
        except ActivityError:
            return "not today"
        return "done"


# --- DELIBERATELY WRONG, all of them --------------------------------------------


@workflow.defn
class Forgetful:
    """Never gives the pears back."""

    @workflow.run
    async def run(self, order: Order) -> str:
        async with Saga(rejections=["Rejected"]) as saga:
            await step(saga, Stall.take_apples, Stall.return_apples, order)
            await call(Stall.take_pears, order)
            await step(saga, Stall.pay, Stall.pay_back, order)
        return "done"


@workflow.defn
class RegisteredFirst:
    """As the saga pattern is often written down: undos registered first, ``except Exception``."""

    @workflow.run
    async def run(self, order: Order) -> str:
        undos: list[Any] = []
        try:
            for do, undo_it in (
                (Stall.take_apples, Stall.return_apples),
                (Stall.take_pears, Stall.return_pears),
                (Stall.pay, Stall.pay_back),
            ):
                undos.append(undo_it)
                await undo(do, order)
        except Exception:
            for undo_it in reversed(undos):
                await undo(undo_it, order)
            raise
        return "done"


@workflow.defn
class Masking:
    """Tells of everything but what failed."""

    @workflow.run
    async def run(self, order: Order) -> str:
        try:
            async with Saga(rejections=["Rejected"]) as saga:
                await step(saga, Stall.take_apples, Stall.return_apples, order)
                await step(saga, Stall.pay, Stall.pay_back, order)
        except ActivityError:
            raise ApplicationError("Something went wrong.") from None
        return "done"


@workflow.defn
class Careless:
    """Tries an undo twice."""

    @workflow.run
    async def run(self, order: Order) -> str:
        undos: list[Any] = []
        try:
            undos.append(Stall.return_apples)
            await call(Stall.take_apples, order)
            undos.append(Stall.pay_back)
            await call(Stall.pay, order)
        except BaseException:
            await uninterrupted(self.undo_all(undos, order))
            raise
        return "done"

    async def undo_all(self, undos: list[Any], order: Order) -> None:
        for undo_it in reversed(undos):
            with contextlib.suppress(ActivityError):
                await call(undo_it, order)


counted = 0


@workflow.defn
class Sleepless:
    """Counts its runs where a replay counts on."""

    @workflow.run
    async def run(self, order: Order) -> str:
        global counted
        counted += 1
        async with Saga(rejections=["Rejected"]) as saga:
            first, second = (Stall.take_apples, Stall.return_apples), (Stall.pay, Stall.pay_back)
            await step(saga, *(first if counted % 2 else second), order)
            await step(saga, *(second if counted % 2 else first), order)
        return "done"


@workflow.defn
class NothingToDo:
    """No step at all."""

    @workflow.run
    async def run(self, order: Order) -> str:
        return "done"
