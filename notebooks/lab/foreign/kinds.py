"""The four kinds of company, each with the adapter that is safe and the use that is not."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from temporalio import activity

from lab.designs.naive_hotels import (
    BookedAtEachAttempt,
    KeyUsedForEver,
    LookedUpOnce,
    OrderedAtEachAttempt,
)
from lab.foreign.companies import (
    BareCompany,
    CallbackCompany,
    Company,
    KeyCompany,
    LookUpCompany,
)
from travel.models import HotelBooking, TripRequest
from travel.providers.hotels import Hotels, OwnHotels
from travel.providers.outside.callback import HotelsWithCallback
from travel.providers.outside.expiring_keys import HotelsWithExpiringKeys
from travel.providers.outside.look_up import HotelsWithLookUp
from travel.providers.outside.write_ahead import HotelsWithNothing
from travel.store.database import Database


@dataclass(frozen=True)
class Kind:
    """A company, its adapter and its naive use; the two are made of the same three things."""

    name: str
    company: Any
    adapter: Callable[..., Any]
    naive: Callable[..., Any] | None


KEY = Kind("a key for 24 hours", KeyCompany, HotelsWithExpiringKeys, KeyUsedForEver)
LOOK_UP = Kind("only a look-up", LookUpCompany, HotelsWithLookUp, LookedUpOnce)
CALLBACK = Kind("only a callback", CallbackCompany, HotelsWithCallback, OrderedAtEachAttempt)
NOTHING = Kind("nothing", BareCompany, HotelsWithNothing, BookedAtEachAttempt)

KINDS = (KEY, LOOK_UP, CALLBACK, NOTHING)

OWN = Kind("our own", Company, lambda database, *_: OwnHotels(database), None)
"""For comparison: keys for ever, and tombstones."""


def hotels_of(kind: Kind, use: Callable[..., Any]) -> Callable[[Database], Hotels]:
    """``hotels`` for a Worker: this company, used like that, on the time of each trip."""
    return partial(_OnTripTime, kind.company, use)


def trip_time() -> float:
    """The time of the trip whose Activity runs here: each has a virtual clock of its own."""
    if not activity.in_activity():
        return time.time()
    return activity.info().started_time.timestamp()


class _OnTripTime:
    """Lets a company's callbacks in before each call, for the trip whose call it is."""

    def __init__(self, company: Any, use: Callable[..., Any], database: Database) -> None:
        self._parts = company, use, database
        self.forget()

    def forget(self) -> None:
        """What is not in the database: a process that was started anew would not know it."""
        company, use, database = self._parts
        self.company = company(database, trip_time)
        self._used = use(database, self.company, trip_time)
        self.company.call_back = getattr(self._used, "receive", None)

    def book(self, key: str, request: TripRequest) -> HotelBooking:
        self.company.deliver(key)
        booked: HotelBooking = self._used.book(key, request)
        return booked

    def cancel(self, key: str, confirmation_code: str) -> None:
        self.company.deliver(key)
        self._used.cancel(key, confirmation_code)
