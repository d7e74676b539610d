"""A company with nothing: no key, no look-up, and each request makes a reservation.

So there is one request, ever, written down before it leaves. If its answer is lost, the
step fails: a second request might be a second room. The undo finds out from the company's
statement what it has to cancel, if anything. That takes until the next morning, and the
undo is visibly stuck until then.
"""

from __future__ import annotations

import time
from typing import Protocol

from travel.errors import Rejected, Unavailable
from travel.models import HotelBooking, TripRequest
from travel.providers.outside import Clock, Order, Reservation, order_of, orders
from travel.providers.outside.statements import Statements, find_on_statement
from travel.store.database import Database


class Company(Statements, Protocol):
    """What the company offers."""

    def reserve(self, order: Order) -> Reservation:
        """Make a reservation, each time. Raises ``Rejected``."""
        ...

    def cancel(self, number: str) -> None:
        """Release a reservation; one that is released already is fine."""
        ...


class HotelsWithNothing:
    """Books and cancels rooms there."""

    def __init__(self, database: Database, company: Company, clock: Clock = time.time) -> None:
        self._database, self._company, self._clock = database, company, clock

    def book(self, key: str, request: TripRequest) -> HotelBooking:
        """Reserve a room in one attempt. Raises ``Rejected`` for a definite no."""
        order = order_of(key, request)
        _, known = orders.prepare(self._database, order)
        if known:
            return known
        if not orders.leave(self._database, order, self._clock(), rest=orders.NEVER):
            raise Unavailable(f"{key} was sent, and its answer is not known: not sent again.")
        try:
            reservation = self._company.reserve(order)
        except Rejected as rejection:
            orders.refused(self._database, order, rejection)
            raise
        return orders.answered(self._database, order, reservation)

    def cancel(self, key: str, confirmation_code: str) -> None:
        """Release the room, or see that it will never be reserved."""
        record = orders.undo(self._database, key)
        if record is None:
            return
        number = record.number or find_on_statement(self._database, self._company, record)
        if number:
            self._company.cancel(number)
