"""Hold a trip at a step for as long as you like (within the timeout of the attempt)."""

from __future__ import annotations

import asyncio
from typing import Any

from lab.running.background import background
from lab.running.system import System
from travel.models import TripRequest


class Pause:
    """The first attempt of a step, which waits before it calls its provider."""

    def __init__(self, lab: System, request: TripRequest, step: str) -> None:
        self._reached = asyncio.Event()
        self._go_on = asyncio.Event()
        lab.at(request, step, self._wait)

    async def reached(self) -> None:
        """Return when the attempt has begun."""
        await background().run(self._until_reached())

    def go_on(self) -> None:
        """Let the attempt call its provider."""
        background().loop.call_soon_threadsafe(self._go_on.set)

    async def _until_reached(self) -> None:
        await self._reached.wait()

    async def _wait(self, _handle: Any) -> None:
        self._reached.set()
        await self._go_on.wait()
