"""Fill the scoreboard: put designs through the scenarios and count what is left.

Each notebook runs its own design. The rows above it were run by the notebooks
before; they are kept in ``scoreboard.json``. ``python -m lab.scorekeeping``
runs all designs again and writes that file; a test compares it with fresh runs.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.scenarios import KINDS, Verdict, run_scenarios, standard_scenarios
from lab.scoreboard import Cell, Scoreboard

RECORD = Path(__file__).with_name("scoreboard.json")


@dataclass(frozen=True)
class Entry:
    """A row to be: its name, and the Workflow that is tried."""

    row: str
    module: str
    design: str

    def load(self) -> Any:
        """The Workflow class."""
        return getattr(importlib.import_module(f"travel.workflows.{self.module}"), self.design)


WORKFLOWS = (
    Entry("no compensation", "without_compensation", "WithoutCompensation"),
    Entry("undo what succeeded", "undo_what_succeeded", "UndoWhatSucceeded"),
    Entry("retry, then undo", "retry_then_undo", "RetryThenUndo"),
    Entry("survive a cancel", "undo_registered_late", "UndoRegisteredLate"),
    Entry("undo registered first", "book_trip", "BookTrip"),
    Entry("in parallel", "book_in_parallel", "BookInParallel"),
)


async def score(design: Any) -> dict[str, Cell]:
    """Put a Workflow through the standard scenarios: kind of fault -> what is left."""
    return cells(await run_scenarios(design, standard_scenarios()))


def cells(verdicts: Iterable[Verdict]) -> dict[str, Cell]:
    """Count what the audit found, by kind of fault, in the order of ``KINDS``."""
    verdicts = list(verdicts)
    by_kind = {kind: [v for v in verdicts if v.scenario.kind == kind] for kind in KINDS}
    return {kind: _cell(found) for kind, found in by_kind.items() if found}


def _cell(verdicts: Sequence[Verdict]) -> Cell:
    findings = [finding for verdict in verdicts for finding in verdict.findings]
    return Cell(
        orphans=sum(finding.kind != "money" for finding in findings),
        money_kept_cents=sum(max(finding.amount_cents, 0) for finding in findings),
        trips=len(verdicts),
    )


def recorded(*, before: str = "") -> Scoreboard:
    """The rows as recorded, up to but not including the row named ``before``."""
    board = Scoreboard()
    for row, found in json.loads(RECORD.read_text()).items():
        if row == before:
            break
        board.add_row(row, {kind: Cell(**cell) for kind, cell in found.items()})
    return board


def record(rows: Mapping[str, Mapping[str, Cell]]) -> None:
    """Write rows into the record, in place of those of the same name."""
    kept = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    fresh = {row: {kind: asdict(cell) for kind, cell in c.items()} for row, c in rows.items()}
    RECORD.write_text(json.dumps(kept | fresh, indent=1) + "\n")


async def _run_all() -> None:
    for entry in WORKFLOWS:
        found = await score(entry.load())
        record({entry.row: found})
        print(entry.row, {kind: str(cell) for kind, cell in found.items()})


if __name__ == "__main__":
    asyncio.run(_run_all())
