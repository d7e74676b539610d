"""Tables for cells: the same text on every run, on a light page and on a dark one.

They never show a clock time, a run id or a duration, because nbval compares them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Protocol

from lab.showing.history import CLOSES, RUNNING, Event, History, Step
from travel.audit import Report
from travel.console import PICTURES, result_lines, trip_line
from travel.models import TripRequest
from travel.store.database import Database
from travel.store.holdings import Trip, read_trips
from travel.store.seed_data import cities, load_seed_data

if TYPE_CHECKING:
    from lab.simulation import Proof

SYMBOLS = {"completed": "✓", "failed": "✗", "timed out": "✗", "canceled": "✗", RUNNING: "…"}

COMPENSATION = "↓ Workflow enters compensation"

BACKGROUNDS = {"bad": "rgba(213,94,0,.16)", "undo": "rgba(86,180,233,.16)", "": "transparent"}

AS_IT_IS = 'class="mathjax_ignore"'
"""To JupyterLab what stands between two dollar signs is a formula, but for this."""

MILESTONES = {"WorkflowExecutionCancelRequested", *CLOSES}


class BookedTrip(Protocol):
    """What ``travel.booking.TripResult`` and ``lab.Trip`` have in common."""

    @property
    def request(self) -> TripRequest: ...

    @property
    def booked(self) -> bool: ...


@dataclass(frozen=True)
class Table:
    """Rows of text. ``tones`` colours whole rows: ``"bad"``, ``"undo"`` or ``""``."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    empty: str = "Nothing."
    tones: Sequence[str] = ()
    right: frozenset[str] = field(default_factory=frozenset)

    def __repr__(self) -> str:
        """The table as plain text."""
        if not self.rows:
            return "\n".join(filter(None, [self.empty, self.note]))
        lines = [self._line(self.columns), self._line(["-" * width for width in self._widths()])]
        lines += [self._line(row) for row in self.rows]
        return "\n".join(lines + ([self.note] if self.note else []))

    def _repr_html_(self) -> str:
        note = f'<p {AS_IT_IS} style="margin:.4em 0;">{escape(self.note)}</p>' if self.note else ""
        if not self.rows:
            return f"<p {AS_IT_IS}>{escape(self.empty)}</p>{note}"
        head = "".join(self._cell("th", name, name) for name in self.columns)
        body = "".join(self._html_row(index, row) for index, row in enumerate(self.rows))
        return (
            f'<table {AS_IT_IS} style="border-collapse:collapse;">'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"
        )

    def _html_row(self, index: int, row: Sequence[str]) -> str:
        tone = self.tones[index] if self.tones else ""
        cells = "".join(
            self._cell("td", name, text) for name, text in zip(self.columns, row, strict=True)
        )
        return f'<tr style="background:{BACKGROUNDS[tone]};">{cells}</tr>'

    def _cell(self, tag: str, column: str, text: str) -> str:
        align = "right" if column in self.right else "left"
        style = f"text-align:{align};padding:.25em .8em;white-space:pre-wrap;"
        return f'<{tag} style="{style}">{escape(text)}</{tag}>'

    def _widths(self) -> list[int]:
        rows = [self.columns, *self.rows]
        return [max(len(row[index]) for row in rows) for index in range(len(self.columns))]

    def _line(self, row: Sequence[str]) -> str:
        cells = [
            text.rjust(width) if name in self.right else text.ljust(width)
            for name, text, width in zip(self.columns, row, self._widths(), strict=True)
        ]
        return "  ".join(cells).rstrip()


@dataclass(frozen=True)
class Lines:
    """Lines of text that keep their columns."""

    lines: Sequence[str]

    def __repr__(self) -> str:
        """The lines as they are."""
        return "\n".join(self.lines)

    def _repr_html_(self) -> str:
        text = escape("\n".join(self.lines))
        style = "font-family:monospace;line-height:1.35;background:transparent;"
        return f'<pre style="{style}">{text}</pre>'


def activity_table(history: History) -> Table:
    """What was done and undone, a row an Activity, in the order of scheduling."""
    rows = [
        [
            str(number),
            step.activity,
            step.role,
            f"{SYMBOLS[step.outcome]} {step.outcome}",
            _attempts(step),
            step.words,
        ]
        for number, step in enumerate(history.steps, start=1)
    ]
    return Table(
        ["", "Activity", "what", "outcome", "attempts", "message"],
        rows,
        note=verdict(history),
        empty="No Activity was scheduled.",
        tones=[_tone(step) for step in history.steps],
        right=frozenset(["", "attempts"]),
    )


def event_table(history: History, *, everything: bool = False) -> Lines:
    """The Event History as the Web UI lists it, without the server's own bookkeeping.

    ``everything`` shows Workflow Tasks, timers and search attributes too.
    """
    lines: list[str] = []
    shown = _everything(history) if everything else _story(history)
    for event in shown:
        if COMPENSATION not in lines and _begins_compensation(event, history):
            lines.append(COMPENSATION)
        detail = f": {event.detail}" if event.detail else ""
        lines.append(f"{_event_symbol(event)} {event.type}{detail}")
    return Lines(["   " + line if line == COMPENSATION else line for line in lines])


def held_table(database: Database) -> Table:
    """What each trip holds and has been charged, now."""
    trips = read_trips(database)
    rows = [_held_row(code, trips[code]) for code in sorted(trips)]
    return Table(
        ["trip", "customer", "seats", "room nights", "car days", "charged", "customer was told"],
        rows,
        empty="Nothing is held and nothing is charged: no trip is known.",
        right=frozenset(["seats", "room nights", "car days", "charged"]),
    )


def audit_table(report: Report) -> Table:
    """What the audit found, and its verdict."""
    rows = [
        [finding.confirmation_code, finding.kind, finding.problem] for finding in report.findings
    ]
    sentence = (
        f"{'✓ Clean' if report.clean else '✗ NOT clean'}: "
        f"{_counted(report.trips, 'trip')}, {report.completed} completed, "
        f"{_counted(report.orphans, 'orphaned reservation')}, "
        f"${report.money_kept_cents / 100:,.2f} kept for trips that do not exist."
    )
    return Table(
        ["trip", "what", "problem"],
        rows,
        note=sentence,
        empty="The audit finds nothing wrong.",
        tones=["bad"] * len(rows),
    )


def proof_table(proof: Proof) -> Table:
    """What ``prove`` did to a saga, what should come of that, and how often it did not."""
    rows = [[line.tried, line.should, str(line.tally)] for line in proof.lines]
    return Table(
        ["what was done", "what should come of it", "lost"],
        rows,
        note=f"{proof.name}: {proof.tried:,} schedules, something lost in {proof.lost:,}.",
        tones=["bad" if line.tally.lost else "" for line in proof.lines],
    )


def trips_table(results: Sequence[BookedTrip], cities: Mapping[str, str] | None = None) -> Lines:
    """The trips in the brief's format, a line each, and the results."""
    names = cities if cities is not None else _cities()
    lines = [
        trip_line(number, len(results), result.request, result.booked, names, PICTURES)
        for number, result in enumerate(results, start=1)
    ]
    return Lines([*lines, "", *result_lines([result.booked for result in results], PICTURES)])


def verdict(history: History) -> str:
    """How the Workflow ended, in one sentence."""
    said = history.reason.rstrip(".")
    because = f": {said}" if said and not said.startswith("Workflow ") else ""
    if history.status == RUNNING:
        return "The Workflow is still running."
    return f"The Workflow {VERBS.get(history.status, history.status)}{because}."


VERBS = {
    "completed": "completed",
    "failed": "failed",
    "canceled": "was canceled",
    "terminated": "was terminated",
    "timed out": "timed out",
}


def _attempts(step: Step) -> str:
    # How far an Activity came that nobody waits for is chance.
    settled = step.outcome not in ("canceled", RUNNING)
    return str(step.attempts) if step.attempts and settled else ""


def _tone(step: Step) -> str:
    if step.outcome in ("failed", "timed out", "canceled"):
        return "bad"
    return "undo" if step.role == "undo" else ""


def _everything(history: History) -> list[Event]:
    # The virtual clock's own events come in any number.
    clock = "WorkflowExecutionTimeSkipping"
    return [event for event in history.events if not event.type.startswith(clock)]


def _story(history: History) -> list[Event]:
    """What the brief lists: Activities scheduled and closed, cancel requests, the end."""
    story, given_up = [], set()
    for event in history.events:
        activity = event.type.startswith("ActivityTask") and event.type != "ActivityTaskStarted"
        # The Workflow does not wait for an Activity that it asked to cancel, so its
        # end comes sooner or later, or never.
        if event.type in MILESTONES or (activity and event.activity not in given_up):
            story.append(event)
        if event.type == "ActivityTaskCancelRequested":
            given_up.add(event.activity)
    return story


def _begins_compensation(event: Event, history: History) -> bool:
    undone = set(history.compensations)
    return event.type == "ActivityTaskScheduled" and event.detail in undone


def _event_symbol(event: Event) -> str:
    if event.type.endswith("CancelRequested"):
        return "❗"
    if event.type.endswith(("Failed", "TimedOut", "Canceled", "Terminated")):
        return "❌"
    return "✅"


def _held_row(code: str, trip: Trip) -> list[str]:
    return [
        code,
        trip.request.customer if trip.request else "(no stored request)",
        str(len(trip.seats)),
        str(len(trip.nights)),
        str(len(trip.days)),
        f"${trip.charged_cents / 100:,.2f}",
        trip.outcome or "nothing yet",
    ]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _cities() -> dict[str, str]:
    return cities(load_seed_data())
