"""The same trips on a real server and on the simulator, with the same faults, one after the other.

``python -m tests.simulate_beside_server`` prints how many trips a second each books, and
every difference between what became of them. Exit codes: 0 no difference, 1 some.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tests.paths  # noqa: F401

# isort: split
from lab.simulation import Fate, Schedule
from lab.simulation import Fault as SimulatedFault
from temporal import UNDOS, compensations, running_system

from tests.simulated_trips import Travel
from travel.audit import audit
from travel.booking import book_trips
from travel.faults import Fault, ScriptedFault
from travel.models import TripRequest
from travel.store.address import sqlite_url
from travel.store.database import open_database
from travel.store.inventory import store_seed_data
from travel.store.seed_data import load_seed_data
from travel.temporal.server import start_server
from travel.trips import forty_four_trips
from travel.workflows.book_trip import BookTrip

STEPS = ("book_flight", "book_hotel", "book_car", "accept_payment")
HOW: tuple[tuple[Fault, tuple[int, ...]], ...] = (
    (Fault.OUTAGE, ()),
    (Fault.BLIP, (1,)),
    (Fault.LOST_ACKNOWLEDGEMENT, (1,)),
    (Fault.LOST_ACKNOWLEDGEMENT, ()),
    (Fault.NO_REPLY, (1,)),
    (Fault.LATE_COMMIT, (1,)),
    (Fault.LATE_COMMIT, ()),
)
"""Kinds of faults, and the attempts that they hit; ``()`` is every one."""

FATES = {
    Fault.OUTAGE: Fate.OUTAGE,
    Fault.BLIP: Fate.OUTAGE,
    Fault.LOST_ACKNOWLEDGEMENT: Fate.LOST_REPLY,
    Fault.NO_REPLY: Fate.NO_REPLY,
    Fault.LATE_COMMIT: Fate.LATE,
}
"""The same in the words of the simulator."""

ROUNDS = 10

Fates = dict[str, tuple[bool, list[str]]]
"""Of each customer: whether the trip was booked, and what was undone, in that order."""


@dataclass(frozen=True)
class Played:
    """What became of the trips on one of the two; ``seconds`` real time for all of them."""

    fates: Fates
    findings: list[object]
    trips: int
    seconds: float

    @property
    def rate(self) -> float:
        """Trips a second."""
        return self.trips / self.seconds


def cases() -> tuple[list[TripRequest], list[ScriptedFault]]:
    """The 44 trips, and every kind of fault at every step of one of them."""
    trips = forty_four_trips()
    pairs = [(step, fault, attempts) for step in STEPS for fault, attempts in HOW]
    script = [
        ScriptedFault(step, fault, attempts, trip.confirmation_code)
        for trip, (step, fault, attempts) in zip(trips, pairs, strict=False)
    ]
    return trips, script


async def on_server(address: str) -> Played:
    """Book them on the server at ``address``, as many at once as it takes."""
    trips, script = cases()
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(sqlite_url(Path(folder) / "travel.sqlite"))
        store_seed_data(database, load_seed_data())
        async with running_system(address, database, script) as system:
            begun = time.monotonic()
            results = await book_trips(system.client, database, trips, queue=system.queue)
            await system.injection.settled()
            seconds = time.monotonic() - begun
            handles = [system.client.get_workflow_handle(trip.workflow_id) for trip in trips]
            undone = [await compensations(handle) for handle in handles]
        findings: list[object] = list(audit(database).findings)
        database.close()
    fates = {
        trip.customer: (result.booked, names)
        for trip, result, names in zip(trips, results, undone, strict=True)
    }
    return Played(fates, findings, len(trips), seconds)


def on_simulator(rounds: int = ROUNDS) -> Played:
    """Book each in a world of its own, the faults being the simulator's; all that ``rounds`` times.

    From the second round on the database is not asked for what it has answered before.
    """
    trips, script = cases()
    travel = Travel()
    code = travel.code(BookTrip)
    trials = [(trip, travel.trial(code, BookTrip, trip)) for trip in trips]
    fates: Fates = {}
    findings: list[object] = []
    begun = time.monotonic()
    for _ in range(rounds):
        for trip, trial in trials:
            outcome = trial.run(schedule_of(trip, script))
            undone = [name for name in outcome.scheduled if name in UNDOS]
            fate = (outcome.status == "completed", undone)
            assert fates.setdefault(trip.customer, fate) == fate, "a round is like the other"
            findings += outcome.left.findings
    seconds = time.monotonic() - begun
    travel.close()
    return Played(fates, findings, rounds * len(trips), seconds)


def schedule_of(trip: TripRequest, script: Sequence[ScriptedFault]) -> Schedule:
    """The script's faults of one trip as the simulator's."""
    mine = [line for line in script if line.confirmation_code == trip.confirmation_code]
    return Schedule(
        *(
            SimulatedFault(line.step, FATES[line.fault].value, attempts=len(line.attempts))
            for line in mine
        )
    )


def differences(server: Played, simulator: Played) -> list[str]:
    """What became of a trip here and there, where that is not the same."""
    found = [
        f"{customer}: {fate} on the server, {simulator.fates[customer]} on the simulator"
        for customer, fate in server.fates.items()
        if fate != simulator.fates[customer]
    ]
    if server.findings != simulator.findings:
        found.append(f"the audit: {server.findings} and {simulator.findings}")
    return found


async def on_a_server() -> Played:
    """The same on one of its own: elsewhere trips of these customers may have been booked."""
    server = await start_server(ui=False)
    try:
        return await on_server(server.address)
    finally:
        await server.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    if sys.argv[1:] if arguments is None else arguments:
        print("usage: python -m tests.simulate_beside_server", file=sys.stderr)
        return 2
    server, simulator = asyncio.run(on_a_server()), on_simulator()
    print(f"server:    {server.trips} trips, {server.rate:,.1f} a second")
    print(f"simulator: {simulator.trips} trips, {simulator.rate:,.1f} a second, one process")
    print(f"{simulator.rate / server.rate:,.0f} times as many")
    found = differences(server, simulator)
    print("\n".join(found) or "no difference in any verdict")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
