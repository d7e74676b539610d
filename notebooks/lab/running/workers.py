"""A Worker that stops in the middle of a trip, as in a deployment at the worst moment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor, Worker

from lab.running.background import background
from lab.running.evicting import evicting_worker
from lab.running.system import System
from travel.temporal.connection import task_queue

POLLS_END_SECONDS = 0.3


async def work_until(lab: System, step: str, *, workflows: Sequence[type]) -> None:
    """Run a Worker until ``step`` is done; it reports the result and takes nothing more on."""
    await background().run(_work_until(lab, step, workflows))


class _StopAfter(Interceptor):
    def __init__(self, step: str) -> None:
        self.step = step
        self.worker: Worker | None = None
        self.done = asyncio.Event()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See ``temporalio.worker.Interceptor``."""
        return _Stopping(next, self)


class _Stopping(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, stop: _StopAfter) -> None:
        super().__init__(next)
        self._stop = stop

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        result = await self.next.execute_activity(input)
        if activity.info().activity_type == self._stop.step:
            self._stop.done.set()
            # The Worker ends its polls now, and lets this attempt report its result.
            await asyncio.sleep(POLLS_END_SECONDS)
        return result


async def _work_until(lab: System, step: str, workflows: Sequence[type]) -> None:
    stop = _StopAfter(step)
    worker = evicting_worker(
        lab.client,
        lab.database,
        workflows=workflows,
        queue=lab.queue or task_queue(),
        interceptors=[stop],
    )
    async with worker:
        await stop.done.wait()
