"""Answers to the exercises, correct and wrong, with what the check has to say of each."""

from exercise_answers import (
    ex01,
    ex02,
    ex03,
    ex04,
    ex05,
    ex06,
    ex07,
    ex08,
    ex09,
    ex10,
    ex11,
    ex12,
    ex13,
    ex14,
    ex15,
    ex16,
    ex16_self_test,
)
from exercise_answers.answer import CORRECT, UNTOUCHED, Answer

MODULES = (
    ex01,
    ex02,
    ex03,
    ex04,
    ex05,
    ex06,
    ex07,
    ex08,
    ex09,
    ex10,
    ex11,
    ex12,
    ex13,
    ex14,
    ex15,
    ex16,
    ex16_self_test,
)

ANSWERS: dict[str, dict[str, Answer]] = {
    name: answers for module in MODULES for name, answers in module.ANSWERS.items()
}

__all__ = ["ANSWERS", "CORRECT", "UNTOUCHED", "Answer"]
