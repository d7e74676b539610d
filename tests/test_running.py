"""What a kernel's own server, systems and Workers do when things go wrong around them."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import textwrap
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lab import System, start
from lab.running import Pause, start_persistent, start_without_worker, start_worker
from lab.running import namespaces as namespaces_module
from lab.running import system as system_module
from lab.running.background import background
from lab.running.errors import LabError, ServerGone, StillUnderWay
from processes import ROOT, clean_environment, still_running
from temporal import suspended_in
from test_connection import MEANT_FOR_A_CLOUD, PROFILE

from tests.sampling import few
from travel.faults import Fault, ScriptedFault
from travel.trips import forty_four_trips
from travel.workflows import book_trip
from travel.workflows.book_trip import BookTrip

pytestmark = pytest.mark.timeout(600)

POSIX_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="signals are a POSIX matter")

A_TRIP = forty_four_trips()[0]


def run(test: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(test)


@asynccontextmanager
async def a_system(**options: Any) -> AsyncIterator[System]:
    lab = await start(**options)
    try:
        yield lab
    finally:
        await lab.close()


def in_a_kernel(code: str, **environment: str) -> str:
    """Run code in a process of its own, as in a kernel; returns what it printed, or why it died."""
    body = textwrap.indent(textwrap.dedent(code), "    ")
    program = f"import asyncio\nasync def main():\n{body}\nasyncio.run(main())\n"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT / "notebooks",
        env={**clean_environment(), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip() or done.stderr


# --- L1: a shell set up for Temporal Cloud ---------------------------------------------------

BOOK_WITH_A_WORKER_PROCESS = """
from lab import start
from lab.running import start_without_worker, start_worker
lab = await start()
trip = await lab.book("Customer-001")
away = await start_without_worker()
worker = await start_worker(away)
other = await away.book("Customer-002")
print(trip.booked, other.booked)
"""


@pytest.mark.parametrize(
    "names",
    few(
        [
            list(MEANT_FOR_A_CLOUD),
            ["TEMPORAL_API_KEY"],
            ["TEMPORAL_TLS"],
            ["TEMPORAL_TLS_CLIENT_CERT_PATH", "TEMPORAL_TLS_CLIENT_KEY_PATH"],
            ["TEMPORAL_PROFILE"],
            ["TEMPORAL_CONFIG_FILE"],
            ["TEMPORAL_NAMESPACE"],
            ["TEMPORAL_ADDRESS"],
            ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "grpc_proxy", "no_proxy"],
        ]
    ),
    ids=lambda names: names[0] if len(names) < len(MEANT_FOR_A_CLOUD) else "all of them",
)
def test_jupyterlab_from_a_shell_set_up_for_temporal_cloud(names: list[str]) -> None:
    settings = {name: MEANT_FOR_A_CLOUD[name] for name in names}
    assert in_a_kernel(BOOK_WITH_A_WORKER_PROCESS, **settings) == "True True"


def test_profile_in_the_config_folder(tmp_path: Path) -> None:
    for folder in ("temporalio", ".config/temporalio", "Library/Application Support/temporalio"):
        file = tmp_path / folder / "temporal.toml"
        file.parent.mkdir(parents=True)
        file.write_text(PROFILE)
    homes = {name: str(tmp_path) for name in ("HOME", "XDG_CONFIG_HOME", "APPDATA")}
    assert in_a_kernel(BOOK_WITH_A_WORKER_PROCESS, **homes) == "True True"


def test_child_that_fails_says_why() -> None:
    async def scenario() -> str:
        lab = await start_without_worker()
        try:
            lab.server = replace(lab.server, address="127.0.0.1:1")
            with pytest.raises(LabError) as caught:
                await start_worker(lab)
            return str(caught.value)
        finally:
            await lab.close()

    sentence = run(scenario())
    assert sentence.startswith("The Worker process did not start: ")
    assert "127.0.0.1:1: nothing listens there" in sentence
    assert "\n" not in sentence


@POSIX_ONLY
def test_child_that_is_killed_says_that(monkeypatch: pytest.MonkeyPatch) -> None:
    from lab.running import worker_process

    launch = worker_process._launch

    def killed(orders: dict[str, Any]) -> Any:
        worker = launch(orders)
        worker.kill()
        return worker

    monkeypatch.setattr(worker_process, "_launch", killed)

    async def scenario() -> None:
        lab = await start_without_worker()
        try:
            with pytest.raises(LabError, match="ended with exit code -9 and without a word"):
                await start_worker(lab)
        finally:
            await lab.close()

    run(scenario())


# --- L2: again and again -----------------------------------------------------------------------

AGAIN_AND_AGAIN = """
import psutil, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
from lab import start
from lab.running import system as system_module

def held():
    me = psutil.Process()
    return me.num_fds(), me.num_threads(), len(me.children(recursive=True))

lab = await start()
for _ in range(3):
    lab = await start()
    trip = await lab.book("Customer-001")
before = held()
for _ in range({starts}):
    lab = await start()
    trip = await lab.book("Customer-001")
    assert trip.booked, trip.reason
for _ in range({resets}):
    await lab.reset()
trip = await lab.book("Customer-001")
assert trip.booked, trip.reason
files, threads, children = (after - was for after, was in zip(held(), before))
assert files < 60 and threads < 40 and children == 0, (files, threads, children)
made = system_module._namespaces._made
assert made <= {namespaces}, made
assert len(system_module._open) == 1, system_module._open
print("nothing leaked")
"""


@POSIX_ONLY
@pytest.mark.everything
def test_start_and_reset_again_and_again_with_256_open_files() -> None:
    code = AGAIN_AND_AGAIN.format(
        starts=30, resets=100, namespaces=namespaces_module.MANY + system_module.AT_A_TIME + 1
    )
    assert in_a_kernel(code) == "nothing leaked"


@POSIX_ONLY
@pytest.mark.everything
def test_more_systems_than_there_are_files_for() -> None:
    code = """
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    from lab import start
    from lab.running.errors import TooManyOpen
    systems = []
    try:
        while True:
            systems.append(await start())
    except TooManyOpen as error:
        print(error)
    assert len(systems) >= 10, len(systems)
    for lab in systems:
        assert (await lab.book("Customer-001")).booked
    await systems.pop().close()
    await systems.pop().close()
    lab = await start()
    print((await lab.book("Customer-001")).booked)
    """
    said, booked = in_a_kernel(code).splitlines()
    assert "of 256 files open" in said and "await lab.close()" in said
    assert booked == "True"


def test_two_systems_that_are_both_wanted_both_stay() -> None:
    async def scenario() -> None:
        async with a_system() as lab, a_system() as other:
            gc.collect()
            assert (await lab.book("Customer-001")).booked
            assert (await other.book("Customer-001")).booked
            assert lab.audit().trips == other.audit().trips == 1

    run(scenario())


def test_two_that_start_at_once_share_a_server() -> None:
    async def scenario() -> None:
        systems = await asyncio.gather(*(start() for _ in range(4)))
        assert len({system.server.pid for system in systems}) == 1
        assert len({system.client.namespace for system in systems}) == 4
        for system in systems:
            await system.close()

    run(scenario())


def test_trip_keeps_the_system_that_it_belongs_to() -> None:
    async def scenario() -> None:
        lab = await start()
        trip = await lab.book("Customer-001")
        del lab
        gc.collect()
        assert (await trip.history()).status == "completed"
        await trip.system.close()

    run(scenario())


def test_namespace_that_was_emptied_knows_nothing_of_earlier_trips() -> None:
    async def scenario() -> None:
        lab = await start()
        first = lab.client.namespace
        assert (await lab.book("Customer-001")).booked
        waiting = await lab.begin("Customer-002")
        await lab.close()
        namespaces = system_module._namespaces
        assert namespaces is not None
        await background().run(_all_emptied(namespaces))
        systems = [await start(faults=[ScriptedFault("book_hotel", Fault.OUTAGE)])]
        while systems[-1].client.namespace != first:
            systems.append(await start(faults=[ScriptedFault("book_hotel", Fault.OUTAGE)]))
        again = systems[-1]
        assert await background().run(_number_of_workflows(again)) == 0
        for request in (A_TRIP, waiting.request):  # not those that were booked, and begun, before
            assert not (await again.book(request)).booked
        for system in systems:
            await system.close()

    run(scenario())


async def _all_emptied(namespaces: namespaces_module.Namespaces) -> None:
    while namespaces._emptying:
        await asyncio.wait(namespaces._emptying)


async def _number_of_workflows(lab: System) -> int:
    return (await lab.client.count_workflows()).count


# --- L3: the server dies ------------------------------------------------------------------------

CALLS_ON_A_DEAD_SERVER: dict[str, Callable[[Any, Any], Coroutine[Any, Any, Any]]] = {
    "book": lambda lab, trip: lab.book("Customer-003"),
    "end": lambda lab, trip: trip.end(),
    "cancel": lambda lab, trip: trip.cancel(),
    "query": lambda lab, trip: trip.query(BookTrip.progress),
    "history": lambda lab, trip: trip.history(),
    "terminate": lambda lab, trip: trip.terminate(),
}


@POSIX_ONLY
def test_server_that_was_killed() -> None:
    async def scenario() -> None:
        lab = await start(faults=[ScriptedFault("book_hotel", Fault.NO_REPLY)])
        trip = await lab.begin("Customer-002")
        dead = lab.server.pid
        os.kill(dead, signal.SIGKILL)
        calls = [call(lab, trip) for call in CALLS_ON_A_DEAD_SERVER.values()]
        for error in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(error, ServerGone), error
            assert "does not answer any more" in str(error) and "TEMPORAL_" not in str(error)
        await lab.reset()
        assert lab.server.pid != dead
        assert (await lab.book("Customer-001")).booked
        os.kill(lab.server.pid, signal.SIGKILL)
        async with a_system() as other:
            assert (await other.book("Customer-001")).booked
        await lab.close()

    run(scenario())


@POSIX_ONLY
@pytest.mark.everything
def test_end_notices_that_the_server_dies_meanwhile() -> None:
    async def scenario() -> None:
        async with a_system() as lab:
            pause = Pause(lab, A_TRIP, "book_hotel")
            trip = await lab.begin(A_TRIP)
            ending = asyncio.create_task(trip.end(3600))
            await pause.reached()
            os.kill(lab.server.pid, signal.SIGKILL)
            with pytest.raises(ServerGone):
                await ending
            pause.go_on()

    run(scenario())


def test_persistent_server_that_is_switched_off_and_on() -> None:
    async def scenario() -> None:
        office = await start_persistent()
        try:
            trip = await office.begin(A_TRIP)
            await office.stop_server()
            with pytest.raises(ServerGone):
                await trip.end()
            await office.start_server()
            worker = await start_worker(office)
            assert (await trip.end()).booked
            await worker.stop()
        finally:
            await office.close()

    run(scenario())


def test_sentence_instead_of_a_traceback_in_a_cell() -> None:
    error = ServerGone.after("tcp connect error")
    assert error._render_traceback_() == [f"ServerGone: {error}"]


# --- L4: what a trip waits for -------------------------------------------------------------------


def sentence_of(lab_options: dict[str, Any], seconds: float = 2) -> str:
    async def scenario() -> str:
        async with a_system(**lab_options) as lab:
            trip = await lab.begin(replace(A_TRIP, customer="Ann", confirmation_code="TRIP-9"))
            with pytest.raises(StillUnderWay) as caught:
                await trip.end(seconds)
            assert isinstance(caught.value, TimeoutError)
            return str(caught.value)

    return str(run(scenario()))


DEAD = [ScriptedFault("book_hotel", Fault.OUTAGE), ScriptedFault("cancel_flight", Fault.OUTAGE)]
"""A trip that waits for an undo, and for good."""


def test_trip_that_waits_for_a_dead_provider() -> None:
    sentence = sentence_of({"faults": DEAD}, 5)
    assert sentence.startswith("The trip TRIP-9 of Ann is still under way after 5 s. It waits for ")
    assert "cancel_flight" in sentence


def test_trip_that_nobody_works_on() -> None:
    sentence = sentence_of({"task_queue": "nobody"})
    assert sentence.endswith("It waits for a Worker that runs its Workflow code")


def test_nothing_of_a_trip_is_left_to_the_garbage_collector_when_its_worker_stops() -> None:
    """It would wake up in the thread of another trip, and ask for its own Activities there."""

    others = suspended_in(book_trip)  # of a system that an earlier test left, and that is closing

    def left() -> list[object]:
        return [thing for thing in suspended_in(book_trip) if thing not in others]

    async def scenario() -> None:
        async with a_system(faults=DEAD) as lab:
            await lab.begin(A_TRIP)
            while not left():
                await asyncio.sleep(0.05)

    gc.disable()
    try:
        run(scenario())
        assert left() == []
    finally:
        gc.enable()


def test_laptop_that_slept_has_not_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with a_system() as lab:
            pause = Pause(lab, A_TRIP, "book_hotel")
            trip = await lab.begin(A_TRIP)
            await pause.reached()
            loop = background().loop
            awake, slept = loop.time, [0.0]
            # What a monotonic clock says that counts the time asleep (Windows).
            monkeypatch.setattr(loop, "time", lambda: awake() + slept[0])
            ending = asyncio.create_task(trip.end(60))
            await asyncio.sleep(1)
            slept[0] = 70.0
            await asyncio.sleep(2)
            assert not ending.done()
            pause.go_on()
            assert (await ending).result is not None

    run(scenario())


# --- L5: links ----------------------------------------------------------------------------------


def test_link_to_a_customer_with_signs_in_the_name() -> None:
    async def scenario() -> None:
        async with a_system() as lab:
            trip = await lab.begin(replace(A_TRIP, customer="A/B #1? 50%", confirmation_code="T1"))
            link = urllib.parse.urlsplit(str(trip.web_ui))
            assert (link.query, link.fragment) == ("", "")
            assert link.netloc == urllib.parse.urlsplit(str(lab.server.ui_url)).netloc
            last = link.path.rsplit("/", 1)[1]
            assert urllib.parse.unquote(last) == trip.handle.id == "booking-A/B #1? 50%-T1"
            # The Web UI asks the server by the same path: it finds the trip.
            ui, name = lab.server.ui_url, lab.client.namespace
            address = f"{ui}/api/v1/namespaces/{name}/workflows/{last}?execution.runId="
            answer = await asyncio.to_thread(urllib.request.urlopen, address, timeout=60)
            assert b'"booking-A/B #1? 50%-T1"' in answer.read()

    run(scenario())


def test_nothing_is_left_of_a_process_that_ran_systems(tmp_path: Path) -> None:
    code = """
    import os, psutil
    from lab import start
    from lab.running import start_without_worker, start_worker
    lab = await start()
    away = await start_without_worker()
    worker = await start_worker(away)
    me = psutil.Process()
    print(*[child.pid for child in me.children(recursive=True)])
    """
    printed = in_a_kernel(code, TMPDIR=str(tmp_path))
    assert printed.replace(" ", "").isdigit(), printed
    assert still_running([int(pid) for pid in printed.split()]) == []
    assert list(tmp_path.iterdir()) == []
