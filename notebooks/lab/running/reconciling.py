"""Run the reconciliation Workflow."""

from __future__ import annotations

import itertools

from lab.running.background import background
from lab.running.system import System
from travel.temporal.connection import task_queue
from travel.workflows.reconcile_trips import ReconcileTrips

_numbers = itertools.count(1)


async def reconcile(system: System) -> list[str]:
    """Run ``ReconcileTrips`` once; returns the confirmation codes of the trips released."""
    released = system.client.execute_workflow(
        ReconcileTrips.run,
        id=f"reconcile-{next(_numbers)}",
        task_queue=system.queue or task_queue(),
    )
    return await background().run(released)
