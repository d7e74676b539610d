"""Would another process decide the same? ``hash()`` of a text and the order of a set differ there.

Only asked where the code has a set, or calls ``hash`` or ``id``: starting processes takes a
second. Each gets its own ``PYTHONHASHSEED``, simulates the same trips and says what was
scheduled. A replay may happen in any of them.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.breaking.scenarios import Scenario, request_for
from lab.breaking.simulated import Bench
from lab.checking.parsing import parsed
from lab.running.system import CountedScript

SEEDS = ("1", "2", "3")
TELLTALE = {"set", "frozenset", "hash", "id"}
MAX_STEPS = 1_500


def depends_on_the_process(workflows: Sequence[Any], scenarios: Sequence[Scenario]) -> bool:
    """Whether any of some other processes schedules otherwise than this one."""
    module = sys.modules[workflows[0].__module__]
    if not _may_depend(Path(str(module.__file__)).read_text(encoding="utf-8")):
        return False
    names = [workflow.__name__ for workflow in workflows]
    asked = pickle.dumps((str(module.__file__), names, list(scenarios)))
    others = [_start(seed) for seed in SEEDS]
    here = signature(workflows, scenarios)
    told = [other.communicate(asked)[0] for other in others]
    return any(answer and json.loads(answer) != here for answer in told)


def signature(workflows: Sequence[Any], scenarios: Sequence[Scenario]) -> list[list[str]]:
    """What is scheduled in each scenario, in its order, with what arguments."""
    bench = Bench(*workflows)
    try:
        return [_scheduled(bench, *numbered) for numbered in enumerate(scenarios, 1)]
    finally:
        bench.close()


def _scheduled(bench: Bench, number: int, scenario: Scenario) -> list[str]:
    request = request_for(number, scenario.changes)
    booked = bench.book(request, CountedScript(scenario.faults), max_steps=MAX_STEPS)
    runs = [run for runs in booked.simulation.runs.values() for run in runs]
    return [
        _named(name, attributes)
        for run in runs
        for name, _now, attributes, _metadata in run.events.records
        if name in ("activity_task_scheduled", "timer_started")
    ]


def _named(name: str, attributes: Any) -> str:
    if name == "timer_started":
        return name
    given = attributes.get("input")
    text = given.SerializeToString(deterministic=True) if given is not None else b""
    return f"{attributes['activity_type']['name']} {hashlib.sha256(text).hexdigest()[:8]}"


def _may_depend(source: str) -> bool:
    return any(
        isinstance(node, (ast.Set, ast.SetComp))
        or (isinstance(node, ast.Name) and node.id in TELLTALE)
        for node in ast.walk(parsed(source))
    )


def _start(seed: str) -> subprocess.Popen[bytes]:
    notebooks = Path(__file__).resolve().parents[2]
    paths = [str(notebooks), str(notebooks.parent), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "PYTHONHASHSEED": seed,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
    }
    return subprocess.Popen(
        [sys.executable, "-m", __name__],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def main() -> None:
    """In the other process: read what is asked, write the signature."""
    file, names, scenarios = pickle.loads(sys.stdin.buffer.read())
    sys.path.insert(0, str(Path(file).parent))
    module = importlib.import_module(Path(file).stem)
    workflows = [getattr(module, name) for name in names]
    answer = json.dumps(signature(workflows, scenarios))
    sys.stdout.write(answer)


if __name__ == "__main__":
    main()
