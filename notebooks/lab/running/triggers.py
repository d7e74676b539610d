"""Act on a trip at an exact moment: when a given attempt of a given Activity begins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor


class InFlight(Interceptor):
    """Counts the attempts that are with their provider: give it to the Worker last.

    An attempt goes on although its Workflow has ended, and an audit must not come before it.
    """

    def __init__(self) -> None:
        self._number = 0

    def __enter__(self) -> None:
        """One more."""
        self._number += 1

    def __exit__(self, *_: object) -> None:
        """One less."""
        self._number -= 1

    async def settled(self) -> None:
        """Wait until there is none."""
        while self._number:
            await asyncio.sleep(0.01)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See ``temporalio.worker.Interceptor``."""
        return _Counted(next, self)


class _Counted(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, in_flight: InFlight) -> None:
        super().__init__(next)
        self._in_flight = in_flight

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        with self._in_flight:
            return await self.next.execute_activity(input)


Action = Callable[[str], Awaitable[object]]
"""Gets the Workflow id."""


@dataclass
class Triggers(Interceptor):
    """A Worker interceptor; the attempt goes on once the action is done."""

    actions: dict[tuple[str, str, int], Action] = field(default_factory=dict)
    in_flight: InFlight = field(default_factory=InFlight)

    def at(self, workflow_id: str, step: str, attempt: int, action: Action) -> None:
        """Run ``action`` when that attempt (counted from 1) begins, once."""
        self.actions[workflow_id, step, attempt] = action

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See ``temporalio.worker.Interceptor``."""
        return _Triggered(next, self)


class _Triggered(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, triggers: Triggers) -> None:
        super().__init__(next)
        self._triggers = triggers

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        moment = (info.workflow_id or "", info.activity_type, info.attempt)
        action = self._triggers.actions.pop(moment, None)
        if action:
            with self._triggers.in_flight:
                await action(moment[0])
        return await self.next.execute_activity(input)
