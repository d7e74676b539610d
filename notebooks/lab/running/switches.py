"""Providers that are switched up, slow, down or mute while Workers run.

The positions are in a file, because the Workers are processes of their own.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from travel.errors import Unavailable

UP, SLOW, DOWN, LOST = POSITIONS = ("up", "slow", "down", "replies lost")
PROVIDERS = ("flight", "hotel", "car", "payment", "email")
SLOW_SECONDS = 1.5


def provider_of(activity_type: str) -> str:
    """Whose Activity this is, ``""`` for our own."""
    return next((name for name in PROVIDERS if name in activity_type), "")


class Switches(Interceptor):
    """A Worker interceptor that asks the file at every attempt."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def position(self, provider: str) -> str:
        """Where this provider's switch is."""
        try:
            return str(json.loads(self.path.read_text()).get(provider, UP))
        except (OSError, ValueError):
            return UP

    def turn(self, provider: str, position: str) -> None:
        """Turn a switch; the next attempt finds it so."""
        turned = {name: self.position(name) for name in PROVIDERS} | {provider: position}
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(turned))
        new.replace(self.path)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See ``temporalio.worker.Interceptor``."""
        return _Switched(next, self)


class _Switched(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, switches: Switches) -> None:
        super().__init__(next)
        self._switches = switches

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        name = activity.info().activity_type
        position = self._switches.position(provider_of(name))
        if position == DOWN:
            raise Unavailable(f"{name}: no connection.")
        if position == SLOW:
            await asyncio.sleep(SLOW_SECONDS)
        result = await self.next.execute_activity(input)
        if position == LOST:
            raise Unavailable(f"{name}: connection lost before the reply.")
        return result
