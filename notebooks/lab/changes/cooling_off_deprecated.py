"""The second life of a patch: no trip from before it is left, nor in the retention.

The old branch is gone. The marker is still written, for trips that replay on the code
before this one, and still understood in histories that have it.
"""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from travel.errors import InvalidInput
    from travel.models import PaymentReceipt, TripConfirmation, TripRequest

from lab.changes.cooling_off_patched import COOLING_OFF
from travel.workflows.book_trip import BookTrip


@workflow.defn(name="BookTrip", failure_exception_types=[InvalidInput])
class CoolingOffDeprecated(BookTrip):
    """The customer gets an hour to think again; nobody remembers it otherwise."""

    @workflow.init
    def __init__(self, request: TripRequest) -> None:
        """See ``BookTrip``."""
        super().__init__(request)

    @workflow.run
    async def run(self, request: TripRequest) -> TripConfirmation:
        """See ``BookTrip.run``."""
        return await super().run(request)

    async def _accept_payment(self, trip: TripRequest, price_cents: int) -> PaymentReceipt:
        workflow.deprecate_patch("cooling-off")
        await workflow.sleep(COOLING_OFF, summary="time to think again")
        return await super()._accept_payment(trip, price_cents)
