"""What ``prove`` hands back: a report card, the mistakes by name, a row for a scoreboard."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .prove_judging import MISTAKES, Chart, Loss


@dataclass(frozen=True)
class Tally:
    """How many trials of a kind there were, and how many of them lost something."""

    lost: int
    tried: int

    @property
    def clean(self) -> bool:
        """None."""
        return not self.lost

    def __str__(self) -> str:
        return f"{self.lost} of {self.tried}" if self.lost else "0"


@dataclass(frozen=True)
class Line:
    """A kind of trouble: what was tried, what should hold, how often, and what was found."""

    kind: str
    tried: str
    should: str
    tally: Tally
    losses: Sequence[Loss] = ()


@dataclass(frozen=True)
class Proof:
    """What came of putting a saga through everything.

    ``losses`` has one entry for each mistake and place, each with the shortest schedule
    that shows it: ``proof.losses[0].schedule`` can be handed to ``replay``.
    """

    name: str
    chart: Chart
    lines: Sequence[Line]
    losses: Sequence[Loss]
    seed: int
    seconds: float

    @property
    def holds(self) -> bool:
        """Nothing was lost in any schedule."""
        return not self.lost

    @property
    def lost(self) -> int:
        """In how many schedules something was."""
        return sum(line.tally.lost for line in self.lines)

    @property
    def tried(self) -> int:
        """How many schedules there were."""
        return sum(line.tally.tried for line in self.lines)

    @property
    def mistakes(self) -> list[str]:
        """Their names, the first found first."""
        return list(dict.fromkeys(loss.mistake for loss in self.losses))

    @property
    def row(self) -> Mapping[str, Tally]:
        """For a scoreboard: kind of trouble -> how many of the trials lost something."""
        return {line.kind: line.tally for line in self.lines}

    def __repr__(self) -> str:
        """The report card."""
        return "\n".join([self._head(), *self._found_out(), *self._lines(), *self._mended()])

    def _repr_html_(self) -> str:
        return f'<pre style="line-height: 1.35">{html.escape(repr(self))}</pre>'

    def _head(self) -> str:
        verdict = "nothing lost" if self.holds else f"something lost in {self.lost:,}"
        return f"{self.name}: {self.tried:,} schedules, {verdict}"

    def _found_out(self) -> list[str]:
        chart = self.chart
        steps = [
            f"{step} (undone by {chart.undo_of[step]})" if step in chart.undo_of else step
            for step in chart.steps
        ]
        lines = [f"  steps: {', '.join(steps) or 'none'}"]
        others = [undo for undo in chart.undos if undo not in chart.undo_of.values()]
        if others:
            lines.append(f"  also seen when something failed: {', '.join(others)}")
        if chart.auxiliary:
            lines.append(
                f"  undone by nothing, and needed by nothing: {', '.join(sorted(chart.auxiliary))}"
            )
        return lines

    def _lines(self) -> list[str]:
        width = max((len(line.tried) for line in self.lines), default=0)
        text = []
        for line in self.lines:
            verdict = "FAILS" if line.tally.lost else "holds"
            count = (
                f"{line.tally.lost} of {line.tally.tried}"
                if line.tally.lost
                else (f"{line.tally.tried}")
            )
            text.append(f"  {verdict}  {line.tried.ljust(width)}  {line.should}  ({count})")
        return text

    def _mended(self) -> list[str]:
        text = []
        for loss in self.losses:
            where = f" ({loss.where})" if loss.where else ""
            text += ["", f"  {loss.mistake}{where}", f"    found: {loss.found.rstrip(chr(46))}."]
            if loss.mistake in MISTAKES:
                text.append(f"    {MISTAKES[loss.mistake]}")
            text += [f"    {line}" for line in repr(loss.schedule).splitlines()]
            if loss.next_flags:
                text.append("    with Code(…, next_flags=True), the SDK's next logic flags")
        return text
