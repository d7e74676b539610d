"""DELIBERATELY WRONG: keeps no state, so it undoes what was never done.

Compare ``travel/workflows/book_trip.py``.
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from travel.activities import Activities
    from travel.models import Cancellation, ConfirmationEmail, PaymentRequest, TripRequest

from travel.workflows.calls import call_once, call_undo


@workflow.defn
class UndoEverything:
    """As ``UndoWhatSucceeded``, but without remembering what succeeded."""

    @workflow.run
    async def run(self, request: TripRequest) -> int:
        """Return the price in cents."""
        await call_once(Activities.store_booking_request, request)
        trip = Cancellation(request.confirmation_code)
        try:
            flight = await call_once(Activities.book_flight, request)
            hotel = await call_once(Activities.book_hotel, request)
            car = await call_once(Activities.book_car, request)
            price_cents = flight.price_cents + hotel.price_cents + car.price_cents
            bill = PaymentRequest(request.confirmation_code, request.customer, price_cents)
            await call_once(Activities.accept_payment, bill)
        except ActivityError:
            await call_undo(Activities.refund_payment, trip)
            await call_undo(Activities.cancel_car, trip)
            await call_undo(Activities.cancel_hotel, trip)
            await call_undo(Activities.cancel_flight, trip)
            raise
        email = ConfirmationEmail(
            request.confirmation_code, request.customer, "Your trip is booked."
        )
        await call_once(Activities.send_confirmation_email, email)
        return price_cents
