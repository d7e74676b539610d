"""A folder for what a kernel needs only while it lives."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

# Its input ends when this process does, however that comes: nobody cleans up after kill -9.
REMOVE_AT_END = "import shutil, sys; sys.stdin.read(); shutil.rmtree(sys.argv[1], True)"

_watchers: list[subprocess.Popen[bytes]] = []


@cache
def scratch_folder() -> Path:
    """One for this process, removed when the process has ended."""
    folder = tempfile.mkdtemp(prefix="travel-")
    watcher = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", REMOVE_AT_END, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    _watchers.append(watcher)  # keeps the pipe open
    return Path(folder)
