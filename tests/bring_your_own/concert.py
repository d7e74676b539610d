"""A concert as a saga: rent a hall, engage a band, print posters, tell the newspaper."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from saga import Saga, uninterrupted
from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError


@dataclass(frozen=True)
class Plan:
    """What is wanted."""

    number: str


@dataclass
class Town:
    """The other side: who holds what for which concert, and under which keys it was asked."""

    held: dict[str, list[str]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)

    @activity.defn
    def rent_hall(self, plan: Plan) -> None:
        self.do("hall", plan)

    @activity.defn
    def return_hall(self, plan: Plan) -> None:
        self.undo("hall", plan)

    @activity.defn
    def engage_band(self, plan: Plan) -> None:
        self.do("band", plan)

    @activity.defn
    def dismiss_band(self, plan: Plan) -> None:
        self.undo("band", plan)

    @activity.defn
    async def print_posters(self, plan: Plan) -> None:
        self.do("posters", plan)

    @activity.defn
    async def pulp_posters(self, plan: Plan) -> None:
        self.undo("posters", plan)

    @activity.defn
    def tell_newspaper(self, plan: Plan) -> None:
        self.notices.append(plan.number)

    def do(self, what: str, plan: Plan) -> None:
        """Once for each key; refused once it was undone."""
        key = f"{plan.number}/{what}"
        if self.answers.get(key) == "undone":
            raise ApplicationError(f"{key} was undone.", type="Rejected", non_retryable=True)
        if key not in self.answers:
            self.held.setdefault(what, []).append(plan.number)
        self.answers[key] = "done"

    def undo(self, what: str, plan: Plan) -> None:
        """Once for each key; if nothing was done, nothing ever will be."""
        key = f"{plan.number}/{what}"
        if self.answers.get(key) == "done":
            self.held[what].remove(plan.number)
        self.answers[key] = "undone"

    def left_behind(self) -> list[str]:
        """Everything that is held for anybody."""
        return [f"{what} of {number}" for what in sorted(self.held) for number in self.held[what]]


call = partial(
    workflow.execute_activity_method,
    start_to_close_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(maximum_attempts=3),
)
undo = partial(workflow.execute_activity_method, start_to_close_timeout=timedelta(seconds=10))


@workflow.defn
class Concert:
    """Holds."""

    @workflow.run
    async def run(self, plan: Plan) -> str:
        async with Saga(rejections=["Rejected"]) as saga:

            async def step(do: Any, undo_it: Any) -> None:
                await saga.step(
                    partial(call, do, plan),
                    undo=partial(undo, undo_it, plan),
                    name=undo_it.__name__,
                )

            await step(Town.rent_hall, Town.return_hall)
            await step(Town.engage_band, Town.dismiss_band)
            await step(Town.print_posters, Town.pulp_posters)
        return await uninterrupted(self.tell(plan))

    async def tell(self, plan: Plan) -> str:
        try:
            await call(Town.tell_newspaper, plan)
        except ActivityError:
            return "nobody knows"
        return "everybody knows"
