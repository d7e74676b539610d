"""A Worker interceptor that makes attempts go wrong as a failure model says.

It stands between Temporal and the Activities, so these carry no fault code.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

from temporalio import activity
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from travel.errors import Unavailable
from travel.faults import Fault, FaultModel

LATENESS_SECONDS = 0.5
"""How long after its timeout a late commit is carried out."""

PATIENCE_SECONDS = 1.0
"""How much longer an attempt that never replies is kept up."""


class FaultInjection(Interceptor):
    """Give it to a Worker: ``Worker(…, interceptors=[FaultInjection(model)])``."""

    def __init__(self, model: FaultModel) -> None:
        self.model = model
        self._late: set[asyncio.Task[Any]] = set()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See ``temporalio.worker.Interceptor``."""
        return _FaultyActivity(next, self)

    def send_late(self, attempt: asyncio.Task[Any]) -> None:
        """Keep hold of an attempt that outlives its timeout."""
        self._late.add(attempt)

    async def settled(self) -> None:
        """Wait until every late commit has been carried out or refused."""
        await asyncio.gather(*self._late, return_exceptions=True)


class _FaultyActivity(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, injection: FaultInjection) -> None:
        super().__init__(next)
        self._injection = injection

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        code = getattr(input.args[0], "confirmation_code", "") if input.args else ""
        fault = self._injection.model.draw(info.activity_type, code, info.attempt)
        match fault:
            case None:
                return await self.next.execute_activity(input)
            case Fault.OUTAGE | Fault.BLIP:
                raise Unavailable(f"{info.activity_type}: no connection ({fault.value}).")
            case Fault.LOST_ACKNOWLEDGEMENT:
                await self.next.execute_activity(input)
                raise Unavailable(f"{info.activity_type}: connection lost before the reply.")
            case Fault.NO_REPLY:
                await self.next.execute_activity(input)
                await asyncio.sleep(_seconds_to_outlive(info))
                await _give_up(info)
            case Fault.LATE_COMMIT:
                await self._outlive_timeout(input, info)
                await _give_up(info)
            case Fault.CRASH_BEFORE_COMMIT:
                _crash()
            case Fault.CRASH_AFTER_COMMIT:
                await self.next.execute_activity(input)
                _crash()

    async def _outlive_timeout(self, input: ExecuteActivityInput, info: activity.Info) -> None:
        async def late() -> None:
            await asyncio.sleep(_seconds_to_outlive(info))
            await self.next.execute_activity(input)

        attempt = asyncio.create_task(late())
        self._injection.send_late(attempt)
        # The SDK cancels an attempt at its timeout. The provider would not notice.
        await asyncio.shield(attempt)


async def _give_up(info: activity.Info) -> None:
    """End an attempt that never replies.

    Not at once, because a busy server may be late with the timeout. Not never,
    because a Worker that stops would wait for it.
    """
    await asyncio.sleep(PATIENCE_SECONDS)
    raise Unavailable(f"{info.activity_type}: no reply.")


def _seconds_to_outlive(info: activity.Info) -> float:
    """Until well after this attempt has timed out."""
    timeout = info.start_to_close_timeout
    assert timeout is not None, "every Activity of this package has one"
    return timeout.total_seconds() + LATENESS_SECONDS


def _crash() -> None:
    """Die at once, as by ``kill -9``: no cleanup, no goodbye to the server."""
    if hasattr(signal, "SIGKILL"):
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(137)
