"""Plumbing that many tests share: what ``pytest --all`` adds, a database of each kind."""

import asyncio
import gc
import logging
import os
import shutil
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

try:
    from hypothesis import settings
except ModuleNotFoundError:
    needed = "python -m pip install -r tests/requirements.txt"
    pytest.exit(f"The tests need more than the course does: {needed}", returncode=4)
from lab.running import postgres

from travel.store import address
from travel.store.database import Database, open_database
from travel.store.inventory import store_seed_data
from travel.store.seed_data import load_seed_data
from travel.temporal.server import start_server

# The same examples on every run; no deadline, because CI machines pause.
settings.register_profile("course", deadline=None, derandomize=True)
settings.load_profile("course")

# A job in the background ignores these, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


# What a test's exercise says is nobody's progress.
os.environ["COURSE_PROGRESS_FILE"] = ""

# A server collects garbage early, which costs a quarter of its work. Here it may have the memory.
os.environ.setdefault("GOGC", "400")

# Begun last, these would be waited for by an idle machine.
LONGEST_FIRST = (
    "test_matrix",
    "test_simulate_operator",
    "test_exercises_in_jupyterlab",
    "test_generated_answers",
    "test_exercises",
    "test_random_trips",
    "test_processes",
    "test_jupyterlab",
    "09_kill_the_worker",
    "14_beyond_one_machine",
    "04_forty_four_trips",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--all``: with the tests that are marked ``everything``."""
    parser.addoption(
        "--all", action="store_true", help="run everything, also what takes long; a weekly job does"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only ``--all`` runs, and put the files that take longest first."""
    wanted, unwanted = [], []
    for item in items:
        (wanted if _is_wanted(config, item) else unwanted).append(item)
    if unwanted:
        config.hook.pytest_deselected(items=unwanted)
        items[:] = wanted
    # pytest-xdist hands them out in this order.
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


def _is_wanted(config: pytest.Config, item: pytest.Item) -> bool:
    """Whether a test is to run: not marked, or ``--all``, or its file was asked for by name."""
    if item.get_closest_marker("everything") is None or config.getoption("--all"):
        return True
    asked_for = [Path(argument.split("::")[0]) for argument in config.args]
    return any((config.invocation_params.dir / path) == item.path for path in asked_for)


def pytest_collection_finish() -> None:
    """Some thousand tests stay in memory; no collection of garbage need look through them."""
    gc.freeze()


@pytest.fixture(autouse=True)
def logs_as_ever() -> Iterator[None]:
    """The lab silences the SDK's logs for its whole process, and so for the tests after it."""
    logging.getLogger("temporalio").setLevel(logging.NOTSET)
    yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a PostgreSQL server: ``TEST_POSTGRES_URL``, or one started for this session.

    Without either, skips the test; fails it where CI is set.
    """
    if url := os.environ.get("TEST_POSTGRES_URL"):
        yield url
        return
    try:
        with postgres.running_server() as url:
            yield url.render_as_string(hide_password=False)
    except postgres.NotInstalled as reason:
        message = f"No PostgreSQL: {reason}. Install it, or set TEST_POSTGRES_URL."
        if os.environ.get("CI"):
            pytest.fail(message, pytrace=False)
        pytest.skip(message)


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """URL of a PostgreSQL database made for this test, without tables."""
    with postgres.fresh_database(postgres_server, f"travel_test_{uuid.uuid4().hex}") as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """URL of an SQLite file made for this test, without tables."""
    return address.sqlite_url(tmp_path / "travel.sqlite")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of an empty database: the test runs once on SQLite and once on PostgreSQL."""
    fixture = "postgres_url" if request.param == "postgresql" else "sqlite_url"
    return request.getfixturevalue(fixture)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """The travel database with its tables and no rows, once per kind of database."""
    database = open_database(database_url)
    yield database
    database.close()


@pytest.fixture(scope="session")
def stocked_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the seed data, to be copied: a tenth of the work of a new one."""
    file = tmp_path_factory.mktemp("stocked") / "travel.sqlite"
    database = open_database(address.sqlite_url(file))
    store_seed_data(database, load_seed_data())
    database.close()
    return file


@pytest.fixture
def sqlite_database(stocked_file: Path, tmp_path: Path, sqlite_url: str) -> Iterator[Database]:
    """The travel database with the seed data, in an SQLite file."""
    shutil.copy(stocked_file, tmp_path)  # where sqlite_url looks for it
    database = open_database(sqlite_url)
    yield database
    database.close()


@pytest.fixture
def simulated_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Checks leave out their one trip on a server, which has tests of its own."""
    from lab.checking import exercise as checking  # a second, which few files need
    from lab.exercises import ex15_capstone, ex16_your_own_saga

    async def no_problem(*_: object, **__: object) -> None:
        return None

    monkeypatch.setattr(checking, "book_for_real", no_problem)
    monkeypatch.setattr(ex15_capstone, "book_for_real", no_problem)
    monkeypatch.setattr(ex16_your_own_saga, "_for_real", no_problem)
    yield
    gc.freeze()  # which a check undoes


@pytest.fixture(scope="session")
def temporal_address() -> Iterator[str]:
    """Address of one embedded Temporal server for all tests; each takes its own Task Queue."""
    server = asyncio.run(start_server(ui=False))
    yield server.address
    asyncio.run(server.stop())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what each exercise's check said to each answer that was tried."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    rows = [
        (*value, report.outcome)
        for report in reports
        for name, value in report.user_properties
        if name == "check against answer"
    ]
    if rows:
        terminalreporter.section("checks against answers")
    for exercise, answer, verdict, outcome in rows:
        mark = "" if outcome == "passed" else "   <- WRONG"
        terminalreporter.write_line(f"{exercise:<22} {answer:<36} {verdict}{mark}")
