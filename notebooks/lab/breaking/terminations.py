"""The scoreboard's column "terminated": somebody stops a Workflow, and no code of it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from temporalio.client import WorkflowHandle

from lab.breaking.crashes import APART, cell_of
from lab.breaking.scenarios import request_for, run_scenarios, standard_scenarios
from lab.breaking.scorekeeping import cells
from lab.running.reconciling import reconcile
from lab.running.system import System, Trip, start
from lab.showing.scoreboards import Cell
from travel.errors import Unavailable

TERMINATED = "terminated"
RECONCILED = "+ reconciliation"
"""The scoreboard's last row."""

MOMENTS = ("book_flight", "book_hotel", "book_car", "accept_payment", "cancel_hotel")
"""A trip each is terminated when this Activity begins, before it calls its provider."""


async def score_terminated(*designs: Any, reconciled: bool = False) -> list[Cell]:
    """What each design leaves behind when terminated; a cell a design, in their order.

    With ``reconciled`` a reconciliation runs before the audit.
    """
    lab = await start(designs=designs)
    rows = [await _terminate_each(lab, row, design) for row, design in enumerate(designs)]
    for trip in [trip for row in rows for trip in row]:
        await trip.end()
    if reconciled:
        await reconcile(lab)
    findings = lab.audit().findings
    await lab.close()
    return [cell_of(row, findings) for row in rows]


async def score_reconciled(design: Any) -> dict[str, Cell]:
    """The standard scenarios, with a reconciliation before the audit."""
    lab = await start(designs=[design])
    verdicts = await run_scenarios(design, standard_scenarios(), system=lab)
    await reconcile(lab)
    findings = lab.audit().findings
    await lab.close()
    return cells(
        replace(
            verdict,
            findings=[
                finding
                for finding in findings
                if finding.confirmation_code == verdict.request.confirmation_code
            ],
        )
        for verdict in verdicts
    )


async def _terminate_each(lab: System, row: int, design: Any) -> Sequence[Trip]:
    trips = []
    for number, moment in enumerate(MOMENTS, start=1):
        # Only a trip that fails comes to its compensations.
        changes = {"car_type": "limousine"} if moment.startswith("cancel") else {}
        request = request_for(row * APART + number, changes)
        lab.at(request, moment, terminate_before)
        trips.append(await lab.begin(request, design))
    return trips


async def terminate_before(handle: WorkflowHandle[Any, Any]) -> None:
    """Terminate the Workflow, and keep the attempt from its provider."""
    # Where several steps run at once, let the others be done: else it is a matter of luck.
    while len((await handle.describe()).raw_description.pending_activities) > 1:
        await asyncio.sleep(0.05)
    await handle.terminate(reason="terminated by hand")
    raise Unavailable("The Worker that ran this attempt was switched off.")
