"""Which Worker did how much."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from lab.running.background import background
from lab.running.system import Trip


async def activities_by_worker(trips: Sequence[Trip]) -> Counter[str]:
    """How many Activities each Worker completed, by the identity in the Event Histories."""
    counts = await asyncio.gather(*[background().run(_completed(trip)) for trip in trips])
    return sum(counts, Counter())


async def _completed(trip: Trip) -> Counter[str]:
    done: Counter[str] = Counter()
    async for event in trip.handle.fetch_history_events():
        if event.HasField("activity_task_completed_event_attributes"):
            done[event.activity_task_completed_event_attributes.identity] += 1
    return done
