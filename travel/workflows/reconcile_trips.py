"""Release what terminated and timed-out trips left behind.

Safe to run twice, beside live trips, and to crash: it touches no trip whose
Workflow is running, and every undo is idempotent and leaves a tombstone.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from travel.activities import Activities
    from travel.models import AbandonedTrip, Cancellation
    from travel.reconciliation import Reconciliation

from travel.workflows.calls import call_undo

UNDOS = (
    Activities.refund_payment,
    Activities.cancel_car,
    Activities.cancel_hotel,
    Activities.cancel_flight,
)


@workflow.defn
class ReconcileTrips:
    """Run it on demand, or on a Temporal Schedule."""

    @workflow.run
    async def run(self) -> list[str]:
        """Return the confirmation codes of the trips released."""
        abandoned = await workflow.execute_activity_method(
            Reconciliation.find_abandoned_trips,
            # It may have many trips to ask the server about: long in all, so it
            # heartbeats, and a crash is noticed after seconds, not minutes.
            start_to_close_timeout=timedelta(minutes=10),
            heartbeat_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=1)),
        )
        return [trip.confirmation_code for trip in abandoned if await self._release(trip)]

    async def _release(self, trip: AbandonedTrip) -> bool:
        """Undo all four steps, whichever of them happened; tell whether all could be.

        But for what a person settled by hand: money would be paid back twice.
        """
        released = True
        for undo in UNDOS:
            if undo.__name__ in trip.settled:
                continue
            try:
                await call_undo(undo, Cancellation(trip.confirmation_code))
            except FailureError:
                # One provider is down. The next run finds the trip again.
                released = False
        return released
