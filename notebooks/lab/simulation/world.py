"""The world outside that Activities change, and how to put it back between two runs."""

from __future__ import annotations

import copy
import sqlite3
from collections.abc import Collection
from typing import Any, Protocol


class World(Protocol):
    """Anything that can say what it is like and be put back to that."""

    def snapshot(self) -> Any:
        """What it is like now."""
        ...

    def restore(self, snapshot: Any) -> None:
        """Make it like that again; the same snapshot may be restored many times."""
        ...


class Nothing:
    """A world without a state."""

    def snapshot(self) -> None:
        return None

    def restore(self, snapshot: None) -> None:
        return None


class Objects:
    """Plain Python objects: instances, dicts, lists, sets. They stay the same objects."""

    def __init__(self, *objects: Any) -> None:
        self._objects = objects

    def snapshot(self) -> list[Any]:
        return copy.deepcopy([_contents(each) for each in self._objects])

    def restore(self, snapshot: list[Any]) -> None:
        for each, contents in zip(self._objects, copy.deepcopy(snapshot), strict=True):
            _fill(each, contents)


class Sqlite:
    """A database in memory, by its connection; as fast as copying its bytes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def snapshot(self) -> bytes:
        return self._connection.serialize()

    def restore(self, snapshot: bytes) -> None:
        self._connection.deserialize(snapshot)


class SqliteRows:
    """A database by its rows: the same rows are the same world, however they came about.

    ``fixed`` are tables that nobody changes; not looking at them saves time.
    """

    def __init__(self, connection: sqlite3.Connection, fixed: Collection[str] = ()) -> None:
        self._connection = connection
        query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        found = [name for (name,) in connection.execute(query)]
        self._tables = [name for name in found if name not in fixed]
        self._initial = [self._rows(table) for table in self._tables]

    def snapshot(self) -> tuple[Any, ...]:
        """Rows of each table that is not as it was in the beginning."""
        found = ((table, self._rows(table)) for table in self._tables)
        return tuple(
            entry for entry, first in zip(found, self._initial, strict=True) if entry[1] != first
        )

    def restore(self, snapshot: tuple[Any, ...]) -> None:
        changed = dict(snapshot)
        self._connection.execute("PRAGMA foreign_keys = OFF")
        for table, first in zip(self._tables, self._initial, strict=True):
            rows = changed.get(table, first)
            if self._rows(table) != rows:
                self._fill(table, rows)
        self._connection.commit()
        self._connection.execute("PRAGMA foreign_keys = ON")

    def _rows(self, table: str) -> tuple[Any, ...]:
        return tuple(self._connection.execute(f'SELECT rowid, * FROM "{table}" ORDER BY rowid'))

    def _fill(self, table: str, rows: tuple[Any, ...]) -> None:
        self._connection.execute(f'DELETE FROM "{table}"')
        if rows:
            names = [row[1] for row in self._connection.execute(f'PRAGMA table_info("{table}")')]
            columns = ", ".join(["rowid", *(f'"{name}"' for name in names)])
            marks = ", ".join("?" * len(rows[0]))
            self._connection.executemany(
                f'INSERT INTO "{table}" ({columns}) VALUES ({marks})', rows
            )


class Several:
    """Worlds beside each other."""

    def __init__(self, *worlds: World) -> None:
        self._worlds = worlds

    def snapshot(self) -> list[Any]:
        return [world.snapshot() for world in self._worlds]

    def restore(self, snapshot: list[Any]) -> None:
        for world, state in zip(self._worlds, snapshot, strict=True):
            world.restore(state)


def _contents(each: Any) -> Any:
    return each if isinstance(each, (dict, list, set)) else vars(each)


def _fill(each: Any, contents: Any) -> None:
    if isinstance(each, list):
        each[:] = contents
        return
    target = each if isinstance(each, (dict, set)) else vars(each)
    target.clear()
    target.update(contents)
