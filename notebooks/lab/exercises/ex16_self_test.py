"""At the end of notebook 16: ten questions, each wrong choice explained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.checking.exercise import ValueExercise
from lab.checking.report_card import Line
from lab.checking.trials import Problem


@dataclass(frozen=True)
class Choice:
    """``wrong`` says why it is; empty for the right one."""

    text: str
    wrong: str = ""


@dataclass(frozen=True)
class Question:
    """``felt_in`` names the notebooks where the answer was felt."""

    about: str
    text: str
    choices: Mapping[str, Choice]
    felt_in: str

    @property
    def right(self) -> str:
        """The letter of the right choice."""
        return next(letter for letter, choice in self.choices.items() if not choice.wrong)


QUESTIONS = (
    Question(
        "when a saga",
        "Flight and hotel belong to two companies. Each of them commits at once. What do you use?",
        {
            "a": Choice(
                "one transaction over both databases",
                "no company lets you hold its transaction open while you ask the other one",
            ),
            "b": Choice(
                "retries until both have said yes",
                "a definite no stays a no, and then somebody has to undo the other booking",
            ),
            "c": Choice("a saga"),
        },
        "00, 13",
    ),
    Question(
        "order",
        "A transfer was booked to the hotel's address, after the hotel. Both are to be undone.",
        {
            "a": Choice(
                "hotel, then transfer",
                "the transfer builds on the hotel: for a moment it leads to a room that is gone",
            ),
            "b": Choice("transfer, then hotel"),
            "c": Choice(
                "in any order",
                "order binds where one step builds on another; newest first is right everywhere",
            ),
        },
        "03, 05",
    ),
    Question(
        "state",
        "`book_car` timed out, three times. Does `cancel_car` belong on the list of undos?",
        {
            "a": Choice("yes"),
            "b": Choice(
                "no, it never succeeded",
                "nobody knows: the reply may be what was lost, and the car booked",
            ),
            "c": Choice(
                "only if our database has a car for the trip",
                "an attempt that is still on its way may book one after you have looked",
            ),
        },
        "07",
    ),
    Question(
        "a definite no",
        "Flight booked; the hotel says that it has no room. What is to be undone?",
        {
            "a": Choice(
                "hotel and flight",
                "the hotel did nothing, for certain; there is nothing to ask it for",
            ),
            "b": Choice("the flight"),
            "c": Choice(
                "nothing", "the flight is held for a trip that cannot happen, and will be charged"
            ),
        },
        "03, 04",
    ),
    Question(
        "symmetric Activities",
        "`cancel_hotel` arrives while `book_hotel` is still on its way. What must the hotel do?",
        {
            "a": Choice(
                "fail, for it knows no such booking",
                "the undo would be stuck, and the booking that comes later holds a room",
            ),
            "b": Choice(
                "succeed, for there is nothing to cancel",
                "the booking that comes later then holds a room for nobody",
            ),
            "c": Choice("succeed, and refuse that booking when it comes"),
        },
        "07",
    ),
    Question(
        "the booking request",
        "Why is the request stored before the first provider is called?",
        {
            "a": Choice("what a provider holds must never belong to a trip that nobody knows"),
            "b": Choice(
                "because Temporal needs it to start the Workflow",
                "Temporal keeps the argument in the Event History by itself",
            ),
            "c": Choice(
                "so that the email can be sent",
                "the email needs it after the payment, which is early enough",
            ),
        },
        "02, 03",
    ),
    Question(
        "awaiting",
        "In the `except` block: `asyncio.create_task(cancel_hotel())`, then `raise`. What happens?",
        {
            "a": Choice(
                "the undo goes on in the background",
                "a Workflow that is closed runs nothing any more",
            ),
            "b": Choice(
                "Temporal waits for the task before it closes the Workflow",
                "it waits for what you await, and for nothing else",
            ),
            "c": Choice("the Workflow fails, and the room stays held"),
        },
        "03",
    ),
    Question(
        "critical or auxiliary",
        "The trip is paid. The confirmation email fails, and fails again.",
        {
            "a": Choice(
                "undo everything", "a paid trip is taken from a customer because of an email"
            ),
            "b": Choice("the trip stands, and its result says that no email was sent"),
            "c": Choice(
                "try the email for ever, then return",
                "the customer waits for the result of a trip that is booked",
            ),
        },
        "06",
    ),
    Question(
        "retries",
        "`cancel_hotel` finds no connection, three times. What should it do next?",
        {
            "a": Choice(
                "give up and write a line to the log",
                "the room stays held, and nobody reads the log",
            ),
            "b": Choice(
                "fail the Workflow, so that somebody notices",
                "a closed Workflow undoes nothing more; the room stays held, and so does the seat",
            ),
            "c": Choice("ask again for as long as it takes, visibly, and let the others go on"),
        },
        "05, 12",
    ),
    Question(
        "the Web UI",
        "A trip failed last night. Where do you read why, and what was undone?",
        {
            "a": Choice("in its Event History: the last event, and the Activities before it"),
            "b": Choice(
                "in the event of each failed attempt",
                "failed attempts leave no events; the last one alone is there, with its count",
            ),
            "c": Choice(
                "in the Worker's log",
                "which of your Workers was it, and is its log still there? The history is",
            ),
        },
        "00, 04",
    ),
)


class Questions:
    """All ten, to read in a notebook."""

    def __repr__(self) -> str:
        return "\n\n".join(_asked(number, one) for number, one in enumerate(QUESTIONS, 1))

    def _repr_markdown_(self) -> str:
        parts = []
        for number, one in enumerate(QUESTIONS, 1):
            choices = "  \n".join(f"{letter}) {c.text}" for letter, c in one.choices.items())
            parts.append(f"**{number}.** {one.text}\n\n{choices}")
        return "\n\n".join(parts)


def questions() -> Questions:
    """The ten questions; put your answers into a text of ten letters."""
    return Questions()


def _asked(number: int, one: Question) -> str:
    choices = [f"   {letter}) {choice.text}" for letter, choice in one.choices.items()]
    return "\n".join([f"{number}. {one.text}", *choices])


async def judge(answers: Any) -> list[Line]:
    """A line a question; ``answers`` are letters, in a text, a list, or a dict by number."""
    given = _letters(answers)
    if not any(given):
        raise NotImplementedError
    pairs = zip(QUESTIONS, given, strict=True)
    return [_line(number, question, letter) for number, (question, letter) in enumerate(pairs, 1)]


def _letters(answers: Any) -> list[str]:
    """One for each question; empty where there is none."""
    if isinstance(answers, Mapping):
        by_number = {str(number): letter for number, letter in answers.items()}
        answers = [by_number.get(str(number), "") for number in range(1, len(QUESTIONS) + 1)]
    letters = ["" if one in (None, ...) else str(one).strip(" \n.)").lower() for one in answers]
    if isinstance(answers, str):
        letters = [letter for letter in letters if letter.isalpha()]
    if len(letters) > len(QUESTIONS):
        raise ValueError(f"expected {len(QUESTIONS)} letters, got {len(letters)}")
    return [*letters, *[""] * len(QUESTIONS)][: len(QUESTIONS)]


def _line(number: int, question: Question, letter: str) -> Line:
    tried = f"{number}. {question.about}"
    if letter not in question.choices:
        among = ", ".join(question.choices)
        said = f"{letter!r} is none of {among}" if letter else "no answer"
        return Line(tried, "the right choice", Problem("prediction", said))
    wrong = question.choices[letter].wrong
    found = f"{letter}) {wrong} (see {question.felt_in})"
    return Line(tried, "the right choice", Problem("wrong choice", found) if wrong else None)


self_test = ValueExercise(
    name="self_test",
    title="Self-test",
    judge_value=judge,
    hints=(
        "Each question was felt in a notebook. The report card says in which.",
        "Ask of each choice: what is held afterwards, and who knows of it?",
        'answers = "…", ten letters, one for each question',
    ),
    solution_code=f'answers = "{"".join(question.right for question in QUESTIONS)}"',
    why="The wrong choices are the losses that you have seen. Whoever makes them loses money on a "
    "day when nothing seems to be wrong.",
)
