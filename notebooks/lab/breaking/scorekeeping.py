"""Fill the scoreboard: put designs through the scenarios and count what is left.

Each notebook runs its own design. The rows above it were run by the notebooks
before; they are kept in ``scoreboard.json``. ``python -m lab.publishing.record_scoreboard``
runs all designs again and writes that file. nbval runs each row again in its notebook,
and a test compares what all notebooks show with the record.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.breaking.scenarios import KINDS, Verdict, run_scenarios, standard_scenarios
from lab.showing.scoreboards import Cell, Scoreboard

RECORD = Path(__file__).with_name("scoreboard.json")


@dataclass(frozen=True)
class Entry:
    """A row to be: the Workflow that is tried. The row bears its name."""

    module: str
    row: str

    def load(self) -> Any:
        """The Workflow class."""
        return getattr(importlib.import_module(self.module), self.row)


SCRIPTS = {"script": "pre_temporal", "script with rollback": "pre_temporal_with_rollback"}
"""Rows of scripts without Temporal, and their modules in ``lab.original``."""

WORKFLOWS = (
    Entry("lab.designs.without_compensation", "WithoutCompensation"),
    Entry("lab.designs.undo_what_succeeded", "UndoWhatSucceeded"),
    Entry("lab.designs.retry_then_undo", "RetryThenUndo"),
    Entry("lab.designs.one_shield", "OneShield"),
    Entry("lab.designs.undo_registered_late", "UndoRegisteredLate"),
    Entry("lab.designs.except_exception", "ExceptException"),
    Entry("travel.workflows.book_trip", "BookTrip"),
    Entry("travel.workflows.book_in_parallel", "BookInParallel"),
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
    return Cell.of(findings, len(verdicts))


def recorded(*, before: str = "", kinds: Collection[str] = KINDS) -> Scoreboard:
    """The rows as recorded, up to but not including the row named ``before``.

    ``kinds`` are the columns; notebooks 08 and 10 add some.
    """
    board = Scoreboard()
    for row, found in json.loads(RECORD.read_text()).items():
        if row == before:
            break
        board.add_row(row, {kind: Cell(**found[kind]) for kind in kinds if kind in found})
    board.fresh = ""
    return board


def record(rows: Mapping[str, Mapping[str, Cell]]) -> None:
    """Write cells into the record, in place of those of the same row and kind."""
    kept = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for row, found in rows.items():
        fresh = {kind: asdict(cell) for kind, cell in found.items()}
        kept[row] = kept.get(row, {}) | fresh
    ordered = dict(sorted(kept.items(), key=lambda item: _place(item[0])))
    RECORD.write_text(json.dumps(ordered, indent=1) + "\n")


def _place(row: str) -> int:
    """Where a row stands: in the order in which the notebooks come to it."""
    rows = [*SCRIPTS, *(entry.row for entry in WORKFLOWS)]
    return rows.index(row) if row in rows else len(rows)
