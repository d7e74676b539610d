"""What a saga is put through: every fault at every step and in every undo, cancels, chance.

Nothing here knows a domain. What the steps are and which undos there are is found out by
running the saga calmly and by failing each step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from .choices import Cancel, Crash, Decision, Evict, Fate, Fault, Schedule
from .prove_judging import Chart
from .prove_runs import Ran, Subject

REJECTION = "rejection"
OUTAGE = "outage"
BLIP = "blip"
LOST = "lost reply"
LATE = "late commit"
CRASH = "crash"
CANCEL = "cancel"
CANCEL_UNDOING = "cancel while undoing"
UNDO_DOWN = "undo down"
UNDO_AGAIN = "undo asked twice"
EVICTION = "eviction"
PAIR = "two faults"
CHANCE = "by chance"

WHAT = {
    REJECTION: ("each step refused", "what was done before it is undone"),
    OUTAGE: ("each step's provider down for good", "nothing is left"),
    BLIP: ("one failed attempt at each step", "whole, or nothing is left"),
    LOST: ("each step done, its reply lost, once or for good", "whole, or nothing is left"),
    LATE: ("each step done only after its time was up", "whole, or nothing is left"),
    CRASH: ("the Worker dies in each step and each undo", "whole, or nothing is left"),
    CANCEL: ("a cancel request at every moment", "whole, or nothing is left"),
    CANCEL_UNDOING: ("a cancel request, or two, at every moment of the undoing", "nothing is left"),
    UNDO_DOWN: ("each undo's provider down, for a while or for good", "nobody gives it up"),
    UNDO_AGAIN: ("each undo done, its reply lost or late", "undone once"),
    EVICTION: ("dropped from the Worker's cache at every moment", "as if nothing had happened"),
    PAIR: ("a fault in each step and another in each undo", "nothing is left"),
    CHANCE: ("faults, cancels, crashes and races by chance", "whole, or nothing is left"),
}
"""The kinds of trouble: what is tried, and what should hold."""

TURNS = 8
"""An undo's provider stays down for so many calls of the undo, one after the other …"""

TRIES = 400
"""… or for so many attempts at one call, whichever is over first."""


@dataclass(frozen=True)
class Trial:
    """A schedule, or the seed of one, and the kind of trouble that it is."""

    kind: str
    schedule: Schedule | None
    seed: int = 0
    next_flags: bool = False

    def run(self, subject: Subject, known: Chart) -> Ran:
        """What comes of it."""
        if self.schedule is None:
            return subject.by_chance(self.seed, known.undos, next_flags=self.next_flags)
        return subject.run(self.schedule, next_flags=self.next_flags)


PATIENT_TRIES = 30
"""So many, for a step that is tried until it succeeds."""

LOOKS = 40
"""At so many moments of a failing run a cancel request is tried."""


def lasting(activity: str, fate: Fate, call: int = 1, patient: bool = False) -> Fault:
    """Every attempt at that call goes wrong like this, or as many as its patience is tried with."""
    return Fault(activity, fate.value, call, attempts=PATIENT_TRIES if patient else 0)


def _and(schedule: Schedule, *more: Decision) -> Schedule:
    return Schedule(*schedule, *more)


def _moments(ran: Ran, begin: int = 1, looks: int = LOOKS) -> range:
    return range(begin, ran.moments + 1, max(1, (ran.moments - begin) // looks))


def chart(subject: Subject) -> Chart:
    """Find the steps and their undos: a calm run, then one for each way to fail each step."""
    before = subject.held_before()
    calm = subject.run(Schedule(), watch=True)
    sites = calm.sites
    patient = frozenset(
        (name, call)
        for name, call in sites
        if subject.run(Schedule(lasting(name, Fate.OUTAGE, call))).reason_to_wait
    )
    failed = {
        (name, call, fate): subject.run(
            Schedule(lasting(name, fate, call, (name, call) in patient))
        )
        for name, call in sites
        for fate in (Fate.REJECTED, Fate.OUTAGE, Fate.LOST_REPLY)
    }
    steps = tuple(dict.fromkeys(name for name, _call in sites))
    undos = _undos(steps, failed.values())
    auxiliary = _auxiliary(calm, subject.auxiliary)
    known = Chart(steps, undos, auxiliary, {}, calm, before, patient)
    return replace(known, undo_of=_undo_of(known, failed))


def _undos(steps: Sequence[str], failed: Iterable[Ran]) -> tuple[str, ...]:
    """What only a failure brings about. Where the saga then stands, that was a plan B."""
    named = dict.fromkeys(op.activity for ran in failed if not ran.stands for op in ran.ops)
    return tuple(name for name in named if name not in steps)


def _auxiliary(calm: Ran, given: frozenset[str] | None) -> frozenset[str]:
    """Steps after the last one that changed what is held: a message to somebody, say."""
    if given is not None:
        return given
    names: list[str] = []
    for op in reversed(calm.ops):
        if op.changed_the_world:
            break
        names.append(op.activity)
    if len(names) == len(calm.ops):  # nothing is ever held: nothing can be said
        return frozenset()
    earlier = {op.activity for op in calm.ops[: len(calm.ops) - len(names)]}
    return frozenset(names) - earlier


def _undo_of(known: Chart, failed: dict[tuple[str, int, Fate], Ran]) -> dict[str, str]:
    """An undo belongs to the step with which it first appears, or to the one before.

    It appears with its own step if it was registered first; if late, with the next one,
    and then something is left when the own step's reply is lost.
    """
    changing = {op.activity for op in known.calm.ops if op.changed_the_world}
    found: dict[str, str] = {}
    for name, call in known.calm.sites:
        lost, never = failed[name, call, Fate.LOST_REPLY], failed[name, call, Fate.OUTAGE]
        ran = dict.fromkeys(op.activity for op in lost.ops)
        new = [each for each in ran if each in known.undos and each not in found.values()]
        own = lost.held == never.held  # what it did itself was undone
        steps = [e for e in ran if e in changing and e not in found and (own or e != name)]
        if len(new) == len(steps):  # newest first: the last undo belongs to the oldest step
            found.update(zip(steps, reversed(new), strict=True))
        elif own and new and name in steps:
            found[name] = new[0]
    return found


def trials(subject: Subject, known: Chart, seed: int, random: int) -> Iterator[Trial]:
    """All trials, from the simplest to chance."""
    yield from _at_steps(known)
    worst = _worst(subject, known)
    yield from _in_undos(subject, known, worst)
    yield from _cancels(subject, known, worst)
    yield from _evictions(subject, known, worst)
    yield from _pairs(subject, known)
    yield from _by_chance(seed, random)


def _at_steps(known: Chart) -> Iterator[Trial]:
    for name, call in known.calm.sites:
        once = {fate: Fault(name, fate.value, call) for fate in Fate if fate is not Fate.OK}
        for_ever = {fate: _lasting(known, name, fate, call) for fate in once}
        yield Trial(REJECTION, Schedule(for_ever[Fate.REJECTED]))
        yield Trial(OUTAGE, Schedule(for_ever[Fate.OUTAGE]))
        yield Trial(BLIP, Schedule(once[Fate.OUTAGE]))
        for fate in (Fate.LOST_REPLY, Fate.NO_REPLY):
            yield Trial(LOST, Schedule(once[fate]))
            yield Trial(LOST, Schedule(for_ever[fate]))
        for fate in (Fate.LATE, Fate.VERY_LATE):
            tries = PATIENT_TRIES if (name, call) in known.patient else 0
            after = Fault(name, Fate.OUTAGE.value, call, attempt=2, attempts=tries)
            yield Trial(LATE, Schedule(once[fate]))
            yield Trial(LATE, Schedule(once[fate], after))
        yield Trial(LATE, Schedule(once[Fate.SLOW]))
        for fate in (Fate.CRASH_BEFORE, Fate.CRASH_AFTER):
            yield Trial(CRASH, Schedule(once[fate]))


def _lasting(known: Chart, name: str, fate: Fate, call: int) -> Fault:
    return lasting(name, fate, call, (name, call) in known.patient)


def _worst(subject: Subject, known: Chart) -> Schedule:
    """The failure after which most is undone."""
    tried = [
        Schedule(_lasting(known, name, fate, call))
        for name, call in known.calm.sites
        for fate in (Fate.REJECTED, Fate.OUTAGE, Fate.LOST_REPLY)
    ]
    return max(tried, key=lambda schedule: len(_undone(subject.run(schedule), known)))


def _undone(ran: Ran, known: Chart) -> list[tuple[str, int]]:
    """The undos of a run, each with the number of its call."""
    return [(op.activity, op.call) for op in ran.ops if op.activity in known.undos]


def _in_undos(subject: Subject, known: Chart, worst: Schedule) -> Iterator[Trial]:
    for undo, call in _undone(subject.run(worst), known):
        yield Trial(UNDO_DOWN, _and(worst, Fault(undo, Fate.OUTAGE.value, call)))
        yield Trial(UNDO_DOWN, _and(worst, *down_for_a_while(undo, call)))
        yield Trial(UNDO_DOWN, _and(worst, Fault(undo, Fate.OUTAGE.value, call=0, attempts=0)))
        for fate in (Fate.LOST_REPLY, Fate.NO_REPLY, Fate.LATE, Fate.VERY_LATE, Fate.SLOW):
            yield Trial(UNDO_AGAIN, _and(worst, Fault(undo, fate.value, call)))
        for fate in (Fate.CRASH_BEFORE, Fate.CRASH_AFTER):
            yield Trial(CRASH, _and(worst, Fault(undo, fate.value, call)))


def down_for_a_while(undo: str, call: int = 1) -> list[Decision]:
    """Its provider is down for hours: many attempts at one call, or many calls."""
    return [
        Fault(undo, Fate.OUTAGE.value, turn, attempts=TRIES) for turn in range(call, call + TURNS)
    ]


def _cancels(subject: Subject, known: Chart, worst: Schedule) -> Iterator[Trial]:
    """Also with the SDK's next logic flags: they decide what a cancel does beside a reply."""
    for moment in _moments(known.calm, looks=2 * LOOKS):
        for flags in (False, True):
            yield Trial(CANCEL, Schedule(Cancel(moment)), next_flags=flags)
    for step, call in known.calm.sites:
        lost = Schedule(_lasting(known, step, Fate.LOST_REPLY, call))
        for moment in _moments(subject.run(lost), looks=LOOKS // 4):
            yield Trial(CANCEL, _and(lost, Cancel(moment)))
    undoing = subject.run(worst)
    begin = undoing.first_moment_of(known.undos)
    for moment in _moments(undoing, begin):
        yield Trial(CANCEL_UNDOING, _and(worst, Cancel(moment)))
        yield Trial(
            CANCEL_UNDOING, _and(worst, Cancel(moment), Cancel(moment + 3)), next_flags=True
        )


def _evictions(subject: Subject, known: Chart, worst: Schedule) -> Iterator[Trial]:
    for base in (Schedule(), worst):
        for moment in _moments(subject.run(base), looks=LOOKS // 4):
            yield Trial(EVICTION, _and(base, Evict(moment)))
            yield Trial(EVICTION, _and(base, Crash(moment)))


def _pairs(subject: Subject, known: Chart) -> Iterator[Trial]:
    for step, call in known.calm.sites:
        for first in (Fate.REJECTED, Fate.LOST_REPLY):
            base = Schedule(_lasting(known, step, first, call))
            for undo, turn in _undone(subject.run(base), known):
                for fate in (Fate.OUTAGE, Fate.LOST_REPLY, Fate.NO_REPLY, Fate.CRASH_AFTER):
                    yield Trial(PAIR, _and(base, Fault(undo, fate.value, turn)))


def _by_chance(seed: int, number: int) -> Iterator[Trial]:
    for place in range(number):
        yield Trial(CHANCE, None, seed + place, next_flags=bool(place % 2))
