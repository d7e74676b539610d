"""Find the trips that nobody looks after any more, and note what became of them.

A terminated Workflow runs no code, and one that times out runs none either. What
such a trip holds stays held until somebody compares the database with Temporal. And a
customer whose client died was told nothing, though the Workflow came to an end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from travel.models import AbandonedTrip
from travel.store import booking_requests
from travel.store.booking_requests import Outcome
from travel.store.database import Database
from travel.store.unfinished import Unfinished, unfinished

BATCH = 200
"""Trips a run at most, so that its Event History stays short; the next run takes the rest."""

FEW = 100
"""So many unfinished trips are asked about one by one, and none that ended is missed."""

IDS_A_QUERY = 50
AT_ONCE = 20
"""Trips that the server is asked about at the same time."""

HEARTBEAT_SECONDS = 2.0

OUTCOMES: dict[WorkflowExecutionStatus | None, Outcome | None] = {
    WorkflowExecutionStatus.COMPLETED: "booked",
    WorkflowExecutionStatus.FAILED: "failed",
    WorkflowExecutionStatus.CANCELED: "failed",
    # These ran no code, and of the last the server knows nothing any more: the
    # database has to say whether there is a trip.
    WorkflowExecutionStatus.TERMINATED: None,
    WorkflowExecutionStatus.TIMED_OUT: None,
    None: None,
}
"""What a Workflow's end says of its trip. Any other status is no end."""


class Reconciliation:
    """The Activity of the ``ReconcileTrips`` Workflow."""

    def __init__(self, database: Database, client: Client) -> None:
        self._database = database
        self._client = client

    @activity.defn
    async def find_abandoned_trips(self) -> list[AbandonedTrip]:
        """Trips that did not complete, still hold something, and have no running Workflow.

        Of all trips without one, also notes the outcome where nobody did.
        """
        abandoned: list[AbandonedTrip] = []
        after = ""
        async with _heartbeats():
            while len(abandoned) < BATCH:
                page = await asyncio.to_thread(unfinished, self._database, after=after)
                if not page:
                    break
                after = page[-1].confirmation_code
                ended = await self._ended(page)
                abandoned += await asyncio.to_thread(self._conclude, ended)
        return abandoned[:BATCH]

    def _conclude(self, ended: dict[str, Outcome | None]) -> list[AbandonedTrip]:
        # Between the look and the question a trip may have come to a good end. Now that
        # its Workflow is over, it changes nothing any more, and a second look is final.
        trips = unfinished(self._database, codes=list(ended), limit=len(ended))
        outcomes = {
            trip.confirmation_code: ended[trip.confirmation_code] or _in_the_books(trip)
            for trip in trips
            if trip.outcome is None
        }
        booking_requests.conclude(self._database, outcomes)
        return [
            AbandonedTrip(trip.confirmation_code, trip.settled)
            for trip in trips
            if trip.to_undo and outcomes.get(trip.confirmation_code, trip.outcome) != "booked"
        ]

    async def _ended(self, trips: Sequence[Unfinished]) -> dict[str, Outcome | None]:
        """Those without a running Workflow, by code, and what its end said of the trip."""
        ids = [trip.workflow_id for trip in trips]
        running = await self._running(ids) if len(ids) > FEW else set()
        slots = asyncio.Semaphore(AT_ONCE)

        async def ask(trip: Unfinished) -> tuple[str, WorkflowExecutionStatus | None]:
            async with slots:
                return trip.confirmation_code, await self._status(trip.workflow_id)

        asked = [ask(trip) for trip in trips if trip.workflow_id not in running]
        statuses = await asyncio.gather(*asked)
        return {code: OUTCOMES[status] for code, status in statuses if status in OUTCOMES}

    async def _running(self, ids: Sequence[str]) -> set[str]:
        """The ids of running Workflows among these, as far as the server's list has them.

        It lags behind, and has ways of its own with quotation marks. So it spares us
        questions and answers none: whoever is not in it is asked about, and who ended a
        moment ago and is still in it waits for the next run.
        """
        found: set[str] = set()
        for first in range(0, len(ids), IDS_A_QUERY):
            quoted = ", ".join(map(_quoted, ids[first : first + IDS_A_QUERY]))
            query = f"ExecutionStatus = 'Running' AND WorkflowId IN ({quoted})"
            with suppress(RPCError):  # a server that cannot search
                async for workflow in self._client.list_workflows(query):
                    found.add(workflow.id)
        return found

    async def _status(self, workflow_id: str) -> WorkflowExecutionStatus | None:
        """That of the latest run; None if the server does not know the Workflow."""
        try:
            description = await self._client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:  # closed, and past its retention
                return None
            raise
        return description.status or WorkflowExecutionStatus.RUNNING


def _in_the_books(trip: Unfinished) -> Outcome:
    """As the audit sees it: a trip that is paid for is one, unless it was being undone."""
    return "booked" if trip.charged_cents > 0 and not trip.settled else "failed"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


@asynccontextmanager
async def _heartbeats() -> AsyncIterator[None]:
    """Tell the server that this attempt lives, also while the database is searched."""

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
