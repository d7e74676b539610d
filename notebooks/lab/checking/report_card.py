"""The report card: a line a trial, in plain text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.checking.trials import Problem


@dataclass(frozen=True)
class Line:
    """One trial: what was tried, what should hold, and the problem if it does not."""

    tried: str
    should: str
    problem: Problem | None = None


@dataclass(frozen=True)
class ReportCard:
    """What a check found; shown, never raised. ``note`` stands alone where nothing was tried.

    ``only_problems`` leaves out the lines that hold, where there are many. ``simulated`` and
    ``real`` count the trips.
    """

    exercise: str
    lines: Sequence[Line] = ()
    note: str = ""
    only_problems: bool = False
    simulated: int = 0
    real: int = 0

    @property
    def passed(self) -> bool:
        """Every line holds."""
        return bool(self.lines) and not self.problems

    @property
    def problems(self) -> list[Line]:
        """The lines that do not hold."""
        return [line for line in self.lines if line.problem]

    @property
    def mistakes(self) -> list[str]:
        """The mistakes that this looks like, the first first."""
        found = (line.problem.mistake for line in self.lines if line.problem)
        return list(dict.fromkeys(found))

    def __repr__(self) -> str:
        if not self.lines:
            return f"{self.exercise}: {self.note}"
        good = len(self.lines) - len(self.problems)
        width = max(len(line.tried) for line in self.lines)
        text = [f"{self.exercise}: {good} of {len(self.lines)} hold"]
        for line in self.problems if self.only_problems else self.lines:
            text += _told(line, width)
        text.append(self.note or ("All of it holds." if self.passed else "Stuck? Ask for a hint."))
        if self.simulated:
            text.append(self._counted())
        return "\n".join(text)

    def _counted(self) -> str:
        trips = f"{self.simulated} schedule{'s' if self.simulated > 1 else ''} simulated"
        return f"{trips}, and one trip booked for real." if self.real else f"{trips}."


def _told(line: Line, width: int) -> list[str]:
    tried = line.tried.ljust(width)
    if line.problem is None:
        return [f"  holds  {tried}  {line.should}"]
    return [
        f"  FAILS  {tried}  should hold: {line.should}",
        f"         {' ' * width}  found: {line.problem.found}",
    ]
