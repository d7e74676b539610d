"""The saga of ``book_trip.py`` with flight, hotel and car booked at the same time."""

from __future__ import annotations

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from travel.errors import InvalidInput
    from travel.models import TripConfirmation, TripRequest

from travel.workflows.book_trip import Booking, BookTrip


@workflow.defn(failure_exception_types=[InvalidInput])
class BookInParallel(BookTrip):
    """Three steps at once; the customer waits for the slowest, not for the sum."""

    @workflow.init
    def __init__(self, request: TripRequest) -> None:
        """See ``BookTrip``."""
        super().__init__(request)

    @workflow.run
    async def run(self, request: TripRequest) -> TripConfirmation:
        """See ``BookTrip.run``."""
        return await super().run(request)

    async def _book(self, trip: TripRequest) -> Booking:
        # When one of them fails, gather leaves the others running. The saga
        # cancels them and waits for them before it undoes anything.
        flight, hotel, car = await asyncio.gather(
            self._book_flight(trip), self._book_hotel(trip), self._book_car(trip)
        )
        price_cents = flight.price_cents + hotel.price_cents + car.price_cents
        payment = await self._accept_payment(trip, price_cents)
        return flight, hotel, car, payment
