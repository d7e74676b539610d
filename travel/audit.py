"""The judge: is anything held, or any money kept, for a trip that does not exist?

It reads the database alone, so it can be asked about any design, and run it
when no trip is under way: a trip half booked looks like an orphan.

A trip **completed** if the customer was told so. Where nobody was told anything
yet (the client died, the Workflow was terminated), it completed if its payment
stands. Then exactly its seats, nights and days are held and exactly its price
was charged. For every other trip nothing is held and money in equals money out.

``python -m travel.audit`` exits 0 when clean, 1 when not, 2 when it cannot tell.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from travel.errors import DatabaseUnavailable, InvalidInput
from travel.models import TripRequest, stay_dates
from travel.store.address import DEFAULT_FILE, URL_VARIABLE
from travel.store.database import Database, open_existing
from travel.store.holdings import Trip, read_trips


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong; ``amount_cents`` is the money kept, if it is about money.

    ``kind`` is ``"seats"``, ``"room nights"``, ``"car days"`` or ``"money"``;
    ``count`` is how many of them are wrong.
    """

    confirmation_code: str
    kind: str
    problem: str
    count: int = 0
    amount_cents: int = 0


@dataclass(frozen=True)
class Report:
    """What an audit found; clean if that is nothing."""

    trips: int
    completed: int
    findings: list[Finding]

    @property
    def clean(self) -> bool:
        """Nothing is wrong."""
        return not self.findings

    @property
    def orphans(self) -> int:
        """Reservations (a trip's seats, its room, its car) that are wrong."""
        return sum(finding.kind != "money" for finding in self.findings)

    @property
    def money_kept_cents(self) -> int:
        """Money taken for trips that do not exist, in cents."""
        return sum(max(finding.amount_cents, 0) for finding in self.findings)


def audit(database: Database) -> Report:
    """Compare what is held and charged with what should be."""
    trips = read_trips(database)
    findings = [finding for code in sorted(trips) for finding in _judge(code, trips[code])]
    findings += _held_twice(trips)
    return Report(len(trips), sum(trip.completed for trip in trips.values()), findings)


# --- judging ------------------------------------------------------------------


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
            yield Finding(code, kind, f"{len(held)} {kind} held {why}", len(held))
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
            yield Finding(code, kind, f"{count} {kind} {what} in a completed trip", count)


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


# --- telling ------------------------------------------------------------------


def render(report: Report) -> str:
    """The report as text: a table of findings, if any, and the verdict."""
    lines = [
        f"{finding.confirmation_code:<24} {finding.kind:<12} {finding.problem}"
        for finding in report.findings
    ]
    if lines:
        lines = [f"{'Trip':<24} {'What':<12} Problem", *lines, ""]
    verdict = "clean" if report.clean else "NOT clean"
    lines.append(
        f"Audit: {verdict}. {report.trips} trips, {report.completed} completed, "
        f"{report.orphans} orphaned reservations, "
        f"${report.money_kept_cents / 100:,.2f} kept for trips that do not exist."
    )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the audit of ``TRAVEL_DATABASE_URL``; see the module for the exit code."""
    argparse.ArgumentParser(
        prog="python -m travel.audit",
        description="Check the travel database for orphaned reservations and money kept.",
        epilog=f"The database is {URL_VARIABLE}, or {DEFAULT_FILE.name} beside README.md. "
        "Exit code 0: clean, 1: something is orphaned, 2: cannot tell. "
        "Run it when no trip is under way.",
    ).parse_args(arguments)
    try:
        database = open_existing()
        try:
            report = audit(database)
        finally:
            database.close()
    except InvalidInput as error:
        print(error, file=sys.stderr)
        return 2
    except DatabaseUnavailable as error:
        print(f"The database cannot be audited ({error.reason}).", file=sys.stderr)
        return 2
    print(render(report))
    return 0 if report.clean else 1


if __name__ == "__main__":
    raise SystemExit(main())
