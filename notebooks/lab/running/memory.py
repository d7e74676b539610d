"""The travel database in memory, put back to its beginning in a hundredth of a millisecond.

For simulated trips: thousands of them do not wait for a disk. One thread uses it at a time.
"""

from __future__ import annotations

import sqlite3

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from lab.simulation import Remembered
from lab.simulation.world import SqliteRows
from travel.store.database import Database
from travel.store.inventory import store_seed_data
from travel.store.seed_data import load_seed_data

TOO_MANY_WORLDS = 5_000
"""Then it forgets them all: a few hundred bytes each."""

_idle: list[Memory] = []


def borrow_memory() -> Memory:
    """One in which nobody has booked anything; ``close()`` gives it back.

    A fresh one would have to learn all its statements anew, which takes longer than a trip.
    """
    try:
        memory = _idle.pop()
    except IndexError:
        return Memory()
    memory.reset()
    return memory


class Memory:
    """A database with the seed data in it; ``restore(snapshot())`` changes nothing."""

    def __init__(self) -> None:
        # Simulated Activities run wherever the simulation does, a notebook's thread or another.
        self._connection = sqlite3.connect(
            ":memory:", check_same_thread=False, isolation_level=None
        )
        self.database = Database(self._engine())
        self.database.create_tables()
        store_seed_data(self.database, load_seed_data())
        self._seeded = self.snapshot()
        self._remembered: dict[tuple[str, ...], Remembered] = {}

    def snapshot(self) -> bytes:
        """All of it as it is now."""
        return self._connection.serialize()

    def restore(self, kept: bytes) -> None:
        """As it was then."""
        self._connection.deserialize(kept)
        self._connection.execute("PRAGMA foreign_keys = ON")

    @property
    def remembered(self) -> Remembered:
        """The same with a memory of what was done to it, by the tables that it has now."""
        query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        tables = tuple(name for (name,) in self._connection.execute(query))
        known = self._remembered.get(tables)
        if known is None or known.worlds > TOO_MANY_WORLDS:
            known = self._remembered[tables] = Remembered(SqliteRows(self._connection))
        known.lost()
        return known

    def reset(self) -> None:
        """Nobody has booked anything."""
        self.restore(self._seeded)

    def close(self) -> None:
        """Whoever borrows one next may have it."""
        _idle.append(self)

    def _engine(self) -> Engine:
        engine = create_engine("sqlite://", creator=lambda: self._connection, poolclass=StaticPool)

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN")

        return engine
