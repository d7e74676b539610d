"""The saga pattern as an async context manager for Temporal Workflows.

A saga is a chain of steps that each commit on their own, with a compensation
for each that undoes it (Garcia-Molina and Salem, "Sagas", 1987). Leave the
block with an error and what was done is undone, newest first; leave it without
one and everything stands::

    async with Saga(rejections=["Rejected"]) as saga:
        flight = await saga.step(book_flight, undo=cancel_flight, name="cancel_flight")
        hotel = await saga.step(book_hotel, undo=cancel_hotel, name="cancel_hotel")

This module needs nothing but the Temporal SDK, so it can be lifted out whole.

What an undo must do for its part: be idempotent, work although its step never
ran or runs later, and come back in bounded time, by success or by error (for an
Activity: give it a ``schedule_to_close_timeout``). It need not limit or repeat
its retries. The saga calls it until it succeeds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from datetime import timedelta
from types import TracebackType
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    FailureError,
)

T = TypeVar("T")


class _Undo:
    # Not a dataclass: the sandbox makes this module, and so the class, for every Workflow anew.
    def __init__(self, name: str, run: Callable[[], Awaitable[object]]) -> None:
        self.name = name
        self.run = run
        self.stuck = False


class Saga:
    """Remembers how to undo each step, and undoes them all if the block fails.

    Args:
        rejections: Types of ``ApplicationError`` by which a step says that it
            definitely did nothing, in no attempt, and will not. Such a step
            needs no undo. After every other failure (timeout, outage,
            cancellation) its outcome is unknown.
        first_pause: How long to wait after a round in which an undo failed.
            Each further pause is twice as long.
        longest_pause: The pause grows no longer than this.
        on_change: Called when compensation begins, moves on or gets stuck.
    """

    def __init__(
        self,
        *,
        rejections: Collection[str] = (),
        first_pause: timedelta = timedelta(minutes=1),
        longest_pause: timedelta = timedelta(hours=1),
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._rejections = frozenset(rejections)
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        self._on_change = on_change
        self._undos: list[_Undo] = []
        # A list, not a set: the order of cancelling must be the same in a replay.
        self._in_flight: list[asyncio.Task[Any]] = []
        self.compensating = False

    @property
    def to_undo(self) -> list[str]:
        """Names of the compensations not yet done, newest first."""
        return [undo.name for undo in reversed(self._undos)]

    @property
    def stuck(self) -> list[str]:
        """Names of those that failed and wait for their next turn."""
        return [undo.name for undo in reversed(self._undos) if undo.stuck]

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
        """
        if self.compensating:
            # A sibling that went on meanwhile. Nobody would undo what it starts now.
            raise asyncio.CancelledError(f"{name} is not needed: the saga is being undone.")
        # Registered first: once `do` has started, only its provider knows
        # whether it happened, and a lost reply must not lose the undo.
        registered = _Undo(name, undo)
        self._undos.append(registered)
        task = asyncio.current_task()
        assert task is not None, "a coroutine of a Workflow runs in a task"
        self._in_flight.append(task)
        try:
            return await do()
        except FailureError as error:
            if self._definitely_rejected(error):
                self._undos.remove(registered)
            raise
        finally:
            self._in_flight.remove(task)

    async def __aenter__(self) -> Saga:
        """Begin: nothing to undo yet."""
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Compensate if ``error`` ends the Workflow; never replace it."""
        if error is None:
            self._undos.clear()
            return
        cause = _first_failure(error)
        if not _ends_workflow(cause):
            return
        await uninterrupted(self._compensate())
        if cause is not error:
            # "from" its own cause: the group is not what it came from.
            raise cause from cause.__cause__

    def _definitely_rejected(self, error: FailureError) -> bool:
        wrapped = isinstance(error, (ActivityError, ChildWorkflowError))
        cause = error.cause if wrapped else error
        return isinstance(cause, ApplicationError) and cause.type in self._rejections

    async def _compensate(self) -> None:
        self.compensating = True
        self._on_change()
        await self._settle_steps()
        pause = self._first_pause
        while self._undos:
            await self._undo_round()
            if self._undos:
                await workflow.sleep(pause, summary=f"before the next {', '.join(self.stuck)}")
                pause = min(pause * 2, self._longest_pause)

    async def _settle_steps(self) -> None:
        """Let no sibling of the failed step still start something behind our back."""
        siblings = tuple(self._in_flight)
        for task in siblings:
            task.cancel()
        if siblings:
            await workflow.wait(siblings)

    async def _undo_round(self) -> None:
        """One turn for each undo, newest first; a stuck one gives its turn away."""
        for undo in reversed(tuple(self._undos)):
            try:
                await undo.run()
            except FailureError:
                undo.stuck = True
            else:
                self._undos.remove(undo)
            self._on_change()


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Await ``work`` to its end, however many cancel requests arrive meanwhile.

    One ``asyncio.shield`` is not enough: it keeps ``work`` alive, but the
    cancelled task stops waiting for it, the Workflow closes, and ``work`` with it.
    """
    task = asyncio.create_task(work)
    while not task.done():
        try:
            await workflow.wait([task])
        except asyncio.CancelledError:
            _forget_cancellation()
    return task.result()


def _forget_cancellation() -> None:
    """Tell asyncio that the cancellation was dealt with (see ``asyncio.Task.uncancel``)."""
    current = asyncio.current_task()
    if current is not None:
        current.uncancel()


def _first_failure(error: BaseException) -> BaseException:
    """The failure itself, where a TaskGroup has wrapped it in a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _ends_workflow(error: BaseException) -> bool:
    """Whether Temporal closes the Workflow on this error.

    It does not on a bug (a ``NameError``, say). Then it keeps the Workflow open
    and tries again until the code is mended, and the trip may still succeed.

    A Worker that evicts the Workflow from its cache cancels it too. That is
    harmless: the SDK refuses every command of an evicted Workflow.
    """
    if isinstance(error, Exception):
        return workflow.is_failure_exception(error)
    # What remains (GeneratorExit, say) drops a coroutine that runs no longer.
    return isinstance(error, asyncio.CancelledError)
