"""Trips on the simulator: the same designs, Activities and faults, without a server.

Interceptors and failure model are those of a real Worker, the clock is virtual and the
database in memory. What is read afterwards is what would be read of a real trip.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from sqlalchemy import select
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    WorkflowRunner,
)

from lab.running.memory import borrow_memory
from lab.running.triggers import Triggers
from lab.showing.history import History, Step, history_of
from lab.simulation import Code, Do, Handle, Remembered, Simulation, SimulationError
from lab.simulation.choices import Choices, Fixed
from travel.activities import Activities
from travel.audit import Finding, audit
from travel.errors import Rejected, Unavailable
from travel.faults import Fault, FaultModel, ScriptedFaults
from travel.faults.injection import FaultInjection
from travel.models import TripRequest
from travel.store import booking_requests
from travel.store.database import Database, settlements
from travel.temporal.search_attributes import TRIP_STATUS

RUNNING = "running"
NOTICE_SECONDS = 0.05
"""Virtual: after that a Workflow has dealt with a cancel request."""

MAX_STEPS = 60_000


class Switch:
    """A failure model that is exchanged for each trip."""

    def __init__(self) -> None:
        self.model: FaultModel = ScriptedFaults(())

    def draw(self, step: str, confirmation_code: str, attempt: int) -> Fault | None:
        """See ``FaultModel.draw``."""
        return self.model.draw(step, confirmation_code, attempt)


@dataclass(frozen=True)
class Simulated:
    """A trip that is over, or of which nothing more will happen.

    ``status`` is the Workflow's, ``"running"`` if it stayed open. ``findings`` are the
    audit's after the customer was told. ``settled`` are undos that somebody settled by hand
    once it was at rest, with who and why. ``problem`` is what the simulator itself found.
    """

    request: TripRequest
    simulation: Simulation
    handle: Handle
    findings: list[Finding]
    problem: Exception | None = None
    settled: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def status(self) -> str:
        """The Workflow's."""
        return self.handle.status

    @cached_property
    def history(self) -> History:
        """What happened, the steps of child Workflows among those of their parent."""
        own = self._history_of(self.handle)
        begin = self.handle.runs[0].time_started
        others = [self.simulation.handle(each) for each in self.simulation.runs]
        steps = list(own.steps)
        for other in others:
            if other.id != self.handle.id:
                late = (other.runs[0].time_started - begin) / 1e9
                steps += [_later(step, late) for step in self._history_of(other).steps]
        return replace(own, steps=sorted(steps, key=lambda step: step.scheduled))

    def _history_of(self, handle: Handle) -> History:
        """Of all runs of a chain, as one."""
        events = [event for n in range(len(handle.runs)) for event in handle.history(n).events]
        if len(handle.runs) == 1:
            return history_of(handle.id, events, handle.pending_activities())
        parts = [history_of(handle.id, handle.history(n).events) for n in range(len(handle.runs))]
        begin = handle.runs[0].time_started
        steps = [
            _later(step, (run.time_started - begin) / 1e9)
            for part, run in zip(parts, handle.runs, strict=True)
            for step in part.steps
        ]
        return replace(parts[-1], steps=steps, workflow_type=parts[0].workflow_type)


def _later(step: Step, seconds: float) -> Step:
    moments = {
        name: getattr(step, name) + seconds
        for name in ("scheduled", "started", "closed")
        if getattr(step, name) is not None
    }
    return replace(step, **moments)


class Recalling(Interceptor):
    """What one of our Activities did to a world before is recalled, not done again.

    They depend on nothing but the database and their arguments. Those of a learner are
    carried out each time.
    """

    def __init__(self, world: Remembered) -> None:
        self.world = world
        self.others = 0  # coroutines that are under way and may have done half of something

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See ``temporalio.worker.Interceptor``."""
        return _Recalled(next, self)


class _Recalled(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, recalling: Recalling) -> None:
        super().__init__(next)
        self._recalling = recalling
        self._world = recalling.world

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        own = isinstance(getattr(input.fn, "__self__", None), Activities)
        own = own and not self._recalling.others
        what = (input.fn.__name__, repr(input.args)) if own else None
        done = self._world.recall(what) if what else None
        if done is None:
            done = await self._do(input, what)
        result, error = done
        if error is not None:
            raise error.with_traceback(None)
        return result

    async def _do(self, input: ExecuteActivityInput, what: Hashable | None) -> Any:
        self._world.begin()
        self._recalling.others += not what
        try:
            done: Any = (await self.next.execute_activity(input), None)
        except Exception as error:
            done = (None, error)
        finally:
            self._recalling.others -= not what
        self._world.learn(what, done)
        return done


class Bench:
    """Simulates trips by one design, one after the other, each in a world of its own.

    Args:
        workflows: The design first, then what it starts.
        further_activities: Called with the database; returns more Activities.
        further_findings: Called with the database; what another audit finds.
        interceptors: Between the triggers and the faults, as the Worker would have them.
        code_options: As for ``Code``.
    """

    def __init__(
        self,
        *workflows: Any,
        further_activities: Callable[[Database], Sequence[Any]] | None = None,
        further_findings: Callable[[Database], list[Finding]] = lambda database: [],
        interceptors: Iterable[Interceptor] = (),
        runner: WorkflowRunner | None = None,
        **code_options: Any,
    ) -> None:
        self.design = workflows[0]
        self.memory = borrow_memory()
        self.triggers, self.switch = Triggers(), Switch()
        database = self.memory.database
        further = list(further_activities(database)) if further_activities else []
        self._world = self.memory.remembered
        self._kept = 0  # the first of the worlds: nobody has booked anything
        self._findings = further_findings
        self._simulation: Simulation | None = None
        self._deployment: tuple[Code, int] | None = None
        self.code = Code(
            workflows,
            [Activities(database), *further],
            interceptors=[
                self.triggers,
                *interceptors,
                FaultInjection(self.switch),
                Recalling(self._world),
            ],
            runner=runner,
            **code_options,
        )

    def handle(self, workflow_id: str) -> Handle:
        """A Workflow of the trip that is being simulated."""
        assert self._simulation is not None, "a trip is under way"
        return self._simulation.handle(workflow_id)

    @property
    def pausing(self) -> bool:
        """Whether the Workflow that is under way does nothing but wait for a timer."""
        if self._simulation is None:
            return False
        run = self._simulation.started[0].last
        timers = [timer for timer in run.timers.values() if timer.sent and not timer.done]
        return bool(timers) and not run.activities

    @property
    def told(self) -> str:
        """The Activity whose result the next Workflow Task brings, or nothing."""
        assert self._simulation is not None, "a trip is under way"
        records = self._simulation.started[0].last.events.records
        for name, _now, attributes, _metadata in reversed(records):
            if name == "activity_task_completed":
                scheduled = records[attributes["scheduled_event_id"] - 1]
                return str(scheduled[2]["activity_type"]["name"])
            if name != "workflow_task_scheduled":
                break
        return ""

    @property
    def seconds(self) -> float:
        """On the virtual clock, since the trip that is under way began."""
        return self._simulation.now / 1e9 if self._simulation else 0.0

    def close(self) -> None:
        """Forget the database."""
        self.memory.close()

    def stop(self) -> None:
        """Let time stand still for the trip that is under way: nothing else will come of it."""
        if self._simulation is not None:
            self._simulation.max_steps = self._simulation.moment

    def at(
        self, request: TripRequest, step: str, action: Callable[[Handle], Any], attempt: int = 1
    ) -> None:
        """Call ``action(handle)`` when that attempt of that step of that trip begins."""

        async def act(workflow_id: str) -> None:
            outcome = action(self.handle(request.workflow_id))
            if asyncio.iscoroutine(outcome):
                await outcome
            await asyncio.sleep(NOTICE_SECONDS)

        self.triggers.at(request.workflow_id, step, attempt, act)

    def next_version(self, workflows: Sequence[Any]) -> Code:
        """Other Workflows with the same Activities, for ``deploy``."""
        return Code(
            workflows,
            [Activities(self.memory.database)],
            interceptors=[Recalling(self._world)],
        )

    def deploy(self, code: Code, moment: int) -> None:
        """In the next trip the Worker is stopped at that moment, and one with this code started."""
        self._deployment = (code, moment)

    def book(
        self,
        request: TripRequest,
        faults: FaultModel | None = None,
        choices: Choices | None = None,
        *,
        max_steps: int = MAX_STEPS,
        verify: bool = False,
        at_rest: Callable[[Simulation, Handle], None] | None = None,
    ) -> Simulated:
        """Book one trip on a fresh database, to the end of all that happens.

        ``at_rest`` is called once nothing happens any more; then it goes on.
        """
        self._world.restore(self._kept)
        self.switch.model = faults or ScriptedFaults(())
        simulation = self._simulation = Simulation(
            self.code,
            choices or Fixed([Do(self._deployment[1], name="deploy")] if self._deployment else ()),
            happenings={"deploy": self._switch_code},
            max_steps=max_steps,
            outage=lambda step: Unavailable(f"{step}: no connection."),
            rejection=lambda step: Rejected(f"{step}: no."),
        )
        attributes = TypedSearchAttributes([SearchAttributePair(TRIP_STATUS, "booking")])
        handle = simulation.start(
            self.design, request, id=request.workflow_id, search_attributes=attributes
        )
        problem: Exception | None = None
        try:
            simulation.run()
            if at_rest is not None:
                at_rest(simulation, handle)
                simulation.run()
            if verify and not simulation.exhausted:
                simulation.verify()
        except Exception as error:
            problem = error
        try:
            simulation.close()
        except SimulationError as error:  # it goes on and on, even when it is thrown away
            problem = problem or error
        self.triggers.actions.clear()
        self._deployment = None
        self._tell(request, handle.status)
        findings = self._world.ask(("findings", self._findings), self._audit)
        code = request.confirmation_code
        own = [finding for finding in findings if finding.confirmation_code == code]
        rows = self._world.ask("settled", self._settled) if at_rest else []
        settled = [(undo, by, reason) for of, undo, by, reason in rows if of == code]
        return Simulated(request, simulation, handle, own, problem, settled)

    def _switch_code(self, simulation: Simulation) -> None:
        assert self._deployment is not None, "there is something to deploy"
        simulation.code, _moment = self._deployment
        for run in (run for runs in simulation.runs.values() for run in runs):
            run.evict()
            run.code = simulation.code
            run.definition = simulation.code.workflow(run.start.workflow_type)

    def _tell(self, request: TripRequest, status: str) -> None:
        """What the customer is told is written down, as whoever started the trip would."""
        if status in ("completed", "failed", "canceled"):
            outcome: Any = "booked" if status == "completed" else "failed"
            self._world.do(
                (outcome, request.confirmation_code, request.customer),
                lambda: booking_requests.record_outcome(self.memory.database, request, outcome),
            )

    def _audit(self) -> list[Finding]:
        database = self.memory.database
        return [*audit(database).findings, *self._findings(database)]

    def _settled(self) -> list[tuple[str, ...]]:
        columns = settlements.c
        wanted = select(
            columns.confirmation_code, columns.undo, columns.settled_by, columns.reason
        ).order_by(columns.undo)
        with self.memory.database.snapshot() as connection:
            return [tuple(row) for row in connection.execute(wanted)]
