"""The saga in another order, for the predictions of notebook 04."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from travel.errors import InvalidInput
    from travel.models import TripConfirmation, TripRequest

from travel.workflows.book_trip import Booking, BookTrip


@workflow.defn(failure_exception_types=[InvalidInput])
class HotelFirst(BookTrip):
    """``BookTrip``, but the hotel first, then the car, then the flight."""

    @workflow.init
    def __init__(self, request: TripRequest) -> None:
        """See ``BookTrip``."""
        super().__init__(request)

    @workflow.run
    async def run(self, request: TripRequest) -> TripConfirmation:
        """See ``BookTrip.run``."""
        return await super().run(request)

    async def _book(self, trip: TripRequest) -> Booking:
        hotel = await self._book_hotel(trip)
        car = await self._book_car(trip)
        flight = await self._book_flight(trip)
        price_cents = flight.price_cents + hotel.price_cents + car.price_cents
        payment = await self._accept_payment(trip, price_cents)
        return flight, hotel, car, payment
