"""Seed data: what the file holds, what is wrong with a damaged one, and storing it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, select

from travel.errors import InvalidInput
from travel.models import CABINS, TripRequest
from travel.store.address import sqlite_url
from travel.store.database import Database, metadata, open_database
from travel.store.inventory import count_seed_data, store_seed_data
from travel.store.seed_data import (
    CAR_TYPES,
    DEFAULT_FILE,
    ROOM_TYPES,
    SeedData,
    check_cities,
    cities,
    load_seed_data,
)
from travel.trips import forty_four_trips

BLOCK = """\
Database initialized with:
  12 airports
  12 flight routes
  720 flight instances
  8 hotels
  60 hotel rooms
  32 rental cars"""

SEED = load_seed_data()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(sqlite_url(tmp_path / "t.sqlite"))
    yield database
    database.close()


def everything(database: Database) -> dict[str, list[Any]]:
    with database.snapshot() as connection:
        return {
            table.name: list(connection.execute(select(table).order_by(*table.primary_key)))
            for table in metadata.sorted_tables
        }


def test_the_file_holds_what_the_brief_promises() -> None:
    assert " ".join(cities(SEED)) == "SFO LAX JFK ORD MIA DFW SEA BOS ATL DEN LAS PHX"
    assert cities(SEED)["JFK"] == "New York"
    assert {room.room_type for hotel in SEED.hotels for room in hotel.rooms} == set(ROOM_TYPES)
    assert {car.car_type for car in SEED.cars} == set(CAR_TYPES)
    dates = SEED.schedule.dates()
    assert (dates[0], dates[-1], len(dates)) == ("2025-01-20", "2025-03-20", 60)


def test_every_route_prices_every_cabin() -> None:
    for route in SEED.routes:
        assert tuple(fare.cabin for fare in route.cabins) == CABINS


def test_every_route_goes_to_a_city_with_a_hotel_and_cars() -> None:
    destinations = {route.destination for route in SEED.routes}
    hotels = [hotel.airport for hotel in SEED.hotels]
    assert len(set(hotels)) == len(hotels) == 8
    assert destinations == set(hotels) == {car.airport for car in SEED.cars}


def test_every_hotel_has_every_room_type() -> None:
    for hotel in SEED.hotels:
        assert {room.room_type for room in hotel.rooms} == set(ROOM_TYPES)


def test_a_price_does_not_depend_on_which_room_or_car_is_free() -> None:
    """Otherwise the price of a trip would depend on the order of booking."""
    nightly = {(h.name, r.room_type, r.nightly_cents) for h in SEED.hotels for r in h.rooms}
    assert len(nightly) == len({(hotel, room_type) for hotel, room_type, _ in nightly})
    daily = {(car.airport, car.car_type, car.daily_cents) for car in SEED.cars}
    assert len(daily) == len({(airport, car_type) for airport, car_type, _ in daily})


# --- damaged files -----------------------------------------------------------

Damage = Callable[[dict[str, Any]], object]

DAMAGES: list[tuple[Damage, str]] = [
    (lambda d: d.pop("cars"), "the document has no 'cars'; expected one."),
    (lambda d: d["cars"][3].pop("model"), "cars[3] has no 'model'; expected one."),
    (lambda d: d.pop("schedule"), "the document has no 'schedule'; expected one."),
    (lambda d: d.update(hotels=[]), "hotels is []; expected a list of at least one entry."),
    (lambda d: d.update(hotels="many"), "hotels is 'many'; expected a list of at least one entry."),
    (lambda d: d.update(schedule=60), "schedule is 60; expected an object."),
    (
        lambda d: d["hotels"][0].update(rooms=[]),
        "hotels[0].rooms is []; expected a list of at least one entry.",
    ),
    (lambda d: d["airports"].append("JFK"), "airports[12] is 'JFK'; expected an object."),
    (
        lambda d: d["airports"][0].update(city=7),
        "airports[0].city is 7; expected 1 to 100 printable characters.",
    ),
    (
        lambda d: d["airports"][0].update(city=" "),
        "airports[0].city is ' '; expected 1 to 100 printable characters.",
    ),
    (
        lambda d: d["airports"][0].update(city="x" * 10_000_000),
        f"airports[0].city is '{'x' * 59}…; expected 1 to 100 printable characters.",
    ),
    (
        lambda d: d["airports"][0].update(city="New\nYork\ud800"),
        r"airports[0].city is 'New\nYork\ud800'; expected 1 to 100 printable characters.",
    ),
    (
        lambda d: d["routes"][0].update(destination="XYZ"),
        "the destination of route SAGA101 is 'XYZ'; expected one of SFO, LAX, JFK,",
    ),
    (
        lambda d: d["routes"][0].update(origin="XYZ"),
        "the origin of route SAGA101 is 'XYZ'; expected one of SFO, LAX, JFK,",
    ),
    (
        lambda d: d["hotels"][0].update(airport="XYZ"),
        "the airport of hotel Hudson House is 'XYZ'; expected one of SFO, LAX, JFK,",
    ),
    (
        lambda d: d["cars"][0].update(airport="XYZ"),
        "the airport of car NYC-101 is 'XYZ'; expected one of SFO, LAX, JFK,",
    ),
    (
        lambda d: d["routes"][0].update(destination="SFO"),
        "route SAGA101 ends where it starts; expected two airports.",
    ),
    (
        lambda d: d["cars"][3].update(daily_cents=-5),
        "cars[3].daily_cents is -5; expected a whole number from 1 to 10000000.",
    ),
    (
        lambda d: d["hotels"][1]["rooms"][2].update(nightly_cents=0),
        "hotels[1].rooms[2].nightly_cents is 0; expected a whole number from 1 to 10000000.",
    ),
    (
        lambda d: d["routes"][4]["cabins"]["first"].update(fare_cents=280.5),
        "routes[4].cabins.first.fare_cents is 280.5; expected a whole number from 1 to 10000000.",
    ),
    (
        lambda d: d["routes"][4]["cabins"]["first"].update(seats=True),
        "routes[4].cabins.first.seats is True; expected a whole number from 1 to 1000.",
    ),
    (
        lambda d: d["routes"][4]["cabins"]["first"].update(seats=0),
        "routes[4].cabins.first.seats is 0; expected a whole number from 1 to 1000.",
    ),
    (
        lambda d: d["airports"].append({"code": "JFK", "city": "Newark"}),
        "the airport 'JFK' stands twice; expected it once.",
    ),
    (
        lambda d: d["airports"].append({"code": "EWR", "city": "New York"}),
        "the city 'New York' stands twice; expected it once.",
    ),
    (
        lambda d: d["routes"][1].update(number="SAGA101"),
        "the route 'SAGA101' stands twice; expected it once.",
    ),
    (
        lambda d: d["routes"][1].update(origin="SFO", destination="JFK"),
        "the connection 'SFO to JFK' stands twice; expected it once.",
    ),
    (
        lambda d: d["hotels"][1].update(name="Hudson House"),
        "the hotel 'Hudson House' stands twice; expected it once.",
    ),
    (
        lambda d: d["hotels"][0]["rooms"][1].update(number="101"),
        "the room of Hudson House '101' stands twice; expected it once.",
    ),
    (
        lambda d: d["cars"][1].update(licence_plate="NYC-101"),
        "the licence plate 'NYC-101' stands twice; expected it once.",
    ),
    (
        lambda d: d["routes"][0].update(cabins={}),
        "routes[0].cabins is {}; expected at least one cabin.",
    ),
    (
        lambda d: d["routes"][0]["cabins"].update(steerage={}),
        "routes[0].cabins has the cabin 'steerage'; expected only economy, business, first.",
    ),
    (
        lambda d: d["hotels"][0]["rooms"][0].update(room_type="penthouse"),
        "hotels[0].rooms[0].room_type is 'penthouse'; expected one of standard, deluxe, suite.",
    ),
    (
        lambda d: d["cars"][0].update(car_type="limousine"),
        "cars[0].car_type is 'limousine'; expected one of economy, compact, midsize, suv, luxury.",
    ),
    (
        lambda d: d["schedule"].update(first_day="2025-02-30"),
        "schedule.first_day is '2025-02-30'; expected an ISO date such as 2025-01-20.",
    ),
    (
        lambda d: d["schedule"].update(first_day="20250120"),
        "schedule.first_day is '20250120'; expected an ISO date such as 2025-01-20.",
    ),
    (
        lambda d: d["schedule"].update(first_day="9999-12-31"),
        "schedule.first_day is '9999-12-31'; expected an ISO date such as 2025-01-20.",
    ),
    (
        lambda d: d["schedule"].update(days=10**9),
        "schedule.days is 1000000000; expected a whole number from 1 to 3650.",
    ),
]


@pytest.mark.parametrize(("damage", "sentence"), DAMAGES, ids=[text[:50] for _, text in DAMAGES])
def test_a_damaged_file_gets_one_sentence(tmp_path: Path, damage: Damage, sentence: str) -> None:
    document = json.loads(DEFAULT_FILE.read_text(encoding="utf-8"))
    damage(document)
    file = tmp_path / "seed.json"
    file.write_text(json.dumps(document))
    with pytest.raises(InvalidInput) as raised:
        load_seed_data(file)
    assert str(raised.value).startswith(f"In the seed data, {sentence}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 200_000, b"9" * 5_000])
def test_a_file_that_is_no_json_gets_one_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "seed.json"
    file.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"seed\.json cannot be read \(.+\); expected a JSON"):
        load_seed_data(file)


def test_a_file_that_holds_no_object_gets_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "seed.json"
    file.write_text("[]")
    with pytest.raises(InvalidInput, match=r"the document is \[\]; expected an object\."):
        load_seed_data(file)


def test_an_unreadable_file_gets_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.json", tmp_path, tmp_path / "a\0b"):
        with pytest.raises(InvalidInput, match="cannot be read"):
            load_seed_data(path)


# --- storing -----------------------------------------------------------------


def test_stored_data_is_counted_in_the_words_of_the_brief(database: Database) -> None:
    store_seed_data(database, SEED)
    assert str(count_seed_data(database)) == BLOCK


def test_storing_twice_changes_nothing(database: Database) -> None:
    store_seed_data(database, SEED)
    before = everything(database)
    store_seed_data(database, SEED)
    assert everything(database) == before


def test_eight_workers_can_store_at_once(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "t.sqlite")

    def work(_n: int) -> str:
        database = open_database(url)
        store_seed_data(database, SEED)
        counts = str(count_seed_data(database))
        database.close()
        return counts

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, range(8))) == {BLOCK}


def test_each_table_is_stored_in_one_statement(tmp_path: Path) -> None:
    """Not in one for each of some thousand rows."""
    database = open_database(sqlite_url(tmp_path / "travel.sqlite"))
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        store_seed_data(database, SEED)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
        database.close()
    inserts = [statement for statement in statements if statement.startswith("INSERT")]
    assert len(inserts) == len(set(inserts)) == 7, "one a table"
    assert len(statements) < 30


def test_a_longer_schedule_is_added(database: Database) -> None:
    store_seed_data(database, SEED)
    store_seed_data(database, replace(SEED, schedule=replace(SEED.schedule, days=90)))
    assert count_seed_data(database).flights == 12 * 90


def dearer_cars(seed: SeedData) -> SeedData:
    return replace(seed, cars=tuple(replace(car, daily_cents=99) for car in seed.cars))


def renumbered_routes(seed: SeedData) -> SeedData:
    routes = tuple(replace(route, number=f"{route.number}X") for route in seed.routes)
    return replace(seed, routes=routes)


@pytest.mark.parametrize(
    ("change", "table"),
    [
        (dearer_cars, "cars"),
        (renumbered_routes, "routes"),
        (lambda seed: replace(seed, routes=seed.routes[::-1]), "flights"),
        (lambda seed: replace(seed, hotels=seed.hotels[::-1]), "hotels"),
    ],
)
def test_other_seed_data_in_the_database_is_noticed(
    database: Database, change: Callable[[SeedData], SeedData], table: str
) -> None:
    store_seed_data(database, SEED)
    before = everything(database)
    with pytest.raises(InvalidInput, match=f"has other {table} than the seed data; expected"):
        store_seed_data(database, change(SEED))
    assert everything(database) == before


# --- the cities of a trip ----------------------------------------------------


@pytest.mark.parametrize(
    ("trip", "what"),
    [
        (replace(forty_four_trips()[0], origin="sfo"), "origin 'sfo'"),
        (replace(forty_four_trips()[0], destination="Atlantis"), "destination 'Atlantis'"),
    ],
)
def test_an_unknown_city_gets_one_sentence(trip: TripRequest, what: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        check_cities(trip, SEED)
    expected = "SFO, LAX, JFK, ORD, MIA, DFW, SEA, BOS, ATL, DEN, LAS, PHX"
    assert str(raised.value) == f"The {what} is not a known airport; expected one of {expected}."
