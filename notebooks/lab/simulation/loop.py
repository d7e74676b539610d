"""An asyncio event loop on virtual time, for the Activities of one simulated Worker.

It has no selector, no socket and no thread. ``drain`` runs what is ready;
``asyncio.sleep`` waits in the simulation's queue like everything else.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any

from .clock import SECOND, Queue


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop of one Worker process; a killed one never runs again."""

    def __init__(self, queue: Queue) -> None:
        super().__init__()
        self._queue = queue
        self._tasks_kept: set[asyncio.Task[Any]] = set()
        self.alive = True
        self.draining = False
        self.set_exception_handler(lambda _loop, _context: None)

    def time(self) -> float:
        return self._queue.now / SECOND

    def is_running(self) -> bool:
        return True

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        delay = round((when - self.time()) * SECOND)
        self._queue.push(delay, lambda: self._fire(handle), "Activity's timer")
        return handle

    def run_in_executor(  # type: ignore[override]
        self, _executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Run it here and now: there are no threads."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def keep(self, task: asyncio.Task[Any]) -> asyncio.Task[Any]:
        """Hold on to a task; asyncio itself does not."""
        self._tasks_kept.add(task)
        task.add_done_callback(self._tasks_kept.discard)
        return task

    def drain(self) -> None:
        """Run until nothing is ready."""
        ready = self._ready  # type: ignore[attr-defined]
        if not ready or not self.alive or self.draining:
            return
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        self.draining = True
        try:
            while ready and self.alive:
                handle = ready.popleft()
                if not handle._cancelled:
                    handle._run()
        finally:
            self.draining = False
            asyncio._set_running_loop(before)

    def kill(self) -> None:
        """From now on nothing of it runs, not even its ``finally`` blocks."""
        self.alive = False
        self._ready.clear()  # type: ignore[attr-defined]

    def bury(self) -> None:
        """End what is still waiting, quietly, once nobody looks any more."""
        self.kill()
        for task in list(self._tasks_kept):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        self._tasks_kept.clear()

    def _fire(self, handle: asyncio.TimerHandle) -> None:
        if not handle.cancelled() and self.alive:
            self._ready.append(handle)  # type: ignore[attr-defined]
            self.drain()

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""

    def __del__(self, _warn: Any = None) -> None:
        """There is nothing to close."""


class _Birthplace:
    """What stands for the Worker's event loop while a Workflow's instance is made."""


_BIRTHPLACE: Any = _Birthplace()


@contextmanager
def birthplace() -> Iterator[None]:
    """Where an instance may be made: the SDK wants a running loop there, but runs nothing in it."""
    before = asyncio._get_running_loop()
    asyncio._set_running_loop(_BIRTHPLACE)
    try:
        yield
    finally:
        asyncio._set_running_loop(before)


@contextmanager
def aside() -> Iterator[None]:
    """Put the caller's running loop and task aside, so that ours can run in this thread.

    From Python 3.12 on asyncio remembers one current task a thread, and 3.14 refuses to
    step another while it is there.
    """
    outer = asyncio._get_running_loop()
    if outer is None:
        yield
        return
    swap = getattr(asyncio.tasks, "_swap_current_task", None)
    task = swap(outer, None) if swap and sys.version_info >= (3, 12) else None
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(outer)
        if task is not None and swap is not None:
            swap(outer, task)
