"""A company that takes an order, and calls back days later with its answer.

The callback writes into an inbox, and the Activity looks there: it fails with "come back
later" until the answer is in. (Completing the Activity from the callback would be sooner,
and would lose the answer for ever if the callback came while nobody listened.)

The company knows no keys: an order whose receipt was lost is sent again, and both may be
answered. One reservation stands, every other is cancelled, whenever its callback comes:
the callback meets a tombstone, like the late commit of a booking.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Protocol

from travel.errors import Rejected, Unavailable
from travel.models import HotelBooking, TripRequest
from travel.providers.outside import IN_FLIGHT, Clock, Order, order_of, orders
from travel.store.database import Database

REPLY_WITHIN = timedelta(days=3)
"""The company's promise: an order without an answer by then came to nothing."""

LOOK_AGAIN = timedelta(hours=4)
"""It takes days: a few looks a day are enough."""


class Company(Protocol):
    """What the company offers."""

    def request(self, order: Order) -> None:
        """Take the order. The answer comes to ``receive``, once or more often."""
        ...

    def cancel(self, number: str) -> None:
        """Release a reservation; one that is released already is fine."""
        ...


class HotelsWithCallback:
    """Books and cancels rooms there."""

    def __init__(self, database: Database, company: Company, clock: Clock = time.time) -> None:
        self._database, self._company, self._clock = database, company, clock

    def book(self, key: str, request: TripRequest) -> HotelBooking:
        """The room, once the answer is in; ``Unavailable`` with ``retry_after`` until then.

        Raises ``Rejected`` for a definite no.
        """
        order = order_of(key, request)
        record, known = orders.prepare(self._database, order)
        if known:
            self._release_surplus(key)
            return known
        now = self._clock()
        arrived = orders.replies(self._database, key)
        if held := next((reply.reservation for reply in arrived if reply.reservation), None):
            booking = orders.answered(self._database, order, held)
            self._release_surplus(key)
            return booking
        if arrived and not _still_open(record, arrived, now):
            rejection = Rejected(arrived[0].reason)
            orders.refused(self._database, order, rejection)
            raise rejection
        if not record.acknowledged and orders.leave(self._database, order, now, rest=IN_FLIGHT):
            self._company.request(order)
            orders.acknowledged(self._database, order)
        raise Unavailable(f"No answer to {key} yet.", LOOK_AGAIN)

    def cancel(self, key: str, confirmation_code: str) -> None:
        """Release the room; ``Unavailable`` while an answer may still come."""
        record = orders.undo(self._database, key)
        if record is None:
            return
        now = self._clock()
        arrived = orders.replies(self._database, key)
        self._release_surplus(key)
        if _still_open(record, arrived, now):
            raise Unavailable(f"{key} is not answered yet: a room may be held.", LOOK_AGAIN)

    def receive(self, reference: str, reply: orders.Reply) -> None:
        """What the callback's handler calls. An error asks the company to deliver it again."""
        orders.receive(self._database, reference, reply)
        self._release_surplus(reference)

    def _release_surplus(self, key: str) -> None:
        """Cancel every reservation but the one that stands, once that is decided."""
        stands = orders.kept_number(self._database, key)
        if stands is None:
            return
        for reply in orders.replies(self._database, key):
            if reply.reservation and reply.reservation.number != stands:
                self._company.cancel(reply.reservation.number)


def _still_open(record: orders.Record, arrived: list[orders.Reply], now: float) -> bool:
    """Whether an answer may still come."""
    unanswered = record.sent > len(arrived)
    return unanswered and now < record.last_sent + REPLY_WITHIN.total_seconds()
