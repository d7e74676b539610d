"""Providers that take their time, each its own, so that nobody is waited for by chance."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

SECONDS = {
    "book_flight": 0.12,
    "book_hotel": 0.2,
    "book_car": 0.07,
    "accept_payment": 0.15,
    "refund_payment": 0.05,
    "cancel_car": 0.25,
    "cancel_hotel": 0.1,
    "cancel_flight": 0.2,
    "insure_trip": 0.1,
    "cancel_insurance": 0.22,
    "send_confirmation_email": 0.3,
}


class Tempo(Interceptor):
    """Give it to a simulated Worker: its time costs nothing. ``seconds`` are by Activity."""

    def __init__(self) -> None:
        self.seconds: Mapping[str, float] = SECONDS

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See ``temporalio.worker.Interceptor``."""
        return _Slowed(next, self)


class _Slowed(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, tempo: Tempo) -> None:
        super().__init__(next)
        self._tempo = tempo

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        await asyncio.sleep(self._tempo.seconds.get(activity.info().activity_type, 0))
        return await self.next.execute_activity(input)
