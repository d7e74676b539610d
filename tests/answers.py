"""How the checks judge answers that they have not seen, by kind.

``python -m tests.answers`` judges all generated answers and prints, as Markdown, how many of
each kind were refused although right, accepted although wrong, or named otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

import tests.paths  # noqa: F401

# isort: split
from exercise_answers.generated import Generated, all_answers
from lab.checking.modules import CellProblem
from lab.checking.report_card import ReportCard
from lab.exercises import ALL


def card_of(exercise: str, given: object) -> ReportCard:
    """The report card of an answer."""
    return asyncio.run(_card_of(exercise, given))


async def _card_of(name: str, given: object) -> ReportCard:
    exercise = ALL[name]
    try:
        if hasattr(exercise, "judge_cell"):
            return await exercise.judge_cell(str(given))
        return await exercise.judge(given)
    except CellProblem as problem:
        return ReportCard(exercise.title, note=f"the cell cannot be used. {problem}")


def fits(answer: Generated, card: ReportCard) -> bool:
    """Whether it was judged as it should be: passed, or named by a mistake whose hint fits."""
    if answer.correct:
        return card.passed
    return bool(card.mistakes) and card.mistakes[0] in answer.fits


def covering(answers: Sequence[Generated]) -> list[Generated]:
    """One of each kind, right and wrong."""
    chosen: dict[tuple[str, bool], Generated] = {}
    for answer in answers:
        if answer.exercise != "insured_trip" or answer.kind == "code beside the saga":
            chosen.setdefault((answer.kind, answer.correct), answer)
    return list(chosen.values())


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(prog="python -m tests.answers", description=__doc__).parse_args()
    rows: dict[str, list[int]] = {}
    for answer in all_answers():
        card = card_of(answer.exercise, answer.given)
        row = rows.setdefault(answer.kind, [0, 0, 0, 0])
        row[0] += 1
        if not fits(answer, card):
            place = 1 if answer.correct else 2 if card.passed else 3
            row[place] += 1
            print(f"{answer}: {card}", file=sys.stderr, flush=True)
    print("| kind | answers | right, refused | wrong, accepted | wrong, named otherwise |")
    print("|---|--:|--:|--:|--:|")
    for kind, row in rows.items():
        print(f"| {kind} | {' | '.join(map(str, row))} |")
    total = [sum(row[place] for row in rows.values()) for place in range(4)]
    print(f"| **all** | {' | '.join(f'**{number}**' for number in total)} |")


if __name__ == "__main__":
    main()
