"""Notebook 14: which trips may be released when their Workflow is gone?"""

from __future__ import annotations

import asyncio
import copy
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.breaking.scenarios import request_for
from lab.checking.exercise import ValueExercise
from lab.checking.report_card import Line
from lab.checking.trials import Problem
from lab.simulation.guard import guarded
from travel.activities import Activities
from travel.models import PaymentRequest
from travel.store import booking_requests
from travel.store.address import sqlite_url
from travel.store.database import Database, open_database
from travel.store.holdings import read_trips
from travel.store.inventory import store_seed_data
from travel.store.seed_data import load_seed_data

SOLUTION = '''
def abandoned(trips, running):
    """The confirmation codes of the trips that may be released."""
    return [
        code
        for code, trip in trips.items()
        if trip.request and not trip.completed and not trip.empty and code not in running
    ]
'''


@dataclass(frozen=True)
class Case:
    """A trip in some state, and whether it may be released."""

    tried: str
    steps: tuple[str, ...]
    release: bool
    mistake: str
    outcome: Any = None
    running: bool = False


CASES = (
    Case("terminated after the hotel", ("flight", "hotel"), True, "left"),
    Case("terminated after the flight", ("flight",), True, "left"),
    Case("told failed, a car still held", ("car",), True, "left", "failed"),
    Case("under way, hotel booked", ("flight", "hotel"), False, "running released", running=True),
    Case("paid, nobody told yet", ("flight", "hotel", "car", "pay"), False, "standing released"),
    Case(
        "booked, and told so",
        ("flight", "hotel", "car", "pay"),
        False,
        "standing released",
        "booked",
    ),
    Case("failed, and holds nothing", (), False, "other", "failed"),
    Case(
        "told failed, but its undoing still runs",
        ("hotel",),
        False,
        "running released",
        "failed",
        True,
    ),
    Case("paid, and told failed", ("flight", "hotel", "car", "pay"), True, "left", "failed"),
    Case("told failed, the money still kept", ("pay",), True, "left", "failed"),
    Case("terminated, and holds nothing", (), False, "other"),
)


async def judge(answer: Any) -> list[Line]:
    """Ask the function about a database with a trip of each kind."""
    return await asyncio.to_thread(_judge, answer)


def _judge(answer: Any) -> list[Line]:
    with tempfile.TemporaryDirectory(prefix="travel-") as folder:
        database = open_database(sqlite_url(Path(folder, "travel.sqlite")))
        try:
            store_seed_data(database, load_seed_data())
            codes = [_make(database, place, case) for place, case in enumerate(CASES, 1)]
            trips = read_trips(database)
        finally:
            database.close()
    running = {code for code, case in zip(codes, CASES, strict=True) if case.running}
    shown = (copy.deepcopy(trips), set(running))
    chosen = set(guarded(lambda: set(answer(trips, running) or ()), "Your function", limit=2.0))
    lines = [_line(case, code in chosen) for code, case in zip(codes, CASES, strict=True)]
    changed = None
    if (trips, running) != shown:
        changed = Problem("table changed", "they are not what they were before your function ran")
    return [*lines, Line("trips and running", "as they were", changed)]


def _make(database: Database, place: int, case: Case) -> str:
    request, desk = request_for(place), Activities(database)
    desk.store_booking_request(request)
    book = {"flight": desk.book_flight, "hotel": desk.book_hotel, "car": desk.book_car}
    price_cents = sum(book[step](request).price_cents for step in case.steps if step in book)
    if "pay" in case.steps:
        bill = PaymentRequest(request.confirmation_code, request.customer, price_cents or 10_000)
        desk.accept_payment(bill)
    if case.outcome:
        booking_requests.record_outcome(database, request, case.outcome)
    return request.confirmation_code


def _line(case: Case, chosen: bool) -> Line:
    should = "released" if case.release else "left alone"
    if chosen == case.release:
        return Line(case.tried, should)
    return Line(case.tried, should, Problem(case.mistake, "released" if chosen else "left alone"))


who_is_abandoned = ValueExercise(
    name="who_is_abandoned",
    title="Who is abandoned?",
    judge_value=judge,
    hints=(
        "Three questions for each trip: does it hold anything, does it stand, does anybody still "
        "look after it?",
        "Look at Reconciliation in travel/reconciliation.py, and at Trip in "
        "travel/store/holdings.py.",
        "if not trip.completed and not trip.empty and ...",
    ),
    shapes={"running released": "code not in ..."},
    solution_code=SOLUTION,
    why="A trip that stands, or that a Workflow still looks after, is nobody's business. What is "
    "left and still holds something was abandoned, and its undos may run at any time because "
    "each leaves a tombstone.",
)
