"""The two stages on which the cases are played, and what is compared afterwards."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar
from uuid import uuid4

import simulation_cases as cases
from google.protobuf.json_format import MessageToDict
from lab.running.evicting import evicting
from lab.simulation import Code, Handle, Simulation
from lab.simulation.code import ALL_FLAGS
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowHistory,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

T = TypeVar("T")
NOT_COMPARED = ("workflow_execution_time_skipping",)
SAFETY_NET_SECONDS = 240


@dataclass
class Result:
    """What is compared. ``seconds`` is virtual time, ``histories`` one a run."""

    status: str
    result: Any
    error: list[str]
    answers: list[Any]
    scheduled: list[str]
    attempts: list[tuple[str, int]]
    retry_states: list[int]
    events: list[str]
    seconds: float
    attributes: list[Any] = field(repr=False)
    histories: list[WorkflowHistory] = field(repr=False, default_factory=list)

    def differs(self, other: Result, case: cases.Case) -> list[str]:
        """In what the two differ."""
        names = ["status", "result", "error", "answers", "scheduled", "attempts", "retry_states"]
        if case.events:
            names.append("events")
            names += ["attributes"] if self.events == other.events else []
        found = [
            f"{name}: {_first_difference(getattr(self, name), getattr(other, name))}"
            for name in names
            if getattr(self, name) != getattr(other, name)
        ]
        if case.seconds and not _as_long(self.seconds, other.seconds):
            found.append(f"seconds: {self.seconds:g} and {other.seconds:g}")
        return found


def _first_difference(one: Any, other: Any) -> str:
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = ((a, b) for a, b in zip(one, other, strict=True) if a != b)
        one, other = next(pairs)
    return f"{one!r} and {other!r}"


def _as_long(one: float, other: float) -> bool:
    """Real servers take their time; a wrong backoff or timer is off by more than that."""
    return abs(one - other) <= max(20, 0.1 * max(one, other))


# --- the simulator -----------------------------------------------------------------------


class SimulatedPlay:
    def __init__(self, simulation: Simulation, handle: Handle) -> None:
        self._simulation, self.handle = simulation, handle
        self.id = handle.id

    async def seen(self, event: str, times: int = 1) -> None:
        def there() -> bool:
            return sum(r.events.names().count(event) for r in self.handle.runs) >= times

        self._simulation.run(until=there)
        assert there(), f"{event} never came: {self.handle.events()}"

    async def running(self) -> None:
        """An attempt has begun, or has failed."""
        self._simulation.run(
            until=lambda: any(t.attempt for t in self.handle.last.activities.values())
        )
        self._simulation.run(until=lambda: self._heartbeat_or_backoff())

    def _heartbeat_or_backoff(self) -> bool:
        tasks = self.handle.last.activities.values()
        return any(t.last_failure or (t.current and t.current.running) for t in tasks)

    async def until(self, query: str, value: Any) -> None:
        self._simulation.run(until=lambda: self.handle.query(query) == value)

    async def signal(self, name: str, *args: Any) -> None:
        self.handle.signal(name, *args)

    async def cancel(self) -> None:
        self.handle.cancel()

    async def terminate(self, reason: str) -> None:
        self.handle.terminate(reason)

    async def query(self, name: str, *args: Any) -> Any:
        return await _answer(_call(self.handle.query, name, *args))

    async def update(self, name: str, *args: Any) -> Any:
        return await _answer(_call(self.handle.execute_update, name, *args))

    async def over(self) -> None:
        self._simulation.run(until=lambda: self.handle.status != "running")


async def _call(function: Any, *args: Any) -> Any:
    return function(*args)


class SimulatedStage:
    """Every case has a simulation of its own."""

    def __init__(self, name: str, code: Code, choices: Any = None) -> None:
        self._name = name
        self.simulation = Simulation(code, choices, elsewhere=[cases.UNPOLLED])

    async def start(self, workflow: Any, *given: Any, real: bool = False, **options: Any) -> Any:
        arguments = options.pop("args", given)
        number = len(self.simulation.started)
        options.setdefault("id", f"{self._name} {number}" if number else self._name)
        handle = self.simulation.start(workflow, *arguments, **options)
        return SimulatedPlay(self.simulation, handle)

    async def other(self, workflow_id: str) -> Any:
        self.simulation.run(until=lambda: workflow_id in self.simulation.runs)
        return SimulatedPlay(self.simulation, self.simulation.handle(workflow_id))


def code(**options: Any) -> Code:
    """What the Worker of the cases runs."""
    return Code(cases.WORKFLOWS, cases.ACTIVITIES, **options)


async def simulate(case: cases.Case, given: Code, choices: Any = None) -> Result:
    """Play a case on the simulator."""
    cases.FAILED_TASKS.clear()
    stage = SimulatedStage(case.name, given, choices)
    played = await case.play(stage)
    play, answers = played if isinstance(played, tuple) else (played, [])
    stage.simulation.run(until=lambda: play.handle.status != "running")
    status, value, error = _end_of(play.handle)
    stage.simulation.run()
    stage.simulation.close()
    histories = [play.handle.history(n) for n in range(len(play.handle.runs))]
    return _result(status, value, error, answers, histories)


def _end_of(handle: Handle) -> tuple[str, Any, BaseException | None]:
    if handle.status == "completed":
        return handle.status, handle.result(), None
    return handle.status, None, handle.error


# --- a real server -----------------------------------------------------------------------


class RealPlay:
    def __init__(self, handle: WorkflowHandle[Any, Any]) -> None:
        self.handle = handle
        self.id = handle.id

    async def seen(self, event: str, times: int = 1) -> None:
        async def there() -> bool:
            history = await _or_none(self.handle.fetch_history())
            names = [_name(e) for e in history.events] if history else []
            return names.count(event) >= times

        await _until(there)

    async def running(self) -> None:
        async def there() -> bool:
            described = await self.handle.describe()
            pending = described.raw_description.pending_activities
            return any(
                info.HasField("last_heartbeat_time") or info.HasField("last_failure")
                for info in pending
            )

        await _until(there)

    async def until(self, query: str, value: Any) -> None:
        async def there() -> bool:
            return bool(await self.handle.query(query) == value)

        await _until(there)

    async def signal(self, name: str, *args: Any) -> None:
        await self.handle.signal(name, args=args)

    async def cancel(self) -> None:
        await self.handle.cancel()

    async def terminate(self, reason: str) -> None:
        await self.handle.terminate(reason=reason)

    async def query(self, name: str, *args: Any) -> Any:
        return await _answer(self.handle.query(name, args=args))

    async def update(self, name: str, *args: Any) -> Any:
        return await _answer(self.handle.execute_update(name, args=args))

    async def over(self) -> None:
        await _outcome(self.handle)


class RealStage:
    def __init__(self, client: Client, queue: str) -> None:
        self._client, self._queue = client, queue
        self._skipping = TimeSkipper(client).client
        self._name, self._started = "", 0

    def named(self, name: str) -> RealStage:
        """The same for one case; ids are the same as on the other stage."""
        stage = RealStage(self._client, self._queue)
        stage._name = name
        return stage

    async def start(self, workflow: Any, *given: Any, real: bool = False, **options: Any) -> Any:
        client = self._client if real else self._skipping
        arguments = options.pop("args", given)
        number, self._started = self._started, self._started + 1
        options.setdefault("id", f"{self._name} {number}" if number else self._name)
        if "start_signal" in options:
            options.setdefault("start_signal_args", [])
        handle = await client.start_workflow(
            workflow.run, args=list(arguments), task_queue=self._queue, **options
        )
        plain = self._client.get_workflow_handle(
            handle.id, first_execution_run_id=handle.first_execution_run_id
        )
        plain._result_type = handle._result_type
        return RealPlay(plain)

    async def other(self, workflow_id: str) -> Any:
        play = RealPlay(self._client.get_workflow_handle(workflow_id))
        await play.seen("workflow_execution_started")
        return play


@asynccontextmanager
async def real_stage(address: str, *, next_flags: bool = False) -> AsyncIterator[RealStage]:
    """A Worker for the cases on the server at ``address``."""
    client = await Client.connect(address)
    queue = f"cases-{uuid4().hex}"
    with ThreadPoolExecutor(4) as threads:
        async with evicting(UnsandboxedWorkflowRunner()) as runner:
            worker = Worker(
                client,
                task_queue=queue,
                workflows=cases.WORKFLOWS,
                activities=cases.ACTIVITIES,
                activity_executor=threads,
                workflow_runner=runner,
                graceful_shutdown_timeout=timedelta(0),
            )
            for flag in ALL_FLAGS if next_flags else ():
                assert worker._workflow_worker is not None, "it has Workflows"
                worker._workflow_worker._set_default_workflow_logic_flag(flag, enabled=True)
            async with worker:
                yield RealStage(client, queue)


async def perform(case: cases.Case, stage: RealStage) -> Result:
    """Play a case on a real server."""
    played = await case.play(stage.named(case.name))
    play, answers = played if isinstance(played, tuple) else (played, [])
    status, value, error = await _outcome(play.handle)
    histories = await _chain(stage._client, play.handle)
    return _result(status, value, error, answers, histories)


async def _outcome(handle: WorkflowHandle[Any, Any]) -> tuple[str, Any, BaseException | None]:
    try:
        value = await handle.result()
    except WorkflowFailureError as failure:
        error: BaseException | None = failure.cause
        value = None
    else:
        error = None
    described = await handle.describe()
    assert described.status is not None
    return described.status.name.lower().replace("_", " "), value, error


async def _chain(client: Client, handle: WorkflowHandle[Any, Any]) -> list[WorkflowHistory]:
    """Histories of all runs, oldest first."""
    first = (
        handle.first_execution_run_id
        or (await handle.describe()).raw_description.workflow_execution_info.first_run_id
    )
    histories, run_id = [], first
    while run_id:
        fetched = await client.get_workflow_handle(handle.id, run_id=run_id).fetch_history()
        histories.append(fetched)
        last = fetched.events[-1]
        attributes = getattr(last, last.WhichOneof("attributes") or "")
        run_id = getattr(attributes, "new_execution_run_id", "")
    return histories


async def _until(condition: Any) -> None:
    deadline = time.monotonic() + SAFETY_NET_SECONDS
    while not await condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.05)


async def _or_none(awaitable: Awaitable[T]) -> T | None:
    try:
        return await awaitable
    except RPCError:
        return None


# --- comparing ---------------------------------------------------------------------------


async def _answer(asked: Awaitable[Any]) -> Any:
    """A value, or the failure in words."""
    try:
        return await asked
    except WorkflowUpdateFailedError as error:
        return [type(error).__name__, *_words(error.cause)]
    except WorkflowQueryFailedError as error:
        return [type(error).__name__, str(error)]
    except RPCError as error:
        return [type(error).__name__, error.status.name]


def _result(
    status: str,
    value: Any,
    error: BaseException | None,
    answers: list[Any],
    histories: list[WorkflowHistory],
) -> Result:
    events = [event for history in histories for event in _in_time(history)]
    started = [e for e in events if e.HasField("activity_task_started_event_attributes")]
    types = {
        (n, e.event_id): e.activity_task_scheduled_event_attributes.activity_type.name
        for n, history in enumerate(histories)
        for e in history.events
        if e.HasField("activity_task_scheduled_event_attributes")
    }
    attempts = [
        (types[n, a.scheduled_event_id], a.attempt)
        for n, history in enumerate(histories)
        for e in history.events
        if e in started
        for a in [e.activity_task_started_event_attributes]
    ]
    names = [_name(event) for event in events]
    whole = events[-1].event_time.ToNanoseconds() - events[0].event_time.ToNanoseconds()
    return Result(
        status.replace("_", " "),
        value,
        _words(error),
        answers,
        list(types.values()),
        sorted(attempts),
        [state for event in events if (state := _retry_state(event)) is not None],
        [name for name in names if not name.startswith(NOT_COMPARED)],
        whole / 1e9,
        [
            _attributes(event, histories)
            for event in events
            if not _name(event).startswith(NOT_COMPARED)
        ],
        histories,
    )


_VOLATILE = {
    *("identity", "requestId", "historySizeBytes", "workerVersion", "stackTrace", "taskQueue"),
    *("protocolInstanceId", "acceptedRequestMessageId", "acceptedRequestSequencingEventId"),
    *("updateId", "namespaceId", "encodedAttributes", "timeSkippingConfig", "completeTime"),
    *("timeSkippingStatePropagation", "inheritBuildId", "useWorkflowBuildId", "priority"),
    *("workflowExecutionExpirationTime", "control"),
    *("prevAutoResetPoints", "complete_time", "original_schedule_time"),
}
_RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _attributes(event: HistoryEvent, histories: list[WorkflowHistory]) -> Any:
    """What an event says, without what differs from run to run."""
    kind = event.WhichOneof("attributes") or ""
    said = _stable(MessageToDict(getattr(event, kind)))
    if kind.startswith("workflow_task_scheduled"):
        said.pop("startToCloseTimeout")  # grows by chance from one attempt to the next
    if said.get("initiator", "").endswith("WORKFLOW"):
        said.pop("firstWorkflowTaskBackoff", None)  # what is left of a run's shortest time
    if "coreUsedFlags" in said.get("sdkMetadata", {}):
        said["sdkMetadata"]["coreUsedFlags"].sort()
    return [kind, said]


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        if "metadata" in value and "data" in value:
            value = {**value, "data": _stable(_decoded(value["data"]))}
        return {
            name: _stable(entry)
            for name, entry in value.items()
            if name not in _VOLATILE and not name.lower().endswith(("eventid", "runid"))
        }
    if isinstance(value, list):
        return [_stable(entry) for entry in value]
    return _RUN_ID.sub("…", value) if isinstance(value, str) else value


def _decoded(data: str) -> Any:
    """A payload's value, for most of them are JSON."""
    try:
        return json.loads(base64.b64decode(data))
    except ValueError:
        return data


def _in_time(history: WorkflowHistory) -> list[HistoryEvent]:
    """The events without Workflow Tasks that timed out because the machine was slow."""
    kind = "workflow_task_timed_out_event_attributes"
    late = [getattr(event, kind) for event in history.events if event.HasField(kind)]
    gone = {number for one in late for number in (one.scheduled_event_id, one.started_event_id)}
    return [e for e in history.events if e.event_id not in gone and not e.HasField(kind)]


def _retry_state(event: HistoryEvent) -> int | None:
    attributes = getattr(event, event.WhichOneof("attributes") or "")
    return getattr(attributes, "retry_state", None)


def _name(event: HistoryEvent) -> str:
    return EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").lower()


def _words(error: BaseException | None) -> list[str]:
    """A failure and its causes, with what a caller can look at."""
    words = []
    while error is not None:
        more: list[Any] = []
        if isinstance(error, ApplicationError):
            more = [error.type, error.non_retryable, list(error.details)]
        elif isinstance(error, TimeoutError):
            more = [error.type, list(error.last_heartbeat_details)]
        elif isinstance(error, ActivityError):
            more = [error.activity_type, error.activity_id, error.retry_state]
        words.append(f"{type(error).__name__}: {error} {more}")
        error = error.__cause__
    return words
