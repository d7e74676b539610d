"""The audit as it was first written: every trip in memory, and each thing compared.

Slow and plain. The audit that does most of it in SQL is held to its verdicts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from travel.audit import Finding, Report
from travel.models import TripRequest, stay_dates
from travel.store.database import Database
from travel.store.holdings import Trip, read_trips


def reference_audit(database: Database) -> Report:
    """Compare what is held and charged with what should be."""
    trips = read_trips(database)
    findings = [finding for code in sorted(trips) for finding in _judge(code, trips[code])]
    findings += _held_twice(trips)
    return Report(len(trips), sum(trip.completed for trip in trips.values()), findings)


def counted(number: int, kind: str) -> str:
    """``"3 room nights"``, ``"1 seat"``."""
    return f"{number} {kind if number != 1 else kind[:-1]}"


def _judge(code: str, trip: Trip) -> Iterator[Finding]:
    if trip.request is None:
        yield from _should_be_empty(code, trip, "without a stored request")
    elif trip.completed:
        yield from _should_be_whole(code, trip, trip.request)
    else:
        yield from _should_be_empty(code, trip, "for a trip that did not complete")


def _should_be_empty(code: str, trip: Trip, why: str) -> Iterator[Finding]:
    for kind, held in (
        ("seats", trip.seats),
        ("room nights", trip.nights),
        ("car days", trip.days),
    ):
        if held:
            yield Finding(code, kind, f"{counted(len(held), kind)} held {why}", len(held))
    if trip.charged_cents:
        yield _money(code, trip.charged_cents, 0, why)


def _should_be_whole(code: str, trip: Trip, request: TripRequest) -> Iterator[Finding]:
    dates = stay_dates(request)
    route = (request.origin, request.destination)
    cabins = [passenger.cabin for passenger in request.passengers]
    seats = [(seat.route, seat.date, seat.cabin) for seat in trip.seats]
    nights = [(night.airport, night.room_type, night.night) for night in trip.nights]
    days = [(day.airport, day.car_type, day.day) for day in trip.days]
    at = request.destination
    wanted_seats = [(route, request.departure_date, cabin) for cabin in cabins]
    wanted_nights = [(at, request.room_type, night) for night in dates]
    wanted_days = [(at, request.car_type, day) for day in dates]
    yield from _compare(code, "seats", seats, wanted_seats)
    yield from _compare(code, "room nights", nights, wanted_nights)
    yield from _compare(code, "car days", days, wanted_days)
    price_cents = (
        sum(seat.fare_cents for seat in trip.seats)
        + sum(night.nightly_cents for night in trip.nights)
        + sum(day.daily_cents for day in trip.days)
    )
    if trip.charged_cents != price_cents:
        yield _money(code, trip.charged_cents, price_cents, "for what is held")


def _compare(
    code: str, kind: str, held: Sequence[object], wanted: Sequence[object]
) -> Iterator[Finding]:
    missing = Counter(wanted) - Counter(held)
    too_many = Counter(held) - Counter(wanted)
    for wrong, what in ((missing, "missing"), (too_many, "not asked for")):
        if count := wrong.total():
            yield Finding(code, kind, f"{counted(count, kind)} {what} in a completed trip", count)


def _money(code: str, charged_cents: int, due_cents: int, why: str) -> Finding:
    problem = f"${charged_cents / 100:,.2f} charged, ${due_cents / 100:,.2f} due {why}"
    return Finding(code, "money", problem, amount_cents=charged_cents - due_cents)


def _held_twice(trips: dict[str, Trip]) -> Iterator[Finding]:
    """The primary keys forbid it; an audit does not take their word for it."""
    seats = [(code, (seat.flight, seat.seat)) for code, t in trips.items() for seat in t.seats]
    nights = [(code, (night.room, night.night)) for code, t in trips.items() for night in t.nights]
    days = [(code, (day.car, day.day)) for code, t in trips.items() for day in t.days]
    for kind, holds in (("seats", seats), ("room nights", nights), ("car days", days)):
        counts = Counter(thing for _, thing in holds)
        for code, thing in holds:
            if counts[thing] > 1:
                yield Finding(code, kind, f"{thing} is held {counts[thing]} times", 1)
