"""Databases as people have them: behind a pooler, wrongly written, read only, failing."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import CompletedProcess

import psycopg
import pytest
from lab.running import postgres
from pgbouncer import pooled
from processes import ROOT, clean_environment, run_module
from samples import a_trip
from sqlalchemy import event, make_url, text
from sqlalchemy.exc import OperationalError, TimeoutError
from temporal import a_new_trip, run, running_system

from tests.sampling import few
from travel import booking, client
from travel.audit import audit
from travel.booking import TripResult
from travel.errors import DatabaseUnavailable, InvalidInput
from travel.models import Passenger
from travel.store import failures
from travel.store.address import parse, shown, sqlite_url
from travel.store.booking_requests import record_outcome, store
from travel.store.database import Database, memory_database, open_database, open_existing
from travel.store.failures import again
from travel.store.holdings import read_trips
from travel.store.inventory import store_seed_data
from travel.store.seed_data import load_seed_data
from travel.worker import quiet_expected_failures

posix = pytest.mark.skipif(sys.platform == "win32", reason="a matter of POSIX")

SECRET = "open-sesame"


def assert_cannot_tell(outcome: CompletedProcess[str], *words: str) -> None:
    """Exit 2, nothing on stdout, and one sentence that has these words."""
    assert outcome.returncode == 2, outcome
    assert outcome.stdout == ""
    assert len(outcome.stderr.splitlines()) == 1, outcome.stderr
    for word in words:
        assert word in outcome.stderr


def run_audit(url: str) -> CompletedProcess[str]:
    return run_module("travel.audit", TRAVEL_DATABASE_URL=url)


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# --- D1: PostgreSQL behind a pooler in transaction mode ---------------------------------


@pytest.fixture
def pooled_url(postgres_url: str) -> Iterator[str]:
    """The database ``postgres_url`` behind a pgbouncer with five connections."""
    try:
        with pooled(postgres_url) as url:
            yield url
    except postgres.NotInstalled as reason:
        if os.environ.get("CI"):
            pytest.fail(f"No pooler: {reason}. Install it.", pytrace=False)
        pytest.skip(f"No pooler: {reason}.")


@pytest.mark.everything
def test_the_44_trips_behind_a_pooler_in_transaction_mode(pooled_url: str) -> None:
    """Same outcome as without it."""
    behind = run_module("travel.client", TRAVEL_DATABASE_URL=pooled_url)
    assert behind.returncode == 0, behind
    assert behind.stdout == run_module("travel.client").stdout
    assert behind.stderr == ""
    assert run_audit(pooled_url).stdout.startswith("Audit: clean. 44 trips")


def test_nothing_is_left_in_the_session_of_a_pooled_connection(
    pooled_url: str, postgres_url: str
) -> None:
    """Whoever gets the connection next finds it as it was: also after an error."""
    database = open_database(pooled_url)
    try:
        store_seed_data(database, load_seed_data())
        for n in range(40):  # more than psycopg needs to prepare a statement
            store(database, a_trip(f"TEST-{n}"))
            assert audit(database).clean
            with pytest.raises(DatabaseUnavailable), database.transaction() as connection:
                connection.execute(text("SELECT * FROM no_such_table"))
        with closing(psycopg.connect(pooled_url, autocommit=True)) as stranger:
            session = [
                stranger.execute(f"SHOW {setting}").fetchone()
                for setting in ("transaction_isolation", "transaction_read_only", "search_path")
            ]
            prepared = stranger.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()
            locks = stranger.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
            ).fetchone()
    finally:
        database.close()
    assert session == [("read committed",), ("off",), ('"$user", public',)]
    assert (prepared, locks) == ((0,), (0,))


# --- D2: secrets ------------------------------------------------------------------------

UNREACHABLE = [
    f"postgresql://joe:p@{SECRET}@127.0.0.1:1/shop",
    f"postgresql://joe:p@{SECRET}/x@127.0.0.1:1/shop",
    f"postgresql://joe:p@{SECRET}?x@127.0.0.1:1/shop",
    f"postgresql://joe:{SECRET}@127.0.0.1:1/shop",
    f"postgresql://joe:p%40{SECRET}@127.0.0.1:1/shop",
    f"postgresql://joe:{SECRET}%@127.0.0.1:1/shop",
    f"postgresql://:{SECRET}@127.0.0.1:1/shop",
    f"postgresql://joe:{SECRET}#@127.0.0.1:1/shop",
    f"postgresql://joe:a/{SECRET}@127.0.0.1:1/shop",
    f"postgresql://joe:{SECRET}/shop",
    f"postgresql://127.0.0.1:1/shop?user=joe&password={SECRET}",
    f"postgresql://127.0.0.1:1/shop?user=joe&password=p@{SECRET}",
    f"postgresql://127.0.0.1:1/shop?user=joe&PASSWORD={SECRET}",
    f"postgresql://127.0.0.1:1/shop?user=joe&password={SECRET}&password={SECRET}",
    f"postgresql://127.0.0.1:1/shop?user=joe&passwd={SECRET}",
    f"postgresql://127.0.0.1:1/shop?user={SECRET}",
    f"postgresql://127.0.0.1:1/shop?passfile=/{SECRET}",
    f"postgresql://127.0.0.1:1/shop?sslpassword={SECRET}&sslkey=/{SECRET}",
    f"postgresql://127.0.0.1:1/shop?sslmode={SECRET}",
    f"postgresql://127.0.0.1:1/shop?service={SECRET}",
    f"postgresql://127.0.0.1:1/shop?options=-c%20x.y%3D{SECRET}",
    f"postgresql://127.0.0.1:1/shop?connect_timeout={SECRET}",
    f"postgresql://127.0.0.1:1/shop?port={SECRET}",
    f"postgresql://127.0.0.1:1/shop?{SECRET}",
    f"postgresql://127.0.0.1:1/shop?{SECRET}=1",
    f"postgresql://127.0.0.1:1/shop?prepare_threshold={SECRET}",
    f"postgresql://127.0.0.1:1/shop;password={SECRET}",
    f"postgresql://127.0.0.1:1/shop password={SECRET}",
    f"postgresql://127.0.0.1:1/shop&password={SECRET}",
    f"postgresql://127.0.0.1:1/shop#password={SECRET}",
    f"postgresql+psycopg://joe:{SECRET}@127.0.0.1:1/shop",
    f"postgresql+psycopg2://joe:{SECRET}@127.0.0.1:1/shop",
    f"postgresql+asyncpg://joe:{SECRET}@127.0.0.1:1/shop?password={SECRET}",
    f"postgresql+psycopg_async://joe:{SECRET}@127.0.0.1:1/shop",
    f"postgres://joe:{SECRET}@127.0.0.1:1/shop",
    f"mysql://joe:{SECRET}@127.0.0.1:1/shop",
    f"sqlite+pysqlcipher://:{SECRET}@/shop?kdf_iter=64000",
    f"sqlite:///shop?password={SECRET}",
    f"sqlite://joe:{SECRET}@/shop",
    f"host=127.0.0.1 port=1 dbname=shop user=joe password={SECRET}",
    f"password={SECRET}",
    f"joe:{SECRET}@127.0.0.1/shop",
    f"jdbc:postgresql://127.0.0.1/shop?password={SECRET}",
]


@pytest.mark.parametrize("url", UNREACHABLE)
def test_no_secret_in_what_is_said_of_a_database(
    url: str, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never any of it: driver, host, port and database name only."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.chdir(tmp_path)
    for open_it in (open_database, open_existing):
        with pytest.raises(InvalidInput) as caught:
            open_it(url)
        assert SECRET not in "".join(map(str, _chain(caught.value)))
        assert "joe" not in str(caught.value)
        assert "\n" not in str(caught.value)
    assert SECRET not in caplog.text
    assert list(tmp_path.iterdir()) == []


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what would be shown with it."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


@pytest.mark.parametrize("module", few(["travel.client", "travel.worker", "travel.audit"]))
@pytest.mark.parametrize("url", few(UNREACHABLE[:1] + UNREACHABLE[10:11]))
def test_no_secret_on_the_command_line(module: str, url: str, temporal_address: str) -> None:
    outcome = run_module(module, TRAVEL_DATABASE_URL=url, TEMPORAL_ADDRESS=temporal_address)
    assert_cannot_tell(outcome, "expected")
    assert SECRET not in outcome.stderr
    usage = run_module(module, "--help", TRAVEL_DATABASE_URL=url)
    assert SECRET not in usage.stdout + usage.stderr


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://joe:pw@db.example.com:5433/shop", "postgresql://db.example.com:5433/shop"),
        ("postgresql://joe:pw@[::1]:5433/shop", "postgresql://::1:5433/shop"),
        ("postgresql:///shop?host=/run/pg&user=joe", "postgresql:///run/pg/shop"),
        ("postgresql:///shop?host=a&host=b", "postgresql://a,b/shop"),
        ("postgresql:///shop?service=x", "postgresql:///shop"),
        ("sqlite:////a\nb/c.sqlite", "sqlite:////a�b/c.sqlite"),
        ("sqlite:////some/where/my file.sqlite", "sqlite:////some/where/my file.sqlite"),
    ],
)
def test_what_is_shown_of_a_database(url: str, words: str) -> None:
    assert shown(parse(url)) == words


def test_an_open_database_shows_no_secret_either(postgres_url: str) -> None:
    """The throw-away server asks for no password, so it takes any."""
    url = make_url(postgres_url).set(password=SECRET)
    also = url.update_query_dict({"sslpassword": SECRET, "application_name": SECRET})
    for secret in (url, also):
        database = open_database(secret.render_as_string(hide_password=False))
        try:
            said = [str(database), repr(database), repr(database.engine), str(database.engine.url)]
            with database.transaction() as connection:
                said += [repr(connection), str(connection.engine), repr(database.engine.pool)]
        finally:
            database.close()
        assert SECRET not in "".join(said)
        assert SECRET in database.url, "another process could open it too"


def test_a_refused_login_is_told_without_the_drivers_words(
    postgres_url: str, postgres_server: str
) -> None:
    wrong = make_url(postgres_url).set(username=f"nobody-{SECRET}", password=SECRET)
    outcome = run_audit(wrong.render_as_string(hide_password=False))
    assert_cannot_tell(outcome, "the login was refused")
    assert SECRET not in outcome.stderr
    missing = make_url(postgres_server).set(database="typo").render_as_string(hide_password=False)
    assert_cannot_tell(run_audit(missing), "/typo", "there is no database of this name")


# --- D3: the audit only ever reads ------------------------------------------------------


def test_a_mistyped_file_is_not_called_clean(tmp_path: Path) -> None:
    """Exit 2 and a sentence, and no file."""
    assert_cannot_tell(run_audit(sqlite_url(tmp_path / "typo.sqlite")), "There is nothing at")
    assert_cannot_tell(run_audit(sqlite_url(tmp_path / "no" / "typo.sqlite")), "nothing at")
    assert_cannot_tell(run_audit(sqlite_url(tmp_path)), "There is no file at")
    assert list(tmp_path.iterdir()) == []


def _another_programs(file: Path, *, wal: bool) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
        connection.execute("CREATE TABLE recipes (name TEXT)")
        connection.execute("INSERT INTO recipes VALUES ('soup')")


@pytest.mark.parametrize("wal", few([True, False]))
def test_another_programs_file_is_left_alone(tmp_path: Path, wal: bool) -> None:
    file = tmp_path / "recipes.sqlite"
    _another_programs(file, wal=wal)
    before = everything_in(tmp_path)
    assert_cannot_tell(run_audit(sqlite_url(file)), "has no table airports")
    for module in ("travel.client", "travel.worker"):
        outcome = run_module(module, TRAVEL_DATABASE_URL=sqlite_url(file))
        if module == "travel.client":  # without a server, the Worker does not come that far
            assert_cannot_tell(outcome, "another program")
    with pytest.raises(InvalidInput, match="another program"):
        open_database(sqlite_url(file))
    assert everything_in(tmp_path) == before


def test_who_finds_the_file_locked_by_somebody_who_opens_it_too_waits(
    sqlite_database: Database, sqlite_url: str
) -> None:
    """SQLite waits for every lock but that of the switch to its write-ahead log."""
    sqlite_database.close()
    with closing(sqlite3.connect(make_url(sqlite_url).database or "")) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as thread:
            opened = thread.submit(open_database, sqlite_url)
            time.sleep(0.5)
            assert not opened.done()
            other.rollback()
            opened.result().close()


@pytest.mark.parametrize(
    "content", [b"", b"not a database " * 100, b"SQLite format 3\0" + b"\xff" * 2000]
)
def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "travel.sqlite").write_bytes(content)
    assert_cannot_tell(run_audit(sqlite_url(tmp_path / "travel.sqlite")), "expected")
    assert everything_in(tmp_path) == {"travel.sqlite": content}


@pytest.mark.parametrize(
    ("statement", "lacking"),
    [
        ("DROP TABLE settlements", "has no table settlements"),
        ("DROP TABLE provider_calls", "has no table provider_calls"),
        ("ALTER TABLE booking_requests DROP COLUMN outcome", "has no column outcome in its table"),
    ],
)
def test_a_database_of_an_older_version(
    sqlite_database: Database, sqlite_url: str, tmp_path: Path, statement: str, lacking: str
) -> None:
    with sqlite_database.transaction() as connection:
        connection.execute(text(statement))
    sqlite_database.close()
    before = everything_in(tmp_path)
    assert_cannot_tell(run_audit(sqlite_url), lacking, "expected")
    assert everything_in(tmp_path) == before


def test_a_table_of_ours_by_name_only(tmp_path: Path) -> None:
    """No Worker adds its tables to a database that it then could not use."""
    file = tmp_path / "travel.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE booking_requests (id INTEGER)")
    with pytest.raises(InvalidInput, match="a column is missing"):
        open_database(sqlite_url(file))
    with closing(sqlite3.connect(file)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert names == [("booking_requests",)]


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///",
        "sqlite+pysqlite:///:memory:",
        "sqlite:///file::memory:?uri=true",
        "sqlite:///file:x?mode=memory&cache=shared&uri=true",
        "sqlite:///?uri=true",
    ],
)
def test_a_database_in_memory_is_refused(url: str) -> None:
    for open_it in (open_database, open_existing):
        with pytest.raises(InvalidInput, match="expected sqlite:///FILE"):
            open_it(url)


@pytest.mark.parametrize("module", ["travel.client", "travel.audit"])
def test_a_database_in_memory_is_refused_on_the_command_line(module: str) -> None:
    refused = run_module(module, TRAVEL_DATABASE_URL="sqlite:///:memory:")
    assert_cannot_tell(refused, "expected sqlite:///FILE")


@pytest.mark.parametrize("live", [True, False])
def test_an_audit_of_an_sqlite_file_leaves_no_trace(
    sqlite_database: Database, sqlite_url: str, tmp_path: Path, live: bool
) -> None:
    """With a Worker that has the file open, whose last writes are not in it yet, and without."""
    store(sqlite_database, a_trip())
    if not live:
        sqlite_database.close()
    before = everything_in(tmp_path)
    assert len(before) == (3 if live else 1)
    assert run_audit(sqlite_url).stdout.startswith("Audit: clean. 1 trips")
    after = everything_in(tmp_path)
    assert after.keys() == before.keys()
    # The third, -shm, is how those who have the file open tell each other that they do.
    assert all(after[name] == before[name] for name in before if not name.endswith("-shm"))


AS_NOBODY = """
import os, sys
import travel.audit
from travel.store.database import memory_database
memory_database().close()  # what it loads late, nobody could read
if os.geteuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
sys.exit(travel.audit.main([]))
"""


def _as_nobody(url: str) -> CompletedProcess[str]:
    """The audit by somebody whom permissions hold up, which root is not."""
    return subprocess.run(
        [sys.executable, "-c", AS_NOBODY],
        cwd=ROOT,
        env=clean_environment(TRAVEL_DATABASE_URL=url),
        capture_output=True,
        text=True,
    )


@contextmanager
def _everybodys_folder() -> Iterator[Path]:
    """A folder that everybody may look into, which pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="travel-", dir="/tmp") as name:
        os.chmod(name, 0o755)
        yield Path(name)


@posix
def test_a_file_and_a_folder_that_may_only_be_read() -> None:
    """The audit reads; who would write gets a sentence."""
    with _everybodys_folder() as folder:
        file = folder / "travel.sqlite"
        database = open_database(sqlite_url(file))
        store_seed_data(database, load_seed_data())
        store(database, a_trip())
        database.close()
        file.chmod(0o444)
        folder.chmod(0o555)
        outcome = _as_nobody(sqlite_url(file))
        assert outcome.stdout.startswith("Audit: clean. 1 trips"), outcome.stderr
        file.chmod(0)
        assert_cannot_tell(_as_nobody(sqlite_url(file)), "the file cannot be opened")
        folder.chmod(0)
        assert_cannot_tell(_as_nobody(sqlite_url(file)), "expected")
        folder.chmod(stat.S_IRWXU)


# --- D4: any path -----------------------------------------------------------------------

ODD = "a%20b c%41'd\" & ü% +;=[1]@:~"
if sys.platform != "win32":
    ODD += "?x=1 #2 \\ *"


def test_a_url_for_any_path(tmp_path: Path) -> None:
    folder = tmp_path / ODD
    folder.mkdir()
    file = folder / "travel.sqlite"
    database = open_database(sqlite_url(file))
    try:
        assert str(file) in str(database)
        again = open_database(database.url)
        store_seed_data(again, load_seed_data())
        again.close()
    finally:
        database.close()
    existing = open_existing(sqlite_url(file))
    assert read_trips(existing) == {}
    existing.close()
    assert [path.name for path in folder.iterdir()] == ["travel.sqlite"]
    assert [path.name for path in tmp_path.iterdir()] == [ODD]


@pytest.mark.parametrize("name", ["a%20b", "100%", "a b", "a+b", "a?b", "a#b", "what?x=1"])
def test_a_path_written_into_a_url_as_it_is(tmp_path: Path, name: str) -> None:
    if sys.platform == "win32" and "?" in name:
        pytest.skip("no such folder there")
    file = tmp_path / name / "travel.sqlite"
    file.parent.mkdir()
    assert parse(f"sqlite:///{file}").database == str(file)


@posix
def test_a_checkout_and_a_folder_for_temporary_files_with_any_name(tmp_path: Path) -> None:
    """Any path works: the default database lies in the checkout, and nothing lies elsewhere."""
    checkout, temporary = tmp_path / ODD, tmp_path / f"tmp {ODD}"
    temporary.mkdir()
    for name in ("travel", "seed", "notebooks/lab"):
        shutil.copytree(ROOT / name, checkout / name)
    (checkout / "README.md").write_text("")

    def python(*arguments: str) -> CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=checkout,
            env=clean_environment(TMPDIR=str(temporary), PYTHONPATH="notebooks:."),
            capture_output=True,
            text=True,
        )

    booked = python("-m", "travel.client", "--trips", "2")
    assert "Audit: clean. 2 trips" in booked.stdout, booked.stderr
    made = python("-c", "from travel.store.database import open_database as o; o().close()")
    assert made.returncode == 0, made.stderr
    assert (checkout / ".travel.sqlite").exists()
    audited = python("-m", "travel.audit")
    assert audited.stdout.startswith("Audit: clean. 0 trips"), audited.stderr
    lesson = python("-c", LESSON)
    assert lesson.stdout == "True 1\nTrue 1\n", lesson.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([ODD, f"tmp {ODD}"])


LESSON = """
import asyncio
from lab.running.system import start
from travel.audit import audit

async def main():
    first, second = await start(), await start()
    for system, others in ((first, 1), (second, 1)):
        trip = await system.book("Customer-001")
        print(trip.booked, audit(system.database).trips)
        await system.book("Customer-002") if system is first else None
    for system in (first, second):
        await system.close()

asyncio.run(main())
"""


# --- D5: a database that says no, or not now ----------------------------------------------


def _role(postgres_url: str, name: str, *grants: str) -> str:
    """A role of its own for the test; returns the database's URL for it."""
    with closing(psycopg.connect(postgres_url, autocommit=True)) as admin:
        admin.execute(f'CREATE ROLE "{name}" LOGIN')
        for grant in grants:
            admin.execute(f'{grant} "{name}"')
    url = make_url(postgres_url).set(username=name)
    return url.render_as_string(hide_password=False)


@contextmanager
def _filled(url: str) -> Iterator[Database]:
    database = open_database(url)
    try:
        store_seed_data(database, load_seed_data())
        yield database
    finally:
        database.close()


def _drop(postgres_url: str, role: str) -> None:
    with closing(psycopg.connect(postgres_url, autocommit=True)) as admin:
        admin.execute(f'DROP OWNED BY "{role}"')
        admin.execute(f'DROP ROLE "{role}"')


READ_ALL = "GRANT SELECT ON ALL TABLES IN SCHEMA public TO"


@pytest.mark.parametrize(
    ("grants", "reason"),
    few(
        [
            ([READ_ALL], "permission denied"),
            (
                [READ_ALL, "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO"],
                "it may only be read",
            ),
        ]
    ),
)
def test_a_role_that_may_only_read(postgres_url: str, grants: list[str], reason: str) -> None:
    """A sentence for who would write; the audit needs no more than to read."""
    role = f"reader_{make_url(postgres_url).database}"
    with _filled(postgres_url) as database:
        store(database, a_trip())
    url = _role(postgres_url, role, *grants)
    try:
        if len(grants) > 1:
            with closing(psycopg.connect(postgres_url, autocommit=True)) as admin:
                admin.execute(f'ALTER ROLE "{role}" SET default_transaction_read_only = on')
        assert_cannot_tell(run_module("travel.client", TRAVEL_DATABASE_URL=url), reason)
        assert run_audit(url).stdout.startswith("Audit: clean. 1 trips")
    finally:
        _drop(postgres_url, role)


def test_a_role_that_may_see_nothing(postgres_url: str) -> None:
    role = f"blind_{make_url(postgres_url).database}"
    with _filled(postgres_url):
        pass
    url = _role(postgres_url, role)
    try:
        assert_cannot_tell(run_audit(url), "permission denied, 42501")
    finally:
        _drop(postgres_url, role)


@pytest.mark.parametrize("timeout", ["statement_timeout", "lock_timeout"])
def test_a_server_with_little_patience(postgres_url: str, timeout: str) -> None:
    """Somebody holds the table, and the server lets nobody wait for them."""
    role = f"hasty_{make_url(postgres_url).database}"
    with _filled(postgres_url):
        pass
    url = _role(postgres_url, role, READ_ALL)
    with closing(psycopg.connect(postgres_url)) as holder:
        holder.execute(f'ALTER ROLE "{role}" SET {timeout} = 50')
        holder.commit()
        holder.execute("LOCK TABLE booking_requests")
        assert_cannot_tell(run_audit(url), "The database cannot be audited")
    _drop(postgres_url, role)


def fail_once(database: Database, error: Callable[[], Exception]) -> list[str]:
    """The next UPDATE of an outcome fails like this; returns what was executed since."""
    seen: list[str] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def before(_conn, _cursor, statement, _parameters, _context, _many) -> None:
        if statement.startswith("UPDATE booking_requests"):
            seen.append(statement)
            if len(seen) == 1:
                raise error()

    return seen


def _operational(sqlstate: str) -> Exception:
    cause = psycopg.errors.lookup(sqlstate)("Ada, the statement and all")
    return OperationalError("UPDATE", {"customer": "Ada"}, cause)


FAILS_ONCE = [
    lambda: _operational("40P01"),
    lambda: _operational("40001"),
    lambda: _operational("57P01"),
    lambda: _operational("53300"),
    lambda: _operational("08006"),
    lambda: OperationalError("UPDATE", {}, sqlite3.OperationalError("database is locked")),
    lambda: OperationalError("UPDATE", {}, psycopg.OperationalError("the connection is lost")),
    lambda: TimeoutError("QueuePool limit"),
]


@pytest.mark.parametrize("error", FAILS_ONCE)
def test_an_outcome_that_cannot_be_recorded_at_once(
    sqlite_database: Database, error: Callable[[], Exception]
) -> None:
    """A second try."""
    store(sqlite_database, a_trip())
    seen = fail_once(sqlite_database, error)
    record_outcome(sqlite_database, a_trip(), "failed")
    assert len(seen) == 2
    assert read_trips(sqlite_database)["TEST-1"].outcome == "failed"


def test_a_connection_that_the_server_ends(postgres_url: str) -> None:
    """As when it is restarted: in the middle of a transaction, and with all that are idle."""
    with _filled(postgres_url) as database:
        store(database, a_trip())
        killed: list[int] = []

        def work() -> None:
            with database.transaction() as connection:
                if not killed:
                    killed.append(1)
                    with closing(psycopg.connect(postgres_url, autocommit=True)) as admin:
                        admin.execute(
                            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
                        )
                connection.execute(text("UPDATE booking_requests SET outcome = 'failed'"))

        again(work)
        assert read_trips(database)["TEST-1"].outcome == "failed"


def test_a_deadlock_between_two_who_record(postgres_url: str) -> None:
    """PostgreSQL ends one of them; it tries again, and both are recorded."""
    with _filled(postgres_url) as database:
        for code in ("TEST-1", "TEST-2"):
            store(database, a_trip(code))
        met = threading.Barrier(2)
        tries: list[str] = []

        def work(first: str, second: str) -> None:
            def attempt() -> None:
                with database.transaction() as connection:
                    change = text(
                        "UPDATE booking_requests SET outcome = :o WHERE confirmation_code = :c"
                    )
                    tries.append(first)
                    connection.execute(change, {"o": "failed", "c": first})
                    if len(tries) <= 2:
                        met.wait(20)
                    connection.execute(change, {"o": "failed", "c": second})

            again(attempt)

        threads = [
            threading.Thread(target=work, args=codes)
            for codes in (("TEST-1", "TEST-2"), ("TEST-2", "TEST-1"))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(tries) == 3
        assert {trip.outcome for trip in read_trips(database).values()} == {"failed"}


def test_what_stays_wrong_is_not_asked_for_again(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def work() -> None:
        tries.append(1)
        with sqlite_database.transaction() as connection:
            connection.execute(text("SELECT * FROM no_such_table"))

    with pytest.raises(DatabaseUnavailable, match="a table is missing"):
        again(work)
    assert len(tries) == 1


def test_the_report_is_not_lost_with_an_outcome(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One outcome cannot be recorded at all; every trip's line and the audit are there."""
    monkeypatch.setattr(failures, "PAUSES_SECONDS", (0.0, 0.0))
    record = booking.booking_requests.record_outcome

    def fails_for_one(database: Database, request: object, outcome: object) -> None:
        if request.confirmation_code == "TRIP-002":  # type: ignore[attr-defined]
            raise DatabaseUnavailable("another transaction came first, 40001")
        record(database, request, outcome)  # type: ignore[arg-type]

    monkeypatch.setattr(booking.booking_requests, "record_outcome", fails_for_one)
    monkeypatch.delenv("TRAVEL_DATABASE_URL", raising=False)
    assert asyncio.run(client.run("embedded", 42, 3)) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert [line[:6] for line in lines[:3]] == ["[1/3] ", "[2/3] ", "[3/3] "]
    assert "RESULTS:" in lines
    assert lines[-1].startswith("Audit: clean. 3 trips")
    assert said.err.splitlines() == [
        "The database did not take down what became of 1 of the trips (TRIP-002, …); "
        "the next reconciliation will."
    ]


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_server_with_another_encoding(postgres_server: str, encoding: str) -> None:
    name = f"travel_{encoding.lower()}_{os.getpid()}"
    server = make_url(postgres_server).set(drivername="postgresql")
    with closing(
        psycopg.connect(server.render_as_string(hide_password=False), autocommit=True)
    ) as admin:
        admin.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LOCALE 'C'")
        try:
            url = server.set(database=name).render_as_string(hide_password=False)
            trip = a_trip(customer="Zoë", passengers=[Passenger("Zoë"), Passenger("François")])
            with _filled(url) as database:
                store(database, trip)
                assert read_trips(database)["TEST-1"].request == trip
                assert audit(database).clean
            assert run_audit(url).stdout.startswith("Audit: clean. 1 trips")
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_database_that_is_locked(
    sqlite_database: Database, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else writes for longer than anybody waits."""
    with closing(sqlite3.connect(str(make_url(sqlite_url).database))) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with sqlite_database.snapshot() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout = 1")
        with (
            pytest.raises(DatabaseUnavailable, match="the database is locked, SQLITE_BUSY"),
            sqlite_database.transaction(),
        ):
            pass


# --- D6: no names in a failure ------------------------------------------------------------

NAMES = ["Quetzalcoatl", "Xiuhtecuhtli"]

BREAK = {
    "a table is gone": "DROP TABLE booking_requests",
    "a rule is broken": "ALTER TABLE booking_requests ADD CONSTRAINT narrow "
    "CHECK (length(request::text) < 5) NOT VALID",
    "a value does not fit": "ALTER TABLE booking_requests ALTER COLUMN customer TYPE varchar(1)",
    "a trigger quotes the row": """
        CREATE FUNCTION quote() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no %%', NEW USING DETAIL = NEW::text; END $$;
        CREATE TRIGGER quote BEFORE INSERT ON booking_requests
        FOR EACH ROW EXECUTE FUNCTION quote()""",
}


@pytest.mark.parametrize("how", BREAK)
def test_no_names_in_the_failure_of_a_trip(
    temporal_address: str, postgres_url: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Searched for every name: the failures of the Event History, and the log."""
    caplog.set_level(logging.DEBUG)
    quiet_expected_failures()
    trip = a_new_trip(passengers=[Passenger(name) for name in NAMES])

    async def test(database: Database) -> tuple[TripResult, str]:
        async with running_system(temporal_address, database) as system:
            result, handle = await system.book(trip)
            failures = [
                str(event)
                for event in (await handle.fetch_history()).events
                if "failed" in (event.WhichOneof("attributes") or "")
            ]
            return result, "\n".join(failures)

    with _filled(postgres_url) as database:
        with database.transaction() as connection:
            connection.exec_driver_sql(BREAK[how])
        result, told = run(test(database))
    assert "DatabaseUnavailable" in told
    assert "The database failed" in result.reason
    assert "The database failed" in caplog.text, "nobody planned for it, so it is logged"
    for name in NAMES:
        assert name not in told
        assert name not in result.reason
        assert name not in caplog.text
    for word in ("INSERT INTO", "parameters"):
        assert word not in told
        assert word not in caplog.text


def test_what_a_database_says_of_text_it_cannot_read(sqlite_database: Database) -> None:
    """SQLite quotes it whole."""
    with sqlite_database.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO booking_requests VALUES ('A', CAST(x'ff416461' AS TEXT), '{}', NULL)"
        )
    with pytest.raises(DatabaseUnavailable) as caught:
        read_trips(sqlite_database)
    assert "Ada" not in "".join(map(str, _chain(caught.value)))


def test_a_database_in_memory_for_simulations() -> None:
    database = memory_database()
    store_seed_data(database, load_seed_data())
    store(database, a_trip())
    assert audit(database).trips == 1
    database.close()
