"""The statement of a day: the last resort where a company offers no better way to ask.

Every company sends an account of what we reserved, once the day is over. It knows none of
our references, so a line is recognised by guest, place and dates.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from travel.errors import Unavailable
from travel.providers.outside import IN_FLIGHT, StatementLine
from travel.providers.outside.orders import Record, claim
from travel.store.database import Database

ASK_AGAIN = timedelta(hours=1)


class Statements(Protocol):
    """What every company offers."""

    def statement(self, day: str) -> list[StatementLine] | None:
        """What we reserved on that day (ISO, UTC); None while it is not out."""
        ...


def find_on_statement(database: Database, company: Statements, record: Record) -> str | None:
    """The number of the reservation that this order led to; None if it led to none.

    Two orders of the same guest for the same stay look alike on a statement; each claims
    one line. Raises ``Unavailable`` until the statements of all days in question are out.
    """
    lines: list[StatementLine] = []
    for day in _days(record):
        published = company.statement(day)
        if published is None:
            raise Unavailable(f"The statement of {day} is not out yet.", ASK_AGAIN)
        lines += published
    return claim(database, record.order, [line.number for line in lines if _fits(line, record)])


def _days(record: Record) -> list[str]:
    """The days on which a request of this order may have arrived."""
    first = _day(record.first_sent)
    last = _day(record.last_sent + IN_FLIGHT.total_seconds())
    return [(first + timedelta(n)).isoformat() for n in range((last - first).days + 1)]


def _day(seconds: float) -> date:
    return datetime.fromtimestamp(seconds, UTC).date()


def _fits(line: StatementLine, record: Record) -> bool:
    order = record.order
    return (line.guest, line.airport, line.room_type, line.arrival, line.departure) == (
        order.guest,
        order.airport,
        order.room_type,
        order.arrival,
        order.departure,
    )
