"""The entry points as a learner starts them: what they print, how they end, what they leave."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from processes import (
    ROOT,
    children_of,
    clean_environment,
    read_until,
    run_module,
    running_module,
    still_running,
)

from tests.sampling import few
from travel.audit import audit
from travel.store.address import sqlite_url
from travel.store.database import Database, open_database
from travel.store.seed_data import cities, load_seed_data
from travel.temporal.connection import connect
from travel.temporal.server import embedded_server, start_server
from travel.trips import forty_four_trips

pytestmark = pytest.mark.timeout(600)
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals are a POSIX matter")

TRIPS = forty_four_trips()
NO_SERVER = "127.0.0.1:1"

BLOCK = """\
Database initialized with:
  12 airports
  12 flight routes
  720 flight instances
  8 hotels
  60 hotel rooms
  32 rental cars
✓ Booking database initialized
Worker started, ctrl+c to exit"""


def line_of(number: int, arrow: str = "→") -> str:
    """The brief's line for a trip, without its verdict."""
    trip, city = TRIPS[number - 1], cities(load_seed_data())
    route = f"{city[trip.origin]:<15} {arrow} {city[trip.destination]:<13}"
    return f"[{number:>2}/44] {trip.customer:<20} | {route} | {trip.departure_date}  "


def assert_bad_usage(outcome: CompletedProcess[str], *words: str) -> None:
    """Exit 2, and the last line is a sentence that names the value."""
    assert outcome.returncode == 2, outcome
    assert "Traceback" not in outcome.stderr
    last = outcome.stderr.splitlines()[-1]
    for word in words:
        assert word in last


def assert_one_sentence(outcome: CompletedProcess[str], *words: str) -> None:
    assert_bad_usage(outcome, *words)
    assert outcome.stdout == ""
    assert len(outcome.stderr.splitlines()) == 1


# --- python -m travel.client --------------------------------------------------


def test_the_44_trips(tmp_path: Path) -> None:
    with running_module("travel.client", TMPDIR=str(tmp_path)) as client:
        assert client.stdout is not None and client.stderr is not None
        first = client.stdout.readline()
        children = children_of(client.pid)
        assert children, "the server is a process of its own"
        lines = [first.rstrip("\n"), *client.stdout.read().splitlines()]
        assert client.stderr.read() == ""
        assert client.wait() == 0
    verdicts = [line.removeprefix(line_of(n)) for n, line in enumerate(lines[:44], start=1)]
    assert set(verdicts) == {"✅ SUCCESS", "❌ FAILED"}
    assert verdicts[30:] == ["❌ FAILED"] * 14
    booked = verdicts.count("✅ SUCCESS")
    assert 15 <= booked <= 18
    assert lines[44:] == [
        "",
        "RESULTS:",
        f"  ✅ Successful bookings: {booked}",
        f"  ❌ Failed bookings: {44 - booked}",
        "",
        f"Audit: clean. 44 trips, {booked} completed, 0 orphaned reservations, "
        "$0.00 kept for trips that do not exist.",
    ]
    assert list(tmp_path.iterdir()) == [], "nothing left in the temporary folder"
    assert still_running(children) == []


def test_a_terminal_without_the_symbols_gets_words(tmp_path: Path) -> None:
    outcome = run_module(
        "travel.client", "--trips", "2", PYTHONIOENCODING="ascii", TMPDIR=str(tmp_path)
    )
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.isascii()
    first = outcome.stdout.splitlines()[0]
    assert first.startswith("[1/2] Customer-001         | San Francisco   to New York")
    assert re.search(r"  (SUCCESS|FAILED)$", first)
    assert "+ Successful bookings: " in outcome.stdout
    assert "- Failed bookings: " in outcome.stdout


def test_a_named_database_is_kept_and_not_used_twice(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "kept.sqlite")
    first = run_module("travel.client", "--trips", "1", TRAVEL_DATABASE_URL=url)
    assert first.returncode == 0, first.stderr
    second = run_module("travel.client", "--trips", "1", TRAVEL_DATABASE_URL=url)
    assert_one_sentence(second, "kept.sqlite", "TRIP-001", "expected")
    assert run_module("travel.audit", TRAVEL_DATABASE_URL=url).returncode == 0


@pytest.mark.parametrize("value", few(["45", "0", "x", "1.5"]))
def test_a_bad_number_of_trips(value: str) -> None:
    outcome = run_module("travel.client", f"--trips={value}")
    assert_bad_usage(outcome, repr(value), "whole number from 1 to 44")


@pytest.mark.parametrize(
    ("arguments", "words"), few([(["--seed", "x"], ["x", "int"]), (["--fast"], ["--fast"])])
)
def test_bad_arguments(arguments: list[str], words: list[str]) -> None:
    assert_bad_usage(run_module("travel.client", *arguments), *words)


@pytest.mark.parametrize("module", few(["travel.client", "travel.worker"]))
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"TEMPORAL_ADDRESS": NO_SERVER}, [NO_SERVER, "Expected"]),
        ({"TEMPORAL_ADDRESS": "no address"}, ["'no address'", "expected host:port"]),
        ({"TEMPORAL_ADDRESS": "127.0.0.1:99999"}, ["127.0.0.1:99999", "expected host:port"]),
    ],
)
def test_a_server_that_cannot_be_used(
    module: str, settings: dict[str, str], words: list[str]
) -> None:
    assert_one_sentence(run_module(module, **settings), *words)


@pytest.mark.parametrize("server", few(["nowhere:1", NO_SERVER, "nonsense"]))
def test_a_server_argument_that_cannot_be_used(server: str) -> None:
    assert_one_sentence(run_module("travel.client", f"--server={server}"), server)


@pytest.mark.parametrize(
    ("url", "words"),
    few(
        [
            (
                "postgresql://ada:open-sesame@127.0.0.1:1/travel",
                ["postgresql://127.0.0.1:1/travel", "expected"],
            ),
            ("sqlite:////no/such/folder/travel.sqlite", ["/no/such/folder", "expected"]),
            ("nonsense", ["TRAVEL_DATABASE_URL", "expected sqlite:///"]),
            ("nonsense://ada:open-sesame@host", ["TRAVEL_DATABASE_URL"]),
        ],
        2,
    ),
)
def test_a_database_that_cannot_be_used(url: str, words: list[str]) -> None:
    outcome = run_module("travel.client", TRAVEL_DATABASE_URL=url)
    assert_one_sentence(outcome, *words)
    assert "open-sesame" not in outcome.stderr


@posix
def test_interrupted_it_ends_and_leaves_nothing(tmp_path: Path) -> None:
    with running_module("travel.client", "--trips", "9", TMPDIR=str(tmp_path)) as client:
        assert client.stdout is not None and client.stderr is not None
        assert client.stdout.readline().startswith("[1/9]")
        children = children_of(client.pid)
        client.send_signal(signal.SIGINT)
        errors = client.stderr.read()
        assert client.wait() == 2
        assert errors == "Interrupted; trips under way go on where Workers run.\n"
    assert still_running(children) == []
    assert list(tmp_path.iterdir()) == []


WITHOUT_SEMAPHORES = """
import _multiprocessing, multiprocessing.resource_tracker, runpy, sys

class NoSemaphore:
    def __init__(self, *_arguments):
        raise AssertionError("a semaphore of the operating system was made")

_multiprocessing.SemLock = NoSemaphore
sys.argv = ["travel.client", "--trips", "1"]
sys.modules.pop("travel.client", None)
runpy.run_module("travel.client", run_name="__main__")
"""


def test_no_semaphore_is_left_to_the_operating_system() -> None:
    """Python 3.14 and later say so on stderr when a process ends without giving it back."""
    outcome = subprocess.run(
        [sys.executable, "-X", "dev", "-c", WITHOUT_SEMAPHORES],
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert outcome.returncode == 0, outcome.stderr
    assert "resource_tracker" not in outcome.stderr


@posix
def test_a_client_whose_server_dies_says_so(sqlite_url: str) -> None:
    async def scenario() -> tuple[int, str]:
        async with embedded_server(ui=False) as server:
            settings = {"TEMPORAL_ADDRESS": server.address, "TRAVEL_DATABASE_URL": sqlite_url}
            with running_module("travel.client", "--trips", "1", **settings) as client:
                temporal = await connect(server.address)
                while not (await temporal.count_workflows()).count:  # it waits for a Worker now
                    await asyncio.sleep(0.1)
                os.kill(server.pid, signal.SIGKILL)
                _, errors = await asyncio.to_thread(client.communicate)
                return client.returncode, errors

    code, errors = asyncio.run(scenario())
    assert code == 2
    assert errors.startswith("The Temporal server stopped answering (")
    assert len(errors.splitlines()) == 1


# --- python -m travel.worker --------------------------------------------------


@posix
def test_a_worker_whose_server_dies_says_so_and_when_it_is_back(
    tmp_path: Path, sqlite_url: str
) -> None:
    file = str(tmp_path / "temporal.sqlite")

    async def scenario() -> list[str]:
        server = await start_server(ui=False, database_filename=file)
        settings = {"TEMPORAL_ADDRESS": server.address, "TRAVEL_DATABASE_URL": sqlite_url}
        port = int(server.address.rsplit(":", 1)[1])
        try:
            with running_module("travel.worker", **settings) as worker:
                assert worker.stderr is not None
                await asyncio.to_thread(read_until, worker, "Worker started")
                os.kill(server.pid, signal.SIGKILL)
                said = [await asyncio.to_thread(worker.stderr.readline)]
                await server.stop()
                server = await start_server(ui=False, database_filename=file, port=port)
                said.append(await asyncio.to_thread(worker.stderr.readline))
                worker.send_signal(signal.SIGINT)
                said.append(await asyncio.to_thread(worker.stderr.read))
                assert worker.wait() == 0
                return said
        finally:
            await server.stop()

    gone, back, rest = asyncio.run(scenario())
    assert "does not answer (" in gone and gone.endswith("Waiting for it.\n")
    assert back.endswith("answers again.\n")
    assert rest == ""


@pytest.mark.parametrize(
    ("module", "times"), few([("travel.client", 1), ("travel.client", 5), ("travel.worker", 5)])
)
def test_a_process_whose_connection_failed_ends_in_order(module: str, times: int) -> None:
    """The SDK's threads used to crash one exit in five on a busy machine."""
    for _ in range(times):
        assert run_module(module, TEMPORAL_ADDRESS=NO_SERVER).returncode == 2


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_works_until_it_is_interrupted(
    temporal_address: str, sqlite_url: str, number: signal.Signals
) -> None:
    settings = {
        "TEMPORAL_ADDRESS": temporal_address,
        "TRAVEL_DATABASE_URL": sqlite_url,
        "TRAVEL_TASK_QUEUE": f"worker-{number.name}",
    }
    with running_module("travel.worker", **settings) as worker:
        assert "\n".join(read_until(worker, "Worker started")) == BLOCK
        worker.send_signal(number)
        assert worker.stdout is not None and worker.stderr is not None
        assert worker.stdout.read() == "Worker stopped\n"
        assert worker.stderr.read() == ""
        assert worker.wait() == 0


@posix
def test_client_and_worker_meet_on_a_server_of_somebody_else(
    sqlite_url: str, temporal_address: str
) -> None:
    settings = {
        "TEMPORAL_ADDRESS": temporal_address,
        "TRAVEL_DATABASE_URL": sqlite_url,
        "TRAVEL_TASK_QUEUE": "meeting",
    }
    with running_module("travel.worker", **settings) as worker:
        read_until(worker, "Worker started")
        first = run_module("travel.client", "--trips", "3", **settings)
        assert first.returncode == 0, first.stderr
        again = run_module("travel.client", "--trips", "3", **settings)
        assert again.stdout == first.stdout, "booked before, so not booked again"
    database: Database = open_database(sqlite_url)
    assert audit(database).trips == 3
    database.close()


@pytest.mark.parametrize("module", few(["travel.client", "travel.worker", "travel.audit"]))
def test_help_names_the_variables(module: str) -> None:
    outcome = run_module(module, "--help")
    assert outcome.returncode == 0
    assert "TRAVEL_DATABASE_URL" in outcome.stdout
