"""A whole trip with a foreign hotel, on the simulator: every fault at every attempt of it.

``trials`` looks at the line to the company; this looks at the saga around it. Time is the
simulation's, so a statement that is out tomorrow costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.breaking.scenarios import request_for
from lab.foreign.companies import CallbackCompany
from lab.foreign.kinds import KINDS, OWN, Kind, hotels_of
from lab.running.memory import Memory
from lab.showing.scoreboards import Cell, Scoreboard
from lab.simulation import (
    FAULTS,
    Code,
    Fate,
    Fault,
    Outcome,
    Schedule,
    Trial,
    cancels_at,
    faults_at,
)
from travel.activities import Activities
from travel.audit import audit
from travel.errors import Rejected, Unavailable
from travel.models import TripRequest
from travel.store.booking_requests import record_outcome
from travel.workflows.book_on_request import BookOnRequest
from travel.workflows.book_trip import BookTrip

RECORD = Path(__file__).with_name("scoreboard.json")

TOLD = {"completed": "booked", "failed": "failed", "canceled": "failed"}


@dataclass(frozen=True)
class Left:
    """What the audit found after one simulated trip, and what had gone wrong with it."""

    what: str
    findings: list[Any]
    status: str


def design_for(kind: Kind) -> Any:
    """The saga that is patient enough for this company."""
    return BookOnRequest if kind.company is CallbackCompany else BookTrip


def simulate_hotels(kind: Kind, use: Callable[..., Any]) -> list[Left]:
    """Trips that stand and trips that have no car, each with one thing that goes wrong.

    Every fault at the attempts of the hotel's two Activities, once and at all attempts of a
    call; a cancel request at a few moments; and a hotel that is down for two days when
    it is to undo a booking whose reply was lost.
    """
    memory = Memory()
    try:
        hotels: Any = hotels_of(kind, use)(memory.database)
        found, empty = [], memory.snapshot()
        for request in (request_for(1), request_for(1, {"car_type": "limousine"})):
            memory.restore(empty)
            trial = _trial(kind, hotels, memory, request)
            calm = trial.run()
            found += [_left("no fault", calm)]
            found += [_left(what, trial.run(plan)) for what, plan in _plans(calm)]
        return found
    finally:
        memory.close()


def _plans(calm: Outcome) -> Iterator[tuple[str, Schedule]]:
    for fault in faults_at(calm, FAULTS, lasting=(1, 0)):
        # An undo that is refused waits for a person, whatever the company: not a loss.
        refused_undo = (fault.activity, fault.fate) == ("cancel_hotel", Fate.REJECTED.value)
        # A company that calls back is looked at a dozen times; the first few will do.
        if "hotel" in fault.activity and fault.attempt <= 2 and not refused_undo:
            yield fault.fate, Schedule(fault)
    for cancel in cancels_at(calm)[:: max(5, calm.moments // 8)]:
        yield "cancel", Schedule(cancel)
    if "cancel_hotel" in calm.scheduled:
        turns = [Fault("cancel_hotel", "outage", call, attempts=0) for call in range(1, 56)]
        yield "down for two days", Schedule(Fault("book_hotel", "lost reply"), *turns)


def simulated_cells(left: Iterable[Left]) -> dict[str, Cell]:
    """Count the trips that left something, by kind of fault."""
    columns: dict[str, list[Left]] = {}
    for one in left:
        columns.setdefault(one.what, []).append(one)
    return {
        what: Cell(lost=sum(bool(one.findings) for one in found), trips=len(found))
        for what, found in columns.items()
    }


def recorded_hotels() -> Scoreboard:
    """The rows of all kinds, as ``python -m lab.foreign.simulated`` recorded them."""
    board = Scoreboard()
    for row, found in json.loads(RECORD.read_text()).items():
        board.add_row(row, {what: Cell(*cell) for what, cell in found.items()})
    board.fresh = ""  # all rows are new, so none is framed
    return board


def rows() -> Iterator[tuple[str, Kind, Callable[..., Any]]]:
    """Name, company and use of every row."""
    yield OWN.name, OWN, OWN.adapter
    for kind in KINDS:
        assert kind.naive is not None
        yield f"{kind.name}, naive", kind, kind.naive
        yield f"{kind.name}, adapter", kind, kind.adapter


def _record() -> None:
    found = {row: simulated_cells(simulate_hotels(kind, use)) for row, kind, use in rows()}
    text = {row: {w: [c.lost, c.trips] for w, c in cells.items()} for row, cells in found.items()}
    RECORD.write_text(json.dumps(text, indent=1) + "\n")


def _trial(kind: Kind, hotels: Any, memory: Memory, request: TripRequest) -> Trial:
    design = design_for(kind)

    def judge(outcome: Outcome) -> list[Any]:
        if told := TOLD.get(outcome.status):
            record_outcome(memory.database, request, told)  # type: ignore[arg-type]
        hotels.company.deliver("", float("inf"))  # what would still come, comes
        findings: list[Any] = list(audit(memory.database).findings)
        hotels.forget()
        return findings or ([outcome.status] if outcome.status == "running" else [])

    return Trial(
        Code([design], [Activities(memory.database, hotels)]),
        design,
        [request],
        {"id": request.workflow_id},
        world=memory,
        judge=judge,
        engine={
            "outage": lambda activity: Unavailable(f"{activity}: no connection."),
            "rejection": lambda activity: Rejected(f"{activity}: rejected."),
        },
    )


def _left(what: str, outcome: Outcome) -> Left:
    if outcome.problem is not None:
        raise outcome.problem
    return Left(what, outcome.left, outcome.status)


if __name__ == "__main__":
    _record()
