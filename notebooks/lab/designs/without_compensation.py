"""DELIBERATELY WRONG: durable, but not consistent: it survives every crash and undoes nothing.

Compare ``travel/workflows/book_trip.py``.
"""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from travel.activities import Activities
    from travel.models import ConfirmationEmail, PaymentRequest, TripRequest

from travel.workflows.calls import call_once


@workflow.defn
class WithoutCompensation:
    """Flight, hotel, car, payment, and whatever was booked when one of them fails."""

    @workflow.run
    async def run(self, request: TripRequest) -> int:
        """Return the price in cents."""
        await call_once(Activities.store_booking_request, request)
        flight = await call_once(Activities.book_flight, request)
        hotel = await call_once(Activities.book_hotel, request)
        car = await call_once(Activities.book_car, request)
        price_cents = flight.price_cents + hotel.price_cents + car.price_cents
        bill = PaymentRequest(request.confirmation_code, request.customer, price_cents)
        await call_once(Activities.accept_payment, bill)
        email = ConfirmationEmail(
            request.confirmation_code, request.customer, "Your trip is booked."
        )
        await call_once(Activities.send_confirmation_email, email)
        return price_cents
