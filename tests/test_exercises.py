"""The checks, checked: every correct answer passes, every wrong one is told its mistake."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from exercise_answers import ANSWERS, CORRECT, UNTOUCHED
from lab.checking.exercise import WorkflowExercise
from lab.checking.mistakes import MISTAKES
from lab.checking.report_card import ReportCard
from lab.exercises import ALL

AT_ONCE = 6

CASES = [(name, answer) for name, answers in ANSWERS.items() for answer in answers]


@pytest.fixture(scope="module")
def cards(request: pytest.FixtureRequest) -> dict[tuple[str, str], ReportCard]:
    """The report card of every answer that is asked for, a few at once on one server."""
    wanted = [
        item.callspec.params["case"]
        for item in request.session.items
        if item.path == request.path  # other tests have cases of their own
        and getattr(item, "callspec", None)
        and "case" in item.callspec.params
    ]

    async def all_of_them() -> dict[tuple[str, str], ReportCard]:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(exercise: str, answer: str) -> ReportCard:
            async with slots:
                return await card_of(exercise, ANSWERS[exercise][answer].given)

        return dict(zip(wanted, await asyncio.gather(*[one(*case) for case in wanted])))  # noqa: B905

    return asyncio.run(all_of_them())


async def card_of(name: str, given: object) -> ReportCard:
    exercise = ALL[name]
    if isinstance(exercise, WorkflowExercise):
        return await exercise.judge_cell(str(given))
    return await exercise.judge(given)


@pytest.mark.timeout(600)  # the first one waits for all
@pytest.mark.parametrize("case", CASES, ids=lambda case: ": ".join(case))
def test_check(
    case: tuple[str, str],
    cards: dict[tuple[str, str], ReportCard],
    record_property: Callable[[str, object], None],
) -> None:
    card, expected = cards[case], ANSWERS[case[0]][case[1]].verdict
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
