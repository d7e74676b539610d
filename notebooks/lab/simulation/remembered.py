"""A world that remembers what Activities did to it, so that each thing is done only once.

A million schedules of one saga meet few different worlds. What an Activity does depends
on the world it finds and on its arguments. So the second time that the same Activity
with the same arguments meets the same world, its answer is recalled, and the world it
left behind; nothing is executed. What is asked of the world (an audit) is remembered too.

This is right for synchronous Activities that depend on nothing else: no clock, no
randomness, no state of their own. One that asks ``activity.info()`` or sends a heartbeat
is executed every time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from .world import World

R = TypeVar("R")


class Remembered:
    """``world`` with a memory; its snapshots must be hashable (``SqliteRows``, say)."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._snapshots: list[Any] = []
        self._numbers: dict[Any, int] = {}
        self._done: dict[tuple[int, Hashable], tuple[Any, int]] = {}
        self._asked: dict[tuple[int, Hashable], Any] = {}
        self._state = self._there = self._number(world.snapshot())
        self.executed = self.recalled = 0

    # --- as a world --------------------------------------------------------------------

    def snapshot(self) -> int:
        """Which of the worlds met so far it is now."""
        return self._state

    def restore(self, snapshot: int) -> None:
        self._state = snapshot

    # --- memory ------------------------------------------------------------------------

    def recall(self, what: Hashable) -> Any:
        """The answer to ``what``, or None if this world has not seen it; moves on with it."""
        found = self._done.get((self._state, what))
        if found is None:
            return None
        self.recalled += 1
        answer, self._state = found
        return answer

    def begin(self) -> None:
        """Make the real world what it should be: something is about to be executed."""
        if self._there != self._state:
            self._world.restore(self._snapshots[self._state])
            self._there = self._state

    def lost(self) -> None:
        """Somebody else has changed the real world: put it right before it is used again."""
        self._there = -1

    def learn(self, what: Hashable | None, answer: Any) -> None:
        """Note what came of it; ``None`` is something that must not be recalled."""
        self.executed += 1
        before = self._state
        self._state = self._there = self._number(self._world.snapshot())
        if what is not None:
            self._done[before, what] = (answer, self._state)

    def do(self, what: Hashable, action: Callable[[], R]) -> R:
        """Execute ``action``, or recall what it did; for what is done beside Activities."""
        found = self._done.get((self._state, what))
        if found is None:
            self.begin()
            answer = action()
            self.learn(what, answer)
            return answer
        self.recalled += 1
        answer, self._state = found
        return answer

    def ask(self, what: Hashable, question: Callable[[], R]) -> R:
        """Ask the world something that changes nothing; the same world gives the same answer."""
        key = (self._state, what)
        if key not in self._asked:
            self.begin()
            self._asked[key] = question()
        return self._asked[key]  # type: ignore[no-any-return]

    @property
    def worlds(self) -> int:
        """How many different worlds were met."""
        return len(self._snapshots)

    def _number(self, snapshot: Any) -> int:
        number = self._numbers.setdefault(snapshot, len(self._snapshots))
        if number == len(self._snapshots):
            self._snapshots.append(snapshot)
        return number
