"""Tables and transactions: what the providers own, and what they hold for whom.

The database, not the Workflow, makes double booking impossible: a seat, a room
night and a car day are primary keys, so a second holder is an error.

SQLite in a file by default, so that Workers in other processes share it;
PostgreSQL where ``TRAVEL_DATABASE_URL`` says so.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    Connection,
    Engine,
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
    make_url,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from travel.errors import InvalidInput

URL_VARIABLE = "TRAVEL_DATABASE_URL"
DEFAULT_FILE = Path(__file__).resolve().parents[2] / ".travel.sqlite"

AnyRow = Row[*tuple[Any, ...]]

READ_ONLY = "travel_read_only"

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


class Database:
    """The travel database: an engine and the two ways to use it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # SQLite has one writer at a time, and the others ask again after a nap.
        # Those of this process can line up instead. Other databases do that themselves.
        one_writer = engine.dialect.name == "sqlite"
        self._turn: AbstractContextManager[object] = (
            threading.Lock() if one_writer else nullcontext()
        )

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Read and write, all of it or nothing."""
        with self._turn, self.engine.begin() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Read only, one consistent state, without holding up a writer."""
        options: dict[str, Any] = {"isolation_level": "REPEATABLE READ"}
        if self.engine.dialect.name == "sqlite":
            options = {READ_ONLY: True}
        engine = self.engine.execution_options(**options)
        with engine.connect() as connection, connection.begin():
            yield connection

    def create_tables(self) -> None:
        """Create what is missing; safe to call from several Workers at once."""
        with self.transaction() as connection:
            if self.engine.dialect.name == "postgresql":
                # CREATE TABLE IF NOT EXISTS can still collide with itself there.
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(20250120)")
            metadata.create_all(connection)

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()

    def __str__(self) -> str:
        return self.engine.url.render_as_string(hide_password=True)


def database_url() -> str:
    """``TRAVEL_DATABASE_URL``, or the SQLite file beside the package."""
    return os.environ.get(URL_VARIABLE) or f"sqlite:///{DEFAULT_FILE}"


def open_database(url: str | None = None) -> Database:
    """Open the database at ``url`` (default: ``database_url()``) and create its tables.

    Raises ``InvalidInput``, which never shows a password, if the URL is not one
    or the database cannot be reached and written.
    """
    try:
        parsed = make_url(url or database_url())
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        engine = create_engine(parsed, **_pool_options(parsed.get_backend_name()))
    # ImportError: a kind of database that SQLAlchemy knows, but whose driver is not here.
    except (ArgumentError, NoSuchModuleError, ValueError, ImportError):
        raise InvalidInput(
            f"{URL_VARIABLE} is not a database URL; expected sqlite:///FILE "
            "or postgresql://USER:PASSWORD@HOST/NAME."
        ) from None
    if engine.dialect.name == "sqlite":
        _configure_sqlite(engine)
    database = Database(engine)
    try:
        database.create_tables()
    except DBAPIError as error:
        database.close()
        raise InvalidInput(
            f"The database {database} cannot be used ({reason_of(error)}); "
            "expected one that exists and can be written."
        ) from None
    return database


def reason_of(error: DBAPIError) -> str:
    """What the database itself says, in one line: without the statement, which holds names."""
    return next(iter(str(error.orig).strip().splitlines()), "no reason given")


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


def _pool_options(backend: str) -> dict[str, Any]:
    if backend == "sqlite":
        return {"connect_args": {"timeout": 30}}
    # A pre-ping notices that the server was restarted before a statement does.
    return {"pool_pre_ping": True, "pool_size": 10, "max_overflow": 20}


def _configure_sqlite(engine: Engine) -> None:
    """One writer at a time that others wait for, and readers that never wait."""

    @event.listens_for(engine, "connect")
    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the "begin" event below begins
        connection.execute("PRAGMA journal_mode = WAL")
        # A killed process loses nothing in WAL mode; only a power cut could.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        # IMMEDIATE takes the write lock at once. Taken later, two transactions
        # that have both read could each wait for the other to let it write.
        read_only = connection.get_execution_options().get(READ_ONLY)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
