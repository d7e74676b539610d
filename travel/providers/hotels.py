"""The hotels: one room for every night of the stay."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import Connection, delete, insert, select

from travel.errors import Rejected
from travel.models import HotelBooking, TripRequest, stay_dates
from travel.providers.once import do_once, undo_once
from travel.store.database import AnyRow, Database, hotels, room_holds, rooms


class Hotels(Protocol):
    """What the two Activities need of a hotel company: see ``travel.providers.outside``."""

    def book(self, key: str, request: TripRequest) -> HotelBooking:
        """Hold a room, once, however often it is called. Raises ``Rejected``."""
        ...

    def cancel(self, key: str, confirmation_code: str) -> None:
        """Release the room, or see that it will never be booked under ``key``."""
        ...


class OwnHotels:
    """Ours: they know the key for ever."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def book(self, key: str, request: TripRequest) -> HotelBooking:
        """See ``book`` below."""
        return book(self._database, key, request)

    def cancel(self, key: str, confirmation_code: str) -> None:
        """See ``cancel`` below."""
        cancel(self._database, key, confirmation_code)


def book(database: Database, key: str, request: TripRequest) -> HotelBooking:
    """Hold one room of the type asked for, at the destination, for each night.

    Raises ``Rejected`` if no such room is free for the whole stay.
    """
    return do_once(database, key, HotelBooking, lambda connection: hold_room(connection, request))


def cancel(database: Database, key: str, confirmation_code: str) -> None:
    """Release the room, or see that it will never be booked under ``key``."""
    release = delete(room_holds).where(room_holds.c.confirmation_code == confirmation_code)
    undo_once(database, key, lambda connection: connection.execute(release))


def hold_room(connection: Connection, request: TripRequest) -> HotelBooking:
    """Hold a room, without asking whether it was done before. Raises ``Rejected``."""
    nights = stay_dates(request)
    room = _free_room(connection, request, nights)
    connection.execute(
        insert(room_holds),
        [
            {"room": room.id, "night": night, "confirmation_code": request.confirmation_code}
            for night in nights
        ],
    )
    return HotelBooking(room.name, room.number, nights, room.nightly_cents * len(nights))


def _free_room(connection: Connection, request: TripRequest, nights: list[str]) -> AnyRow:
    """The first room free on every night, its hotels locked against other bookings."""
    at_destination = hotels.c.airport == request.destination
    connection.execute(select(hotels.c.id).where(at_destination).with_for_update())
    taken = select(room_holds.c.room).where(room_holds.c.night.in_(nights))
    query = (
        select(rooms.c.id, rooms.c.number, rooms.c.nightly_cents, hotels.c.name)
        .join(hotels, hotels.c.id == rooms.c.hotel)
        .where(at_destination, rooms.c.room_type == request.room_type)
        .where(rooms.c.id.not_in(taken))
        .order_by(rooms.c.id)
        .limit(1)
    )
    room = connection.execute(query).one_or_none()
    if room is None:
        raise Rejected(
            f"No available {request.room_type} rooms in {request.destination} "
            f"from {request.departure_date} to {request.return_date}."
        )
    return room
