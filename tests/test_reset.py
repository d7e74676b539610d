"""``lab.reset()``: back to the start without a restart of the kernel."""

import asyncio

from lab import exercises, start

from travel.faults import Fault, ScriptedFault


def test_reset_brings_a_system_back_to_its_start() -> None:
    async def scenario() -> None:
        lab = await start(faults=[ScriptedFault("book_car", Fault.OUTAGE)])
        first = await lab.book("Customer-001")
        assert not first.booked and lab.audit().trips == 1
        exercises.undo_in_reverse.cell = "something"
        await lab.reset()
        assert lab.audit().trips == 0
        assert exercises.undo_in_reverse.cell is None
        assert (await lab.book("Customer-001")).booked
        await lab.close()

    asyncio.run(scenario())
