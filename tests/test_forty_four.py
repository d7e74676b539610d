"""The 44 trips end the same way one by one, all at once, and with Workers killed in between."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from functools import partial

import pytest
from processes import read_until, running_module
from sqlalchemy import func, select
from temporal import UNDOS, compensations, run, running_system, until
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner

from travel.audit import audit
from travel.booking import TripResult, book_trips
from travel.faults import BRIEF_RATES, DEFAULT_SEED, RandomFaults
from travel.models import TripRequest
from travel.store.database import Database, booking_requests
from travel.temporal.connection import connect
from travel.temporal.server import embedded_server
from travel.trips import forty_four_trips
from travel.workflows import calls

TRIPS = forty_four_trips()
UNDOS_AFTER = {  # the table in the design: what a failure there undoes
    "flight rejected": [],
    "hotel rejected": UNDOS[3:],
    "car rejected": UNDOS[2:],
    "payment declined": UNDOS[1:],
    "book_hotel": UNDOS[2:],
    "book_car": UNDOS[1:],
    "accept_payment": UNDOS,
}
REJECTIONS = (
    ["flight rejected"] * 3 + ["hotel rejected"] * 5 + ["car rejected"] * 5 + ["payment declined"]
)

Outcomes = dict[str, tuple[bool, list[str]]]


def outage_of(trip: TripRequest) -> str | None:
    """The first provider that is down for this trip."""
    code, faults = trip.confirmation_code, RandomFaults(DEFAULT_SEED)
    return next((step for step in BRIEF_RATES if faults.draw(step, code, 1)), None)


def expected_outcomes() -> Outcomes:
    """What must become of each trip, worked out without booking any."""
    reasons = [outage_of(trip) for trip in TRIPS[:30]] + REJECTIONS
    return {
        trip.customer: (reason is None, list(UNDOS_AFTER[reason]) if reason else [])
        for trip, reason in zip(TRIPS, reasons, strict=True)
    }


async def outcomes_of(client: Client, results: Sequence[TripResult]) -> Outcomes:
    """What became of each trip, by the Event History."""
    return {
        result.request.customer: (
            result.booked,
            await compensations(client.get_workflow_handle(result.request.workflow_id)),
        )
        for result in results
    }


def assert_as_expected(outcomes: Outcomes, database: Database) -> None:
    assert outcomes == expected_outcomes()
    report = audit(database)
    assert report.findings == []
    assert (report.trips, report.completed) == (44, sum(booked for booked, _ in outcomes.values()))


def test_the_successes_are_in_the_brief_s_range() -> None:
    assert 15 <= sum(booked for booked, _ in expected_outcomes().values()) <= 18


@pytest.mark.everything
def test_one_after_the_other(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient = RetryPolicy(
        initial_interval=timedelta(milliseconds=1),
        maximum_attempts=calls.STEP_RETRIES.maximum_attempts,
        non_retryable_error_types=calls.REJECTIONS,
    )
    monkeypatch.setattr(calls, "STEP_RETRIES", impatient)

    async def test() -> Outcomes:
        async with (
            embedded_server(ui=False) as server,
            running_system(
                server.address,
                sqlite_database,
                RandomFaults(DEFAULT_SEED),
                workflow_runner=UnsandboxedWorkflowRunner(),  # the sandbox would not see the patch
            ) as system,
        ):
            results = [(await system.book(trip))[0] for trip in TRIPS]
            return await outcomes_of(system.client, results)

    assert_as_expected(run(test()), sqlite_database)


@pytest.mark.everything  # as notebook 04, and test_client with processes
def test_all_at_once(sqlite_database: Database) -> None:
    async def test() -> Outcomes:
        async with (
            embedded_server(ui=False) as server,
            running_system(server.address, sqlite_database, RandomFaults(DEFAULT_SEED)) as system,
        ):
            results = await book_trips(system.client, sqlite_database, TRIPS, queue=system.queue)
            assert [result.request for result in results] == TRIPS
            return await outcomes_of(system.client, results)

    assert_as_expected(run(test()), sqlite_database)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a POSIX matter")
@pytest.mark.everything
def test_with_the_worker_killed_at_three_points(sqlite_database: Database, sqlite_url: str) -> None:
    async def test() -> Outcomes:
        async with embedded_server(ui=False) as server:
            client = await connect(server.address)
            start_worker = partial(
                running_module,
                "travel.worker",
                TEMPORAL_ADDRESS=server.address,
                TRAVEL_DATABASE_URL=sqlite_url,
                TRAVEL_TASK_QUEUE="killed",
            )
            booking = asyncio.create_task(
                book_trips(client, sqlite_database, TRIPS, queue="killed")
            )
            with ExitStack() as stack:
                for finished in (1, 8, 20):
                    worker = stack.enter_context(start_worker())
                    await asyncio.to_thread(read_until, worker, "Worker started")
                    await until(partial(trips_finished, sqlite_database, finished), seconds=120)
                    worker.send_signal(signal.SIGKILL)
                    assert await asyncio.to_thread(worker.wait) == -signal.SIGKILL
                    assert not booking.done(), "killed while trips were under way"
                stack.enter_context(start_worker())
                return await outcomes_of(client, await booking)

    assert_as_expected(run(test()), sqlite_database)


async def trips_finished(database: Database, wanted: int) -> bool:
    query = select(func.count(booking_requests.c.outcome))
    with database.snapshot() as connection:
        return int(connection.execute(query).scalar_one()) >= wanted
