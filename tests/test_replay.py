"""A change to a Workflow must not break the trips that are under way while it is deployed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import breaking_changes
import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from tests.record_histories import FOLDER, all_designs, known_scenarios, names_for
from tests.sampling import few
from travel.workflows.reconcile_trips import ReconcileTrips

DESIGNS = all_designs()


def recorded(name: str) -> dict[str, WorkflowHistory]:
    """The histories of a design, by scenario."""
    found = json.loads((FOLDER / f"{name}.json").read_text())
    return {
        scenario: WorkflowHistory.from_json(f"{name}-{number}", history)
        for number, (scenario, history) in enumerate(found.items())
    }


def broken(design: Any, histories: dict[str, WorkflowHistory]) -> dict[str, str]:
    """The scenarios whose history does not replay, and what the Replayer says."""

    async def replay() -> dict[str, str]:
        replayer = Replayer(workflows=[design])
        failures = {}
        for scenario, history in histories.items():
            result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
            if result.replay_failure:
                failures[scenario] = str(result.replay_failure)
        return failures

    return asyncio.run(replay())


@pytest.mark.parametrize("name", DESIGNS)
def test_recorded_trips_replay(name: str) -> None:
    assert broken(DESIGNS[name], recorded(name)) == {}


@pytest.mark.parametrize("name", DESIGNS)
def test_every_design_was_recorded(name: str) -> None:
    wanted = names_for(DESIGNS[name])
    if DESIGNS[name] is ReconcileTrips:
        wanted = ("one trip released",)
    assert tuple(recorded(name)) == wanted


def test_what_is_recorded_can_be_recorded_again() -> None:
    assert {name for design in DESIGNS.values() for name in names_for(design)} <= set(
        known_scenarios()
    )


def test_no_history_of_a_design_that_is_gone() -> None:
    assert {file.stem for file in FOLDER.glob("*.json")} == set(DESIGNS)


def test_no_history_tells_of_the_machine_that_recorded_it() -> None:
    for file in FOLDER.glob("*.json"):
        text = file.read_text()
        assert "stackTrace" not in text and 'File "' not in text and "site-packages" not in text


@pytest.mark.parametrize(
    "change", few(breaking_changes.CHANGES, 2), ids=lambda change: change.__name__
)
def test_a_breaking_change_is_caught(change: Any) -> None:
    assert broken(change, recorded("BookTrip"))


def test_reversed_compensations_break_only_trips_that_were_undone() -> None:
    found = broken(breaking_changes.OldestUndoneFirst, recorded("BookTrip"))
    assert "success" not in found
    assert {"card declined", "outage at accept_payment"} <= set(found)


def test_another_price_breaks_nothing() -> None:
    assert broken(breaking_changes.OneCentLess, recorded("BookTrip")) == {}
