"""SQLite files that are there already, looked at without a trace."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect

from travel.errors import DatabaseUnavailable, InvalidInput
from travel.store.address import URL_VARIABLE, on_one_line
from travel.store.failures import translated_failures


def engine_to_read(file: Path) -> Engine:
    """Open the file so that it is only read; see https://www.sqlite.org/uri.html.

    Raises ``InvalidInput`` if there is no such file.
    """
    _check_file(file)
    mode = "mode=ro"
    # Nobody has the file open, or was killed while they had. Said so, SQLite makes
    # no files beside it to find that out.
    if not _beside(file, "-wal").exists() and not _beside(file, "-journal").exists():
        mode += "&immutable=1"
    uri = f"file:{quote(file.absolute().as_posix())}?{mode}"
    connect = partial(sqlite3.connect, uri, uri=True, timeout=30, check_same_thread=False)
    engine = create_engine(URL.create("sqlite", database=str(file)), creator=connect)

    @event.listens_for(engine, "connect")
    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _check_file(file: Path) -> None:
    try:
        if file.is_file():
            return
        what = "no file" if file.exists() else "nothing"
    except OSError:
        what = "nothing that can be looked at"
    raise InvalidInput(
        f"There is {what} at {on_one_line(file)}; expected the SQLite file of a travel database. "
        f"Start python -m travel.worker first, or set {URL_VARIABLE}."
    )


def _beside(file: Path, suffix: str) -> Path:
    return file.with_name(file.name + suffix)


def refuse_strangers(file: Path, ours: set[str]) -> None:
    """Raise ``InvalidInput`` if the file has tables, and none of them is called like ours."""
    try:
        if not file.is_file() or file.stat().st_size == 0:
            return
    except OSError:
        return  # opening it will say what is wrong
    engine = engine_to_read(file)
    try:
        with translated_failures(), closing(engine.connect()) as connection:
            names = set(inspect(connection).get_table_names())
    except DatabaseUnavailable:
        return
    finally:
        engine.dispose()
    if names and not names & ours:
        raise InvalidInput(
            f"The file {on_one_line(file)} is the database of another program; "
            "expected a travel database, or a file that does not exist yet."
        )
