"""The audit in SQL: the verdicts of the plain one, and the same memory for many trips."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab.running import postgres
from reference_audit import reference_audit
from samples import NIGHTS, a_trip
from sqlalchemy import Connection, insert, text

import travel.audit
from tests.million import KINDS, PRICE_CENTS, fill, measured
from travel.audit import Finding, Report, Settled, audit, render
from travel.models import Passenger, PaymentRequest, TripRequest
from travel.providers import cars, flights, hotels, payments
from travel.store import address, settlements
from travel.store.booking_requests import record_outcome, store
from travel.store.database import (
    Database,
    booking_requests,
    car_holds,
    ledger,
    memory_database,
    open_database,
    room_holds,
    seat_holds,
)
from travel.store.inventory import store_seed_data
from travel.store.seed_data import load_seed_data

# --- the verdicts of the plain audit ----------------------------------------------------

# In the order of code points, of a language and of numbers they come differently.
CODES = ["TRIP-10", "TRIP-9", "trip-9", "TRIP", "Ärger", "z", "🚗"]
# With the signs that stand between things when the database writes them into one text.
DATES = [*NIGHTS, "2025-01-23", "2025-02-30", "", " ", "2025-01-20\x1e", "2025-01-21\x1f=x"]
CABINS = ["economy", "first", "royal", "", "economy\x1e=SFO\x1f=JFK"]
IDS = [1, 2, 12, 13, 25, 9_999]

TABLES = (booking_requests, seat_holds, room_holds, car_holds, ledger)


def without_keys(database: Database) -> Database:
    """What the audit reads, with no rule left that keeps anything from being wrong."""
    store_seed_data(database, load_seed_data())
    with database.transaction() as connection:
        for table in ("seat_holds", "room_holds", "car_holds"):
            connection.execute(text(f"CREATE TABLE copy AS SELECT * FROM {table}"))
            connection.execute(text(f"DROP TABLE {table}"))
            connection.execute(text(f"ALTER TABLE copy RENAME TO {table}"))
        if connection.dialect.name == "postgresql":  # SQLite minds no length
            for column in ("room_holds ALTER night", "car_holds ALTER day"):
                connection.execute(text(f"ALTER TABLE {column} TYPE varchar"))
    return database


requests = st.builds(
    a_trip,
    st.sampled_from(CODES),
    origin=st.sampled_from(["SFO", "JFK", "SFO"]),
    destination=st.sampled_from(["JFK", "JFK", "LAX"]),
    departure_date=st.sampled_from(["2025-01-20", "2025-01-20", "2025-01-21"]),
    return_date=st.sampled_from(["2025-01-23", "2025-01-23", "2025-01-21", "2025-01-22"]),
    passengers=st.lists(
        st.builds(Passenger, st.just("Ada"), st.sampled_from(CABINS)), min_size=1, max_size=3
    ),
    room_type=st.sampled_from(["deluxe", "deluxe", "suite"]),
    car_type=st.sampled_from(["midsize", "midsize", "economy"]),
)
codes = st.sampled_from(CODES)
outcomes = st.sampled_from(["booked", "booked", "failed", None, "lost"])
AT_MOST = {"max_size": 6}
entries = st.tuples(codes, st.sampled_from(["charge", "charge", "refund"]), st.integers(1, 9))
units = st.tuples(st.sampled_from(IDS), st.sampled_from(DATES), codes)
holds = st.fixed_dictionaries(
    {
        "seats": st.lists(
            st.tuples(
                st.sampled_from(IDS),
                st.sampled_from(["E01", "F01"]),
                st.sampled_from(CABINS),
                codes,
            ),
            **AT_MOST,
        ),
        "nights": st.lists(units, **AT_MOST),
        "days": st.lists(units, **AT_MOST),
        "entries": st.lists(entries, **AT_MOST),
    }
)
asked = st.lists(
    st.tuples(requests, outcomes, st.booleans()),
    max_size=5,
    unique_by=lambda one: one[0].confirmation_code,
)


def put(database: Database, trips: list, held: dict, shuffle: random.Random) -> None:
    """Fill the books with trips that are as they should be, and with anything at all."""
    rows = {table: [] for table in TABLES}
    with database.transaction() as connection:
        for table in TABLES:
            connection.execute(table.delete())
        for trip, outcome, whole in trips:
            rows[booking_requests].append(
                {
                    "confirmation_code": trip.confirmation_code,
                    "customer": trip.customer,
                    "request": asdict(trip),
                    "outcome": outcome,
                }
            )
            if whole:
                _as_it_should_be(connection, trip, rows)
        rows[seat_holds] += [
            dict(zip(("flight", "seat", "cabin", "confirmation_code"), one, strict=True))
            for one in held["seats"]
        ]
        rows[room_holds] += [
            dict(zip(("room", "night", "confirmation_code"), one, strict=True))
            for one in held["nights"]
        ]
        rows[car_holds] += [
            dict(zip(("car", "day", "confirmation_code"), one, strict=True)) for one in held["days"]
        ]
        rows[ledger] += [
            dict(zip(("confirmation_code", "entry", "amount_cents"), one, strict=True))
            for one in held["entries"]
        ]
        for number, entry in enumerate(rows[ledger]):
            entry["receipt_number"] = f"{number}"
        for table, values in rows.items():
            shuffle.shuffle(values)
            if values:
                connection.execute(insert(table), values)


def _as_it_should_be(connection: Connection, trip: TripRequest, rows: dict) -> None:
    """What a completed trip holds, as far as there are such flights, rooms and cars."""
    find = {
        "flight": "SELECT f.id, x.fare_cents FROM flights f JOIN routes r ON r.number = f.route "
        "JOIN fares x ON x.route = r.number WHERE r.origin = :origin AND r.destination = "
        ":destination AND f.date = :departure_date AND x.cabin = :cabin",
        "room": "SELECT r.id, r.nightly_cents FROM rooms r JOIN hotels h ON h.id = r.hotel "
        "WHERE h.airport = :destination AND r.room_type = :room_type ORDER BY r.id LIMIT 1",
        "car": "SELECT id, daily_cents FROM cars WHERE airport = :destination "
        "AND car_type = :car_type ORDER BY id LIMIT 1",
    }
    values = {name: value for name, value in asdict(trip).items() if isinstance(value, str)}
    code, price_cents = trip.confirmation_code, 0
    for number, passenger in enumerate(trip.passengers):
        found = connection.execute(text(find["flight"]), {**values, "cabin": passenger.cabin})
        for flight, cents in found:
            seat = {"flight": flight, "seat": f"{code}{number}", "cabin": passenger.cabin}
            rows[seat_holds].append({**seat, "confirmation_code": code})
            price_cents += cents
    for thing, table, when in (("room", room_holds, "night"), ("car", car_holds, "day")):
        for place, cents in connection.execute(text(find[thing]), values):
            for day in NIGHTS:
                if trip.departure_date <= day < trip.return_date:
                    rows[table].append({thing: place, when: day, "confirmation_code": code})
                    price_cents += cents
    if price_cents:
        amount = {"confirmation_code": code, "entry": "charge", "amount_cents": price_cents}
        rows[ledger].append(amount)


def agree(database: Database) -> Report:
    """The audit says what the plain one says; only in what order is its own affair."""
    plain, found = reference_audit(database), audit(database)
    assert (found.trips, found.completed) == (plain.trips, plain.completed)
    assert sorted(found.findings, key=repr) == sorted(plain.findings, key=repr)
    assert (found.orphans, found.money_kept_cents) == (plain.orphans, plain.money_kept_cents)
    return found


@pytest.fixture(scope="module")
def lawless() -> Iterator[Database]:
    database = without_keys(memory_database())
    yield database
    database.close()


@pytest.fixture(scope="module")
def lawless_postgres(postgres_server: str) -> Iterator[Database]:
    with postgres.fresh_database(postgres_server, "travel_lawless") as url:
        database = without_keys(open_database(url))
        yield database
        database.close()


@settings(max_examples=75)
@given(asked, holds, st.randoms(use_true_random=False))
def test_any_books_get_the_verdict_of_the_plain_audit(
    lawless: Database, trips: list, held: dict, shuffle: random.Random
) -> None:
    put(lawless, trips, held, shuffle)
    agree(lawless)


@settings(max_examples=15)
@given(asked, holds, st.randoms(use_true_random=False))
def test_any_books_in_postgresql_get_the_verdict_of_the_plain_audit(
    lawless_postgres: Database, trips: list, held: dict, shuffle: random.Random
) -> None:
    put(lawless_postgres, trips, held, shuffle)
    agree(lawless_postgres)


def test_everything_wrong_at_once(lawless: Database) -> None:
    """Two hundred trips, most of them wrong in several ways, and things held twice."""
    draw = random.Random(20250120)
    trips = [
        (
            a_trip(f"{code}-{number}"),
            draw.choice(["booked", "failed", None]),
            draw.random() < 0.7,
        )
        for number in range(30)
        for code in CODES
    ]
    known = [trip.confirmation_code for trip, _, _ in trips]
    held = {
        "seats": [
            (draw.choice(IDS), draw.choice(["E01", "E02"]), draw.choice(CABINS), draw.choice(known))
            for _ in range(300)
        ],
        "nights": [(draw.choice(IDS), draw.choice(DATES), draw.choice(known)) for _ in range(300)],
        "days": [(draw.choice(IDS), draw.choice(DATES), draw.choice(known)) for _ in range(300)],
        "entries": [
            (draw.choice(known), draw.choice(["charge", "refund"]), draw.randint(1, 500_000))
            for _ in range(100)
        ],
    }
    put(lawless, trips, held, draw)
    report = agree(lawless)
    assert {finding.kind for finding in report.findings} == {
        "seats",
        "room nights",
        "car days",
        "money",
    }
    assert len({finding.problem.split(" ", 1)[1] for finding in report.findings}) > 20


@pytest.mark.parametrize("document", ["{}", "[]", "null", '"x"', "17", '{"destination": 5}'])
def test_a_stored_request_that_cannot_be_read(sqlite_database: Database, document: str) -> None:
    """Not this trip's fault, and no traceback."""
    with sqlite_database.transaction() as connection:
        connection.execute(
            insert(booking_requests).values(
                confirmation_code="A",
                customer="Ada",
                request=json.loads(document),
                outcome="booked",
            )
        )
    with pytest.raises(travel.audit.InvalidInput, match="The stored request of A"):
        audit(sqlite_database)


# --- many -------------------------------------------------------------------------------


@pytest.mark.everything
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_memory_for_ten_times_as_many(sqlite_url: str, tmp_path, kind: str) -> None:
    """And the figures are right."""
    peaks = []
    for trips in (2_000, 20_000):
        url = address.sqlite_url(tmp_path / f"{trips}.sqlite")
        database = open_database(url)
        fill(database, trips, kind)
        database.close()
        figures = measured(url)
        assert figures["trips"] == trips
        assert figures["completed"] == (0 if kind == "failed" else trips)
        assert figures["clean"] == (kind != "wrong")
        assert figures["orphans"] == (6 * trips if kind == "wrong" else 0)
        assert figures["money_kept_cents"] == 0
        peaks.append(figures["peak"])
    assert peaks[1] < peaks[0] + 20, "in MB"


def test_more_findings_than_a_report_lists(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first ones are listed, all are counted."""
    for number in range(12):
        code = f"TEST-{number:02}"
        trip = a_trip(code, passengers=[Passenger("Ada")])
        store(sqlite_database, trip)
        payments.charge(sqlite_database, code, PaymentRequest(code, "Ada", PRICE_CENTS))
        flights.book(sqlite_database, f"{code}/flight", trip)
        record_outcome(sqlite_database, trip, "failed")
    everything = audit(sqlite_database)
    monkeypatch.setattr(travel.audit, "LISTED", 5)
    monkeypatch.setattr(travel.audit, "SHOWN", 3)
    report = audit(sqlite_database)
    assert report.findings == everything.findings[:5]
    assert not report.clean
    assert (report.orphans, report.money_kept_cents) == (12, 12 * PRICE_CENTS)
    assert (everything.orphans, everything.money_kept_cents) == (12, 12 * PRICE_CENTS)
    assert render(report).splitlines()[4] == "… and 21 more"
    assert render(report).splitlines()[-1] == render(everything).splitlines()[-1]


# --- settled by hand ----------------------------------------------------------------------


def settle(database: Database, undo: str, code: str = "TEST-1") -> None:
    settlements.record(
        database,
        confirmation_code=code,
        undo=undo,
        settled_by="Grace",
        reason="the company is gone",
        settled_at="2025-01-21T09:00:00+00:00",
    )


@pytest.fixture
def failed(database: Database) -> Database:
    """A trip that holds everything, is paid for, and failed."""
    store_seed_data(database, load_seed_data())
    trip = a_trip()
    store(database, trip)
    flights.book(database, "f", trip)
    hotels.book(database, "h", trip)
    cars.book(database, "c", trip)
    payments.charge(database, "p", PaymentRequest("TEST-1", "Ada", 312_700))
    record_outcome(database, trip, "failed")
    return database


UNDOS = {
    "cancel_flight": ("seats", 2, 196_000),
    "cancel_hotel": ("room nights", 3, 94_500),
    "cancel_car": ("car days", 3, 22_200),
    "refund_payment": ("money", 0, 312_700),
}


@pytest.mark.parametrize("undo", UNDOS)
def test_a_settlement_excuses_exactly_its_own(failed: Database, undo: str) -> None:
    """Its trip's money or its trip's nights, and shown as settled, with the amount."""
    kind, count, cents = UNDOS[undo]
    before = audit(failed)
    settle(failed, undo)
    report = audit(failed)
    assert report.settled == [Settled("TEST-1", undo, count, cents)]
    assert report.findings == [one for one in before.findings if one.kind != kind]
    assert not report.clean
    assert f"TEST-1                   settled      {undo}, ${cents / 100:,.2f}, by hand" in render(
        report
    )
    assert render(report).endswith(f", ${cents / 100:,.2f} settled by hand.")


def test_all_settled_is_clean(failed: Database) -> None:
    for undo in UNDOS:
        settle(failed, undo)
        settle(failed, undo)  # a person may send it twice
    report = audit(failed)
    assert report.clean
    assert [one.undo for one in report.settled] == list(UNDOS)
    assert report.settled_cents == sum(cents for _, _, cents in UNDOS.values())
    assert (report.orphans, report.money_kept_cents, report.completed) == (0, 0, 0)


def test_a_settlement_excuses_no_other_trip(failed: Database) -> None:
    other = a_trip("TEST-2", departure_date="2025-01-24", return_date="2025-01-27")
    store(failed, other)
    hotels.book(failed, "h2", other)
    record_outcome(failed, other, "failed")
    settle(failed, "cancel_hotel", "TEST-2")
    report = audit(failed)
    assert [one.confirmation_code for one in report.settled] == ["TEST-2"]
    assert {one.confirmation_code for one in report.findings} == {"TEST-1"}
    assert len(report.findings) == 4


def test_what_comes_after_a_settlement_is_not_excused(failed: Database) -> None:
    """A charge that arrives late was not what the person settled."""
    settle(failed, "refund_payment")
    payments.charge(failed, "late", PaymentRequest("TEST-1", "Ada", 100))
    money = [one for one in audit(failed).findings if one.kind == "money"]
    problem = "$3,128.00 charged, $0.00 due for a trip that did not complete"
    assert money == [Finding("TEST-1", "money", problem, amount_cents=312_800)]


def test_what_was_released_after_all_needs_no_excuse(failed: Database) -> None:
    settle(failed, "cancel_hotel")
    hotels.cancel(failed, "h", "TEST-1")
    report = audit(failed)
    assert report.settled == []
    assert [one.kind for one in report.findings] == ["seats", "car days", "money"]


def test_a_settled_trip_whose_outcome_nobody_recorded_did_not_complete(failed: Database) -> None:
    """Its money stands in the books, and that is what was settled."""
    with failed.transaction() as connection:
        connection.execute(text("UPDATE booking_requests SET outcome = NULL"))
    assert audit(failed).completed == 1
    for undo in UNDOS:
        settle(failed, undo)
    report = audit(failed)
    assert (report.clean, report.completed) == (True, 0)


def test_a_settlement_in_a_completed_trip_excuses_nothing(failed: Database) -> None:
    with failed.transaction() as connection:
        connection.execute(text("UPDATE booking_requests SET outcome = 'booked'"))
    settle(failed, "cancel_hotel")
    assert audit(failed) == Report(1, 1, [])
    hotels.cancel(failed, "h", "TEST-1")
    assert [one.kind for one in audit(failed).findings] == ["room nights", "money"]


def test_a_settlement_of_an_undo_that_is_not_ours_excuses_nothing(failed: Database) -> None:
    settle(failed, "revoke_policy")
    assert len(audit(failed).findings) == 4
