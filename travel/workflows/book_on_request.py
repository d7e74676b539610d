"""The saga of ``book_trip.py`` for hotels that answer days later, by callback.

See ``travel.providers.outside.callback``. The hotel is the step that may take days, so it
comes first: nothing else is held while nobody knows whether there will be a room.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from travel.activities import Activities
    from travel.errors import InvalidInput
    from travel.models import Cancellation, HotelBooking, TripConfirmation, TripRequest

from travel.workflows.book_trip import Booking, BookTrip
from travel.workflows.calls import ATTEMPT_TIMEOUT, REJECTIONS, call_undo

HOTEL_PATIENCE = timedelta(days=5)
"""Schedule-to-close. Longer than the company takes; see ``callback.REPLY_WITHIN``."""

LOOKS = RetryPolicy(maximum_interval=timedelta(hours=4), non_retryable_error_types=REJECTIONS)
"""An attempt is a look into the inbox. The company's own "come back in four hours" goes first."""


@workflow.defn(failure_exception_types=[InvalidInput])
class BookOnRequest(BookTrip):
    """The hotel first, however long it takes; then flight, car and payment."""

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
        flight = await self._book_flight(trip)
        car = await self._book_car(trip)
        price_cents = flight.price_cents + hotel.price_cents + car.price_cents
        payment = await self._accept_payment(trip, price_cents)
        return flight, hotel, car, payment

    async def _book_hotel(self, trip: TripRequest) -> HotelBooking:
        cancellation = Cancellation(trip.confirmation_code)
        hotel = await self._saga.step(
            partial(self._wait_for_hotel, trip),
            undo=partial(call_undo, Activities.cancel_hotel, cancellation, "undo the room"),
            name="cancel_hotel",
        )
        self._done.append("book_hotel")
        return hotel

    async def _wait_for_hotel(self, trip: TripRequest) -> HotelBooking:
        return await workflow.execute_activity_method(
            Activities.book_hotel,
            trip,
            start_to_close_timeout=ATTEMPT_TIMEOUT,
            schedule_to_close_timeout=HOTEL_PATIENCE,
            retry_policy=LOOKS,
            summary=f"{trip.room_type} room until {trip.return_date}, answered by callback",
        )
