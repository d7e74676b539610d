"""The judge is judged: clean when all is well, and each kind of damage found exactly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from reference_audit import counted
from samples import FLIGHT_CENTS, HOTEL_CENTS, PRICE_CENTS, a_trip
from sqlalchemy import Connection, text

import travel.audit
import travel.store.address
from tests.sampling import few
from travel.audit import Finding, Report, audit, render
from travel.models import PaymentRequest, TripRequest, idempotency_key
from travel.providers import cars, flights, hotels, payments
from travel.store.address import sqlite_url
from travel.store.booking_requests import record_outcome, store
from travel.store.database import Database
from travel.store.inventory import store_seed_data
from travel.store.seed_data import load_seed_data

ROOT = Path(__file__).parents[1]
CODE = "TEST-1"
FAILED = "for a trip that did not complete"
UNASKED = "without a stored request"


@pytest.fixture
def db(sqlite_database: Database) -> Database:
    return sqlite_database


def book(db: Database, trip: TripRequest, *steps: str) -> None:
    """Book these steps of a stored trip."""
    code = trip.confirmation_code
    providers = {"book_flight": flights, "book_hotel": hotels, "book_car": cars}
    store(db, trip)
    for step in steps:
        key = idempotency_key(code, step)
        if step == "accept_payment":
            payments.charge(db, key, PaymentRequest(code, trip.customer, PRICE_CENTS))
        else:
            providers[step].book(db, key, trip)


def book_all(db: Database, trip: TripRequest) -> None:
    book(db, trip, "book_flight", "book_hotel", "book_car", "accept_payment")


def damage(db: Database, *statements: str) -> None:
    with db.transaction() as connection:
        for statement in statements:
            connection.execute(text(statement))


def findings(db: Database) -> list[Finding]:
    return audit(db).findings


# --- clean --------------------------------------------------------------------


def test_an_empty_database_is_clean(db: Database) -> None:
    assert audit(db) == Report(0, 0, [])
    assert audit(db).clean


@pytest.mark.parametrize("outcome", ["booked", None])
def test_a_whole_trip_is_clean(db: Database, outcome: str | None) -> None:
    book_all(db, a_trip())
    if outcome:
        record_outcome(db, a_trip(), outcome)
    assert audit(db) == Report(1, 1, [])


@pytest.mark.parametrize("outcome", ["failed", None])
def test_a_trip_undone_is_clean(db: Database, outcome: str | None) -> None:
    book_all(db, a_trip())
    for undo, step in (
        (payments.refund, "accept_payment"),
        (cars.cancel, "book_car"),
        (hotels.cancel, "book_hotel"),
        (flights.cancel, "book_flight"),
    ):
        undo(db, idempotency_key(CODE, step), CODE)
    if outcome:
        record_outcome(db, a_trip(), outcome)
    assert audit(db) == Report(1, 0, [])


def test_both_kinds_of_database_get_the_same_judgement(database: Database) -> None:
    store_seed_data(database, load_seed_data())
    book_all(database, a_trip())
    assert audit(database) == Report(1, 1, [])
    record_outcome(database, a_trip(), "failed")
    assert [finding.kind for finding in findings(database)] == KINDS


# --- a trip that did not complete ---------------------------------------------

KINDS = ["seats", "room nights", "car days", "money"]


@pytest.mark.parametrize("outcome", ["failed", None])
@pytest.mark.parametrize(
    ("step", "finding"),
    [
        ("book_flight", Finding(CODE, "seats", f"2 seats held {FAILED}", 2)),
        ("book_hotel", Finding(CODE, "room nights", f"3 room nights held {FAILED}", 3)),
        ("book_car", Finding(CODE, "car days", f"3 car days held {FAILED}", 3)),
    ],
)
def test_what_a_failed_trip_still_holds(
    db: Database, step: str, finding: Finding, outcome: str | None
) -> None:
    book(db, a_trip(), step)
    if outcome:
        record_outcome(db, a_trip(), outcome)
    assert audit(db) == Report(1, 0, [finding])


def test_money_kept_for_a_failed_trip(db: Database) -> None:
    book(db, a_trip(), "accept_payment")
    record_outcome(db, a_trip(), "failed")
    problem = f"$3,127.00 charged, $0.00 due {FAILED}"
    assert findings(db) == [Finding(CODE, "money", problem, amount_cents=PRICE_CENTS)]
    assert audit(db).money_kept_cents == PRICE_CENTS


def test_a_refund_too_much_for_a_failed_trip(db: Database) -> None:
    book(db, a_trip(), "accept_payment")
    payments.refund(db, idempotency_key(CODE, "accept_payment"), CODE)
    record_outcome(db, a_trip(), "failed")
    damage(
        db,
        "INSERT INTO ledger (confirmation_code, entry, amount_cents, receipt_number) "
        f"VALUES ('{CODE}', 'refund', 500, 'again')",
    )
    problem = f"$-5.00 charged, $0.00 due {FAILED}"
    assert findings(db) == [Finding(CODE, "money", problem, amount_cents=-500)]
    assert audit(db).money_kept_cents == 0


def test_told_failed_although_everything_is_held(db: Database) -> None:
    book_all(db, a_trip())
    record_outcome(db, a_trip(), "failed")
    report = audit(db)
    assert [finding.kind for finding in report.findings] == KINDS
    assert (report.completed, report.orphans, report.money_kept_cents) == (0, 3, PRICE_CENTS)


def test_told_nothing_and_not_yet_charged_is_not_a_trip(db: Database) -> None:
    book(db, a_trip(), "book_flight", "book_hotel", "book_car")
    assert [finding.kind for finding in findings(db)] == KINDS[:3]


# --- a trip that completed ----------------------------------------------------


def due(cents: int) -> Finding:
    """The full price was charged, but what is held costs only this much."""
    problem = f"$3,127.00 charged, ${cents / 100:,.2f} due for what is held"
    return Finding(CODE, "money", problem, amount_cents=PRICE_CENTS - cents)


def wrong(kind: str, count: int, what: str) -> Finding:
    return Finding(CODE, kind, f"{counted(count, kind)} {what} in a completed trip", count)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "DELETE FROM seat_holds WHERE seat = 'E01'",
            [wrong("seats", 1, "missing"), due(PRICE_CENTS - 28_000)],
        ),
        (
            "UPDATE seat_holds SET cabin = 'economy'",
            [
                wrong("seats", 1, "missing"),
                wrong("seats", 1, "not asked for"),
                due(PRICE_CENTS - FLIGHT_CENTS + 2 * 28_000),
            ],
        ),
        (
            # The flights of a day have consecutive ids: 12 on is the same route a day later.
            "UPDATE seat_holds SET flight = flight + 12",
            [wrong("seats", 2, "missing"), wrong("seats", 2, "not asked for")],
        ),
        (
            f"INSERT INTO seat_holds SELECT flight, 'E24', cabin, '{CODE}' FROM seat_holds "
            "WHERE seat = 'E01'",
            [wrong("seats", 1, "not asked for"), due(PRICE_CENTS + 28_000)],
        ),
        (
            f"INSERT INTO room_holds SELECT DISTINCT room, '2025-01-23', '{CODE}' FROM room_holds",
            [wrong("room nights", 1, "not asked for"), due(PRICE_CENTS + 31_500)],
        ),
        (
            "DELETE FROM room_holds",
            [wrong("room nights", 3, "missing"), due(PRICE_CENTS - HOTEL_CENTS)],
        ),
        (
            "UPDATE room_holds SET room = 1 WHERE night = '2025-01-21'",
            [
                wrong("room nights", 1, "missing"),
                wrong("room nights", 1, "not asked for"),
                due(PRICE_CENTS - 31_500 + 21_000),
            ],
        ),
        (
            "DELETE FROM car_holds WHERE day = '2025-01-20'",
            [wrong("car days", 1, "missing"), due(PRICE_CENTS - 7_400)],
        ),
        (
            "UPDATE car_holds SET day = '2025-02-20' WHERE day = '2025-01-20'",
            [wrong("car days", 1, "missing"), wrong("car days", 1, "not asked for")],
        ),
    ],
)
def test_what_a_completed_trip_lacks_or_has_too_much(
    db: Database, statement: str, expected: list[Finding]
) -> None:
    book_all(db, a_trip())
    record_outcome(db, a_trip(), "booked")
    damage(db, statement)
    assert findings(db) == expected


@pytest.mark.parametrize("charged_cents", [PRICE_CENTS - 1, PRICE_CENTS + 1])
def test_a_wrong_price(db: Database, charged_cents: int) -> None:
    book_all(db, a_trip())
    damage(db, f"UPDATE ledger SET amount_cents = {charged_cents}")
    problem = f"${charged_cents / 100:,.2f} charged, $3,127.00 due for what is held"
    difference = charged_cents - PRICE_CENTS
    assert findings(db) == [Finding(CODE, "money", problem, amount_cents=difference)]


def test_told_booked_although_nothing_is_held(db: Database) -> None:
    store(db, a_trip())
    record_outcome(db, a_trip(), "booked")
    assert findings(db) == [
        wrong("seats", 2, "missing"),
        wrong("room nights", 3, "missing"),
        wrong("car days", 3, "missing"),
    ]


def test_a_refund_of_a_completed_trip(db: Database) -> None:
    book_all(db, a_trip())
    record_outcome(db, a_trip(), "booked")
    payments.refund(db, idempotency_key(CODE, "accept_payment"), CODE)
    problem = "$0.00 charged, $3,127.00 due for what is held"
    assert findings(db) == [Finding(CODE, "money", problem, amount_cents=-PRICE_CENTS)]


def test_a_seat_in_a_cabin_that_has_no_fare(db: Database) -> None:
    book_all(db, a_trip())
    damage(db, "UPDATE seat_holds SET cabin = 'royal' WHERE cabin = 'first'")
    assert findings(db) == [
        wrong("seats", 1, "missing"),
        wrong("seats", 1, "not asked for"),
        due(PRICE_CENTS - 168_000),
    ]


# --- what should not be possible ----------------------------------------------


def test_a_hold_without_a_stored_request(db: Database) -> None:
    book_all(db, a_trip())
    damage(db, "DELETE FROM booking_requests")
    problem = f"$3,127.00 charged, $0.00 due {UNASKED}"
    assert findings(db) == [
        Finding(CODE, "seats", f"2 seats held {UNASKED}", 2),
        Finding(CODE, "room nights", f"3 room nights held {UNASKED}", 3),
        Finding(CODE, "car days", f"3 car days held {UNASKED}", 3),
        Finding(CODE, "money", problem, amount_cents=PRICE_CENTS),
    ]


def test_a_hold_of_something_that_does_not_exist_any_more(db: Database) -> None:
    book_all(db, a_trip())
    record_outcome(db, a_trip(), "booked")
    with db.engine.connect() as connection:
        connection.connection.driver_connection.execute("PRAGMA foreign_keys = OFF")
        for table in ("room_holds SET room", "car_holds SET car", "seat_holds SET flight"):
            connection.execute(text(f"UPDATE {table} = 9999"))
        connection.commit()
    assert [(finding.kind, finding.count) for finding in findings(db)] == [
        ("seats", 2),
        ("seats", 2),
        ("room nights", 3),
        ("room nights", 3),
        ("car days", 3),
        ("car days", 3),
        ("money", 0),
    ]


def recreate_without_key(connection: Connection, table: str) -> None:
    connection.execute(text(f"CREATE TABLE copy AS SELECT * FROM {table}"))
    connection.execute(text(f"DROP TABLE {table}"))
    connection.execute(text(f"ALTER TABLE copy RENAME TO {table}"))


@pytest.mark.parametrize(
    ("table", "columns", "kind", "thing"),
    [
        ("seat_holds", "flight, seat, cabin", "seats", "E01"),
        ("room_holds", "room, night", "room nights", "2025-01-20"),
        ("car_holds", "car, day", "car days", "2025-01-20"),
    ],
)
def test_held_twice(db: Database, table: str, columns: str, kind: str, thing: str) -> None:
    book_all(db, a_trip())
    with db.transaction() as connection:
        recreate_without_key(connection, table)
        column = "seat" if table == "seat_holds" else columns.split(", ")[1]
        connection.execute(
            text(
                f"INSERT INTO {table} SELECT {columns}, 'TEST-2' FROM {table} "
                f"WHERE {column} = '{thing}'"
            )
        )
    twice = [finding for finding in findings(db) if "held 2 times" in finding.problem]
    assert [(finding.confirmation_code, finding.kind) for finding in twice] == [
        (CODE, kind),
        ("TEST-2", kind),
    ]
    assert all(thing in finding.problem for finding in twice)


def test_one_damaged_trip_among_many_is_the_only_one_named(db: Database) -> None:
    for n, day in enumerate(("2025-01-20", "2025-01-24", "2025-01-28")):
        trip = a_trip(f"TEST-{n}", departure_date=day, return_date=day[:-1] + str(int(day[-1]) + 1))
        book(db, trip, "book_flight")
        if n != 1:
            flights.cancel(db, f"TEST-{n}/book_flight", f"TEST-{n}")
    report = audit(db)
    assert [finding.confirmation_code for finding in report.findings] == ["TEST-1"]
    assert report.trips == 3


# --- telling ------------------------------------------------------------------


def test_the_report_as_text(db: Database) -> None:
    assert render(audit(db)) == (
        "Audit: clean. 0 trips, 0 completed, 0 orphaned reservations, "
        "$0.00 kept for trips that do not exist."
    )
    book(db, a_trip(), "book_car", "accept_payment")
    record_outcome(db, a_trip(), "failed")
    assert render(audit(db)).splitlines() == [
        "Trip                     What         Problem",
        f"TEST-1                   car days     3 car days held {FAILED}",
        f"TEST-1                   money        $3,127.00 charged, $0.00 due {FAILED}",
        "",
        "Audit: NOT clean. 1 trips, 0 completed, 1 orphaned reservations, "
        "$3,127.00 kept for trips that do not exist.",
    ]


def run_audit(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "travel.audit", *arguments],
        cwd=ROOT,
        env=os.environ | {"TRAVEL_DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=240,
    )


def assert_cannot_tell(outcome: subprocess.CompletedProcess[str], *words: str) -> None:
    assert outcome.returncode == 2
    assert outcome.stdout == ""
    assert len(outcome.stderr.splitlines()) == 1
    for word in words:
        assert word in outcome.stderr


@pytest.mark.parametrize(("damaged", "code"), [(False, 0), (True, 1)])
def test_the_exit_code_is_the_verdict(
    db: Database, sqlite_url: str, damaged: bool, code: int
) -> None:
    book_all(db, a_trip())
    if damaged:
        damage(db, "DELETE FROM car_holds")
    outcome = run_audit(sqlite_url)
    assert outcome.stdout == render(audit(db)) + "\n"
    assert outcome.stderr == ""
    assert outcome.returncode == code


def test_a_database_in_no_folder_cannot_be_audited(tmp_path: Path) -> None:
    assert_cannot_tell(
        run_audit(sqlite_url(tmp_path / "none" / "travel.sqlite")), "none/travel.sqlite"
    )


def test_a_file_that_is_no_database_cannot_be_audited(tmp_path: Path) -> None:
    file = tmp_path / "travel.sqlite"
    file.write_text("not a database " * 100)
    assert_cannot_tell(run_audit(sqlite_url(file)), "not a database", "expected")


@pytest.mark.parametrize(
    "url",
    few(
        [
            "postgresql://ada:open-sesame@127.0.0.1:1/travel",
            "ada:open-sesame@host",
            "postgresql+nodriver://ada:open-sesame@127.0.0.1:1/travel",
            "nonsense://ada:open-sesame@host/name",
            "postgresql://ada:open-sesame@127.0.0.1:port/travel",
        ],
        2,
    ),
)
def test_a_password_never_shows(url: str) -> None:
    outcome = run_audit(url)
    assert_cannot_tell(outcome, "expected")
    assert "open-sesame" not in outcome.stderr


def test_bad_usage() -> None:
    outcome = run_audit("sqlite://", "--fix")
    assert outcome.returncode == 2
    assert "--fix" in outcome.stderr


def test_a_missing_default_database_is_not_called_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / ".travel.sqlite"
    monkeypatch.delenv("TRAVEL_DATABASE_URL", raising=False)
    monkeypatch.setattr(travel.store.address, "DEFAULT_FILE", missing)
    assert travel.audit.main([]) == 2
    assert f"There is nothing at {missing}" in capsys.readouterr().err
    assert not missing.exists()
