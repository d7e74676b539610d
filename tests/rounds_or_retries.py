"""Rounds or retries: four ways to ask a provider that is down, and what each costs.

A trip has failed after four steps; the hotel cannot be reached, and comes back after a
while. ``python -m tests.rounds_or_retries`` prints the table, from the simulator:

* **retries, side by side**: every undo an Activity without limit, all begun at once. The
  official advice, where the order does not matter.
* **retries, one by one**: the same, newest first, each awaited.
* **rounds**: turns of a minute, and pauses that grow to an hour. The first edition.
* **an hour a turn**: a first turn of a minute, so that the others get theirs, and then
  turns of an hour. ``BookTrip``; see ``travel/workflows/calls.py``.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import tests.paths  # noqa: F401

# isort: split
from lab.simulation import Code, Simulation
from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

from travel.saga import Saga
from travel.workflows import calls

STEPS = ["flight", "hotel", "car", "payment"]
NO_LIMIT = RetryPolicy(maximum_interval=timedelta(minutes=10))
ATTEMPT = calls.ATTEMPT_TIMEOUT


class Providers:
    """All of them undo at once, but for the hotel, which is down until ``back`` (seconds)."""

    def __init__(self) -> None:
        self.simulation: Any = None
        self.back = 0.0
        self.undone: dict[str, float] = {}

    def now(self) -> float:
        return float(self.simulation.now - self.simulation.began) / 1e9

    @activity.defn
    async def undo(self, name: str) -> None:
        if name == "hotel" and self.now() < self.back:
            raise ApplicationError("no connection")
        self.undone.setdefault(name, self.now())


async def ask(name: str, policy: RetryPolicy, turn: timedelta | None = None) -> None:
    await workflow.execute_activity_method(
        Providers.undo,
        name,
        start_to_close_timeout=ATTEMPT,
        schedule_to_close_timeout=turn,
        retry_policy=policy,
    )


@workflow.defn
class Undoing:
    """Undoes four steps in one of the ways."""

    def __init__(self) -> None:
        self.saga = Saga()

    @workflow.run
    async def run(self, way: str) -> None:
        if way == "retries, side by side":
            await asyncio.gather(*(ask(name, NO_LIMIT) for name in reversed(STEPS)))
            return
        pause = calls.LONGEST_PAUSE if way == "an hour a turn" else timedelta(hours=1)
        self.saga = Saga(longest_pause=pause)
        async with self.saga:
            for name in STEPS:
                self.saga.owe(self._undo(name, way), name=name)
            raise ApplicationError("no car")

    def _undo(self, name: str, way: str) -> Any:
        turns = 0

        async def undo() -> None:
            nonlocal turns
            turns += 1
            if way == "retries, one by one":
                await ask(name, NO_LIMIT)
            elif way == "rounds" or turns == 1:
                await ask(name, calls.UNDO_RETRIES, calls.UNDO_TURN)
            else:
                await ask(name, calls.LONG_TURN_RETRIES, calls.LONG_TURN)

        return undo

    @workflow.query
    def stuck(self) -> list[str]:
        return self.saga.stuck


WAYS = ("retries, side by side", "retries, one by one", "rounds", "an hour a turn")


def measure(way: str, down: timedelta) -> dict[str, Any]:
    """Events, when the others and the hotel were released, and what the Workflow knew."""
    providers = Providers()
    providers.back = down.total_seconds()
    simulation = Simulation(Code([Undoing], [providers.undo]), max_steps=400_000)
    simulation.suggest_continue_as_new_at = 10**9
    providers.simulation = simulation
    simulation.began = simulation.now  # type: ignore[attr-defined]
    try:
        handle = simulation.start(Undoing, way)
        simulation.run_for(down / 2)
        knows = bool(handle.query("stuck"))
        simulation.run()
        others = max(when for name, when in providers.undone.items() if name != "hotel")
        return {
            "events": len(handle.events()),
            "others": others,
            "hotel": providers.undone["hotel"] - providers.back,
            "knows": knows,
            "order": list(providers.undone),
        }
    finally:
        simulation.close()


def table(outages: list[timedelta]) -> str:
    """As Markdown."""
    lines = [
        "| way | hotel down for | events | others released after | hotel released, once back | "
        "Workflow knows what is stuck | order undone |",
        "|---|--:|--:|--:|--:|---|---|",
    ]
    for down in outages:
        for way in WAYS:
            found = measure(way, down)
            lines.append(
                f"| {way} | {_time(down.total_seconds())} | {found['events']:,} | "
                f"{_time(found['others'])} | {_time(found['hotel'])} | "
                f"{'yes' if found['knows'] else 'no'} | {', '.join(found['order'])} |"
            )
    return "\n".join(lines)


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 2 * 86_400 else f"{seconds / 86_400:.0f} days"


if __name__ == "__main__":
    print(table([timedelta(minutes=20), timedelta(hours=6), timedelta(days=30)]))
