"""Notebook 04: predict which compensations a failure sets off."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lab.checking.common import outage, rejection
from lab.checking.exercise import ValueExercise
from lab.checking.report_card import Line
from lab.checking.trials import Problem, Trial, run_trials
from travel.workflows.book_trip import BookTrip

FAILURES: dict[str, Trial] = {
    "flight rejected": rejection("book_flight"),
    "hotel rejected": rejection("book_hotel"),
    "car rejected": rejection("book_car"),
    "payment declined": rejection("accept_payment"),
    "hotel outage": outage("book_hotel"),
    "car outage": outage("book_car"),
    "payment outage": outage("accept_payment"),
}

Prediction = Mapping[str, Sequence[str]] | Callable[[str], Sequence[str]]

SOLUTION = """
predicted = {
    "flight rejected": [],
    "hotel rejected": ["cancel_flight"],
    "car rejected": ["cancel_hotel", "cancel_flight"],
    "payment declined": ["cancel_car", "cancel_hotel", "cancel_flight"],
    "hotel outage": ["cancel_hotel", "cancel_flight"],
    "car outage": ["cancel_car", "cancel_hotel", "cancel_flight"],
    "payment outage": ["refund_payment", "cancel_car", "cancel_hotel", "cancel_flight"],
}
"""


async def judge(prediction: Any) -> list[Line]:
    """Compare with seven trips through ``BookTrip``."""
    said = {name: _predicted(prediction, name) for name in FAILURES}
    if all(answer is None for answer in said.values()):
        raise NotImplementedError
    found = await run_trials(BookTrip, list(FAILURES.values()))
    return [
        _line(name, said[name], one.history.compensations)
        for name, one in zip(FAILURES, found, strict=True)
    ]


def _predicted(prediction: Prediction, name: str) -> list[str] | None:
    answer = prediction(name) if callable(prediction) else prediction.get(name)
    return None if answer is None or answer is ... else list(answer)


def _line(name: str, said: list[str] | None, ran: list[str]) -> Line:
    should = "as you predicted"
    if said is None:
        return Line(name, should, Problem("prediction", "no prediction"))
    if said == ran:
        return Line(name, should)
    return Line(name, should, Problem(_mistake(said, ran), f"ran: {', '.join(ran) or 'nothing'}"))


def _mistake(said: list[str], ran: list[str]) -> str:
    if sorted(said) == sorted(ran):
        return "wrong order"
    if set(said) > set(ran):
        return "everything"
    if set(ran) - set(said) == {"refund_payment"}:
        return "refund forgotten"
    return "prediction"


predict_compensations = ValueExercise(
    name="predict_compensations",
    title="Predict the compensations",
    judge_value=judge,
    hints=(
        "A rejection is an answer, an outage is none.",
        "Compare each rejected with the outage below it in the picture of the outcomes.",
        '"some failure": ["the newest undo", "the one before it", ...]',
    ),
    solution_code=SOLUTION,
    why="Everything that was booked is undone, newest first. A step that was rejected did nothing; "
    "a step whose provider never answered may have been done, so it is undone as well.",
)
