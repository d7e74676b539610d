"""Find the trips that nobody looks after any more.

A terminated Workflow runs no code, and one that times out runs none either. What
such a trip holds stays held until somebody compares the database with Temporal.
"""

from __future__ import annotations

import asyncio

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from travel.models import Cancellation
from travel.store.database import Database
from travel.store.holdings import read_trips

BATCH = 200
"""Trips a run at most, so that its Event History stays short; the next run takes the rest."""


class Reconciliation:
    """The Activity of the ``ReconcileTrips`` Workflow."""

    def __init__(self, database: Database, client: Client) -> None:
        self._database = database
        self._client = client

    @activity.defn
    async def find_abandoned_trips(self) -> list[Cancellation]:
        """Trips that did not complete, still hold something, and have no running Workflow."""
        ended: list[str] = []
        for code, workflow_id in sorted((await self._unfinished()).items()):
            activity.heartbeat(code)
            if len(ended) < BATCH and not await self._is_running(workflow_id):
                ended.append(code)
        # Between the look and the question a trip may have come to a good end. Now that
        # its Workflow is over, it changes nothing any more, and a second look is final.
        unfinished = await self._unfinished()
        return [Cancellation(code) for code in ended if code in unfinished]

    async def _unfinished(self) -> dict[str, str]:
        """Workflow ids of the trips that hold something and did not complete, by code."""
        trips = await asyncio.to_thread(read_trips, self._database)
        # A hold without a stored request names no Workflow to ask about. The
        # audit shows it; releasing it is for somebody who knows whose it is.
        return {
            code: trip.request.workflow_id
            for code, trip in trips.items()
            if trip.request and not trip.completed and not trip.empty
        }

    async def _is_running(self, workflow_id: str) -> bool:
        try:
            description = await self._client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:  # closed, and past its retention
                return False
            raise
        return description.status == WorkflowExecutionStatus.RUNNING
