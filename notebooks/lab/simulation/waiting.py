"""``time.sleep`` in simulated code: it takes virtual time, not ours.

While a simulation runs, ``time.sleep`` is replaced by one that looks who calls. A
synchronous Activity that sleeps answers that much later; a Workflow that sleeps would
block its Worker, and is told so; every other thread sleeps as always.

A synchronous Activity with a heartbeat timeout sleeps and hears of cancellation in
between. It runs in a thread of its own, but never at the same time as the simulation:
the two pass a baton to and fro.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from .clock import SECOND

_sleep = time.sleep
_local = threading.local()
_lock = threading.Lock()
_users = 0


class Sleeper(Protocol):
    """Somebody whose ``time.sleep`` is not for us to wait for."""

    def sleep(self, nanoseconds: int) -> None: ...


class Waiting:
    """Who is running in this thread, and so on whose account a ``time.sleep`` goes."""

    @staticmethod
    @contextmanager
    def told(sleeper: Sleeper) -> Iterator[None]:
        """Have ``sleeper`` told of every ``time.sleep`` here."""
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
            time.sleep = _ask_first  # type: ignore[assignment]
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

    def sleep(self, _nanoseconds: int) -> None:
        raise RuntimeError(
            f"{self._who} called time.sleep, which blocks its Worker; "
            "expected workflow.sleep or asyncio.sleep."
        )


class _Killed(SystemExit):
    """Ends a thread whose Worker is dead."""


class Baton:
    """A call in a thread of its own that runs only while the simulation waits for it."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._ours, self._theirs = threading.Semaphore(0), threading.Semaphore(0)
        self._asleep: int | None = None
        self._error: BaseException | None = None
        self._throw: BaseException | None = None
        self._result: Any = None
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=lambda: context.run(self._run), name="simulated Activity", daemon=True
        )

    def go_on(self, throw: BaseException | None = None) -> int | None:
        """Let it run until it sleeps; return for how many nanoseconds, or None at its end.

        ``throw`` is raised where it slept. Raises what the call raises.
        """
        self._throw, self._asleep = throw, None
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._theirs.release()
        while not self._ours.acquire(timeout=0.2):
            pass  # so that a watchdog can interrupt us
        if self._asleep is None and self._error is not None:
            raise self._error
        return self._asleep

    @property
    def result(self) -> Any:
        """What the call returned."""
        return self._result

    def kill(self) -> None:
        """End the thread where it sleeps."""
        if self._thread.is_alive():
            self._throw = _Killed()
            self._theirs.release()
            self._thread.join(timeout=1)

    def sleep(self, nanoseconds: int) -> None:
        self._asleep = nanoseconds
        self._ours.release()
        self._theirs.acquire()
        if self._throw is not None:
            raise self._throw

    def _run(self) -> None:
        try:
            with Waiting.told(self):
                self._result = self._call()
        except BaseException as error:
            self._error = error
        self._asleep = None
        self._ours.release()


def _ask_first(seconds: float) -> None:
    sleeper = getattr(_local, "sleeper", None)
    if sleeper is None:
        _sleep(seconds)
        return
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    sleeper.sleep(round(seconds * SECOND))
