"""What the saga costs, as ratios: both sides of each measured in one run, taking turns.

``python -m tests.benchmark`` runs everything, about a quarter of an hour; ``--quick`` a small
part of it; names of measurements run only these. Nothing else should be using the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import tests.paths  # noqa: F401

# isort: split
import nbformat
import psutil
from lab.breaking.scenarios import request_for
from lab.running import postgres
from lab.running.worker_process import start_without_worker, start_workers
from lab.showing.picture import BLUE, GREY, canvas
from nbclient import NotebookClient
from processes import clean_environment
from temporalio.client import Client

from tests.benchmark_workflows import Nothings, nothing
from travel.activities import Activities
from travel.booking import book_trips
from travel.models import Cancellation, ConfirmationEmail, PaymentRequest, TripRequest
from travel.store import booking_requests
from travel.store.address import sqlite_url
from travel.store.database import Database, open_database
from travel.store.inventory import store_seed_data
from travel.store.seed_data import SeedData, load_seed_data
from travel.temporal.connection import connect
from travel.temporal.server import embedded_server, find_executable
from travel.trips import forty_four_trips
from travel.worker import quiet_expected_failures, running_worker

ROOT = Path(__file__).resolve().parents[1]
PLOT = ROOT / "notebooks" / "images" / "benchmark.png"


@dataclass(frozen=True)
class Effort:
    """How much to measure."""

    quick: bool
    trips: int


@dataclass(frozen=True)
class Ratio:
    """One measurement against its yardstick; ``aim`` is a limit, "at most" or "at least"."""

    name: str
    value: float
    detail: str
    aim: str = ""

    def __str__(self) -> str:
        return f"| {self.name} | **{self.value:.2f}** | {self.aim} | {self.detail} |"


# --- taking turns -----------------------------------------------------------------------


async def seconds_of(work: Awaitable[Any]) -> float:
    begin = time.perf_counter()
    await work
    return time.perf_counter() - begin


async def paired(
    rounds: int, one: Callable[[], Awaitable[float]], other: Callable[[], Awaitable[float]]
) -> tuple[float, float]:
    """Median seconds of each; they take turns, so that a slow spell hits both."""
    ones, others = [], []
    for _ in range(rounds):
        ones.append(await one())
        others.append(await other())
    return median(ones), median(others)


@asynccontextmanager
async def server_and_database(
    seed: SeedData | None = None,
) -> AsyncIterator[tuple[Client, Database]]:
    with tempfile.TemporaryDirectory(prefix="travel-") as folder:
        database = open_database(sqlite_url(f"{folder}/travel.sqlite"))
        try:
            store_seed_data(database, seed or load_seed_data())
            async with embedded_server(ui=False) as server:
                yield await connect(server.address), database
        finally:
            database.close()


# --- the 44 trips against nothing -----------------------------------------------------------


async def the_44_trips(effort: Effort) -> list[Ratio]:
    """The same server, the same number of Workflows and of Activities in each."""
    steps = await _activities_of_each_trip()

    async def trips() -> float:
        async with server_and_database() as (client, database), running_worker(client, database):
            return await seconds_of(book_trips(client, database, forty_four_trips()))

    async def nothings() -> float:
        async with server_and_database() as (client, database):
            extra = {"workflows": [Nothings], "activities": [nothing]}
            async with running_worker(client, database, **extra):
                return await seconds_of(asyncio.gather(*[_nothings(client, n) for n in steps]))

    mine, floor = await paired(1 if effort.quick else 5, trips, nothings)
    detail = f"{mine:.2f} s against {floor:.2f} s, {sum(steps)} Activities each"
    return [Ratio("44 trips / 44 Workflows of no-ops", mine / floor, detail, "at most 1.25")]


async def _activities_of_each_trip() -> list[int]:
    async with server_and_database() as (client, database), running_worker(client, database):
        await book_trips(client, database, forty_four_trips())
        handles = [client.get_workflow_handle(trip.workflow_id) for trip in forty_four_trips()]
        histories = [await handle.fetch_history() for handle in handles]
    return [
        sum(event.HasField("activity_task_scheduled_event_attributes") for event in found.events)
        for found in histories
    ]


async def _nothings(client: Client, number: int) -> None:
    name = f"nothings-{uuid4().hex}"
    await client.execute_workflow(Nothings.run, number, id=name, task_queue="travel")


# --- the first trip, from a cold process -------------------------------------------------------


async def the_first_trip(effort: Effort) -> list[Ratio]:
    """Imports, server, database, seed data, Worker, trip, and the end of it all."""
    server = find_executable()
    assert server is not None
    trip = ["-m", "travel.client", "--trips", "1"]
    hello = [str(ROOT / "tests" / "hello_world.py"), server]

    async def run(arguments: list[str]) -> float:
        return await seconds_of(asyncio.to_thread(_run_python, arguments))

    mine, floor = await paired(2 if effort.quick else 7, lambda: run(trip), lambda: run(hello))
    detail = f"{mine:.2f} s against {floor:.2f} s"
    return [Ratio("first trip / SDK's hello world, cold", mine / floor, detail, "at most 1.5")]


FIRST_CELL = """
import time
began = time.perf_counter()
from lab import start
lab = await start()
trip = await lab.book("Customer-001")
print(time.perf_counter() - began if trip.booked else trip.reason)
"""

HELLO_CELL = """
import time
began = time.perf_counter()
import sys
sys.path.insert(0, {tests!r})
from hello_world import main
await main({server!r}, lambda said: print(time.perf_counter() - began))
"""


async def the_first_cell(effort: Effort) -> list[Ratio]:
    """From the first line of the first cell to the first trip, in a cold kernel."""
    server = find_executable()
    assert server is not None
    hello = HELLO_CELL.format(tests=str(ROOT / "tests"), server=server)

    mine, floor = await paired(
        2 if effort.quick else 7,
        lambda: _cell_in_a_kernel(FIRST_CELL),
        lambda: _cell_in_a_kernel(hello),
    )
    detail = f"{mine:.2f} s against {floor:.2f} s"
    return [
        Ratio("first cell to first trip / SDK's hello world", mine / floor, detail, "at most 1.5")
    ]


async def _cell_in_a_kernel(source: str) -> float:
    """The seconds that a cell prints."""
    cell = nbformat.v4.new_code_cell(source)
    await _run_notebook(nbformat.v4.new_notebook(cells=[cell]))
    printed = "".join(o.text for o in cell.outputs if o.get("name") == "stdout")
    return float(printed.split()[0])


async def _run_notebook(notebook: Any) -> None:
    where = {"metadata": {"path": str(ROOT / "notebooks")}}
    environment = clean_environment()
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    runner = NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where)
    await runner.async_execute(env=environment)


def _run_python(arguments: list[str]) -> None:
    # Compiled modules are kept, as Python does where nobody tells it not to.
    environment = clean_environment()
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    # Not the exit code: the SDK's threads crash some exits of the hello world.
    assert "Hello, World!" in done.stdout or "Audit: clean" in done.stdout, done


# --- many trips -----------------------------------------------------------------------------


async def many_trips(effort: Effort) -> list[Ratio]:
    """Does it slow down, and does it grow?"""
    few, many = 100, effort.trips
    seed = load_seed_data()
    days = (many + 4 * few) // len(seed.routes) + 2
    seed = replace(seed, schedule=replace(seed.schedule, days=days))
    async with (
        server_and_database(seed) as (client, database),
        running_worker(client, database),
    ):
        numbers = iter(range(1, many + 4 * few))

        async def rate(trips: int) -> float:
            requests = [request_for(next(numbers)) for _ in range(trips)]
            seconds = await seconds_of(_all_booked(client, database, requests))
            return trips / seconds

        await rate(few)  # warm
        before = await rate(few)
        memory, stored = _memory(), _size(database)
        steady = await rate(many)
        memory, stored = _memory() - memory, _size(database) - stored
        after = await rate(few)
    small = (before + after) / 2
    return [
        Ratio(
            f"trips/s at {many:,} / at {few}",
            steady / small,
            f"{steady:.1f}/s against {small:.1f}/s ({before:.1f} before, {after:.1f} after)",
            "at least 0.9",
        ),
        Ratio("memory of the Worker, kB a trip", memory / many / 1000, f"over {many:,} trips"),
        Ratio("SQLite file, kB a trip", stored / many / 1000, f"over {many:,} trips"),
    ]


async def _all_booked(client: Client, database: Database, requests: list[TripRequest]) -> None:
    results = await book_trips(client, database, requests)
    assert all(result.booked for result in results)


def _memory() -> int:
    return int(psutil.Process().memory_info().rss)


def _size(database: Database) -> int:
    file = Path(str(database.engine.url.database))
    return sum(part.stat().st_size for part in file.parent.glob(f"{file.name}*"))


# --- two Workers against one ------------------------------------------------------------------


async def two_workers(effort: Effort) -> list[Ratio]:
    """Processes, on one machine, beside one server: the processors are the limit."""

    async def with_workers(number: int) -> float:
        lab = await start_without_worker(virtual_clock=False)
        lab.queue = f"workers-{uuid4().hex}"
        try:
            await start_workers(lab, number)
            requests = [request_for(n) for n in range(1, 101 if effort.quick else 301)]
            # From a loop of our own: the lab's is for its own clients.
            client = await connect(lab.server.address, namespace=lab.client.namespace)
            return await seconds_of(book_trips(client, lab.database, requests, queue=lab.queue))
        finally:
            await lab.close()

    two, one = await paired(
        1 if effort.quick else 3, lambda: with_workers(2), lambda: with_workers(1)
    )
    detail = f"{two:.2f} s against {one:.2f} s, {os.cpu_count()} processors for all"
    return [Ratio("speed of two Worker processes / one", one / two, detail)]


# --- what the database costs -------------------------------------------------------------------


async def the_database(effort: Effort) -> list[Ratio]:
    """A trip's ten calls, booked and undone, one after the other and without Temporal."""
    with tempfile.TemporaryDirectory(prefix="travel-") as folder:
        sqlite = _milliseconds(sqlite_url(f"{folder}/travel.sqlite"), effort)
    found = [Ratio("SQLite, ms a trip booked and undone", sqlite, "ten calls, no Temporal")]
    with _postgres() as url:
        if url:
            spent = _milliseconds(url, effort)
            found.append(Ratio("PostgreSQL, ms a trip booked and undone", spent, "ten calls"))
            found.append(
                Ratio("PostgreSQL / SQLite, without Temporal", spent / sqlite, "time a trip")
            )
    return found


@contextmanager
def _postgres() -> Iterator[str]:
    try:
        with postgres.running_server() as url:
            yield url.render_as_string(hide_password=False)
    except postgres.NotInstalled as reason:
        print(f"No PostgreSQL: {reason}.")
        yield ""


def _milliseconds(url: str, effort: Effort) -> float:
    database = open_database(url)
    try:
        store_seed_data(database, load_seed_data())
        trips = [request_for(n) for n in range(1, 51 if effort.quick else 401)]
        activities = Activities(database)
        begin = time.perf_counter()
        for trip in trips:
            _book_and_undo(database, activities, trip)
        return (time.perf_counter() - begin) / len(trips) * 1000
    finally:
        database.close()


def _book_and_undo(database: Database, activities: Activities, trip: TripRequest) -> None:
    code = trip.confirmation_code
    booking_requests.store(database, trip)
    price_cents = activities.book_flight(trip).price_cents
    price_cents += activities.book_hotel(trip).price_cents
    price_cents += activities.book_car(trip).price_cents
    activities.accept_payment(PaymentRequest(code, trip.customer, price_cents))
    activities.send_confirmation_email(ConfirmationEmail(code, trip.customer, "booked"))
    for undo in (
        activities.refund_payment,
        activities.cancel_car,
        activities.cancel_hotel,
        activities.cancel_flight,
    ):
        undo(Cancellation(code))


# --- a notebook ---------------------------------------------------------------------------------


async def a_notebook(effort: Effort) -> list[Ratio]:
    """A kernel, the server, the trip and the Event History, against a kernel alone."""
    full = nbformat.read(ROOT / "notebooks" / "00_start_here.ipynb", as_version=4)
    empty = nbformat.v4.new_notebook()

    async def run(notebook: Any) -> float:
        return await seconds_of(_run_notebook(nbformat.from_dict(notebook)))

    mine, floor = await paired(1 if effort.quick else 3, lambda: run(full), lambda: run(empty))
    detail = f"{mine:.2f} s against {floor:.2f} s"
    return [Ratio("notebook 00 / an empty notebook", mine / floor, detail)]


# --- all of them ---------------------------------------------------------------------------------

MEASUREMENTS: dict[str, Callable[[Effort], Awaitable[list[Ratio]]]] = {
    measurement.__name__: measurement
    for measurement in (
        the_44_trips,
        the_first_trip,
        the_first_cell,
        many_trips,
        two_workers,
        the_database,
        a_notebook,
    )
}


async def measure(names: Sequence[str], effort: Effort) -> list[Ratio]:
    """Take the measurements, one after the other, and print each as a row of Markdown."""
    print("| what | ratio or value | aim | measured |\n|---|--:|---|---|")
    found = []
    for name in names:
        ratios = await MEASUREMENTS[name](effort)
        print(*ratios, sep="\n", flush=True)
        found += ratios
    return found


def draw(ratios: Sequence[Ratio], file: Path) -> None:
    """The ratios as bars, with a line where both sides would be equal."""
    shown = [ratio for ratio in ratios if " / " in ratio.name][::-1]
    with canvas(0.8 + 0.5 * len(shown), width=9) as (figure, axes):
        axes.barh([ratio.name for ratio in shown], [ratio.value for ratio in shown], color=BLUE)
        axes.axvline(1, color=GREY, linestyle="--")
        for y, ratio in enumerate(shown):
            text = f"{ratio.value:.2f}" + (f" ({ratio.aim})" if ratio.aim else "")
            axes.text(max(ratio.value, 1) + 0.1, y, text, va="center")
        axes.set_xlim(0, max(ratio.value for ratio in shown) * 1.35)
        axes.set_title("Each against its yardstick")
        axes.set_xlabel("ratio; at the dashed line both are the same")
        figure.savefig(file, bbox_inches="tight")


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASUREMENTS)}")
    parser.add_argument("--quick", action="store_true", help="a small part, for slow machines")
    parser.add_argument("--trips", type=int, help="of many_trips (default: 5000, quick: 600)")
    parser.add_argument("--plot", type=Path, default=PLOT, help="where to save the picture")
    options = parser.parse_args()
    if unknown := set(options.names) - set(MEASUREMENTS):
        parser.error(f"{', '.join(sorted(unknown))}: expected some of {', '.join(MEASUREMENTS)}")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0
    if load > 0.5:
        print(f"The machine is busy (load {load:.1f}): take the figures as preliminary.\n")
    effort = Effort(options.quick, options.trips or (600 if options.quick else 5_000))
    quiet_expected_failures()
    ratios = asyncio.run(measure(options.names or list(MEASUREMENTS), effort))
    if any(" / " in ratio.name for ratio in ratios):
        draw(ratios, options.plot)


if __name__ == "__main__":
    main()
