"""The car rental: one car for every day of the stay."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from travel.errors import Rejected
from travel.models import CarBooking, TripRequest, stay_dates
from travel.providers.once import do_once, undo_once
from travel.store.database import AnyRow, Database, airports, car_holds, cars


def book(database: Database, key: str, request: TripRequest) -> CarBooking:
    """Hold one car of the type asked for, at the destination, for each day.

    Raises ``Rejected`` if no such car is free for the whole stay.
    """
    return do_once(database, key, CarBooking, lambda connection: _book(connection, request))


def cancel(database: Database, key: str, confirmation_code: str) -> None:
    """Release the car, or see that it will never be booked under ``key``."""
    release = delete(car_holds).where(car_holds.c.confirmation_code == confirmation_code)
    undo_once(database, key, lambda connection: connection.execute(release))


def _book(connection: Connection, request: TripRequest) -> CarBooking:
    days = stay_dates(request)
    car = _free_car(connection, request, days)
    connection.execute(
        insert(car_holds),
        [
            {"car": car.id, "day": day, "confirmation_code": request.confirmation_code}
            for day in days
        ],
    )
    return CarBooking(car.model, car.licence_plate, days, car.daily_cents * len(days))


def _free_car(connection: Connection, request: TripRequest, days: list[str]) -> AnyRow:
    """The first car free on every day, its airport locked against other bookings."""
    airport = select(airports.c.code).where(airports.c.code == request.destination)
    connection.execute(airport.with_for_update())
    taken = select(car_holds.c.car).where(car_holds.c.day.in_(days))
    query = (
        select(cars)
        .where(cars.c.airport == request.destination, cars.c.car_type == request.car_type)
        .where(cars.c.id.not_in(taken))
        .order_by(cars.c.id)
        .limit(1)
    )
    car = connection.execute(query).one_or_none()
    if car is None:
        raise Rejected(
            f"No available {request.car_type} cars in {request.destination} "
            f"from {request.departure_date} to {request.return_date}."
        )
    return car
