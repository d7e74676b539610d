"""The one Temporal server of a kernel, which boots while the rest of the lab is imported.

Everything here runs on the background loop.
"""

from __future__ import annotations

import asyncio

from lab.running.web_ui_address import ui_public_path
from travel.temporal.server import Server, start_server

_starting: asyncio.Task[Server] | None = None


def begin() -> asyncio.Task[Server]:
    """Start the server, unless it runs or is about to; a new one where the last was killed."""
    global _starting
    if _starting is None or _is_over(_starting):
        _starting = asyncio.create_task(start_server(ui_public_path=ui_public_path()))
    return _starting


def was_begun() -> bool:
    """Whether there is or was a server."""
    return _starting is not None


async def running_server() -> Server:
    """The server, once it is ready. An interrupted cell does not interrupt its start."""
    return await asyncio.shield(begin())


async def stop() -> None:
    """End the server, or its start."""
    if _starting is None:
        return
    _starting.cancel()
    await asyncio.wait([_starting])
    if not _starting.cancelled() and not _starting.exception():
        await _starting.result().stop()


def _is_over(starting: asyncio.Task[Server]) -> bool:
    if not starting.done():
        return False
    return bool(starting.cancelled() or starting.exception() or not starting.result().is_running)
