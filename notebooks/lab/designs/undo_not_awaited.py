"""DELIBERATELY WRONG: starts its compensations and does not wait for them.

Compare ``travel/workflows/book_trip.py``.
"""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from travel.activities import Activities
    from travel.models import Cancellation, ConfirmationEmail, PaymentRequest, TripRequest

from travel.workflows.calls import call_once, call_undo


@workflow.defn
class UndoNotAwaited:
    """As ``UndoWhatSucceeded``, but the Workflow closes before anything is undone."""

    @workflow.run
    async def run(self, request: TripRequest) -> int:
        """Return the price in cents."""
        await call_once(Activities.store_booking_request, request)
        trip = Cancellation(request.confirmation_code)
        flight = hotel = car = payment = None
        try:
            flight = await call_once(Activities.book_flight, request)
            hotel = await call_once(Activities.book_hotel, request)
            car = await call_once(Activities.book_car, request)
            price_cents = flight.price_cents + hotel.price_cents + car.price_cents
            bill = PaymentRequest(request.confirmation_code, request.customer, price_cents)
            payment = await call_once(Activities.accept_payment, bill)
        except ActivityError:
            if payment:
                asyncio.create_task(call_undo(Activities.refund_payment, trip))  # noqa: RUF006
            if car:
                asyncio.create_task(call_undo(Activities.cancel_car, trip))  # noqa: RUF006
            if hotel:
                asyncio.create_task(call_undo(Activities.cancel_hotel, trip))  # noqa: RUF006
            if flight:
                asyncio.create_task(call_undo(Activities.cancel_flight, trip))  # noqa: RUF006
            raise
        email = ConfirmationEmail(
            request.confirmation_code, request.customer, "Your trip is booked."
        )
        await call_once(Activities.send_confirmation_email, email)
        return price_cents
