"""DELIBERATELY WRONG: sees a cancel request, and shields its compensations from it, once.

Compare ``travel/workflows/book_trip.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from travel.activities import Activities
    from travel.models import Cancellation, ConfirmationEmail, PaymentRequest, TripRequest

from travel.workflows.calls import call, call_undo


@workflow.defn
class OneShield:
    """A list of undos behind one ``asyncio.shield``: a request during the undoing breaks it."""

    @workflow.run
    async def run(self, request: TripRequest) -> int:
        """Return the price in cents."""
        await call(Activities.store_booking_request, request)
        undos: list[Callable[[Any, Cancellation], None]] = []
        try:
            flight = await call(Activities.book_flight, request)
            undos.append(Activities.cancel_flight)
            hotel = await call(Activities.book_hotel, request)
            undos.append(Activities.cancel_hotel)
            car = await call(Activities.book_car, request)
            undos.append(Activities.cancel_car)
            price_cents = flight.price_cents + hotel.price_cents + car.price_cents
            bill = PaymentRequest(request.confirmation_code, request.customer, price_cents)
            await call(Activities.accept_payment, bill)
        except (ActivityError, asyncio.CancelledError):
            trip = Cancellation(request.confirmation_code)
            await asyncio.shield(_undo_all(undos, trip))
            raise
        email = ConfirmationEmail(
            request.confirmation_code, request.customer, "Your trip is booked."
        )
        try:
            await call(Activities.send_confirmation_email, email)
        except ActivityError:
            workflow.logger.warning("The confirmation email could not be sent.")
        return price_cents


async def _undo_all(undos: list[Callable[[Any, Cancellation], None]], trip: Cancellation) -> None:
    for undo in reversed(undos):
        await call_undo(undo, trip)
