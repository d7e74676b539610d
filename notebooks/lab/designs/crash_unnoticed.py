"""DELIBERATELY WRONG: limits a step to an hour in all, and no single attempt of it.

Compare ``travel/workflows/calls.py``.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from travel.activities import Activities
    from travel.models import TripRequest

from travel.workflows.calls import call


@workflow.defn
class CrashUnnoticed:
    """Without a start-to-close timeout, an attempt may take as long as the whole step."""

    @workflow.run
    async def run(self, request: TripRequest) -> int:
        """Return the price of the room in cents."""
        await call(Activities.store_booking_request, request)
        hotel = await workflow.execute_activity_method(
            Activities.book_hotel,
            request,
            schedule_to_close_timeout=timedelta(hours=1),
        )
        return hotel.price_cents
