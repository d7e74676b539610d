"""A throw-away PostgreSQL server, where the programs for one are installed."""

from __future__ import annotations

import importlib.util
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType

PLUMBING = Path(__file__).resolve().parents[2] / "tests" / "postgres.py"


@contextmanager
def postgres_urls() -> Iterator[list[str]]:
    """The URL of an empty PostgreSQL database, or none where there is no PostgreSQL.

    Looks for ``initdb`` and ``postgres`` on the PATH and where Debian keeps them. The
    server listens on a Unix socket only, and ends with the block or with this process.
    """
    with ExitStack() as stack:
        plumbing = _plumbing()
        try:
            server = stack.enter_context(plumbing.running_server())
        except plumbing.NotInstalled:
            yield []
            return
        url = server.render_as_string(hide_password=False)
        yield [stack.enter_context(plumbing.fresh_database(url, f"travel_{uuid.uuid4().hex}"))]


def _plumbing() -> ModuleType:
    """What the tests use. It lies outside every package, so that it is loaded by its path."""
    spec = importlib.util.spec_from_file_location("_travel_postgres", PLUMBING)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
