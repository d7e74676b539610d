"""What the tests of Workflows share: a Worker for one test, faults with a switch, histories."""

from __future__ import annotations

import asyncio
import gc
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from types import CoroutineType, ModuleType
from typing import Any, TypeVar
from uuid import uuid4

from lab.running.evicting import evicting_worker
from samples import a_trip
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ActivityError
from temporalio.testing import TimeSkipper
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from travel.booking import TripResult, result_of, start_trip
from travel.errors import Unavailable
from travel.faults import Fault, FaultModel, ScriptedFault, ScriptedFaults
from travel.faults.injection import FaultInjection
from travel.models import TripRequest
from travel.store.database import Database
from travel.temporal.connection import connect
from travel.worker import WORKFLOWS
from travel.workflows.book_trip import BookTrip

T = TypeVar("T")

UNDOS = ("refund_payment", "cancel_car", "cancel_hotel", "cancel_flight")
DOWN = Unavailable("No connection.")


def a_new_trip(code: str = "TEST", **changes: Any) -> TripRequest:
    """``a_trip`` with a code of its own: all tests share a server, which knows every id."""
    return a_trip(f"{code}-{uuid4().hex}", **changes)


# --- one test's system --------------------------------------------------------


OUTLIVES = (Fault.NO_REPLY, Fault.LATE_COMMIT)
"""The faults after which an attempt ends by its timeout only."""


class Patient(Interceptor):
    """Gives every attempt ten minutes, so that no trip fails because the machine is slow.

    For trips whose every attempt ends by itself: none that ``OUTLIVES`` its timeout.
    """

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        return _PatientWorkflow


class _PatientWorkflow(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_PatientCalls(outbound))


class _PatientCalls(WorkflowOutboundInterceptor):
    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:
        input.start_to_close_timeout = timedelta(minutes=10)
        return self.next.start_activity(input)


@dataclass
class Gate(Interceptor):
    """Holds the first attempt of one Activity until it is opened.

    ``after`` holds it when the provider has committed, but not yet replied.
    """

    step: str
    after: bool = False
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    passed: asyncio.Event = field(default_factory=asyncio.Event)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Held(next, self)

    async def hold(self) -> None:
        self.reached.set()
        await self.opened.wait()

    async def open(self) -> None:
        """Let the attempt go on, and wait until it is through, whatever came of it."""
        self.opened.set()
        await self.passed.wait()


class _Held(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, gate: Gate) -> None:
        super().__init__(next)
        self._gate = gate

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        name = getattr(input.fn, "__name__", "")
        if name != self._gate.step or self._gate.reached.is_set():
            return await self.next.execute_activity(input)
        try:
            if not self._gate.after:
                await self._gate.hold()
            result = await self.next.execute_activity(input)
            if self._gate.after:
                await self._gate.hold()
            return result
        finally:
            self._gate.passed.set()


class Switch:
    """A fault model whose providers can be taken down and brought up again."""

    def __init__(self, *down: str) -> None:
        self.down = set(down)

    def draw(self, step: str, confirmation_code: str, attempt: int) -> Fault | None:
        return Fault.OUTAGE if step in self.down else None


class Providers(Interceptor):
    """What they answer, by Activity: an exception so many times, then they do their work."""

    def __init__(self, **answers: tuple[BaseException, int]) -> None:
        self.answers = answers
        self.calls: list[str] = []

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Provider(next, self)

    def count(self, name: str) -> int:
        return self.calls.count(name)


class _Provider(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, providers: Providers) -> None:
        super().__init__(next)
        self._providers = providers

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        name, answers = input.fn.__name__, self._providers.answers
        self._providers.calls.append(name)
        error, times = answers.get(name, (DOWN, 0))
        if times:
            answers[name] = (error, times - 1)
            raise error
        return await self.next.execute_activity(input)


@dataclass
class System:
    """A client, and a Worker with a Task Queue and a database of their own."""

    client: Client
    database: Database
    queue: str
    injection: FaultInjection

    async def start(self, trip: TripRequest, design: Any = BookTrip) -> WorkflowHandle[Any, Any]:
        return await start_trip(self.client, trip, design=design, queue=self.queue)

    async def book(
        self, trip: TripRequest, design: Any = BookTrip
    ) -> tuple[TripResult, WorkflowHandle[Any, Any]]:
        """Book a trip; when late commits have arrived too, return what became of it."""
        handle = await self.start(trip, design)
        result = await result_of(handle, trip, self.database)
        await self.injection.settled()
        return result, handle


@asynccontextmanager
async def running_system(
    address: str,
    database: Database,
    faults: FaultModel | Sequence[ScriptedFault] = (),
    *,
    gate: Gate | None = None,
    more: Sequence[Interceptor] = (),
    workflows: Sequence[type] = WORKFLOWS,
    patient: bool = True,
    **options: Any,
) -> AsyncIterator[System]:
    """A system whose Workflows run on a virtual clock. ``more`` are further interceptors.

    If ``patient``, and no fault is to outlive a timeout, attempts have none that a slow
    machine reaches.
    """
    script = tuple(faults) if isinstance(faults, Sequence) else ()
    patient = patient and not any(fault.fault in OUTLIVES for fault in script)
    injection = FaultInjection(ScriptedFaults(script) if isinstance(faults, Sequence) else faults)
    own = [*([Patient()] if patient else []), *([gate] if gate else [])]
    interceptors = [*own, *more, injection]
    client = TimeSkipper(await connect(address)).client
    queue = f"test-{uuid4().hex}"
    async with evicting_worker(
        client,
        database,
        workflows=workflows,
        queue=queue,
        interceptors=interceptors,
        **{"graceful_shutdown_timeout": timedelta(0)} | options,
    ):
        yield System(client, database, queue, injection)


def outage(step: str) -> ScriptedFault:
    """The provider is down for this step, attempt after attempt."""
    return ScriptedFault(step, Fault.OUTAGE)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 120) -> None:
    """Return when the condition holds; fail the test if it never does."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


def run(test: Coroutine[Any, Any, T]) -> T:
    """Run a test's coroutine on an event loop of its own."""
    return asyncio.run(test)


async def failure_of(handle: WorkflowHandle[Any, Any]) -> BaseException | None:
    """Why a Workflow failed: the failure that its caller sees. None if it did not."""
    try:
        await handle.result()
    except WorkflowFailureError as error:
        return error.cause
    return None


def suspended_in(module: ModuleType) -> list[CoroutineType[Any, Any, Any]]:
    """Coroutines of a module that wait for something, in whatever Workflow or system."""
    return [
        thing
        for thing in gc.get_objects()
        if isinstance(thing, CoroutineType)
        and thing.cr_code.co_filename == module.__file__
        and inspect.getcoroutinestate(thing) == inspect.CORO_SUSPENDED
    ]


def root(error: BaseException | None) -> BaseException | None:
    """The innermost cause of a failure."""
    while error is not None and error.__cause__ is not None:
        error = error.__cause__
    return error


def failed_activity(error: BaseException | None) -> str | None:
    """Name of the Activity that a failure comes from."""
    return error.activity_type if isinstance(error, ActivityError) else None


# --- what the Event History says ----------------------------------------------


@dataclass
class Call:
    """An Activity as the Event History tells it; ``attempt`` is the last one."""

    name: str
    scheduled: int
    outcome: str = "open"
    closed: int | None = None
    attempt: int = 0


OUTCOMES = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: "completed",
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: "failed",
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: "timed out",
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: "canceled",
}


async def activity_calls(handle: WorkflowHandle[Any, Any]) -> list[Call]:
    """Every Activity that was scheduled, in that order."""
    calls: dict[int, Call] = {}
    async for event in handle.fetch_history_events():
        attributes = getattr(event, event.WhichOneof("attributes") or "")
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            calls[event.event_id] = Call(attributes.activity_type.name, event.event_id)
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            calls[attributes.scheduled_event_id].attempt = attributes.attempt
        elif event.event_type in OUTCOMES:
            call = calls[attributes.scheduled_event_id]
            call.outcome, call.closed = OUTCOMES[event.event_type], event.event_id
    return list(calls.values())


async def history_activities(handle: WorkflowHandle[Any, Any]) -> list[tuple[str, str]]:
    """Every Activity with its outcome, in the order of scheduling."""
    return [(call.name, call.outcome) for call in await activity_calls(handle)]


async def compensations(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """The compensations in the Event History, exactly; each must have been awaited."""
    calls = [call for call in await activity_calls(handle) if call.name in UNDOS]
    for call, following in pairwise(calls):
        assert call.closed is not None and call.closed < following.scheduled, "not awaited"
    return [call.name for call in calls]
