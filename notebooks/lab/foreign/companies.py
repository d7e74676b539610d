"""Four hotel companies as they are out there: plain functions over tables of their own.

They sell the same rooms as our own hotels, so the audit sees what they hold for whom. What
they offer to their customers differs, and none of them knows a tombstone. ``travel`` never
imports this: in production each of them is a web service.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)

from lab.foreign.line import Crash
from travel.errors import Rejected, Unavailable
from travel.models import HotelBooking, TripRequest
from travel.providers.hotels import hold_room
from travel.providers.outside import Clock, Order, Reservation, StatementLine
from travel.providers.outside.orders import Reply
from travel.store.database import Database, hotels, room_holds, rooms

metadata = MetaData()
reservations = Table(
    "foreign_reservations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("order", JSON, nullable=False),
    Column("reference", String, nullable=False, index=True),
    Column("booking", JSON, nullable=False),
    Column("made", Float, nullable=False),
    Column("canceled", Integer, nullable=False, default=0),
)
keys = Table(
    "foreign_keys",
    metadata,
    Column("key", String, primary_key=True),
    Column("first_used", Float, nullable=False),
    Column("reservation", Integer),
    Column("reason", String),
)
unanswered = Table(
    "foreign_unanswered",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("order", JSON, nullable=False),
    Column("reference", String, nullable=False, index=True),
    Column("due", Float, nullable=False),
)

KEY_LIFE = timedelta(hours=24)
ANSWERS_AFTER = timedelta(days=2)


class Company:
    """What all four have in common; ``clock`` tells seconds since 1970."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        with database.transaction() as connection:
            metadata.create_all(connection)

    def cancel(self, number: str) -> None:
        """Release a reservation; one that is released already is fine."""
        row = reservations.c.id == int(number.removeprefix("R-"))
        with self._database.transaction() as connection:
            made = connection.execute(select(reservations).where(row)).one()
            if not made.canceled:
                connection.execute(update(reservations).where(row).values(canceled=1))
                _release(connection, HotelBooking(**made.booking))

    def statement(self, day: str) -> list[StatementLine] | None:
        """What was reserved on that day and still stands; None while the day is not over."""
        if datetime.fromtimestamp(self._clock(), UTC).date().isoformat() <= day:
            return None
        with self._database.snapshot() as connection:
            rows = connection.execute(select(reservations).where(reservations.c.canceled == 0))
            made = [(r, datetime.fromtimestamp(r.made, UTC).date().isoformat()) for r in rows]
        return [_line(row) for row, made_on in made if made_on == day]

    def deliver(self, reference: str = "", now: float | None = None) -> None:
        """Let what is due reach us. Only one of the companies has anything to deliver."""

    def _reserve(self, connection: Connection, order: Order) -> Reservation:
        booking = hold_room(connection, _as_trip(order))
        made = {"order": asdict(order), "reference": order.reference, "booking": asdict(booking)}
        statement = insert(reservations).values(**made, made=self._clock())
        number = connection.execute(statement.returning(reservations.c.id)).scalar_one()
        return Reservation(f"R-{number}", booking)


class KeyCompany(Company):
    """Takes an idempotency key and forgets it after 24 hours."""

    def reserve(self, key: str, order: Order) -> Reservation:
        """Reserve, or give the answer that this key got before. Raises ``Rejected``."""
        with self._database.transaction() as connection:
            known = connection.execute(select(keys).where(keys.c.key == key)).one_or_none()
            if known and self._clock() - known.first_used < KEY_LIFE.total_seconds():
                return _again(connection, known)
            connection.execute(delete(keys).where(keys.c.key == key))
            used = insert(keys).values(key=key, first_used=self._clock())
            try:
                with connection.begin_nested():
                    reservation = self._reserve(connection, order)
            except Rejected as rejection:
                connection.execute(used.values(reason=str(rejection)))
                refusal = rejection
            else:
                number = int(reservation.number.removeprefix("R-"))
                connection.execute(used.values(reservation=number))
                return reservation
        raise refusal


class BareCompany(Company):
    """Has nothing: each call is a new reservation."""

    def reserve(self, order: Order) -> Reservation:
        """Reserve. Raises ``Rejected`` if no such room is free."""
        with self._database.transaction() as connection:
            return self._reserve(connection, order)


class LookUpCompany(BareCompany):
    """Has no keys, but finds reservations by the customer's own reference."""

    def find(self, reference: str) -> list[Reservation]:
        """The reservations under this reference that stand, oldest first."""
        query = select(reservations).where(
            reservations.c.reference == reference, reservations.c.canceled == 0
        )
        with self._database.snapshot() as connection:
            rows = connection.execute(query.order_by(reservations.c.id)).all()
        return [Reservation(f"R-{row.id}", HotelBooking(**row.booking)) for row in rows]


class CallbackCompany(Company):
    """Takes orders and calls back after two days: a room, or a refusal."""

    call_back: Callable[[str, Reply], None] | None = None

    def __init__(self, database: Database, clock: Clock) -> None:
        super().__init__(database, clock)
        self._undelivered: list[tuple[str, Reply]] = []

    def request(self, order: Order) -> None:
        """Take the order. The answer goes to ``call_back``."""
        due = self._clock() + ANSWERS_AFTER.total_seconds()
        row = {"order": asdict(order), "reference": order.reference, "due": due}
        with self._database.transaction() as connection:
            connection.execute(insert(unanswered).values(row))

    def deliver(self, reference: str = "", now: float | None = None) -> None:
        """Decide on what is due, and call back. Twice: nobody promises to call only once."""
        query = select(unanswered).where(unanswered.c.due <= (now or self._clock()))
        if reference:
            query = query.where(unanswered.c.reference == reference)
        with self._database.snapshot() as connection:
            due = connection.execute(query.order_by(unanswered.c.id)).all()
        calls = [*self._undelivered, *((row.reference, self._decide(row)) for row in due)]
        self._undelivered = [call for call in calls if not self._call(*call)]

    def _call(self, reference: str, reply: Reply) -> bool:
        """Whether the callback was accepted. If not, it is sent again later."""
        assert self.call_back is not None, "whoever orders here says where to call back"
        try:
            for _ in range(2):
                self.call_back(reference, reply)
        except (Unavailable, Crash):
            return False
        return True

    def _decide(self, row: Any) -> Reply:
        with self._database.transaction() as connection:
            connection.execute(delete(unanswered).where(unanswered.c.id == row.id))
            try:
                with connection.begin_nested():
                    reservation = self._reserve(connection, Order(**row.order))
            except Rejected as rejection:
                return Reply(f"reply-{row.id}", None, str(rejection))
        return Reply(f"reply-{row.id}", reservation)


def _again(connection: Connection, known: Any) -> Reservation:
    if known.reservation is None:
        raise Rejected(known.reason)
    query = select(reservations.c.booking).where(reservations.c.id == known.reservation)
    booking = connection.execute(query).scalar_one()
    return Reservation(f"R-{known.reservation}", HotelBooking(**booking))


def _release(connection: Connection, booking: HotelBooking) -> None:
    room = (
        select(rooms.c.id)
        .join(hotels, hotels.c.id == rooms.c.hotel)
        .where(hotels.c.name == booking.hotel, rooms.c.number == booking.room_number)
        .scalar_subquery()
    )
    held = (room_holds.c.room == room) & room_holds.c.night.in_(booking.nights)
    connection.execute(delete(room_holds).where(held))


def _line(row: Any) -> StatementLine:
    order = Order(**row.order)
    return StatementLine(
        f"R-{row.id}", order.guest, order.airport, order.room_type, order.arrival, order.departure
    )


def _as_trip(order: Order) -> TripRequest:
    """The order in the words of our own hotels, whose rooms these are."""
    return TripRequest(
        confirmation_code=order.reference.rpartition("/")[0],
        customer=order.guest,
        origin="",
        destination=order.airport,
        departure_date=order.arrival,
        return_date=order.departure,
        passengers=[],
        room_type=order.room_type,
        car_type="",
    )
