"""DELIBERATELY WRONG: treats the confirmation email as a step like the others.

Compare ``travel/workflows/book_trip.py``.
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from travel.activities import Activities
    from travel.models import Cancellation, ConfirmationEmail, PaymentRequest, TripRequest

from travel.workflows.calls import call, call_undo


@workflow.defn
class EmailInTheSaga:
    """The email is a step like the others: if it fails, a paid trip is rolled back."""

    @workflow.run
    async def run(self, request: TripRequest) -> int:
        """Return the price in cents."""
        await call(Activities.store_booking_request, request)
        trip = Cancellation(request.confirmation_code)
        flight = hotel = car = payment = None
        try:
            flight = await call(Activities.book_flight, request)
            hotel = await call(Activities.book_hotel, request)
            car = await call(Activities.book_car, request)
            price_cents = flight.price_cents + hotel.price_cents + car.price_cents
            bill = PaymentRequest(request.confirmation_code, request.customer, price_cents)
            payment = await call(Activities.accept_payment, bill)
            email = ConfirmationEmail(
                request.confirmation_code, request.customer, "Your trip is booked."
            )
            await call(Activities.send_confirmation_email, email)
        except ActivityError:
            if payment:
                await call_undo(Activities.refund_payment, trip)
            if car:
                await call_undo(Activities.cancel_car, trip)
            if hotel:
                await call_undo(Activities.cancel_hotel, trip)
            if flight:
                await call_undo(Activities.cancel_flight, trip)
            raise
        return price_cents
