"""A server that keeps its Event Histories in a file, and that you may switch off."""

from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.running.background import background
from lab.running.scratch import scratch_folder
from lab.running.system import SwitchableFaults, System, Trip, _close_with
from lab.running.triggers import Triggers
from travel.faults.injection import FaultInjection
from travel.models import TripRequest
from travel.store.address import sqlite_url
from travel.store.database import open_database
from travel.store.inventory import store_seed_data
from travel.store.seed_data import load_seed_data
from travel.temporal.connection import connect
from travel.temporal.server import Server, start_server
from travel.workflows.book_trip import BookTrip


@dataclass
class _LastServer:
    """The one to be stopped at the end; knows nothing of the system, which would keep it alive."""

    server: Server

    async def stop(self) -> None:
        await self.server.stop()


@dataclass(eq=False, kw_only=True)
class PersistentSystem(System):
    """A system with a server of its own and no Worker; see ``start_worker``."""

    database_filename: str
    _last: _LastServer
    _begun: list[tuple[Trip, Any]] = field(default_factory=list)

    async def begin(self, request: TripRequest | str, design: Any = BookTrip) -> Trip:
        """See ``System.begin``."""
        trip = await super().begin(request, design)
        self._begun.append((trip, design))
        return trip

    async def stop_server(self) -> None:
        """Switch the server off."""
        await background().run(self.server.stop())

    async def start_server(self) -> None:
        """Switch it on again, with the same file; trips under way are found there."""
        await background().run(self._start_server())

    async def _start_server(self) -> None:
        # Perhaps on another port: meanwhile somebody may have taken the old one.
        self.server = await start_server(ui=False, database_filename=self.database_filename)
        self._last.server = self.server
        self.client = await connect(self.server.address)
        for trip, design in self._begun:
            trip.handle = self.client.get_workflow_handle_for(design.run, trip.handle.id)


async def start_persistent() -> PersistentSystem:
    """Start a server with a database file, and a travel database beside it."""
    return await background().run(_start_persistent())


async def _start_persistent() -> PersistentSystem:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=scratch_folder())))
        database = open_database(sqlite_url(folder / "travel.sqlite"))
        stack.callback(database.close)
        store_seed_data(database, load_seed_data())
        filename = str(folder / "temporal.sqlite")
        server = await start_server(ui=False, database_filename=filename)
        last = _LastServer(server)
        stack.push_async_callback(last.stop)
        switch = SwitchableFaults()
        system = PersistentSystem(
            client=await connect(server.address),
            server=server,
            database=database,
            designs=(),
            triggers=Triggers(),
            switch=switch,
            _injection=FaultInjection(switch),
            _stack=stack.pop_all(),
            database_filename=filename,
            _last=last,
        )
    _close_with(system)
    return system
