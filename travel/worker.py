"""A Worker: polls the Task Queue and runs Workflows and Activities.

``python -m travel.worker`` works until it is interrupted. Start as many as you
like, on as many machines as you like, against one server and one database.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.exceptions import ApplicationError
from temporalio.worker import Interceptor, Worker, WorkerDeploymentConfig

import travel
from travel.activities import Activities
from travel.console import leave, symbols_for
from travel.errors import DatabaseUnavailable, InvalidInput, TravelError
from travel.faults import DEFAULT_SEED, FaultModel, RandomFaults
from travel.faults.injection import FaultInjection
from travel.providers.hotels import Hotels, OwnHotels
from travel.reconciliation import Reconciliation
from travel.store.database import Database, open_database
from travel.store.inventory import count_seed_data, store_seed_data
from travel.store.seed_data import load_seed_data
from travel.temporal.connection import connect, register_search_attribute, task_queue
from travel.temporal.metrics import CountFailedUndos, runtime_with_metrics
from travel.temporal.runtime import quiet_runtime
from travel.temporal.watching import watched
from travel.workflows.book_trip import BookTrip
from travel.workflows.reconcile_trips import ReconcileTrips

WORKFLOWS: Sequence[type] = (BookTrip, ReconcileTrips)

ACTIVITY_THREADS = 16
"""Attempts that run at once. A Worker takes no more from the server than it has
threads for: an attempt that waits for a thread would use up its timeout."""

SHUTDOWN_GRACE = timedelta(seconds=5)

DEPLOYMENT_NAME = "travel"


def deployment(
    build_id: str | None = None, *, auto_upgrade: bool = False
) -> WorkerDeploymentConfig:
    """Which code a Worker runs; with ``build_id`` the server sends it only trips of that build.

    A new trip begins on the current build. It is pinned: it stays there to its end, while
    Workers of the next build take the trips that begin after it. With ``auto_upgrade`` trips
    move to the current build as soon as there is one; then the new code must be able to
    replay what the old one did (``workflow.patched``).

    Pinned is right for a trip, which takes minutes. An undo that is stuck keeps its build
    alive for as long: move that trip, with ``temporal workflow update-options
    --versioning-override-behavior one_time``.

    Without ``build_id`` a Worker takes every trip, and its version is only shown in the Web
    UI. It has a name even so: unnamed, the SDK would read and hash every loaded module to
    find one, which takes longer than the rest of a Worker's start.
    """
    pinned = VersioningBehavior.AUTO_UPGRADE if auto_upgrade else VersioningBehavior.PINNED
    version = WorkerDeploymentVersion(
        deployment_name=DEPLOYMENT_NAME, build_id=build_id or travel.__version__
    )
    return WorkerDeploymentConfig(
        version=version,
        use_worker_versioning=build_id is not None,
        default_versioning_behavior=pinned if build_id else VersioningBehavior.UNSPECIFIED,
    )


@asynccontextmanager
async def running_worker(
    client: Client,
    database: Database,
    *,
    faults: FaultModel | None = None,
    workflows: Sequence[type] = WORKFLOWS,
    queue: str | None = None,
    hotels: Callable[[Database], Hotels] = OwnHotels,
    **options: Any,
) -> AsyncIterator[Worker]:
    """Run a Worker for the length of the block, then let its attempts finish.

    ``faults`` makes attempts go wrong, ``hotels`` says who books the rooms; ``options`` go
    to ``temporalio.worker.Worker``.
    """
    interceptors: list[Interceptor] = [CountFailedUndos()]
    interceptors += [FaultInjection(faults)] if faults else []
    with ThreadPoolExecutor(ACTIVITY_THREADS, thread_name_prefix="activity") as threads:
        settings: dict[str, Any] = {
            "task_queue": queue or task_queue(),
            "workflows": workflows,
            "activities": activities_of(client, database, hotels(database)),
            "activity_executor": threads,
            "max_concurrent_activities": ACTIVITY_THREADS,
            "graceful_shutdown_timeout": SHUTDOWN_GRACE,
            "interceptors": interceptors,
            "deployment_config": deployment(),
        }
        async with Worker(client, **settings | options) as worker:
            yield worker


def activities_of(
    client: Client, database: Database, hotels: Hotels | None = None
) -> list[Callable[..., Any]]:
    """Every Activity, bound to this database and this client."""
    activities = Activities(database, hotels)
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
        activities.record_settlement,
        Reconciliation(database, client).find_abandoned_trips,
    ]


class ExpectedFailures(logging.Filter):
    """Keeps rejections and outages out of the log: the Event History has them."""

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a record about one of our own errors, unless our database failed."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, ApplicationError):
            error = error.__cause__
        return not isinstance(error, TravelError) or isinstance(error, DatabaseUnavailable)


def quiet_expected_failures() -> None:
    """Log an Activity's failure only if nobody planned for it."""
    logging.getLogger("temporalio.activity").addFilter(ExpectedFailures())


async def work(
    seed: int,
    *,
    metrics_port: int | None = None,
    build: WorkerDeploymentConfig | None = None,
) -> None:
    """Load the seed data and work until SIGINT or SIGTERM; ``build`` is as ``deployment``."""
    interrupted = _interruption()
    runtime = runtime_with_metrics(metrics_port) if metrics_port is not None else quiet_runtime()
    client = await connect(runtime=runtime)
    database = open_database()
    try:
        store_seed_data(database, load_seed_data())
        print(count_seed_data(database))
        print(f"{symbols_for(sys.stdout).check} Booking database initialized")
        await register_search_attribute(client)
        worker = running_worker(
            client,
            database,
            faults=RandomFaults(seed),
            deployment_config=build or deployment(),
        )
        async with worker, watched(client, _say):
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
    parser.add_argument(
        "--metrics",
        type=int,
        metavar="PORT",
        help="serve metrics for Prometheus at http://127.0.0.1:PORT/metrics",
    )
    parser.add_argument(
        "--build-id",
        metavar="ID",
        help="take part in Worker Versioning as this build: new trips come once it is current "
        "(temporal worker deployment set-current-version --deployment-name "
        f"{DEPLOYMENT_NAME} --build-id ID)",
    )
    parser.add_argument(
        "--auto-upgrade",
        action="store_true",
        help="trips of this build move to the next current one, instead of staying to their end",
    )
    options = parser.parse_args(arguments)
    if options.auto_upgrade and options.build_id is None:
        parser.error("--auto-upgrade needs a --build-id; expected both or neither")
    quiet_expected_failures()
    try:
        _check_build_id(options.build_id)
        build = deployment(options.build_id, auto_upgrade=options.auto_upgrade)
        asyncio.run(work(options.seed, metrics_port=options.metrics, build=build))
    except InvalidInput as error:
        print(error, file=sys.stderr)
        return 2
    except DatabaseUnavailable as error:
        print(f"The database stopped answering ({error.reason}).", file=sys.stderr)
        return 2
    return 0


def _check_build_id(build_id: str | None) -> None:
    if build_id is not None and not re.fullmatch(r"[A-Za-z0-9._+-]{1,100}", build_id):
        raise InvalidInput(
            f"The build id is {build_id[:60]!r}; expected 1 to 100 letters, digits, "
            "dots, dashes, plus signs or underscores, such as 2.1."
        )


if __name__ == "__main__":
    leave(main())
