"""The scoreboard: what each design leaves behind after each kind of fault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lab.showing.tables import Table
from travel.audit import Report


@dataclass(frozen=True)
class Cell:
    """What an audit found after ``trips`` trips met one kind of fault."""

    orphans: int
    money_kept_cents: int
    trips: int

    @classmethod
    def of(cls, report: Report) -> Cell:
        """The cell that an audit's report fills."""
        return cls(report.orphans, report.money_kept_cents, report.trips)

    @property
    def clean(self) -> bool:
        """Nothing left, nothing kept."""
        return not (self.orphans or self.money_kept_cents)

    def __str__(self) -> str:
        """``"0"``, ``"4 left"`` or ``"4 left, $1,225"``."""
        if self.clean:
            return "0"
        parts = [f"{self.orphans} left"] if self.orphans else []
        if self.money_kept_cents:
            dollars = self.money_kept_cents / 100
            parts.append(f"${dollars:,.0f}" if dollars < 999_999.5 else f"${dollars / 1e6:,.1f}M")
        return ", ".join(parts)


@dataclass(frozen=True)
class Row:
    """A design, and its cell for each kind of fault that it was put through."""

    design: str
    cells: Mapping[str, Cell]


@dataclass
class Scoreboard:
    """Rows are designs, columns kinds of fault; a cell without a run shows a dash."""

    rows: list[Row] = field(default_factory=list)

    def add_row(self, design: str, cells: Mapping[str, Cell]) -> Scoreboard:
        """Add a design, or put it in place of the row of the same name; returns itself."""
        row = Row(design, dict(cells))
        names = [existing.design for existing in self.rows]
        if design in names:
            self.rows[names.index(design)] = row
        else:
            self.rows.append(row)
        return self

    def add_column(self, kind: str, cells: Mapping[str, Cell]) -> Scoreboard:
        """Add a kind of fault to the rows of these designs; returns itself."""
        for design, cell in cells.items():
            found = next((row.cells for row in self.rows if row.design == design), {})
            self.add_row(design, {**found, kind: cell})
        return self

    @property
    def kinds(self) -> list[str]:
        """The columns; one that a row adds comes after its neighbour in that row."""
        kinds: list[str] = []
        for row in self.rows:
            place = 0
            for kind in row.cells:
                if kind not in kinds:
                    kinds.insert(place, kind)
                place = kinds.index(kind) + 1
        return kinds

    def text(self, row: Row, kind: str) -> str:
        """What a cell says."""
        return str(row.cells[kind]) if kind in row.cells else "–"

    def table(self) -> Table:
        """The board as a table."""
        rows = [[row.design, *(self.text(row, kind) for kind in self.kinds)] for row in self.rows]
        return Table(
            ["design", *self.kinds],
            rows,
            note="Left: reservations nobody will use. Dollars: money kept for trips that do "
            "not exist.",
            empty="No design has been tried yet.",
        )

    def __repr__(self) -> str:
        """The board as plain text."""
        return repr(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()
