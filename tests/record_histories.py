"""Record Event Histories of every design, for ``test_replay.py``.

``python -m tests.record_histories`` writes one file into ``tests/histories`` for every design
that has none, ``python -m tests.record_histories NAME`` that of a design anew. For a design that
has trips under way, a history that no longer replays is not to be recorded again: those trips
would break just like it.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import pkgutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tests.paths  # noqa: F401

# isort: split
import lab.designs
from lab.breaking.scenarios import Scenario, request_for, run_scenarios, standard_scenarios
from lab.breaking.terminations import terminate_before
from lab.running.background import background
from lab.running.reconciling import reconcile
from lab.running.system import System, start
from temporalio.client import WorkflowHandle

import travel.workflows
from travel.workflows.book_in_parallel import BookInParallel
from travel.workflows.book_trip import BookTrip
from travel.workflows.reconcile_trips import ReconcileTrips

FOLDER = Path(__file__).with_name("histories")

SUCCESS = Scenario("success", "success")
FEW = ("success", "no such room", "outage at book_car", "cancel during book_car")
"""What is recorded of a flawed design."""

MANY = (
    *FEW,
    "no such flight",
    "card declined",
    "outage at accept_payment",
    "blip at book_hotel",
    "first reply of book_hotel lost",
    "every reply of accept_payment lost",
    "late commit at book_flight",
    "cancel during accept_payment",
    "cancel during send_confirmation_email",
    "three cancels during cancel_hotel",
    "cancel_hotel down for a while",
    "email down for ever",
)
"""What is recorded of a design that could be in production."""


def all_designs() -> dict[str, Any]:
    """Every Workflow of ours and every flawed one, by name.

    But for the changed versions of one that run under its name: notebook 08 replays these.
    """
    return {
        design.__name__: design
        for package in (travel.workflows, lab.designs)
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
        for design in vars(importlib.import_module(found.name)).values()
        if _registered_name(design) == getattr(design, "__name__", "")
    }


def _registered_name(design: Any) -> str | None:
    definition = getattr(design, "__temporal_workflow_definition", None)
    return definition.name if definition else None


def names_for(design: Any) -> tuple[str, ...]:
    """The scenarios to record of a design."""
    return MANY if design in (BookTrip, BookInParallel) else FEW


def known_scenarios() -> dict[str, Scenario]:
    """What can be recorded, by name."""
    return {scenario.name: scenario for scenario in [SUCCESS, *standard_scenarios()]}


async def record(design: Any) -> dict[str, Any]:
    """The histories of a design, by scenario."""
    system = await start(designs=[design])
    try:
        if design is ReconcileTrips:
            return {"one trip released": await _reconciliation(system)}
        known = known_scenarios()
        scenarios = [known[name] for name in names_for(design)]
        verdicts = await run_scenarios(design, scenarios, system=system)
        return {v.scenario.name: await _fetch(system, v.request.workflow_id) for v in verdicts}
    finally:
        await system.close()


async def _reconciliation(system: System) -> dict[str, Any]:
    request = request_for(1)
    system.at(request, "book_car", terminate_before)
    await (await system.begin(request)).end()
    assert await reconcile(system) == [request.confirmation_code]
    return await _fetch(system, "reconcile-1")


async def _fetch(system: System, workflow_id: str) -> dict[str, Any]:
    handle: WorkflowHandle[Any, Any] = system.client.get_workflow_handle(workflow_id)
    history = await background().run(handle.fetch_history())
    return without_traces(json.loads(history.to_json()))


def without_traces(value: Any) -> Any:
    """A history without what tells of the machine that recorded it."""
    if isinstance(value, list):
        return [without_traces(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {name: item for name, item in value.items() if name != "stackTrace"}
    if value.get("kind") == "TASK_QUEUE_KIND_STICKY":
        kept["name"] = "recorded"  # a Worker's own queue is called by its process and its host
    return {
        name: "recorded" if name == "identity" else without_traces(item)
        for name, item in kept.items()
    }


def write(name: str, histories: dict[str, Any]) -> None:
    """One line a history, so that a new one is one line of a diff."""
    lines = [f"{json.dumps(name)}: {json.dumps(found)}" for name, found in histories.items()]
    (FOLDER / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


async def record_all(designs: Iterable[Any]) -> None:
    """Record, a design after the other."""
    for design in designs:
        write(design.__name__, await record(design))
        print(f"{design.__name__} recorded", flush=True)


def main() -> None:
    """Record the designs that are named, or those that never were."""
    designs = all_designs()
    new = [name for name in designs if not (FOLDER / f"{name}.json").exists()]
    parser = argparse.ArgumentParser(prog="python -m tests.record_histories", description=__doc__)
    parser.add_argument(
        "designs", nargs="*", metavar="NAME", choices=[*designs, []], help="default: new ones"
    )
    names = parser.parse_args().designs or new
    asyncio.run(record_all(designs[name] for name in names))


if __name__ == "__main__":
    main()
