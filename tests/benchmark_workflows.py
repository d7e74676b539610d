"""The least that a Workflow of so many Activities costs, for ``benchmark.py``."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity, workflow


@activity.defn
def nothing(number: int) -> int:
    """In a thread, like the Activities of a trip."""
    return number


@workflow.defn
class Nothings:
    """So many Activities that do nothing, one after the other."""

    @workflow.run
    async def run(self, number: int) -> int:
        for n in range(number):
            await workflow.execute_activity(nothing, n, start_to_close_timeout=timedelta(seconds=3))
        return number
