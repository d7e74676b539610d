"""``BookTrip`` as it might be changed while trips are under way. ``test_replay.py`` objects."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from travel.errors import InvalidInput
    from travel.models import TripConfirmation, TripRequest

from travel.saga import Saga
from travel.workflows.book_trip import Booking, BookTrip
from travel.workflows.calls import REJECTIONS


@workflow.defn(name="BookTrip", failure_exception_types=[InvalidInput])
class CarBeforeHotel(BookTrip):
    """Another order of the steps."""

    @workflow.init
    def __init__(self, request: TripRequest) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: TripRequest) -> TripConfirmation:
        return await super().run(request)

    async def _book(self, trip: TripRequest) -> Booking:
        flight = await self._book_flight(trip)
        car = await self._book_car(trip)
        hotel = await self._book_hotel(trip)
        price_cents = flight.price_cents + hotel.price_cents + car.price_cents
        return flight, hotel, car, await self._accept_payment(trip, price_cents)


@workflow.defn(name="BookTrip", failure_exception_types=[InvalidInput])
class PauseBeforePayment(BookTrip):
    """A timer more."""

    @workflow.init
    def __init__(self, request: TripRequest) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: TripRequest) -> TripConfirmation:
        return await super().run(request)

    async def _accept_payment(self, trip: TripRequest, price_cents: int):  # type: ignore[no-untyped-def]
        await workflow.sleep(timedelta(seconds=1))
        return await super()._accept_payment(trip, price_cents)


class _OldestFirst(Saga):
    async def _undo_all(self) -> None:
        self._steps.reverse()
        await super()._undo_all()


@workflow.defn(name="BookTrip", failure_exception_types=[InvalidInput])
class OldestUndoneFirst(BookTrip):
    """Another order of the compensations."""

    @workflow.init
    def __init__(self, request: TripRequest) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: TripRequest) -> TripConfirmation:
        self._saga = _OldestFirst(rejections=REJECTIONS, on_change=self._publish)
        return await super().run(request)


@workflow.defn(name="BookTrip", failure_exception_types=[InvalidInput])
class EveryStepAtOnce(BookTrip):
    """One after the other no more."""

    @workflow.init
    def __init__(self, request: TripRequest) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: TripRequest) -> TripConfirmation:
        return await super().run(request)

    async def _book(self, trip: TripRequest) -> Booking:
        flight, hotel, car = await asyncio.gather(
            self._book_flight(trip), self._book_hotel(trip), self._book_car(trip)
        )
        return flight, hotel, car, await self._accept_payment(trip, 1)


@workflow.defn(name="BookTrip", failure_exception_types=[InvalidInput])
class OneCentLess(BookTrip):
    """Breaks nothing: Temporal compares which Activities were called, not with what."""

    @workflow.init
    def __init__(self, request: TripRequest) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: TripRequest) -> TripConfirmation:
        return await super().run(request)

    async def _accept_payment(self, trip: TripRequest, price_cents: int):  # type: ignore[no-untyped-def]
        return await super()._accept_payment(trip, price_cents - 1)


CHANGES = [CarBeforeHotel, PauseBeforePayment, OldestUndoneFirst, EveryStepAtOnce]
