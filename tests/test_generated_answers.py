"""Answers that nobody wrote: variants of right ones, and faults put into them, by kind.

One of every third kind is judged each time. ``--all`` judges all of them, for minutes, in a
file of its own, so that another process takes the others. ``python -m tests.answers`` prints
how they are judged.
"""

import pytest
from answers import card_of, covering, fits
from exercise_answers.generated import Generated, all_answers

from tests.sampling import few

GENERATED = all_answers()
SAMPLE = covering(GENERATED)
THIRD = SAMPLE[::3]


@pytest.mark.usefixtures("simulated_only")
@pytest.mark.parametrize(
    "answer", few([*THIRD, *(each for each in SAMPLE if each not in THIRD)], len(THIRD)), ids=str
)
def test_a_generated_answer_of_each_kind(answer: Generated) -> None:
    assert fits(answer, card_of(answer.exercise, answer.given))


@pytest.mark.everything
@pytest.mark.usefixtures("simulated_only")
@pytest.mark.timeout(1800)
def test_all_generated_answers() -> None:
    """None of the right ones is refused, and at least 98 in 100 of the wrong ones are named."""
    assert len(GENERATED) >= 300
    misjudged = [each for each in GENERATED if not fits(each, card_of(each.exercise, each.given))]
    refused = [str(each) for each in misjudged if each.correct]
    assert not refused
    wrong = sum(not each.correct for each in GENERATED)
    assert len(misjudged) <= wrong * 0.02, [str(each) for each in misjudged]
