"""The same concert, in haste. It has three faults; see whether you find them before ``prove``."""

from __future__ import annotations

import contextlib
from typing import Any

from concert import Plan, Town, call, undo
from temporalio import activity, workflow
from temporalio.exceptions import ActivityError


class HastyTown(Town):
    """Prints whatever it is asked to print."""

    @activity.defn
    async def print_posters(self, plan: Plan) -> None:
        self.held.setdefault("posters", []).append(plan.number)

    @activity.defn
    async def pulp_posters(self, plan: Plan) -> None:
        self.held["posters"] = [n for n in self.held.get("posters", []) if n != plan.number]


@workflow.defn
class HastyConcert:
    """Loses something."""

    @workflow.run
    async def run(self, plan: Plan) -> str:
        undos: list[Any] = []
        try:
            undos.append(Town.return_hall)
            await call(Town.rent_hall, plan)
            await call(Town.engage_band, plan)
            undos.append(Town.dismiss_band)
            undos.append(Town.pulp_posters)
            await call(Town.print_posters, plan)
        except BaseException:
            import asyncio

            await asyncio.shield(self.undo_all(undos, plan))
            raise
        await call(Town.tell_newspaper, plan)
        return "everybody knows"

    async def undo_all(self, undos: list[Any], plan: Plan) -> None:
        for undo_it in reversed(undos):
            with contextlib.suppress(ActivityError):
                await undo(undo_it, plan)
