"""The connection to a company, which loses requests and replies as a script says."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from travel.errors import Rejected, Unavailable
from travel.faults import Fault
from travel.providers.outside import Clock

UNDER_WAY_SECONDS = 20.0
"""How long a late request takes. Less than ``IN_FLIGHT``, or no adapter could be safe."""


class Crash(BaseException):
    """The process dies here: no handler of an ordinary error may see it."""


class Line:
    """Stands before a company and has its methods.

    ``faults`` says which call over this line goes wrong, counted from 1; ``down_until`` is a
    time before which there is no connection, in seconds since 1970.
    """

    def __init__(self, company: Any, clock: Clock, faults: Mapping[int, Fault] = {}) -> None:
        self._company, self._clock, self._faults = company, clock, faults
        self._late: list[tuple[float, Callable[[], object]]] = []
        self.calls: list[str] = []
        self.happened: set[int] = set()
        self.down_until = 0.0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._company, name)

        def call(*arguments: Any) -> Any:
            self.arrive()
            self.calls.append(name)
            number = len(self.calls)
            if self._clock() < self.down_until:
                raise Unavailable("No connection.")
            fault = self._faults.get(number)
            if fault:
                self.happened.add(number)
            return self._carry(lambda: method(*arguments), fault)

        return call

    @property
    def next_arrival(self) -> float | None:
        """When the next request arrives that is under way."""
        return min((when for when, _ in self._late), default=None)

    def arrive(self) -> None:
        """Let the requests in that were under way for long enough."""
        now = self._clock()
        due = [request for when, request in self._late if when <= now]
        self._late = [(when, request) for when, request in self._late if when > now]
        for request in due:
            with contextlib.suppress(Rejected):  # nobody waits for the answer any more
                request()

    def _carry(self, request: Callable[[], Any], fault: Fault | None) -> Any:
        match fault:
            case None:
                return request()
            case Fault.OUTAGE | Fault.BLIP:
                raise Unavailable("No connection.")
            case Fault.CRASH_BEFORE_COMMIT:
                raise Crash
            case Fault.LATE_COMMIT:
                self._late.append((self._clock() + UNDER_WAY_SECONDS, request))
                raise Unavailable("No reply.")
        request()
        if fault is Fault.CRASH_AFTER_COMMIT:
            raise Crash
        raise Unavailable("Connection lost before the reply.")
