"""One Workflow in one world, run again and again under different schedules."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from .choices import (
    FAULTS,
    Arrival,
    Cancel,
    Choices,
    Crash,
    Decision,
    Evict,
    Fate,
    Fault,
    First,
    Fixed,
    Hold,
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
    task_moments: list[int] = field(default_factory=list)
    holds: list[tuple[int, str, int]] = field(default_factory=list)
    races: list[tuple[int, int]] = field(default_factory=list)
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
    outcome.task_moments = simulation.task_moments
    outcome.holds = simulation.holds
    outcome.races = simulation.races
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

HELD = (1, 2)
"""For how many more events a Workflow Task is held back."""

Place = tuple[int, int]
"""Where in a run something is decided: the step, and in which order within it."""

BEFORE, FIRST, IN, MEANWHILE = range(4)


def faults_at(
    outcome: Outcome, fates: Iterable[Fate] = FAULTS, lasting: Iterable[int] = (1,)
) -> list[Fault]:
    """Every fault at every attempt of a run.

    ``lasting`` says for how many attempts in a row (0: all); more than one only from the
    first attempt on.
    """
    return [fault for _moment, fault in _faults(outcome, tuple(fates), tuple(lasting))]


def cancels_at(outcome: Outcome) -> list[Arrival]:
    """A cancel request before every step of a run, and during every Workflow Task."""
    return _arrivals_at(outcome, Cancel)


def arrivals_at(outcome: Outcome) -> list[Arrival]:
    """A cancel request, an eviction and the death of the Worker, each at every such moment."""
    return _arrivals_at(outcome, Cancel, Evict, Crash)


def _arrivals_at(outcome: Outcome, *kinds: type[Arrival]) -> list[Arrival]:
    moments = range(1, outcome.moments + 1)
    between = [kind(moment) for kind in kinds for moment in moments]
    return [*between, *(kind(at, during=True) for kind in kinds for at in outcome.task_moments)]


def every(
    trial: Trial,
    depth: int = 1,
    *,
    fates: Iterable[Fate] = FAULTS,
    lasting: Iterable[int] = (1,),
    arrivals: Callable[[Outcome], Iterable[Arrival]] = cancels_at,
    orders: bool = False,
) -> Iterator[Outcome]:
    """All runs with at most ``depth`` deviations from the calm one, fewest first.

    Each further deviation is one that the run so far leaves room for: a fault at an attempt
    that began after the last deviation, an arrival after it and, with ``orders``, another
    order of what is under way. So nothing is tried twice, and a fault in an undo that only
    a fault brings about is tried too.
    """
    kinds = tuple(fates), tuple(lasting)
    calm = trial.run(Fixed(races=orders))
    yield calm
    level = [(calm, (0, 0))]
    for _ in range(depth):
        following = []
        for base, after in level:
            for place, decision in _options(base, after, *kinds, arrivals, orders):
                outcome = trial.run(Fixed((*base.schedule, decision), races=orders))
                yield outcome
                if outcome.problem is None:
                    following.append((_light(outcome), place))
        level = following


def _options(
    base: Outcome,
    after: Place,
    fates: tuple[Fate, ...],
    lasting: tuple[int, ...],
    arrivals: Callable[[Outcome], Iterable[Arrival]],
    orders: bool,
) -> list[tuple[Place, Decision]]:
    found: list[tuple[Place, Decision]] = list(_faults(base, fates, lasting))
    found += [((one.at, MEANWHILE if one.during else BEFORE), one) for one in arrivals(base)]
    if orders:
        found += _orders(base)
    return sorted((o for o in found if o[0] > after), key=lambda option: option[0])


def _faults(
    outcome: Outcome, fates: tuple[Fate, ...], lasting: tuple[int, ...]
) -> Iterator[tuple[Place, Fault]]:
    for moment, site in outcome.sites:
        for fate in fates:
            for attempts in lasting if site.attempt == 1 else (1,):
                yield (
                    (moment, IN),
                    Fault(site.activity, fate.value, site.call, site.attempt, attempts),
                )


def _orders(outcome: Outcome) -> Iterator[tuple[Place, Decision]]:
    for moment, among in outcome.races:
        for pick in range(1, among):
            yield (moment, FIRST), First(moment, pick)
    several = len({workflow for _moment, workflow, _task in outcome.holds}) > 1
    for moment, workflow, task in outcome.holds:
        for events in HELD:
            yield (moment, IN), Hold(task, events, workflow if several else "")


def _light(outcome: Outcome) -> Outcome:
    """What is needed to go on from there; a million handles would not fit in memory."""
    return Outcome(
        outcome.schedule,
        outcome.status,
        sites=outcome.sites,
        task_moments=outcome.task_moments,
        holds=outcome.holds,
        races=outcome.races,
        moments=outcome.moments,
    )
