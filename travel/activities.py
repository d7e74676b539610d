"""The Activities: everything that a Workflow may ask of the world outside.

They are thin on purpose. A provider does the work, ``Rejected`` and other
errors pass through, and Temporal does the retrying.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio import activity
from temporalio.exceptions import ApplicationError

from travel.errors import Unavailable
from travel.models import (
    Cancellation,
    CarBooking,
    ConfirmationEmail,
    FlightBooking,
    HotelBooking,
    PaymentReceipt,
    PaymentRequest,
    Settlement,
    TripRequest,
    idempotency_key,
)
from travel.providers import cars, email, flights, payments
from travel.providers.hotels import Hotels, OwnHotels
from travel.providers.once import leave_tombstone
from travel.store import booking_requests, settlements
from travel.store.database import Database

STEP_OF = {
    "cancel_flight": "book_flight",
    "cancel_hotel": "book_hotel",
    "cancel_car": "book_car",
    "refund_payment": "accept_payment",
}
"""The step whose key an undo uses."""


class Activities:
    """Book and undo, for each provider; every undo uses the key of its do.

    ``hotels`` is who books the rooms, our own hotels by default; ``travel.providers.outside``
    has others.
    """

    def __init__(self, database: Database, hotels: Hotels | None = None) -> None:
        self._database = database
        self._hotels = hotels or OwnHotels(database)

    @activity.defn
    def store_booking_request(self, request: TripRequest) -> None:
        booking_requests.store(self._database, request)

    @activity.defn
    def book_flight(self, request: TripRequest) -> FlightBooking:
        key = idempotency_key(request.confirmation_code, "book_flight")
        return flights.book(self._database, key, request)

    @activity.defn
    def cancel_flight(self, trip: Cancellation) -> None:
        key = idempotency_key(trip.confirmation_code, "book_flight")
        flights.cancel(self._database, key, trip.confirmation_code)

    @activity.defn
    def book_hotel(self, request: TripRequest) -> HotelBooking:
        key = idempotency_key(request.confirmation_code, "book_hotel")
        with _come_back():
            return self._hotels.book(key, request)

    @activity.defn
    def cancel_hotel(self, trip: Cancellation) -> None:
        key = idempotency_key(trip.confirmation_code, "book_hotel")
        with _come_back():
            self._hotels.cancel(key, trip.confirmation_code)

    @activity.defn
    def book_car(self, request: TripRequest) -> CarBooking:
        key = idempotency_key(request.confirmation_code, "book_car")
        return cars.book(self._database, key, request)

    @activity.defn
    def cancel_car(self, trip: Cancellation) -> None:
        key = idempotency_key(trip.confirmation_code, "book_car")
        cars.cancel(self._database, key, trip.confirmation_code)

    @activity.defn
    def accept_payment(self, payment: PaymentRequest) -> PaymentReceipt:
        key = idempotency_key(payment.confirmation_code, "accept_payment")
        return payments.charge(self._database, key, payment)

    @activity.defn
    def refund_payment(self, trip: Cancellation) -> None:
        key = idempotency_key(trip.confirmation_code, "accept_payment")
        payments.refund(self._database, key, trip.confirmation_code)

    @activity.defn
    def send_confirmation_email(self, message: ConfirmationEmail) -> None:
        key = idempotency_key(message.confirmation_code, "send_confirmation_email")
        email.send(self._database, key, message)

    @activity.defn
    def record_settlement(self, settlement: Settlement) -> None:
        code = settlement.confirmation_code
        if step := STEP_OF.get(settlement.undo):
            # First: what is still on its way must not be done after the amount was written down.
            leave_tombstone(self._database, idempotency_key(code, step))
        settlements.record(
            self._database,
            confirmation_code=code,
            undo=settlement.undo,
            settled_by=settlement.settled_by,
            reason=settlement.reason,
            settled_at=settlement.settled_at,
        )


@contextmanager
def _come_back() -> Iterator[None]:
    """Tell Temporal when to try again, where the provider says so."""
    try:
        yield
    except Unavailable as error:
        if error.retry_after is None:
            raise
        raise ApplicationError(
            str(error), type=type(error).__name__, next_retry_delay=error.retry_after
        ) from error
