"""Book the 44 trips of the course and audit what they left behind.

``python -m travel.client`` needs nothing but this repository: it brings a
Temporal server, a Worker and a database of its own. With ``TEMPORAL_ADDRESS``
set it is only a client of that server and of the Workers that poll there.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

from temporalio.client import Client
from temporalio.service import RPCError
from tqdm import tqdm

from travel.audit import audit, render
from travel.booking import TripResult, book_trips
from travel.console import leave, printable, result_lines, symbols_for, trip_line
from travel.errors import DatabaseUnavailable, InvalidInput
from travel.faults import DEFAULT_SEED, RandomFaults
from travel.models import TripRequest
from travel.store.address import URL_VARIABLE, sqlite_url
from travel.store.database import Database, open_database
from travel.store.holdings import read_trips
from travel.store.inventory import store_seed_data
from travel.store.seed_data import check_cities, cities, load_seed_data
from travel.temporal.connection import connect, external_server_configured
from travel.temporal.server import embedded_server
from travel.trips import forty_four_trips
from travel.worker import quiet_expected_failures, running_worker

EMBEDDED = "embedded"


async def run(server: str | None, seed: int, trips: int) -> int:
    """Book, print and audit; return the exit code."""
    seed_data = load_seed_data()
    requests = forty_four_trips()[:trips]
    for request in requests:
        check_cities(request, seed_data)
    async with _system(server, seed, requests) as (client, database):
        results = await _book_and_print(client, database, requests, cities(seed_data))
        symbols = symbols_for(sys.stdout)
        print("", *result_lines([result.booked for result in results], symbols), "", sep="\n")
        _complain_of_unrecorded(results)
        report = await asyncio.to_thread(audit, database)
    print(printable(render(report), sys.stdout))
    return 0 if report.clean else 1


def _complain_of_unrecorded(results: Sequence[TripResult]) -> None:
    if unrecorded := [r.request.confirmation_code for r in results if not r.recorded]:
        print(
            f"The database did not take down what became of {len(unrecorded)} of the trips "
            f"({unrecorded[0]}, …); the next reconciliation will.",
            file=sys.stderr,
        )


@asynccontextmanager
async def _system(
    server: str | None, seed: int, requests: Sequence[TripRequest]
) -> AsyncIterator[tuple[Client, Database]]:
    """A client and a database: of a running system, or of one made for this run."""
    async with AsyncExitStack() as stack:
        if server != EMBEDDED:
            client = await connect(server)
            database = open_database()
            stack.callback(database.close)
        else:
            # Opened while the server boots, which takes longer.
            opened = stack.enter_context(ExitStack())
            opening = asyncio.create_task(
                asyncio.to_thread(opened.enter_context, _own_database(requests))
            )
            stack.push_async_callback(asyncio.wait, [opening])
            running = await stack.enter_async_context(embedded_server(ui=False))
            database = await opening
            client = await connect(running.address)
            faults = RandomFaults(seed)
            await stack.enter_async_context(running_worker(client, database, faults=faults))
        yield client, database


@contextmanager
def _own_database(requests: Sequence[TripRequest]) -> Iterator[Database]:
    """A new SQLite file that goes when the run ends, unless a database was named."""
    with ExitStack() as stack:
        url = os.environ.get(URL_VARIABLE)
        if not url:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="travel-"))
            url = sqlite_url(Path(folder, "travel.sqlite"))
        database = open_database(url)
        stack.callback(database.close)
        store_seed_data(database, load_seed_data())
        _check_unused(database, requests)
        yield database


def _check_unused(database: Database, requests: Sequence[TripRequest]) -> None:
    """A new server knows nothing of old trips, so their codes must not be used again."""
    codes = [request.confirmation_code for request in requests]
    known = read_trips(database, codes)
    used = [code for code in codes if code in known]
    if used:
        raise InvalidInput(
            f"The database {database} has trips of an earlier run ({used[0]}, …); "
            f"expected one without, so empty it or unset {URL_VARIABLE}."
        )


async def _book_and_print(
    client: Client, database: Database, requests: Sequence[TripRequest], names: dict[str, str]
) -> list[TripResult]:
    symbols = symbols_for(sys.stdout)
    # Ours is the only process with a bar. tqdm's own lock is a semaphore of the operating
    # system, which a process that leaves at once leaves behind.
    tqdm.set_lock(threading.RLock())
    # disable=None: a bar on a terminal, none in a file or a pipe
    with tqdm(total=len(requests), unit="trip", leave=False, disable=None) as bar:

        def show(result: TripResult) -> None:
            number = requests.index(result.request) + 1
            line = trip_line(number, len(requests), result.request, result.booked, names, symbols)
            bar.write(printable(line, sys.stdout))
            bar.update()

        return await book_trips(client, database, requests, on_result=show)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the client; exit 0 if the audit is clean, 1 if not, 2 on bad usage."""
    options = _parser().parse_args(arguments)
    server = options.server or (None if external_server_configured() else EMBEDDED)
    quiet_expected_failures()
    try:
        return asyncio.run(run(server, options.seed, options.trips))
    except InvalidInput as error:
        print(error, file=sys.stderr)
    except RPCError as error:
        print(f"The Temporal server stopped answering ({error.message}).", file=sys.stderr)
    except DatabaseUnavailable as error:
        print(f"The database stopped answering ({error.reason}).", file=sys.stderr)
    except KeyboardInterrupt:
        print("Interrupted; trips under way go on where Workers run.", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m travel.client",
        description="Book the 44 trips of the course, all at once, and audit the result.",
        epilog=f"Without TEMPORAL_ADDRESS (or another TEMPORAL_… profile) and --server, a server, "
        "a Worker and a database are made for this run and removed after it. With it, start "
        f"python -m travel.worker first, with the same {URL_VARIABLE}; the outages are then "
        "decided by the Worker's --seed, and a trip that was booked before is not booked "
        "again: its result is shown. Exit code 0: the audit is clean, 1: it is not, "
        "2: bad usage, or no server.",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=DEFAULT_SEED,
        help="decides which trips meet an outage (default: %(default)s)",
    )
    parser.add_argument(
        "--server",
        metavar="embedded|ADDRESS",
        help="a server of our own, or HOST:PORT of a running one",
    )
    total = len(forty_four_trips())
    parser.add_argument(
        "--trips",
        type=partial(_whole_number, most=total),
        default=total,
        metavar=f"1..{total}",
        help="book only the first so many (default: %(default)s)",
    )
    return parser


def _whole_number(text: str, most: int) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {most}")
    return int(text)


if __name__ == "__main__":
    leave(main())
