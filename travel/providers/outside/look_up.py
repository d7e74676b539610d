"""A company without keys that can find a reservation by our reference.

Each request makes a reservation of its own, so look before you send. That is not enough: a
request that is still under way cannot be seen. So one request is under way at a time, and
an undo looks once more when nothing can arrive any more.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Protocol

from travel.errors import Rejected, Unavailable
from travel.models import HotelBooking, TripRequest
from travel.providers.outside import IN_FLIGHT, Clock, Order, Reservation, order_of, orders
from travel.store.database import Database


class Company(Protocol):
    """What the company offers."""

    def reserve(self, order: Order) -> Reservation:
        """Make a reservation, each time. Raises ``Rejected``."""
        ...

    def find(self, reference: str) -> list[Reservation]:
        """The reservations made under our reference and not cancelled, oldest first."""
        ...

    def cancel(self, number: str) -> None:
        """Release a reservation; one that is released already is fine."""
        ...


class HotelsWithLookUp:
    """Books and cancels rooms there."""

    def __init__(self, database: Database, company: Company, clock: Clock = time.time) -> None:
        self._database, self._company, self._clock = database, company, clock

    def book(self, key: str, request: TripRequest) -> HotelBooking:
        """Reserve a room, once. Raises ``Rejected`` for a definite no."""
        order = order_of(key, request)
        _, known = orders.prepare(self._database, order)
        if known:
            return known
        # The clock before the look: what left IN_FLIGHT ago has arrived when we look.
        now = self._clock()
        if found := self._company.find(key):
            return orders.answered(self._database, order, found[0])
        if not orders.leave(self._database, order, now, rest=IN_FLIGHT):
            raise Unavailable(f"A request for {key} may be under way.", IN_FLIGHT)
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
        now = self._clock()
        for reservation in self._company.find(key):
            self._company.cancel(reservation.number)
        quiet_from = record.last_sent + IN_FLIGHT.total_seconds()
        if record.number is None and now < quiet_from:
            wait = timedelta(seconds=quiet_from - now)
            raise Unavailable(f"A request for {key} may still arrive.", wait)
