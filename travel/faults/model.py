"""The failure model: which attempt of which step goes wrong, and how.

Rejections are not in here. They come from the data: no such route, no such
room, a declined card.

Every draw is a hash of (seed, confirmation code, provider, attempt) and never
depends on the order of calls. The same seed gives the same outcomes one after
the other, all at once, and with Workers killed in between.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from travel.providers.payments import TEST_DECLINE


class Fault(str, Enum):
    """How an attempt goes wrong, and what the provider did before it did."""

    OUTAGE = "outage"
    """No connection, attempt after attempt. Nothing was done."""
    BLIP = "blip"
    """No connection, this once. Nothing was done."""
    LOST_ACKNOWLEDGEMENT = "lost acknowledgement"
    """Done, but the connection broke before the reply arrived."""
    NO_REPLY = "no reply"
    """Done, but the reply never arrives: the attempt times out."""
    LATE_COMMIT = "late commit"
    """The attempt times out, and is done after that."""
    CRASH_BEFORE_COMMIT = "crash before commit"
    """The Worker process dies before it calls the provider."""
    CRASH_AFTER_COMMIT = "crash after commit"
    """The Worker process dies between the provider's commit and its reply."""


DEFAULT_SEED = 47530
"""Picked, not typical. About one seed in six books 15 to 18 of the 30 valid trips, as
the brief says; this one books 16. It also shows each kind of outage, the payment's
included, and spares the 14 trips that are to fail in a way of their own."""


class FaultModel(Protocol):
    """Decides the fate of every attempt."""

    def draw(self, step: str, confirmation_code: str, attempt: int) -> Fault | None:
        """The fault of this attempt (counted from 1) of this Activity, if any."""
        ...


BRIEF_RATES: Mapping[str, float] = {"book_hotel": 0.25, "book_car": 0.40, "accept_payment": 0.10}
"""The share of trips for which a provider is down for longer than the retries last."""


@dataclass(frozen=True)
class RandomFaults:
    """Faults by chance. A rate is a share between 0 and 1.

    ``outages`` are drawn once for a trip and step, ``blips`` and
    ``lost_acknowledgements`` for each attempt of each step named.
    """

    seed: int
    outages: Mapping[str, float] = field(default_factory=lambda: BRIEF_RATES)
    blips: Mapping[str, float] = field(default_factory=dict)
    lost_acknowledgements: Mapping[str, float] = field(default_factory=dict)

    def draw(self, step: str, confirmation_code: str, attempt: int) -> Fault | None:
        """See ``FaultModel.draw``."""
        if TEST_DECLINE in confirmation_code:
            return None
        trip = (self.seed, confirmation_code, step)
        if _chance("outage", *trip) < self.outages.get(step, 0):
            return Fault.OUTAGE
        if _chance("blip", *trip, attempt) < self.blips.get(step, 0):
            return Fault.BLIP
        if _chance("lost", *trip, attempt) < self.lost_acknowledgements.get(step, 0):
            return Fault.LOST_ACKNOWLEDGEMENT
        return None


@dataclass(frozen=True)
class ScriptedFault:
    """One line of a script: these attempts of this step go wrong like this.

    An empty ``attempts`` means every attempt, an empty ``confirmation_code``
    every trip.
    """

    step: str
    fault: Fault
    attempts: tuple[int, ...] = ()
    confirmation_code: str = ""

    def applies(self, step: str, confirmation_code: str, attempt: int) -> bool:
        """Whether this line speaks of that attempt."""
        return (
            self.step == step
            and (not self.attempts or attempt in self.attempts)
            and self.confirmation_code in ("", confirmation_code)
        )


@dataclass(frozen=True)
class ScriptedFaults:
    """Faults by script; the first line that applies decides."""

    script: tuple[ScriptedFault, ...]

    def draw(self, step: str, confirmation_code: str, attempt: int) -> Fault | None:
        """See ``FaultModel.draw``."""
        lines = (line for line in self.script if line.applies(step, confirmation_code, attempt))
        return next((line.fault for line in lines), None)


def _chance(*key: object) -> float:
    """A number in [0, 1) that depends on ``key`` alone."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
