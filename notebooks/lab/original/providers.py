"""The way to the providers, for a script without Temporal.

They are the same providers on the same kind of database as in ``travel/``, and the
same failure model stands in between.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

from travel.errors import Unavailable
from travel.faults import Fault, FaultModel
from travel.models import ConfirmationEmail, PaymentRequest, TripRequest
from travel.providers import cars, email, flights, hotels, payments
from travel.store import booking_requests
from travel.store.booking_requests import Outcome
from travel.store.database import Database

KILL_AT = "LAB_KILL_AT"
"""An environment variable: the call in which this process dies, as by ``kill -9``."""

CANCEL = {"flight": flights.cancel, "hotel": hotels.cancel, "car": cars.cancel}


class Providers:
    """Every call gets a key, and takes the way through the failure model."""

    def __init__(self, database: Database, faults: FaultModel) -> None:
        self._database = database
        self._faults = faults
        self._calls: Counter[tuple[str, str]] = Counter()
        self._late: list[Callable[[], Any]] = []

    async def write_down(self, trip: TripRequest) -> None:
        """Our own record of who asked for what."""
        booking_requests.store(self._database, trip)

    async def tell(self, trip: TripRequest, outcome: Outcome) -> None:
        """Tell the customer how it ended."""
        booking_requests.record_outcome(self._database, trip, outcome)

    async def book_flight(self, key: str, trip: TripRequest) -> int:
        """Return the price in cents; so do the two below."""
        return self._call("book_flight", trip, flights.book, key, trip).price_cents

    async def book_hotel(self, key: str, trip: TripRequest) -> int:
        return self._call("book_hotel", trip, hotels.book, key, trip).price_cents

    async def book_car(self, key: str, trip: TripRequest) -> int:
        return self._call("book_car", trip, cars.book, key, trip).price_cents

    async def charge(self, key: str, trip: TripRequest, price_cents: int) -> int:
        bill = PaymentRequest(trip.confirmation_code, trip.customer, price_cents)
        return self._call("accept_payment", trip, payments.charge, key, bill).amount_cents

    async def send_email(self, key: str, trip: TripRequest) -> int:
        text = ConfirmationEmail(trip.confirmation_code, trip.customer, "Your trip is booked.")
        self._call("send_confirmation_email", trip, email.send, key, text)
        return 0

    async def cancel(self, what: str, key: str, trip: TripRequest) -> None:
        """Cancel the flight, the hotel or the car."""
        self._call(f"cancel_{what}", trip, CANCEL[what], key, trip.confirmation_code)

    async def refund(self, key: str, trip: TripRequest) -> None:
        self._call("refund_payment", trip, payments.refund, key, trip.confirmation_code)

    def settle(self) -> None:
        """What was under way for too long arrives now."""
        for late in self._late:
            late()

    def _call(self, step: str, trip: TripRequest, provider: Any, *arguments: Any) -> Any:
        if os.environ.get(KILL_AT) == step:
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        self._calls[step, trip.confirmation_code] += 1
        attempt = self._calls[step, trip.confirmation_code]
        match self._faults.draw(step, trip.confirmation_code, attempt):
            case None:
                return provider(self._database, *arguments)
            case Fault.LATE_COMMIT:
                self._late.append(lambda: provider(self._database, *arguments))
                raise Unavailable(f"{step}: no reply in time.")
            case Fault.LOST_ACKNOWLEDGEMENT | Fault.NO_REPLY:
                provider(self._database, *arguments)
                raise Unavailable(f"{step}: connection lost before the reply.")
        raise Unavailable(f"{step}: no connection.")
