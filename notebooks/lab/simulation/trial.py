"""One Workflow in one world, run again and again under different schedules."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import combinations
from typing import Any

from .choices import (
    FAULTS,
    Arrival,
    Cancel,
    Choices,
    Decision,
    Fate,
    Fault,
    Schedule,
    Site,
)
from .code import Code
from .errors import SimulationError
from .remembered import Remembered
from .server import RUNNING
from .simulation import MAX_STEPS, Handle, Simulation
from .world import Nothing, World


@dataclass
class Outcome:
    """What came of one run.

    ``status`` is the Workflow's, ``"running"`` if it stayed open. ``error`` is what its
    caller sees, ``task_error`` why an open one cannot go on, ``problem`` what the simulator
    itself found (``NotDeterministic``, ``NeverYields``, ``NotSimulated``). ``scheduled`` are
    all Activities in the order of scheduling, ``faults`` what went wrong, by kind, and
    ``left`` what ``judge`` found left behind.
    """

    schedule: Schedule
    status: str
    error: BaseException | None = None
    task_error: BaseException | None = None
    problem: SimulationError | None = None
    result: Any = None
    scheduled: list[str] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    sites: list[tuple[int, Site]] = field(default_factory=list)
    moments: int = 0
    seconds: float = 0
    exhausted: bool = False
    left: Any = None
    handle: Handle | None = None

    @property
    def moment_of(self) -> dict[Site, int]:
        """The step at which each attempt began."""
        return {site: moment for moment, site in self.sites}


@dataclass
class Trial:
    """How to run it. ``judge`` looks at the world afterwards; false values mean all is well.

    ``options`` go to ``Simulation.start``, ``engine`` to ``Simulation``. ``script`` may do
    more than start the Workflow: it is given the simulation and returns the handle.
    """

    code: Code
    workflow: Any
    args: Sequence[Any] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    world: World = field(default_factory=Nothing)
    judge: Callable[[Outcome], Any] = lambda outcome: None
    engine: Mapping[str, Any] = field(default_factory=dict)
    script: Callable[[Simulation], Handle] | None = None
    verify: bool = True
    max_steps: int = MAX_STEPS

    def __post_init__(self) -> None:
        self._before = self.world.snapshot()

    def run(self, choices: Choices | Iterable[Decision] | int | None = None) -> Outcome:
        """Put the world back, run under these choices, judge."""
        self.world.restore(self._before)
        memory = self.world if isinstance(self.world, Remembered) else None
        simulation = Simulation(
            self.code, choices, max_steps=self.max_steps, memory=memory, **self.engine
        )
        handle = None
        problem: SimulationError | None = None
        try:
            handle = self._start(simulation)
            simulation.run()
            if self.verify:
                simulation.verify()
        except SimulationError as error:
            problem = error
        schedule = choices if isinstance(choices, Schedule) else simulation.schedule
        if not schedule and choices is not None and not isinstance(choices, int):
            schedule = Schedule(*choices) if isinstance(choices, Sequence) else schedule
        outcome = _outcome(simulation, handle, problem, schedule)
        outcome.left = self.judge(outcome)
        simulation.close()
        return outcome

    def _start(self, simulation: Simulation) -> Handle:
        if self.script is not None:
            return self.script(simulation)
        return simulation.start(self.workflow, *self.args, **self.options)

    def with_code(self, **changes: Any) -> Trial:
        """The same with another ``Code``, ``workflow``, …"""
        return dataclasses.replace(self, **changes)


def _outcome(
    simulation: Simulation,
    handle: Handle | None,
    problem: SimulationError | None,
    schedule: Schedule,
) -> Outcome:
    outcome = Outcome(schedule, RUNNING, problem=problem, handle=handle)
    outcome.scheduled = simulation.scheduled
    outcome.faults = simulation.faults
    outcome.sites = simulation.sites
    outcome.moments = simulation.moment
    outcome.seconds = timedelta(microseconds=simulation.now // 1000).total_seconds()
    outcome.exhausted = simulation.exhausted
    if handle is not None:
        outcome.status = handle.status
        outcome.error = handle.error
        outcome.task_error = handle.task_error
        if outcome.status == "completed":
            outcome.result = handle.result()
    return outcome


# --- systematically ------------------------------------------------------------------------


def faults_at(outcome: Outcome, fates: Iterable[Fate] = FAULTS) -> list[Fault]:
    """Every fault at every attempt of a run."""
    return [
        Fault(site.activity, fate.value, site.call, site.attempt)
        for _moment, site in outcome.sites
        for fate in fates
    ]


def cancels_at(outcome: Outcome, after: int = 0) -> list[Cancel]:
    """A cancel request before every step of a run."""
    return [Cancel(moment) for moment in range(after + 1, outcome.moments + 1)]


def every(
    trial: Trial,
    depth: int = 1,
    *,
    fates: Iterable[Fate] = FAULTS,
    arrivals: Callable[[Outcome], Iterable[Arrival]] = cancels_at,
) -> Iterator[Outcome]:
    """All runs with at most ``depth`` deviations from the calm one.

    Each further deviation is one that the run so far leaves room for: a fault at an attempt
    that began after the last deviation, an arrival at a step after it. So nothing is tried
    twice, and a fault in an undo that only a fault brings about is tried too.
    """
    kinds = tuple(fates)
    calm = trial.run(Schedule())
    yield calm
    yield from _deviations(trial, calm, 0, depth, kinds, arrivals)


def _deviations(
    trial: Trial,
    base: Outcome,
    after: int,
    depth: int,
    fates: tuple[Fate, ...],
    arrivals: Callable[[Outcome], Iterable[Arrival]],
) -> Iterator[Outcome]:
    if depth == 0 or base.problem is not None:
        return
    options: list[tuple[int, Decision]] = [
        (moment, Fault(site.activity, fate.value, site.call, site.attempt))
        for moment, site in base.sites
        if moment > after
        for fate in fates
    ]
    options += [(arrival.at, arrival) for arrival in arrivals(base) if arrival.at > after]
    for moment, decision in sorted(options, key=lambda option: option[0]):
        outcome = trial.run(base.schedule + [decision])
        yield outcome
        yield from _deviations(trial, outcome, moment, depth - 1, fates, arrivals)


def pairs(decisions: Sequence[Decision]) -> Iterator[Schedule]:
    """Every two of them."""
    for one, other in combinations(decisions, 2):
        yield Schedule(one, other)
