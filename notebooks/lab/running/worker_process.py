"""Workers in processes of their own, which can be killed for real.

    lab = await start_without_worker()
    worker = await start_worker(lab, [ScriptedFault("book_hotel", Fault.CRASH_AFTER_COMMIT, (1,))])
    ...
    await worker.died()  # -9

A child ends with ``stop()``, with its system, and at the latest with the kernel: its
standard input is a pipe from here, and it dies when that ends, however it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from temporalio.worker import Interceptor

from lab.running.errors import LabError
from lab.running.switches import Switches
from lab.running.system import System, start
from travel.console import leave
from travel.errors import TravelError
from travel.faults import Fault, FaultModel, RandomFaults, ScriptedFault, ScriptedFaults
from travel.faults.injection import FaultInjection
from travel.store.database import open_database
from travel.store.inventory import store_seed_data
from travel.store.seed_data import load_seed_data
from travel.temporal.connection import connect, task_queue
from travel.worker import WORKFLOWS, deployment, running_worker

READY = "ready"
READY_SECONDS = 300.0
DEATH_SECONDS = 300.0
STOP_SECONDS = 10.0
MOST_WORDS = 300

STICKY = timedelta(seconds=0.5)
"""How long a Workflow Task waits for the Worker that has the Workflow in its memory,
before any other may take it. Ten seconds by default; here it has just been killed."""


@dataclass(eq=False)
class WorkerProcess:
    """A Worker in a child process."""

    _process: subprocess.Popen[bytes] = field(repr=False)
    _errors: IO[bytes] = field(repr=False)

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """``None`` while it runs; minus the number of the signal that killed it (9: SIGKILL)."""
        return self._process.poll()

    def kill(self) -> None:
        """``kill -9``: the process gets no chance to do anything."""
        self._process.kill()

    @property
    def last_words(self) -> str:
        """The last line that it wrote on standard error; empty if it wrote nothing."""
        if self._errors.closed:
            return ""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        return next((line.strip()[:MOST_WORDS] for line in reversed(lines) if line.strip()), "")

    async def died(self, within_seconds: float = DEATH_SECONDS) -> int:
        """Wait for its death; returns the exit code. Raises ``LabError`` if it lives on."""
        try:
            return await asyncio.to_thread(self._process.wait, within_seconds)
        except subprocess.TimeoutExpired:
            raise LabError(
                f"The Worker process {self.pid} is still alive after {within_seconds:g} s; "
                "expected it to die. worker.kill() ends it."
            ) from None

    async def stop(self) -> None:
        """Let it finish what it does and wait until it is gone."""
        await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        if self._process.stdin.closed:
            return
        with contextlib.suppress(OSError):  # it may be dead already
            self._process.stdin.write(b"stop\n")
            self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def _wait_until_ready(self) -> None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode().strip()
        if line == READY:
            return
        self._process.stdout.read()  # until it has ended, and said why
        code = self._process.wait()
        why = self.last_words or f"it ended with exit code {code} and without a word"
        raise LabError(f"The Worker process did not start: {why}")


async def start_without_worker(
    *, database_url: str | None = None, virtual_clock: bool = True
) -> System:
    """A system whose Task Queue nobody polls until a ``start_worker``."""
    # Its own Worker looks at a Task Queue where nothing ever arrives.
    system = await start(virtual_clock=virtual_clock, task_queue="nobody")
    if database_url is not None:
        system.database = open_database(database_url)
        store_seed_data(system.database, load_seed_data())
        system._stack.callback(system.database.close)
    return system


async def start_worker(
    system: System,
    faults: Iterable[ScriptedFault] = (),
    *,
    workflows: Sequence[type] = WORKFLOWS,
    seed: int | None = None,
    crash_together: int = 1,
    switches: Path | None = None,
    build_id: str | None = None,
    auto_upgrade: bool = False,
) -> WorkerProcess:
    """Start a Worker in a child process and return when it is ready to work.

    ``faults`` is its script; with ``seed`` it draws the outages of the 44 trips instead.
    ``crash_together`` holds each attempt that is to crash after its commit until so many
    are at that point; then one crash hits them all. ``switches`` is a file of
    ``lab.running.switches``. With ``build_id`` it takes part in Worker Versioning; see
    ``travel.worker.deployment`` and ``lab.running.deployments``.
    """
    (worker,) = await start_workers(
        system,
        1,
        faults,
        workflows=workflows,
        seed=seed,
        crash_together=crash_together,
        switches=switches,
        build_id=build_id,
        auto_upgrade=auto_upgrade,
    )
    return worker


async def start_workers(
    system: System,
    number: int,
    faults: Iterable[ScriptedFault] = (),
    *,
    workflows: Sequence[type] = WORKFLOWS,
    seed: int | None = None,
    crash_together: int = 1,
    switches: Path | None = None,
    build_id: str | None = None,
    auto_upgrade: bool = False,
) -> list[WorkerProcess]:
    """Like ``start_worker``, for several at once."""
    orders = {
        "address": system.server.address,
        "namespace": system.client.namespace,
        "database": system.database.url,
        "queue": system.queue or task_queue(),
        "faults": [asdict(fault) for fault in faults],
        "seed": seed,
        "workflows": [f"{design.__module__}:{design.__qualname__}" for design in workflows],
        "crash_together": crash_together,
        "switches": str(switches) if switches else None,
        "build_id": build_id,
        "auto_upgrade": auto_upgrade,
    }
    workers = []
    for _ in range(number):
        workers.append(_launch(orders))
        system._stack.push_async_callback(workers[-1].stop)
    for worker in workers:
        await asyncio.wait_for(asyncio.to_thread(worker._wait_until_ready), READY_SECONDS)
    return workers


def _launch(orders: dict[str, Any]) -> WorkerProcess:
    errors = tempfile.TemporaryFile()  # noqa: SIM115  open as long as the child lives
    process = subprocess.Popen(
        [sys.executable, "-m", "lab.running.worker_process"],
        cwd=Path(__file__).resolve().parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,  # an interrupted cell does not interrupt it
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(orders).encode() + b"\n")
    process.stdin.flush()
    return WorkerProcess(process, errors)


# --- in the child --------------------------------------------------------------


class CrashTogether:
    """A failure model that lets a process die when enough attempts wait for it.

    The attempts that arrive first have committed and do not reply; the last one
    commits and takes them all with it.
    """

    def __init__(self, model: FaultModel, number: int) -> None:
        self._model = model
        self._missing = number

    def draw(self, step: str, confirmation_code: str, attempt: int) -> Fault | None:
        """See ``FaultModel.draw``."""
        fault = self._model.draw(step, confirmation_code, attempt)
        if fault != Fault.CRASH_AFTER_COMMIT:
            return fault
        self._missing -= 1
        return Fault.NO_REPLY if self._missing > 0 else fault


def _interceptor(orders: dict[str, Any]) -> Interceptor:
    if orders["switches"]:
        return Switches(Path(orders["switches"]))
    return FaultInjection(_model(orders))


def _model(orders: dict[str, Any]) -> FaultModel:
    if orders["seed"] is not None:
        return RandomFaults(orders["seed"])
    script = [
        ScriptedFault(
            line["step"], Fault(line["fault"]), tuple(line["attempts"]), line["confirmation_code"]
        )
        for line in orders["faults"]
    ]
    return CrashTogether(ScriptedFaults(tuple(script)), orders["crash_together"])


def _load(name: str) -> type:
    module, _, design = name.partition(":")
    loaded: type = getattr(importlib.import_module(module), design)
    return loaded


async def _work(orders: dict[str, Any], stopping: asyncio.Event) -> None:
    async with AsyncExitStack() as stack:
        client = await connect(orders["address"], own=True, namespace=orders["namespace"])
        database = open_database(orders["database"])
        stack.callback(database.close)
        worker = running_worker(
            client,
            database,
            workflows=[_load(name) for name in orders["workflows"]],
            queue=orders["queue"],
            interceptors=[_interceptor(orders)],
            deployment_config=deployment(orders["build_id"], auto_upgrade=orders["auto_upgrade"]),
            max_concurrent_activities=100,
            sticky_queue_schedule_to_start_timeout=STICKY,
        )
        await stack.enter_async_context(worker)
        print(READY, flush=True)
        await stopping.wait()


def _watch(loop: asyncio.AbstractEventLoop, stopping: asyncio.Event) -> None:
    """Stop when told to; die at once when whoever could tell us is gone."""
    if sys.stdin.readline():
        loop.call_soon_threadsafe(stopping.set)
    else:
        os._exit(1)


async def _main() -> None:
    orders = json.loads(sys.stdin.readline())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stopping = asyncio.Event()
    arguments = (asyncio.get_running_loop(), stopping)
    threading.Thread(target=_watch, args=arguments, daemon=True).start()
    await _work(orders, stopping)


def _run() -> int:
    """Work until told to stop; the last line on standard error says why it failed."""
    try:
        asyncio.run(_main())
    except TravelError as error:
        print(error, file=sys.stderr)
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    import lab  # noqa: F401  makes the package "travel" importable

    leave(_run())
