"""Makes a failing schedule small: what is left is what it takes.

Delta debugging (Zeller and Hildebrandt, 2002) over the decisions, then each decision
is made simpler, until nothing more can be left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

from .choices import Arrival, Decision, Fate, Fault, First, Hold, Schedule

PATIENCE = 400
"""Runs after which the smallest found so far has to do."""

_SIMPLER = (Fate.OUTAGE, Fate.LOST_REPLY, Fate.NO_REPLY, Fate.LATE)


class _Enough(Exception):
    pass


def shrink(
    schedule: Schedule, fails: Callable[[Schedule], bool], *, patience: int = PATIENCE
) -> Schedule:
    """A smallest schedule for which ``fails`` still holds.

    Raises ``ValueError`` if it does not hold for ``schedule`` itself.
    """
    if not fails(schedule):
        raise ValueError("The schedule to shrink does not fail; expected one that does.")
    left = patience
    best = schedule

    def tried(decisions: Sequence[Decision]) -> bool:
        nonlocal left, best
        if left == 0:
            raise _Enough
        left -= 1
        candidate = Schedule(*decisions)
        if not fails(candidate):
            return False
        best = candidate
        return True

    try:
        while True:
            before = best
            _fewer(list(best), tried)
            _simpler(list(best), tried)
            if best == before:
                return best
    except _Enough:
        return best


def _fewer(decisions: list[Decision], tried: Callable[[Sequence[Decision]], bool]) -> None:
    chunk = max(len(decisions) // 2, 1)
    while decisions:
        start = 0
        shorter = False
        while start < len(decisions):
            without = decisions[:start] + decisions[start + chunk :]
            if tried(without):
                decisions = without
                shorter = True
            else:
                start += chunk
        if chunk == 1 and not shorter:
            return
        chunk = max(chunk // 2, 1)


def _simpler(decisions: list[Decision], tried: Callable[[Sequence[Decision]], bool]) -> None:
    for number in range(len(decisions)):
        for candidate in _variants(decisions[number]):
            changed = [*decisions[:number], candidate, *decisions[number + 1 :]]
            if tried(changed):
                decisions = changed
                break


def _variants(decision: Decision) -> Iterator[Decision]:
    match decision:
        case Fault():
            fate = Fate(decision.fate)
            known = _SIMPLER.index(fate) if fate in _SIMPLER else len(_SIMPLER)
            for simpler in _SIMPLER[:known]:
                yield dataclasses.replace(decision, fate=simpler.value)
            if decision.attempts != 1:
                yield dataclasses.replace(decision, attempts=1)
        case Hold() if decision.events > 1:
            yield dataclasses.replace(decision, events=1)
        case First() if decision.pick > 1:
            yield dataclasses.replace(decision, pick=1)
        case Arrival():
            if decision.during:
                yield dataclasses.replace(decision, during=False)
            for earlier in sorted({1, decision.at // 2, decision.at - 1} - {0, decision.at}):
                yield dataclasses.replace(decision, at=earlier)
