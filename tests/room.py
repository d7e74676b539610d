"""A room full of learners on one machine: ``python -m tests.room 20``.

So many kernels start at the same moment and run notebooks 00 and 03, in a kernel each, as
JupyterLab does. Some learners interrupt their first cells, restart their kernel, or lose it to
``kill -9``, and begin again. Every cell must end without an error and without a word on stderr,
and nothing may be left: no process, no folder. How long it takes is printed, and judged by nobody.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import tests.paths  # noqa: F401

# isort: split
import nbformat
import psutil
from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from processes import ROOT, clean_environment

NOTEBOOKS = ("00_start_here.ipynb", "03_the_saga.ipynb")
FIRST_TRIP = "await lab.book("
MARK = "TRAVEL_ROOM"

PATIENCE_SECONDS = 3600
"""For a kernel to start and for a cell to end: a net, and no verdict."""

START_SECONDS, STARTS = 600, 4
"""After that a learner restarts a kernel that does not answer, and how often one is started."""

INTERRUPTS = 60
"""Tries to interrupt a cell before its kernel is restarted, one in five seconds."""

LEAVING_SECONDS = 300

HABITS = ("calm", "interrupts", "calm", "restarts", "calm", "is killed")
"""What a learner does to the first kernel; the sixth is like the first again."""


@dataclass
class Learner:
    """Somebody who runs notebooks, and what was seen of it."""

    number: int
    environment: dict[str, str]
    first_trip_seconds: float = 0.0
    first_trip_megabytes: float = 0.0
    megabytes: float = 0.0
    started_again: int = 0
    troubles: list[str] = field(default_factory=list)

    @property
    def habit(self) -> str:
        return HABITS[self.number % len(HABITS)]

    async def learn(self, began: float) -> None:
        """Run the notebooks; what goes wrong is kept in ``troubles``."""
        try:
            await self._misbehave()
            for name in NOTEBOOKS:
                async with self._kernel(name) as kernel:
                    await self._run_all(kernel, began)
        except Exception as error:
            self.troubles.append(f"{type(error).__name__}: {error}")

    async def _misbehave(self) -> None:
        """The first minutes with a kernel, which do not go as they should."""
        if self.habit == "calm":
            return
        async with self._kernel(NOTEBOOKS[0]) as kernel:
            if self.habit == "interrupts":
                # At another moment for each: imports, server, Worker, trip.
                await self._interrupted(kernel, after_seconds=0.3 * (1 + self.number))
                await self._run_all(kernel)
            else:
                await self._run(kernel, upto=FIRST_TRIP)
                pid = _pid(kernel)
                if self.habit == "restarts":
                    await self._restart(kernel)
                    await self._run(kernel, upto=FIRST_TRIP)
                else:
                    os.kill(pid, 9)

    async def _interrupted(self, kernel: NotebookClient, after_seconds: float) -> None:
        running = asyncio.create_task(self._run(kernel, upto=FIRST_TRIP))
        await asyncio.wait([running], timeout=after_seconds)
        for _ in range(INTERRUPTS):
            if running.done():
                break
            await kernel.km.interrupt_kernel()
            await asyncio.wait([running], timeout=5)
        if running.done():
            with suppress(CellExecutionError):  # KeyboardInterrupt: what was asked for
                running.result()
            return
        # ipykernel itself was hit, between two cells, and has lost the next.
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        self.started_again += 1
        await self._restart(kernel)

    async def _run_all(self, kernel: NotebookClient, began: float | None = None) -> None:
        for index, cell in _code(kernel):
            await kernel.async_execute_cell(cell, index)
            self._look_at(cell, index)
            if FIRST_TRIP in cell.source and began is not None and not self.first_trip_seconds:
                self.first_trip_seconds = time.monotonic() - began
                self.first_trip_megabytes = _megabytes(_pid(kernel))
        self.megabytes = max(self.megabytes, _megabytes(_pid(kernel)))

    async def _run(self, kernel: NotebookClient, upto: str) -> None:
        for index, cell in _code(kernel):
            await kernel.async_execute_cell(cell, index)
            if upto in cell.source:
                return

    def _look_at(self, cell: Any, index: int) -> None:
        for output in cell.outputs:
            if output.output_type == "error" or output.get("name") == "stderr":
                self.troubles.append(f"cell {index}: {str(output)[:500]}")

    @asynccontextmanager
    async def _kernel(self, name: str) -> AsyncIterator[NotebookClient]:
        kernel = NotebookClient(
            nbformat.read(ROOT / "notebooks" / name, as_version=4),
            timeout=PATIENCE_SECONDS,
            iopub_timeout=PATIENCE_SECONDS,
        )
        try:
            await self._start(kernel)
            await self._answer(kernel)
            with suppress(DeadKernelError):
                yield kernel
        finally:
            await _stop(kernel)

    async def _start(self, kernel: NotebookClient) -> None:
        kernel.km = AsyncKernelManager(kernel_name="python3")
        await kernel.km.start_kernel(
            extra_arguments=["--HistoryManager.hist_file=:memory:"],  # not one file for all
            env=self.environment,
            cwd=str(ROOT / "notebooks"),
        )
        kernel.kc = kernel.km.client()
        kernel.kc.allow_stdin = False
        kernel.kc.start_channels()

    async def _restart(self, kernel: NotebookClient) -> None:
        await kernel.km.restart_kernel(now=True)
        await self._answer(kernel)

    async def _answer(self, kernel: NotebookClient) -> None:
        """Wait until a kernel answers; in place of one that dies at its start comes another.

        Jupyter chooses the ports of a kernel before it starts, and until then somebody else
        can take one, even the client: who connects to a port at which nobody listens yet may
        be given that very port for its own end. A restarted kernel has the same ports again.
        """
        for _ in range(STARTS - 1):
            try:
                return await kernel.kc.wait_for_ready(timeout=START_SECONDS)
            except RuntimeError:
                self.started_again += 1
                await _stop(kernel)
                await self._start(kernel)
        return await kernel.kc.wait_for_ready(timeout=PATIENCE_SECONDS)


async def _stop(kernel: NotebookClient) -> None:
    if kernel.km is not None and kernel.km.has_kernel:
        await kernel.km.shutdown_kernel()
    if kernel.kc is not None:
        kernel.kc.stop_channels()


def _code(kernel: NotebookClient) -> Iterable[tuple[int, Any]]:
    cells = enumerate(kernel.nb.cells)
    return [(index, cell) for index, cell in cells if cell.cell_type == "code"]


def _pid(kernel: NotebookClient) -> int:
    return int(kernel.km.provisioner.pid)


def _megabytes(pid: int) -> float:
    """Of a kernel and all that it started; what processes share is counted once for all."""
    kernel = psutil.Process(pid)
    total = 0
    for process in [kernel, *kernel.children(recursive=True)]:
        with suppress(psutil.Error):
            memory = process.memory_full_info()
            total += getattr(memory, "pss", memory.uss)
    return total / 1e6


def _still_there(mark: str) -> list[psutil.Process]:
    """Processes that bear the mark of this room."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == mark:
                found.append(process)
    return found


async def fill(number: int) -> int:
    """Let so many learners in, print what was seen; return the number of troubles."""
    mark = uuid4().hex
    with tempfile.TemporaryDirectory(prefix="room-") as folder:
        environment = clean_environment(**{MARK: mark, "TMPDIR": folder, "IPYTHONDIR": folder})
        for name in ("PYTHONDONTWRITEBYTECODE", "GOGC"):  # as on a learner's machine
            environment.pop(name, None)
        learners = [Learner(n, environment) for n in range(number)]
        began = time.monotonic()
        try:
            async with asyncio.TaskGroup() as room:
                for learner in learners:
                    room.create_task(learner.learn(began))
            seconds = time.monotonic() - began
        finally:
            _, alive = psutil.wait_procs(_still_there(mark), timeout=LEAVING_SECONDS)
        left = [str(path) for path in Path(folder).iterdir() if path.name.startswith("travel-")]
    return _report(learners, seconds, [f"{p.pid} {' '.join(p.cmdline())}" for p in alive], left)


def _report(
    learners: list[Learner], seconds: float, processes: list[str], folders: list[str]
) -> int:
    calm = [learner for learner in learners if learner.habit == "calm"]
    first = sorted(learner.first_trip_seconds for learner in calm)
    print(f"{len(learners)} learners, {os.cpu_count()} processors, {seconds:.0f} s for all of it")
    for habit in dict.fromkeys(HABITS):
        mine = [learner for learner in learners if learner.habit == habit]
        green = sum(not learner.troubles for learner in mine)
        if mine:
            print(f"  {habit:<11} {green} of {len(mine)} green")
    if calm:
        print(f"first trip after {first[0]:.0f} to {first[-1]:.0f} s, median {median(first):.0f} s")
    for what, sizes in (
        ("first trip", [learner.first_trip_megabytes for learner in learners]),
        ("notebooks", [learner.megabytes for learner in learners]),
    ):
        print(f"kernel, server and the rest of it after the {what}: {max(sizes):.0f} MB at most")
    if again := sum(learner.started_again for learner in learners):
        print(f"kernels that did not answer and were started again: {again}")
    for learner in learners:
        for trouble in learner.troubles:
            print(f"TROUBLE: learner {learner.number} ({learner.habit}): {trouble}")
    for name in (*processes, *folders):
        print(f"LEFT BEHIND: {name}")
    return sum(len(learner.troubles) for learner in learners) + len(processes) + len(folders)


def main() -> int:
    """Exit 0 when all is green and nothing is left, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.room", description=__doc__)
    parser.add_argument("learners", type=int, nargs="?", default=20, help="default: %(default)s")
    options = parser.parse_args()
    if options.learners < 1:
        parser.error(f"{options.learners} learners; expected 1 or more")
    try:
        return 1 if asyncio.run(_stoppable(fill(options.learners))) else 0
    except asyncio.CancelledError:
        print("stopped before the end", file=sys.stderr)
        return 1


async def _stoppable(work: Coroutine[Any, Any, int]) -> int:
    """Let SIGTERM do what Ctrl-C does: the kernels are shut down, and their servers with them."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


if __name__ == "__main__":
    sys.exit(main())
