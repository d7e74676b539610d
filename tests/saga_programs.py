"""Draws small programs around sagas, runs them in the simulator, holds them to the contract.

``python -m tests.saga_programs`` finds the faults of the first edition again, the smallest
program for each, and counts the programs in which today's saga keeps its promise.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import tests.paths  # noqa: F401

# isort: split
from hypothesis import HealthCheck, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from lab.simulation import Cancel, Code, Evict, Hold, Schedule, Signal, Simulation, Update
from saga_program import Body, ChildStep, FirstEdition, Program, Statement, World, text_of

ProgramData = dict[str, Any]

WORLD = World()
CODE = Code([Program, FirstEdition, ChildStep], [WORLD.do, WORLD.undo])
NEXT = Code([Program, FirstEdition, ChildStep], [WORLD.do, WORLD.undo], next_flags=True)

MOMENTS = 40
"""Messages arrive before one of the first so many moments of the simulation."""

TASKS = 8
"""One of the first so many Workflow Tasks may be held back, so that more comes with it."""

# --- drawing programs -------------------------------------------------------------


@dataclass(frozen=True)
class Family:
    """What a program may contain beside steps, failures and one saga."""

    what: str
    statements: tuple[str, ...] = ()
    errors: tuple[str, ...] = ("failure",)
    dos: tuple[str, ...] = ("ok", "rejected", "lost", "down")
    undos: tuple[str, ...] = ("ok", "down")
    callbacks: tuple[str, ...] = ("none",)
    caught: tuple[str, ...] = ("failure",)
    arrivals: tuple[str, ...] = ()


FAMILIES = {
    "S1": Family("a bug that somebody answers", ("try",), errors=("bug",), caught=("exception",)),
    "S2": Family(
        "strange undos and callbacks",
        undos=("ok", "waits in vain", "cancelled part", "group", "saga"),
        callbacks=("none", "failure", "bug"),
    ),
    "S3": Family("steps in Signal handlers", ("sleep",), arrivals=("signal", "hold")),
    "S4": Family("plan B", ("try",)),
    "S5": Family("a cancel request", ("try", "sleep", "calmly", "saga"), arrivals=("cancel",)),
    "S6": Family("continue-as-new", ("continue",)),
    "S7": Family("tasks that nobody awaits", ("spawn", "sleep", "saga")),
}

EVERYTHING = Family(
    "everything at once",
    (
        "try",
        "finally",
        "gather",
        "group",
        "timeout",
        "sleep",
        "calmly",
        "saga",
        "spawn",
        "continue",
    ),
    ("failure", "failure", "bug", "group", "cancelled"),
    ("ok", "ok", "ok", "rejected", "lost", "down", "slow", "child", "bug"),
    ("ok", "ok", "down", "waits in vain", "cancelled part", "group", "saga", "bug"),
    ("none", "none", "failure", "bug"),
    ("failure", "exception", "everything"),
    ("signal", "update", "cancel", "evict", "hold"),
)

NO_EXCUSE = Family(
    "everything but bugs and misuse: it must come to an end",
    ("try", "group", "tolerant", "timeout", "sleep", "calmly", "saga"),
    ("failure", "group"),
    ("ok", "ok", "ok", "rejected", "lost", "down", "slow", "child"),
    ("ok", "ok", "down", "waits in vain", "cancelled part", "group", "saga"),
    ("none", "none", "failure", "bug"),
    ("failure",),
    ("signal", "update", "cancel", "evict", "hold"),
)


@st.composite
def programs(draw: st.DrawFn, family: Family) -> ProgramData:
    """A program of the family; the steps are called s1, s2, … from top to bottom."""
    body = [["saga", draw(st.sampled_from(family.callbacks)), draw(_body(family, 2))]]
    if "try" in family.statements and draw(st.booleans()):
        body = [["try", draw(st.sampled_from(family.caught)), body, draw(_after(family))]]
    body += draw(_after(family))
    arrivals = []
    if family.arrivals:
        for kind in draw(st.lists(st.sampled_from(family.arrivals), max_size=3)):
            arrival = [kind, draw(st.integers(1, MOMENTS))]
            if kind in ("signal", "update"):
                arrival.append(draw(st.lists(_step(family), min_size=1, max_size=2)))
            if kind == "hold":
                arrival = [kind, draw(st.integers(1, TASKS)), draw(st.integers(1, 3))]
            arrivals.append(arrival)
    program = {"body": body, "arrivals": arrivals, "polite": bool(arrivals) and draw(st.booleans())}
    for number, step in enumerate(_steps_of(program), 1):
        step[1] = f"s{number}"
    return program


def _after(family: Family) -> st.SearchStrategy[Body]:
    if "sleep" not in family.statements:
        return st.just([])
    return st.lists(st.just(["sleep", 5]), max_size=1)


def _step(family: Family) -> st.SearchStrategy[Statement]:
    return st.tuples(
        st.just("step"), st.just(""), st.sampled_from(family.dos), st.sampled_from(family.undos)
    ).map(list)


def _body(family: Family, depth: int) -> st.SearchStrategy[Body]:
    return st.lists(_statement(family, depth), min_size=1, max_size=3)


def _statement(family: Family, depth: int) -> st.SearchStrategy[Statement]:
    kinds = [_step(family), _step(family)]
    kinds.append(st.sampled_from(family.errors).map(lambda error: ["raise", error]))
    simple = {"sleep": ["sleep", 5], "calmly": ["calmly", 5], "continue": ["continue"]}
    kinds += [st.just(simple[what]) for what in family.statements if what in simple]
    if depth:
        body = _body(family, depth - 1)
        bodies = st.lists(body, min_size=2, max_size=3)
        nested = {
            "try": st.tuples(
                st.just("try"), st.sampled_from(family.caught), body, st.one_of(st.just([]), body)
            ),
            "finally": st.tuples(st.just("finally"), body),
            "saga": st.tuples(st.just("saga"), st.sampled_from(family.callbacks), body),
            "gather": st.tuples(st.just("gather"), st.booleans(), bodies),
            "tolerant": st.tuples(st.just("gather"), st.just(True), bodies),
            "group": st.tuples(st.just("group"), bodies),
            "timeout": st.tuples(st.just("timeout"), st.sampled_from([3, 70]), body),
            "spawn": st.tuples(st.just("spawn"), body),
        }
        kinds += [nested[what].map(list) for what in family.statements if what in nested]
    return st.one_of(kinds)


def _steps_of(thing: Any) -> Iterator[Statement]:
    if isinstance(thing, dict):
        thing = list(thing.values())
    if isinstance(thing, list):
        if thing and thing[0] == "step":
            yield thing
        else:
            for part in thing:
                yield from _steps_of(part)


# --- running and judging them -------------------------------------------------------


def findings(program: ProgramData, design: Any = Program, code: Code = CODE) -> list[str]:
    """In what the program breaks the contract; a sentence each."""
    program = _copy(program)
    WORLD.clear()
    simulation = Simulation(code, _schedule(program), max_steps=2_000)
    try:
        handle = simulation.start(design, program)
        simulation.run()
        if handle.status == "running":
            sentence = "it never comes to an end" if simulation.exhausted else handle.task_error
            return list(_why_open(program, sentence))
        return list(lost(WORLD, handle.status, handle.query("traced")))
    finally:
        simulation.close()


def _schedule(program: ProgramData) -> Schedule:
    decisions: list[Any] = []
    for kind, at, *bodies in program["arrivals"]:
        match kind:
            case "cancel":
                decisions.append(Cancel(at))
            case "evict":
                decisions.append(Evict(at))
            case "hold":
                decisions.append(Hold(at, bodies[0]))
            case "signal":
                decisions.append(Signal(at, name="signalled", args=(bodies[0],)))
            case "update":
                decisions.append(Update(at, name="updated", args=(bodies[0],)))
    return Schedule(*decisions)


def _why_open(program: ProgramData, sentence: object) -> Iterator[str]:
    """An open Workflow owes its author a reason that can be seen, and a good one."""
    text = text_of(program)
    if sentence is None and "TaskGroup" in text and "continue_as_new" in text:
        return  # a group of BaseExceptions: the SDK drops it, saga or not
    if sentence is None:
        yield "open, and nobody can see why"
    elif isinstance(sentence, str) or not _excused(program):
        yield f"open for no good reason: {sentence}"


def lost(world: World, status: str, trace: list[list[str]]) -> Iterator[str]:
    """What a closed Workflow has lost, undone wrongly, masked or swallowed."""
    saga_of = {entry[1]: entry[2] for entry in trace if entry[0] == "began"}
    came_back = {entry[1] for entry in trace if entry[0] == "came back"}
    ended_well = {entry[1] for entry in trace if entry[0] == "ended well"}
    stands = {name for name in came_back if saga_of[name] in ended_well}
    for name in sorted(world.held - stands):
        yield f"{name} is held, and the Workflow is {status}"
    for name in sorted(stands - world.held):
        yield f"{name} was undone although it stood"
    for what, *rest in trace:
        if what == "failed in a Signal handler" and rest[1] in ended_well:
            yield f"{rest[0]} failed in a Signal handler, and its block ended well"
        if what in ("masked", "swallowed"):
            yield f"{what}: {' '.join(rest)}"


def _excused(program: ProgramData) -> bool:
    """Whether the program has a bug or a misuse, for which it may stay open until mended."""
    text = text_of(program)
    excuses = ["raise bug", "undo: bug", "# bug", "continue_as_new", "create_task", "raise cancel"]
    return any(excuse in text for excuse in excuses) or _leaves_behind(program["body"])


def _leaves_behind(thing: Any) -> bool:
    """A gather that goes on over its parts' failures leaves the others running."""
    if isinstance(thing, list):
        if thing[:2] == ["gather", False]:
            return True
        return any(map(_leaves_behind, thing))
    return False


def _copy(thing: Any) -> Any:
    if isinstance(thing, dict):
        return {key: _copy(value) for key, value in thing.items()}
    return [_copy(part) for part in thing] if isinstance(thing, (list, tuple)) else thing


# --- the command ----------------------------------------------------------------------


def smallest(family: Family, design: Any, examples: int) -> tuple[ProgramData | None, int]:
    """The smallest program of the family that breaks the contract, and how many were tried."""
    tried = 0

    def breaks(program: ProgramData) -> bool:
        nonlocal tried
        tried += 1
        return bool(findings(program, design))

    try:
        found = find(
            programs(family),
            breaks,
            settings=settings(
                max_examples=examples,
                derandomize=True,
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    except NoSuchExample:
        return None, tried
    return found, tried


def main() -> None:
    """Print, for each kind of fault, what was found in the first edition and in today's saga."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=1_000, help="programs a family")
    examples = parser.parse_args().examples
    logging.disable(logging.CRITICAL)
    for kind, family in FAMILIES.items():
        print(f"\n{kind}, {family.what}", flush=True)
        program, tried = smallest(family, FirstEdition, examples)
        print(f"  first edition: {'a fault' if program else 'nothing'} in {tried:,} programs")
        if program:
            for line in text_of(program).splitlines():
                print(f"      {line}")
            for finding in findings(program, FirstEdition):
                print(f"    -> {finding}")
        _today(family, examples)
    for family in (NO_EXCUSE, EVERYTHING):
        print(f"\n{family.what}", flush=True)
        _today(family, examples)


def _today(family: Family, examples: int) -> None:
    program, tried = smallest(family, Program, examples)
    print(f"  today's saga:  {'A FAULT' if program else 'nothing'} in {tried:,} programs")
    if program:
        print(text_of(program), *findings(program), sep="\n")


if __name__ == "__main__":
    main()
