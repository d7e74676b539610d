"""Trips on the simulator: the travel Activities and the audit, in a database in memory."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from temporalio.client import WorkflowUpdateFailedError

import tests.paths  # noqa: F401

# isort: split
from lab.running.memory import Memory
from lab.simulation import Code, Handle, Outcome, Remembered, Simulation, SqliteRows, Trial

from tests.record_histories import all_designs
from travel.activities import Activities
from travel.audit import audit
from travel.errors import Rejected, Unavailable
from travel.models import Decision, TripRequest
from travel.store.booking_requests import record_outcome
from travel.trips import forty_four_trips
from travel.workflows.book_in_parallel import BookInParallel
from travel.workflows.book_trip import BookTrip

SAGAS = {"BookTrip": BookTrip, "BookInParallel": BookInParallel}
TOLD = {"completed": "booked", "failed": "failed", "canceled": "failed"}
"""What a customer is told. Of a terminated trip nobody knows yet whether it stands."""

STOCK = ("airports", "routes", "fares", "flights", "hotels", "rooms", "cars")
"""Tables of what there is; booking changes none of them."""

CUSTOMERS = (
    "Customer-001",
    "Customer-004",
    "BadRoute-Fail",
    "Penthouse-Fail",
    "Limousine-Fail",
    "PaymentFail-Test",
)
"""A trip that can succeed, one with two passengers, and one rejected by each provider."""


def requests() -> list[TripRequest]:
    """Trips of a few kinds."""
    by_customer = {request.customer: request for request in forty_four_trips()}
    return [by_customer[customer] for customer in CUSTOMERS]


def flawed() -> dict[str, Any]:
    """The designs that lose something."""
    wrong = {
        name: design for name, design in all_designs().items() if "designs" in design.__module__
    }
    return {name: d for name, d in wrong.items() if _books_one_trip(d)}


def _books_one_trip(design: Any) -> bool:
    definition = design.__temporal_workflow_definition
    return definition.arg_types == [TripRequest]


@dataclass
class Verdict:
    """What is wrong afterwards; as a truth value, whether anything is lost.

    A Workflow that is open has not lost what it holds: it says so, and somebody can act.
    """

    findings: list[Any]
    status: str
    problem: object = None

    def __bool__(self) -> bool:
        return bool(self.problem) or (bool(self.findings) and self.status != "running")


def book_and_decide(design: Any, request: TripRequest, simulation: Simulation) -> Handle:
    """Book the trip; a person settles what is refused to be undone, once nothing else happens."""
    handle = simulation.start(design, request, id=request.workflow_id)
    simulation.run()
    while design in SAGAS.values() and handle.status == "running" and not simulation.exhausted:
        refused = [stuck for stuck in handle.query(design.progress).waiting if stuck.refused]
        if not refused:
            break
        settled = Decision(refused[0].undo, settled_by="Kim", because="the provider said no")
        with suppress(WorkflowUpdateFailedError):  # not recorded: tries again
            handle.execute_update(design.decide, settled)
        simulation.run()
    return handle


class Travel:
    """The travel system in memory; one trip at a time, and nobody has booked before it."""

    def __init__(self, *, remember: bool = True) -> None:
        self.memory = Memory()
        self.world: Any = (
            Remembered(SqliteRows(self.memory._connection, STOCK)) if remember else self.memory
        )
        self.activities = Activities(self.memory.database)

    def code(self, design: Any, **options: Any) -> Code:
        """A Worker with that design."""
        return Code([design], [self.activities], **options)

    def trial(self, code: Code, design: Any, request: TripRequest, **options: Any) -> Trial:
        """Book that trip, and audit."""
        return Trial(
            code,
            design,
            [request],
            {"id": request.workflow_id},
            script=partial(book_and_decide, design, request),
            world=self.world,
            judge=lambda outcome: self._judge(outcome, request),
            engine={
                "outage": lambda activity: Unavailable(f"{activity}: no connection."),
                "rejection": lambda activity: Rejected(f"{activity}: rejected."),
            },
            **options,
        )

    def _judge(self, outcome: Outcome, request: TripRequest) -> Verdict:
        told = TOLD.get(outcome.status)
        if isinstance(self.world, Remembered):
            if told:
                self.world.do(
                    ("told", told), lambda: record_outcome(self.memory.database, request, told)
                )
            findings = self.world.ask("audit", lambda: audit(self.memory.database).findings)
        else:
            if told:
                record_outcome(self.memory.database, request, told)
            findings = audit(self.memory.database).findings
        return Verdict(findings, outcome.status, outcome.problem)

    def close(self) -> None:
        """Forget it all."""
        self.memory.close()
