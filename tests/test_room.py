"""A small room: more learners than processors begin at the same moment. See ``tests/room.py``."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tests.room import HABITS, fill

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
