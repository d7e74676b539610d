"""Put the seed data into the database, once, however many Workers do it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, Table, func, select

from travel.errors import InvalidInput
from travel.store.database import (
    Database,
    airports,
    cars,
    fares,
    flights,
    hotels,
    insert_many,
    rooms,
    routes,
)
from travel.store.failures import again
from travel.store.seed_data import SeedData


@dataclass(frozen=True)
class SeedCounts:
    """How much of everything the database holds; ``str`` of it is what a Worker prints."""

    airports: int
    routes: int
    flights: int
    hotels: int
    rooms: int
    cars: int

    def __str__(self) -> str:
        return (
            "Database initialized with:\n"
            f"  {self.airports} airports\n"
            f"  {self.routes} flight routes\n"
            f"  {self.flights} flight instances\n"
            f"  {self.hotels} hotels\n"
            f"  {self.rooms} hotel rooms\n"
            f"  {self.cars} rental cars"
        )


def store_seed_data(database: Database, seed: SeedData) -> None:
    """Store what is not there yet, all of it or nothing.

    Ids are positions in the file, so every Worker stores the same rows: twice,
    or two at once, is the same as once. Raises ``InvalidInput`` if the database
    was filled from a file that says otherwise.
    """

    def store() -> None:
        with database.transaction() as connection:
            for table, rows in _rows(seed):
                insert_many(connection, table, rows)
                _check_stored(database, connection, table, rows)

    again(store)


def count_seed_data(database: Database) -> SeedCounts:
    """Count what the database holds."""
    tables = (airports, routes, flights, hotels, rooms, cars)
    with database.snapshot() as connection:
        counts = [
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in tables
        ]
    return SeedCounts(*counts)


def _rows(seed: SeedData) -> list[tuple[Table, list[dict[str, Any]]]]:
    """The rows of each table, a table after those that it refers to."""
    return [
        (airports, [_columns(airport) for airport in seed.airports]),
        (routes, [_columns(route, without="cabins") for route in seed.routes]),
        (fares, [{"route": r.number, **_columns(fare)} for r in seed.routes for fare in r.cabins]),
        (flights, _numbered(_flight_rows(seed))),
        (hotels, _numbered(_columns(hotel, without="rooms") for hotel in seed.hotels)),
        (rooms, _numbered(_room_rows(seed))),
        (cars, _numbered(_columns(car) for car in seed.cars)),
    ]


def _flight_rows(seed: SeedData) -> Iterator[dict[str, Any]]:
    # Days outside, routes inside: a longer schedule leaves the ids as they are.
    for day in seed.schedule.dates():
        for route in seed.routes:
            yield {"route": route.number, "date": day}


def _room_rows(seed: SeedData) -> Iterator[dict[str, Any]]:
    for hotel_id, hotel in enumerate(seed.hotels, start=1):
        for room in hotel.rooms:
            yield {"hotel": hotel_id, **_columns(room)}


def _columns(entry: Any, without: str = "") -> dict[str, Any]:
    names = [field.name for field in fields(entry) if field.name != without]
    return {name: getattr(entry, name) for name in names}


def _numbered(rows: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": n, **row} for n, row in enumerate(rows, start=1)]


def _check_stored(
    database: Database, connection: Connection, table: Table, rows: list[dict[str, Any]]
) -> None:
    stored = {tuple(row) for row in connection.execute(select(table))}
    for row in rows:
        if tuple(row[column.name] for column in table.columns) not in stored:
            raise InvalidInput(
                f"The database {database} has other {table.name} than the seed data; "
                "expected the same or an empty database."
            )
