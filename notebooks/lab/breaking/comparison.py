"""The same trip, the same faults, several designs: what each of them makes of it."""

from __future__ import annotations

from typing import Any

from lab.running.system import Faults, Trip, start
from lab.showing.history import History
from lab.showing.tables import SYMBOLS, Table
from travel.audit import Report
from travel.models import TripRequest


async def compare(request: TripRequest | str, *designs: Any, faults: Faults = ()) -> Table:
    """Book the trip by each design, each on a system of its own; a row a design."""
    rows = [await _row(request, design, faults) for design in designs]
    return Table(
        ["design", "the customer was told", "compensations, in their order", "left behind"],
        rows,
        tones=["" if row[-1] == "nothing" else "bad" for row in rows],
    )


async def _row(request: TripRequest | str, design: Any, faults: Faults) -> list[str]:
    lab = await start(designs=[design], faults=faults)
    trip = await lab.book(request, design)
    await lab.settled()
    left = _left(lab.audit())
    undone = _compensations(await trip.history())
    await lab.close()
    return [design.__name__, _told(trip), undone, left or "nothing"]


def _left(report: Report) -> str:
    """``"2 reservations, $1,225"``, or nothing."""
    parts = []
    if report.orphans:
        parts.append(f"{report.orphans} reservation{'' if report.orphans == 1 else 's'}")
    if report.money_kept_cents:
        parts.append(f"${report.money_kept_cents / 100:,.0f}")
    return ", ".join(parts)


def _told(trip: Trip) -> str:
    return "booked" if trip.booked else f"failed: {trip.reason}"


def _compensations(history: History) -> str:
    undos = [step for step in history.steps if step.role == "undo"]
    # The sign stays on the line of what it belongs to.
    told = [f"{SYMBOLS[step.outcome]}\N{NO-BREAK SPACE}{step.activity}" for step in undos]
    return ", ".join(told) or "none"
