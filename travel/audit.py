"""The judge: is anything held, or any money kept, for a trip that does not exist?

It reads the database alone, so it can be asked about any design, and run it
when no trip is under way: a trip half booked looks like an orphan.

A trip **completed** if the customer was told so. Where nobody was told anything
yet (the client died, the Workflow was terminated), it completed if its payment
stands. Then exactly its seats, nights and days are held and exactly its price
was charged. For every other trip nothing is held and money in equals money out,
but for what a person settled by hand: that is named, and excused.

``python -m travel.audit`` exits 0 when clean, 1 when not, 2 when it cannot tell.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from sqlalchemy import Connection

from travel.errors import DatabaseUnavailable, InvalidInput
from travel.models import dates_between
from travel.store.accounts import (
    DAYS,
    MONEY,
    NIGHTS,
    RECORD,
    SEATS,
    UNDOES,
    Account,
    Settlement,
    accounts,
    held_twice,
    record,
    records,
)
from travel.store.address import DEFAULT_FILE, URL_VARIABLE
from travel.store.database import Database, open_existing
from travel.store.failures import again


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
class Settled:
    """What an undo that was settled by hand left in the books, which excuses it.

    ``count`` seats, room nights or car days, 0 for money.
    """

    confirmation_code: str
    undo: str
    count: int
    amount_cents: int


@dataclass(frozen=True)
class Report:
    """What an audit found; clean if that is nothing.

    ``findings`` and ``settled`` list at most ``LISTED`` of either, of the first trips;
    what is counted counts all.
    """

    trips: int
    completed: int
    findings: list[Finding]
    settled: list[Settled] = field(default_factory=list)
    unlisted: Unlisted = field(default_factory=lambda: Unlisted())

    @property
    def clean(self) -> bool:
        """Nothing is wrong."""
        return not self.findings

    @property
    def orphans(self) -> int:
        """Reservations (a trip's seats, its room, its car) that are wrong."""
        listed = sum(finding.kind != MONEY for finding in self.findings)
        return listed + self.unlisted.orphans

    @property
    def money_kept_cents(self) -> int:
        """Money taken for trips that do not exist, in cents."""
        listed = sum(max(finding.amount_cents, 0) for finding in self.findings)
        return listed + self.unlisted.money_kept_cents

    @property
    def settled_cents(self) -> int:
        """What the settlements left in the books, in cents."""
        return sum(one.amount_cents for one in self.settled) + self.unlisted.settled_cents


@dataclass
class Unlisted:
    """What a report has no room to list."""

    findings: int = 0
    orphans: int = 0
    money_kept_cents: int = 0
    settled: int = 0
    settled_cents: int = 0


LISTED = 10_000


def audit(database: Database) -> Report:
    """Compare what is held and charged with what should be.

    Takes the same memory for a million trips as for ten thousand. Raises ``InvalidInput``
    if a stored request cannot be read, ``DatabaseUnavailable`` if the database fails.
    """
    return again(lambda: _audit(database))


def _audit(database: Database) -> Report:
    trips = completed = 0
    found = _Found()
    with database.snapshot() as connection:
        for account in accounts(connection):
            trips += 1
            completed += account.completed
            _judge(account, connection, found)
        for kind, code, thing, times in held_twice(connection):
            found.wrong(code, kind, 1, f"{thing} is held {times} times")
    return Report(trips, completed, found.findings, found.settled, found.unlisted)


class _Found:
    """Lists what there is room for and counts the rest, of which it makes no objects."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.settled: list[Settled] = []
        self.unlisted = Unlisted()

    def wrong(self, code: str, kind: str, count: int, problem: str) -> None:
        if len(self.findings) < LISTED:
            self.findings.append(Finding(code, kind, problem, count))
        else:
            self.unlisted.findings += 1
            self.unlisted.orphans += 1

    def money(self, code: str, charged_cents: int, due_cents: int, why: str) -> None:
        kept_cents = charged_cents - due_cents
        if len(self.findings) < LISTED:
            problem = f"${charged_cents / 100:,.2f} charged, ${due_cents / 100:,.2f} due {why}"
            self.findings.append(Finding(code, MONEY, problem, amount_cents=kept_cents))
        else:
            self.unlisted.findings += 1
            self.unlisted.money_kept_cents += max(kept_cents, 0)

    def by_hand(self, code: str, undo: str, count: int, amount_cents: int) -> None:
        if len(self.settled) < LISTED:
            self.settled.append(Settled(code, undo, count, amount_cents))
        else:
            self.unlisted.settled += 1
            self.unlisted.settled_cents += amount_cents


# --- judging ------------------------------------------------------------------


def _judge(account: Account, connection: Connection, found: _Found) -> None:
    if account.request is None:
        _should_be_empty(account, "without a stored request", {}, found)
    elif account.completed:
        _should_be_whole(account, account.request, connection, found)
    elif account.held or account.charged_cents:
        settled = {UNDOES[one.undo]: one for one in account.settled if one.undo in UNDOES}
        _should_be_empty(account, "for a trip that did not complete", settled, found)


def _should_be_empty(
    account: Account, why: str, settled: dict[str, Settlement], found: _Found
) -> None:
    code = account.code
    for kind, held in account.held.items():
        one = settled.get(kind)
        if one and held.cents <= one.amount_cents:
            found.by_hand(code, one.undo, held.number, held.cents)
        else:
            found.wrong(code, kind, held.number, f"{_counted(held.number, kind)} held {why}")
    if charged_cents := account.charged_cents:
        one = settled.get(MONEY)
        if one and 0 < charged_cents <= one.amount_cents:
            found.by_hand(code, one.undo, 0, charged_cents)
        else:
            found.money(code, charged_cents, 0, why)


def _should_be_whole(account: Account, request: str, connection: Connection, found: _Found) -> None:
    code, price_cents = account.code, 0
    for kind, wanted in _wanted(code, request):
        held = account.held.get(kind)
        if held is None:
            _compare(code, kind, [], wanted.records, found)
            continue
        price_cents += held.cents
        if held.written != wanted.written or held.number != len(wanted.records):
            _compare(code, kind, records(connection, kind, code, held), wanted.records, found)
    if account.charged_cents != price_cents:
        found.money(code, account.charged_cents, price_cents, "for what is held")


@dataclass(frozen=True)
class _Wanted:
    """What a completed trip holds of one kind: a record each, and all of them in one text."""

    records: list[str]
    written: str


def _wanted(code: str, request: str) -> tuple[tuple[str, _Wanted], ...]:
    try:
        trip = _json.raw_decode(request)[0]
        at, first, last = trip["destination"], trip["departure_date"], trip["return_date"]
        cabins = tuple([passenger["cabin"] for passenger in trip["passengers"]])
        return (
            (SEATS, _wanted_seats(trip["origin"], at, first, cabins)),
            (NIGHTS, _wanted_dates(at, trip["room_type"], first, last)),
            (DAYS, _wanted_dates(at, trip["car_type"], first, last)),
        )
    except (ValueError, TypeError, KeyError):
        raise InvalidInput(
            f"The stored request of {code} cannot be read; expected one of this version."
        ) from None


_json = json.JSONDecoder()


# Trips at the same time to the same place want the same, whoever asks.
@lru_cache(4096)
def _wanted_seats(origin: str, at: str, day: str, cabins: tuple[str, ...]) -> _Wanted:
    return _all([record(origin, at, day, cabin) for cabin in cabins])


@lru_cache(4096)
def _wanted_dates(at: str, what: str, first: str, last: str) -> _Wanted:
    return _all([record(at, what, day) for day in dates_between(first, last)])


def _all(wanted: list[str]) -> _Wanted:
    return _Wanted(wanted, RECORD.join(wanted))


def _counted(number: int, kind: str) -> str:
    """``"3 room nights"``, ``"1 seat"``."""
    return f"{number} {kind if number != 1 else kind.removesuffix('s')}"


def _compare(code: str, kind: str, held: list[str], wanted: list[str], found: _Found) -> None:
    missing, too_many = list(wanted), 0
    for thing in held:
        if thing in missing:
            missing.remove(thing)
        else:
            too_many += 1
    for count, what in ((len(missing), "missing"), (too_many, "not asked for")):
        if count:
            found.wrong(code, kind, count, f"{_counted(count, kind)} {what} in a completed trip")


# --- telling ------------------------------------------------------------------

SHOWN = 1_000


def render(report: Report) -> str:
    """The report as text: a table of findings, if any, and the verdict."""
    rows = [(f.confirmation_code, f.kind, f.problem) for f in report.findings[:SHOWN]]
    rows += [
        (one.confirmation_code, "settled", f"{one.undo}, ${one.amount_cents / 100:,.2f}, by hand")
        for one in report.settled[:SHOWN]
    ]
    lines = [f"{code:<24} {what:<12} {problem}" for code, what, problem in rows]
    all_of_them = len(report.findings) + len(report.settled)
    all_of_them += report.unlisted.findings + report.unlisted.settled
    if all_of_them > len(lines):
        lines.append(f"… and {all_of_them - len(lines):,} more")
    if lines:
        lines = [f"{'Trip':<24} {'What':<12} Problem", *lines, ""]
    verdict = "clean" if report.clean else "NOT clean"
    settled = f", ${report.settled_cents / 100:,.2f} settled by hand" if report.settled else ""
    lines.append(
        f"Audit: {verdict}. {report.trips} trips, {report.completed} completed, "
        f"{report.orphans} orphaned reservations, "
        f"${report.money_kept_cents / 100:,.2f} kept for trips that do not exist{settled}."
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
