"""Virtual time: it moves only when nothing is left to do, and then at once.

The idea is FoundationDB's: one thread, one queue, and no clock but this one.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

SECOND = 1_000_000_000
MILLISECOND = 1_000_000


class Item:
    """Something that will happen at ``when`` (nanoseconds since the simulation began).

    ``soft`` ones depend on how fast networks and machines are, so others may overtake them.
    ``background`` ones are not waited for: they alone do not keep a simulation going.
    """

    __slots__ = ("_queue", "action", "background", "label", "soft", "when")

    def __init__(
        self,
        queue: Queue,
        when: int,
        action: Callable[[], None],
        label: str,
        soft: bool,
        background: bool,
    ) -> None:
        self._queue = queue
        self.when = when
        self.action: Callable[[], None] | None = action
        self.label = label
        self.soft = soft
        self.background = background

    def cancel(self) -> None:
        """See that it does not happen."""
        self.take()

    def take(self) -> Callable[[], None] | None:
        """What is to happen; it will not happen again."""
        action, self.action = self.action, None
        if action is not None and not self.background:
            self._queue.waiting -= 1
        return action


class Queue:
    """What will happen, and the time it is."""

    JITTER = 50 * MILLISECOND
    """How much later one soft event may come than another and still overtake it."""

    def __init__(self) -> None:
        self.now = 0
        self.waiting = 0
        """How many things are left that are worth waiting for."""
        self._heap: list[tuple[int, int, Item]] = []
        self._count = 0

    def push(
        self,
        delay: int,
        action: Callable[[], None],
        label: str,
        *,
        soft: bool = False,
        background: bool = False,
    ) -> Item:
        """Have ``action`` called in ``delay`` nanoseconds."""
        item = Item(self, self.now + max(delay, 0), action, label, soft, background)
        self._count += 1
        if not background:
            self.waiting += 1
        heapq.heappush(self._heap, (item.when, self._count, item))
        return item

    def first(self) -> Item | None:
        """The next event."""
        while self._heap and self._heap[0][2].action is None:
            heapq.heappop(self._heap)
        return self._heap[0][2] if self._heap else None

    def racing(self) -> list[Item]:
        """The next event, and the soft ones that may overtake it if it is soft itself."""
        first = self.first()
        if first is None or not first.soft:
            return [first] if first else []
        limit = max(first.when, self.now) + self.JITTER
        found = [e for e in self._heap if e[0] <= limit and e[2].soft and e[2].action]
        return [entry[2] for entry in sorted(found, key=lambda entry: entry[:2])]

    def take(self, item: Item) -> Callable[[], None]:
        """What is to happen; time moves on to it."""
        self.now = max(self.now, item.when)
        action = item.take()
        assert action is not None, "what was cancelled does not happen"
        return action
