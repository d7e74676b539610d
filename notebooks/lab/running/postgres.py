"""A throw-away PostgreSQL server, where the programs for one are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import URL, make_url

# Serves until its standard input closes, then removes the folder. So nothing is
# left even when this process is killed: the pipe closes with the process that holds it.
SERVE_WHILE_STDIN_IS_OPEN = '"$@" & read -r _; kill -INT $!; wait; rm -rf "$0"'


class NotInstalled(Exception):
    """There is no PostgreSQL to be started here; says why."""


def find_program(name: str) -> str:
    """The path of ``initdb`` or ``postgres``: on PATH, or where Debian keeps the newest."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parts[-2]))
    path = os.pathsep.join([os.environ.get("PATH", ""), *map(str, reversed(folders))])
    program = shutil.which(name, path=path)
    if program is None:
        raise NotInstalled(f"{name} is neither on PATH nor in /usr/lib/postgresql/*/bin")
    return program


def unprivileged_user() -> dict[str, Any]:
    """Options for ``subprocess``: PostgreSQL refuses to run as root."""
    if os.name != "posix":
        raise NotInstalled("a throw-away server is only started on Linux and macOS")
    if os.geteuid() != 0:
        return {}
    import pwd

    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        raise NotInstalled("root needs a user named postgres to run it as") from None
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextmanager
def postgres_urls() -> Iterator[list[str]]:
    """The URL of an empty PostgreSQL database, or none where there is no PostgreSQL.

    Looks for ``initdb`` and ``postgres`` on the PATH and where Debian keeps them. The
    server listens on a Unix socket only, and ends with the block or with this process.
    """
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running_server()).render_as_string(hide_password=False)
        except NotInstalled:
            yield []
            return
        yield [stack.enter_context(fresh_database(server, f"travel_{uuid.uuid4().hex}"))]


@contextmanager
def running_server() -> Iterator[URL]:
    """Start a server on a Unix socket in a folder of its own; yield its URL."""
    initdb, postgres = find_program("initdb"), find_program("postgres")
    user = unprivileged_user()
    # Not tempfile's default: the path of a socket is limited to about 100 bytes.
    folder = Path(tempfile.mkdtemp(prefix="travel-postgres-", dir="/tmp"))
    try:
        if user:
            os.chown(folder, user["user"], user["group"])
        data, log = folder / "data", folder / "log"
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            [initdb, "-D", data, *options],
            check=True,
            capture_output=True,
            cwd=folder,
            **user,
        )
        server = [postgres, "-D", data, "-k", folder, "-c", "listen_addresses="]
        server += ["-c", "fsync=off", "-c", "max_connections=200"]
        with (
            log.open("wb") as output,
            subprocess.Popen(
                ["sh", "-c", SERVE_WHILE_STDIN_IS_OPEN, folder, *server],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=folder,
                start_new_session=True,  # Ctrl-C ends its users first, then the server
                **user,
            ),
        ):  # leaving closes the pipe and waits
            url = URL.create(
                "postgresql", "postgres", database="postgres", query={"host": str(folder)}
            )
            wait_until_it_answers(url, log)
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def wait_until_it_answers(url: URL, log: Path, seconds: float = 30) -> None:
    """Return when the server accepts a connection."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            psycopg.connect(url.render_as_string(hide_password=False)).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}") from None
            time.sleep(0.02)


@contextmanager
def fresh_database(server_url: str, name: str) -> Iterator[str]:
    """Create an empty database, yield its URL, drop it."""
    server = make_url(server_url).set(drivername="postgresql")
    with psycopg.connect(server.render_as_string(hide_password=False), autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
        try:
            yield server.set(database=name).render_as_string(hide_password=False)
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
