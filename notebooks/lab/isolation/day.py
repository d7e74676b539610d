"""A day at the hotel, simulated: who got a room, who was sent away, what stayed empty."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pandas as pd

from lab.isolation.hotel import Hotel, Wish
from lab.isolation.sagas import BookThenPay, HoldThenPay, PayThenBook
from lab.simulation import Code, Simulation

DESIGNS = (BookThenPay, PayThenBook, HoldThenPay)


@dataclass(frozen=True)
class Day:
    """What became of a day. A sale is lost if a room stays empty while a good card left."""

    sold: int
    lost_sales: int
    sent_away: int
    refunds: int
    orphans: int
    longest_wait_minutes: float


def one_day(design: Any, wishes: Sequence[Wish], rooms: int, every: timedelta) -> Day:
    """Let the customers come one after the other, ``every`` so often, and look at the end."""
    hotel = Hotel(rooms)
    code = Code([design], [hotel])
    simulation = Simulation(code)
    came = [
        (wish, simulation.start(design, wish, id=wish.customer, start_delay=every * number))
        for number, wish in enumerate(wishes)
    ]
    simulation.run()
    ended = {wish: handle.status == "completed" for wish, handle in came}
    waits = [_minutes(handle) for _, handle in came]
    simulation.close()
    good_left = sum(wish.card == "good" and not booked for wish, booked in ended.items())
    holders = {wish.customer for wish, booked in ended.items() if booked}
    return Day(
        sold=len(holders),
        lost_sales=min(rooms - len(holders), good_left),
        sent_away=good_left,
        refunds=hotel.refunds,
        orphans=len(holders ^ set(hotel.taken)) + len(holders ^ set(hotel.paid_cents)),
        longest_wait_minutes=max(waits),
    )


def days_compared(
    *, days: int = 20, customers: int = 16, rooms: int = 10, declined: float = 0.3, seed: int = 1
) -> pd.DataFrame:
    """The same days with each design; a row a design, summed over the days.

    ``sent away`` are customers with a good card, ``refunded`` those charged in vain.
    """
    chance = random.Random(seed)
    diaries = [_customers(chance, customers, declined) for _ in range(days)]
    every = timedelta(minutes=1)
    rows = {
        design.__name__: _summed([one_day(design, diary, rooms, every) for diary in diaries])
        for design in DESIGNS
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def _customers(chance: random.Random, count: int, declined: float) -> list[Wish]:
    cards = ["declined" if chance.random() < declined else "good" for _ in range(count)]
    return [Wish(f"Customer-{number:02}", card) for number, card in enumerate(cards, start=1)]


def _summed(days: Iterable[Day]) -> dict[str, object]:
    found = list(days)
    return {
        "rooms sold": sum(day.sold for day in found),
        "sales lost": sum(day.lost_sales for day in found),
        "sent away": sum(day.sent_away for day in found),
        "refunded": sum(day.refunds for day in found),
        "orphans": sum(day.orphans for day in found),
        "longest wait": f"{max(day.longest_wait_minutes for day in found):.0f} min",
    }


def _minutes(handle: Any) -> float:
    """From the start of a Workflow's first task to its end, in virtual minutes."""
    events = handle.history().events
    first = next(e for e in events if e.HasField("workflow_task_started_event_attributes"))
    return (events[-1].event_time.ToDatetime() - first.event_time.ToDatetime()).seconds / 60


def after_a_termination(design: Any) -> str:
    """Somebody terminates the saga of the last room's customer; what does the next one hear?"""
    hotel = Hotel(rooms=1)
    simulation = Simulation(Code([design], [hotel]))
    first = simulation.start(design, Wish("first"), id="first")
    simulation.run_for(timedelta(minutes=2))
    first.terminate("by hand")
    simulation.run_for(timedelta(hours=1))
    second = simulation.start(design, Wish("second"), id="second")
    simulation.run()
    simulation.close()
    outcome = "gets the room" if second.status == "completed" else "is told that there is none"
    return f"one hour later, the next customer {outcome}"
