"""A switchboard for live teaching: break providers and Workers, and watch what that does.

    from lab.breaking.switchboards import switchboard

    board = await switchboard()
    board

What it shows is read from the database and the Event History, once a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from lab.running.scratch import scratch_folder
from lab.running.switches import POSITIONS, PROVIDERS, UP, Switches
from lab.running.system import System, Trip
from lab.running.worker_process import WorkerProcess, start_without_worker, start_worker
from lab.showing.plots import money_at_risk
from lab.showing.tables import held_table
from lab.showing.timelines import timeline
from travel.store.holdings import Trip as Holding
from travel.store.holdings import read_trips
from travel.trips import forty_four_trips

REFRESH_SECONDS = 1.0
SHOWN = 12
"""Trips in the table: the latest."""

HIDDEN = {"max_width": "760px", "display": "none"}


class Switchboard:
    """The widgets, and the parts that they switch."""

    def __init__(self, system: System, worker: WorkerProcess, switches: Switches) -> None:
        self.system = system
        self.worker: WorkerProcess = worker
        self.switches = switches
        self.trips: list[Trip] = []
        self._requests = iter(_endless_trips())
        self._risk: list[tuple[float, int]] = [(0.0, 0)]
        self._began: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None
        self.state = widgets.HTML()
        self.held = widgets.HTML()
        # Hidden until there is something to show: a browser takes an empty one for broken.
        self.timeline = widgets.Image(format="png", layout=dict(HIDDEN))
        self.risk = widgets.Image(format="png", layout=dict(HIDDEN))
        self.box = widgets.VBox([self._controls(), self.state, self.held, self.timeline, self.risk])
        self._show_state()

    def _repr_mimebundle_(self, **named: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = dict(self.box._repr_mimebundle_(**named) or {})
        bundle["text/plain"] = repr(self)
        return bundle

    def __repr__(self) -> str:
        """What a page shows that cannot show widgets."""
        return (
            f"The switchboard: switches for {', '.join(PROVIDERS)} ({', '.join(POSITIONS)}); "
            "buttons for trips and the Worker. It needs a running kernel."
        )

    async def close(self) -> None:
        """Stop watching, and stop the system."""
        for task in (*self._tasks, *([self._watching] if self._watching else [])):
            task.cancel()
        await self.system.close()

    # --- what can be switched -----------------------------------------------------

    def _controls(self) -> widgets.VBox:
        switches = [self._switch(provider) for provider in PROVIDERS]
        buttons = [
            self._button("A trip arrives", lambda: self.arrive(1)),
            self._button("Ten trips arrive", lambda: self.arrive(10)),
            self._button("Cancel the latest trip", self.cancel_latest),
            self._button("Kill the Worker", self.kill_worker),
            self._button("Start a Worker", self.start_worker),
        ]
        wrap = widgets.Layout(flex_flow="row wrap")
        return widgets.VBox([widgets.HBox(switches, layout=wrap), widgets.HBox(buttons)])

    def _switch(self, provider: str) -> widgets.Dropdown:
        switch = widgets.Dropdown(
            options=POSITIONS, value=UP, description=provider, layout={"width": "240px"}
        )
        switch.observe(lambda change: self.switches.turn(provider, change["new"]), names="value")
        return switch

    def _button(
        self, label: str, action: Callable[[], Coroutine[Any, Any, None]]
    ) -> widgets.Button:
        button = widgets.Button(description=label, layout={"width": "auto"})
        button.on_click(lambda _: self._start(action()))
        return button

    async def arrive(self, number: int) -> None:
        """That many customers book a trip each."""
        self._watch()
        for _ in range(number):
            trip = await self.system.begin(next(self._requests))
            self.trips.append(trip)
            self._start(self._see_off(trip))

    async def cancel_latest(self) -> None:
        """The customer of the latest trip cancels it."""
        if self.trips:
            await self.trips[-1].cancel()

    async def kill_worker(self) -> None:
        """``kill -9``."""
        self.worker.kill()
        await self.worker.died()
        await self.refresh()

    async def start_worker(self) -> None:
        """Start another, if there is none."""
        if self.worker.exit_code is not None:
            self.worker = await start_worker(self.system, switches=self.switches.path)
        await self.refresh()

    async def _see_off(self, trip: Trip) -> None:
        await trip.end(within_seconds=86400)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- what is shown ------------------------------------------------------------

    def _watch(self) -> None:
        if self._watching is None:
            self._began = time.monotonic()
            self._watching = asyncio.get_running_loop().create_task(self._refresh_for_ever())

    async def _refresh_for_ever(self) -> None:
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH_SECONDS)

    async def refresh(self) -> None:
        """Read the database and the latest trip's Event History, and draw them."""
        holdings = await asyncio.to_thread(read_trips, self.system.database)
        seconds = time.monotonic() - self._began if self._began else 0.0
        self._risk.append((seconds, _at_risk_cents(holdings)))
        self._show_state(holdings)
        latest = {trip.request.confirmation_code for trip in self.trips[-SHOWN:]}
        table = await asyncio.to_thread(held_table, self.system.database)
        rows = [row for row in table.rows if row[0] in latest]
        self.held.value = replace(table, rows=rows, tones=())._repr_html_()
        _show(self.risk, await asyncio.to_thread(money_at_risk(self._risk).png))
        with contextlib.suppress(IndexError):
            history = await self.trips[-1].history()
            _show(self.timeline, await asyncio.to_thread(timeline(history).png))

    def _show_state(self, holdings: dict[str, Holding] | None = None) -> None:
        known = list((holdings or {}).values())
        told = [trip.outcome for trip in known]
        alive = self.worker.exit_code is None
        words = {
            "Worker": "running" if alive else "dead",
            "trips": len(known),
            "under way": told.count(None),
            "booked": told.count("booked"),
            "failed": told.count("failed"),
            "seats held": sum(len(trip.seats) for trip in known),
            "room nights": sum(len(trip.nights) for trip in known),
            "car days": sum(len(trip.days) for trip in known),
            "money at risk": f"${_at_risk_cents(holdings or {}) / 100:,.2f}",
        }
        told_words = " &nbsp; ".join(f"{name}: <b>{value}</b>" for name, value in words.items())
        self.state.value = f'<p class="switchboard-state">{told_words}</p>'


async def switchboard() -> Switchboard:
    """Start a server, a Worker in a process of its own, and the board in front of them."""
    system = await start_without_worker(virtual_clock=False)
    folder = system._stack.enter_context(tempfile.TemporaryDirectory(dir=scratch_folder()))
    switches = Switches(Path(folder, "switches.json"))
    worker = await start_worker(system, switches=switches.path)
    return Switchboard(system, worker, switches)


def _show(image: widgets.Image, png: bytes) -> None:
    image.value = png
    image.layout.display = None


def _at_risk_cents(holdings: dict[str, Holding]) -> int:
    """Money charged to customers who have no trip (yet)."""
    return sum(trip.charged_cents for trip in holdings.values() if trip.outcome != "booked")


def _endless_trips() -> Any:
    """The 44 trips, and then again, under other confirmation codes."""
    again = 0
    while True:
        for request in forty_four_trips():
            suffix = f"-{again}" if again else ""
            yield replace(request, confirmation_code=request.confirmation_code + suffix)
        again += 1
