"""A small room: more learners than processors begin at the same moment. See ``tests/room.py``."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from typing import Any

import psutil
import pytest
from jupyter_client.provisioning import LocalProvisioner
from processes import clean_environment, running_module, still_running

from tests.room import HABITS, NOTEBOOKS, Learner, fill

pytestmark = [
    pytest.mark.everything,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a POSIX matter"),
]


def test_everybody_gets_a_first_trip_and_nothing_is_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    troubles = asyncio.run(fill(len(HABITS)))
    assert troubles == 0, capsys.readouterr().out


def test_a_kernel_whose_port_is_taken_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    launch = LocalProvisioner.pre_launch
    taken: list[socket.socket] = []

    async def with_a_port_taken(self: LocalProvisioner, **options: Any) -> dict[str, Any]:
        options = await launch(self, **options)
        if not taken:
            address = ("127.0.0.1", self.connection_info["shell_port"])
            taken.append(socket.create_server(address))
        return options

    monkeypatch.setattr(LocalProvisioner, "pre_launch", with_a_port_taken)
    learner = Learner(0, clean_environment())

    async def kernel_answers() -> bool:
        async with learner._kernel(NOTEBOOKS[0]) as kernel:
            return bool(await kernel.km.is_alive())

    assert asyncio.run(kernel_answers())
    taken[0].close()
    assert learner.started_again == 1


def test_a_room_that_is_stopped_in_the_middle_leaves_nothing() -> None:
    with running_module("tests.room", "2") as room:
        family = psutil.Process(room.pid)
        seen: dict[int, str] = {}
        while not any("temporal" in name for name in seen.values()):
            seen |= {child.pid: child.name() for child in family.children(recursive=True)}
            time.sleep(0.1)
        room.terminate()
        room.wait()
    assert still_running(seen) == []
