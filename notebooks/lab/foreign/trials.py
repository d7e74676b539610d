"""Put a way of using a foreign company through every fault on the line to it.

A trial does what a saga does: attempts to book, then what the plan says, an undo that is
repeated until it succeeds, and after all that what was late: an attempt that begins when
everything is over, requests that were under way, callbacks. Time is virtual. Then the
rooms are counted. No Temporal is needed for that, so a trial takes milliseconds.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import combinations, count, product
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select

from lab.foreign.by_hand import START
from lab.foreign.companies import metadata as foreign
from lab.foreign.kinds import Kind
from lab.foreign.line import Crash, Line
from lab.running.scratch import scratch_folder
from lab.showing.scoreboards import Cell, Scoreboard
from travel.errors import Rejected, Unavailable
from travel.faults import Fault
from travel.models import HotelBooking, Passenger, TripRequest, idempotency_key
from travel.store.address import sqlite_url
from travel.store.database import Database, open_database, order_replies, orders, room_holds
from travel.store.inventory import store_seed_data
from travel.store.seed_data import load_seed_data

FAULTS = (
    Fault.BLIP,
    Fault.LOST_ACKNOWLEDGEMENT,
    Fault.LATE_COMMIT,
    Fault.CRASH_BEFORE_COMMIT,
    Fault.CRASH_AFTER_COMMIT,
)
"""What a line can do to a call. An outage is a blip at every call."""

PLANS = (
    "the trip stands",
    "the trip is undone",
    "undone, the company down for two days",
    "no such room",
)

CALLS = 4
"""Calls over the line at which a fault is tried; few trials make more."""

STEP_ATTEMPTS = 3
STEP_PATIENCE = timedelta(days=6)
UNDO_PATIENCE = timedelta(days=30)
DOWN = timedelta(days=2)

TRIP = TripRequest(
    confirmation_code="TRIAL",
    customer="Customer-001",
    origin="SFO",
    destination="JFK",
    departure_date="2025-02-01",
    return_date="2025-02-04",
    passengers=[Passenger("Customer-001")],
    room_type="deluxe",
    car_type="midsize",
)
KEY = idempotency_key(TRIP.confirmation_code, "book_hotel")


@dataclass(frozen=True)
class Trial:
    """A plan, and the calls over the line that go wrong (counted from 1)."""

    plan: str
    faults: Mapping[int, Fault] = field(default_factory=dict)

    def __str__(self) -> str:
        where = [f"{_words(fault)} at call {number}" for number, fault in self.faults.items()]
        return ", ".join([self.plan, *where])


@dataclass(frozen=True)
class Outcome:
    """What a trial left: nights held although they should not be, or missing."""

    trial: Trial
    problem: str = ""
    nights: int = 0


def trials(*, at_once: int = 1) -> Iterator[Trial]:
    """Every plan with up to ``at_once`` faults, each kind at each of the first calls."""
    for plan in PLANS:
        for number in range(at_once + 1):
            for calls in combinations(range(1, CALLS + 1), number):
                for faults in product(FAULTS, repeat=number):
                    yield Trial(plan, dict(zip(calls, faults, strict=True)))


def try_hotels(
    kind: Kind,
    use: Callable[..., Any],
    which: Iterable[Trial] | None = None,
    *,
    database: Database | None = None,
) -> list[Outcome]:
    """Put ``use(database, company, clock)`` of this kind's company through the trials.

    Without ``database`` they get one of their own, which is deleted afterwards.
    """
    if database is not None:
        return [_Play(database, kind, use, trial).outcome() for trial in which or trials()]
    with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
        own = open_database(sqlite_url(Path(folder, "travel.sqlite")))
        try:
            store_seed_data(own, load_seed_data())
            return try_hotels(kind, use, which, database=own)
        finally:
            own.close()


def cells(outcomes: Iterable[Outcome]) -> dict[str, Cell]:
    """Count what was left, by kind of fault; a cell is of trials, not of nights."""
    columns: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        columns.setdefault(_column(outcome.trial), []).append(outcome)
    return {
        column: Cell(lost=len(lost(found)), trips=len(found)) for column, found in columns.items()
    }


def compared(kind: Kind) -> Scoreboard:
    """The naive use of a company and its adapter, after all trials: a row each."""
    board = Scoreboard()
    for use in (kind.naive, kind.adapter):
        assert use is not None
        board.add_row(use.__name__, cells(try_hotels(kind, use)))
    return board


def _column(trial: Trial) -> str:
    if "down" in trial.plan:
        return "down for two days"
    return next((_words(fault) for fault in trial.faults.values()), "no fault")


def _words(fault: Fault) -> str:
    return "lost reply" if fault is Fault.LOST_ACKNOWLEDGEMENT else fault.value


def lost(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Those that went wrong."""
    return [outcome for outcome in outcomes if outcome.problem]


class _Play:
    def __init__(
        self, database: Database, kind: Kind, use: Callable[..., Any], trial: Trial
    ) -> None:
        self.database, self.trial = database, trial
        self.now, self.refused = START, False
        self.company = kind.company(database, self.clock)
        _clear(database)
        self.line = Line(self.company, self.clock, trial.faults)
        self.hotels = use(database, self.line, self.clock)
        self.company.call_back = getattr(self.hotels, "receive", None)
        no_such_room = trial.plan == "no such room"
        self.request = replace(TRIP, room_type="presidential") if no_such_room else TRIP

    def clock(self) -> float:
        return self.now

    def outcome(self) -> Outcome:
        booking, settled = self._book(), True
        if booking is None or self.trial.plan != "the trip stands":
            settled = self._undo()
            booking = None
        self._late_attempts(booking)
        for _ in range(4):  # a callback that was not accepted is sent again
            self._pass(timedelta(days=1))
        problem, nights = self._judge(booking)
        return Outcome(self.trial, problem if settled else "the undo never came to an end", nights)

    def _book(self) -> HotelBooking | None:
        """What the step returns to the saga; None if it has to be undone or was refused."""
        started, attempt, patient = self.now, 0, hasattr(self.hotels, "receive")
        while attempt < STEP_ATTEMPTS or patient:
            wait = timedelta(seconds=min(2 ** min(attempt, 12), 3600))
            attempt += 1
            try:
                booking: HotelBooking = self._call(self.hotels.book, KEY, self.request)
                return booking
            except Rejected:
                # A definite no: a saga does not undo such a step, so it had better be true.
                self.refused = True
                return None
            except Unavailable as error:
                wait = error.retry_after or wait
            except Crash:
                wait = max(wait, timedelta(seconds=3))  # until the attempt times out
            if self.now - started > STEP_PATIENCE.total_seconds():
                return None
            # An attempt may come later than was asked; that spares us a hundred looks.
            self._pass(max(wait, timedelta(hours=8)) if attempt > STEP_ATTEMPTS else wait)
        return None

    def _undo(self) -> bool:
        """Whether the undo came to an end. Called again after that, as a retry may."""
        if self.refused:
            return True
        started = self.now
        if "down" in self.trial.plan:
            self.line.down_until = self.now + DOWN.total_seconds()
        for attempt in count():
            wait = timedelta(seconds=min(2 ** min(attempt, 12), 3600))
            try:
                self._call(self.hotels.cancel, KEY, TRIP.confirmation_code)
                return True
            except Unavailable as error:
                wait = error.retry_after or wait
            except Crash:
                wait = max(wait, timedelta(seconds=3))
            if self.now - started > UNDO_PATIENCE.total_seconds():
                return False
            self._pass(max(wait, timedelta(hours=8)) if attempt > 12 else wait)
        return False

    def _late_attempts(self, booking: HotelBooking | None) -> None:
        """An attempt of the step whose turn comes when all is over, whatever it is told."""
        if not self.refused:
            with contextlib.suppress(Rejected, Unavailable, Crash):
                self._call(self.hotels.book, KEY, self.request)

    def _call(self, method: Callable[..., Any], *arguments: Any) -> Any:
        result = method(*arguments)
        self.now += 0.1
        return result

    def _pass(self, wait: timedelta) -> None:
        """Let time pass, and let in at its time what is under way."""
        until = self.now + wait.total_seconds()
        while (due := self.line.next_arrival) is not None and due <= until:
            self.now = max(self.now, due)
            self.line.arrive()
        self.now = until
        self.company.deliver()

    def _judge(self, booking: HotelBooking | None) -> tuple[str, int]:
        with self.database.snapshot() as connection:
            held = sorted(connection.execute(select(room_holds.c.night)).scalars())
        wanted = sorted(booking.nights) if booking else []
        if held == wanted:
            return "", 0
        wrong = abs(len(held) - len(wanted))
        return f"{len(held)} nights held, {len(wanted)} wanted", wrong


def _clear(database: Database) -> None:
    with database.transaction() as connection:
        for table in (room_holds, orders, order_replies, *foreign.tables.values()):
            connection.execute(delete(table))
