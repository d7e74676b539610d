"""DELIBERATELY WRONG: each foreign hotel company used as its manual invites you to.

Compare the adapters in ``travel/providers/outside``.
"""

from __future__ import annotations

from typing import Any

from travel.errors import Rejected, Unavailable
from travel.models import HotelBooking, TripRequest
from travel.providers.outside import Clock, order_of, orders
from travel.store.database import Database


class _Naive:
    def __init__(self, database: Database, company: Any, clock: Clock) -> None:
        self._database, self._company, self._clock = database, company, clock
        self._orders: dict[str, Any] = {}


class KeyUsedForEver(_Naive):
    """Trusts the key however old it is: after a day it is a new order."""

    def book(self, key: str, request: TripRequest) -> HotelBooking:
        self._orders[key] = order_of(key, request)
        return self._company.reserve(key, self._orders[key]).booking

    def cancel(self, key: str, confirmation_code: str) -> None:
        if key not in self._orders:
            return
        try:
            number = self._company.reserve(key, self._orders[key]).number
        except Rejected:
            return
        self._company.cancel(number)


class LookedUpOnce(_Naive):
    """Looks before it sends, and before it cancels; does not see what is under way."""

    def book(self, key: str, request: TripRequest) -> HotelBooking:
        found = self._company.find(key)
        return (found[0] if found else self._company.reserve(order_of(key, request))).booking

    def cancel(self, key: str, confirmation_code: str) -> None:
        for reservation in self._company.find(key):
            self._company.cancel(reservation.number)


class OrderedAtEachAttempt(_Naive):
    """Orders until an answer is there; the undo cancels what was answered so far."""

    def book(self, key: str, request: TripRequest) -> HotelBooking:
        for reply in orders.replies(self._database, key):
            if reply.reservation:
                return reply.reservation.booking
            raise Rejected(reply.reason)
        self._company.request(order_of(key, request))
        raise Unavailable("not answered yet")

    def cancel(self, key: str, confirmation_code: str) -> None:
        for reply in orders.replies(self._database, key):
            if reply.reservation:
                self._company.cancel(reply.reservation.number)

    def receive(self, reference: str, reply: orders.Reply) -> None:
        orders.receive(self._database, reference, reply)


class BookedAtEachAttempt(_Naive):
    """Books until a reply comes through; the undo cancels the number in that reply."""

    def book(self, key: str, request: TripRequest) -> HotelBooking:
        reservation = self._company.reserve(order_of(key, request))
        self._orders[key] = reservation.number
        return reservation.booking

    def cancel(self, key: str, confirmation_code: str) -> None:
        if key in self._orders:
            self._company.cancel(self._orders.pop(key))
