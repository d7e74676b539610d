"""What a simulation leaves open, and who decides it.

The engine asks at every such place; a place has a name that stays the same when
other decisions change, so a schedule can be shrunk, printed and replayed:

* an **attempt** at an Activity: workflow, Activity, which call of it, which attempt;
* a **moment**: the engine counts its steps (a Workflow Task begins, an attempt begins,
  is carried out, is answered, a timer fires, ...), and between any two of them
  somebody may ask for a cancel, send a Signal, kill a Worker;
* a **task** of a Workflow, which may begin late, so that more comes in one activation;
* a **race**: several things are under way, and any of them may come first.

``Schedule`` is a list of decisions, one Python expression each. All else goes well.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, NamedTuple, Protocol


class Fate(str, Enum):
    """What becomes of one attempt at an Activity."""

    OK = "ok"
    SLOW = "slow"
    """Done, and the reply arrives just before the attempt times out."""
    REJECTED = "rejected"
    """The other side says no, definitely. Nothing was done."""
    OUTAGE = "outage"
    """No connection. Nothing was done; another attempt may succeed."""
    LOST_REPLY = "lost reply"
    """Done, but the connection broke before the reply arrived."""
    NO_REPLY = "no reply"
    """Done, but no reply ever: the attempt times out."""
    LATE = "late"
    """The attempt times out, and is carried out after that."""
    VERY_LATE = "very late"
    """The attempt times out, and is carried out when everything else is over."""
    CRASH_BEFORE = "crash before"
    """The Worker process dies before it does anything."""
    CRASH_AFTER = "crash after"
    """The Worker process dies between the doing and the reply."""


FAULTS: tuple[Fate, ...] = tuple(fate for fate in Fate if fate is not Fate.OK)


class Site(NamedTuple):
    """One attempt at one Activity; ``call`` and ``attempt`` are counted from 1."""

    workflow: str
    activity: str
    call: int
    attempt: int


class Decision:
    """One line of a schedule."""

    def __repr__(self) -> str:
        """Only what was not left at its default."""
        shown: list[str] = []
        for number, entry in enumerate(fields(self)):  # type: ignore[arg-type]
            value = getattr(self, entry.name)
            if value == entry.default:
                continue
            text = repr(value.value if isinstance(value, Enum) else value)
            shown.append(text if number < 2 and len(shown) == number else f"{entry.name}={text}")
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, repr=False)
class Fault(Decision):
    """The ``attempts`` attempts from ``attempt`` on (0: all of them) of one call go wrong.

    ``call`` 0 is every call.
    """

    activity: str
    fate: str
    call: int = 1
    attempt: int = 1
    attempts: int = 1
    workflow: str = ""

    def __post_init__(self) -> None:
        Fate(self.fate)

    def applies(self, site: Site) -> bool:
        """Whether it speaks of this attempt."""
        return (
            site.activity == self.activity
            and self.call in (0, site.call)
            and site.attempt >= self.attempt
            and (not self.attempts or site.attempt < self.attempt + self.attempts)
            and self.workflow in ("", site.workflow)
        )


@dataclass(frozen=True, repr=False)
class Arrival(Decision):
    """Something from outside arrives before step ``at``; ``workflow`` is an id, or all.

    ``during``: not before the step, but while a Worker has the Workflow Task that begins
    with it. What closes the Workflow then is refused by the server ("unhandled command").
    """

    at: int
    workflow: str = ""
    during: bool = False


@dataclass(frozen=True, repr=False)
class Cancel(Arrival):
    """A request to cancel."""


@dataclass(frozen=True, repr=False)
class Terminate(Arrival):
    """Termination: no more code of the Workflow runs."""


@dataclass(frozen=True, repr=False)
class Evict(Arrival):
    """The Worker drops the Workflow from its cache; the next task replays it."""


@dataclass(frozen=True, repr=False)
class Crash(Arrival):
    """The Worker process dies, with all that it is doing, and another one starts."""


@dataclass(frozen=True, repr=False)
class Signal(Arrival):
    """A Signal; ``args`` is a tuple."""

    name: str = ""
    args: tuple[Any, ...] = ()


@dataclass(frozen=True, repr=False)
class Update(Arrival):
    """An Update; ``args`` is a tuple."""

    name: str = ""
    args: tuple[Any, ...] = ()


@dataclass(frozen=True, repr=False)
class Do(Arrival):
    """One of the ``happenings`` given to the simulation, by its name."""

    name: str = ""


@dataclass(frozen=True, repr=False)
class Hold(Decision):
    """Workflow Task ``task`` (failed ones count) begins only after ``events`` more events."""

    task: int
    events: int = 1
    workflow: str = ""


@dataclass(frozen=True, repr=False)
class First(Decision):
    """At step ``at`` the one of those under way that would be ``pick`` places later comes first."""

    at: int
    pick: int = 1


class Schedule(Sequence[Decision]):
    """The decisions that were made; all else goes well and in order."""

    def __init__(self, *decisions: Decision) -> None:
        self.decisions = decisions

    def __len__(self) -> int:
        return len(self.decisions)

    def __getitem__(self, index: Any) -> Any:
        return self.decisions[index]

    def __iter__(self) -> Iterator[Decision]:
        return iter(self.decisions)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schedule) and self.decisions == other.decisions

    def __hash__(self) -> int:
        return hash(self.decisions)

    def __add__(self, more: Iterable[Decision]) -> Schedule:
        return Schedule(*self.decisions, *more)

    def without(self, dropped: Iterable[Decision]) -> Schedule:
        """The schedule without these decisions."""
        gone = list(dropped)
        return Schedule(*(d for d in self.decisions if d not in gone))

    def __repr__(self) -> str:
        """Python lines that build it again."""
        if not self.decisions:
            return "Schedule()"
        lines = "".join(f"    {decision!r},\n" for decision in self.decisions)
        return f"Schedule(\n{lines})"


class Choices(Protocol):
    """Decides what the engine leaves open."""

    races: bool
    """Whether ``first`` wants to be asked at all; finding out who races costs time."""

    def fate(self, site: Site) -> Fate:
        """What becomes of this attempt."""
        ...

    def arrivals(self, moment: int) -> Sequence[Arrival]:
        """What arrives from outside before this step."""
        ...

    def hold(self, workflow: str, task: int) -> int:
        """How many more events this Workflow Task waits for before it begins."""
        ...

    def first(self, moment: int, among: int) -> int:
        """Which of ``among`` things under way comes first, counted from 0."""
        ...


class Fixed:
    """As a schedule says. ``races``: be asked about every race, to learn where they are."""

    def __init__(self, schedule: Iterable[Decision] = (), *, races: bool = False) -> None:
        self.decisions = tuple(schedule)
        self._faults: dict[str, list[Fault]] = {}
        self._arrivals: dict[int, list[Arrival]] = {}
        self._holds: list[Hold] = []
        self._firsts: dict[int, int] = {}
        for decision in self.decisions:
            match decision:
                case Fault():
                    self._faults.setdefault(decision.activity, []).append(decision)
                case Arrival():
                    self._arrivals.setdefault(decision.at, []).append(decision)
                case Hold():
                    self._holds.append(decision)
                case First():
                    self._firsts[decision.at] = decision.pick
                case _:
                    raise ValueError(f"{decision!r} is no decision; expected a Fault, a Cancel, …")
        self.races = races or bool(self._firsts)

    def fate(self, site: Site) -> Fate:
        for fault in self._faults.get(site.activity, ()):
            if fault.applies(site):
                return Fate(fault.fate)
        return Fate.OK

    def arrivals(self, moment: int) -> Sequence[Arrival]:
        return self._arrivals.get(moment, ())

    def hold(self, workflow: str, task: int) -> int:
        for hold in self._holds:
            if hold.task == task and hold.workflow in ("", workflow):
                return hold.events
        return 0

    def first(self, moment: int, among: int) -> int:
        return min(self._firsts.get(moment, 0), among - 1)


@dataclass(frozen=True)
class Odds:
    """How often what goes wrong in a random schedule; shares between 0 and 1.

    ``fault`` is per attempt, for the first ``faulty_attempts`` of a call; what it is
    is drawn from ``fates`` by weight. A ``lasting`` share of the faults hits all further
    attempts that ``faulty_attempts`` allows. The others are per step or per Workflow Task;
    ``during`` is the share of arrivals that come while a Workflow Task is under way.
    ``arrivals`` are what else may arrive, each with its share per step: a decision whose
    ``at`` does not matter.
    """

    fault: float = 0.08
    faulty_attempts: int = 4
    lasting: float = 0.5
    fates: Mapping[Fate, float] = field(default_factory=lambda: dict.fromkeys(FAULTS, 1.0))
    cancel: float = 0.01
    crash: float = 0.004
    evict: float = 0.01
    during: float = 0.3
    hold: float = 0.1
    race: float = 0.2
    arrivals: Mapping[Arrival, float] = field(default_factory=dict)


class Drawn:
    """Drawn from one integer seed; ``decisions`` are those made so far."""

    def __init__(self, seed: int, odds: Odds | None = None) -> None:
        self._odds = odds or Odds()
        self._random = random.Random(seed)
        self._lasting: dict[tuple[str, str, int], Fate] = {}
        self._fates = list(self._odds.fates)
        self._weights = list(self._odds.fates.values())
        arrivals: dict[Arrival, float] = {
            Cancel(0): self._odds.cancel,
            Crash(0): self._odds.crash,
            Evict(0): self._odds.evict,
            **self._odds.arrivals,
        }
        self._kinds = [(kind, share) for kind, share in arrivals.items() if share]
        self._any_arrival = sum(share for _kind, share in self._kinds)
        self.races = self._odds.race > 0
        self.decisions: list[Decision] = []

    @property
    def schedule(self) -> Schedule:
        """What was drawn, as decisions that replay it."""
        return Schedule(*self.decisions)

    def fate(self, site: Site) -> Fate:
        if site.attempt > self._odds.faulty_attempts:
            return Fate.OK
        call = site[:3]
        fate = self._lasting.get(call)
        if fate is None:
            if self._random.random() >= self._odds.fault:
                return Fate.OK
            (fate,) = self._random.choices(self._fates, self._weights)
            if self._random.random() < self._odds.lasting:
                self._lasting[call] = fate
        self.decisions.append(
            Fault(site.activity, fate.value, site.call, site.attempt, workflow=site.workflow)
        )
        return fate

    def arrivals(self, moment: int) -> Sequence[Arrival]:
        if self._random.random() >= self._any_arrival:
            return ()
        weights = [share for _kind, share in self._kinds]
        (kind,) = self._random.choices([kind for kind, _share in self._kinds], weights)
        others = {f.name: getattr(kind, f.name) for f in fields(kind)} | {"at": moment}
        others["during"] = self._random.random() < self._odds.during
        arrival = type(kind)(**others)
        self.decisions.append(arrival)
        return (arrival,)

    def hold(self, workflow: str, task: int) -> int:
        if self._random.random() >= self._odds.hold:
            return 0
        events = self._random.randint(1, 3)
        self.decisions.append(Hold(task, events, workflow))
        return events

    def first(self, moment: int, among: int) -> int:
        if self._random.random() >= self._odds.race:
            return 0
        pick = self._random.randrange(among)
        if pick:
            self.decisions.append(First(moment, pick))
        return pick
