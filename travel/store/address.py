"""Where the database is: URLs, and what of one may be shown.

A URL may hold a password in many places: before the host, in the query, and, not
written as it should be, in what then looks like a host or a port. So what is shown
is put together from what is no secret: driver, host, port and name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from travel.errors import InvalidInput

URL_VARIABLE = "TRAVEL_DATABASE_URL"
DEFAULT_FILE = Path(__file__).resolve().parents[2] / ".travel.sqlite"

EXPECTED = "expected sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"

_SQLITE = ("sqlite", "sqlite+pysqlite")
_POSTGRESQL = ("postgresql", "postgresql+psycopg")

_PLAIN_HOST = re.compile(r"[\w.:%-]*|/[^@]*")
_PLAIN_NAME = re.compile(r"[\w .-]*")
_HIDDEN = "…"


def sqlite_url(file: Path | str) -> str:
    """The URL of an SQLite file, whatever signs its path has in it."""
    return URL.create("sqlite", database=str(file)).render_as_string()


def database_url() -> str:
    """``TRAVEL_DATABASE_URL``, or that of the SQLite file beside the package."""
    return os.environ.get(URL_VARIABLE) or sqlite_url(DEFAULT_FILE)


def parse(text: str) -> URL:
    """The URL of an SQLite file, or of a PostgreSQL database with its driver.

    Raises ``InvalidInput``, which shows nothing of ``text``, if it is neither.
    """
    try:
        url = make_url(text)
    # ValueError: a port that is no number, which may be half a password.
    except (SQLAlchemyError, ValueError):
        raise InvalidInput(f"{URL_VARIABLE} is not a database URL; {EXPECTED}.") from None
    if url.drivername in _SQLITE:
        return URL.create("sqlite", database=_sqlite_file(text, url))
    if url.drivername in _POSTGRESQL:
        return _postgresql(text, url)
    raise InvalidInput(
        f"{URL_VARIABLE} is the URL of a kind of database, or names a driver, "
        f"that cannot be used here; {EXPECTED}."
    )


def shown(url: URL) -> str:
    """Driver, host, port and name, and nothing that could be a secret."""
    if url.get_backend_name() == "sqlite":
        return f"sqlite:///{on_one_line(url.database or '')}"
    hosts = [url.host] if url.host else _several(url.query.get("host", ()))
    host = ",".join(_only(_PLAIN_HOST, host) for host in hosts)
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{host}{port}/{_only(_PLAIN_NAME, url.database or '')}"


def on_one_line(path: Path | str) -> str:
    """A path as it may stand in a sentence, whatever signs it has."""
    return "".join(sign if sign.isprintable() else "�" for sign in str(path))


def _sqlite_file(text: str, url: URL) -> str:
    if url.host or url.username or url.password or url.port:
        raise InvalidInput(f"{URL_VARIABLE} names an SQLite file and a host; {EXPECTED}.")
    file, literal = url.database or "", text.partition(":///")[2]
    # Somebody put a path into the URL as it is, and what looks encoded, or like the
    # beginning of options, is part of a folder's name.
    odd = "?" in str(Path(literal).parent) or not _is_folder(Path(file).parent)
    if odd and _is_folder(Path(literal).parent):
        return literal
    if url.query or "?" in text or file.startswith("file:"):
        raise InvalidInput(
            f"{URL_VARIABLE} has options after its SQLite file; expected sqlite:///FILE, "
            "with %3F for a question mark in a path."
        )
    if file in ("", ":memory:") or "\0" in file:
        raise InvalidInput(
            f"{URL_VARIABLE} names no file, and a database in memory is seen by one "
            "connection only; expected sqlite:///FILE."
        )
    return file


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # too long, or a NUL in it
        return False


def _postgresql(text: str, url: URL) -> URL:
    # The parser would take what follows the wrong one for a host, and that is shown.
    if text.count("@") > 1 or "@" in text.partition("?")[2]:
        raise InvalidInput(
            f"{URL_VARIABLE} has an @ too many, so where its password ends is unclear; "
            "expected %40 for one that belongs to a user, a password or an option."
        )
    return url.set(drivername="postgresql+psycopg")


def _several(value: str | Sequence[str]) -> Sequence[str]:
    return (value,) if isinstance(value, str) else value


def _only(plain: re.Pattern[str], text: str) -> str:
    return text if plain.fullmatch(text) else _HIDDEN
