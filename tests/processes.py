"""The entry points as processes of their own, which always end with the test."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]


def clean_environment(**settings: str) -> dict[str, str]:
    """Ours without what points to a server or a database, and with these settings."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TEMPORAL_", "TRAVEL_DATABASE", "TRAVEL_TASK", "PYTHONIOENCODING"))
    }
    return kept | {"PYTHONUTF8": "1"} | settings


def run_module(module: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m module`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=clean_environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=600,
    )


@contextmanager
def running_module(
    module: str, *arguments: str, **settings: str
) -> Iterator[subprocess.Popen[str]]:
    """Run ``python -m module`` beside the test; kill it at the end if it is still there."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", module, *arguments],
        cwd=ROOT,
        env=clean_environment(**settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], line: str) -> list[str]:
    """The lines that a process prints, up to and including one that starts with ``line``."""
    assert process.stdout is not None
    lines: list[str] = []
    for text in process.stdout:
        lines.append(text.rstrip("\n"))
        if text.startswith(line):
            return lines
    raise AssertionError(f"ended before it printed {line!r}: {lines}")


def is_running(pid: int) -> bool:
    """Whether there is such a process, and not only its exit code."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def still_running(pids: Iterable[int], seconds: float = 120) -> list[int]:
    """Those that have not ended in the end; so long may a busy machine take, not they."""
    deadline = time.monotonic() + seconds
    while (alive := [pid for pid in pids if is_running(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive


def children_of(pid: int) -> list[int]:
    """Every process that a process started, and those that these started."""
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]
