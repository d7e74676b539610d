"""Answers to the self-test at the end of notebook 16."""

from lab.exercises.ex16_self_test import QUESTIONS

from exercise_answers.answer import CORRECT, UNTOUCHED, Answer

RIGHT = "".join(question.right for question in QUESTIONS)


def but(number: int, letter: str) -> str:
    """All right but one."""
    return RIGHT[: number - 1] + letter + RIGHT[number:]


ANSWERS = {
    "self_test": {
        "untouched": Answer("", UNTOUCHED),
        "reference": Answer(RIGHT, CORRECT),
        "in groups, capitals": Answer(f"{RIGHT[:5]} {RIGHT[5:]}".upper(), CORRECT),
        "a list": Answer(list(RIGHT), CORRECT),
        "a dict": Answer(dict(enumerate(RIGHT, 1)), CORRECT),
        **{
            f"{question.about}: {letter}": Answer(but(number, letter), "wrong choice")
            for number, question in enumerate(QUESTIONS, 1)
            for letter, choice in question.choices.items()
            if choice.wrong
        },
        "one letter for all": Answer("a" * 10, "wrong choice"),
        "no such choice": Answer(but(4, "x"), "prediction"),
        "half of it": Answer(RIGHT[:5], "prediction"),
        "a dict by texts": Answer(
            {str(number): letter for number, letter in enumerate(RIGHT, 1)}, CORRECT
        ),
        "with brackets": Answer([f"{letter})" for letter in RIGHT], CORRECT),
        "eleven letters": Answer(RIGHT + "a", "bug"),
        "no letters": Answer([1, 2, 3], "prediction"),
    }
}
