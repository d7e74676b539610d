"""The checks, checked: every correct answer passes, every wrong one is told its mistake.

A few of each exercise are judged each time; ``--all`` judges all of them.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from answers import card_of
from exercise_answers import ANSWERS, CORRECT, UNTOUCHED
from lab.checking.mistakes import MISTAKES
from lab.exercises import ALL

from tests.sampling import few

CASES = [(name, answer) for name, answers in ANSWERS.items() for answer in answers]
FEW = (
    {
        (name, next(answer for answer, one in answers.items() if one.verdict == verdict))
        for name, answers in ANSWERS.items()
        for verdict in {one.verdict for one in answers.values()} & {UNTOUCHED, CORRECT}
    }
    | {
        (name, next(answer for answer, one in answers.items() if one.verdict in MISTAKES))
        for name, answers in ANSWERS.items()
        if name not in ("defend_it", "shop_saga")  # these take seconds
    }
    | {("shop_saga", "an undo tried a thousand times")}
)
"""Of each exercise what is there before, a correct answer, and a wrong one.

Of the shop's saga the mistake that takes the most steps to see.
"""
REFERENCES = [
    name
    for name, exercise in ALL.items()
    if hasattr(exercise, "judge_cell") and name not in ("shop_desk", "still_alive")  # no Workflow
]


@pytest.mark.usefixtures("simulated_only")
@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=() if case in FEW else pytest.mark.everything) for case in CASES],
    ids=lambda case: ": ".join(case),
)
def test_check(case: tuple[str, str], record_property: Callable[[str, object], None]) -> None:
    expected = ANSWERS[case[0]][case[1]].verdict
    card = card_of(case[0], ANSWERS[case[0]][case[1]].given)
    if expected == UNTOUCHED:
        found = "not attempted" if not card.lines and "not attempted" in card.note else "?"
    else:
        found = CORRECT if card.passed else ", ".join(card.mistakes)
    record_property("check against answer", (*case, found))  # printed by conftest.py
    assert expected == UNTOUCHED or card.lines, card
    if expected in (CORRECT, UNTOUCHED):
        assert found == expected, card
    else:
        assert card.mistakes[:1] == [expected], card


@pytest.mark.parametrize(
    "name", few(["insured_trip", *(name for name in REFERENCES if name != "insured_trip")])
)
def test_the_last_word_is_the_servers(name: str) -> None:
    card = card_of(name, ALL[name].solution_code)
    assert card.passed, card
    assert card.real == 1
    assert f"{card.simulated} schedules simulated, and one trip booked for real." in repr(card)


@pytest.mark.usefixtures("simulated_only")
@pytest.mark.everything
def test_a_check_costs_little() -> None:
    """Processor time, which does not depend on who else is at work; loose, as machines differ."""
    costs = []
    for name in REFERENCES:
        began = time.process_time()
        card_of(name, ALL[name].solution_code)
        costs.append(time.process_time() - began)
    assert sorted(costs)[len(costs) // 2] < 5
    assert max(costs) < 15


@pytest.mark.parametrize("name", ALL)
def test_every_exercise_has_its_answers(name: str) -> None:
    """Untouched, the reference, at least two other correct ones, and wrong ones."""
    verdicts = [answer.verdict for answer in ANSWERS[name].values()]
    assert verdicts.count(UNTOUCHED) == 1
    assert verdicts.count(CORRECT) >= 3
    assert set(verdicts) - {UNTOUCHED, CORRECT}
    assert set(verdicts) - {UNTOUCHED, CORRECT} <= set(MISTAKES)


@pytest.mark.parametrize("name", ALL)
def test_hints_climb_and_do_not_give_the_answer(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exercise = ALL[name]
    exercise.last, exercise._rung = None, 0
    for _ in range(4):
        exercise.hint()
    said = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in said] == [
        "Hint 1 of 3",
        "Hint 2 of 3",
        "Hint 3 of 3",
        "Hint 3 of 3",
    ]
    solution = {line.strip() for line in exercise.solution_code.splitlines()}
    solution = {line for line in solution if len(line) > 25}
    assert not any(line in text for line in solution for text in said)
    exercise.solution()
    assert exercise.why in capsys.readouterr().out


def cells_with_answers() -> dict[str, str]:
    """What stands in the notebooks' ``%%workflow`` and ``%%activities`` cells, by exercise."""
    found = {}
    for path in sorted((Path(__file__).parents[1] / "notebooks").glob("[0-9]*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            magic, _, text = "".join(cell["source"]).partition("\n")
            if magic.startswith(("%%workflow ", "%%activities ")):
                found[magic.split()[1]] = text
    return found


def test_the_notebooks_hold_the_untouched_exercises() -> None:
    skeletons = {name: e.skeleton.strip("\n") for name, e in ALL.items() if e.skeleton}
    assert cells_with_answers() == skeletons
