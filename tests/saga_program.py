"""One Workflow that takes a small program around sagas as data, and carries it out.

A program is JSON. A body is a list of statements, a statement a list whose first entry says
what it is; ``text_of`` shows it as the Python that it stands for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

from first_edition_saga import Saga as FirstEditionSaga
from first_edition_saga import uninterrupted as first_edition_uninterrupted
from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

from travel.saga import Saga, uninterrupted

Statement = list[Any]
Body = list[Statement]
ONCE = RetryPolicy(maximum_attempts=1)
ATTEMPT = timedelta(seconds=10)
CAUGHT = {"failure": FailureError, "exception": Exception, "everything": BaseException}


class World:
    """What is held, and a diary. An undo leaves a tombstone, as every undo must."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.held: set[str] = set()
        self.tombs: set[str] = set()
        self.diary: list[str] = []

    @activity.defn
    async def do(self, name: str, kind: str) -> str:
        self.diary.append(f"do {name}")
        if kind == "rejected" or name in self.tombs:
            raise ApplicationError(f"do {name}: no", type="Rejected", non_retryable=True)
        if kind == "down":
            raise ApplicationError(f"do {name}: down")
        self.held.add(name)
        if kind == "lost":
            raise ApplicationError(f"do {name}: reply lost")
        return name

    @activity.defn
    async def undo(self, name: str, kind: str) -> None:
        self.diary.append(f"undo {name}")
        if kind == "down" and self.diary.count(f"undo {name}") == 1:
            raise ApplicationError(f"undo {name}: down")
        self.tombs.add(name)
        self.held.discard(name)


async def call(which: Any, name: str, kind: str) -> Any:
    return await workflow.execute_activity_method(
        which, args=[name, kind], start_to_close_timeout=ATTEMPT, retry_policy=ONCE
    )


@workflow.defn
class ChildStep:
    @workflow.run
    async def run(self, name: str, kind: str) -> None:
        await call(World.do, name, kind)


class _InOrder(dict[Any, None]):
    """A set of tasks that keeps their order."""

    def add(self, task: Any) -> None:
        self[task] = None

    def discard(self, task: Any) -> None:
        self.pop(task, None)


class InOrder(asyncio.TaskGroup):
    """A TaskGroup that cancels its tasks in the same order in a replay: asyncio's does not.

    It keeps them in a set. Two Activities under way are then cancelled in either order,
    and Temporal may find that the Workflow is not deterministic.
    """

    def __init__(self) -> None:
        super().__init__()
        self._tasks: Any = _InOrder()


class Interpreter:
    """Carries a program out, and keeps a trace of what its author saw happen."""

    saga_class: Any
    calmly: Any

    def __init__(self, program: dict[str, Any]) -> None:
        self.trace: list[list[str]] = program.get("trace", [])
        self.sagas = 0
        self.basket = self._new_saga("", "none")
        self.due = False
        self.main: asyncio.Task[Any] | None = None
        self.spawned: list[asyncio.Task[None]] = []
        self.signals: list[asyncio.Task[Any] | None] = []

    async def carry_out(self, program: dict[str, Any]) -> str:
        self.main = asyncio.current_task()
        await self._all(program["body"], self.basket)
        if program.get("polite"):
            await workflow.wait_condition(workflow.all_handlers_finished)
        return "completed"

    async def in_signal(self, body: Body) -> None:
        self.signals.append(asyncio.current_task())
        await self._all(body, self.basket)

    async def _all(self, body: Body, saga: Any) -> None:
        for statement in body:
            await getattr(self, f"_{statement[0]}")(saga, *statement[1:])

    # --- statements ---------------------------------------------------------------

    async def _step(self, saga: Any, name: str, do: str, undo: str) -> None:
        by_signal = asyncio.current_task() in self.signals

        async def forward() -> None:
            self.trace.append(["began", name, saga.label])
            try:
                await attempt()
            except FailureError:
                if by_signal:
                    self.trace.append(["failed in a Signal handler", name, saga.label])
                raise
            self.trace.append(["came back", name])

        async def attempt() -> None:
            if do == "slow":
                await workflow.sleep(100)
            if do == "child":
                await workflow.execute_child_workflow(ChildStep.run, args=[name, "ok"])
            else:
                await call(World.do, name, do)
            if do == "bug":
                raise KeyError(name)

        taken = saga.step(forward, undo=self._undo_of(name, undo), name=name)
        await self._delivers(taken)

    def _undo_of(self, name: str, kind: str) -> Callable[[], Awaitable[None]]:
        turns = 0

        async def back() -> None:
            nonlocal turns
            turns += 1
            await call(World.undo, name, kind)
            if turns > 1:
                return
            match kind:
                case "waits in vain":
                    await workflow.wait_condition(lambda: False, timeout=timedelta(minutes=1))
                case "cancelled part":
                    part = asyncio.create_task(asyncio.Event().wait())
                    part.cancel(f"undo {name}")
                    await part
                case "group":
                    raise ExceptionGroup("undo", [ApplicationError(f"undo {name}: in a group")])
                case "saga":
                    async with self._new_saga("undo", "none") as own:
                        await self._step(own, f"{name}'s own", "ok", "ok")
                        raise ApplicationError(f"undo {name}: in a saga")
                case "bug":
                    raise KeyError(f"undo {name}")

        return back

    async def _saga(self, around: Any, callback: str, body: Body) -> None:
        self.sagas += 1
        saga = self._new_saga(str(self.sagas), callback)
        if asyncio.current_task() is self.main and around is self.basket and not around.entered:
            saga = self.basket  # what the handlers add to is the first one
            saga.label, saga.callback = str(self.sagas), callback
            saga.entered = True
        asked: list[Any] = [workflow.cancellation_reason()]
        left: list[BaseException | None] = [None]
        try:
            async with saga:
                try:
                    await self._all(body, saga)
                except BaseException as error:
                    left[0] = error
                    raise
                finally:
                    asked[0] = workflow.cancellation_reason()
            self.trace.append(["ended well", saga.label])
        except BaseException as error:
            if str(_root(error)).startswith(("undo", "callback")) and _root(error) is not left[0]:
                self.trace.append(["masked", saga.label, str(_root(error))])
            elif isinstance(error, TimeoutError):
                self.trace.append(["masked", saga.label, "by the timeout of an undo"])
            if isinstance(error, asyncio.CancelledError) and error is not left[0]:
                asked[0] = ""  # delivered
            raise
        finally:
            self._swallowed(asked[0])

    async def _try(self, saga: Any, what: str, body: Body, otherwise: Body) -> None:
        try:
            await self._all(body, saga)
        except CAUGHT[what]:
            await self._all(otherwise, saga)

    async def _finally(self, saga: Any, body: Body) -> None:
        try:
            await self._all(body, saga)
        finally:
            await workflow.sleep(1)

    async def _gather(self, saga: Any, tolerant: bool, bodies: list[Body]) -> None:
        self.due = False
        parts = (self._all(body, saga) for body in bodies)
        await asyncio.gather(*parts, return_exceptions=tolerant)

    async def _group(self, saga: Any, bodies: list[Body]) -> None:
        self.due = False
        async with InOrder() as group:
            for body in bodies:
                group.create_task(self._all(body, saga))

    async def _timeout(self, saga: Any, seconds: int, body: Body) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._all(body, saga)
        except TimeoutError:
            raise ApplicationError("out of time") from None

    async def _sleep(self, _saga: Any, seconds: int) -> None:
        await self._delivers(workflow.sleep(seconds))

    async def _calmly(self, _saga: Any, seconds: int) -> None:
        asked = workflow.cancellation_reason()
        await self.calmly(workflow.sleep(seconds))
        self._swallowed(asked)

    async def _raise(self, _saga: Any, what: str) -> None:
        match what:
            case "failure":
                raise ApplicationError("the body failed")
            case "bug":
                raise ValueError("a bug")
            case "group":
                raise ExceptionGroup("some", [ApplicationError("one"), ApplicationError("two")])
            case "cancelled":
                raise asyncio.CancelledError("of its own")

    async def _spawn(self, saga: Any, body: Body) -> None:
        self.spawned.append(asyncio.create_task(self._all(body, saga)))

    async def _continue(self, _saga: Any) -> None:
        workflow.continue_as_new({"body": [], "trace": self.trace})

    # --- what the author is promised about cancel requests --------------------------

    def _swallowed(self, asked_before: str | None) -> None:
        """A cancel request came while the Workflow's own task undid something."""
        if asyncio.current_task() is self.main and asked_before is None:
            self.due = self.due or workflow.cancellation_reason() is not None

    async def _delivers(self, wait: Awaitable[Any]) -> None:
        mine = asyncio.current_task() is self.main
        due, self.due = self.due and mine, self.due and not mine
        try:
            await wait
        except BaseException as error:
            if due and not is_cancelled_exception(error):
                self.due = not isinstance(error, asyncio.CancelledError)
            raise
        if due:
            self.trace.append(["swallowed", "a cancel request that came while undoing"])

    def _new_saga(self, label: str, callback: str) -> Any:
        def on_change() -> None:
            if saga.callback == "failure":
                raise ApplicationError("callback")
            if saga.callback == "bug":
                raise KeyError("callback")

        saga = self.saga_class(rejections=["Rejected"], on_change=on_change)
        saga.label, saga.callback, saga.entered = label, callback, False
        return saga


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


@workflow.defn
class Program(Interpreter):
    """With the saga as it is."""

    saga_class = Saga
    calmly = staticmethod(uninterrupted)

    @workflow.init
    def __init__(self, program: dict[str, Any]) -> None:
        super().__init__(program)

    @workflow.run
    async def run(self, program: dict[str, Any]) -> str:
        return await self.carry_out(program)

    @workflow.signal
    async def signalled(self, body: Body) -> None:
        await self.in_signal(body)

    @workflow.update
    async def updated(self, body: Body) -> None:
        await self._all(body, self.basket)

    @workflow.query
    def traced(self) -> list[list[str]]:
        return self.trace


@workflow.defn
class FirstEdition(Interpreter):
    """With the saga of the first edition, whose faults the test must find."""

    saga_class = FirstEditionSaga
    calmly = staticmethod(first_edition_uninterrupted)

    @workflow.init
    def __init__(self, program: dict[str, Any]) -> None:
        super().__init__(program)

    @workflow.run
    async def run(self, program: dict[str, Any]) -> str:
        return await self.carry_out(program)

    @workflow.signal
    async def signalled(self, body: Body) -> None:
        await self.in_signal(body)

    @workflow.update
    async def updated(self, body: Body) -> None:
        await self._all(body, self.basket)

    @workflow.query
    def traced(self) -> list[list[str]]:
        return self.trace


# --- programs as text ---------------------------------------------------------------


def text_of(program: dict[str, Any]) -> str:
    """The program as the Python that it stands for."""
    lines = list(_text(program["body"]))
    for arrival in program.get("arrivals", []):
        kind, at, *bodies = arrival
        if kind == "cancel":
            lines.append(f"# a cancel request before moment {at}")
        elif kind == "evict":
            lines.append(f"# evicted from the cache before moment {at}")
        elif kind == "hold":
            lines.append(f"# Workflow Task {at} begins only after {bodies[0]} more events")
        else:
            lines.append(f"# in a handler of {'a Signal' if kind == 'signal' else 'an Update'} ")
            lines[-1] += f"before moment {at}:"
            lines += _text(bodies[0])
    if program.get("polite"):
        lines.append("await workflow.wait_condition(workflow.all_handlers_finished)")
    return "\n".join(lines)


def _text(body: Body, indent: str = "") -> Iterator[str]:
    for statement in body:
        for line in _lines(statement):
            yield indent + line


def _lines(statement: Statement) -> Iterator[str]:
    what, *rest = statement
    match what:
        case "step":
            name, do, undo = rest
            yield f"await saga.step({name})  # {do}; its undo: {undo}"
        case "saga":
            callback, body = rest
            yield "async with Saga() as saga:" + (
                f"  # on_change raises a {callback}" if callback != "none" else ""
            )
            yield from _text(body, "    ")
        case "try":
            caught, body, otherwise = rest
            yield "try:"
            yield from _text(body, "    ")
            yield f"except {CAUGHT[caught].__name__}:"
            yield from _text(otherwise or [["pass"]], "    ")
        case "finally":
            yield "try:"
            yield from _text(rest[0], "    ")
            yield from ("finally:", "    await workflow.sleep(1)")
        case "gather" | "group":
            head = "async with asyncio.TaskGroup():" if what == "group" else "asyncio.gather:"
            yield head + ("  # return_exceptions=True" if rest[0] is True else "")
            for body in rest[-1]:
                yield "    # side by side:"
                yield from _text(body, "    ")
        case "timeout":
            yield f"async with asyncio.timeout({rest[0]}):"
            yield from _text(rest[1], "    ")
        case "sleep":
            yield f"await workflow.sleep({rest[0]})"
        case "calmly":
            yield f"await uninterrupted(workflow.sleep({rest[0]}))"
        case "spawn":
            yield "task = asyncio.create_task(...)  # and nobody awaits it:"
            yield from _text(rest[0], "    ")
        case "continue":
            yield "workflow.continue_as_new()"
        case "raise":
            yield f"raise {rest[0]}"
        case _:
            yield what
