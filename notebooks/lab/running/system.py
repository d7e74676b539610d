"""One awaited call starts everything: a Temporal server, a database, a Worker.

All systems of a kernel share one server. Each has its own namespace there, its own
database and its own Worker, so the same trips can be booked again, by another design.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import gc
import logging
import sys
import tempfile
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import TimeSkipper

from lab.running import kernel_server
from lab.running.background import background
from lab.running.errors import ServerGone, StillUnderWay
from lab.running.evicting import evicting_worker
from lab.running.namespaces import Namespaces
from lab.running.room import check_room
from lab.running.scratch import scratch_folder
from lab.running.triggers import Triggers
from lab.running.waiting import waits_for
from lab.running.web_ui_address import web_ui_page
from lab.showing.history import History, cancel_noticed, read_history
from lab.showing.links import Link
from travel.audit import Report, audit
from travel.booking import TripResult, result_of, start_trip
from travel.errors import InvalidInput
from travel.faults import Fault, FaultModel, ScriptedFault, ScriptedFaults
from travel.faults.injection import FaultInjection
from travel.models import TripRequest
from travel.store.address import sqlite_url
from travel.store.database import Database, open_database
from travel.store.inventory import store_seed_data
from travel.store.seed_data import load_seed_data
from travel.temporal.server import Server
from travel.trips import forty_four_trips
from travel.worker import WORKFLOWS, activities_of
from travel.workflows.book_trip import BookTrip

Faults = FaultModel | Iterable[ScriptedFault]

EXERCISES = "exercises"
"""One namespace for every check of an exercise: they are told apart by Task Queue and trip."""

TICK_SECONDS = 0.5
CLOSING_SECONDS = 30.0
COLLECT_AT = 8
AT_A_TIME = 2
"""Systems that may still be closing when another one starts."""

_open: set[AsyncExitStack] = set()
_closing: set[asyncio.Task[None]] = set()
_namespaces: Namespaces | None = None


class CountedScript:
    """A script whose attempts are counted over the whole trip.

    Temporal counts from 1 again each time a Workflow schedules an Activity anew. A
    provider that is down does not care.
    """

    def __init__(self, script: Iterable[ScriptedFault]) -> None:
        self._script = ScriptedFaults(tuple(script))
        self._calls: Counter[tuple[str, str]] = Counter()

    def draw(self, step: str, confirmation_code: str, attempt: int) -> Fault | None:
        """See ``FaultModel.draw``."""
        self._calls[step, confirmation_code] += 1
        return self._script.draw(step, confirmation_code, self._calls[step, confirmation_code])


class SwitchableFaults:
    """A failure model that can be exchanged while the Worker runs."""

    def __init__(self) -> None:
        self.model: FaultModel = ScriptedFaults(())

    def draw(self, step: str, confirmation_code: str, attempt: int) -> Fault | None:
        """See ``FaultModel.draw``."""
        return self.model.draw(step, confirmation_code, attempt)


@dataclass(eq=False)
class Trip:
    """A trip under way, or at its end."""

    request: TripRequest
    handle: WorkflowHandle[Any, Any] = field(repr=False)
    system: System = field(repr=False)
    result: TripResult | None = None

    async def end(self, within_seconds: float = 60) -> Trip:
        """Wait for the end, for so many (real) seconds in which this machine was awake.

        Raises ``StillUnderWay``, a ``TimeoutError`` that says what the trip waits for, and
        ``ServerGone``.
        """
        return await background().run(self._end_within(within_seconds))

    async def _end_within(self, seconds: float) -> Trip:
        ending = asyncio.ensure_future(self._end())
        clock = asyncio.get_running_loop().time
        waited = 0.0
        try:
            while not ending.done():
                if waited >= seconds:
                    raise StillUnderWay(await self._still_under_way(seconds))
                if not self.system.server.is_running:
                    raise ServerGone.after(self.system.server.last_words or "its process has ended")
                tick, began = min(TICK_SECONDS, seconds - waited), clock()
                await asyncio.wait([ending], timeout=tick)
                # A laptop that slept meanwhile has not waited.
                waited += min(clock() - began, 2 * tick)
            return await ending
        finally:
            ending.cancel()

    async def _still_under_way(self, seconds: float) -> str:
        return (
            f"The trip {self.request.confirmation_code} of {self.request.customer} is still under "
            f"way after {seconds:g} s. It waits for {await waits_for(self.handle)}"
        )

    async def _end(self) -> Trip:
        self.result = await result_of(self.handle, self.request, self.system.database)
        return self

    async def cancel(self) -> None:
        """Ask the Workflow to cancel the trip, as a customer would."""
        await background().run(self.handle.cancel())

    async def terminate(self, reason: str = "terminated by hand") -> None:
        """Stop the Workflow without giving it a chance to do anything."""
        await background().run(self.handle.terminate(reason=reason))

    async def query(self, query: Any) -> Any:
        """Ask the Workflow, for example ``await trip.query(BookTrip.progress)``."""
        return await background().run(self.handle.query(query))

    async def update(self, update: Any, message: Any) -> Any:
        """Send an Update and wait for its answer, as ``await trip.update(BookTrip.decide, …)``."""
        return await background().run(self.handle.execute_update(update, message))

    async def history(self) -> History:
        """What Temporal recorded of this trip."""
        return await background().run(read_history(self.handle))

    @property
    def web_ui(self) -> Link:
        """Where the Web UI shows this trip."""
        return self.system.web_ui_page("workflows", self.handle.id)

    @property
    def booked(self) -> bool:
        """Whether the customer has a trip."""
        return self.result is not None and self.result.booked

    @property
    def reason(self) -> str:
        """Why not, in the words of whoever failed first."""
        return self.result.reason if self.result else "not finished yet"


@dataclass(eq=False)
class System:
    """A namespace on the kernel's server, with a database and a Worker."""

    client: Client
    server: Server
    database: Database
    designs: Sequence[type]
    triggers: Triggers
    switch: SwitchableFaults
    _injection: FaultInjection
    _stack: AsyncExitStack
    queue: str | None = None
    _begin_again: Callable[[], Awaitable[System]] | None = field(default=None, repr=False)
    _at_end: weakref.finalize[Any, Any] = field(init=False, repr=False)

    @property
    def web_ui(self) -> Link:
        """Where the Web UI shows this system's Workflows."""
        return self.web_ui_page("workflows")

    def web_ui_page(self, *path: str) -> Link:
        """A page of the Web UI below this system's namespace."""
        assert self.server.ui_url is not None, "start() starts a Web UI"
        return web_ui_page(self.server.ui_url, "namespaces", self.client.namespace, *path)

    @property
    def faults(self) -> FaultModel:
        """What goes wrong from now on: a failure model, or a list of ``ScriptedFault``."""
        return self.switch.model

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self.switch.model = _model(faults)

    async def begin(self, request: TripRequest | str, design: Any = BookTrip) -> Trip:
        """Start a trip and return at once. A string is one of the 44 customers."""
        asked = _request(request)
        return await background().run(self._begin(asked, design))

    async def book(self, request: TripRequest | str, design: Any = BookTrip) -> Trip:
        """Start a trip and wait for its end."""
        trip = await self.begin(request, design)
        return await trip.end()

    async def book_all(
        self,
        requests: Iterable[TripRequest],
        design: Any = BookTrip,
        on_end: Callable[[Trip], None] = lambda trip: None,
    ) -> list[Trip]:
        """Book all at once; the result is in the order of the requests.

        ``on_end`` is called with each trip as it ends, whichever ends first.
        """

        async def one(request: TripRequest) -> Trip:
            trip = await self.book(request, design)
            on_end(trip)
            return trip

        return list(await asyncio.gather(*[one(request) for request in requests]))

    def audit(self) -> Report:
        """What the audit finds in this system's database now."""
        return audit(self.database)

    def at(
        self, trip: TripRequest, step: str, action: Callable[[Any], Any], attempt: int = 1
    ) -> None:
        """Call ``action(handle)`` when that attempt of that step of that trip begins.

        If the action cancels the trip, the attempt goes on once the Workflow knows.
        """

        async def act(workflow_id: str) -> None:
            handle = self.client.get_workflow_handle(workflow_id)
            outcome = action(handle)
            if isinstance(outcome, Awaitable):
                await outcome
            # Else it is chance whether the Workflow hears of a cancel request or of
            # the end of this attempt first.
            await cancel_noticed(handle)

        self.triggers.at(trip.workflow_id, step, attempt, act)

    async def settled(self) -> None:
        """Wait until every late commit is carried out or refused, and no attempt is running."""
        await background().run(self._settled())

    async def reset(self) -> None:
        """Back to the start, in a second: no trips, no faults, no answers to exercises.

        What was is left to its fate: it ends in the background.
        """
        assert self._begin_again is not None, "start() makes a system that can begin again"
        fresh = await background().run(self._begin_again())  # type: ignore[arg-type]
        old = self._stack
        for finalizer in (self._at_end, fresh._at_end):
            finalizer.detach()
        for name in (f.name for f in fields(self)):
            setattr(self, name, getattr(fresh, name))
        _close_with(self)
        _close_soon(old)
        if "lab.exercises" in sys.modules:
            sys.modules["lab.exercises"].forget()

    async def close(self) -> None:
        """Stop the Worker and delete the database; so does the end of the last reference."""
        await background().run(_close(self._stack))

    async def _settled(self) -> None:
        await self.triggers.in_flight.settled()
        await self._injection.settled()

    async def _begin(self, request: TripRequest, design: Any) -> Trip:
        handle = await start_trip(self.client, request, design=design, queue=self.queue)
        return Trip(request, handle, self)


async def start(
    *,
    faults: Faults = (),
    designs: Sequence[type] = (),
    virtual_clock: bool = True,
    namespace: str | None = None,
    queue: str | None = None,
    **worker_options: Any,
) -> System:
    """Start a system and return when it works, in about half a second.

    ``designs`` are further Workflows for the Worker. With the virtual clock a
    pause of an hour passes at once, wherever nothing but the pause is going on.
    Systems that share a ``namespace`` each need a ``queue`` of their own.
    ``further_activities`` is called with the database and returns more Activities.
    The remaining options go to the Worker; ``workflows`` replaces all that it knows.
    """
    system = await background().run(
        _start(designs, virtual_clock, namespace, queue, worker_options)
    )
    system.faults = faults
    return system


async def _start(
    designs: Sequence[type],
    virtual_clock: bool,
    namespace: str | None,
    queue: str | None,
    options: dict[str, Any],
) -> System:
    begin_again = partial(_start, designs, virtual_clock, namespace, queue, dict(options))
    _be_quiet()
    await _make_room()
    async with AsyncExitStack() as stack:
        client, server = await _borrow(stack, namespace)
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=scratch_folder()))
        database = open_database(sqlite_url(Path(folder, "travel.sqlite")))
        stack.callback(database.close)
        store_seed_data(database, load_seed_data())
        if further := options.pop("further_activities", None):
            options["activities"] = [*activities_of(client, database), *further(database)]
        switch, triggers = SwitchableFaults(), Triggers()
        injection = FaultInjection(switch)
        known = [*WORKFLOWS, *(design for design in designs if design not in WORKFLOWS)]
        known = options.pop("workflows", known)
        worker = evicting_worker(
            client,
            database,
            workflows=known,
            queue=queue,
            **{"interceptors": [triggers, injection, triggers.in_flight], **options},
        )
        # A task of its own: a Worker keeps the one that started it, and what came of that.
        await asyncio.create_task(_enter(stack, worker))
        stack.push_async_callback(injection.settled)
        starter = TimeSkipper(client).client if virtual_clock else client
        system = System(
            starter,
            server,
            database,
            known,
            triggers,
            switch,
            injection,
            stack.pop_all(),
            queue,
        )
    system._begin_again = begin_again
    _close_with(system)
    return system


async def _enter(stack: AsyncExitStack, context: AbstractAsyncContextManager[Any]) -> None:
    await stack.enter_async_context(context)


async def _make_room() -> None:
    """Wait for systems that are closing, and let go of what nobody refers to."""
    while len(_closing) >= AT_A_TIME:
        done, _ = await asyncio.wait(
            _closing, timeout=CLOSING_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            break
    if len(_open) >= COLLECT_AT:
        gc.collect()
        await asyncio.sleep(0)
        if _closing:
            await asyncio.wait(_closing, timeout=CLOSING_SECONDS)
    check_room(len(_open))


async def _borrow(stack: AsyncExitStack, name: str | None) -> tuple[Client, Server]:
    """A client of a namespace, until the stack ends, and its server: a new one if it is dead."""
    for last_try in (False, True):
        namespaces = await _running_namespaces()
        namespace = namespaces.shared(name) if name else namespaces.one()
        try:
            return await stack.enter_async_context(namespace), namespaces.server
        except (InvalidInput, RPCError) as error:
            if last_try or not _is_dead(error):
                raise
            await namespaces.server.stop()
    raise AssertionError("the last try returns or raises")


def _is_dead(error: InvalidInput | RPCError) -> bool:
    return not isinstance(error, RPCError) or error.status == RPCStatusCode.UNAVAILABLE


async def _running_namespaces() -> Namespaces:
    """Those of the kernel's one server, which is a new one if the last was killed."""
    global _namespaces
    server = await kernel_server.running_server()
    if _namespaces is None or _namespaces.server is not server:
        if _namespaces is not None:
            _namespaces.abandon()
        _namespaces = Namespaces(server)
    return _namespaces


def _close_with(system: System) -> None:
    """Close what ``system`` has when nobody refers to it any more: a cell was run again."""
    _open.add(system._stack)
    system._at_end = weakref.finalize(system, _close_soon, system._stack)
    system._at_end.atexit = False


def _close_soon(stack: AsyncExitStack) -> None:
    """Close in the background; may be called at any moment, in any thread."""
    asyncio.run_coroutine_threadsafe(_close(stack), background().loop)


async def _close(stack: AsyncExitStack) -> None:
    if stack not in _open:
        return
    _open.discard(stack)
    task = asyncio.ensure_future(stack.aclose())
    _closing.add(task)
    task.add_done_callback(_closing.discard)
    await asyncio.shield(task)


def _model(faults: Faults) -> FaultModel:
    if hasattr(faults, "draw"):
        return faults  # type: ignore[return-value]
    return CountedScript(faults)  # type: ignore[arg-type]


def _request(request: TripRequest | str) -> TripRequest:
    if isinstance(request, TripRequest):
        return request
    trips = {trip.customer: trip for trip in forty_four_trips()}
    if request not in trips:
        raise ValueError(f"There is no trip of {request!r}; expected one of {', '.join(trips)}.")
    return trips[request]


def _be_quiet() -> None:
    """What goes wrong on purpose belongs into the Event History, not into a cell."""
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)


@atexit.register
def _close_all() -> None:
    """At the end of the kernel. If it is killed instead, the server notices by itself."""
    if not kernel_server.was_begun():
        return
    with contextlib.suppress(Exception):
        background().run_blocking(_stop_everything(), timeout_seconds=20)


async def _stop_everything() -> None:
    closing = [_close(stack) for stack in list(_open)]
    await asyncio.gather(*closing, *_closing, return_exceptions=True)
    await kernel_server.stop()
