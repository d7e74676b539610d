"""What a lesson needs to talk to a company itself: a clock that is moved by hand."""

from __future__ import annotations

START = 1_737_370_800.0  # 2025-01-20, 11:00 UTC


class HandClock:
    """Tells seconds since 1970, and moves when you say so."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    def pass_hours(self, hours: float) -> None:
        """Let time pass."""
        self.now += hours * 3600
