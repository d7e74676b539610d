"""Nothing is lost while an undo is refused, stuck or settled, and what would lose it is found."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio import workflow
from temporalio.exceptions import ApplicationError

from tests import simulate_operator
from tests.simulate_operator import COLUMNS, SITUATIONS, Tally, tally
from tests.simulated_trips import SAGAS
from travel.workflows.book_trip import BookTrip

NUMBERS = {situation.name: number for number, situation in enumerate(SITUATIONS)}
SAMPLE = (
    "refused, settled by an Update sent three times, evictions around it",
    "deadline while undoing, refused, settled",
    "continued as new, refused, tried now, refused again, settled",
)


@pytest.mark.parametrize("saga", SAGAS)
def test_a_sample_loses_nothing(saga: str) -> None:
    found = Tally()
    for name in SAMPLE:
        found.merge(tally(saga, NUMBERS[name], one_in=40))
    assert (found.lost, found.losses) == (0, [])
    assert found.tried > 60 and found.settled_cents > 0
    assert all(found.happened[what] for what in ("waited", "decided", "continued", "deadline"))


@pytest.mark.everything
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("saga", SAGAS)
@pytest.mark.parametrize("name", NUMBERS)
def test_no_fault_in_no_situation_loses_anything(name: str, saga: str) -> None:
    found = tally(saga, NUMBERS[name])
    assert (found.lost, found.losses) == (0, [])
    assert found.tried > 250
    if SITUATIONS[NUMBERS[name]].continues:
        assert found.happened["continued"] > 0


# --- what would lose something --------------------------------------------------------------


async def settles_without_a_record(trip: Any, decision: Any) -> None:
    trip._saga.settle(decision.undo)


async def forgets_the_failure(trip: Any) -> None:
    await workflow.wait_condition(workflow.all_handlers_finished)
    trip._saga._failure = ApplicationError("Something went wrong.")
    await continue_undoing(trip)


async def forgets_an_undo(trip: Any) -> None:
    await workflow.wait_condition(workflow.all_handlers_finished)
    trip._saga._steps.pop()
    await continue_undoing(trip)


def hides_that_it_waits(trip: Any) -> str:
    return "compensating"


continue_undoing = BookTrip._continue_undoing
CONTINUED = "continued as new, refused, settled"
WRONG = (
    ("_settle", settles_without_a_record, "refused, settled", "room nights held"),
    ("_continue_undoing", forgets_the_failure, CONTINUED, "it ended with ApplicationError"),
    ("_continue_undoing", forgets_an_undo, CONTINUED, "held for a trip that did not complete"),
    ("_status", hides_that_it_waits, "refused, nobody decides yet", "nobody sees what it waits"),
)


@pytest.mark.parametrize(("method", "wrong", "name", "said"), WRONG)
def test_what_would_lose_something_is_found(
    method: str, wrong: Any, name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BookTrip, method, wrong)
    found = tally("BookTrip", NUMBERS[name], one_in=25)
    assert any(said in loss for loss in found.losses)


# --- the command ------------------------------------------------------------------------------


def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    few = SITUATIONS[:2]
    monkeypatch.setattr(simulate_operator, "SITUATIONS", few)
    assert simulate_operator.main(["--jobs", "1", "--one-in", "50"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.count("|") for line in lines[:5]] == [len(COLUMNS) + len(SAGAS) + 3] * 5
    assert lines[2].startswith("| refused, nobody decides yet | 9 | 9 |")
    assert lines[-1] == "lost: 0"
    for bad in (["--one-in", "0"], ["--jobs", "many"]):
        with pytest.raises(SystemExit) as caught:
            simulate_operator.main(bad)
        assert caught.value.code == 2
