"""Sees whether a Workflow asks chance or the clock, where the sandbox does not look.

The sandbox can be switched off, and modules can be passed through. What runs outside of
it is watched call by call instead: who calls is looked at, not what the code says.
"""

from __future__ import annotations

import datetime
import os
import random
import secrets
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

_CLOCKS = {
    time.time,
    time.time_ns,
    time.monotonic,
    time.monotonic_ns,
    time.perf_counter,
    time.perf_counter_ns,
    time.localtime,
    time.gmtime,
    os.urandom,
    os.getpid,
}
_DATES = {"now", "utcnow", "today"}


def _code(function: Any) -> CodeType | None:
    return getattr(getattr(function, "__func__", function), "__code__", None)


_CHANCE: dict[CodeType, str] = {
    code: name
    for name, function in {
        "uuid.uuid1": uuid.uuid1,
        "uuid.uuid4": uuid.uuid4,
        "secrets.token_hex": secrets.token_hex,
        "secrets.token_bytes": secrets.token_bytes,
        "secrets.token_urlsafe": secrets.token_urlsafe,
        "secrets.randbelow": secrets.randbelow,
    }.items()
    if (code := _code(function)) is not None
}
_RANDOM = {
    code: name
    for name in dir(random.Random)
    if not name.startswith("_") and (code := _code(getattr(random.Random, name))) is not None
}


_DICE: Any = vars(random)["_inst"]
"""What ``random.random`` and its like draw from."""


@dataclass
class Watch:
    """What was seen, by name: ``"random.random"``; empty if nothing was."""

    seen: str = ""


@contextmanager
def watched(module: str) -> Iterator[Watch]:
    """Watch the code of a module in this thread."""
    watch, path = Watch(), getattr(sys.modules.get(module), "__file__", None)
    if path is None or sys.getprofile() is not None:  # somebody else is watching
        yield watch
        return

    def look(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call" and frame.f_code.co_filename == path:
            watch.seen = watch.seen or _builtin(called)
        elif event == "call" and frame.f_back and frame.f_back.f_code.co_filename == path:
            watch.seen = watch.seen or _python(frame)

    sys.setprofile(look)
    try:
        yield watch
    finally:
        sys.setprofile(None)


def _builtin(called: Any) -> str:
    owner = getattr(called, "__self__", None)
    name = getattr(called, "__name__", "")
    if owner is _DICE:
        return f"random.{name}"
    if isinstance(owner, type) and issubclass(owner, datetime.date) and name in _DATES:
        return f"{owner.__name__}.{name}"
    try:
        return f"{called.__module__}.{name}" if called in _CLOCKS else ""
    except TypeError:  # a method of something that has no hash
        return ""


def _python(frame: FrameType) -> str:
    if frame.f_code in _RANDOM:
        own = frame.f_locals.get("self")
        asks_chance = own is _DICE or isinstance(own, random.SystemRandom)
        return f"random.{_RANDOM[frame.f_code]}" if asks_chance else ""
    return _CHANCE.get(frame.f_code, "")
