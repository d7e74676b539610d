"""``start``, as a notebook imports it: the server boots while everything else is imported."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, Any

from lab.running.background import background

if TYPE_CHECKING:
    from lab.running.system import System


async def start(**options: Any) -> System:
    """Start a system and return when it works, in about a second; see ``lab.running.system``."""
    await background().run(_begin())
    from lab.running.system import start as start_system

    return await start_system(**options)


async def _begin() -> None:
    from lab.running import kernel_server

    kernel_server.begin()
    await asyncio.sleep(0)  # its process is running now
    # In this thread, where the server's start imports some of the same.
    importlib.import_module("lab.running.system")
