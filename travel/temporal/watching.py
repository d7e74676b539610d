"""Say when a server stops answering, and when it is back: the SDK's Workers wait in silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError

EVERY_SECONDS = 5.0
ANSWER_WITHIN = timedelta(seconds=10)


@asynccontextmanager
async def watched(client: Client, say: Callable[[str], None]) -> AsyncIterator[None]:
    """Watch the client's server for the length of the block; ``say`` gets one sentence a change."""
    watching = asyncio.create_task(_watch(client, say))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])


async def _watch(client: Client, say: Callable[[str], None]) -> None:
    address = client.service_client.config.target_host
    gone = False
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        problem = await _problem(client)
        if problem and not gone:
            say(f"The Temporal server at {address} does not answer ({problem}). Waiting for it.")
        if gone and not problem:
            say(f"The Temporal server at {address} answers again.")
        gone = bool(problem)


async def _problem(client: Client) -> str:
    """Why the server cannot be asked; empty if it answers."""
    try:
        healthy = await client.service_client.check_health(timeout=ANSWER_WITHIN)
    except RPCError as error:
        return error.message
    return "" if healthy else "it is not healthy"
