"""Keeps what the SDK and asyncio log about simulated code out of cells and logs.

A simulated task that fails is reported by the simulation. And "Future exception was
never retrieved" is asyncio's remark on a cancel request that arrives together with a
failure: nothing is wrong then.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_local = threading.local()
_NEVER_RETRIEVED = ("Future exception was never retrieved", "Task exception was never retrieved")


class _Quiet(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(_local, "depth", 0):
            return False
        return not str(record.msg).startswith(_NEVER_RETRIEVED)


for _name in ("temporalio.worker._workflow_instance", "temporalio.activity", "temporalio.workflow"):
    if not any(isinstance(f, _Quiet) for f in logging.getLogger(_name).filters):
        logging.getLogger(_name).addFilter(_Quiet())


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing that this thread runs here is logged by the SDK."""
    _local.depth = getattr(_local, "depth", 0) + 1
    try:
        yield
    finally:
        _local.depth -= 1
