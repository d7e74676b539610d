"""One trip for real: the last word is the server's."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from temporalio.client import WorkflowFailureError

from lab.breaking.scenarios import request_for
from lab.checking.trials import Problem
from lab.running.background import background
from lab.running.system import EXERCISES, System, start
from travel.audit import Finding
from travel.models import TripRequest
from travel.store import booking_requests
from travel.store.database import Database

FOR_REAL = ("booked for real", "as simulated")
PATIENCE_SECONDS = 120.0
"""A safety net: what is simulated well does not hang on a server."""

_numbers = itertools.count(1)


async def book_for_real(
    workflows: Sequence[Any],
    *,
    further_activities: Callable[[Database], Sequence[Any]] | None = None,
    further_findings: Callable[[Database], list[Finding]] = lambda database: [],
) -> Problem | None:
    """Book one trip on the kernel's server; what is wrong with it, if anything is."""
    number = next(_numbers)
    request = request_for(number % 600 + 1)
    request = replace(request, confirmation_code=f"{request.confirmation_code}-real-{number}")
    system = await _system(workflows, number, further_activities)
    if isinstance(system, Problem):
        return system
    try:
        ended = await background().run(_book(system, workflows[0], request))
        findings = [*system.audit().findings, *further_findings(system.database)]
    finally:
        await system.close()
    if ended:
        return Problem("incomplete", ended)
    return Problem("incomplete", findings[0].problem) if findings else None


async def run_for_real(
    workflows: Sequence[Any], argument: Any, activities: Sequence[Any]
) -> Problem | None:
    """Run a Workflow of another domain on the kernel's server; the problem, if it has one."""
    number = next(_numbers)
    system = await _system(workflows, number, lambda database: activities)
    if isinstance(system, Problem):
        return system
    try:
        ended = await background().run(_run(system, workflows[0], argument, f"real-{number}"))
    finally:
        await system.close()
    return Problem("incomplete", ended) if ended else None


async def _system(
    workflows: Sequence[Any],
    number: int,
    further_activities: Callable[[Database], Sequence[Any]] | None,
) -> System | Problem:
    """A system of its own for one check, or why its Worker will not have the Workflows."""
    try:
        return await start(
            workflows=list(workflows),
            namespace=EXERCISES,
            queue=f"exercise-{number}",
            further_activities=further_activities,
        )
    except RuntimeError as error:
        return Problem("bug", f"the Worker refuses it: {error.__cause__ or error}")


async def _book(system: System, design: Any, request: TripRequest) -> str:
    ended = await _run(system, design, request, request.workflow_id)
    if not ended:
        booking_requests.record_outcome(system.database, request, "booked")
    return ended


async def _run(system: System, design: Any, argument: Any, workflow_id: str) -> str:
    """Start it by its name, so that no type is expected of its result; what went wrong."""
    name = getattr(design, "__temporal_workflow_definition").name
    assert system.queue, "each check has a Task Queue of its own"
    handle = await system.client.start_workflow(
        name, argument, id=workflow_id, task_queue=system.queue
    )
    try:
        await asyncio.wait_for(handle.result(), PATIENCE_SECONDS)
    except WorkflowFailureError as error:
        return f"the Workflow failed: {error.cause}"
    except TimeoutError:
        await handle.terminate("it did not end")
        return "the Workflow did not end"
    return ""
