"""Change under running trips: two builds of a Worker, and the life of a patch."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest
from lab.breaking.scenarios import request_for
from lab.changes.cooling_off_deprecated import CoolingOffDeprecated
from lab.changes.cooling_off_patched import CoolingOffPatched
from lab.changes.cooling_off_plain import CoolingOffPlain
from lab.designs.cooling_off import CoolingOff
from lab.running.deployments import build_of, move_once, set_current
from lab.running.system import System, Trip
from lab.running.worker_process import start_without_worker, start_worker
from temporal import a_new_trip, run, running_system, until
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from tests.sampling import few
from travel.faults import Fault, ScriptedFault
from travel.store.database import Database
from travel.temporal.runtime import quiet_runtime
from travel.workflows.book_trip import BookTrip

NEVER_UNDOES_A_ROOM = [ScriptedFault("cancel_hotel", Fault.OUTAGE)]
"""What is wrong with the old build: it cannot undo, and only a new build can."""


async def is_stuck(trip: Trip) -> bool:
    return bool((await trip.query(BookTrip.progress)).stuck)


async def timers(trip: Trip) -> int:
    """How often a trip waited before its payment: once on the new build, never on the old."""
    events = (await trip.history()).events
    details = [event.detail for event in events if event.type == "TimerStarted"]
    return sum("think again" in detail for detail in details)


async def begin(lab: System, numbers: range, **changes: str) -> list[Trip]:
    return [await lab.begin(request_for(number, changes)) for number in numbers]


@pytest.mark.everything
def test_a_hundred_trips_across_a_deployment() -> None:
    """Pinned: each ends on the build it began on, but for those that somebody moves."""

    async def test() -> None:
        lab = await start_without_worker()
        await start_worker(lab, NEVER_UNDOES_A_ROOM, build_id="1")
        await set_current(lab, "1")
        stuck = await begin(lab, range(1, 21), car_type="limousine")
        before = await begin(lab, range(21, 61))
        for trip in stuck:
            await until(lambda trip=trip: is_stuck(trip), 60)  # type: ignore[misc]

        # Unpatched, for no trip from before will be replayed by it.
        await start_worker(lab, workflows=[CoolingOff], build_id="2")
        await set_current(lab, "2")
        after = await begin(lab, range(61, 101))
        for trip in before + after:
            await trip.end()
            assert trip.booked, trip.reason
        assert [await build_of(trip) for trip in before] == ["1"] * 40
        assert [await build_of(trip) for trip in after] == ["2"] * 40
        assert [await timers(trip) for trip in before] == [0] * 40
        assert [await timers(trip) for trip in after] == [1] * 40

        # The new build could undo the rooms, but pinned trips do not come to it by themselves.
        assert [await build_of(trip) for trip in stuck] == ["1"] * 20
        assert all([await is_stuck(trip) for trip in stuck])
        for trip in stuck:
            await move_once(trip, "2")
        for trip in stuck:
            await trip.end()
            assert "limousine" in trip.reason
        assert [await build_of(trip) for trip in stuck] == ["2"] * 20
        report = lab.audit()
        assert (report.trips, report.completed, report.clean) == (100, 80, True)
        await lab.close()

    run(test())


@pytest.mark.everything
def test_with_auto_upgrade_a_trip_needs_code_that_can_replay_it() -> None:
    """Unpatched, it stops at the change and waits. Patched, it goes on where it was."""

    async def test() -> None:
        lab = await start_without_worker()
        faults = [
            ScriptedFault("accept_payment", Fault.LOST_ACKNOWLEDGEMENT),
            ScriptedFault("refund_payment", Fault.OUTAGE),
        ]
        old = await start_worker(lab, faults, build_id="1", auto_upgrade=True)
        await set_current(lab, "1")
        trip = await lab.begin(request_for(1))
        await until(lambda: is_stuck(trip), 60)
        await start_worker(lab, workflows=[CoolingOff], build_id="2", auto_upgrade=True)
        await set_current(lab, "2")

        async def fails_to_replay() -> bool:
            events = (await trip.history()).events
            return any(event.type == "WorkflowTaskFailed" for event in events)

        await until(fails_to_replay, 60)
        assert not lab.audit().clean  # it waits, and so does what it owes
        await start_worker(lab, workflows=[CoolingOffPatched], build_id="3", auto_upgrade=True)
        await set_current(lab, "3")
        await trip.end()
        assert (await build_of(trip), await timers(trip)) == ("3", 0)
        assert lab.audit().clean
        await old.stop()
        await lab.close()

    run(test())


# --- the life of a patch --------------------------------------------------------------------

LIFE = (BookTrip, CoolingOffPatched, CoolingOffDeprecated, CoolingOffPlain)


async def histories(address: str, database: Database) -> list[WorkflowHistory]:
    """A trip of each version of the code."""
    found = []
    for number, design in enumerate(LIFE):
        async with running_system(address, database, workflows=[design]) as system:
            dates = {
                "departure_date": f"2025-02-1{number}",
                "return_date": f"2025-02-1{number + 1}",
            }
            result, handle = await system.book(a_new_trip(**dates), design)
            assert result.booked
            found.append(await handle.fetch_history())
    return found


async def replays(design: type, history: WorkflowHistory) -> bool:
    replayer = Replayer(workflows=[design], runtime=quiet_runtime())
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    if result.replay_failure is not None:
        assert isinstance(result.replay_failure, NondeterminismError), result.replay_failure
    return result.replay_failure is None


def test_the_life_of_a_patch(temporal_address: str, sqlite_database: Database) -> None:
    """Which version of the code can go on with a trip that began on which."""

    async def test() -> None:
        began = await histories(temporal_address, sqlite_database)
        table = [[await replays(design, history) for history in began] for design in LIFE]
        #  a trip that began    before, patched, deprecated, plain
        assert table[1][:3] == [True, True, True]
        assert table[2] == [False, True, True, True]
        assert table[3] == [False, False, True, True]
        assert table[0] == [True, False, False, False]

    run(test())


def test_a_patch_is_seen_by_everybody_who_asks_later(
    temporal_address: str, sqlite_database: Database
) -> None:
    """A trip from before keeps its way, whichever Worker goes on with it."""

    async def test() -> None:
        trip = a_new_trip()
        async with running_system(temporal_address, sqlite_database) as system:
            result, handle = await system.book(trip)
            assert result.booked
            history = await handle.fetch_history()
        assert await replays(CoolingOffPatched, history)
        assert not await replays(CoolingOff, history)

    run(test())


# --- the command ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    few(
        [
            (["--build-id", ""], "The build id is ''; expected 1 to 100 letters"),
            (["--build-id", "two words"], "The build id is 'two words'; expected 1 to 100 letters"),
            (["--build-id", "x" * 101], "expected 1 to 100 letters"),
            (["--auto-upgrade"], "--auto-upgrade needs a --build-id; expected both or neither"),
        ]
    ),
)
def test_a_bad_build_id_is_one_sentence(arguments: list[str], said: str) -> None:
    command = [sys.executable, "-m", "travel.worker", *arguments]
    environment = {**os.environ, "TEMPORAL_ADDRESS": "127.0.0.1:1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_worker_without_a_build_id_takes_every_trip(
    temporal_address: str, sqlite_database: Database
) -> None:
    async def test() -> None:
        async with running_system(temporal_address, sqlite_database) as system:
            result, handle = await system.book(a_new_trip())
            assert result.booked
            info = (await handle.describe()).raw_description.workflow_execution_info
            assert not info.versioning_info.deployment_version.build_id

    asyncio.run(test())
