"""Compensations side by side, each with Temporal's own retries without limit.

The plain alternative to the rounds of ``Saga``: right, short, and silent while it waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from travel.activities import Activities
    from travel.models import Cancellation, PaymentRequest, TripRequest

from travel.saga import uninterrupted
from travel.workflows.calls import ATTEMPT_TIMEOUT, call

WITHOUT_LIMIT = RetryPolicy(maximum_interval=timedelta(minutes=10))


@workflow.defn
class UndoSideBySide:
    """Undo everything at the same time; each undo is one Activity that never gives up."""

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
        except (ActivityError, asyncio.CancelledError):
            await uninterrupted(self._undo_all(undos, Cancellation(request.confirmation_code)))
            raise
        return price_cents

    async def _undo_all(
        self, undos: list[Callable[[Any, Cancellation], None]], trip: Cancellation
    ) -> None:
        await asyncio.gather(*[undo_without_limit(undo, trip) for undo in undos])


async def undo_without_limit(undo: Callable[[Any, Cancellation], None], trip: Cancellation) -> None:
    await workflow.execute_activity_method(
        undo, trip, start_to_close_timeout=ATTEMPT_TIMEOUT, retry_policy=WITHOUT_LIMIT
    )
