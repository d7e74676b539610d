"""The saga pattern as an async context manager for Temporal Workflows.

A saga is a chain of steps that each commit on their own, with a compensation
for each that undoes it (Garcia-Molina and Salem, "Sagas", 1987). Leave the
block with a failure and what was done is undone, newest first; leave it without
one and everything stands::

    async with Saga(rejections=["Rejected"]) as saga:
        flight = await saga.step(book_flight, undo=cancel_flight, name="cancel_flight")
        hotel = await saga.step(book_hotel, undo=cancel_hotel, name="cancel_hotel")

**The promise.** No way out of the block loses an undo in silence. Every step that
began and was not definitely refused is undone, or stands, or is still owed by a
Workflow that is visibly open: its Workflow Task fails with a sentence that says
what is owed and what to do. Door by door:

- *A failure* (what ends a Workflow: an error of Temporal's, a timeout, a type named
  in ``failures`` or ``failure_exception_types``), alone or in a group: everything is
  undone, then the first failure is raised. Also if somebody catches it outside.
- *A cancel request*: the same. One that arrives while something is undone waits
  until that is done, and is delivered at the next ``await`` after it.
- *A good end*: what came back stands. A step that failed, but whose failure the block
  dealt with (a plan B), may have happened all the same, and is undone.
- *A bug* (any other exception), ``continue_as_new``, or a misuse of the saga while
  undos are owed: nothing is undone, and it does not get past the block, so that
  nobody outside can turn it into an end of the Workflow. The Workflow Task fails,
  and is tried again until the code is mended.
- *An undo* is asked again until it succeeds. What would end a Workflow on the way
  forward makes it a stuck undo; the others get their turns meanwhile. One that is
  definitely refused waits for a person (``try_now``, ``settle``). With ``carry_on`` it
  outlives the server's limit on an Event History.
- *A Signal handler*: its failure would close the Workflow at once. So a step that
  fails there ends the handler quietly and makes the block fail, as above. A step
  that comes too late is refused and does no harm. In an Update handler a failed
  step fails the Update alone, and is undone when the block ends.
- *The end of the Workflow* by another task than the block's (a sibling in a
  ``gather``, a handler that raises) while undos are owed: the Workflow Task fails.
  But not on a Worker to which every ``Exception`` is a failure.

This module needs nothing but the Temporal SDK, so it can be lifted out whole.

What an undo must do for its part: be idempotent, work although its step never
ran or runs later, and come back in bounded time, by success or by error (for an
Activity: give it a ``schedule_to_close_timeout``). It need not limit or repeat
its retries. Each call of ``step`` is a step of its own: try again inside ``do``.
Let no step be a local Activity: if its Workflow Task fails, nobody knows that it ran.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator
from contextvars import ContextVar
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, NoReturn, TypeVar

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    FailureError,
    is_cancelled_exception,
)

T = TypeVar("T")


class SagaError(RuntimeError):
    """A saga is used in a way that would lose an undo. Says what to do instead."""


class _HandlerOver(BaseException):
    """Ends a Signal handler, and not the Workflow as any ``Exception`` would."""


class _State(Enum):
    NEW = "not begun"
    OPEN = "open"
    CLOSING = "about to end, and waits for steps in handlers"
    UNDOING = "being undone"
    OVER = "over"


class _Caller(Enum):
    """Who takes a step: that decides where its failure goes."""

    BODY = "the block, or a task begun in it"
    SIGNAL = "a Signal handler"
    HELPER = "a task begun in a Signal handler, as by gather"
    UPDATE = "an Update handler"
    OTHER = "a task begun outside the block"


class Waiting(NamedTuple):
    """An undo that did not succeed, and what is known of it.

    ``since`` when, and the last ``reason``. ``refused``: by a definite no, so it is
    not asked again before a person says so.
    """

    name: str
    since: datetime
    reason: str
    refused: bool = False


class _Step:
    # Not a dataclass: the sandbox makes this module, and so the class, for every Workflow anew.
    def __init__(self, name: str, undo: Callable[[], Awaitable[object]], caller: _Caller) -> None:
        self.name = name
        self.undo = undo
        self.caller = caller
        self.task: asyncio.Task[Any] | None = None
        self.came_back = False
        self.asking: asyncio.Task[None] | None = None
        self.in_turn = False
        self.had_a_turn = False
        self.waiting: Waiting | None = None
        self.woken = False
        self.settled = False

    @property
    def in_flight(self) -> bool:
        return self.task is not None and not self.task.done()

    def interrupt(self) -> None:
        self.woken = True
        if self.in_turn and self.asking:
            self.asking.cancel()


_innermost: ContextVar[Saga | None] = ContextVar("innermost_saga", default=None)
"""The saga in whose block a task runs, or was begun."""

_in_an_undo: ContextVar[bool] = ContextVar("in_an_undo", default=False)
"""Whether an undo runs this task, or began it."""


class Saga:
    """Remembers how to undo each step, and undoes them all if the block fails.

    Args:
        rejections: Types of ``ApplicationError`` by which a step says that it
            definitely did nothing, in no attempt, and will not. Such a step
            needs no undo. After every other failure (timeout, outage,
            cancellation) its outcome is unknown. An undo that fails by one of
            them is refused: it waits for ``try_now`` or ``settle``.
        failures: Types of exception that make the saga fail although they are
            no failure to Temporal, such as a ``KeyError`` that is translated
            outside the block.
        first_pause: How long a stuck undo waits before it is asked again. Each
            further pause is twice as long; an ``ApplicationError`` may say
            otherwise by its ``next_retry_delay``. After a turn that took twice
            as long there is none.
        longest_pause: The pause grows no longer than this.
        on_change: Called when undoing begins, moves on or gets stuck. An
            exception that it raises is logged, and changes nothing.
        carry_on: Awaited when something waits to be undone and the server
            suggests to continue as new. It calls ``workflow.continue_as_new``
            with what the next run needs to ``owe`` the undos and to fail with
            ``failure``. A block that runs in the Workflow's own task may have it.
    """

    def __init__(
        self,
        *,
        rejections: Collection[str] = (),
        failures: Collection[type[BaseException]] = (),
        first_pause: timedelta = timedelta(minutes=1),
        longest_pause: timedelta = timedelta(hours=1),
        on_change: Callable[[], None] = lambda: None,
        carry_on: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._rejections = frozenset(rejections)
        self._failures = tuple(failures)
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        self._on_change = on_change
        self._carry_on = carry_on
        self._handed_over = False
        self._turns_over = False
        self._undo_bug: BaseException | None = None
        self._state = _State.NEW
        self._entered = asyncio.Event()
        self._steps: list[_Step] = []
        self._failure: BaseException | None = None
        self._bug: SagaError | None = None
        self._body: asyncio.Task[Any] | None = None
        self._interrupted = False
        self._around: Saga | None = None
        self._inner: list[Saga] = []

    @property
    def to_undo(self) -> list[str]:
        """Names of the compensations not yet done, newest first."""
        return [step.name for step in reversed(self._steps)]

    @property
    def stuck(self) -> list[str]:
        """Names of those that failed and wait for their next turn, or for a person."""
        return [waiting.name for waiting in self.waiting]

    @property
    def waiting(self) -> list[Waiting]:
        """Those that are stuck, newest first, with what is known of them."""
        return [step.waiting for step in reversed(self._steps) if step.waiting]

    @property
    def failure(self) -> BaseException | None:
        """What the block failed with, and will raise when everything is undone."""
        return self._failure

    @property
    def compensating(self) -> bool:
        """Whether the saga has failed: everything is being undone, or has been."""
        return self._failure is not None

    @property
    def _failed(self) -> bool:
        """Whether this saga has failed, or one in whose block its own block runs."""
        return self.compensating or (self._around is not None and self._around._failed)

    # --- the way forward ----------------------------------------------------------

    async def step(
        self,
        do: Callable[[], Awaitable[T]],
        *,
        undo: Callable[[], Awaitable[object]],
        name: str,
    ) -> T:
        """Run ``do`` and return its result; ``undo`` undoes it if the saga fails.

        ``name`` is what to call the undo in ``to_undo`` and ``stuck``. Steps may
        run side by side, in an ``asyncio.gather`` or an ``asyncio.TaskGroup``.

        Raises:
            SagaError: ``do`` or ``undo`` is no function, or the block is not
                entered yet, or left, or an undo takes the step.
            asyncio.CancelledError: The saga is being undone, or failed meanwhile.
            temporalio.exceptions.ApplicationError: In an Update handler, that
                the step comes too late.
        """
        for function in (do, undo):
            if not callable(function):
                raise SagaError(f"{name}: expected a function for do and undo, not {function!r}.")
        caller = self._caller()
        if _in_an_undo.get() and caller is not _Caller.BODY:
            # Its failure would wait for its block, which may be waiting for this undo.
            raise SagaError(f"{name} is a step in an undo: take it in a saga of the undo's own.")
        if self._state is _State.NEW:
            await self._begun(name, caller)
        if self._state is not _State.OPEN or self._failed:
            await self._refuse(name, caller)
        # Registered first: once `do` has started, only its provider knows
        # whether it happened, and a lost reply must not lose the undo.
        step = _Step(name, undo, caller)
        self._steps.append(step)
        if caller is _Caller.BODY:
            step.task = asyncio.current_task()
            try:
                result = await self._take(do, step)
            except Exception:
                self._go_no_further(name)
                raise
            self._go_no_further(name)
            return result
        # In a task of its own, so that the step can be cancelled and the handler cannot.
        step.task = task = asyncio.create_task(self._take_aside(do, step))
        try:
            return await task
        except BaseException as error:
            await self._surface(error, caller)
            raise

    def fail(self, error: BaseException) -> None:
        """Make the block fail with ``error`` as soon as it awaits: for a deadline or a handler.

        Does nothing before the block and after its end.
        """
        if self._state not in (_State.OPEN, _State.CLOSING) or self._failure:
            return
        self._failure = error
        if self._body:
            self._interrupted = True
            self._body.cancel()

    def _go_no_further(self, name: str) -> None:
        """Whoever deals with a failed step must not hold up what the saga owes for another."""
        if self._failed:
            raise asyncio.CancelledError(f"{name}: the saga failed meanwhile.")

    def _caller(self) -> _Caller:
        task = _this_task()
        if task is self._body:
            return _Caller.BODY
        if task.get_name().startswith("signal: "):  # the SDK's name for the handler's task
            return _Caller.SIGNAL
        saga = _innermost.get()
        while saga is not None and saga is not self:
            saga = saga._around
        if saga is self:
            return _Caller.BODY
        if workflow.current_update_info():
            return _Caller.UPDATE
        return _Caller.HELPER if _begun_in_a_handler() else _Caller.OTHER

    async def _begun(self, name: str, caller: _Caller) -> None:
        """Let a handler wait for the block: a message may come before the Workflow has begun."""
        if caller is _Caller.OTHER and workflow.all_handlers_finished():
            raise SagaError(f"{name} is a step before the block: expected `async with saga` first.")
        # No wait condition: see `wait_through`. In a Signal handler it would end the Workflow.
        await self._entered.wait()

    async def _refuse(self, name: str, caller: _Caller) -> NoReturn:
        state = _State.UNDOING if self._failed and self._state is _State.OPEN else self._state
        late = f"{name} is not begun: the saga is {state.value}."
        if caller in (_Caller.SIGNAL, _Caller.HELPER):
            workflow.logger.warning(late)
            _end_handler(late)
        if caller is _Caller.UPDATE:
            raise ApplicationError(late, type="SagaOver", non_retryable=True)
        if self._state is _State.OVER:
            raise SagaError(f"{name} is a step after the block: take it inside `async with saga`.")
        if caller is _Caller.OTHER:
            await self._surface(asyncio.CancelledError(late), caller)
        # A sibling that went on meanwhile. Nobody would undo what it starts now.
        raise asyncio.CancelledError(late)

    async def _take(self, do: Callable[[], Awaitable[T]], step: _Step) -> T:
        try:
            result = await do()
        except FailureError as error:
            if self._definitely_rejected(error) and not step.settled:
                self._steps.remove(step)
            raise
        finally:
            step.task = None
        step.came_back = True
        return result

    async def _take_aside(self, do: Callable[[], Awaitable[T]], step: _Step) -> T:
        try:
            return await self._take(do, step)
        except BaseException as error:
            # At once: before whoever awaits this task hears of it, the block may have ended.
            self._fail_by(error, step.caller)
            raise

    def _fail_by(self, error: BaseException, caller: _Caller) -> BaseException | None:
        """Fail the saga where the failure of a step would not reach its block by itself."""
        failure = self._failure_in(error)
        if failure is None or caller is _Caller.UPDATE:
            return None
        # A cancelled task is its owner's business; a Signal handler belongs to the Workflow.
        if caller is _Caller.SIGNAL or not is_cancelled_exception(failure):
            self.fail(failure)
        return failure

    async def _surface(self, error: BaseException, caller: _Caller) -> None:
        """End whoever took the step that failed, but for an Update, which has an answer to give."""
        failure = self._fail_by(error, caller)
        if failure is None:
            return
        if caller is _Caller.SIGNAL:
            _end_handler(str(failure))
        if self._failure and not _stopped_by_owner():
            if caller is _Caller.HELPER:
                _end_handler(str(failure))
            # Perhaps the Workflow's own task: it must not end before all is undone.
            await workflow.wait_condition(lambda: self._state is _State.OVER)
            raise self._failure

    def _definitely_rejected(self, error: BaseException) -> bool:
        cause = error.cause if isinstance(error, (ActivityError, ChildWorkflowError)) else error
        return isinstance(cause, ApplicationError) and cause.type in self._rejections

    # --- the block ----------------------------------------------------------------

    async def __aenter__(self) -> Saga:
        """Begin: nothing to undo yet."""
        if self._state is not _State.NEW:
            raise SagaError(f"This saga is {self._state.value}: make a new one for each block.")
        around = _innermost.get()
        if around and around._state is not _State.OVER:
            if around._state is not _State.OPEN or around._failed:
                raise asyncio.CancelledError("The saga around this one is being undone.")
            self._around = around
        self._body = asyncio.current_task()
        if self._around and self._around._body is not self._body:
            self._around._inner.append(self)
        self._state = _State.OPEN
        self._entered.set()
        _innermost.set(self)
        self._watcher = asyncio.create_task(workflow.wait_condition(self._watch))
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Undo what is to be undone, then let ``error`` pass; see the promise above."""
        if isinstance(error, GeneratorExit):
            return  # The coroutine is dropped, and may not wait. `_watch` stays.
        self._state = _State.CLOSING
        raised = error
        if error is None:
            error = await self._end_of_handlers()
        failure = self._failure or self._failure_in(error)
        if error is not None and failure is None and (self._steps or self._inner):
            # To some Workers every Exception is a failure, and so is this one: it is undone.
            failure = self._failure_in(SagaError(self._refusal(error)))
            if failure is None:
                await self._stop(self._refusal(error), error)
        if self._interrupted and self._body:
            self._body.uncancel()
        self._failure = failure
        if failure is None:
            self._steps = [step for step in self._steps if not step.came_back]
        if failure or self._steps:
            await self._undo()
        self._state = _State.OVER
        _innermost.set(self._around)
        if self._around and self in self._around._inner:
            self._around._inner.remove(self)
        if failure is not None and failure is not raised:
            # "from" its own cause: a group is not what it came from.
            raise failure from failure.__cause__

    async def _end_of_handlers(self) -> BaseException | None:
        """Wait for the steps in handlers; return what the block fails with after all."""
        mine = [step.name for step in self._steps if step.in_flight and step.caller is _Caller.BODY]
        if self._inner:
            mine.append("a saga inside this one")
        if mine:
            return SagaError(
                f"Still under way at the end of the block: {', '.join(mine)}. Await it."
            )
        try:
            while (tasks := self._tasks()) and not self._failure:
                await workflow.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError as cancelled:
            return cancelled
        return self._failure

    def _failure_in(self, error: BaseException | None) -> BaseException | None:
        """What ends the Workflow: ``error`` itself, or the first such part of a group.

        A failure beside a bug counts: mending the bug would not undo it.

        Temporal does not close a Workflow on a bug (a ``NameError``, say). It keeps it
        open and tries again until the code is mended, and the trip may still succeed.

        A Worker that evicts the Workflow from its cache cancels it too. That is
        harmless: the SDK refuses every command of an evicted Workflow.
        """
        if error is None or not isinstance(error, BaseExceptionGroup):
            return error if error is not None and self._is_failure(error) else None
        parts = list(_parts(error))
        # A bug in a TaskGroup cancels the siblings, which come back as failures.
        own = [part for part in parts if not is_cancelled_exception(part)] or parts
        return next(filter(self._is_failure, [*own, error]), None)

    def _is_failure(self, error: BaseException) -> bool:
        if isinstance(error, (asyncio.CancelledError, _HandlerOver, *self._failures)):
            return True
        return isinstance(error, Exception) and workflow.is_failure_exception(error)

    # --- the way back -------------------------------------------------------------

    def try_now(self, name: str) -> None:
        """Ask the undo of this name again at once, whatever it waits for.

        Raises ``ValueError`` if no such undo is left.
        """
        self._being_undone(name).interrupt()

    def settle(self, name: str) -> None:
        """Take the undo of this name off the list: somebody has seen to it by hand.

        Raises ``ValueError`` if no such undo is left.
        """
        step = self._being_undone(name)
        self._steps.remove(step)
        step.settled = True
        step.interrupt()

    def owe(
        self, undo: Callable[[], Awaitable[object]], *, name: str, waiting: Waiting | None = None
    ) -> None:
        """Take over the undo of a step that an earlier run of the Workflow took; oldest first."""
        if self._state is not _State.OPEN:
            raise SagaError(f"{name} cannot be taken over: the saga is {self._state.value}.")
        step = _Step(name, undo, _Caller.BODY)
        step.waiting = waiting
        self._steps.append(step)

    def _being_undone(self, name: str) -> _Step:
        for step in reversed(self._steps if self._state is _State.UNDOING else []):
            if step.name == name:
                return step
        raise ValueError(f"Nothing to undo is called {name!r}; expected one of {self._owed}.")

    async def _undo(self) -> None:
        self._state = _State.UNDOING
        self._tell()
        try:
            await uninterrupted(self._undo_all())
        except GeneratorExit:
            raise  # as in `__aexit__`: dropped, perhaps while another Workflow runs
        except workflow.ContinueAsNewError as error:
            if not self._handed_over:
                await self._stop(self._refusal(error), error)
            raise
        except BaseException as bug:
            await self._stop(f"{bug!r} while undoing; still owed: {self._owed}.", bug)

    async def _undo_all(self) -> None:
        """One turn for each undo, newest first; a stuck one gives its turn away."""
        _innermost.set(None)  # an undo may have a saga of its own
        await self._settle_steps()
        asking = []
        for step in reversed(tuple(self._steps)):
            step.asking = asyncio.create_task(self._ask(step))
            asking.append(step.asking)
            await self._until(partial(getattr, step, "had_a_turn"))
        self._turns_over = True
        await self._until(lambda: not self._steps and all(task.done() for task in asking))

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if self._undo_bug:
                raise self._undo_bug
            if self._too_long() and self._carry_on:
                await self._hand_over(self._carry_on)
            await wait_through(lambda: condition() or bool(self._undo_bug) or self._too_long())

    async def _hand_over(self, carry_on: Callable[[], Awaitable[None]]) -> None:
        self._handed_over = True
        try:
            await carry_on()
        except asyncio.CancelledError:  # see `wait_through`; it is asked again
            await _unless_evicted()
        else:
            if self.waiting:
                raise SagaError("carry_on returned: expected it to continue as new.")
        self._handed_over = False

    def _too_long(self) -> bool:
        suggested = workflow.info().is_continue_as_new_suggested()
        return suggested and self._carry_on is not None and bool(self.waiting)

    async def _ask(self, step: _Step) -> None:
        """Ask until it succeeds, or until a person says that it is settled."""
        pause = self._first_pause
        if step.waiting and step.waiting.refused:
            step.had_a_turn = True
            await self._pause(step, None)
        while not step.settled:
            step.woken = False
            began = workflow.now()
            failure = await self._turn(step)
            if self._undo_bug:
                return
            if failure is None:
                if not step.settled:
                    self._steps.remove(step)
                break
            if step.woken:  # interrupted, to be asked again at once
                continue
            since = step.waiting.since if step.waiting else workflow.now()
            refused = self._definitely_rejected(failure)
            step.waiting = Waiting(step.name, since, _reason(failure), refused)
            step.had_a_turn = True
            self._tell()
            if refused:
                await self._pause(step, None)
            elif asked := _asked_for(failure):
                await self._pause(step, asked)
            elif workflow.now() - began < 2 * pause:  # else the turn was pause enough
                await self._pause(step, pause)
            pause = min(pause * 2, self._longest_pause)
        step.had_a_turn = True
        self._tell()

    async def _turn(self, step: _Step) -> BaseException | None:
        """Return why it failed; a bug goes to ``_until``, where it stops everything."""
        step.in_turn = True
        _in_an_undo.set(True)
        try:
            await step.undo()
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                await _unless_evicted()
            failure = self._failure_in(error)
            if failure is None:
                self._undo_bug = error
            return failure
        finally:
            step.in_turn = False
        return None

    async def _pause(self, step: _Step, length: timedelta | None) -> None:
        """Wait until somebody wakes the step, or for so long, from the last first turn on."""
        await wait_through(lambda: step.woken or self._turns_over)
        try:
            await workflow.wait_condition(
                lambda: step.woken,
                timeout=length,
                timeout_summary=f"before the next {step.name}" if length else None,
            )
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            await _unless_evicted()

    async def _settle_steps(self) -> None:
        """Let no sibling of the failed step still start something behind our back."""
        siblings = self._tasks()
        for task in siblings:
            task.cancel()
        if siblings:
            await workflow.wait(siblings)

    def _tasks(self) -> list[asyncio.Task[Any]]:
        """Of the steps in flight, and of sagas inside this one that are not over."""
        # In order: that of cancelling must be the same in a replay.
        tasks = [step.task for step in self._steps if step.in_flight]
        tasks += [saga._body for saga in self._inner]
        return [task for task in dict.fromkeys(tasks) if task is not None]

    def _tell(self) -> None:
        try:
            self._on_change()
        except (Exception, asyncio.CancelledError):
            workflow.logger.exception("on_change of a saga raised; the undoing goes on.")

    # --- what must not happen -----------------------------------------------------

    @property
    def _owed(self) -> str:
        return ", ".join(self.to_undo) or "nothing"

    def _refusal(self, error: BaseException) -> str:
        if isinstance(error, SagaError):
            return f"{error} (Not undone yet: {self._owed}.)"
        if isinstance(error, workflow.ContinueAsNewError):
            return f"continue_as_new inside the block would forget {self._owed}: leave it first."
        return (
            f"{error!r} may not leave the block of a saga that owes {self._owed}: to Temporal it "
            "is a bug, and compensates nothing until the code is mended. If it means a failure, "
            "raise an ApplicationError inside the block, or name its type in Saga(failures=...)."
        )

    async def _stop(self, sentence: str, cause: BaseException) -> NoReturn:
        """Fail the Workflow Task. Nothing can catch that: it is raised outside of all tasks."""
        self._bug = SagaError(sentence)
        self._bug.__cause__ = cause
        await workflow.wait_condition(lambda: False)
        raise self._bug

    def _watch(self) -> bool:
        """A wait condition: Temporal asks it last of all, and what it raises fails the task."""
        if self._bug:
            raise self._bug
        if self._state is _State.OVER:
            return True
        how = _end_of_workflow()
        if self._steps and how and not (self._handed_over and how == _CONTINUED):
            raise SagaError(
                f"The Workflow would end with {self._owed} not undone: a saga's block is not left "
                "yet. Await its task, or workflow.all_handlers_finished, before; in a Signal "
                "handler call saga.fail(error) instead of raising."
            )
        return False


def _parts(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _parts(part)
    else:
        yield error


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Await ``work`` to its end, however many cancel requests arrive meanwhile.

    They are not lost, but delivered at the next ``await`` after it.

    One ``asyncio.shield`` is not enough: it keeps ``work`` alive, but the
    cancelled task stops waiting for it, the Workflow closes, and ``work`` with it.
    """
    current = _this_task()
    swallowed = _undelivered.pop(current, None)
    if swallowed:  # another work before this one, and no await between them
        swallowed.handle.cancel()
    before = swallowed.before if swallowed else current.cancelling()
    asked = swallowed.asked if swallowed else workflow.cancellation_reason() is not None
    cancelled = swallowed is not None
    task = asyncio.create_task(work)
    while not task.done():
        try:
            await workflow.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        handle = asyncio.get_running_loop().call_soon(_deliver, current)
        _undelivered[current] = _Swallowed(handle, before, asked)
    return task.result()


async def wait_through(condition: Callable[[], bool]) -> None:
    """Wait in ``uninterrupted`` work for a condition, whatever cancel requests arrive.

    A plain ``wait_condition`` is cancelled, in any task, by a request that comes in one
    activation with what it waits for (since the SDK's logic flag 2).
    """
    try:
        await workflow.wait_condition(condition)
    except asyncio.CancelledError:
        await _unless_evicted()


class _Swallowed(NamedTuple):
    handle: asyncio.Handle
    before: int
    """How many cancellations of the task were under way before the work."""
    asked: bool
    """Whether the Workflow had been asked to cancel before it."""


_undelivered: dict[asyncio.Task[Any], _Swallowed] = {}
"""Between the end of uninterrupted work and the next ``await`` of its task."""


def _deliver(task: asyncio.Task[Any]) -> None:
    """Cancel ``task`` again, unless who asked for it has meanwhile seen to it.

    An ``asyncio.timeout`` or ``TaskGroup`` around it does, by ``Task.uncancel``.
    """
    swallowed = _undelivered.pop(task)
    if task.cancelling() > swallowed.before:
        task.uncancel()
        task.cancel()
    elif not swallowed.asked and workflow.cancellation_reason() is not None:
        task.cancel()


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None, "a coroutine of a Workflow runs in a task"
    return task


def _stopped_by_owner() -> bool:
    """Whether somebody cancelled this task and may be waiting for it: the block itself, perhaps.

    The Workflow's own task has no owner; what cancels it is a request.
    """
    task = _this_task()
    return task.cancelling() > 0 and not task.get_name().startswith("run (")  # the SDK's name


def _begun_in_a_handler() -> bool:
    """Whether a handler began this task, or is it.

    Temporal has no public way to ask. If a later SDK tells its handlers apart by something
    else, such a task is taken for one of the Workflow's: its failure ends the handler.
    """
    groups = getattr(getattr(workflow, "_event_groups", None), "_active_event_groups", None)
    return getattr(groups and groups.get(), "implicit", None) is not None


def _end_handler(why: str) -> NoReturn:
    task = _this_task()
    # Look at its exception, or asyncio logs that nobody did.
    task.add_done_callback(lambda task: task.cancelled() or task.exception())
    raise _HandlerOver(why)


async def _unless_evicted() -> None:
    """Come back at once; raise if the Workflow is being dropped from the Worker's cache."""
    await workflow.wait_condition(lambda: True)


def _reason(failure: BaseException) -> str:
    """The innermost cause, in a line."""
    while failure.__cause__ is not None:
        failure = failure.__cause__
    return next(iter(str(failure).splitlines()), type(failure).__name__)


def _asked_for(failure: BaseException | None) -> timedelta | None:
    """When to ask again, where the failure says so itself."""
    while failure is not None:
        if isinstance(failure, ApplicationError) and failure.next_retry_delay:
            return failure.next_retry_delay
        failure = failure.__cause__
    return None


_CONTINUED = "continue_as_new_workflow_execution"
_ENDS = ("complete_workflow_execution", "fail_workflow_execution", "cancel_workflow_execution")


def _end_of_workflow() -> str | None:
    """The command by which the Workflow is about to be closed, if it is.

    Temporal has no public way to ask. If a later SDK keeps its commands elsewhere, this
    is None, and the last paragraph of the promise is void; everything else holds.
    """
    completion = getattr(asyncio.get_running_loop(), "_current_completion", None)
    for command in completion.successful.commands if completion else ():
        kind = str(command.WhichOneof("variant"))
        if kind in (*_ENDS, _CONTINUED):
            return kind
    return None
