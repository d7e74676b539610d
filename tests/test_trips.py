"""The 44 trips: what they ask for, and that they never get in each other's way."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from travel.errors import Rejected
from travel.models import CABINS, TripRequest, check_request, stay_dates
from travel.providers import cars, flights, hotels
from travel.store.address import sqlite_url
from travel.store.database import Database, open_database
from travel.store.inventory import store_seed_data
from travel.store.seed_data import CAR_TYPES, ROOM_TYPES, check_cities, cities, load_seed_data
from travel.trips import forty_four_trips

SEED = load_seed_data()
TRIPS = forty_four_trips()
VALID = TRIPS[:30]
STEPS = {"flight": flights.book, "hotel": hotels.book, "car": cars.book}

FLIGHT_FAILURES = ["EarlyDate-Fail", "LateDate-Fail", "BadRoute-Fail"]
HOTEL_FAILURES = {
    "Presidential-Suite": "presidential",
    "Penthouse-Fail": "penthouse",
    "Oceanview-Fail": "oceanview",
    "ExecutiveSuite-Fail": "executivesuite",
    "DeluxeKing-Fail": "deluxeking",
}
CAR_FAILURES = {
    "Limousine-Fail": "limousine",
    "SportsCar-Fail": "sportscar",
    "Convertible-Fail": "convertible",
    "LuxurySUV-Fail": "luxurysuv",
    "Electric-Fail": "electric",
}
REJECTED_BY = {
    **dict.fromkeys(FLIGHT_FAILURES, "flight"),
    **dict.fromkeys(HOTEL_FAILURES, "hotel"),
    **dict.fromkeys(CAR_FAILURES, "car"),
}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(sqlite_url(tmp_path / "t.sqlite"))
    store_seed_data(database, SEED)
    yield database
    database.close()


def trip_of(customer: str) -> TripRequest:
    return next(trip for trip in TRIPS if trip.customer == customer)


def rejected_by(database: Database, trip: TripRequest) -> str | None:
    """Book step by step, undo nothing, and name the step that was rejected."""
    for step, book in STEPS.items():
        try:
            book(database, f"{trip.confirmation_code}/{step}", trip)
        except Rejected:
            return step
    return None


def test_customers_and_confirmation_codes_are_in_order() -> None:
    valid = [f"Customer-{n:03}" for n in range(1, 31)]
    assert [trip.customer for trip in TRIPS] == [*valid, *REJECTED_BY, "PaymentFail-Test"]
    codes = [f"TRIP-{n:03}" for n in range(1, 44)]
    assert [trip.confirmation_code for trip in TRIPS] == [*codes, "FORCE-PAYMENT-FAIL-044"]
    assert len({trip.workflow_id for trip in TRIPS}) == 44


@pytest.mark.parametrize(
    ("customer", "origin", "destination", "day"),
    [
        ("Customer-001", "San Francisco", "New York", "2025-01-20"),
        ("Customer-002", "Los Angeles", "Miami", "2025-01-22"),
        ("Presidential-Suite", "San Francisco", "New York", "2025-01-25"),
        ("Limousine-Fail", "Los Angeles", "Miami", "2025-02-04"),
        ("PaymentFail-Test", "San Francisco", "New York", "2025-02-19"),
    ],
)
def test_the_trips_in_the_sample_output(
    customer: str, origin: str, destination: str, day: str
) -> None:
    trip, city = trip_of(customer), cities(SEED)
    assert (city[trip.origin], city[trip.destination]) == (origin, destination)
    assert trip.departure_date == day


@pytest.mark.parametrize("trip", TRIPS, ids=lambda trip: trip.customer)
def test_every_trip_is_well_formed(trip: TripRequest) -> None:
    check_request(trip)
    check_cities(trip, SEED)


def test_impossible_trips_have_exactly_one_fault() -> None:
    direct = {(route.origin, route.destination) for route in SEED.routes}
    flown = SEED.schedule.dates()
    for trip in TRIPS:
        faults = {
            "early": trip.departure_date < flown[0],
            "late": trip.departure_date > flown[-1],
            "route": (trip.origin, trip.destination) not in direct,
            "room": trip.room_type not in ROOM_TYPES,
            "car": trip.car_type not in CAR_TYPES,
        }
        assert sum(faults.values()) == (trip.customer in REJECTED_BY), trip.customer
    assert trip_of("EarlyDate-Fail").departure_date < flown[0]
    assert trip_of("LateDate-Fail").departure_date > flown[-1]


def test_the_types_that_no_one_offers() -> None:
    assert {name: trip_of(name).room_type for name in HOTEL_FAILURES} == HOTEL_FAILURES
    assert {name: trip_of(name).car_type for name in CAR_FAILURES} == CAR_FAILURES


def test_valid_trips_vary() -> None:
    assert {trip.room_type for trip in VALID} == set(ROOM_TYPES)
    assert {trip.car_type for trip in VALID} == set(CAR_TYPES)
    assert {p.cabin for trip in VALID for p in trip.passengers} == set(CABINS)
    assert {len(trip.passengers) for trip in VALID} == {1, 2, 3, 4}
    assert {len(stay_dates(trip)) for trip in VALID} == {2, 3, 4, 5}
    assert {trip.destination for trip in VALID} == {hotel.airport for hotel in SEED.hotels}
    connections = {(route.origin, route.destination) for route in SEED.routes}
    assert {(trip.origin, trip.destination) for trip in VALID} == connections
    assert any(len({p.cabin for p in trip.passengers}) > 1 for trip in VALID)


def test_passengers_of_a_trip_have_names_of_their_own() -> None:
    for trip in TRIPS:
        names = [passenger.name for passenger in trip.passengers]
        assert names[0] == trip.customer
        assert len(set(names)) == len(names)


def test_the_first_customer_loses_1225_dollars_in_the_messy_version(database: Database) -> None:
    trip = TRIPS[0]
    flight = flights.book(database, "flight", trip)
    hotel = hotels.book(database, "hotel", trip)
    assert (flight.price_cents, hotel.price_cents) == (28_000, 94_500)
    assert [passenger.cabin for passenger in trip.passengers] == ["economy"]
    assert (trip.room_type, len(stay_dates(trip))) == ("deluxe", 3)


@pytest.mark.parametrize("seed", range(6))
def test_the_trips_fit_beside_each_other_in_any_order(database: Database, seed: int) -> None:
    trips = random.Random(seed).sample(TRIPS, len(TRIPS))
    outcomes = {trip.customer: rejected_by(database, trip) for trip in trips}
    assert {customer: step for customer, step in outcomes.items() if step} == REJECTED_BY


def test_the_trips_fit_beside_each_other_for_certain() -> None:
    """No order is left out: each trip meets fewer others than there are rooms and cars.

    Each of those others can take at most one room (car) away from it, so one remains.
    """
    rooms = Counter((h.airport, room.room_type) for h in SEED.hotels for room in h.rooms)
    fleet = Counter((car.airport, car.car_type) for car in SEED.cars)
    for trip in TRIPS:
        same_stay = [other for other in TRIPS if set(stay_dates(trip)) & set(stay_dates(other))]
        if trip.customer not in REJECTED_BY:
            car = (trip.destination, trip.car_type)
            assert sum((t.destination, t.car_type) == car for t in same_stay) <= fleet[car]
        if REJECTED_BY.get(trip.customer, "car") == "car":
            room = (trip.destination, trip.room_type)
            assert sum((t.destination, t.room_type) == room for t in same_stay) <= rooms[room]


def test_every_cabin_has_a_seat_for_every_passenger() -> None:
    seats = {(r.origin, r.destination, c.cabin): c.seats for r in SEED.routes for c in r.cabins}
    wanted = Counter(
        (trip.origin, trip.destination, passenger.cabin, trip.departure_date)
        for trip in TRIPS
        if REJECTED_BY.get(trip.customer) != "flight"
        for passenger in trip.passengers
    )
    for (origin, destination, cabin, _day), passengers in wanted.items():
        assert passengers <= seats[origin, destination, cabin]
