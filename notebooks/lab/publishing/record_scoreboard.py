"""Run every design of the course and write the scoreboard's record anew.

    python -m lab.publishing.record_scoreboard        (in the folder notebooks)

Takes some minutes: real Workers are killed, and attempts time out in real time. Then draw
it anew: ``python -m lab.publishing.scoreboard_picture``.
"""

from __future__ import annotations

import asyncio
import importlib

from lab.breaking.crashes import WORKER_CRASH, score_crashes
from lab.breaking.scorekeeping import SCRIPTS, WORKFLOWS, record, score
from lab.breaking.scripts import score_script
from lab.breaking.terminations import RECONCILED, TERMINATED, score_reconciled, score_terminated


async def _run_all() -> None:
    await _run_scripts()
    for entry in WORKFLOWS:
        found = await score(entry.load())
        record({entry.row: found})
        print(entry.row, {kind: str(cell) for kind, cell in found.items()})
    await _run_hard_ones()


async def _run_scripts() -> None:
    for row, module in SCRIPTS.items():
        found = await score_script(importlib.import_module(f"lab.original.{module}"))
        record({row: found})
        print(row, {kind: str(cell) for kind, cell in found.items()})


async def _run_hard_ones() -> None:
    """The columns that need a killed process or a terminated Workflow, and the last row."""
    designs = [entry.load() for entry in WORKFLOWS]
    crashed, terminated = await score_crashes(*designs), await score_terminated(*designs)
    for entry, crash, termination in zip(WORKFLOWS, crashed, terminated, strict=True):
        record({entry.row: {WORKER_CRASH: crash, TERMINATED: termination}})
        print(entry.row, crash, termination)
    best = designs[-1]
    (crash,) = await score_crashes(best, reconciled=True)
    (termination,) = await score_terminated(best, reconciled=True)
    found = await score_reconciled(best) | {WORKER_CRASH: crash, TERMINATED: termination}
    record({RECONCILED: found})
    print(RECONCILED, {kind: str(cell) for kind, cell in found.items()})


if __name__ == "__main__":
    asyncio.run(_run_all())
