"""A watch over the code of others: what never gives control back is stopped.

The SDK's Worker stops waiting for an activation after two seconds. Here nothing else
would run, so a watchdog thread raises an exception in the thread that simulates. It
counts the processor time of this process, not the clock on the wall: a machine that is
busy with something else is no reason to stop anybody. Nor is Python's garbage collector,
which may take seconds for what others left and begins in the middle of anything.
"""

from __future__ import annotations

import ctypes
import gc
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from .errors import NeverYields

R = TypeVar("R")

LIMIT_SECONDS = 3.0
"""Of processor time for one activation, or for one Activity without an ``await``."""

LIMIT_TURNS = 50_000
"""Of an event loop in one activation; no Workflow needs a hundredth of that."""

STANDSTILL_LOOKS = 240
"""Of the watchdog, for code that waits instead of working: a minute, unless the machine has no
time for this process, and so none for its watchdog."""

_PERIOD_SECONDS = 0.25
_IDLE_LOOKS = 80


class _Stopped(KeyboardInterrupt):
    """Raised in the middle of somebody's code; asyncio lets this kind pass."""


class Counted(deque[Any]):
    """What is ready to run in an event loop; it does not give out more than ``left``."""

    left = LIMIT_TURNS

    def popleft(self) -> Any:
        self.left -= 1
        if self.left < 0:
            raise _Stopped
        return super().popleft()


class _Work:
    """Processor time of this process, in seconds, without what its garbage collector took."""

    def __init__(self) -> None:
        self._collected = 0.0
        self._collecting_since: float | None = None

    def begin(self) -> None:
        """Look at what the garbage collector does, from now on."""
        gc.callbacks.append(self._look)

    def end(self) -> None:
        """Look no more."""
        gc.callbacks.remove(self._look)
        self._collecting_since = None

    def seconds(self) -> float:
        """So much, since this process began; it stands still during a collection."""
        since = self._collecting_since
        return (time.process_time() if since is None else since) - self._collected

    def _look(self, phase: str, info: object) -> None:
        # No lock: a collection may begin while its own thread holds one.
        now = time.process_time()
        if phase == "start":
            self._collecting_since = now
        elif (since := self._collecting_since) is not None:
            self._collected += now - since
            self._collecting_since = None


class _Watchdog:
    """One thread for the whole process, there only while something is being watched."""

    def __init__(self) -> None:
        self._work = _Work()
        self._lock = threading.Lock()
        self._watched: dict[int, tuple[float, int, float]] = {}
        self._looks = 0
        self._thread: threading.Thread | None = None
        self._wanted = 0

    def start(self, thread: int, limit: float) -> None:
        self._wanted = self._looks
        self._watched[thread] = (self._work.seconds(), self._wanted, limit)
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._work.begin()
                    self._thread = threading.Thread(
                        target=self._watch, name="simulation watchdog", daemon=True
                    )
                    self._thread.start()

    def stop(self, thread: int) -> None:
        # What is on its way must arrive, and here. Python can take it back, but goes on to
        # look for it; 3.11 then turns in circles in whatever a profiler looks at.
        while True:
            try:
                with self._lock:
                    self._watched.pop(thread, None)
                    for _ in range(2):  # Python looks for it at each turn
                        pass
                return
            except _Stopped:
                continue

    def _watch(self) -> None:
        while True:
            time.sleep(_PERIOD_SECONDS)
            self._looks += 1
            with self._lock:
                for thread, (worked, begun, limit) in self._watched.items():
                    busy = self._work.seconds() - worked > limit
                    if busy or self._looks - begun > STANDSTILL_LOOKS:
                        # Again and again, because it may be caught.
                        _raise_in(thread, _Stopped)
                if not self._watched and self._looks - self._wanted > _IDLE_LOOKS:
                    self._work.end()
                    self._thread = None
                    return


_watchdog = _Watchdog()


def guarded(call: Callable[[], R], what: str, limit: float = LIMIT_SECONDS) -> R:
    """Run ``call``; raise ``NeverYields`` if it runs for ``limit`` seconds of processor time."""
    thread = threading.get_ident()
    _watchdog.start(thread, limit)
    try:
        try:
            return call()
        finally:
            _watchdog.stop(thread)
    except _Stopped:
        _watchdog.stop(thread)  # it may have come before the other one had begun
        raise NeverYields(
            f"{what} runs on and on without giving control back: an endless loop, "
            "perhaps one that awaits nothing but asyncio.sleep(0)."
        ) from None


def _raise_in(thread: int, error: type[BaseException]) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))
