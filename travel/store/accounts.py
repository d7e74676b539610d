"""What the books say of each trip, one trip after the other, in constant memory.

The database adds up what belongs to a trip, each kind by itself and in the order of
the confirmation codes; here the kinds are merged. So of a million trips there is one
in memory, and the database sends five rows a trip instead of ten or a hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any, Protocol

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Table,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    select,
)

from travel.errors import InvalidInput
from travel.store.database import (
    AnyRow,
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

SEATS, NIGHTS, DAYS, MONEY = "seats", "room nights", "car days", "money"

UNDOES = {
    "cancel_flight": SEATS,
    "cancel_hotel": NIGHTS,
    "cancel_car": DAYS,
    "refund_payment": MONEY,
}
"""What each undo of a trip takes out of the books."""

FIELD, RECORD = "\x1f", "\x1e"
"""What stands between the fields of a thing held, and between the things: no text has them."""

SIGNED_CENTS = case(
    (ledger.c.entry == "charge", ledger.c.amount_cents), else_=-ledger.c.amount_cents
)
"""What an entry of the ledger adds to what the customer has paid."""

ROWS_AT_ONCE = 5_000


class Held(Protocol):
    """Things of one kind: how many, what they cost in all, and their records in one text.

    A row of the database as it came, for most of what is held is as it should be.
    """

    number: int
    cents: int
    written: str | None


class Settlement(Protocol):
    """An undo that a person settled, and what it left in the books at that time, in cents."""

    undo: str
    amount_cents: int


class Account:
    """Everything the books say of one confirmation code; ``request`` is JSON text."""

    __slots__ = ("charged_cents", "code", "held", "outcome", "request", "settled")

    def __init__(self, code: str) -> None:
        self.code = code
        self.request: str | None = None
        self.outcome: str | None = None
        self.held: dict[str, Held] = {}
        self.charged_cents = 0
        self.settled: tuple[Settlement, ...] = ()

    @property
    def completed(self) -> bool:
        """Whether the customer has, or believes to have, a trip."""
        if self.outcome is None:
            # What is settled by hand was to be undone: such a trip does not stand.
            return self.charged_cents > 0 and not self.settled
        return self.outcome == "booked"


def record(*fields: str | None) -> str:
    """How a thing held is written here: two are the same if and only if this is."""
    # The sign before each tells a missing one from an empty one.
    text = FIELD.join("" if value is None else "=" + value for value in fields)
    if RECORD in text or text.count(FIELD) != len(fields) - 1:
        return repr(fields)
    return text


def accounts(connection: Connection) -> Iterator[Account]:
    """The account of every confirmation code that stands anywhere in the books, in their order."""
    put_into = [put for _, put in _statements(connection.dialect.name)]
    streams = [_rows(connection, query) for query, _ in _statements(connection.dialect.name)]
    heads = [next(rows, None) for rows in streams]
    codes = [head[0] for head in heads if head is not None]
    before = ""
    while codes:
        account = Account(min(codes))
        if account.code < before:
            # A merge of what is sorted otherwise would find half a trip twice.
            raise InvalidInput(
                "The database does not sort text by code point; expected one in UTF-8."
            )
        before = account.code
        codes = []
        for place, head in enumerate(heads):
            while head is not None and head[0] == before:
                put_into[place](account, head)
                head = heads[place] = next(streams[place], None)
            if head is not None:
                codes.append(head[0])
        yield account


def records(connection: Connection, kind: str, code: str, held: Held) -> list[str]:
    """The ``record`` of each thing held."""
    text, signs = held.written or "", len(THINGS[kind].fields) - 1
    found = text.split(RECORD)
    if len(found) == held.number and text.count(FIELD) == held.number * signs:
        return found
    # What is held has one of our two signs in it, or lacks a field that it must have.
    query = select(*THINGS[kind].fields).select_from(THINGS[kind].source)
    rows = connection.execute(query.where(THINGS[kind].holds.c.confirmation_code == code))
    return [record(*row) for row in rows]


def _rows(connection: Connection, query: Select[Any]) -> Iterator[AnyRow]:
    return chain.from_iterable(connection.execute(query).partitions())


_Put = Callable[[Account, AnyRow], None]


@cache
def _statements(dialect: str) -> list[tuple[Select[Any], _Put]]:
    """Each kind's statement, and what to do with its rows."""

    def in_order(query: Select[Any], code: ColumnElement[str]) -> Select[Any]:
        # As Python compares text. SQLite does so by itself.
        order = code.collate("C") if dialect == "postgresql" else code
        return query.order_by(order).execution_options(yield_per=ROWS_AT_ONCE)

    def held(things: _Things) -> Select[Any]:
        code = things.holds.c.confirmation_code
        query = select(
            code,
            func.count().label("number"),
            func.sum(func.coalesce(things.cents, 0)).label("cents"),
            func.aggregate_strings(_written(things.fields), RECORD).label("written"),
        )
        return in_order(query.select_from(things.source).group_by(code), code)

    code = booking_requests.c.confirmation_code
    requests = select(code, cast(booking_requests.c.request, Text), booking_requests.c.outcome)
    charged = select(ledger.c.confirmation_code, func.sum(SIGNED_CENTS))
    charged = charged.group_by(ledger.c.confirmation_code)
    settled = select(
        settlements.c.confirmation_code, settlements.c.undo, settlements.c.amount_cents
    )
    return [
        (in_order(requests, code), _put_request),
        *((held(things), _put_held(kind)) for kind, things in THINGS.items()),
        (in_order(charged, ledger.c.confirmation_code), _put_charged),
        (in_order(settled, settlements.c.confirmation_code), _put_settled),
    ]


def _put_request(account: Account, row: AnyRow) -> None:
    account.request, account.outcome = row[1], row[2]


def _put_held(kind: str) -> _Put:
    def put(account: Account, row: AnyRow) -> None:
        account.held[kind] = row

    return put


def _put_charged(account: Account, row: AnyRow) -> None:
    account.charged_cents = int(row[1])


def _put_settled(account: Account, row: AnyRow) -> None:
    account.settled += (row,)


# --- what is held, and what it should be ----------------------------------------


@dataclass(frozen=True)
class _Things:
    """A kind of things held: where they stand, what identifies one, and what it costs."""

    holds: Table
    source: FromClause
    fields: tuple[ColumnElement[Any], ...]
    cents: ColumnElement[int]


def _seats() -> _Things:
    # Outer joins, here and below: what hangs in the air is held all the same, at no price.
    held = seat_holds.outerjoin(flights, flights.c.id == seat_holds.c.flight)
    held = held.outerjoin(routes, routes.c.number == flights.c.route)
    fare = (fares.c.route == routes.c.number) & (fares.c.cabin == seat_holds.c.cabin)
    what = (routes.c.origin, routes.c.destination, flights.c.date, seat_holds.c.cabin)
    return _Things(seat_holds, held.outerjoin(fares, fare), what, fares.c.fare_cents)


def _nights() -> _Things:
    held = room_holds.outerjoin(rooms, rooms.c.id == room_holds.c.room)
    held = held.outerjoin(hotels, hotels.c.id == rooms.c.hotel)
    what = (hotels.c.airport, rooms.c.room_type, room_holds.c.night)
    return _Things(room_holds, held, what, rooms.c.nightly_cents)


def _days() -> _Things:
    held = car_holds.outerjoin(cars, cars.c.id == car_holds.c.car)
    what = (cars.c.airport, cars.c.car_type, car_holds.c.day)
    return _Things(car_holds, held, what, cars.c.daily_cents)


THINGS = {SEATS: _seats(), NIGHTS: _nights(), DAYS: _days()}


def _written(fields: Sequence[ColumnElement[Any]]) -> ColumnElement[str]:
    """``record``, in SQL."""
    first, *others = (func.coalesce(literal("=") + value, literal("")) for value in fields)
    text: ColumnElement[str] = first
    for value in others:
        text = text + literal(FIELD) + value
    return text


def left_by(connection: Connection, code: str, undo: str) -> int:
    """What ``undo`` would take out of the books now, in cents; 0 for an undo of something else."""
    kind = UNDOES.get(undo)
    if kind is None:
        return 0
    if kind == MONEY:
        query, of = select(func.sum(SIGNED_CENTS)), ledger
    else:
        things = THINGS[kind]
        query = select(func.sum(func.coalesce(things.cents, 0))).select_from(things.source)
        of = things.holds
    return int(connection.execute(query.where(of.c.confirmation_code == code)).scalar() or 0)


# --- held twice -----------------------------------------------------------------


def held_twice(connection: Connection) -> Iterator[tuple[str, str, str, int]]:
    """Kind, confirmation code, thing and how often it is held, of what is held more than once.

    The primary keys forbid it; an audit does not take their word for it.
    """
    found = connection.execute(_ANY_TWICE).one()
    for (kind, who), any_twice in zip(_WHO_TWICE.items(), found, strict=True):
        if any_twice:
            for code, *thing, times in connection.execute(who):
                yield kind, code, str(tuple(thing)), times


def _repeated(holds: Table, thing: Sequence[str]) -> Select[Any]:
    columns, times = [holds.c[name] for name in thing], func.count().label("times")
    return select(*columns, times).group_by(*columns).having(times > 1)


def _who_twice(holds: Table, thing: Sequence[str]) -> Select[Any]:
    columns, again = [holds.c[name] for name in thing], _repeated(holds, thing).subquery()
    same = and_(*(holds.c[name] == again.c[name] for name in thing))
    who = select(holds.c.confirmation_code, *columns, again.c.times).join(again, same)
    who = who.order_by(holds.c.confirmation_code, *columns)
    return who.execution_options(yield_per=ROWS_AT_ONCE)


_KEYS = {
    SEATS: (seat_holds, ("flight", "seat")),
    NIGHTS: (room_holds, ("room", "night")),
    DAYS: (car_holds, ("car", "day")),
}
_ANY_TWICE = select(*(_repeated(*key).exists() for key in _KEYS.values()))
_WHO_TWICE = {kind: _who_twice(*key) for kind, key in _KEYS.items()}
