"""Notebook 04: predict which compensations a failure sets off."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any

from lab.changes.hotel_first import HotelFirst
from lab.checking.common import outage, rejection
from lab.checking.exercise import ValueExercise
from lab.checking.report_card import Line
from lab.checking.trials import Problem, Trial, run_trials

FAILURES: dict[str, Trial] = {
    "hotel rejected": rejection("book_hotel"),
    "car rejected": rejection("book_car"),
    "flight rejected": rejection("book_flight"),
    "payment declined": rejection("accept_payment"),
    "hotel outage": outage("book_hotel"),
    "flight outage": outage("book_flight"),
    "payment outage": outage("accept_payment"),
}

Prediction = Mapping[str, Sequence[str]] | Callable[[str], Sequence[str]]

SOLUTION = """
predicted = {
    "hotel rejected": [],
    "car rejected": ["cancel_hotel"],
    "flight rejected": ["cancel_car", "cancel_hotel"],
    "payment declined": ["cancel_flight", "cancel_car", "cancel_hotel"],
    "hotel outage": ["cancel_hotel"],
    "flight outage": ["cancel_flight", "cancel_car", "cancel_hotel"],
    "payment outage": ["refund_payment", "cancel_flight", "cancel_car", "cancel_hotel"],
}
"""


async def judge(prediction: Any) -> list[Line]:
    """Compare with seven trips through ``HotelFirst``."""
    if not (isinstance(prediction, Mapping) or callable(prediction)):
        expected = "a dict with a list for each failure"
        return [Line("your answer", expected, Problem("prediction", f"{prediction!r:.60}"))]
    said = {name: _predicted(prediction, name) for name in FAILURES}
    if all(answer is None for answer in said.values()):
        raise NotImplementedError
    found = await run_trials(HotelFirst, list(FAILURES.values()))
    return [
        _line(name, said[name], each[0].history.compensations)
        for name, each in zip(FAILURES, found, strict=True)
    ]


def _predicted(prediction: Prediction, name: str) -> list[str] | None:
    try:
        answer = prediction(name) if callable(prediction) else prediction[name]
    except KeyError:
        return None
    if answer is None or answer is ...:
        return None
    ordered = isinstance(answer, Iterable) and not isinstance(answer, (str, Set))
    return [
        name if isinstance(name, str) else repr(name)
        for name in (answer if ordered else [repr(answer)])
    ]


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
        "Compare each rejected with the outage below it in the picture of the outcomes: the same "
        "rule holds here, for the order hotel, car, flight, payment.",
        '"some failure": ["the newest undo", "the one before it", ...]',
    ),
    solution_code=SOLUTION,
    why="Everything that was booked is undone, newest first. A step that was rejected did nothing; "
    "a step whose provider never answered may have been done, so it is undone as well.",
)
