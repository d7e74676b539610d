"""The end of a patch: no trip that wrote the marker of ``patched`` is left either.

Line for line what ``lab.designs.cooling_off`` does, which is deliberately wrong. What was
wrong there was the moment: a change is safe once no history from before it is replayed.
"""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from travel.errors import InvalidInput
    from travel.models import PaymentReceipt, TripConfirmation, TripRequest

from lab.changes.cooling_off_patched import COOLING_OFF
from travel.workflows.book_trip import BookTrip


@workflow.defn(name="BookTrip", failure_exception_types=[InvalidInput])
class CoolingOffPlain(BookTrip):
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
