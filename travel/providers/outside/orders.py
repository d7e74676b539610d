"""Our own record of what we asked others for, written before we ask: a write-ahead log.

It stands in for what a company does not remember: that we asked, what it answered, and
that the trip was undone (the tombstone). Each function is one transaction, and a row is
locked while it changes, so that two attempts cannot both believe to be the first.

Write-ahead logging is how databases survive a crash (Mohan and others, "ARIES", 1992).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, select, update

from travel.errors import Rejected
from travel.models import HotelBooking
from travel.providers.outside import Order, Reservation
from travel.store.database import AnyRow, Database, insert_new, order_replies, orders

NEVER = timedelta.max


@dataclass(frozen=True)
class Record:
    """What we know of one order.

    ``sent`` counts the requests that left, or were about to when their process died;
    ``first_sent`` and ``last_sent`` are seconds since 1970. ``number`` is the company's.
    """

    order: Order
    sent: int
    first_sent: float
    last_sent: float
    acknowledged: bool
    number: str | None


def prepare(database: Database, order: Order) -> tuple[Record, HotelBooking | None]:
    """Write the order down, or find it, with the company's answer if we know it.

    Raises ``Rejected`` if the company refused it, or if it was undone.
    """
    key = order.reference
    with database.transaction() as connection:
        insert_new(connection, orders, key=key, state="open", request=asdict(order))
        row = _locked(connection, key)
    if row.state == "refused":
        raise Rejected(row.answer["reason"])
    if row.state == "undone":
        raise Rejected(f"{key} was undone, so it can no longer be done.")
    return _record(row), HotelBooking(**row.answer) if row.state == "done" else None


def leave(
    database: Database,
    order: Order,
    now: float,
    *,
    rest: timedelta = timedelta(0),
    within: timedelta = NEVER,
) -> bool:
    """Write down that a request leaves now; False, and nothing is written, if it must not.

    It must not once the order is answered or undone, earlier than ``rest`` after the request
    before it, or later than ``within`` after the first.
    """
    with database.transaction() as connection:
        row = _locked(connection, order.reference)
        if row.state != "open":
            return False
        if row.sent and now - row.last_sent < rest.total_seconds():
            return False
        if row.sent and now - row.first_sent >= within.total_seconds():
            return False
        first = row.first_sent if row.sent else now
        counted = {"sent": row.sent + 1, "first_sent": first, "last_sent": now}
        _change(connection, order.reference, acknowledged=0, **counted)
        return True


def acknowledged(database: Database, order: Order) -> None:
    """The company has the order. Its answer comes later."""
    with database.transaction() as connection:
        _change(connection, order.reference, acknowledged=1)


def answered(database: Database, order: Order, reservation: Reservation) -> HotelBooking:
    """Keep the company's answer, and return it. Raises ``Rejected`` if undone meanwhile."""
    key = order.reference
    with database.transaction() as connection:
        undone = _locked(connection, key).state == "undone"
        # The number is kept in any case: the undo comes again until it has cancelled it.
        _change(connection, key, number=reservation.number)
        if not undone:
            _change(connection, key, state="done", answer=asdict(reservation.booking))
    if undone:
        raise Rejected(f"{key} was undone meanwhile.")
    return reservation.booking


def refused(database: Database, order: Order, rejection: Rejected) -> None:
    """Keep the company's refusal: the same order gets the same answer from now on."""
    with database.transaction() as connection:
        if _locked(connection, order.reference).state == "open":
            reason = {"reason": str(rejection)}
            _change(connection, order.reference, state="refused", answer=reason)


def undo(database: Database, key: str) -> Record | None:
    """Leave a tombstone: no attempt sends the order any more.

    Returns None if there is nothing to undo: it was never sent, or refused.
    """
    with database.transaction() as connection:
        insert_new(connection, orders, key=key, state="undone")
        row = _locked(connection, key)
        if row.state == "refused":
            return None
        _change(connection, key, state="undone")
    return _record(row) if row.sent else None


def claim(database: Database, order: Order, numbers: Sequence[str]) -> str | None:
    """The number of this order's reservation: known, or the first of these that is free."""
    with database.transaction() as connection:
        known = _locked(connection, order.reference).number
        taken = select(orders.c.number).where(orders.c.number.in_(numbers))
        others = set(connection.execute(taken).scalars())
        number = known or next((number for number in numbers if number not in others), None)
        _change(connection, order.reference, number=number)
    return number


# --- replies that come by callback ------------------------------------------------


@dataclass(frozen=True)
class Reply:
    """A callback to an order: a reservation, or none and the ``reason``.

    ``id`` is the company's, the same however often the callback is delivered.
    """

    id: str
    reservation: Reservation | None
    reason: str = ""


def receive(database: Database, reference: str, reply: Reply) -> None:
    """Put a reply into the inbox, once, however often it is delivered."""
    held = reply.reservation
    answer = asdict(held.booking) if held else {"reason": reply.reason}
    row = {"id": reply.id, "key": reference, "answer": answer}
    with database.transaction() as connection:
        insert_new(connection, order_replies, number=held and held.number, **row)


def replies(database: Database, reference: str) -> list[Reply]:
    """The replies in the inbox, in the order of their ids."""
    query = select(order_replies).where(order_replies.c.key == reference)
    with database.snapshot() as connection:
        rows = connection.execute(query.order_by(order_replies.c.id)).all()
    return [_reply(row) for row in rows]


def kept_number(database: Database, reference: str) -> str | None:
    """The number of the reservation that stands, None while nothing is decided, "" if none."""
    query = select(orders.c.state, orders.c.number).where(orders.c.key == reference)
    with database.snapshot() as connection:
        row = connection.execute(query).one_or_none()
    if row is None or row.state == "open":
        return None
    return row.number if row.state == "done" else ""


# --- rows ----------------------------------------------------------------------------


def _locked(connection: Connection, key: str) -> AnyRow:
    query = select(orders).where(orders.c.key == key).with_for_update()
    return connection.execute(query).one()


def _change(connection: Connection, key: str, **values: Any) -> None:
    connection.execute(update(orders).where(orders.c.key == key).values(values))


def _record(row: AnyRow) -> Record:
    return Record(
        order=Order(**row.request) if row.request else Order(row.key, "", "", "", "", ""),
        sent=row.sent,
        first_sent=row.first_sent or 0,
        last_sent=row.last_sent or 0,
        acknowledged=bool(row.acknowledged),
        number=row.number,
    )


def _reply(row: AnyRow) -> Reply:
    if row.number is None:
        return Reply(row.id, None, row.answer["reason"])
    return Reply(row.id, Reservation(row.number, HotelBooking(**row.answer)))
