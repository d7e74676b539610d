"""Whatever is killed while trips are under way, they end as if nothing had happened.

Worker processes, the Temporal server and PostgreSQL are killed for real. What each trip must
come to is known beforehand: its outages are drawn from its confirmation code.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from lab.breaking.scenarios import request_for
from lab.running import postgres
from processes import read_until, running_module
from temporal import run
from temporalio.client import Client
from temporalio.service import RPCError

from travel.audit import audit
from travel.booking import TripResult, result_of, start_trip
from travel.errors import DatabaseUnavailable
from travel.faults import BRIEF_RATES, RandomFaults
from travel.models import TripRequest
from travel.store.database import Database, open_database
from travel.store.inventory import store_seed_data
from travel.store.seed_data import load_seed_data
from travel.temporal.connection import connect
from travel.temporal.server import embedded_server, start_server
from travel.worker import running_worker

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a POSIX matter"),
]

SEED = 20250120
QUEUE = "processes"
AT_ONCE = 40
UNLUCKY = 0.25
"""Share of the trips that may fail although no outage was drawn: killed, or too late on a busy
machine, three times at the same step."""

FAULTS = RandomFaults(SEED)


def trips_of(number: int) -> list[TripRequest]:
    return [request_for(n) for n in range(1, number + 1)]


def books_calmly(trip: TripRequest) -> bool:
    """What becomes of a trip when nobody kills anything."""
    return not any(FAULTS.draw(step, trip.confirmation_code, 1) for step in BRIEF_RATES)


async def book_patiently(
    client: Client, database: Database, trips: list[TripRequest], ended: list[TripResult]
) -> list[TripResult]:
    """Book like a client that asks again when server or database do not answer.

    Each result is put into ``ended`` too, as soon as there is one.
    """
    slots = asyncio.Semaphore(AT_ONCE)

    async def book(trip: TripRequest) -> TripResult:
        async with slots:
            while True:
                with suppress(RPCError, DatabaseUnavailable):
                    handle = await start_trip(client, trip, queue=QUEUE)
                    ended.append(await result_of(handle, trip, database))
                    return ended[-1]
                await asyncio.sleep(0.5)

    return list(await asyncio.gather(*map(book, trips)))


def assert_as_on_a_calm_day(results: list[TripResult], database: Database) -> None:
    report = audit(database)
    assert report.findings == []
    assert report.trips == len(results)
    assert report.completed == sum(result.booked for result in results)
    calm = [books_calmly(result.request) for result in results]
    different = [r for r, booked in zip(results, calm, strict=True) if r.booked != booked]
    assert not any(result.booked for result in different), "an outage was drawn"
    told = [(result.request.confirmation_code, result.reason) for result in different]
    assert len(different) <= UNLUCKY * len(results), told
    assert 0.3 < sum(calm) / len(calm) < 0.6, "both kinds, and as many as the rates say"


async def while_booking(
    booking: asyncio.Task[list[TripResult]],
    ended: list[TripResult],
    moments: Sequence[int],
    act: Callable[[], Coroutine[Any, Any, Any]],
) -> int:
    """Act each time when so many trips have ended, and others are under way; returns how often."""
    acts = 0
    for number in moments:
        while len(ended) < number and not booking.done():
            await asyncio.sleep(0.05)
        if booking.done():
            break
        await act()
        acts += 1
    return acts


# --- Workers ------------------------------------------------------------------------


class Crew:
    """Worker processes on one Task Queue, any of which may be killed at any time."""

    def __init__(self, stack: ExitStack, dice: random.Random, **settings: str) -> None:
        self._dice = dice
        self._stack = stack
        self._start = partial(
            running_module,
            "travel.worker",
            "--seed",
            str(SEED),
            TRAVEL_TASK_QUEUE=QUEUE,
            **settings,
        )
        self.workers: list[Any] = []

    async def hire(self, number: int = 1) -> None:
        """Start Workers and wait until all of them work."""
        fresh = [self._stack.enter_context(self._start()) for _ in range(number)]
        for worker in fresh:
            await asyncio.to_thread(read_until, worker, "Worker started")
        self.workers += fresh

    async def kill_one(self) -> None:
        """``kill -9`` of one of them; another one takes its place."""
        victim = self.workers.pop(self._dice.randrange(len(self.workers)))
        victim.send_signal(signal.SIGKILL)
        assert await asyncio.to_thread(victim.wait, 30) == -signal.SIGKILL
        await self.hire()


@pytest.mark.everything
def test_workers_are_killed_at_random(sqlite_database: Database, sqlite_url: str) -> None:
    dice = random.Random(SEED)

    async def test() -> tuple[list[TripResult], int]:
        async with embedded_server(ui=False) as server:
            with ExitStack() as stack:
                crew = Crew(
                    stack, dice, TEMPORAL_ADDRESS=server.address, TRAVEL_DATABASE_URL=sqlite_url
                )
                await crew.hire(3)
                client = await connect(server.address)
                trips = trips_of(150)
                ended: list[TripResult] = []
                booking = asyncio.create_task(book_patiently(client, sqlite_database, trips, ended))
                moments = sorted(dice.sample(range(100), 5))
                kills = await while_booking(booking, ended, moments, crew.kill_one)
                return await booking, kills

    results, kills = run(test())
    assert kills == 5
    assert_as_on_a_calm_day(results, sqlite_database)


# --- the server ---------------------------------------------------------------------


@pytest.mark.everything
def test_the_server_is_killed_and_comes_back(sqlite_database: Database, tmp_path: Path) -> None:

    async def test() -> tuple[list[TripResult], int]:
        start = partial(start_server, ui=False, database_filename=str(tmp_path / "temporal.sqlite"))
        server = await start()
        port = int(server.address.split(":")[1])

        async def kill() -> None:
            nonlocal server
            os.kill(server.pid, signal.SIGKILL)
            await server.stop()
            server = await start(port=port)

        try:
            client = await connect(server.address)
            async with running_worker(client, sqlite_database, faults=FAULTS, queue=QUEUE):
                trips = trips_of(100)
                ended: list[TripResult] = []
                booking = asyncio.create_task(book_patiently(client, sqlite_database, trips, ended))
                kills = await while_booking(booking, ended, (10, 50), kill)
                return await booking, kills
        finally:
            await server.stop()

    results, kills = run(test())
    assert kills == 2
    assert_as_on_a_calm_day(results, sqlite_database)


# --- the database ------------------------------------------------------------------


@pytest.fixture
def own_postgres() -> Iterator[str]:
    """A PostgreSQL server for one test alone, which may be crashed."""
    try:
        with postgres.running_server() as url:
            yield url.render_as_string(hide_password=False)
    except postgres.NotInstalled as reason:
        if os.environ.get("CI"):
            pytest.fail(f"No PostgreSQL: {reason}.", pytrace=False)
        pytest.skip(f"No PostgreSQL: {reason}.")


def crash_postgres(url: str) -> None:
    """Kill one of its processes: it drops every connection, recovers and starts again."""
    with psycopg.connect(url) as connection:
        pid = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert pid is not None
        os.kill(pid[0], signal.SIGKILL)
    # Leaving the block finds the connection gone, and nothing to commit.


@pytest.mark.everything
def test_postgresql_crashes_under_load(own_postgres: str) -> None:

    async def crash() -> None:
        with suppress(psycopg.OperationalError):
            await asyncio.to_thread(crash_postgres, own_postgres)

    async def test(database: Database) -> tuple[list[TripResult], int]:
        async with embedded_server(ui=False) as server:
            client = await connect(server.address)
            async with running_worker(client, database, faults=FAULTS, queue=QUEUE):
                trips = trips_of(150)
                ended: list[TripResult] = []
                booking = asyncio.create_task(book_patiently(client, database, trips, ended))
                crashes = await while_booking(booking, ended, (5, 80), crash)
                return await booking, crashes

    database = open_database(own_postgres)
    try:
        store_seed_data(database, load_seed_data())
        results, crashes = run(test(database))
        assert crashes == 2
        assert_as_on_a_calm_day(results, database)
    finally:
        database.close()
