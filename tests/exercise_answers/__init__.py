"""Answers to the exercises, correct and wrong, with what the check has to say of each."""

from exercise_answers import ex03
from exercise_answers.answer import CORRECT, UNTOUCHED, Answer

ANSWERS: dict[str, dict[str, Answer]] = {**ex03.ANSWERS}

__all__ = ["ANSWERS", "CORRECT", "UNTOUCHED", "Answer"]
