"""Trips by the hundred thousand, on the simulator: every one with a schedule of its own.

``python -m tests.simulate --trips 100000`` draws them from one seed and says what was lost.
``python -m tests.simulate --exhaustive`` puts both sagas through every fault at every attempt,
every moment for a cancel request, for an eviction and for the death of the Worker, every
order of what is under way, and every pair of these, with both sets of the SDK's logic flags;
and finds for each flawed design a shortest schedule that loses something.
Exit codes: 0 nothing lost, 1 a saga lost something, 2 bad usage.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import tests.paths  # noqa: F401

# isort: split
from lab.simulation import (
    Drawn,
    Fate,
    Odds,
    Outcome,
    Schedule,
    Trial,
    arrivals_at,
    every,
    shrink,
)

from tests.simulated_trips import SAGAS, Travel, flawed, requests

CHUNK = 250
"""Trips that one process books before it reports."""

LASTING = (1, 5)
"""Attempts that a fault lasts: a blip, and longer than the retries of a step."""

ODDS = Odds(fates={fate: 1.0 for fate in Fate if fate is not Fate.OK})
SHOWN = 3
"""Losses of each design that are shrunk and shown."""


@dataclass
class Tally:
    """What came of a number of trips."""

    trips: int = 0
    lost: int = 0
    seconds: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    losses: list[tuple[str, int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome, design: str, seed: int) -> None:
        self.trips += 1
        self.statuses[outcome.status] += 1
        self.faults.update(outcome.faults)
        if outcome.left:
            self.lost += 1
            self.losses.append((design, seed))
        if outcome.problem:
            self.problems.append(f"{design}, seed {seed}: {outcome.problem}")

    def merge(self, other: Tally) -> None:
        self.trips += other.trips
        self.lost += other.lost
        self.seconds += other.seconds
        self.statuses.update(other.statuses)
        self.faults.update(other.faults)
        self.losses += other.losses
        self.problems += other.problems


# --- random trips ------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _trials(names: tuple[str, ...], remember: bool) -> list[tuple[str, Trial]]:
    """One trial for each design, kind of trip and set of flags; made once a process."""
    travel = Travel(remember=remember)
    known = SAGAS | flawed()
    return [
        (name, travel.trial(code, known[name], request))
        for name in names
        for code in (travel.code(known[name], next_flags=flags) for flags in (False, True))
        for request in requests()
    ]


def book(
    names: tuple[str, ...], first: int, count: int, remember: bool = True, verify: int = 10
) -> Tally:
    """Book ``count`` trips, the first with the seed ``first``; replay one in ``verify``."""
    tally = Tally()
    trials = _trials(names, remember)
    begun = time.process_time()
    for seed in range(first, first + count):
        design, trial = trials[seed % len(trials)]
        trial.verify = seed // len(trials) % verify == 0
        tally.add(trial.run(Drawn(seed, ODDS)), design, seed)
    tally.seconds = time.process_time() - begun
    return tally


def drawn(name: str, seed: int, names: tuple[str, ...]) -> tuple[Schedule, Schedule]:
    """The schedule of a seed, and a smallest one that loses something like it."""
    trials = _trials(names, True)
    design, trial = trials[seed % len(trials)]
    assert design == name, "a seed belongs to a design"
    schedule = trial.run(Drawn(seed, ODDS)).schedule
    return schedule, shrink(schedule, lambda candidate: bool(trial.run(candidate).left))


def many(names: tuple[str, ...], trips: int, seed: int, jobs: int, **options: Any) -> Tally:
    """Book trips on several processors."""
    total = Tally()
    chunks = [
        (start, min(CHUNK, seed + trips - start)) for start in range(seed, seed + trips, CHUNK)
    ]
    if jobs == 1:
        for start, count in chunks:
            total.merge(book(names, start, count, **options))
        return total
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context) as pool:
        futures = [pool.submit(book, names, start, count, **options) for start, count in chunks]
        for future in futures:
            total.merge(future.result())
    return total


# --- every schedule ----------------------------------------------------------------------


def exhaustively(name: str, next_flags: bool, depth: int) -> Tally:
    """Every schedule with at most ``depth`` deviations, for one saga."""
    travel = Travel()
    saga = SAGAS[name]
    trial = travel.trial(travel.code(saga, next_flags=next_flags), saga, requests()[0])
    tally = Tally()
    begun = time.process_time()
    runs = every(trial, depth, lasting=LASTING, arrivals=arrivals_at, orders=True)
    for number, outcome in enumerate(runs):
        tally.add(outcome, name, number)
        if outcome.left:
            tally.problems.append(f"{name} loses: {outcome.left} {outcome.schedule!r}")
    tally.seconds = time.process_time() - begun
    return tally


def shortest_loss(name: str, depth: int = 2) -> Outcome | None:
    """A shortest schedule by which a flawed design loses something."""
    travel = Travel()
    design = flawed()[name]
    trial = travel.trial(travel.code(design), design, requests()[0], verify=False)
    return next((o for o in every(trial, depth, lasting=LASTING) if o.left), None)


def shortest_loss_in_words(name: str) -> list[str]:
    """Its schedule, and what it leaves behind, as lines."""
    outcome = shortest_loss(name)
    if outcome is None:
        return [f"{name}: nothing found"]
    problems = [f"    {finding.problem}" for finding in outcome.left.findings]
    return [f"{name}: {outcome.schedule!r}", *problems]


# --- the command -------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    if options.exhaustive:
        return _report_exhaustive(options.jobs, options.depth)
    names = tuple(options.design or SAGAS)
    begun = time.monotonic()
    tally = many(
        names,
        options.trips,
        options.seed,
        options.jobs,
        remember=not options.fresh,
        verify=options.verify,
    )
    seconds = time.monotonic() - begun
    print(f"{tally.trips:,} trips by {', '.join(names)} from seed {options.seed}")
    print(
        f"{seconds:,.1f} s, {tally.trips / seconds:,.0f} trips a second, {options.jobs} processes"
    )
    print("ended:", ", ".join(f"{name} {n:,}" for name, n in tally.statuses.most_common()))
    print(
        "what went wrong:", ", ".join(f"{name} {n:,}" for name, n in sorted(tally.faults.items()))
    )
    print(f"lost: {tally.lost:,}")
    for problem in tally.problems[:SHOWN]:
        print(problem)
    for line in _losses(tally, names):
        print(line)
    return int(any(design in SAGAS for design, _seed in tally.losses))


def _losses(tally: Tally, names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        seeds = sorted(seed for design, seed in tally.losses if design == name)
        if seeds:
            yield f"\n{name} lost {len(seeds):,}; the first, from seed {seeds[0]}, in short:"
        for seed in seeds[:SHOWN]:
            yield repr(drawn(name, seed, names)[1])


def _report_exhaustive(jobs: int, depth: int) -> int:
    lost = 0
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context) as pool:
        sagas = {
            (name, flags): pool.submit(exhaustively, name, flags, depth)
            for name in SAGAS
            for flags in (False, True)
        }
        losses = [pool.submit(shortest_loss_in_words, name) for name in flawed()]
        for (name, flags), future in sagas.items():
            tally = future.result()
            lost += tally.lost
            kind = "next flags" if flags else "shipped flags"
            print(f"{name}, {kind}: {tally.trips:,} schedules, lost {tally.lost}")
            for problem in tally.problems[:SHOWN]:
                print(problem)
        for found in losses:
            print(*found.result(), sep="\n")
    return int(lost > 0)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=__doc__)
    parser.add_argument("--trips", type=_positive, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first trip")
    parser.add_argument("--design", action="append", choices=[*SAGAS, *flawed()])
    parser.add_argument("--jobs", type=_positive, default=multiprocessing.cpu_count())
    parser.add_argument("--fresh", action="store_true", help="execute every Activity every time")
    parser.add_argument(
        "--verify", type=_positive, default=10, metavar="N", help="replay every Nth run as well"
    )
    parser.add_argument("--exhaustive", action="store_true")
    parser.add_argument("--depth", type=_positive, default=2, help="of --exhaustive")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number


if __name__ == "__main__":
    sys.exit(main())
