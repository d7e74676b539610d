"""DELIBERATELY WRONG: a new rule for the customer's good, put into running trips the wrong way.

Compare ``lab/changes/cooling_off_patched.py``.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from travel.errors import InvalidInput
    from travel.models import PaymentReceipt, TripConfirmation, TripRequest

from travel.workflows.book_trip import BookTrip

COOLING_OFF = timedelta(hours=1)


@workflow.defn(name="BookTrip", failure_exception_types=[InvalidInput])
class CoolingOff(BookTrip):
    """The customer gets an hour to think again before the card is charged."""

    @workflow.init
    def __init__(self, request: TripRequest) -> None:
        """See ``BookTrip``."""
        super().__init__(request)

    @workflow.run
    async def run(self, request: TripRequest) -> TripConfirmation:
        """See ``BookTrip.run``."""
        return await super().run(request)

    async def _accept_payment(self, trip: TripRequest, price_cents: int) -> PaymentReceipt:
        await workflow.sleep(COOLING_OFF, summary="time to think again")
        return await super()._accept_payment(trip, price_cents)
