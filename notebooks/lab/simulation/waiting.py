"""``time.sleep`` in simulated code: it takes virtual time, not ours.

While a simulation runs, ``time.sleep`` is replaced by one that looks who calls. A
synchronous Activity that sleeps answers that much later; a Workflow that sleeps would
block its Worker, and is told so; every other thread sleeps as always.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .clock import SECOND

_sleep = time.sleep
_local = threading.local()
_lock = threading.Lock()
_users = 0


class Waiting:
    """Who is running in this thread, and so on whose account a ``time.sleep`` goes."""

    @staticmethod
    @contextmanager
    def counted(sleeper: Any) -> Iterator[None]:
        """Count what is slept here as ``sleeper.slept`` (nanoseconds)."""
        before = getattr(_local, "sleeper", None)
        _local.sleeper = sleeper
        try:
            yield
        finally:
            _local.sleeper = before

    @staticmethod
    @contextmanager
    def refused(who: str) -> Iterator[None]:
        """Have nobody sleep here."""
        before = getattr(_local, "sleeper", None)
        _local.sleeper = _Refusal(who)
        try:
            yield
        finally:
            _local.sleeper = before

    @staticmethod
    @contextmanager
    def replaced() -> Iterator[None]:
        """Have ``time.sleep`` ask first."""
        global _users
        with _lock:
            _users += 1
            time.sleep = _ask_first
        try:
            yield
        finally:
            with _lock:
                _users -= 1
                if not _users:
                    time.sleep = _sleep


class _Refusal:
    def __init__(self, who: str) -> None:
        self._who = who

    @property
    def slept(self) -> int:
        raise RuntimeError(
            f"{self._who} called time.sleep, which blocks its Worker; "
            "expected workflow.sleep or asyncio.sleep."
        )


def _ask_first(seconds: float) -> None:
    sleeper = getattr(_local, "sleeper", None)
    if sleeper is None:
        _sleep(seconds)
        return
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    sleeper.slept += round(seconds * SECOND)
