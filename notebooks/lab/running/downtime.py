"""A provider that is down for a while, by the clock; and one that says no."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError

from travel.errors import Rejected
from travel.faults import Fault


@dataclass
class Downtime:
    """From the first call of ``step``, on the virtual clock, the provider is down.

    With ``retry_after`` it says so, as a web service does with status 503 and
    ``Retry-After``; without, nobody answers.
    """

    step: str
    how_long: timedelta
    retry_after: timedelta | None = None
    calls: int = 0
    _since: datetime | None = field(default=None, repr=False)

    def draw(self, step: str, confirmation_code: str, attempt: int) -> Fault | None:
        """See ``FaultModel.draw``; called while the attempt runs."""
        if step != self.step:
            return None
        now = activity.info().current_attempt_scheduled_time
        self._since = self._since or now
        self.calls += 1
        if now >= self._since + self.how_long:
            return None
        if self.retry_after:
            said = f"{step}: closed, come back in {self.retry_after}."
            raise ApplicationError(said, type="Unavailable", next_retry_delay=self.retry_after)
        return Fault.OUTAGE


@dataclass(frozen=True)
class Refusal:
    """A provider that says no to this step, each time and for good."""

    step: str
    reason: str

    def draw(self, step: str, confirmation_code: str, attempt: int) -> Fault | None:
        """See ``FaultModel.draw``."""
        if step == self.step:
            raise Rejected(f"{step}: {self.reason}")
        return None
