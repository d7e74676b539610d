"""Providers that take their time, each its own, so that nobody is waited for by chance."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
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


WRONG_ARGUMENT = ("TypeError", "AttributeError")
"""What Python says of an argument that cannot be used, however often it is given."""

HOPELESS = 60
"""Times that one Activity succeeds, or is given what it cannot use: nothing else will come."""


class Tempo(Interceptor):
    """Give it to a simulated Worker: its time costs nothing. ``seconds`` are by Activity.

    ``give_up`` is called when the Workflow asks for the same in vain, or for nothing, for ever.
    """

    def __init__(self) -> None:
        self.begin(SECONDS, lambda: None)

    def begin(self, seconds: Mapping[str, float], give_up: Callable[[], None]) -> None:
        """Another trip."""
        self.seconds, self._give_up = seconds, give_up
        self._times: Counter[tuple[str, str]] = Counter()

    def came_to(self, activity: str, outcome: str) -> None:
        """An attempt is over."""
        self._times[activity, outcome] += 1
        if self._times[activity, outcome] > HOPELESS:
            self._give_up()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See ``temporalio.worker.Interceptor``."""
        return _Slowed(next, self)


class _Slowed(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, tempo: Tempo) -> None:
        super().__init__(next)
        self._tempo = tempo

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        name = activity.info().activity_type
        await asyncio.sleep(self._tempo.seconds.get(name, 0))
        try:
            result = await self.next.execute_activity(input)
        except Exception as error:
            if type(error).__name__ in WRONG_ARGUMENT:
                self._tempo.came_to(name, "misused")
            raise
        self._tempo.came_to(name, "done")
        return result
