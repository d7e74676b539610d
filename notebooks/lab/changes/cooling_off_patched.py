"""A new rule for the customer's good, for trips that begin after it.

Put in the wrong way, it is ``lab.designs.cooling_off``.
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
class CoolingOffPatched(BookTrip):
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
        # False while a trip replays that paid before this line existed.
        if workflow.patched("cooling-off"):
            await workflow.sleep(COOLING_OFF, summary="time to think again")
        return await super()._accept_payment(trip, price_cents)
