"""Notebook 08: an adapter for a company that has no keys, only a look-up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from lab.checking.exercise import ValueExercise
from lab.checking.report_card import Line
from lab.checking.trials import Problem
from lab.foreign.kinds import LOOK_UP
from lab.foreign.trials import Outcome, Trial, trials, try_hotels
from lab.simulation import NeverYields
from lab.simulation.guard import guarded
from travel.models import HotelBooking, TripRequest
from travel.providers.outside import order_of

ADAPTER = '''
from travel.errors import Rejected, Unavailable
from travel.providers.outside import IN_FLIGHT


def book(company, notes, key, order, now):
    """Return the reservation, or raise Unavailable to be called again."""
    if notes.get("undone"):
        raise Rejected("it was undone")
    if found := company.find(key):
        return found[0]
    if now < notes.get("last sent", 0) + IN_FLIGHT.total_seconds():
        raise Unavailable("a request may be under way", retry_after=IN_FLIGHT)
    notes["last sent"] = now
    return company.reserve(order)


def cancel(company, notes, key, now):
    """Release the room, and see that none will be reserved; or raise Unavailable."""
    notes["undone"] = True
    for reservation in company.find(key):
        company.cancel(reservation.number)
    if now < notes.get("last sent", 0) + IN_FLIGHT.total_seconds():
        raise Unavailable("a request may still arrive", retry_after=IN_FLIGHT)
'''


ENDLESS_SECONDS = 4.0
"""Of processor time for one kind of trial; an adapter needs a tenth of that."""


class _Adapter:
    """The two functions of an answer, as ``try_hotels`` wants them; ``notes`` are on disk."""

    def __init__(self, book: Any, cancel: Any, company: Any, clock: Callable[[], float]) -> None:
        self._book, self._cancel = book, cancel
        self._company, self._clock = company, clock
        self._notes: dict[str, Any] = {}

    def book(self, key: str, request: TripRequest) -> HotelBooking:
        order = order_of(key, request)
        reservation = self._book(self._company, self._notes, key, order, self._clock())
        booking: HotelBooking = reservation.booking
        return booking

    def cancel(self, key: str, confirmation_code: str) -> None:
        self._cancel(self._company, self._notes, key, self._clock())


async def judge_adapter(answer: Any) -> list[Line]:
    """Put it through every fault on the line, and report a line for each kind of trial."""
    if not (isinstance(answer, Sequence) and len(answer) == 2 and all(map(callable, answer))):
        should = "two functions: check((book, cancel))"
        return [Line("your answer", should, Problem("bug", f"{answer!r:.60}"))]
    return await asyncio.to_thread(_judge_all, *answer)


def _judge_all(book: Any, cancel: Any) -> list[Line]:
    """Stops at the first that never gives control back: each of the others would take seconds."""

    def use(_database: Any, company: Any, clock: Callable[[], float]) -> _Adapter:
        return _Adapter(book, cancel, company, clock)

    lines = []
    for tried, should, mistake, belongs in GROUPS:
        which = [trial for trial in trials() if belongs(trial)]
        try:
            lines.append(_judged(tried, should, mistake, use, which))
        except NeverYields as endless:
            return [*lines, Line(tried, should, Problem("never ended", str(endless)))]
    return lines


def _judged(tried: str, should: str, mistake: str, use: Any, which: list[Trial]) -> Line:
    try:
        outcomes = guarded(
            lambda: try_hotels(LOOK_UP, use, which), "Your function", limit=ENDLESS_SECONDS
        )
    except (NotImplementedError, NeverYields):
        raise
    except Exception as error:
        return Line(tried, should, Problem("bug", f"{type(error).__name__}: {error}"))
    wrong = [outcome for outcome in outcomes if outcome.problem]
    return Line(tried, should, _problem(wrong, len(which), mistake) if wrong else None)


def _problem(wrong: list[Outcome], tried: int, mistake: str) -> Problem:
    first = wrong[0]
    told = f"{len(wrong)} of {tried} lost, such as {first.trial}: {first.problem}"
    if "never came to an end" in first.problem:
        return Problem("never ended", told)
    return Problem(mistake, told)


def _late(trial: Trial) -> bool:
    return any(fault.value == "late commit" for fault in trial.faults.values())


GROUPS: tuple[tuple[str, str, str, Callable[[Trial], bool]], ...] = (
    (
        "the trip stands, a call goes wrong",
        "one room",
        "not idempotent",
        lambda trial: trial.plan == "the trip stands" and not _late(trial),
    ),
    (
        "the trip is undone, a call goes wrong",
        "no room, and no late attempt gets one",
        "no tombstone",
        lambda trial: "undone" in trial.plan and not _late(trial),
    ),
    (
        "no such room, a call goes wrong",
        "no room",
        "left",
        lambda trial: trial.plan == "no such room" and not _late(trial),
    ),
    (
        "a request is under way while you look",
        "one room if the trip stands, else none",
        "under way",
        _late,
    ),
)

without_a_key = ValueExercise(
    name="without_a_key",
    title="Without a key",
    judge_value=judge_adapter,
    hints=(
        "The company remembers what arrived. What did you do that it may not have seen yet?",
        "Look at HotelsWithExpiringKeys.book in this notebook: what is written down before the "
        "request leaves?",
        'raise Unavailable(..., retry_after=IN_FLIGHT)  while now < notes["last sent"] + ...; '
        "in both functions",
    ),
    shapes={
        "no tombstone": 'notes["undone"] = True  in cancel, before anything else, and a look at '
        "it in book",
        "not idempotent": "company.find(key)  before  company.reserve(order)",
    },
    solution_code=ADAPTER,
    why="Your notes are written before the request leaves, so they know of requests that the "
    "company cannot show yet. One request is under way at a time, and an undo looks once more "
    "when none can be.",
)
