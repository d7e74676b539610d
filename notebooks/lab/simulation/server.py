"""The stand-in for a Temporal server and one Worker: single-threaded, on virtual time.

It keeps runs, writes their Event Histories, hands out Workflow Tasks and Activity
attempts, and counts its steps. Whatever a real system leaves to chance it asks
``Choices``.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import WorkflowIdReusePolicy
from temporalio.api.failure.v1 import Failure

from . import closing, instances, tasks
from .activities import ActivityTask
from .attempts import Worker
from .choices import Arrival, Choices, Fate, Site
from .clock import MILLISECOND, SECOND, Item, Queue
from .code import Code
from .errors import SimulationError
from .guard import guarded
from .local import LocalTask
from .loop import VirtualLoop
from .remembered import Remembered
from .replay import catch_up
from .run import Activation, Job, Outgoing, Run, Start, utc

RUNNING = "running"
EPOCH = 1_735_689_600 * SECOND
"""2025-01-01, when every simulation begins."""

PATIENCE = 5 * SECOND
"""A Workflow Task is held back no longer than this for each event it waits for."""

GIVE_UP_TASK = 5
"""A Workflow Task that failed so often in a row, with nothing new, will fail for ever."""


class Update:
    """An Update on its way; ``outcome`` is how it ended, and a payload or a failure."""

    def __init__(self, update_id: str, name: str, args: list[Payload]) -> None:
        self.id = update_id
        self.name = name
        self.args = args
        self.accepted = False
        self.accepted_event_id = 0
        self.sequencing_id = 0
        self.outcome: tuple[str, Any] | None = None

    @property
    def message_id(self) -> str:
        return f"{self.id}/request"


class Server:
    """Everything that happens happens in ``step``; ``moment`` counts them."""

    namespace = "default"
    identity = "simulation"
    latency = MILLISECOND
    """How long a message takes, of whatever kind."""
    restart = SECOND
    """How long after a crash there is a Worker again."""
    suggest_continue_as_new_at = 4096
    """Events in a history from which ``is_continue_as_new_suggested`` says so."""

    def __init__(
        self,
        code: Code,
        choices: Choices,
        *,
        epoch: int = EPOCH,
        outage: Callable[[str], BaseException] | None = None,
        rejection: Callable[[str], BaseException] | None = None,
        elsewhere: Iterable[str] = (),
        memory: Remembered | None = None,
    ) -> None:
        if memory is not None and code.intercepts_activities:
            raise ValueError(
                "A Remembered world does not see what interceptors of Activities do; "
                "give the simulation the world itself."
            )
        self.code = code
        self.memory = memory
        self.choices = choices
        self.epoch = epoch
        self.outage = outage or _outage
        self.rejection = rejection or _rejection
        self.queue = Queue()
        self.moment = 0
        self.meanwhile: list[Arrival] = []
        self.sites: list[tuple[int, Site]] = []
        self.task_moments: list[int] = []
        self.holds: list[tuple[int, str, int]] = []
        """Where a Workflow Task could have waited for more: moment, Workflow, its number."""
        self.races: list[tuple[int, int]] = []
        """Where something else could have come first: moment, how many were under way."""
        self.faults: dict[str, int] = {}
        self.runs: dict[str, list[Run]] = {}
        self.scheduled: list[str] = []
        self.calls: dict[tuple[str, str], int] = {}
        self.fatal: SimulationError | None = None
        self.last_resorts: list[Callable[[], None]] = []
        self.unpolled = frozenset(elsewhere)
        self.graveyard: list[Worker] = []
        self.worker = Worker(VirtualLoop(self.queue))
        self.up_at = 0
        self.on_closed: list[Callable[[Run], None]] = []
        self.dying: list[Run] = []
        self._ids = 0

    # --- time and ids ------------------------------------------------------------------

    @property
    def now(self) -> int:
        """Nanoseconds since the simulation began."""
        return self.queue.now

    def date(self, now: int) -> datetime:
        """Virtual time as a date."""
        return utc(self.epoch + now)

    def new_id(self) -> str:
        """A run id, the same in every simulation."""
        self._ids += 1
        return str(uuid.UUID(int=(0x51A0_0000_0000_4000_8000 << 48) + self._ids))

    def request_id(self) -> str:
        """What the server writes into a Started event."""
        self._ids += 1
        return str(uuid.UUID(int=(0x51A0_0000_0000_4000_8001 << 48) + self._ids))

    def soon(self, action: Callable[[], None], label: str) -> Item:
        """Have something happen after a message's time; others may overtake it."""
        delay = max(self.latency, self.up_at - self.now)
        return self.queue.push(delay, action, label, soft=True)

    def when_idle(self, action: Callable[[], None]) -> None:
        """Have something happen when nothing else is left to do."""
        self.last_resorts.append(action)

    # --- steps -------------------------------------------------------------------------

    def step(self) -> bool:
        """Let the next thing happen; tell whether there was one."""
        if not self.queue.waiting:
            if not self.last_resorts:
                return False
            self.queue.push(0, self.last_resorts.pop(0), "when all else is over")
        self.moment += 1
        self.meanwhile = []
        for arrival in self.choices.arrivals(self.moment):
            if arrival.during:
                self.meanwhile.append(arrival)
            else:
                self.arrival(arrival)
        item = self._next()
        if item is not None:
            self.queue.take(item)()
        self._arrive_meanwhile()
        if self.fatal is not None:
            raise self.fatal
        return True

    def _arrive_meanwhile(self) -> None:
        """What was to arrive while a Workflow Task is under way."""
        while self.meanwhile:
            self.arrival(self.meanwhile.pop(0))

    def arrival(self, arrival: Any) -> None:
        """Something from outside; a ``Simulation`` knows what."""
        raise NotImplementedError

    def _next(self) -> Item | None:
        if not self.choices.races:
            return self.queue.first()
        racing = self.queue.racing()
        if len(racing) > 1:
            self.races.append((self.moment, len(racing)))
            return racing[self.choices.first(self.moment, len(racing))]
        return racing[0] if racing else None

    # --- the Worker --------------------------------------------------------------------

    def polled(self, task_queue: str) -> bool:
        """Whether a Worker asks for tasks of this queue."""
        return task_queue not in self.unpolled

    def fate(self, site: Site) -> Fate:
        """What becomes of an attempt."""
        self.sites.append((self.moment, site))
        fate = self.choices.fate(site)
        if fate is not Fate.OK:
            self.count(fate.value)
        return fate

    def count(self, what: str) -> None:
        """Note that it really happened."""
        self.faults[what] = self.faults.get(what, 0) + 1

    def crash(self) -> None:
        """The Worker process dies with all it is doing; another starts a moment later."""
        self.worker.loop.kill()
        self.graveyard.append(self.worker)
        self.worker = Worker(VirtualLoop(self.queue))
        self.up_at = self.now + self.restart
        for run in [runs[-1] for runs in self.runs.values()]:
            run.evict()
            if run.task_open:
                tasks.lose_task(self, run)

    def activity_task(self, run: Run, command: Any, metadata: Any) -> ActivityTask:
        """An Activity that a Workflow schedules."""
        return ActivityTask(run, command, metadata, self._call(run, command.activity_type))

    def local_task(self, run: Run, command: Any, metadata: Any) -> LocalTask:
        """A local Activity that a Workflow schedules."""
        return LocalTask(run, command, metadata, self._call(run, command.activity_type))

    def _call(self, run: Run, activity: str) -> int:
        key = (run.id, activity)
        self.calls[key] = self.calls.get(key, 0) + 1
        self.scheduled.append(activity)
        return self.calls[key]

    def uncall(self, run: Run, activity: str) -> None:
        """A call that was never sent."""
        self.calls[run.id, activity] -= 1
        self.scheduled.remove(activity)

    def guarded_drain(self, loop: VirtualLoop, attempt: Any) -> None:
        """Let Activities run until they wait for something."""
        if loop.draining:
            return
        guarded(loop.drain, f"Activity {attempt.task.type}")

    # --- starting ----------------------------------------------------------------------

    def begin(
        self,
        start: Start,
        *,
        run_id: str = "",
        signal: tuple[str, list[Payload]] | None = None,
    ) -> Run:
        """Begin a run, the first of a Workflow or a further one; ``signal`` starts it."""
        run = Run(self, start, run_id or self.new_id())
        run.time_started = self.now
        self.runs.setdefault(start.workflow_id, []).append(run)
        start.first_run_id = start.first_run_id or run.run_id
        if start.execution_timeout and not start.expires:
            start.expires = self.now + round(start.execution_timeout * SECOND)
        run.events.add(
            "workflow_execution_started", self.now, tasks.started(run), start.user_metadata
        )
        run.jobs.append(run.initialize())
        self._limit(run)
        if signal:
            run.waits_to_begin = True
            self._signal_now(run, *signal, None)
            run.waits_to_begin = False
        wait = start.backoff
        if wait:
            self.queue.push(round(wait * SECOND), lambda: self._wake_up(run), f"{run.id} begins")
            run.waits_to_begin = True
        else:
            self.wake(run)
        return run

    def _limit(self, run: Run) -> None:
        limits = []
        if run.start.run_timeout:
            limits.append(self.now + round((run.start.run_timeout + run.start.backoff) * SECOND))
        if run.start.expires:
            limits.append(run.start.expires)
        if limits:
            run.limit = self.queue.push(
                min(limits) - self.now, lambda: closing.time_out(self, run), f"{run.id} times out"
            )

    def current(self, workflow_id: str, run_id: str = "") -> Run | None:
        """The newest run of a Workflow, or the one asked for."""
        runs = self.runs.get(workflow_id, [])
        if run_id:
            return next((run for run in runs if run.run_id == run_id), None)
        return runs[-1] if runs else None

    # --- events ------------------------------------------------------------------------

    def arrive(self, run: Run, action: Callable[[], None]) -> None:
        """Let something happen to a run; a Workflow Task that is open is not disturbed."""
        if run.task_open:
            run.buffered.append(action)
        else:
            action()

    def record(
        self, run: Run, name: str, attributes: Mapping[str, Any], metadata: Any = None
    ) -> int:
        """Write an event that is none of a command's."""
        self._settle_speculation(run)
        return run.events.add(name, self.now, attributes, metadata)

    def wake(self, run: Run) -> None:
        """Schedule a Workflow Task, unless there is one."""
        if run.waits_to_begin or run.status != RUNNING or run.waits_for_task:
            return
        run.waits_for_task = True
        run.failures_in_vain = 0
        self.write_scheduled(run)
        self.schedule_task(run)

    def _wake_up(self, run: Run) -> None:
        run.waits_to_begin = False
        self.wake(run)

    def try_task_again(self, run: Run, news: bool) -> None:
        """Schedule a Workflow Task that failed, unless it fails for ever."""
        if run.waits_for_task:
            return
        run.failures_in_vain = 0 if news else run.failures_in_vain + 1
        if run.failures_in_vain >= GIVE_UP_TASK:
            return
        # A Worker reports only the first failure. Of others the server learns by the timeout.
        # One in a sticky queue does not count: the next is given to any Worker.
        pause = round(run.start.task_timeout * SECOND) if run.task_attempt > 1 else 0
        run.task_attempt = 1 if news or run.sticky else run.task_attempt + 1
        run.sticky = False
        run.waits_for_task = True
        if pause:
            self.queue.push(pause, lambda: self._begin_again(run), f"next task of {run.id}")
        else:
            self._begin_again(run)

    def _begin_again(self, run: Run) -> None:
        if run.status == RUNNING:
            self.write_scheduled(run)
            self.schedule_task(run)

    def write_scheduled(self, run: Run) -> None:
        run.scheduled_at = self.now
        run.scheduled_event_id = 0
        if run.task_attempt == 1:
            run.scheduled_event_id = run.events.add(
                "workflow_task_scheduled", self.now, tasks.task_scheduled(run)
            )

    def schedule_task(self, run: Run) -> None:
        """Have a Worker begin the task that was scheduled."""
        self.soon(lambda: self.start_task(run), f"Workflow Task of {run.id}")

    def _settle_speculation(self, run: Run) -> None:
        """What was scheduled for an Update alone becomes a task like others."""
        if run.speculative:
            run.speculative = False
            self.write_scheduled(run)

    # --- Workflow Tasks ----------------------------------------------------------------

    def deliver_update(self, run: Run, update: Update) -> None:
        """Have the next Workflow Task carry an Update."""
        run.updates[update.id] = update
        job = Job()
        do = job.do_update
        do.id = do.protocol_instance_id = update.id
        do.name = update.name
        do.input.extend(update.args)
        do.meta.update_id = update.id
        do.meta.identity = self.identity
        do.run_validator = True
        run.update_jobs.append(job)
        if run.waits_for_task or run.waits_to_begin or run.failing or run.status != RUNNING:
            return  # there is a task to come that takes it along
        run.waits_for_task = run.speculative = True
        run.failures_in_vain = 0
        self.schedule_task(run)

    def start_task(self, run: Run) -> None:
        if run.status != RUNNING or not run.waits_for_task:
            return
        if self._held(run):
            return
        run.held = None
        run.waits_for_task = False
        run.task_open = True
        self.task_moments.append(self.moment)
        run.tasks += 1
        run.tasks_begun += 1
        run.task_activations = 0
        run.task_patches = []
        run.reverts = []
        alone = run.speculative
        if alone:
            self.write_scheduled(run)
        if run.task_attempt > 1:
            run.scheduled_event_id = run.events.add(
                "workflow_task_scheduled", run.scheduled_at, tasks.task_scheduled(run)
            )
        started = run.events.add("workflow_task_started", self.now, tasks.task_started(self, run))
        run.task_events = (run.scheduled_event_id, started)
        run.task_alone = alone
        run.speculative = False
        if not run.journal:
            run.first_task_time = self.now
        for job in run.update_jobs:
            run.updates[job.do_update.id].sequencing_id = started - 1
        jobs, run.jobs = [*run.jobs, *run.update_jobs], []
        run.update_jobs = []
        run.task_jobs = jobs
        run.task_time = max(self.now, run.task_time)
        worker = self.worker
        self._arrive_meanwhile()
        if self.worker is worker:
            catch_up(run)
            self._turn(run, jobs)

    def _held(self, run: Run) -> bool:
        """Whether the task waits for one more event, so that more comes in one activation."""
        following = self.queue.first()
        more_comes = following is not None and following.when - self.now <= PATIENCE
        if run.held is None:
            task = run.tasks_begun + 1
            if more_comes:
                self.holds.append((self.moment, run.id, task))
            run.held = self.choices.hold(run.id, task)
            if run.held:
                self.count("task held back")
        if not run.held or following is None or not more_comes:
            return False
        run.held -= 1
        delay = max(following.when - self.now, 0)
        action, label = (lambda: self.start_task(run)), f"Workflow Task of {run.id}, held back"
        self.queue.push(delay, action, label)
        return True

    def resume(self, run: Run) -> None:
        """A local Activity has ended: the open Workflow Task goes on."""
        if run.task_open and run.jobs:
            jobs, run.jobs = run.jobs, []
            self._turn(run, jobs)

    def _turn(self, run: Run, jobs: list[Job]) -> None:
        """Activations, until the Workflow waits for something that is not there yet."""
        while jobs:
            completion = run.activate(jobs, now=run.task_time)
            if completion.HasField("failed"):
                tasks.fail_task(self, run, completion.failed.failure)
                return
            used = completion.successful.used_internal_flags
            run.flags.update(used)
            entry = Activation(
                run.tasks, jobs, run.task_time, run.events_seen, completion.successful.commands
            )
            run.journal.append(entry)
            run.task_activations += 1
            run.take(completion)
            run.jobs, jobs = [], run.jobs
        if not tasks.closes(run.outgoing):
            for local in run.locals.values():
                local.begin()
            if any(not local.resolved for local in run.locals.values()):
                tasks.watch_task(self, run)
                return
        tasks.complete_task(self, run)
        while self.dying:
            self.dying.pop().evict()

    # --- messages ----------------------------------------------------------------------

    def request_cancel(
        self, run: Run, reason: str, *, by: Run | None = None, initiated: int = 0
    ) -> None:
        """Ask a run to cancel; only the first request counts."""
        self.arrive(run, lambda: self._cancel_now(run, reason, by, initiated))

    def _cancel_now(self, run: Run, reason: str, by: Run | None, initiated: int) -> None:
        if run.status != RUNNING or run.cancel_requested:
            return
        run.cancel_requested = True
        self.record(
            run,
            "workflow_execution_cancel_requested",
            {
                "cause": reason,
                "identity": self.identity,
                "external_initiated_event_id": initiated or None,
                "external_workflow_execution": {"workflow_id": by.id, "run_id": by.run_id}
                if by
                else None,
            },
        )
        job = Job()
        job.cancel_workflow.reason = reason
        run.jobs.append(job)
        self.wake(run)

    def signal(self, run: Run, name: str, args: list[Payload], *, by: Run | None = None) -> None:
        """Send a run a Signal."""
        self.arrive(run, lambda: self._signal_now(run, name, args, by))

    def _signal_now(self, run: Run, name: str, args: list[Payload], by: Run | None) -> None:
        if run.status != RUNNING:
            return
        event = self.record(
            run,
            "workflow_execution_signaled",
            {
                "signal_name": name,
                "input": {"payloads": args} if args else None,
                "identity": self.identity,
                "external_workflow_execution": {"workflow_id": by.id, "run_id": by.run_id}
                if by
                else None,
            },
        )
        job = Job()
        job.signal_workflow.signal_name = name
        job.signal_workflow.input.extend(args)
        job.signal_workflow.identity = self.identity
        job.signal_workflow.originating_event_id = event
        run.jobs.append(job)
        self.wake(run)

    def query(self, run: Run, name: str, args: list[Payload]) -> Any:
        """Ask a run; return what ``QueryResult`` says."""
        job = Job()
        job.query_workflow.query_id = self.request_id()
        job.query_workflow.query_type = name
        job.query_workflow.arguments.extend(args)
        catch_up(run)
        length = len(run.events.records)
        act = run.activation([job], max(self.now, run.task_time), length, True, run.flags)
        if run.instance is None:
            raise SimulationError(f"Workflow {run.id} has not begun, so it cannot be asked.")
        completion = instances.activate(run.instance, act, run.what)
        return completion.successful.commands[0].respond_to_query

    def refuses(self, workflow_id: str, reuse_policy: int) -> bool:
        """Whether a Workflow id may not be used (again)."""
        run = self.current(workflow_id)
        if run is None:
            return False
        if run.status == RUNNING:
            return True
        if reuse_policy == WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE:
            return True
        failed_only = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY
        return reuse_policy == failed_only and run.status == "completed"


def _outage(activity: str) -> BaseException:
    return ConnectionError(f"{activity}: no connection.")


def _rejection(activity: str) -> BaseException:
    from temporalio.exceptions import ApplicationError

    return ApplicationError(f"{activity}: rejected.", type="Rejected", non_retryable=True)


__all__ = ["RUNNING", "Failure", "Outgoing", "Server", "SimulationError", "Update"]
