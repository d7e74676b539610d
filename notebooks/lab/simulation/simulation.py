"""The simulation as its user sees it: start Workflows, let time pass, look.

Everything is synchronous and may be called from plain code, a coroutine or a notebook
cell: a running event loop is put aside meanwhile.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import temporalio.common
import temporalio.converter
import temporalio.workflow
from temporalio.api.common.v1 import ActivityType, Payload
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.failure.v1 import Failure
from temporalio.api.sdk.v1 import UserMetadata
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflow.v1 import WorkflowExecutionInfo as _Info
from temporalio.client import (
    WorkflowFailureError,
    WorkflowHistory,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import (
    RetryPolicy,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import (
    CancelledError,
    TerminatedError,
    TimeoutError,
    TimeoutType,
    WorkflowAlreadyStartedError,
)
from temporalio.service import RPCError, RPCStatusCode

from . import choices as decisions
from . import closing
from .choices import Arrival, Choices, Decision, Drawn, Fixed, Schedule
from .clock import SECOND
from .code import Code
from .errors import SimulationError, StillRunning
from .events import timestamp
from .instances import evict_forgotten
from .loop import aside
from .remembered import Remembered
from .replay import verify
from .run import Run, Start
from .server import EPOCH, RUNNING, Server, Update
from .waiting import Waiting

MAX_STEPS = 20_000
"""More than any saga needs that comes to an end; one that undoes for ever is stopped here."""


class Simulation(Server):
    """One server, one Worker, any number of Workflows, one virtual time.

    Args:
        code: What the Worker runs; a ``Code``, made once for many simulations.
        choices: A ``Schedule`` or other decisions, a seed, or anything that is ``Choices``.
            Without any, all goes well.
        happenings: What a ``Do(at, name)`` does: functions that are given the simulation.
        max_steps: After so many steps time stands still; see ``exhausted``.
        epoch: Nanoseconds since 1970 at which it begins.
        outage, rejection: What an attempt raises that meets an outage, or is rejected;
            functions of the Activity's name.
        elsewhere: Task queues for which there is no Worker.
        memory: A ``Remembered`` world, in which Activities need not be executed again.
    """

    def __init__(
        self,
        code: Code,
        choices: Choices | Iterable[Decision] | int | None = None,
        *,
        happenings: Mapping[str, Callable[[Simulation], None]] | None = None,
        max_steps: int = MAX_STEPS,
        epoch: int = EPOCH,
        outage: Callable[[str], BaseException] | None = None,
        rejection: Callable[[str], BaseException] | None = None,
        elsewhere: Iterable[str] = (),
        memory: Remembered | None = None,
    ) -> None:
        super().__init__(
            code,
            _choices(choices),
            epoch=epoch,
            outage=outage,
            rejection=rejection,
            elsewhere=elsewhere,
            memory=memory,
        )
        with self._at_work():
            evict_forgotten()
        self.happenings = dict(happenings or {})
        self.max_steps = max_steps
        self.started: list[Handle] = []

    # --- starting and running ----------------------------------------------------------

    def start(
        self,
        workflow: Any,
        *args: Any,
        id: str = "",
        task_queue: str = "simulated",
        execution_timeout: timedelta | None = None,
        run_timeout: timedelta | None = None,
        task_timeout: timedelta | None = None,
        id_reuse_policy: WorkflowIDReusePolicy = WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy: WorkflowIDConflictPolicy = WorkflowIDConflictPolicy.FAIL,
        retry_policy: RetryPolicy | None = None,
        memo: Mapping[str, Any] | None = None,
        search_attributes: TypedSearchAttributes | None = None,
        static_summary: str | None = None,
        static_details: str | None = None,
        start_delay: timedelta | None = None,
        start_signal: str | None = None,
        start_signal_args: Sequence[Any] = (),
    ) -> Handle:
        """Start a Workflow: a class, its ``run``, or a name. The options are the client's.

        Raises ``WorkflowAlreadyStartedError`` as the client does.
        """
        name = _workflow_name(workflow)
        workflow_id = id or f"workflow-{len(self.started) + 1}"
        found = self._existing(workflow_id, id_conflict_policy, id_reuse_policy, name)
        if found is None:
            begun = self.begin(
                Start(
                    workflow_id=workflow_id,
                    workflow_type=name,
                    input=self.payloads(args),
                    task_queue=task_queue,
                    execution_timeout=_seconds(execution_timeout),
                    run_timeout=_seconds(run_timeout),
                    task_timeout=_seconds(task_timeout) or 10,
                    retry_policy=_retry_policy(retry_policy),
                    memo={k: self.payloads([v])[0] for k, v in (memo or {}).items()},
                    search_attributes=_attributes(search_attributes),
                    user_metadata=self._metadata(static_summary, static_details),
                    backoff=_seconds(start_delay),
                ),
                signal=(start_signal, self.payloads(start_signal_args)) if start_signal else None,
            )
            found = Handle(self, workflow_id, begun.run_id)
            self.started.append(found)
        elif start_signal is not None:
            found.signal(start_signal, *start_signal_args)
        return found

    def _existing(
        self,
        workflow_id: str,
        conflict: WorkflowIDConflictPolicy,
        reuse: WorkflowIDReusePolicy,
        name: str,
    ) -> Handle | None:
        run = self.current(workflow_id)
        if run is None:
            return None
        if run.status == RUNNING:
            if conflict == WorkflowIDConflictPolicy.USE_EXISTING:
                return Handle(self, workflow_id, run.start.first_run_id)
            if conflict == WorkflowIDConflictPolicy.TERMINATE_EXISTING:
                self._terminate(run, "TerminateIfRunning WorkflowIdConflictPolicy")
                return None
            raise WorkflowAlreadyStartedError(workflow_id, name, run_id=run.run_id)
        if self.refuses(workflow_id, int(reuse)):
            raise WorkflowAlreadyStartedError(workflow_id, name, run_id=run.run_id)
        return None

    def run(self, until: Callable[[], bool] = lambda: False) -> Simulation:
        """Let time pass until nothing happens any more, or until ``until()`` says so."""
        with self._at_work():
            while self.moment < self.max_steps and not until():
                if not self.step():
                    break
        return self

    def run_for(self, duration: timedelta) -> Simulation:
        """Let so much virtual time pass."""
        end = self.now + round(duration.total_seconds() * SECOND)
        marker = self.queue.push(end - self.now, lambda: None, "a look at it")
        return self.run(until=lambda: self.now >= end and marker.action is None)

    @property
    def exhausted(self) -> bool:
        """Whether it was stopped after ``max_steps``, with more to come."""
        return self.moment >= self.max_steps and bool(self.queue.waiting)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        with aside(), Waiting.replaced():
            yield

    def close(self) -> None:
        """Drop what still runs; nothing of it may happen in a later simulation."""
        with self._at_work():
            for run in itertools.chain.from_iterable(self.runs.values()):
                run.evict()
            for worker in [*self.graveyard, self.worker]:
                worker.bury()

    def verify(self) -> Simulation:
        """Replay every run from its beginning; raise ``NotDeterministic`` if one differs."""
        with self._at_work():
            for run in itertools.chain.from_iterable(self.runs.values()):
                verify(run)
        return self

    # --- what arrives from outside -----------------------------------------------------

    def arrival(self, arrival: Arrival) -> None:
        match arrival:
            case decisions.Crash():
                self.count("crash")
                self.crash()
            case decisions.Do():
                self._happen(arrival)
            case _:
                for run in self._targets(arrival.workflow):
                    self.count(type(arrival).__name__.lower())
                    self._deliver(arrival, run)

    def _targets(self, workflow_id: str) -> list[Run]:
        ids = [workflow_id] if workflow_id else [handle.id for handle in self.started]
        runs = (self.current(each) for each in dict.fromkeys(ids))
        return [run for run in runs if run is not None and run.status == RUNNING]

    def _deliver(self, arrival: Arrival, run: Run) -> None:
        match arrival:
            case decisions.Cancel():
                self.request_cancel(run, "")
            case decisions.Terminate():
                self._terminate(run, "")
            case decisions.Evict():
                if not run.task_open:
                    run.evict()
            case decisions.Signal():
                self.signal(run, arrival.name, self.payloads(arrival.args))
            case decisions.Update():
                self._send_update(run, arrival.name, self.payloads(arrival.args))
            case _:
                raise SimulationError(f"{arrival!r} is nothing that can arrive.")

    def _happen(self, arrival: decisions.Do) -> None:
        if arrival.name not in self.happenings:
            known = ", ".join(self.happenings) or "none"
            raise SimulationError(f"No happening is called {arrival.name!r}; there are: {known}.")
        self.count(arrival.name)
        self.happenings[arrival.name](self)

    def _terminate(self, run: Run, reason: str) -> None:
        self.arrive(run, lambda: closing.terminate(self, run, reason))

    def _send_update(self, run: Run, name: str, args: list[Payload], id: str = "") -> Update:
        update = run.updates.get(id) if id else None
        if update is None:
            update = Update(id or self.request_id(), name, args)
            sent = update
            self.arrive(run, lambda: self.deliver_update(run, sent))
        return update

    # --- looking -----------------------------------------------------------------------

    @property
    def schedule(self) -> Schedule:
        """The decisions that were drawn, as a schedule that replays this very run."""
        made = getattr(self.choices, "decisions", ())
        if len(self.runs) < 2:
            made = [_without_workflow(decision) for decision in made]
        return Schedule(*made)

    def payloads(self, values: Sequence[Any]) -> list[Payload]:
        """Values as the data converter writes them."""
        return list(self.code.payload_converter.to_payloads(values)) if values else []

    def value(self, payload: Payload, hint: Any = None) -> Any:
        """A payload as the data converter reads it."""
        hints = [hint] if hint is not None else None
        return self.code.payload_converter.from_payloads([payload], hints)[0]

    def error(self, failure: Failure) -> BaseException:
        """A failure as the data converter reads it."""
        return self.code.failure_converter.from_failure(failure, self.code.payload_converter)

    def handle(self, workflow_id: str, run_id: str = "") -> Handle:
        """A Workflow by its id, a child for example."""
        run = self.current(workflow_id, run_id)
        if run is None:
            known = ", ".join(self.runs) or "none"
            raise SimulationError(f"There is no Workflow {workflow_id!r}; there are: {known}.")
        return Handle(self, workflow_id, run.start.first_run_id)

    def _metadata(self, summary: str | None, details: str | None) -> UserMetadata | None:
        if not summary and not details:
            return None
        return UserMetadata(
            summary=self.payloads([summary])[0] if summary else None,
            details=self.payloads([details])[0] if details else None,
        )


class UpdateHandle:
    """An Update that was sent."""

    def __init__(self, simulation: Simulation, update: Update, hint: Any) -> None:
        self._simulation, self._update, self._hint = simulation, update, hint

    @property
    def accepted(self) -> bool:
        """Whether its validator let it through."""
        return self._update.accepted

    @property
    def done(self) -> bool:
        """Whether there is a result."""
        return self._update.outcome is not None

    def result(self) -> Any:
        """Let time pass until it is there; raises ``WorkflowUpdateFailedError`` as the client."""
        self._simulation.run(until=lambda: self.done)
        if self._update.outcome is None:
            raise StillRunning(f"Update {self._update.name} has no result, and nothing happens.")
        status, what = self._update.outcome
        if status == "completed":
            return self._simulation.value(what, self._hint)
        raise WorkflowUpdateFailedError(self._simulation.error(what))


class Handle:
    """A Workflow: the chain of its runs, by continue-as-new and by its own retries."""

    def __init__(self, simulation: Simulation, workflow_id: str, first_run_id: str) -> None:
        self._simulation = simulation
        self.id = workflow_id
        self.first_execution_run_id = first_run_id

    @property
    def runs(self) -> list[Run]:
        """All runs of the chain, oldest first."""
        all_runs = self._simulation.runs[self.id]
        return [run for run in all_runs if run.start.first_run_id == self.first_execution_run_id]

    @property
    def last(self) -> Run:
        """The newest run."""
        return self.runs[-1]

    @property
    def status(self) -> str:
        """``"running"``, ``"completed"``, ``"failed"``, ``"canceled"``, ``"terminated"``, …"""
        return self.last.status

    @property
    def task_error(self) -> BaseException | None:
        """Why the open Workflow cannot go on: what its last Workflow Task failed with."""
        run = self.last
        if run.status != RUNNING or run.task_failure is None:
            return None
        return self._simulation.error(run.task_failure)

    @property
    def error(self) -> BaseException | None:
        """What ``WorkflowFailureError.cause`` would be, or ``None``."""
        run = self.last
        if run.status == "canceled":
            return CancelledError("Workflow cancelled")
        if run.status == "timed out":
            return TimeoutError(
                "Workflow timed out", type=TimeoutType.START_TO_CLOSE, last_heartbeat_details=[]
            )
        if run.status == "terminated":
            reason = run.failure.message if run.failure else ""
            return TerminatedError(reason or "Workflow terminated")
        if run.status == "failed" and run.failure is not None:
            return self._simulation.error(run.failure)
        return None

    def result(self) -> Any:
        """Let time pass until the Workflow is closed; then as the client's handle.

        Raises ``WorkflowFailureError``, or ``StillRunning`` if it stays open and nothing
        more happens.
        """
        self._simulation.run(until=lambda: self.status != RUNNING)
        if self.status == RUNNING:
            blocked = self.task_error
            why = f": its Workflow Task fails, {blocked!r}" if blocked else " for something"
            raise StillRunning(f"Workflow {self.id} is open and waits{why}.")
        if (error := self.error) is not None:
            raise WorkflowFailureError(cause=error)
        hint = self._simulation.code.workflow(self.last.start.workflow_type).ret_type
        assert self.last.result is not None, "a completed Workflow has a result"
        return self._simulation.value(self.last.result, hint)

    # --- messages ----------------------------------------------------------------------
    # Each raises RPCError, "not found", as the client does, if the Workflow is closed.

    def cancel(self, reason: str = "") -> None:
        """Ask it to cancel."""
        self._simulation.request_cancel(self._open(), reason)

    def terminate(self, reason: str = "") -> None:
        """Close it; no code of it runs any more."""
        with self._simulation._at_work():
            self._simulation._terminate(self._open(), reason)

    def _open(self) -> Run:
        if self.last.status != RUNNING:
            raise RPCError("workflow execution already completed", RPCStatusCode.NOT_FOUND, b"")
        return self.last

    def signal(self, signal: Any, *args: Any) -> None:
        """Send a Signal: a method or a name."""
        name = temporalio.workflow._SignalDefinition.must_name_from_fn_or_str(signal)
        self._simulation.signal(self._open(), name, self._simulation.payloads(args))

    def start_update(self, update: Any, *args: Any, id: str = "") -> UpdateHandle:
        """Send an Update: a method or a name."""
        name, hint = update, None
        if not isinstance(update, str):
            defn = temporalio.workflow._UpdateDefinition
            found: Any = getattr(update, "_defn", None)
            name, hint = (
                (found.name, found.ret_type) if isinstance(found, defn) else (str(update), None)
            )
        payloads = self._simulation.payloads(args)
        sent = self._simulation._send_update(self._open(), name, payloads, id)
        return UpdateHandle(self._simulation, sent, hint)

    def execute_update(self, update: Any, *args: Any, id: str = "") -> Any:
        """Send an Update and let time pass until its result is there."""
        return self.start_update(update, *args, id=id).result()

    def query(self, query: Any, *args: Any) -> Any:
        """Ask it: a method or a name. Raises ``WorkflowQueryFailedError`` as the client."""
        name, hint = query, None
        if not isinstance(query, str):
            definition = temporalio.workflow._QueryDefinition.from_fn(query)
            assert definition is not None and definition.name, "expected a @workflow.query"
            name, hint = definition.name, definition.ret_type
        simulation = self._simulation
        if not self.last.journal:
            simulation.run(until=lambda: bool(self.last.journal))
        with simulation._at_work():
            answer = Server.query(simulation, self.last, name, simulation.payloads(args))
        if answer.HasField("failed"):
            raise WorkflowQueryFailedError(answer.failed.message)
        return simulation.value(answer.succeeded.response, hint)

    # --- history -----------------------------------------------------------------------

    def history(self, run: int = -1) -> WorkflowHistory:
        """The Event History of a run, by default of the newest: for ``Replayer`` and Web UI."""
        return WorkflowHistory(self.id, self.runs[run].events.proto().events)

    def events(self, run: int = -1) -> list[str]:
        """Types of the events of a run, ``"timer_started"`` for example."""
        return self.runs[run].events.names()

    @property
    def search_attributes(self) -> TypedSearchAttributes:
        """As they stand."""
        fields = temporalio.api.common.v1.SearchAttributes(
            indexed_fields=self.last.search_attributes
        )
        return temporalio.converter.decode_typed_search_attributes(fields)

    @property
    def memo(self) -> dict[str, Any]:
        """As it stands."""
        return {k: self._simulation.value(v) for k, v in self.last.memo.items()}

    async def fetch_history(self) -> WorkflowHistory:
        """As the client's handle, for what reads histories of real Workflows."""
        return self.history()

    async def describe(self) -> Any:
        """As the client's handle, as far as the lab asks: Activities that are not over."""
        return SimpleNamespace(
            id=self.id,
            status=self.status,
            raw_description=SimpleNamespace(
                pending_activities=self.pending_activities(), workflow_execution_info=_Info()
            ),
        )

    def pending_activities(self) -> list[PendingActivityInfo]:
        """Activities that were scheduled and are not over."""
        return [
            PendingActivityInfo(
                activity_id=task.command.activity_id,
                activity_type=ActivityType(name=task.type),
                state=PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
                if task.current
                else PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED,
                attempt=task.attempt,
                last_failure=task.last_failure,
                scheduled_time=timestamp(self._simulation.epoch + task.scheduled_at),
            )
            for task in self.last.activities.values()
            if task.sent
        ]


def _choices(given: Choices | Iterable[Decision] | int | None) -> Choices:
    if given is None:
        return Fixed()
    if isinstance(given, int):
        return Drawn(given)
    if hasattr(given, "fate"):
        return given  # type: ignore[return-value]
    return Fixed(given)


def _without_workflow(decision: Decision) -> Decision:
    if getattr(decision, "workflow", ""):
        return dataclasses.replace(decision, workflow="")  # type: ignore[type-var]
    return decision


def _workflow_name(workflow: Any) -> str:
    if isinstance(workflow, str):
        return workflow
    if isinstance(workflow, type):
        definition = temporalio.workflow._Definition.must_from_class(workflow)
    else:
        definition = temporalio.workflow._Definition.must_from_run_fn(workflow)
    return definition.name or workflow.__name__


def _seconds(duration: timedelta | None) -> float:
    return duration.total_seconds() if duration else 0


def _retry_policy(policy: RetryPolicy | None) -> Any:
    if policy is None:
        return None
    proto = temporalio.api.common.v1.RetryPolicy()
    policy.apply_to_proto(proto)
    return proto


def _attributes(attributes: TypedSearchAttributes | None) -> dict[str, Payload]:
    proto = temporalio.api.common.v1.SearchAttributes()
    if attributes is not None:
        temporalio.converter.encode_search_attributes(attributes, proto)
    return dict(proto.indexed_fields)
