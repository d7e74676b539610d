"""Providers that take their time, as real ones do."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from lab.running.background import background
from lab.running.system import System
from travel.models import TripRequest

BOOKINGS = ("book_flight", "book_hotel", "book_car")

TO_COMMIT = 1.0
"""Seconds that a provider of ours has for its transaction; it takes milliseconds."""


@dataclass
class Latency:
    """Attempts that reach their provider a while after they began."""

    seconds: float
    _waiting: list[asyncio.Event] = field(default_factory=list)

    async def wait(self, _handle: Any) -> None:
        """What an attempt does first."""
        done = asyncio.Event()
        self._waiting.append(done)
        await asyncio.sleep(self.seconds)
        done.set()

    async def over(self) -> None:
        """Return when every attempt that began has come to its provider and has its answer."""
        await background().run(self._over())

    async def _over(self) -> None:
        for event in self._waiting:
            await event.wait()
        await asyncio.sleep(TO_COMMIT)


def slow_down(
    lab: System, request: TripRequest, steps: Collection[str] = BOOKINGS, seconds: float = 1
) -> Latency:
    """Let the first attempt of each of these steps of this trip take so long, in real time."""
    latency = Latency(seconds)
    for step in steps:
        lab.at(request, step, latency.wait)
    return latency
