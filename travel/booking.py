"""Start trips and wait for what becomes of them: what a booking website would call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import (
    FailureError,
    TerminatedError,
    TimeoutError,
    WorkflowAlreadyStartedError,
)
from temporalio.service import RPCError, RPCStatusCode

from travel.errors import DatabaseUnavailable
from travel.models import TripConfirmation, TripRequest, check_request
from travel.store import booking_requests
from travel.store.booking_requests import Outcome
from travel.store.database import Database
from travel.temporal.connection import task_queue
from travel.temporal.search_attributes import TRIP_STATUS
from travel.workflows.book_trip import BookTrip

AT_ONCE = 200
"""Trips that are waited for at the same time."""


@dataclass(frozen=True)
class TripResult:
    """What became of a trip: a confirmation, or the reason why there is none.

    ``recorded`` unless the database would not take down what the customer was told.
    """

    request: TripRequest
    confirmation: TripConfirmation | None
    reason: str = ""
    recorded: bool = True

    @property
    def booked(self) -> bool:
        """Whether there is a trip."""
        return self.confirmation is not None


async def start_trip(
    client: Client,
    request: TripRequest,
    *,
    design: Any = BookTrip,
    queue: str | None = None,
) -> WorkflowHandle[Any, Any]:
    """Start a trip, or find it if it was started before: the same trip has the same id.

    ``design`` is a Workflow that takes a ``TripRequest``; ``queue`` defaults to ``task_queue()``.
    Raises ``InvalidInput`` before anything is sent if the request makes no sense.
    """
    check_request(request)
    options: dict[str, Any] = {
        "id": request.workflow_id,
        "task_queue": queue or task_queue(),
        "id_conflict_policy": WorkflowIDConflictPolicy.USE_EXISTING,
        "id_reuse_policy": WorkflowIDReusePolicy.REJECT_DUPLICATE,
        "static_summary": _summary(request),
    }
    status = TypedSearchAttributes([SearchAttributePair(TRIP_STATUS, "booking")])
    try:
        return await client.start_workflow(design.run, request, **options, search_attributes=status)
    except WorkflowAlreadyStartedError:
        return client.get_workflow_handle_for(design.run, request.workflow_id)
    except RPCError as error:
        if error.status != RPCStatusCode.INVALID_ARGUMENT:
            raise
        # A server that does not know the search attribute, and would not learn it.
        return await client.start_workflow(design.run, request, **options)


async def result_of(
    handle: WorkflowHandle[Any, Any], request: TripRequest, database: Database
) -> TripResult:
    """Wait for a trip's end and note what the customer was told."""
    try:
        confirmation = await handle.result()
    except WorkflowFailureError as error:
        # A terminated or timed-out trip ran no compensation. Nobody knows yet
        # whether it stands, so the customer is told nothing: see ReconcileTrips.
        nobody_knows = isinstance(error.cause, (TerminatedError, TimeoutError))
        recorded = nobody_knows or await _record(database, request, "failed")
        return TripResult(request, None, _reason(error), recorded)
    recorded = await _record(database, request, "booked")
    return TripResult(request, confirmation, recorded=recorded)


async def book_trips(
    client: Client,
    database: Database,
    requests: Sequence[TripRequest],
    *,
    design: Any = BookTrip,
    queue: str | None = None,
    on_result: Callable[[TripResult], None] = lambda result: None,
) -> list[TripResult]:
    """Book all trips at once; return the results in the order of the requests.

    ``on_result`` is called with each result, in that order, as soon as it is known.
    """
    slots = asyncio.Semaphore(AT_ONCE)

    async def book(request: TripRequest) -> TripResult:
        async with slots:
            handle = await start_trip(client, request, design=design, queue=queue)
            return await result_of(handle, request, database)

    tasks = [asyncio.create_task(book(request)) for request in requests]
    results = []
    try:
        for task in tasks:
            results.append(await task)
            on_result(results[-1])
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return results


async def _record(database: Database, request: TripRequest, outcome: Outcome) -> bool:
    """Tell whether it could be written down. The trip is what it is all the same."""
    try:
        await asyncio.to_thread(booking_requests.record_outcome, database, request, outcome)
    except DatabaseUnavailable:
        return False
    return True


def _summary(request: TripRequest) -> str:
    """What the Web UI shows beside the Workflow's id."""
    seats = len(request.passengers)
    return (
        f"{request.origin} to {request.destination}, {request.departure_date}, "
        f"{seats} passenger{'s' if seats > 1 else ''}"
    )


def _reason(error: BaseException) -> str:
    """The first cause, in one line: what the provider said, not who passed it on."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = error.message if isinstance(error, FailureError) else str(error)
    return " ".join(text.split()) or type(error).__name__
