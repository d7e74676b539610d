"""The scoreboard's column "Worker crash": a real process, really killed.

All trips of all designs are under way at once in one child process. Each gets to one
of its steps, the provider commits, and the reply is held back until every trip is
there. Then the process kills itself, and another one is left with what remains.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lab.breaking.scenarios import STEPS, Scenario, request_for
from lab.running.reconciling import reconcile
from lab.running.system import Trip
from lab.running.worker_process import start_without_worker, start_worker
from lab.showing.scoreboards import Cell
from travel.audit import Finding
from travel.faults import Fault, ScriptedFault
from travel.workflows.reconcile_trips import ReconcileTrips

WORKER_CRASH = "Worker crash"

APART = 12
"""Trips whose numbers are so far apart fly the same route at the same price."""

CRASH = Fault.CRASH_AFTER_COMMIT


def crash_scenarios() -> list[Scenario]:
    """A crash at each step, after which the provider answers, or does not; one in an undo."""
    after = [
        Scenario(f"crash in {step}", WORKER_CRASH, faults=(ScriptedFault(step, CRASH, (1,)),))
        for step in STEPS
    ]
    down = [
        Scenario(
            f"crash in {step}, then an outage",
            WORKER_CRASH,
            faults=(ScriptedFault(step, CRASH, (1,)), ScriptedFault(step, Fault.OUTAGE)),
        )
        for step in STEPS
    ]
    undo = Scenario(
        "crash in cancel_flight",
        WORKER_CRASH,
        {"room_type": "presidential"},
        (ScriptedFault("cancel_flight", CRASH, (1,)),),
    )
    return [*after, *down, undo]


async def score_crashes(*designs: Any, reconciled: bool = False) -> list[Cell]:
    """What each design leaves behind after the crash; a cell a design, in their order.

    With ``reconciled`` a reconciliation runs before the audit.
    """
    scenarios = crash_scenarios()
    tried = [
        (design, scenario, request_for(row * APART + number, scenario.changes))
        for row, design in enumerate(designs)
        for number, scenario in enumerate(scenarios, start=1)
    ]
    script = [
        replace(fault, confirmation_code=request.confirmation_code)
        for _, scenario, request in tried
        for fault in scenario.faults
    ]
    hit = sum(_is_hit(design, scenario) for design, scenario, _ in tried)
    lab = await start_without_worker()
    worker = await start_worker(lab, script, workflows=designs, crash_together=hit)
    trips = [await lab.begin(request, design) for design, _, request in tried]
    await worker.died()
    await start_worker(lab, script, workflows=[*designs, ReconcileTrips])
    await asyncio.gather(*[trip.end() for trip in trips])
    if reconciled:
        await reconcile(lab)
    findings = lab.audit().findings
    await lab.close()
    size = len(scenarios)
    return [cell_of(trips[i : i + size], findings) for i in range(0, len(trips), size)]


def cell_of(trips: Sequence[Trip], findings: Sequence[Finding]) -> Cell:
    """What the audit found of these trips, as a cell."""
    codes = {trip.request.confirmation_code for trip in trips}
    own = [finding for finding in findings if finding.confirmation_code in codes]
    return Cell.of(own, len(trips))


def _is_hit(design: Any, scenario: Scenario) -> bool:
    """A design without compensation never comes to the crash in one."""
    return not scenario.changes or design.__name__ != "WithoutCompensation"
