"""The scoreboard: what each design leaves behind after each kind of fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lab.showing.tables import Table
from travel.audit import Finding


@dataclass(frozen=True)
class Cell:
    """What an audit found after ``trips`` trips met one kind of fault.

    ``lost`` of them left something behind: a reservation, or a customer's money.
    """

    lost: int
    trips: int
    money_kept_cents: int = 0

    @classmethod
    def of(cls, findings: Sequence[Finding], trips: int) -> Cell:
        """The cell of so many trips, all of whose findings these are."""
        codes = {finding.confirmation_code for finding in findings}
        kept = sum(max(finding.amount_cents, 0) for finding in findings if finding.kind == "money")
        return cls(len(codes), trips, kept)

    @property
    def clean(self) -> bool:
        """No trip left anything."""
        return not self.lost

    @property
    def share(self) -> float:
        """The share of trips that left something, 0 to 1."""
        return self.lost / self.trips if self.trips else 0.0

    def __str__(self) -> str:
        """``"0"``, ``"3 of 4"`` or ``"3 of 4, $1,225"``."""
        if self.clean:
            return "0"
        words = f"{self.lost} of {self.trips}"
        return f"{words}, {_dollars(self.money_kept_cents)}" if self.money_kept_cents else words


def _dollars(cents: int) -> str:
    dollars = cents / 100
    return f"${dollars:,.0f}" if dollars < 999_999.5 else f"${dollars / 1e6:,.1f}M"


@dataclass(frozen=True)
class Row:
    """A design, and its cell for each kind of fault that it was put through."""

    design: str
    cells: Mapping[str, Cell]


@dataclass
class Scoreboard:
    """Rows are designs, columns kinds of fault; a cell without a run shows a dash.

    ``fresh`` has what was added last, a design or a column; a picture frames it.
    ``things`` says what is counted.
    """

    rows: list[Row] = field(default_factory=list)
    fresh: str = ""
    things: str = "trips"

    def add_row(self, design: str, cells: Mapping[str, Cell]) -> Scoreboard:
        """Add a design, or put it in place of the row of the same name; returns itself."""
        row = Row(design, dict(cells))
        names = [existing.design for existing in self.rows]
        if design in names:
            self.rows[names.index(design)] = row
        else:
            self.rows.append(row)
        self.fresh = design
        return self

    def add_column(self, kind: str, cells: Mapping[str, Cell]) -> Scoreboard:
        """Add a kind of fault to the rows of these designs; returns itself."""
        for design, cell in cells.items():
            found = next((row.cells for row in self.rows if row.design == design), {})
            self.add_row(design, {**found, kind: cell})
        self.fresh = kind
        return self

    def is_fresh(self, row: Row, kind: str) -> bool:
        """Whether this cell was added last, and is not what the row above it has."""
        if self.fresh == kind:
            return kind in row.cells
        if self.fresh != row.design or kind not in row.cells:
            return False
        place = self.rows.index(row)
        if not place:
            return False
        above = self.rows[place - 1].cells.get(kind)
        return above is None or str(above) != str(row.cells[kind])

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

    @property
    def title(self) -> str:
        """What the numbers are."""
        return f"{self.things.capitalize()} that left something behind, of those tried"

    def table(self) -> Table:
        """The board as a table."""
        rows = [[row.design, *(self.text(row, kind) for kind in self.kinds)] for row in self.rows]
        return Table(
            ["design", *self.kinds],
            rows,
            note=f"{self.title}. Dollars: customers' money kept.",
            empty="No design has been tried yet.",
        )

    def __repr__(self) -> str:
        """The board as plain text."""
        return repr(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()
