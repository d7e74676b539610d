"""DELIBERATELY WRONG: registers each undo first, and compensates in ``except Exception``.

A cancel request is no ``Exception`` where it arrives as ``asyncio.CancelledError``; a
typo is one. Compare ``travel/workflows/book_trip.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from travel.activities import Activities
    from travel.models import Cancellation, ConfirmationEmail, PaymentRequest, TripRequest

from travel.saga import uninterrupted
from travel.workflows.calls import call, call_undo


@workflow.defn
class ExceptException:
    """Loses no reply; loses whatever it holds to a cancel request, and a good trip to a typo."""

    @workflow.run
    async def run(self, request: TripRequest) -> int:
        """Return the price in cents."""
        await call(Activities.store_booking_request, request)
        undos: list[Callable[[Any, Cancellation], None]] = []
        try:
            undos.append(Activities.cancel_flight)
            flight = await call(Activities.book_flight, request)
            undos.append(Activities.cancel_hotel)
            hotel = await call(Activities.book_hotel, request)
            undos.append(Activities.cancel_car)
            car = await call(Activities.book_car, request)
            price_cents = flight.price_cents + hotel.price_cents + car.price_cents
            bill = PaymentRequest(request.confirmation_code, request.customer, price_cents)
            undos.append(Activities.refund_payment)
            await call(Activities.accept_payment, bill)
        except Exception:
            trip = Cancellation(request.confirmation_code)
            await _undo_all(undos, trip)
            raise
        await uninterrupted(_send_email(request))
        return price_cents


async def _undo_all(undos: list[Callable[[Any, Cancellation], None]], trip: Cancellation) -> None:
    for undo in reversed(undos):
        await call_undo(undo, trip)


async def _send_email(request: TripRequest) -> None:
    email = ConfirmationEmail(request.confirmation_code, request.customer, "Your trip is booked.")
    try:
        await call(Activities.send_confirmation_email, email)
    except ActivityError:
        workflow.logger.warning("The confirmation email could not be sent.")
