"""A Worker: polls the Task Queue and runs Workflows and Activities.

``python -m travel.worker`` works until it is interrupted. Start as many as you
like, on as many machines as you like, against one server and one database.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig

import travel
from travel.activities import Activities
from travel.console import leave, symbols_for
from travel.errors import InvalidInput, TravelError
from travel.faults import DEFAULT_SEED, FaultModel, RandomFaults
from travel.faults.injection import FaultInjection
from travel.reconciliation import Reconciliation
from travel.store.database import Database, open_database
from travel.store.inventory import count_seed_data, store_seed_data
from travel.store.seed_data import load_seed_data
from travel.temporal.connection import connect, register_search_attribute, task_queue
from travel.temporal.watching import watched
from travel.workflows.book_trip import BookTrip
from travel.workflows.reconcile_trips import ReconcileTrips

WORKFLOWS: Sequence[type] = (BookTrip, ReconcileTrips)

ACTIVITY_THREADS = 16
"""Attempts that run at once. A Worker takes no more from the server than it has
threads for: an attempt that waits for a thread would use up its timeout."""

SHUTDOWN_GRACE = timedelta(seconds=5)

DEPLOYMENT = WorkerDeploymentConfig(
    version=WorkerDeploymentVersion(deployment_name="travel", build_id=travel.__version__),
    use_worker_versioning=False,
)
"""Which code a Worker runs, for the Web UI. Unnamed, the SDK would read and hash every
loaded module to find a name, which takes longer than the rest of a Worker's start."""


@asynccontextmanager
async def running_worker(
    client: Client,
    database: Database,
    *,
    faults: FaultModel | None = None,
    workflows: Sequence[type] = WORKFLOWS,
    queue: str | None = None,
    **options: Any,
) -> AsyncIterator[Worker]:
    """Run a Worker for the length of the block, then let its attempts finish.

    ``faults`` makes attempts go wrong; ``options`` go to ``temporalio.worker.Worker``.
    """
    interceptors = [FaultInjection(faults)] if faults else []
    with ThreadPoolExecutor(ACTIVITY_THREADS, thread_name_prefix="activity") as threads:
        settings: dict[str, Any] = {
            "task_queue": queue or task_queue(),
            "workflows": workflows,
            "activities": activities_of(client, database),
            "activity_executor": threads,
            "max_concurrent_activities": ACTIVITY_THREADS,
            "graceful_shutdown_timeout": SHUTDOWN_GRACE,
            "interceptors": interceptors,
            "deployment_config": DEPLOYMENT,
        }
        async with Worker(client, **settings | options) as worker:
            yield worker


def activities_of(client: Client, database: Database) -> list[Callable[..., Any]]:
    """Every Activity, bound to this database and this client."""
    activities = Activities(database)
    return [
        activities.store_booking_request,
        activities.book_flight,
        activities.cancel_flight,
        activities.book_hotel,
        activities.cancel_hotel,
        activities.book_car,
        activities.cancel_car,
        activities.accept_payment,
        activities.refund_payment,
        activities.send_confirmation_email,
        Reconciliation(database, client).find_abandoned_trips,
    ]


class ExpectedFailures(logging.Filter):
    """Keeps rejections and outages out of the log: the Event History has them."""

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a record about one of our own errors."""
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, TravelError)


def quiet_expected_failures() -> None:
    """Log an Activity's failure only if nobody planned for it."""
    logging.getLogger("temporalio.activity").addFilter(ExpectedFailures())


async def work(seed: int) -> None:
    """Load the seed data and work until SIGINT or SIGTERM."""
    interrupted = _interruption()
    client = await connect()
    database = open_database()
    try:
        store_seed_data(database, load_seed_data())
        print(count_seed_data(database))
        print(f"{symbols_for(sys.stdout).check} Booking database initialized")
        await register_search_attribute(client)
        async with (
            running_worker(client, database, faults=RandomFaults(seed)),
            watched(client, _say),
        ):
            print("Worker started, ctrl+c to exit", flush=True)
            await interrupted.wait()
        print("Worker stopped")
    finally:
        database.close()


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _interruption() -> asyncio.Event:
    """Set by SIGINT or SIGTERM."""
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, interrupted.set)
        except NotImplementedError:  # Windows: Ctrl-C raises KeyboardInterrupt instead
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(interrupted.set))
    return interrupted


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a Worker; exit 0 after an interrupt, 2 on bad usage or no server."""
    parser = argparse.ArgumentParser(
        prog="python -m travel.worker",
        description="Run a Worker for the travel Task Queue until it is interrupted.",
        epilog="TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY … say which server "
        "(default: localhost:7233), TRAVEL_DATABASE_URL which database, TRAVEL_TASK_QUEUE "
        "which queue. All Workers of a queue need the same database and the same seed.",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=DEFAULT_SEED,
        help="decides which trips meet an outage (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    quiet_expected_failures()
    try:
        asyncio.run(work(options.seed))
    except InvalidInput as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    leave(main())
