"""DELIBERATELY WRONG: books in parallel and forgets the bookings that were still under way.

Compare ``travel/workflows/book_in_parallel.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from travel.activities import Activities
    from travel.models import Cancellation, PaymentRequest, TripRequest

from travel.workflows.calls import call, call_undo

R = TypeVar("R")


@workflow.defn
class SiblingsLost:
    """When one booking fails, the others finish after their undo would have been due."""

    @workflow.run
    async def run(self, request: TripRequest) -> int:
        """Return the price in cents."""
        await call(Activities.store_booking_request, request)
        undos: list[Callable[[Any, Cancellation], None]] = []
        try:
            flight, hotel, car = await asyncio.gather(
                _book(Activities.book_flight, request, Activities.cancel_flight, undos),
                _book(Activities.book_hotel, request, Activities.cancel_hotel, undos),
                _book(Activities.book_car, request, Activities.cancel_car, undos),
            )
            price_cents = flight.price_cents + hotel.price_cents + car.price_cents
            bill = PaymentRequest(request.confirmation_code, request.customer, price_cents)
            await call(Activities.accept_payment, bill)
        except ActivityError:
            for undo in reversed(undos):
                await call_undo(undo, Cancellation(request.confirmation_code))
            raise
        return price_cents


async def _book(
    do: Callable[[Any, TripRequest], R],
    request: TripRequest,
    undo: Callable[[Any, Cancellation], None],
    undos: list[Callable[[Any, Cancellation], None]],
) -> R:
    result = await call(do, request)
    undos.append(undo)
    return result
