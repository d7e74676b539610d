"""Replays a run from what was recorded of it, and compares what it asks for.

``catch_up`` brings a Workflow that was evicted back; ``verify`` is a check for free: a
Workflow that asks for something else when it is replayed is not deterministic.
``replay_elsewhere`` has the SDK's ``Replayer`` do it in a process of its own: what depends
on ``hash()``, the order of a set, or what an import left behind, is different there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temporalio.client import WorkflowHistory
from temporalio.worker import WorkflowInstance

from . import instances
from .errors import NotDeterministic, SimulationError
from .run import Job

if TYPE_CHECKING:
    from .run import Activation, Run


def replay_elsewhere(
    histories: Sequence[WorkflowHistory], workflows: Sequence[type], *, hash_seed: int = 1
) -> list[tuple[str, str]]:
    """Replay in a new process whose ``hash()`` is another; return ids and what went wrong.

    The Workflows must be importable by their names. Takes about a second. Raises
    ``SimulationError`` if the process cannot import or run them.
    """
    given = {
        "path": sys.path,
        "workflows": [(workflow.__module__, workflow.__qualname__) for workflow in workflows],
        "histories": [(history.workflow_id, history.to_json()) for history in histories],
    }
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("elsewhere.py"))],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONHASHSEED": str(hash_seed)},
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise SimulationError(f"The Workflows cannot be replayed in another process: {said[-1]}")
    # The SDK's core writes its own remarks there, before that.
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return [(name, text) for name, text in found]


def catch_up(run: Run) -> None:
    """Give a run that lost its instance a new one that has seen all there was."""
    if run.instance is None and run.journal:
        run.instance = _replayed(run, run.journal)


def verify(run: Run) -> None:
    """Replay a run from its beginning in a fresh instance; raise ``NotDeterministic`` or not."""
    if run.journal:
        instances.evict(_replayed(run, run.journal), run.run_id, run.what)


def _replayed(run: Run, journal: list[Activation]) -> WorkflowInstance:
    instance: WorkflowInstance | None = None
    flags: dict[int, set[int]] = {}
    known: set[int] = set()
    for entry in journal:
        known |= entry.flags
        flags[entry.task] = set(known)
    previous = None
    for entry in journal:
        jobs = list(entry.jobs)
        if entry.task != previous:
            jobs = [*map(_notify, entry.patches), *jobs]
            previous = entry.task
        jobs = [_without_validator(job) for job in jobs]
        act = run.activation(jobs, entry.now, entry.history_length, True, flags[entry.task])
        if instance is None:
            instance = run.create_instance(act)
        completion = instances.activate(instance, act, run.what)
        _compare(run, entry, completion)
    assert instance is not None, "a journal has a first entry"
    return instance


def _notify(patch: str) -> Job:
    job = Job()
    job.notify_has_patch.patch_id = patch
    return job


def _without_validator(job: Job) -> Job:
    if not job.HasField("do_update"):
        return job
    copy = type(job)()
    copy.CopyFrom(job)
    copy.do_update.run_validator = False
    return copy


def _compare(run: Run, entry: Activation, completion: Any) -> None:
    if completion.HasField("failed"):
        raise NotDeterministic(
            f"Workflow {run.id}",
            entry.task,
            _names(entry.commands),
            f"nothing, because it failed: {completion.failed.failure.message}",
        )
    again = completion.successful.commands
    for number in range(max(len(entry.commands), len(again))):
        first = entry.commands[number] if number < len(entry.commands) else None
        second = again[number] if number < len(again) else None
        if first != second:
            raise NotDeterministic(f"Workflow {run.id}", entry.task, *_difference(first, second))


def _names(commands: Any) -> str:
    return ", ".join(describe(command) for command in commands) or "nothing"


def _difference(first: Any, second: Any) -> tuple[str, str]:
    """The two commands in words; where the words are the same, with all they say."""
    one, other = describe(first), describe(second)
    if one != other:
        return one, other
    return f"{one} {_in_full(first)}", f"{other} {_in_full(second)}"


def describe(command: Any) -> str:
    """A command in a few words: ``schedule_activity book_hotel``, ``start_timer of 60 s``."""
    if command is None:
        return "nothing"
    kind = command.WhichOneof("variant")
    what = getattr(command, kind)
    for name in ("activity_type", "workflow_type", "signal_name", "patch_id"):
        if getattr(what, name, ""):
            return f"{kind} {getattr(what, name)}"
    if kind == "start_timer":
        return f"{kind} of {what.start_to_fire_timeout.ToTimedelta().total_seconds():g} s"
    return str(kind)


def _in_full(command: Any) -> str:
    return " ".join(str(command).split())
