"""Hotel companies that are not ours: one adapter for each way in which they fall short.

Our own providers take an idempotency key, remember it for ever and know tombstones
(see ``travel.providers.once``). Most companies do less. An adapter makes up for it
with a record of our own (``orders``) and stands behind the same two Activities:

=====================  =====================================  ==========================
the company has        the adapter                            its undo, if a reply is lost
=====================  =====================================  ==========================
a key, for 24 hours    ``expiring_keys``: never uses a key    asks again under the key;
                       that may have been forgotten           later, reads the statement
a look-up, no key      ``look_up``: looks before it leaps,    looks, and once more when
                       one request under way at a time        nothing can be under way
a callback, days       ``callback``: an inbox for replies     waits for every reply that
later                                                         may still come
nothing                ``write_ahead``: one request, ever     reads the statement
=====================  =====================================  ==========================

**The rule for keys**: a key must be kept longer than the longest retry *and* the
longest compensation. A compensation has no longest, so a key that expires is only ever
half of an answer.

What all of them rest on, and no adapter can do without: a request is under way for a
bounded time (``IN_FLIGHT``). After that it has arrived, or never will. A client keeps that
promise with a time-out on its connection that is shorter. A process that is frozen between
its last look at the clock and the first byte sent breaks it; against that only the
company could help, with a key or a tombstone.

All times are seconds since 1970, from the ``Clock`` that an adapter is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from travel.models import HotelBooking, TripRequest

Clock = Callable[[], float]

IN_FLIGHT = timedelta(seconds=30)
"""After this long a request has arrived or never will."""


@dataclass(frozen=True)
class Order:
    """What we ask a company for.

    ``reference`` is our own name for it, the key of the call. Not every company can find it.
    """

    reference: str
    guest: str
    airport: str
    room_type: str
    arrival: str
    departure: str


@dataclass(frozen=True)
class Reservation:
    """What a company holds for us, under a ``number`` of its own."""

    number: str
    booking: HotelBooking


@dataclass(frozen=True)
class StatementLine:
    """One reservation on a company's statement of a day. It names no reference of ours."""

    number: str
    guest: str
    airport: str
    room_type: str
    arrival: str
    departure: str


def order_of(key: str, request: TripRequest) -> Order:
    """The part of a trip that is the hotel's business, under the key of its call."""
    return Order(
        reference=key,
        guest=request.customer,
        airport=request.destination,
        room_type=request.room_type,
        arrival=request.departure_date,
        departure=request.return_date,
    )
