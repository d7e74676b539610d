"""The saga: book a whole trip, or leave nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError

# The sandbox loads Workflow files anew for each run. What is imported here is
# either plain data or never run inside a Workflow, so one copy is enough.
with workflow.unsafe.imports_passed_through():
    from travel.activities import Activities
    from travel.errors import InvalidInput
    from travel.models import (
        Cancellation,
        CarBooking,
        ConfirmationEmail,
        FlightBooking,
        HotelBooking,
        PaymentReceipt,
        PaymentRequest,
        TripConfirmation,
        TripProgress,
        TripRequest,
        check_request,
    )
    from travel.temporal.search_attributes import TRIP_STATUS

from travel.saga import Saga, uninterrupted
from travel.workflows.calls import REJECTIONS, call, call_undo
from travel.workflows.metrics import SagaMetrics

Booking = tuple[FlightBooking, HotelBooking, CarBooking, PaymentReceipt]
M = TypeVar("M")
R = TypeVar("R")


# Bad input is the caller's mistake: fail the trip. By default an exception that
# is not Temporal's own only fails the Workflow Task, which is retried for ever.
@workflow.defn(failure_exception_types=[InvalidInput])
class BookTrip:
    """Flight, hotel, car, payment: all of them, or none."""

    @workflow.init
    def __init__(self, request: TripRequest) -> None:
        """The saga lives as long as the Workflow, so that a query can ask it."""
        self._request = request
        self._saga = Saga(rejections=REJECTIONS, on_change=self._publish)
        self._done: list[str] = []
        self._paid = False
        self._published = "booking"
        self._metrics = SagaMetrics()

    @workflow.run
    async def run(self, request: TripRequest) -> TripConfirmation:
        """Return the booked trip, or fail with the first failure and everything released."""
        check_request(request)
        # Stored first: what a provider holds must never belong to an unknown trip.
        await call(Activities.store_booking_request, request)
        async with self._saga:
            flight, hotel, car, payment = await self._book(request)
        # The payment was the pivot. From here on the trip stands, whatever comes.
        self._paid = True
        self._publish()
        email_sent = await uninterrupted(self._send_email(payment))
        code = request.confirmation_code
        return TripConfirmation(code, flight, hotel, car, payment, email_sent)

    @workflow.query
    def progress(self) -> TripProgress:
        """What is done, what is still to be undone, and what that waits for."""
        return TripProgress(self._status(), self._done, self._saga.to_undo, self._saga.stuck)

    async def _book(self, trip: TripRequest) -> Booking:
        flight = await self._book_flight(trip)
        hotel = await self._book_hotel(trip)
        car = await self._book_car(trip)
        price_cents = flight.price_cents + hotel.price_cents + car.price_cents
        payment = await self._accept_payment(trip, price_cents)
        return flight, hotel, car, payment

    async def _book_flight(self, trip: TripRequest) -> FlightBooking:
        summary = f"{trip.origin} to {trip.destination}, {trip.departure_date}"
        return await self._step(
            Activities.book_flight, trip, undo=Activities.cancel_flight, summary=summary
        )

    async def _book_hotel(self, trip: TripRequest) -> HotelBooking:
        summary = f"{trip.room_type} room until {trip.return_date}"
        return await self._step(
            Activities.book_hotel, trip, undo=Activities.cancel_hotel, summary=summary
        )

    async def _book_car(self, trip: TripRequest) -> CarBooking:
        summary = f"{trip.car_type} car until {trip.return_date}"
        return await self._step(
            Activities.book_car, trip, undo=Activities.cancel_car, summary=summary
        )

    async def _accept_payment(self, trip: TripRequest, price_cents: int) -> PaymentReceipt:
        bill = PaymentRequest(trip.confirmation_code, trip.customer, price_cents)
        summary = f"${price_cents / 100:,.2f}"
        return await self._step(
            Activities.accept_payment, bill, undo=Activities.refund_payment, summary=summary
        )

    async def _step(
        self,
        do: Callable[[Any, M], R],
        message: M,
        *,
        undo: Callable[[Any, Cancellation], None],
        summary: str,
    ) -> R:
        trip = Cancellation(self._request.confirmation_code)
        result = await self._saga.step(
            partial(call, do, message, summary),
            undo=partial(call_undo, undo, trip, f"undo {summary}"),
            name=undo.__name__,
        )
        self._done.append(do.__name__)
        return result

    async def _send_email(self, payment: PaymentReceipt) -> bool:
        """Tell whether it was sent; a trip that is paid does not fail for an email."""
        text = f"Your trip is booked. You paid ${payment.amount_cents / 100:,.2f}."
        trip = self._request
        email = ConfirmationEmail(trip.confirmation_code, trip.customer, text)
        try:
            await call(Activities.send_confirmation_email, email)
        except ActivityError:
            return False
        return True

    def _status(self) -> str:
        if self._saga.stuck:
            return f"waiting for {', '.join(self._saga.stuck)}"
        if self._saga.compensating:
            return "compensating" if self._saga.to_undo else "released"
        return "booked" if self._paid else "booking"

    def _publish(self) -> None:
        """Show the status in the Web UI, make trips findable by it, and keep the numbers."""
        saga = self._saga
        self._metrics.changed(
            compensating=saga.compensating, to_undo=saga.to_undo, stuck=saga.stuck
        )
        status = self._status()
        # The client sets the attribute where the server knows it. Asking the
        # Event History, not the server, keeps a replay deterministic.
        known = workflow.info().typed_search_attributes.get(TRIP_STATUS) is not None
        if known and status != self._published:
            workflow.upsert_search_attributes([TRIP_STATUS.value_set(status)])
        self._published = status
