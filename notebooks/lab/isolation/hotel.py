"""A hotel with a few rooms for one night, and a bank: the world of this room.

A room is free, held until a moment, or sold. Holding first and confirming later is
known as try, confirm, cancel (Pardon and Pautasso, "Atomic Distributed Transactions:
a RESTful Design", 2014).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError

THINKING_SECONDS = 240
"""How long a customer looks for the card: the time between the room and the money."""


@dataclass(frozen=True)
class Wish:
    """One customer's wish for a room; ``card`` is ``"good"`` or ``"declined"``."""

    customer: str
    card: str = "good"
    price_cents: int = 31_500


@dataclass
class Hotel:
    """Who has which room, until when (None: for good), and who has paid how much in cents."""

    rooms: int
    taken: dict[str, datetime | None] = field(default_factory=dict)
    paid_cents: dict[str, int] = field(default_factory=dict)
    refunds: int = 0

    @activity.defn
    def book_room(self, wish: Wish) -> None:
        """Take a room for good."""
        self._take(wish, None)

    @activity.defn
    def hold_room(self, wish: Wish, minutes: int) -> None:
        """Take a room for some minutes; it is free again by itself after that."""
        self._take(wish, _now() + timedelta(minutes=minutes))

    @activity.defn
    def confirm_room(self, wish: Wish) -> None:
        """Make a held room a sold one; refused once the hold has expired."""
        self._let_holds_expire()
        if wish.customer not in self.taken:
            raise _rejected(f"The hold of {wish.customer} has expired.")
        self.taken[wish.customer] = None

    @activity.defn
    def release_room(self, wish: Wish) -> None:
        """Undo of a booking and of a hold."""
        self.taken.pop(wish.customer, None)

    @activity.defn
    async def charge(self, wish: Wish) -> None:
        """Take the money, once the customer has found the card."""
        await asyncio.sleep(THINKING_SECONDS)
        if wish.card != "good":
            raise _rejected(f"The card of {wish.customer} was declined.")
        self.paid_cents[wish.customer] = wish.price_cents

    @activity.defn
    def refund(self, wish: Wish) -> None:
        """Pay back what was taken, if anything was."""
        self.refunds += self.paid_cents.pop(wish.customer, 0) > 0

    def _take(self, wish: Wish, until: datetime | None) -> None:
        self._let_holds_expire()
        if wish.customer in self.taken:
            return
        if len(self.taken) < self.rooms:
            self.taken[wish.customer] = until
            return
        ends = [moment for moment in self.taken.values() if moment is not None]
        if not ends:
            raise _rejected(f"There is no room left for {wish.customer}.")
        # Held is not sold. That is no refusal, so it is worth asking again.
        raise ApplicationError(
            f"All rooms are sold or held; the first hold ends at {min(ends):%H:%M}.", type="Held"
        )

    def _let_holds_expire(self) -> None:
        now = _now()
        self.taken = {who: end for who, end in self.taken.items() if end is None or end > now}


def _now() -> datetime:
    """The moment of this attempt, by the server's clock."""
    return activity.info().current_attempt_scheduled_time


def _rejected(message: str) -> ApplicationError:
    return ApplicationError(message, type="Rejected", non_retryable=True)
