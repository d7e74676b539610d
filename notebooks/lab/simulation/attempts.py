"""One attempt at an Activity, on the Worker: what it runs, and what becomes of it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import temporalio.activity
import temporalio.common
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
)

from .choices import Fate
from .clock import MILLISECOND, SECOND
from .errors import NotSimulated, SimulationError
from .forms import new_failure
from .loop import VirtualLoop
from .waiting import Baton, Waiting

if TYPE_CHECKING:
    from .activities import ActivityTask

LATENESS = SECOND // 2
"""How long after its timeout a late attempt is carried out."""

WORKER_PATIENCE = 5 * SECOND
"""How long after its timeout a Worker cancels an attempt by itself, as core does."""


class Worker:
    """A Worker process: its event loop, and whether it is still alive."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.shutdown = temporalio.common._CompositeEvent(threading.Event(), asyncio.Event())
        self.batons: list[Baton] = []

    @property
    def alive(self) -> bool:
        """A killed process does nothing more."""
        return self.loop.alive

    def bury(self) -> None:
        """End what is left of it, once nobody looks any more."""
        self.loop.bury()
        for baton in self.batons:
            baton.kill()


class Attempt:
    """Carries out one attempt and tells the server, as its fate allows."""

    def __init__(self, task: ActivityTask, worker: Worker, fate: Fate) -> None:
        self.task = task
        self.server = task.server
        self.worker = worker
        self.fate = fate
        self.number = task.attempt
        self.started_at = self.server.now
        self.previous_details = task.details
        self.running: asyncio.Task[Any] | None = None
        self.ended = False
        self.slept = 0
        self.cancelled_by_request = False
        self.cancellation = temporalio.activity._ActivityCancellationDetailsHolder()
        self.cancelled_event: temporalio.common._CompositeEvent | None = None
        self.is_async = self.interrupts = False
        self.baton: Baton | None = None
        self._unsent: Sequence[Payload] | None = None
        self._quiet_until = 0

    # --- fate --------------------------------------------------------------------------

    def begin(self) -> None:
        """Do, now or later, what this attempt is fated to do."""
        server, fate = self.server, self.fate
        name = self.task.type
        match fate:
            case Fate.OUTAGE:
                server.soon(lambda: self._report_error(server.outage(name)), f"{name}: outage")
            case Fate.REJECTED:
                server.soon(lambda: self._report_error(server.rejection(name)), f"{name}: rejected")
            case Fate.CRASH_BEFORE:
                server.soon(server.crash, f"{name}: the Worker dies")
            case Fate.LATE | Fate.VERY_LATE:
                self.task.may_be_done = True
                self._begin_late()
            case _:
                server.soon(self._carry_out, f"{name} is done")

    def _begin_late(self) -> None:
        """What is stuck on its way arrives although its Worker may be dead by then."""
        if self.fate is Fate.VERY_LATE:
            self.server.when_idle(self._carry_out)
            return
        delay = self.task.deadline - self.server.now + LATENESS
        self.server.queue.push(delay, self._carry_out, f"{self.task.type} is done late")

    def _carry_out(self) -> None:
        if self.fate in (Fate.LATE, Fate.VERY_LATE):
            self.worker = self.server.worker
        if not self.worker.alive:
            return
        self.task.may_be_done = True
        memory = self.server.memory
        if memory is not None:
            key = (self.task.type, *(p.SerializeToString() for p in self.task.command.arguments))
            if (remembered := memory.recall(key)) is not None:
                self.slept = remembered[2]
                self._reply(self._told(*remembered[:2]))
                return
            memory.begin()
            self._key = key
        self.running = self.worker.loop.keep(
            self.worker.loop.create_task(self._execute(), name=f"{self.task.type}")
        )
        self.running.add_done_callback(self._finished)
        self._expect_end()
        self.server.guarded_drain(self.worker.loop, self)

    def _expect_end(self) -> None:
        limit = self.task.start_to_close or self.task.schedule_to_close
        at = self.started_at + limit + WORKER_PATIENCE
        if at > self.server.now and self.fate not in (Fate.LATE, Fate.VERY_LATE):
            self._patience = self.server.queue.push(
                at - self.server.now,
                lambda: self._cancel(timed_out=True),
                f"{self.task.type}: given up by its Worker",
                background=True,
            )

    _patience: Any = None

    def _finished(self, running: asyncio.Task[Any]) -> None:
        self.ended = True
        if self._patience is not None:
            self._patience.cancel()
        if not self.worker.alive:
            return
        try:
            status, what = self._end_of(running)
        except SimulationError as error:
            self.server.fatal = error
            return
        memory = self.server.memory
        if memory is not None:
            memorable = not self.is_async and not self._asked
            memory.learn(self._key if memorable else None, (status, what, self.slept))
        self._reply(self._told(status, what))

    _key: Any = None
    _asked = False

    def _reply(self, report: Callable[[], None]) -> None:
        """Have the server told, unless the reply is fated to be lost."""
        self.ended = True
        name, server = self.task.type, self.server
        match self.fate:
            case Fate.NO_REPLY | Fate.LATE | Fate.VERY_LATE:
                return
            case Fate.CRASH_AFTER:
                server.soon(server.crash, f"{name}: the Worker dies")
                return
            case Fate.LOST_REPLY:
                report = self._error_report(server.outage(name))
        delay = max(self.slept, server.latency)
        if self.fate is Fate.SLOW:
            delay = max(delay, self.task.deadline - server.now - 100 * MILLISECOND)
        server.queue.push(
            delay, lambda: self._send(report), f"{name} replies", soft=delay == server.latency
        )

    def _send(self, report: Callable[[], None]) -> None:
        if self.worker.alive:
            self._flush()
            self.task.report(report)

    def _report_error(self, error: BaseException) -> None:
        self.ended = True
        if self.worker.alive:
            self.task.report(self._error_report(error))

    def _end_of(self, running: asyncio.Task[Any]) -> tuple[str, Any]:
        """How it ended and with what, as the SDK's Worker would report it."""
        error = asyncio.CancelledError() if running.cancelled() else running.exception()
        if error is None:
            try:
                (payload,) = self.server.code.payload_converter.to_payloads([running.result()])
            except Exception as inner:
                return "failed", self._failure(inner)
            return "completed", payload
        if isinstance(error, SimulationError):
            raise error
        if isinstance(error, temporalio.activity._CompleteAsyncError):
            raise NotSimulated(
                f"Activity {self.task.type} will be completed from elsewhere "
                "(raise_complete_async), which is not simulated; try it on a real server."
            )
        cancelled = isinstance(error, (asyncio.CancelledError, CancelledError))
        if cancelled and self.cancelled_by_request:
            return "cancelled", self._failure(CancelledError("Cancelled"))
        return "failed", self._failure(error)

    def _told(self, status: str, what: Any) -> Callable[[], None]:
        if status == "completed":
            return lambda: self.task.complete(self, what)
        if status == "cancelled":
            return lambda: self.task.cancelled(self, what)
        return lambda: self.task.fail(self, what)

    def _error_report(self, error: BaseException) -> Callable[[], None]:
        failure = self._failure(error)
        return lambda: self.task.fail(self, failure)

    def _failure(self, error: BaseException) -> Failure:
        failure = Failure()
        converter = self.server.code.failure_converter
        if isinstance(error, asyncio.CancelledError):
            error = CancelledError(str(error))
        try:
            converter.to_failure(error, self.server.code.payload_converter, failure)
        except Exception as inner:
            failure = new_failure(
                message=f"Failed building exception result: {inner}", application_failure_info={}
            )
        return failure

    # --- running it --------------------------------------------------------------------

    async def _execute(self) -> Any:
        task, code = self.task, self.server.code
        definition = code.activity(task.type)
        if definition is None:
            known = ", ".join(sorted(code.activity_types))
            raise ApplicationError(
                f"Activity function {task.type} for workflow {task.run.id} "
                f"is not registered on this worker, available activities: {known}",
                type="NotFoundError",
            )
        self.interrupts = not definition.is_async and not definition.no_thread_cancel_exception
        self.is_async = definition.is_async
        self.cancelled_event = temporalio.common._CompositeEvent(
            threading.Event(), asyncio.Event() if definition.is_async else None
        )
        args = self._arguments(definition)
        if self.server.memory is not None and definition.is_async:
            raise NotSimulated(
                f"Activity {task.type} is a coroutine, and a Remembered world is only for "
                "synchronous Activities; give the simulation the world itself."
            )
        info = self._info()
        temporalio.activity._Context.set(
            temporalio.activity._Context(
                info=lambda: info,
                heartbeat=None,
                cancelled_event=self.cancelled_event,
                worker_shutdown_event=self.worker.shutdown,
                shield_thread_cancel_exception=None
                if definition.is_async
                else contextlib.nullcontext,
                payload_converter_class_or_instance=code.payload_converter,
                runtime_metric_meter=temporalio.common.MetricMeter.noop,
                client=None,
                cancellation_details=self.cancellation,
            )
        )
        chain = code.intercepted(_Inbound(self, definition.is_async))
        chain.init(_Outbound(self, info))
        given = ExecuteActivityInput(
            fn=definition.fn, args=args, executor=None, headers=task.command.headers
        )
        return await chain.execute_activity(given)

    def _arguments(self, definition: temporalio.activity._Definition) -> list[Any]:
        payloads = self.task.command.arguments
        hints = definition.arg_types
        if not definition.name:
            hints = [temporalio.common.RawValue] * len(payloads)
        elif hints is not None and len(hints) != len(payloads):
            hints = None
        try:
            converter = self.server.code.payload_converter
            args = converter.from_payloads(payloads, hints) if payloads else []
        except Exception as error:
            raise ApplicationError("Failed decoding arguments") from error
        return [args] if not definition.name else args

    def _info(self) -> temporalio.activity.Info:
        task, server = self.task, self.server
        command = task.command
        details = server.code.payload_converter.from_payloads(self.previous_details)
        return temporalio.activity.Info(
            activity_id=command.activity_id,
            activity_type=task.type,
            attempt=self.number,
            current_attempt_scheduled_time=server.date(task.attempt_scheduled_at),
            heartbeat_details=details,
            heartbeat_timeout=_duration(task.heartbeat_timeout),
            is_local=task.is_local,
            namespace=server.namespace,
            schedule_to_close_timeout=_duration(task.schedule_to_close),
            scheduled_time=server.date(task.scheduled_at),
            start_to_close_timeout=_duration(task.start_to_close),
            started_time=server.date(self.started_at),
            task_queue=task.task_queue,
            task_token=f"{task.run.run_id}/{command.activity_id}/{self.number}".encode(),
            workflow_id=task.run.id,
            workflow_namespace=server.namespace,
            workflow_run_id=task.run.run_id,
            workflow_type=task.run.start.workflow_type,
            priority=temporalio.common.Priority.default,
            retry_policy=temporalio.common.RetryPolicy.from_proto(task.retries),
        )

    # --- heartbeats and cancellation ---------------------------------------------------

    def heartbeat(self, *details: Any) -> None:
        """Send a heartbeat, or keep the newest until the next may be sent, as core does."""
        self._asked = True
        payloads = self.server.code.payload_converter.to_payloads(details) if details else []
        now = self.server.now + self.slept
        if now < self._quiet_until:
            if self._unsent is None:
                self.server.queue.push(
                    self._quiet_until - self.server.now,
                    self._flush,
                    f"{self.task.type}: heartbeat",
                    background=True,
                )
            self._unsent = payloads
            return
        self._unsent = payloads
        self._flush()

    def _flush(self) -> None:
        details, self._unsent = self._unsent, None
        if details is None or not self.worker.alive:
            return
        timeout = self.task.heartbeat_timeout
        self._quiet_until = self.server.now + self.slept
        self._quiet_until += min(timeout * 4 // 5 if timeout else 30 * SECOND, 60 * SECOND)
        answer = self.task.heartbeat(self, details)
        if answer and not self.ended:
            self._cancel(cancel_requested=answer == "cancelled", not_found=answer == "not found")

    def _cancel(self, **why: bool) -> None:
        """Tell the Activity that it is cancelled, and why."""
        if self.running is None or self.ended or self.cancellation.details is not None:
            return
        self.cancellation.details = temporalio.activity.ActivityCancellationDetails(**why)
        self.cancelled_by_request = why.get("cancel_requested", False)
        if self.cancelled_event is not None:
            self.cancelled_event.set()
        if self.is_async or (self.baton and self.interrupts):
            # Not at once: an Activity that is told while it runs hears of it at its next await.
            self.worker.loop.call_soon(self.running.cancel)
            self.server.guarded_drain(self.worker.loop, self)
        elif self.interrupts:
            raise CancelledError("Cancelled")

    def sleep(self, nanoseconds: int) -> None:
        """A synchronous Activity calls ``time.sleep``: its reply comes that much later."""
        self.slept += nanoseconds

    async def in_thread(self, call: Callable[[], Any]) -> Any:
        """Run a synchronous Activity that may hear of its cancellation while it sleeps."""
        self.baton = Baton(call)
        self.worker.batons.append(self.baton)
        asleep = self.baton.go_on()
        while asleep is not None:
            try:
                await asyncio.sleep(asleep / SECOND)
            except asyncio.CancelledError:
                asleep = self.baton.go_on(CancelledError("Cancelled"))
            else:
                asleep = self.baton.go_on()
        return self.baton.result


class _Inbound(ActivityInboundInterceptor):
    """The innermost one: the Activity itself."""

    def __init__(self, attempt: Attempt, is_async: bool) -> None:
        self._attempt = attempt
        self._is_async = is_async

    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        context = temporalio.activity._Context.current()
        context.info = outbound.info
        context.heartbeat = outbound.heartbeat

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        if self._is_async:
            return await input.fn(*input.args)
        if self._attempt.task.heartbeat_timeout:
            return await self._attempt.in_thread(lambda: input.fn(*input.args))
        with Waiting.told(self._attempt):
            return input.fn(*input.args)


class _Outbound(ActivityOutboundInterceptor):
    """The innermost one: what an Activity may ask of its Worker."""

    def __init__(self, attempt: Attempt, info: temporalio.activity.Info) -> None:
        self._attempt = attempt
        self._activity_info = info

    def info(self) -> temporalio.activity.Info:
        self._attempt._asked = True
        return self._activity_info

    def heartbeat(self, *details: Any) -> None:
        self._attempt.heartbeat(*details)


def _duration(nanoseconds: int) -> timedelta | None:
    return timedelta(microseconds=nanoseconds // 1000) if nanoseconds else None
