"""What can go wrong with a lesson's own servers and trips, in a sentence each."""

from __future__ import annotations

from travel.errors import TravelError


class LabError(TravelError):
    """A cell shows its sentence alone: how we got there helps nobody."""

    def _render_traceback_(self) -> list[str]:
        """What IPython prints instead of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class ServerGone(LabError):
    """The Temporal server of this kernel was killed, or does not answer."""

    @classmethod
    def after(cls, what: str) -> ServerGone:
        """What it looked like, and what to do."""
        return cls(
            f"The Temporal server of this kernel does not answer any more ({what}). Perhaps it was "
            "killed for want of memory. lab = await start() and await lab.reset() start a new one."
        )


class StillUnderWay(LabError, TimeoutError):
    """A trip did not end in the time that somebody was ready to wait; says what it waits for."""


class TooManyOpen(LabError):
    """There is no room for another system; says what to close."""
