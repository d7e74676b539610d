"""Tables and transactions: what the providers own, and what they hold for whom.

The database, not the Workflow, makes double booking impossible: a seat, a room
night and a car day are primary keys, so a second holder is an error.

SQLite in a file by default, so that Workers in other processes share it;
PostgreSQL where ``TRAVEL_DATABASE_URL`` says so, also behind a pooler that gives
each transaction another connection: nothing here outlives a transaction.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    URL,
    CheckConstraint,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Index,
    Insert,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    inspect,
    literal_column,
    update,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from travel.errors import DatabaseUnavailable, InvalidInput
from travel.store.address import EXPECTED, URL_VARIABLE, database_url, parse, shown
from travel.store.failures import translated_failures
from travel.store.files import engine_to_read, refuse_strangers

AnyRow = Row[*tuple[Any, ...]]

READ_ONLY = "travel_read_only"

LOCK_SECONDS = 30.0
"""How long somebody waits for another writer of an SQLite file."""

LOCK_POLL_SECONDS = 0.01

metadata = MetaData()

# --- what there is -----------------------------------------------------------

airports = Table(
    "airports",
    metadata,
    Column("code", String, primary_key=True),
    Column("city", String, nullable=False, unique=True),
)
routes = Table(
    "routes",
    metadata,
    Column("number", String, primary_key=True),
    Column("origin", ForeignKey("airports.code"), nullable=False),
    Column("destination", ForeignKey("airports.code"), nullable=False),
    UniqueConstraint("origin", "destination"),
)
fares = Table(
    "fares",
    metadata,
    Column("route", ForeignKey("routes.number"), primary_key=True),
    Column("cabin", String, primary_key=True),
    Column("fare_cents", Integer, CheckConstraint("fare_cents > 0"), nullable=False),
    Column("seats", Integer, CheckConstraint("seats > 0"), nullable=False),
)
flights = Table(
    "flights",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("route", ForeignKey("routes.number"), nullable=False),
    Column("date", String(10), nullable=False),
    UniqueConstraint("route", "date"),
)
hotels = Table(
    "hotels",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("airport", ForeignKey("airports.code"), nullable=False, index=True),
)
rooms = Table(
    "rooms",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("hotel", ForeignKey("hotels.id"), nullable=False),
    Column("number", String, nullable=False),
    Column("room_type", String, nullable=False),
    Column("nightly_cents", Integer, CheckConstraint("nightly_cents > 0"), nullable=False),
    UniqueConstraint("hotel", "number"),
)
cars = Table(
    "cars",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("airport", ForeignKey("airports.code"), nullable=False, index=True),
    Column("licence_plate", String, nullable=False, unique=True),
    Column("model", String, nullable=False),
    Column("car_type", String, nullable=False),
    Column("daily_cents", Integer, CheckConstraint("daily_cents > 0"), nullable=False),
)

# --- who asked for what, and what is held for whom ---------------------------

booking_requests = Table(
    "booking_requests",
    metadata,
    Column("confirmation_code", String, primary_key=True),
    Column("customer", String, nullable=False),
    Column("request", JSON, nullable=False),
    # What the customer was told: "booked", "failed", or NULL for nothing yet.
    Column("outcome", String),
)
seat_holds = Table(
    "seat_holds",
    metadata,
    Column("flight", ForeignKey("flights.id"), primary_key=True),
    Column("seat", String, primary_key=True),
    Column("cabin", String, nullable=False),
    Column("confirmation_code", String, nullable=False, index=True),
)
room_holds = Table(
    "room_holds",
    metadata,
    Column("room", ForeignKey("rooms.id"), primary_key=True),
    Column("night", String(10), primary_key=True),
    Column("confirmation_code", String, nullable=False, index=True),
)
car_holds = Table(
    "car_holds",
    metadata,
    Column("car", ForeignKey("cars.id"), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("confirmation_code", String, nullable=False, index=True),
)
ledger = Table(
    "ledger",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("confirmation_code", String, nullable=False, index=True),
    Column("entry", String, CheckConstraint("entry IN ('charge', 'refund')"), nullable=False),
    Column("amount_cents", Integer, CheckConstraint("amount_cents > 0"), nullable=False),
    Column("receipt_number", String, nullable=False, unique=True),
)
outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("confirmation_code", String, nullable=False),
    Column("customer", String, nullable=False),
    Column("text", Text, nullable=False),
)
# What a person settled where a provider refused an undo. See travel.store.settlements.
settlements = Table(
    "settlements",
    metadata,
    Column("confirmation_code", String, primary_key=True),
    Column("undo", String, primary_key=True),
    # What the undo left in the books when it was settled: the audit excuses no more.
    Column("amount_cents", Integer, nullable=False),
    Column("settled_by", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("settled_at", String, nullable=False),
)

# --- which provider calls were made: idempotency keys and tombstones ---------

provider_calls = Table(
    "provider_calls",
    metadata,
    Column("key", String, primary_key=True),
    Column("state", String, nullable=False),
    Column("answer", JSON),
    Index("provider_calls_state", "state"),
)

# --- what we asked of companies that are not ours: see travel.providers.outside ---

orders = Table(
    "orders",
    metadata,
    Column("key", String, primary_key=True),
    # "open", "done", "refused" or "undone", as in provider_calls.
    Column("state", String, nullable=False),
    # Guest, place, dates: what the company was asked for. NULL if it never was.
    Column("request", JSON),
    # Seconds since 1970. Written before each request leaves the house.
    Column("first_sent", Float),
    Column("last_sent", Float),
    Column("sent", Integer, nullable=False, default=0),
    Column("acknowledged", Integer, nullable=False, default=0),
    # The company's reservation, once we know it. Nobody else may claim the number.
    Column("number", String, unique=True),
    Column("answer", JSON),
)
order_replies = Table(
    "order_replies",
    metadata,
    Column("id", String, primary_key=True),
    Column("key", String, nullable=False, index=True),
    # NULL for a refusal, then the answer holds the reason.
    Column("number", String),
    Column("answer", JSON, nullable=False),
)


class Database:
    """The travel database: an engine and the two ways to use it.

    What goes wrong in either is a ``DatabaseUnavailable``. ``url`` is the whole URL,
    for another process that is to open the same database; ``str`` of a database is
    what may be shown of it.
    """

    def __init__(self, engine: Engine, url: URL | None = None) -> None:
        self.engine = engine
        self.url = (url or engine.url).render_as_string(hide_password=False)
        self._shown = shown(engine.url)
        # SQLite has one writer at a time, and the others ask again after a nap.
        # Those of this process can line up instead. Other databases do that themselves.
        one_writer = engine.dialect.name == "sqlite"
        self._turn: AbstractContextManager[object] = (
            threading.Lock() if one_writer else nullcontext()
        )

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Read and write, all of it or nothing."""
        with translated_failures(), self._turn, self.engine.begin() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Read only, one consistent state, without holding up a writer."""
        # PostgreSQL's driver says both with the BEGIN itself, so they end with it.
        options: dict[str, Any] = {
            "isolation_level": "REPEATABLE READ",
            "postgresql_readonly": True,
        }
        if self.engine.dialect.name == "sqlite":
            options = {READ_ONLY: True}
        engine = self.engine.execution_options(**options)
        with translated_failures(), engine.connect() as connection, connection.begin():
            yield connection

    def create_tables(self) -> None:
        """Create what is missing; safe to call from several Workers at once."""
        with self.transaction() as connection:
            if self.engine.dialect.name == "postgresql":
                # CREATE TABLE IF NOT EXISTS can still collide with itself there.
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(20250120)")
            metadata.create_all(connection)
            # Touches no row, but tells a role or a server that may only read, and a table
            # that is not ours; what was created then goes with the transaction.
            harmless = update(booking_requests).where(literal_column("1 = 0"))
            connection.execute(harmless.values(outcome=None))

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()

    def __str__(self) -> str:
        return self._shown


# --- opening ------------------------------------------------------------------


def open_database(url: str | None = None) -> Database:
    """Open the database at ``url`` (default: ``database_url()``) and create its tables.

    Raises ``InvalidInput``, which never shows a password, if the URL is not one, if
    the file belongs to another program, or if the database cannot be reached and written.
    """
    where = parse(url or database_url())
    if where.database and where.get_backend_name() == "sqlite":
        refuse_strangers(Path(where.database), set(metadata.tables))
    database = _open(where)
    try:
        database.create_tables()
    except DatabaseUnavailable as error:
        database.close()
        raise InvalidInput(
            f"The database {database} cannot be used ({error.reason}); "
            "expected one that exists and can be written."
        ) from None
    return database


def open_existing(url: str | None = None) -> Database:
    """Open the database at ``url`` (default: ``database_url()``) to read, and only that.

    Makes no file and no table. Raises ``InvalidInput`` if there is no travel database.
    """
    where = parse(url or database_url())
    if where.get_backend_name() == "sqlite":
        database = Database(engine_to_read(Path(where.database or "")), where)
    else:
        database = _open(where)
    try:
        with database.snapshot() as connection:
            lacking = _lacking(connection)
    except DatabaseUnavailable as error:
        database.close()
        raise InvalidInput(
            f"The database {database} cannot be read ({error.reason}); "
            "expected one that python -m travel.worker has filled."
        ) from None
    if lacking:
        database.close()
        raise InvalidInput(
            f"The database {database} has no {lacking}; expected one that "
            "python -m travel.worker has filled, which also adds what an older one lacks."
        )
    return database


def memory_database() -> Database:
    """A database of this process alone, gone when it is closed: for simulations."""
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}, **_OPTIONS
    )
    _configure_sqlite(engine)
    database = Database(engine)
    database.create_tables()
    return database


_OPTIONS: dict[str, Any] = {
    # Nor does SQLAlchemy's own log show names.
    "hide_parameters": True,
    # Not as escapes: a server whose encoding is SQL_ASCII cannot look into those.
    "json_serializer": partial(json.dumps, ensure_ascii=False),
}


def _open(where: URL) -> Database:
    if where.get_backend_name() == "sqlite":
        engine = create_engine(where, connect_args={"timeout": LOCK_SECONDS}, **_OPTIONS)
        _configure_sqlite(engine)
        return Database(engine, where)
    try:
        given = where.get_dialect()().create_connect_args(where)[1]
    except (SQLAlchemyError, ValueError):
        raise InvalidInput(
            f"{URL_VARIABLE} has an option whose value cannot be used; {EXPECTED}."
        ) from None
    arguments = {
        **given,
        # Whatever encoding the server keeps its text in.
        "client_encoding": "utf8",
        # A prepared statement belongs to a connection. A pooler in transaction mode
        # would run it on another one, where its name may mean somebody else's.
        "prepare_threshold": None,
    }
    # Only what may be shown: an engine shows its URL in more places than one.
    public = URL.create(where.drivername, host=where.host, port=where.port, database=where.database)
    engine = create_engine(
        public,
        connect_args=arguments,
        # Notices that the server was restarted before a statement does.
        pool_pre_ping=True,
        pool_size=10,
        max_overflow=20,
        use_native_hstore=False,
        **_OPTIONS,
    )
    return Database(engine, where)


def _lacking(connection: Connection) -> str | None:
    """The first table or column that a travel database has and this one has not."""
    found = inspect(connection)
    names = set(found.get_table_names())
    for table in metadata.sorted_tables:
        if table.name not in names:
            return f"table {table.name}"
        columns = {column["name"] for column in found.get_columns(table.name)}
        for column in table.columns:
            if column.name not in columns:
                return f"column {column.name} in its table {table.name}"
    return None


# --- inserting ----------------------------------------------------------------


def insert_new(connection: Connection, table: Table, **values: Any) -> bool:
    """Insert a row unless its key exists; tell whether it was inserted.

    A second transaction that inserts the same key waits here until the first
    has committed or rolled back, so the key works as a lock.
    """
    statement = _insert_or_ignore(connection, table).values(**values)
    # Not rowcount: with PostgreSQL's driver it is -1 after an INSERT.
    return connection.execute(statement.returning(*table.primary_key)).first() is not None


def insert_many(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows whose key does not exist yet."""
    if not rows:
        return
    connection.execute(_insert_or_ignore(connection, table), rows)


def _insert_or_ignore(connection: Connection, table: Table) -> Insert:
    # Imported where it is needed: it loads support for five drivers of PostgreSQL.
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table).on_conflict_do_nothing()
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table).on_conflict_do_nothing()


def _configure_sqlite(engine: Engine) -> None:
    """One writer at a time that others wait for, and readers that never wait."""

    @event.listens_for(engine, "connect")
    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the "begin" event below begins
        _use_write_ahead_log(connection)
        # A killed process loses nothing in WAL mode; only a power cut could.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        # IMMEDIATE takes the write lock at once. Taken later, two transactions
        # that have both read could each wait for the other to let it write.
        read_only = connection.get_execution_options().get(READ_ONLY)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Wait for others who do the same: for this one lock SQLite itself does not wait.

    Else one of several Workers that start at once on a new file would be told that it is
    locked.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:  # its low byte is the kind
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(LOCK_POLL_SECONDS)
