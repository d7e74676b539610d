"""A thread with an event loop of its own, where the server's clients and Workers live.

A cell that sleeps or counts to a billion would starve a Worker on the kernel's loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from functools import cache
from typing import Any, TypeVar

from lab.running.errors import ServerGone

T = TypeVar("T")


class BackgroundLoop:
    """Runs coroutines in its thread; a cell can await them all the same."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="lab", daemon=True)
        self._thread.start()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Await ``work`` from another loop; interrupting the cell cancels it.

        Raises ``ServerGone`` for whichever call meets a server that does not answer.
        """
        try:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.loop))
        except Exception as error:
            if what := _no_answer(error):
                raise ServerGone.after(what) from None
            raise

    def run_blocking(self, work: Coroutine[Any, Any, T], timeout_seconds: float) -> T:
        """Wait for ``work`` where nothing can be awaited: at the end of the kernel."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout_seconds)


def _no_answer(error: Exception) -> str:
    """What a call looked like that a server did not answer; empty for any other error."""
    # Imported by now, if there is one: a server boots while this is imported for the first time.
    from temporalio.service import RPCError, RPCStatusCode

    if not isinstance(error, RPCError):
        return ""
    # A connection that breaks in the middle of a call comes as UNKNOWN.
    broke = error.status == RPCStatusCode.UNKNOWN and "transport" in error.message
    return error.message if broke or error.status == RPCStatusCode.UNAVAILABLE else ""


@cache
def background() -> BackgroundLoop:
    """The one background loop of this kernel."""
    return BackgroundLoop()
