"""What the database says about each trip: asked for, held, charged, settled by hand.

Every single thing held, for those who show it or look into a few trips. The audit
and reconciliation, which look at all of them, use ``travel.store.accounts``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, Table, func, select

from travel.models import Passenger, TripRequest
from travel.store.database import (
    AnyRow,
    Database,
    booking_requests,
    car_holds,
    cars,
    fares,
    flights,
    hotels,
    ledger,
    room_holds,
    rooms,
    routes,
    seat_holds,
    settlements,
)


class Seat(NamedTuple):
    """A seat held, with what it should be: its flight's route, day and cabin."""

    flight: int
    seat: str
    route: tuple[str, str]
    date: str
    cabin: str
    fare_cents: int


class Night(NamedTuple):
    """A room held for a night."""

    room: int
    night: str
    airport: str
    room_type: str
    nightly_cents: int


class Day(NamedTuple):
    """A car held for a day."""

    car: int
    day: str
    airport: str
    car_type: str
    daily_cents: int


@dataclass
class Trip:
    """Everything the database says about one confirmation code."""

    request: TripRequest | None = None
    outcome: str | None = None
    seats: list[Seat] = field(default_factory=list)
    nights: list[Night] = field(default_factory=list)
    days: list[Day] = field(default_factory=list)
    charged_cents: int = 0
    settled: list[str] = field(default_factory=list)
    """The undos that a person settled by hand, such as ``"cancel_hotel"``."""

    @property
    def completed(self) -> bool:
        """Whether the customer has, or believes to have, a trip."""
        if self.outcome is None:
            # What is settled by hand was to be undone: such a trip does not stand.
            return self.charged_cents > 0 and not self.settled
        return self.outcome == "booked"

    @property
    def empty(self) -> bool:
        """Nothing held, and money in equals money out."""
        return not (self.seats or self.nights or self.days or self.charged_cents)


def read_trips(database: Database, codes: Sequence[str] | None = None) -> dict[str, Trip]:
    """Every confirmation code the database knows, or those of ``codes`` that it knows.

    All of them at once take a kilobyte or more of memory each.
    """
    with database.snapshot() as connection:
        return _read_trips(connection, codes)


def _read_trips(connection: Connection, codes: Sequence[str] | None) -> dict[str, Trip]:
    def rows(query: Select[*tuple[Any, ...]], table: Table) -> Iterator[AnyRow]:
        if codes is not None:
            query = query.where(table.c.confirmation_code.in_(codes))
        return iter(connection.execute(query))

    trips: dict[str, Trip] = defaultdict(Trip)
    for row in rows(select(booking_requests), booking_requests):
        trips[row.confirmation_code].request = _request(row.request)
        trips[row.confirmation_code].outcome = row.outcome
    for row in rows(_held_seats(), seat_holds):
        route = (row.origin, row.destination)
        seat = Seat(row.flight, row.seat, route, row.date, row.cabin, row.fare_cents)
        trips[row.confirmation_code].seats.append(seat)
    for row in rows(_held_nights(), room_holds):
        trips[row.confirmation_code].nights.append(Night(*_but_last(row)))
    for row in rows(_held_days(), car_holds):
        trips[row.confirmation_code].days.append(Day(*_but_last(row)))
    for row in rows(select(ledger), ledger):
        sign = 1 if row.entry == "charge" else -1
        trips[row.confirmation_code].charged_cents += sign * row.amount_cents
    for row in rows(select(settlements), settlements):
        trips[row.confirmation_code].settled.append(row.undo)
    return trips


def _request(stored: dict[str, Any]) -> TripRequest:
    passengers = [Passenger(**passenger) for passenger in stored["passengers"]]
    return TripRequest(**{**stored, "passengers": passengers})


def _but_last(row: AnyRow) -> tuple[Any, ...]:
    return tuple(row)[:-1]


def _held_seats() -> Select[*tuple[Any, ...]]:
    # Outer joins, here and below: what hangs in the air is held all the same, at no price.
    held = seat_holds.outerjoin(flights, flights.c.id == seat_holds.c.flight)
    held = held.outerjoin(routes, routes.c.number == flights.c.route)
    fare = (fares.c.route == routes.c.number) & (fares.c.cabin == seat_holds.c.cabin)
    columns = select(seat_holds, routes.c.origin, routes.c.destination, flights.c.date)
    price = func.coalesce(fares.c.fare_cents, 0).label("fare_cents")
    return columns.add_columns(price).select_from(held.outerjoin(fares, fare))


def _held_nights() -> Select[*tuple[Any, ...]]:
    held = room_holds.outerjoin(rooms, rooms.c.id == room_holds.c.room)
    return select(
        room_holds.c.room,
        room_holds.c.night,
        hotels.c.airport,
        rooms.c.room_type,
        func.coalesce(rooms.c.nightly_cents, 0),
        room_holds.c.confirmation_code,
    ).select_from(held.outerjoin(hotels, hotels.c.id == rooms.c.hotel))


def _held_days() -> Select[*tuple[Any, ...]]:
    return select(
        car_holds.c.car,
        car_holds.c.day,
        cars.c.airport,
        cars.c.car_type,
        func.coalesce(cars.c.daily_cents, 0),
        car_holds.c.confirmation_code,
    ).select_from(car_holds.outerjoin(cars, cars.c.id == car_holds.c.car))
