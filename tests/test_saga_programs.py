"""Programs around sagas that nobody has written: thousands, each held to the contract."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, seed, settings
from saga_program import ChildStep, FirstEdition, Program, World, text_of
from temporal import run
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper
from temporalio.worker import Worker

from tests.saga_programs import (
    CODE,
    EVERYTHING,
    FAMILIES,
    NEXT,
    NO_EXCUSE,
    Family,
    ProgramData,
    findings,
    lost,
    programs,
    smallest,
)
from tests.sampling import few
from travel.temporal.connection import connect

MANY = settings(max_examples=400, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("kind", few(FAMILIES, 2))
def test_the_fault_of_the_first_edition_is_found(kind: str) -> None:
    program, tried = smallest(FAMILIES[kind], FirstEdition, 1_000)
    assert program is not None, f"{tried} programs"
    assert findings(program, Program) == [], text_of(program)


@pytest.mark.everything
@pytest.mark.parametrize("kind", FAMILIES)
def test_and_is_gone(kind: str) -> None:
    program, tried = smallest(FAMILIES[kind], Program, 150)
    assert program is None, text_of(program)
    assert tried >= 100


def _keeps_the_promise(program: ProgramData, code: Any) -> None:
    assert findings(program, code=code) == [], text_of(program)


@pytest.mark.everything
@pytest.mark.parametrize("code", [CODE, NEXT], ids=["logic as shipped", "the SDK's next logic"])
@pytest.mark.parametrize("family", [NO_EXCUSE, EVERYTHING], ids=["no excuse", "everything"])
def test_every_program_keeps_the_promise(family: Family, code: Any) -> None:
    given(programs(family))(MANY(lambda program: _keeps_the_promise(program, code)))()


@pytest.mark.parametrize("code", [CODE, NEXT], ids=["logic as shipped", "the SDK's next logic"])
def test_a_step_that_fails_in_a_signal_handler_fails_the_block_also_as_it_ends(code: Any) -> None:
    """Drawn programs seldom get there: both replies in one Workflow Task, the block's last."""
    body = [["step", "s1", "ok", "ok"], ["step", "s2", "ok", "ok"]]
    for at, task, events in itertools.product(range(3, 8), range(3, 6), range(1, 4)):
        signal = ["signal", at, [["step", "s3", "lost", "ok"]]]
        arrivals = [signal, ["hold", task, events]]
        program = {"body": [["saga", "none", body]], "arrivals": arrivals, "polite": False}
        _keeps_the_promise(program, code)


# --- a sample on the server -----------------------------------------------------------


def _sample(count: int) -> list[ProgramData]:
    """Programs that must come to an end, the same ones every time."""
    found: list[ProgramData] = []

    @seed(20250120)
    @settings(max_examples=count, database=None, suppress_health_check=list(HealthCheck))
    @given(programs(NO_EXCUSE))
    def collect(program: ProgramData) -> None:
        program["arrivals"] = [one for one in program["arrivals"] if one[0] != "evict"]
        found.append(program)

    collect()
    return found


def test_a_sample_on_the_server(temporal_address: str) -> None:
    """With a Worker that forgets every Workflow after each of its tasks."""

    async def test() -> None:
        client = TimeSkipper(await connect(temporal_address)).client
        queue = uuid4().hex
        for program in _sample(6):
            world = World()
            async with Worker(
                client,
                task_queue=queue,
                workflows=[Program, ChildStep],
                activities=[world.do, world.undo],
                max_cached_workflows=0,
            ):
                handle = await client.start_workflow(
                    Program.run, program, id=uuid4().hex, task_queue=queue
                )
                arriving = asyncio.create_task(_arrive(handle, world, program))
                await asyncio.gather(handle.result(), return_exceptions=True)
                await arriving
                status = (await handle.describe()).status
                assert status is not None and status != WorkflowExecutionStatus.RUNNING
                trace = await handle.query("traced")
            assert list(lost(world, status.name, trace)) == [], text_of(program)

    run(test())


async def _arrive(handle: WorkflowHandle[Any, Any], world: World, program: ProgramData) -> None:
    """Send the messages when about so much has happened."""
    for kind, at, *bodies in program["arrivals"]:
        for _ in range(50):
            if len(world.diary) >= at // 10:
                break
            await asyncio.sleep(0.02)
        try:
            match kind:
                case "cancel":
                    await handle.cancel()
                case "signal":
                    await handle.signal("signalled", bodies[0])
                case "update":
                    await handle.execute_update("updated", bodies[0])
        except (RPCError, WorkflowUpdateFailedError):
            pass  # too late, or refused
