"""A throw-away pgbouncer in transaction mode, where it is installed (Debian: ``pgbouncer``)."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.running.postgres import (
    SERVE_WHILE_STDIN_IS_OPEN,
    NotInstalled,
    unprivileged_user,
    wait_until_it_answers,
)
from sqlalchemy import URL, make_url

POOL = 5

SETTINGS = """
[databases]
* = host={host} port={port} user={user}
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = {folder}
auth_type = any
pool_mode = transaction
default_pool_size = {pool}
max_client_conn = 500
"""


def find_pgbouncer() -> str:
    """The path of ``pgbouncer``; Debian keeps it where only root's PATH leads."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    program = shutil.which("pgbouncer", path=path)
    if program is None:
        raise NotInstalled("pgbouncer is neither on PATH nor in /usr/sbin")
    return program


@contextmanager
def pooled(database_url: str) -> Iterator[str]:
    """The URL of the same database behind a pooler: each transaction on any of five connections."""
    program, user, behind = find_pgbouncer(), unprivileged_user(), make_url(database_url)
    folder = Path(tempfile.mkdtemp(prefix="travel-pgbouncer-", dir="/tmp"))
    settings, log = folder / "pgbouncer.ini", folder / "log"
    settings.write_text(
        SETTINGS.format(
            host=behind.host or behind.query["host"],
            port=behind.port or 5432,
            user=behind.username,
            folder=folder,
            pool=POOL,
        )
    )
    try:
        if user:
            for path in (folder, settings):
                os.chown(path, user["user"], user["group"])
        with (
            log.open("wb") as output,
            subprocess.Popen(
                ["sh", "-c", SERVE_WHILE_STDIN_IS_OPEN, folder, program, settings],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=folder,
                start_new_session=True,
                **user,
            ),
        ):
            url = URL.create(
                "postgresql",
                behind.username,
                database=behind.database,
                query={"host": str(folder), "port": "6432"},
            )
            wait_until_it_answers(url, log)
            yield url.render_as_string(hide_password=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
