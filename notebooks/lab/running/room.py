"""Whether this kernel has room for another system: open files are scarce on macOS."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from lab.running.errors import TooManyOpen

MOST_SYSTEMS = 32

FILES_OF_A_SYSTEM = 40
"""A connection to the server, and the database's files: three for each thread that is in it."""


def check_room(systems: int) -> None:
    """Raise ``TooManyOpen`` if one more than so many ``systems`` could be one too many.

    The SDK answers a lack of open files with a panic that ends its threads.
    """
    if systems >= MOST_SYSTEMS:
        raise TooManyOpen(
            f"{systems} systems are open in this kernel; expected at most {MOST_SYSTEMS}. "
            "Close some with await lab.close(), or restart the kernel."
        )
    used, allowed = open_files()
    if used + FILES_OF_A_SYSTEM > allowed:
        raise TooManyOpen(
            f"This kernel has {used} of {allowed} files open, of which {systems} systems have "
            f"some; another system needs {FILES_OF_A_SYSTEM}. Close some with await lab.close(), "
            "or restart the kernel."
        )


def open_files() -> tuple[int, int]:
    """How many files this process has open, and how many it may have."""
    if sys.platform == "win32":
        return 0, sys.maxsize
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = 0
    for folder in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            used = max(used, len(os.listdir(folder)))
    return used, sys.maxsize if allowed == resource.RLIM_INFINITY else allowed
