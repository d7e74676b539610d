"""Many trips at once: how far they are, and what was recorded of them."""

from __future__ import annotations

from collections.abc import Iterable

from lab.running.system import Trip
from lab.showing.history import History


class Progress:
    """A mark a trip as it ends: ``book_all(trips, on_end=Progress(len(trips)))``.

    All marks are alike, so that the line is the same on every run. A bar that takes its
    old states back is not: nbval compares these too.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.booked = 0
        self.failed = 0

    def __call__(self, trip: Trip) -> None:
        """Count a trip that has ended."""
        self.booked += trip.booked
        self.failed += not trip.booked
        print("▪", end="", flush=True)
        ended = self.booked + self.failed
        if ended == self.total:
            print(f"\n{ended} trips ended: {self.booked} booked, {self.failed} not")


async def histories(trips: Iterable[Trip]) -> list[History]:
    """What Temporal recorded of each, in the order given."""
    return [await trip.history() for trip in trips]
