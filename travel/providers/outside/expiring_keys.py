"""A company that takes an idempotency key, and forgets it after 24 hours.

Within the 24 hours it can be asked as often as you like. After that the same key is a new
order: a second room. So a key is used while it is certain to be remembered, and never
again. An undo that comes later, and still does not know what it has to cancel, reads the
company's statement.

Stripe keeps keys for at least 24 hours (https://docs.stripe.com/api/idempotent_requests).
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Protocol

from travel.errors import Rejected, Unavailable
from travel.models import HotelBooking, TripRequest
from travel.providers.outside import Clock, Order, Reservation, order_of, orders
from travel.providers.outside.statements import Statements, find_on_statement
from travel.store.database import Database

KEY_IS_SAFE = timedelta(hours=23)
"""From the first time that a key leaves us. An hour less than the company remembers it:
requests take time, and clocks differ."""


class Company(Statements, Protocol):
    """What the company offers."""

    def reserve(self, key: str, order: Order) -> Reservation:
        """Reserve, or give the answer that this key got before. Raises ``Rejected``."""
        ...

    def cancel(self, number: str) -> None:
        """Release a reservation; one that is released already is fine."""
        ...


class HotelsWithExpiringKeys:
    """Books and cancels rooms there."""

    def __init__(self, database: Database, company: Company, clock: Clock = time.time) -> None:
        self._database, self._company, self._clock = database, company, clock

    def book(self, key: str, request: TripRequest) -> HotelBooking:
        """Reserve a room, once. Raises ``Rejected`` for a definite no."""
        order = order_of(key, request)
        _, known = orders.prepare(self._database, order)
        if known:
            return known
        if not orders.leave(self._database, order, self._clock(), within=KEY_IS_SAFE):
            raise Unavailable(f"The key {key} may have been forgotten: not sent again.")
        try:
            reservation = self._company.reserve(key, order)
        except Rejected as rejection:
            orders.refused(self._database, order, rejection)
            raise
        return orders.answered(self._database, order, reservation)

    def cancel(self, key: str, confirmation_code: str) -> None:
        """Release the room, or see that it will never be reserved."""
        record = orders.undo(self._database, key)
        if record and (number := record.number or self._find_out(record)):
            self._company.cancel(number)

    def _find_out(self, record: orders.Record) -> str | None:
        """What the order got us, although its answer was lost."""
        now = self._clock()
        if now - record.first_sent >= KEY_IS_SAFE.total_seconds():
            return find_on_statement(self._database, self._company, record)
        try:
            # If no request ever arrived, this one makes the reservation that we then
            # cancel. The key sees to it that there is no other.
            reservation = self._company.reserve(record.order.reference, record.order)
        except Rejected:
            return None
        return orders.claim(self._database, record.order, [reservation.number])
