"""Runs one server that never outlives the process that asked for it.

    python -I -S supervisor.py GRACE_SECONDS EXECUTABLE [ARGUMENT ...]

Prints the server's process id, then waits. The server is stopped when standard
input ends, which is what the death of the caller looks like, however it came.
Standard library only, and no import of this package: it starts in 0.02 s.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.2


def main(grace_seconds: float, command: list[str]) -> None:
    """Run ``command`` until it ends by itself, the caller dies or SIGTERM arrives."""
    caller = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    server = start(command)
    try:
        print(server.pid, flush=True)
        wait_while_wanted(server, caller)
        if (code := server.poll()) is not None:
            print(f"It ended by itself, exit code {code}.", file=sys.stderr, flush=True)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stop(server, grace_seconds)


def start(command: list[str]) -> subprocess.Popen[bytes]:
    """Start ``command`` silently, in a process group of its own."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=die_with_supervisor(),
    )


def die_with_supervisor() -> Callable[[], None] | None:
    """What the server does before it starts, so that it dies if this process is killed."""
    if sys.platform != "linux":
        return None
    import ctypes

    prctl = ctypes.CDLL(None).prctl
    supervisor = os.getpid()

    def ask_the_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor:  # it died before the kernel was asked
            os._exit(1)

    return ask_the_kernel


def wait_while_wanted(server: subprocess.Popen[bytes], caller: int) -> None:
    """Return when the server ended, or when nobody is there any more who wants it."""
    over = threading.Event()
    for wait in (wait_for_end_of_input, server.wait):
        threading.Thread(target=set_after, args=(wait, over), daemon=True).start()
    # A forked child of the caller keeps our standard input open: ask for the parent too.
    while os.getppid() == caller:
        if over.wait(POLL_SECONDS):
            return


def set_after(wait: Callable[[], object], over: threading.Event) -> None:
    """Set ``over`` when ``wait`` returns."""
    wait()
    over.set()


def wait_for_end_of_input() -> None:
    """Return when nobody holds the other end of our standard input."""
    while os.read(sys.stdin.fileno(), 1024):
        pass


def stop(server: subprocess.Popen[bytes], grace_seconds: float) -> None:
    """Ask the server to end, and kill it after ``grace_seconds``."""
    if grace_seconds and server.poll() is None:
        send_terminate(server)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(grace_seconds)
    if server.poll() is None:
        send_kill(server)
        server.wait()


def send_terminate(server: subprocess.Popen[bytes]) -> None:
    """Ask the server and whatever it started to end; Windows can only kill."""
    if sys.platform == "win32":
        server.terminate()
    else:
        os.killpg(server.pid, signal.SIGTERM)


def send_kill(server: subprocess.Popen[bytes]) -> None:
    """Kill the server and whatever it started."""
    if sys.platform == "win32":
        server.kill()
    else:
        os.killpg(server.pid, signal.SIGKILL)


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])
