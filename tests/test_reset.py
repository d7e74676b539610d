"""``lab.reset()``: back to the start without a restart of the kernel."""

import asyncio
import time

from lab import exercises, start

from travel.faults import Fault, ScriptedFault


def test_reset_brings_a_system_back_to_its_start() -> None:
    async def scenario() -> float:
        lab = await start(faults=[ScriptedFault("book_car", Fault.OUTAGE)])
        first = await lab.book("Customer-001")
        assert not first.booked and lab.audit().trips == 1
        exercises.undo_in_reverse.cell = "something"
        began = time.monotonic()
        await lab.reset()
        took = time.monotonic() - began
        assert lab.audit().trips == 0
        assert exercises.undo_in_reverse.cell is None
        assert (await lab.book("Customer-001")).booked
        await lab.close()
        return took

    assert asyncio.run(scenario()) < 5  # a second, on a machine that is not busy
