"""What a database's error may tell: what went wrong, and no word of what it was about.

An error of SQLAlchemy holds the statement and its parameters, and the driver's own
words may quote a value, a setting or half a password. From an Activity all of that
would reach the Event History and the log. So none of it leaves this package: what is
known by its code is said in our words, and everything else by its class and code.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, SQLAlchemyError, TimeoutError

from travel.errors import DatabaseUnavailable

R = TypeVar("R")

PAUSES_SECONDS = (0.1, 0.5, 2.0)
"""Between the attempts of ``again``: longer than a deadlock or a broken connection lasts."""

# https://www.postgresql.org/docs/current/errcodes-appendix.html; two signs are a class.
_SQLSTATES = {
    "08": "the connection broke",
    "22": "a value does not fit",
    "23": "a rule of a table was broken",
    "25006": "it may only be read",
    "28": "the login was refused",
    "28P01": "the login was refused",
    "3D000": "there is no database of this name",
    "40001": "another transaction came first",
    "40P01": "two transactions waited for each other",
    "42501": "permission denied",
    "42P01": "a table is missing",
    "42703": "a column is missing",
    "53": "the server is out of room",
    "53100": "the disk is full",
    "53300": "too many connections",
    "55P03": "a lock was not to be had",
    "57014": "it took longer than the server allows",
    "57P01": "the server is shutting down",
    "57P02": "the server crashed",
    "57P03": "the server is starting",
}
# A connection that does not come about has no code. The first that fits is told.
_SAID_ON_CONNECTING = {
    "connection refused": "connection refused",
    "no such file or directory": "nothing listens there",
    "failed to resolve host": "there is no such host",
    "could not translate host name": "there is no such host",
    "timeout expired": "no answer in time",
    "timed out": "no answer in time",
    "timeout": "no answer in time",
    "too many clients": "too many connections",
    "too many connections": "too many connections",
    "connection slots": "too many connections",
    "no more connections": "too many connections",
    "starting up": "the server is starting",
    "not yet accepting": "the server is starting",
    "shutting down": "the server is shutting down",
    "authentication": "the login was refused",
    "no password supplied": "the login was refused",
    "pg_hba.conf": "the login was refused",
    "no such user": "the login was refused",
    "fatal:  role": "the login was refused",
    "permission denied": "permission denied",
    "no such database": "there is no database of this name",
    "fatal:  database": "there is no database of this name",
    "certificate": "no secure connection",
    "does not support ssl": "no secure connection",
    "ssl error": "no secure connection",
    "definition of service": "the service is not defined",
    "service file": "the service is not defined",
    "invalid connection option": "the URL has an option that does not exist",
    "invalid": "an option of the URL has a value that cannot be used",
    "bad value": "an option of the URL has a value that cannot be used",
    "server closed the connection": "the connection broke",
    "no such table": "a table is missing",
    "no such column": "a column is missing",
}
_SQLITE_ERRORS = {
    "SQLITE_BUSY": "the database is locked",
    "SQLITE_LOCKED": "the database is locked",
    "SQLITE_CANTOPEN": "the file cannot be opened",
    "SQLITE_CORRUPT": "the file is damaged",
    "SQLITE_CONSTRAINT": "a rule of a table was broken",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_IOERR": "the disk cannot be read or written",
    "SQLITE_NOTADB": "the file is not a database",
    "SQLITE_PERM": "permission denied",
    "SQLITE_READONLY": "it may only be read",
}

# A second attempt would end like the first.
_LASTING = ("22", "25", "28", "3D", "42")
_LASTING_IN_SQLITE = (
    "SQLITE_CANTOPEN",
    "SQLITE_CORRUPT",
    "SQLITE_ERROR",
    "SQLITE_NOTADB",
    "SQLITE_PERM",
    "SQLITE_READONLY",
)


@contextmanager
def translated_failures() -> Iterator[None]:
    """Let no error of the database out of the block but ``DatabaseUnavailable``."""
    try:
        yield
    # UnicodeError: text that another program stored in another encoding.
    except (SQLAlchemyError, UnicodeError) as error:
        # "from None" also keeps it out of the failure that Temporal makes of this one.
        raise _told(error) from None


def again(work: Callable[[], R]) -> R:
    """Do ``work``, which must be idempotent, and do it again while the database fails.

    Raises the last ``DatabaseUnavailable``; at once, if it is one that would stay.
    """
    for pause_seconds in PAUSES_SECONDS:
        try:
            return work()
        except DatabaseUnavailable as error:
            if error.lasting:
                raise
        time.sleep(pause_seconds)
    return work()


def _told(error: Exception) -> DatabaseUnavailable:
    if isinstance(error, TimeoutError):
        return DatabaseUnavailable("all connections of this process are in use")
    cause = getattr(error, "orig", None) or error
    if code := getattr(cause, "sqlite_errorname", None):
        lasting = code.startswith(_LASTING_IN_SQLITE)
        return DatabaseUnavailable(_words(_sqlite_reason(cause, code), cause, code), lasting)
    if code := getattr(cause, "sqlstate", None):
        reason = _SQLSTATES.get(code) or _SQLSTATES.get(code[:2])
        return DatabaseUnavailable(_words(reason, cause, code), code[:2] in _LASTING)
    reason = _said(cause) if isinstance(error, DBAPIError) else None
    return DatabaseUnavailable(reason or type(cause).__name__)


def _words(reason: str | None, cause: BaseException, code: str) -> str:
    return f"{reason or type(cause).__name__}, {code}"


def _sqlite_reason(cause: BaseException, code: str) -> str | None:
    # Extended codes add to the plain ones: SQLITE_BUSY_SNAPSHOT is a kind of SQLITE_BUSY.
    matching = (ours for theirs, ours in _SQLITE_ERRORS.items() if code.startswith(theirs))
    return next(matching, None) or _said(cause)


def _said(cause: BaseException) -> str | None:
    """Our words for the driver's, if they are known. They may quote anything."""
    theirs = str(cause).lower()
    return next((ours for said, ours in _SAID_ON_CONNECTING.items() if said in theirs), None)
