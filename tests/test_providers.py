"""The five companies without Temporal: each does and undoes once, whoever asks how often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from lab.running import postgres
from samples import CAR_CENTS, FLIGHT_CENTS, HOTEL_CENTS, NIGHTS, PRICE_CENTS, a_trip
from sqlalchemy import Table, delete, func, select

from travel.errors import Rejected
from travel.models import (
    CarBooking,
    ConfirmationEmail,
    FlightBooking,
    HotelBooking,
    Passenger,
    PaymentReceipt,
    PaymentRequest,
    TripRequest,
)
from travel.providers import cars, email, flights, hotels, payments
from travel.providers.once import leave_tombstone
from travel.store import database as tables
from travel.store.address import sqlite_url
from travel.store.booking_requests import record_outcome, store
from travel.store.database import Database, open_database
from travel.store.inventory import store_seed_data
from travel.store.seed_data import load_seed_data

WRITTEN = (
    tables.booking_requests,
    tables.seat_holds,
    tables.room_holds,
    tables.car_holds,
    tables.ledger,
    tables.outbox,
    tables.provider_calls,
)

KEY = "TEST-1/step"
RACES = 20


@dataclass(frozen=True)
class Provider:
    """A provider's do and undo, and the table that shows what it holds."""

    book: Callable[[Database, str, TripRequest], Any]
    cancel: Callable[[Database, str, str], None]
    holds: Table
    rows_of_a_trip: int


FLIGHTS = Provider(flights.book, flights.cancel, tables.seat_holds, rows_of_a_trip=2)
HOTELS = Provider(hotels.book, hotels.cancel, tables.room_holds, rows_of_a_trip=3)
CARS = Provider(cars.book, cars.cancel, tables.car_holds, rows_of_a_trip=3)

each_provider = pytest.mark.parametrize(
    "provider", [FLIGHTS, HOTELS, CARS], ids=["flights", "hotels", "cars"]
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def stocked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One database of each kind for all of these tests: to make one takes longer than a test."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = sqlite_url(tmp_path_factory.mktemp("providers") / "travel.sqlite")
        else:
            server = request.getfixturevalue("postgres_server")
            url = stack.enter_context(postgres.fresh_database(server, f"test_{uuid4().hex}"))
        database = open_database(url)
        stack.callback(database.close)
        store_seed_data(database, load_seed_data())
        yield database


@pytest.fixture
def db(stocked: Database) -> Database:
    """The providers as on their first day: full shelves, no customers."""
    with stocked.transaction() as connection:
        for table in WRITTEN:
            connection.execute(delete(table))
    return stocked


def held(db: Database, table: Table, code: str | None = None) -> int:
    query = select(func.count()).select_from(table)
    if code:
        query = query.where(table.c.confirmation_code == code)
    with db.snapshot() as connection:
        return int(connection.execute(query).scalar_one())


def ledger(db: Database, code: str = "TEST-1") -> list[tuple[str, int]]:
    query = select(tables.ledger.c.entry, tables.ledger.c.amount_cents)
    with db.snapshot() as connection:
        rows = connection.execute(
            query.where(tables.ledger.c.confirmation_code == code).order_by(tables.ledger.c.id)
        )
        return [(row.entry, row.amount_cents) for row in rows]


def refused(action: Callable[[], object]) -> str:
    with pytest.raises(Rejected) as caught:
        action()
    return str(caught.value)


def all_at_once(actions: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run each action in a thread of its own; a rejection counts as its result."""
    start = Barrier(len(actions))

    def run(action: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return action()
        except Rejected as rejection:
            return rejection

    with ThreadPoolExecutor(len(actions)) as threads:
        return list(threads.map(run, actions))


# --- what a booking is --------------------------------------------------------


def test_a_flight_is_a_seat_a_passenger_in_the_passenger_s_own_cabin(db: Database) -> None:
    booking = flights.book(db, KEY, a_trip())
    assert booking == FlightBooking("SAGA101", "2025-01-20", ["E01", "F01"], FLIGHT_CENTS)
    second = flights.book(db, "other", a_trip("TEST-2"))
    assert second.seats == ["E02", "F02"]


def test_a_room_is_held_for_each_night(db: Database) -> None:
    booking = hotels.book(db, KEY, a_trip())
    assert booking == HotelBooking("Hudson House", "201", NIGHTS, HOTEL_CENTS)
    assert hotels.book(db, "other", a_trip("TEST-2")).room_number == "202"


def test_a_car_is_held_for_each_day(db: Database) -> None:
    booking = cars.book(db, KEY, a_trip())
    assert isinstance(booking, CarBooking)
    assert (booking.days, booking.price_cents) == (NIGHTS, CAR_CENTS)


def test_stays_that_meet_on_the_day_of_change_share_a_room_and_a_car(db: Database) -> None:
    later = a_trip("TEST-2", departure_date="2025-01-23", return_date="2025-01-25")
    assert hotels.book(db, "a", a_trip()).room_number == hotels.book(db, "b", later).room_number
    assert cars.book(db, "c", a_trip()).model == cars.book(db, "d", later).model


@pytest.mark.parametrize(
    ("provider", "changes", "reason"),
    [
        (FLIGHTS, {"destination": "MIA"}, "No direct flight from SFO to MIA on 2025-01-20."),
        (FLIGHTS, {"departure_date": "2025-01-10"}, "No direct flight from SFO to JFK"),
        (FLIGHTS, {"departure_date": "2025-03-21"}, "No direct flight from SFO to JFK"),
        (HOTELS, {"room_type": "presidential"}, "No available presidential rooms in JFK"),
        (HOTELS, {"destination": "DEN"}, "No available deluxe rooms in DEN"),
        (CARS, {"car_type": "limousine"}, "No available limousine cars in JFK"),
    ],
)
def test_what_is_not_on_offer_is_rejected(
    db: Database, provider: Provider, changes: dict[str, Any], reason: str
) -> None:
    assert reason in refused(lambda: provider.book(db, KEY, a_trip(**changes)))
    assert held(db, provider.holds) == 0


def test_a_cabin_that_the_flight_does_not_have_is_rejected(db: Database) -> None:
    trip = a_trip(passengers=[Passenger("Ada"), Passenger("Grace", "royal")])
    assert refused(lambda: flights.book(db, KEY, trip)) == "Flight SAGA101 has no royal cabin."
    assert held(db, tables.seat_holds) == 0


def test_nothing_is_left_when_the_second_passenger_finds_no_seat(db: Database) -> None:
    firsts = [Passenger(f"P{n}", "first") for n in range(4)]
    flights.book(db, "full", a_trip("FULL", passengers=firsts))
    trip = a_trip(passengers=[Passenger("Ada"), Passenger("Grace", "first")])
    reason = refused(lambda: flights.book(db, KEY, trip))
    assert reason == "No first seat left on SAGA101 on 2025-01-20."
    assert held(db, tables.seat_holds, "TEST-1") == 0


def test_one_taken_night_in_the_middle_rules_a_room_out(db: Database) -> None:
    one_night = {"departure_date": "2025-01-21", "return_date": "2025-01-22"}
    for n in range(2):
        hotels.book(db, f"suite-{n}", a_trip(f"SUITE-{n}", room_type="suite", **one_night))
    refused(lambda: hotels.book(db, KEY, a_trip(room_type="suite")))
    assert held(db, tables.room_holds, "TEST-1") == 0


@pytest.mark.parametrize("name", ["O'Brien", "Robert'); DROP TABLE ledger;--", "עדה 👩🏽‍🚀"])
def test_unusual_names_and_codes_are_only_text(db: Database, name: str) -> None:
    trip = a_trip(f"X-{name}", customer=name)
    store(db, trip)
    FLIGHTS.book(db, trip.workflow_id, trip)
    payment = PaymentRequest(trip.confirmation_code, name, 100)
    payments.charge(db, f"{trip.workflow_id}/pay", payment)
    assert ledger(db, trip.confirmation_code) == [("charge", 100)]
    assert held(db, tables.seat_holds, trip.confirmation_code) == 2


# --- twice, late, and in the wrong order --------------------------------------


@each_provider
def test_done_twice_books_once_with_the_same_answer(db: Database, provider: Provider) -> None:
    first = provider.book(db, KEY, a_trip())
    assert provider.book(db, KEY, a_trip()) == first
    assert held(db, provider.holds) == provider.rows_of_a_trip


@each_provider
def test_undone_twice_is_undone(db: Database, provider: Provider) -> None:
    provider.book(db, KEY, a_trip())
    provider.book(db, "other", a_trip("TEST-2", car_type="suv"))
    for _ in range(2):
        provider.cancel(db, KEY, "TEST-1")
    assert held(db, provider.holds, "TEST-1") == 0
    assert held(db, provider.holds, "TEST-2") == provider.rows_of_a_trip


@each_provider
def test_a_do_after_its_undo_is_refused(db: Database, provider: Provider) -> None:
    provider.cancel(db, KEY, "TEST-1")
    for _ in range(2):
        assert "was undone" in refused(lambda: provider.book(db, KEY, a_trip()))
    assert held(db, provider.holds) == 0


@each_provider
def test_after_a_settlement_nothing_new_is_done_and_what_is_done_stands(
    db: Database, provider: Provider
) -> None:
    leave_tombstone(db, KEY)
    assert "was undone" in refused(lambda: provider.book(db, KEY, a_trip()))
    booked = provider.book(db, "other", a_trip())
    leave_tombstone(db, "other")
    assert provider.book(db, "other", a_trip()) == booked
    assert held(db, provider.holds) == provider.rows_of_a_trip


@each_provider
def test_what_was_undone_stays_undone(db: Database, provider: Provider) -> None:
    provider.book(db, KEY, a_trip())
    provider.cancel(db, KEY, "TEST-1")
    assert "was undone" in refused(lambda: provider.book(db, KEY, a_trip()))
    assert held(db, provider.holds) == 0


@each_provider
def test_what_was_released_can_be_booked_by_others(db: Database, provider: Provider) -> None:
    first = provider.book(db, KEY, a_trip())
    provider.cancel(db, KEY, "TEST-1")
    assert provider.book(db, "other", a_trip("TEST-2")) == first


def test_a_rejection_is_remembered_although_a_room_becomes_free(db: Database) -> None:
    for n in range(2):
        hotels.book(db, f"suite-{n}", a_trip(f"SUITE-{n}", room_type="suite"))
    late = a_trip(room_type="suite")
    reason = refused(lambda: hotels.book(db, KEY, late))
    hotels.cancel(db, "suite-0", "SUITE-0")
    assert refused(lambda: hotels.book(db, KEY, late)) == reason
    hotels.cancel(db, KEY, "TEST-1")
    assert refused(lambda: hotels.book(db, KEY, late)) == reason
    assert held(db, tables.room_holds, "TEST-1") == 0
    assert hotels.book(db, "a new key", late).room_number == "301"


def test_an_undo_never_touches_what_another_key_did(db: Database) -> None:
    payments.charge(db, "a", PaymentRequest("TEST-1", "Ada", 100))
    payments.refund(db, "b", "TEST-1")
    assert ledger(db) == [("charge", 100)]


# --- at the same time ---------------------------------------------------------


@each_provider
def test_done_by_many_at_once_under_one_key_books_once(db: Database, provider: Provider) -> None:
    answers = all_at_once([lambda: provider.book(db, KEY, a_trip())] * 8)
    assert len({str(answer) for answer in answers}) == 1
    assert held(db, provider.holds) == provider.rows_of_a_trip


@each_provider
def test_do_and_undo_at_once_leave_nothing(db: Database, provider: Provider) -> None:
    for n in range(RACES):
        code, key = f"RACE-{n}", f"RACE-{n}/step"
        all_at_once(
            [
                lambda code=code, key=key: provider.book(db, key, a_trip(code)),
                lambda code=code, key=key: provider.cancel(db, key, code),
                lambda code=code, key=key: provider.book(db, key, a_trip(code)),
            ]
        )
        assert held(db, provider.holds, code) == 0
    assert held(db, provider.holds) == 0


def test_charge_and_refund_at_once_keep_no_money(db: Database) -> None:
    for n in range(RACES):
        code, key = f"RACE-{n}", f"RACE-{n}/pay"
        request = PaymentRequest(code, "Ada", 100)
        all_at_once(
            [
                lambda key=key, request=request: payments.charge(db, key, request),
                lambda key=key, code=code: payments.refund(db, key, code),
            ]
        )
        assert ledger(db, code) in ([], [("charge", 100), ("refund", 100)])


def attempts(db: Database, provider: Provider, trips: list[TripRequest]) -> list[Any]:
    """The answers to these trips, all asked for at once; rejections left out."""
    actions = [
        lambda trip=trip: provider.book(db, f"{trip.confirmation_code}/step", trip)
        for trip in trips
    ]
    return [answer for answer in all_at_once(actions) if not isinstance(answer, Rejected)]


def test_200_attempts_at_the_last_5_seats_give_exactly_5(db: Database) -> None:
    for n in range(19):
        flights.book(db, f"early-{n}", a_trip(f"EARLY-{n}", passengers=[Passenger("Ada")]))
    trips = [a_trip(f"LATE-{n}", passengers=[Passenger("Ada")]) for n in range(200)]
    booked = attempts(db, FLIGHTS, trips)
    assert len(booked) == 5
    assert sorted(answer.seats[0] for answer in booked) == ["E20", "E21", "E22", "E23", "E24"]
    assert held(db, tables.seat_holds) == 24


def test_200_attempts_at_the_last_room_give_exactly_1(db: Database) -> None:
    hotels.book(db, "early", a_trip("EARLY", room_type="suite"))
    trips = [a_trip(f"LATE-{n}", room_type="suite") for n in range(200)]
    assert [answer.room_number for answer in attempts(db, HOTELS, trips)] == ["302"]
    assert held(db, tables.room_holds) == 2 * 3


def test_200_attempts_at_the_last_car_give_exactly_1(db: Database) -> None:
    trips = [a_trip(f"LATE-{n}") for n in range(200)]
    assert len(attempts(db, CARS, trips)) == 1
    assert held(db, tables.car_holds) == 3


def test_overlapping_stays_at_once_never_share_a_night(db: Database) -> None:
    """Each stay overlaps with the next, so a careless check would let two into one room."""
    stays = [(f"2025-02-{day:02}", f"2025-02-{day + 3:02}") for day in range(1, 21)]
    trips = [
        a_trip(f"STAY-{n}", room_type="suite", departure_date=start, return_date=end)
        for n, (start, end) in enumerate(stays)
    ]
    booked = attempts(db, HOTELS, trips)
    assert 10 <= len(booked) < 20
    nights = [(answer.room_number, night) for answer in booked for night in answer.nights]
    assert len(nights) == len(set(nights)) == held(db, tables.room_holds)


# --- money and mail -----------------------------------------------------------


def test_money_is_charged_once_and_paid_back_once(db: Database) -> None:
    request = PaymentRequest("TEST-1", "Ada", PRICE_CENTS)
    receipts = [payments.charge(db, KEY, request) for _ in range(2)]
    assert receipts == [PaymentReceipt(KEY, PRICE_CENTS)] * 2
    assert ledger(db) == [("charge", PRICE_CENTS)]
    for _ in range(2):
        payments.refund(db, KEY, "TEST-1")
    assert ledger(db) == [("charge", PRICE_CENTS), ("refund", PRICE_CENTS)]


def test_a_late_charge_after_its_refund_is_refused(db: Database) -> None:
    payments.refund(db, KEY, "TEST-1")
    request = PaymentRequest("TEST-1", "Ada", PRICE_CENTS)
    assert "was undone" in refused(lambda: payments.charge(db, KEY, request))
    assert ledger(db) == []


def test_a_refund_pays_back_what_was_charged_under_its_key_and_no_more(db: Database) -> None:
    payments.charge(db, "a", PaymentRequest("TEST-1", "Ada", 100))
    payments.charge(db, "b", PaymentRequest("TEST-1", "Ada", 250))
    payments.refund(db, "b", "TEST-1")
    assert ledger(db) == [("charge", 100), ("charge", 250), ("refund", 250)]


def test_a_declined_card_is_not_charged(db: Database) -> None:
    request = PaymentRequest("FORCE-PAYMENT-FAIL-9", "Ada", 100)
    for _ in range(2):
        reason = refused(lambda: payments.charge(db, KEY, request))
        assert reason == "The card of Ada was declined."
    payments.refund(db, KEY, "FORCE-PAYMENT-FAIL-9")
    assert ledger(db, "FORCE-PAYMENT-FAIL-9") == []


def test_an_email_is_sent_once(db: Database) -> None:
    message = ConfirmationEmail("TEST-1", "Ada", "Your trip is booked. ✈ “OK”")
    assert [email.send(db, KEY, message) for _ in range(2)] == [message] * 2
    with db.snapshot() as connection:
        sent = connection.execute(select(tables.outbox.c.customer, tables.outbox.c.text)).all()
    assert sent == [("Ada", message.text)]


# --- our own records ----------------------------------------------------------


def test_a_request_is_stored_once(db: Database) -> None:
    for _ in range(2):
        store(db, a_trip())
    assert held(db, tables.booking_requests) == 1


def test_a_confirmation_code_belongs_to_one_trip(db: Database) -> None:
    store(db, a_trip())
    other = a_trip(customer="Grace")
    assert refused(lambda: store(db, other)) == "Confirmation code TEST-1 belongs to another trip."


@pytest.mark.parametrize("airport", ["XXX", "sfo", "DROP TABLE airports"])
def test_an_unknown_airport_is_rejected_before_anything_is_stored(
    db: Database, airport: str
) -> None:
    reason = refused(lambda: store(db, a_trip(destination=airport)))
    assert reason.startswith(f"Unknown airport {airport}; expected one of ATL, BOS, ")
    assert held(db, tables.booking_requests) == 0


def test_what_the_customer_was_told_is_noted(db: Database) -> None:
    store(db, a_trip())
    record_outcome(db, a_trip(), "failed")
    record_outcome(db, a_trip(customer="Grace"), "booked")
    store(db, a_trip())
    query = select(tables.booking_requests.c.outcome)
    with db.snapshot() as connection:
        assert connection.execute(query).scalar_one() == "failed"
