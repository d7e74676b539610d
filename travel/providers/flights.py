"""The airline: a seat on the day's flight for each passenger."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, delete, insert, select

from travel.errors import Rejected
from travel.models import FlightBooking, TripRequest
from travel.providers.once import do_once, undo_once
from travel.store.database import AnyRow, Database, fares, flights, routes, seat_holds


def book(database: Database, key: str, request: TripRequest) -> FlightBooking:
    """Hold one seat a passenger, each in the passenger's own cabin.

    Raises ``Rejected`` for an unknown route, a day without a flight or a full cabin.
    """
    return do_once(database, key, FlightBooking, lambda connection: _book(connection, request))


def cancel(database: Database, key: str, confirmation_code: str) -> None:
    """Release the seats, or see that they will never be booked under ``key``."""
    release = delete(seat_holds).where(seat_holds.c.confirmation_code == confirmation_code)
    undo_once(database, key, lambda connection: connection.execute(release))


def _book(connection: Connection, request: TripRequest) -> FlightBooking:
    flight = _lock_flight(connection, request)
    seats, price_cents = [], 0
    for passenger in request.passengers:
        fare = _fare(connection, flight.route, passenger.cabin)
        seat = next(_free_seats(connection, flight.id, fare), None)
        if seat is None:
            raise Rejected(
                f"No {passenger.cabin} seat left on {flight.route} on {request.departure_date}."
            )
        connection.execute(
            insert(seat_holds).values(
                flight=flight.id,
                seat=seat,
                cabin=passenger.cabin,
                confirmation_code=request.confirmation_code,
            )
        )
        seats.append(seat)
        price_cents += fare.fare_cents
    return FlightBooking(flight.route, request.departure_date, seats, price_cents)


def _lock_flight(connection: Connection, request: TripRequest) -> AnyRow:
    """The flight, locked so that two bookings cannot both see the same free seat."""
    query = (
        select(flights.c.id, flights.c.route)
        .join(routes, routes.c.number == flights.c.route)
        .where(routes.c.origin == request.origin, routes.c.destination == request.destination)
        .where(flights.c.date == request.departure_date)
        .with_for_update(of=flights)
    )
    flight = connection.execute(query).one_or_none()
    if flight is None:
        raise Rejected(
            f"No direct flight from {request.origin} to {request.destination} "
            f"on {request.departure_date}."
        )
    return flight


def _fare(connection: Connection, route: str, cabin: str) -> AnyRow:
    query = select(fares).where(fares.c.route == route, fares.c.cabin == cabin)
    fare = connection.execute(query).one_or_none()
    if fare is None:
        raise Rejected(f"Flight {route} has no {cabin} cabin.")
    return fare


def _free_seats(connection: Connection, flight: int, fare: AnyRow) -> Iterator[str]:
    query = select(seat_holds.c.seat).where(seat_holds.c.flight == flight)
    taken = set(connection.execute(query).scalars())
    labels = (f"{fare.cabin[0].upper()}{number:02d}" for number in range(1, fare.seats + 1))
    return (seat for seat in labels if seat not in taken)
