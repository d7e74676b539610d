"""Trips that want the same thing, are submitted twice, or are cancelled as they are paid for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from lab.breaking.scenarios import request_for
from sqlalchemy import Connection, delete, func, insert, select, update
from temporal import System, a_new_trip, compensations, run, running_system
from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from tests.sampling import few
from travel.audit import Report, audit
from travel.booking import TripResult, book_trips
from travel.models import Passenger, TripRequest
from travel.store.database import Database, cars, fares, hotels, outbox, rooms
from travel.workflows.book_in_parallel import BookInParallel
from travel.workflows.book_trip import BookTrip

MANY = 20

EARLY = 24
LAST = 4
"""Trips that are cancelled early and late."""


def spread(number: int) -> TripRequest:
    """A trip in nobody's way, under a code that the shared server has not seen."""
    return replace(request_for(number), confirmation_code=f"RACE-{uuid4().hex}")


def clean(database: Database) -> Report:
    report = audit(database)
    assert report.findings == []
    return report


# --- the last one -----------------------------------------------------------------


def plenty(connection: Connection) -> None:
    """A seat, a room and a car for everybody, so that only what is made scarce then is."""
    hotel = (
        connection.execute(select(hotels.c.id).where(hotels.c.airport == "JFK")).scalars().first()
    )
    room = {"hotel": hotel, "room_type": "deluxe", "nightly_cents": 30_000}
    car = {"airport": "JFK", "model": "Any", "car_type": "midsize", "daily_cents": 7_000}
    connection.execute(update(fares).values(seats=MANY))
    connection.execute(insert(rooms), [{**room, "number": f"X{n}"} for n in range(MANY)])
    connection.execute(insert(cars), [{**car, "licence_plate": f"X{n}"} for n in range(MANY)])


def one_seat(connection: Connection) -> None:
    connection.execute(update(fares).values(seats=1))


def one_room(connection: Connection) -> None:
    hotel = select(hotels.c.id).where(hotels.c.airport == "JFK")
    there = (rooms.c.room_type == "deluxe") & rooms.c.hotel.in_(hotel)
    first = connection.execute(select(func.min(rooms.c.id)).where(there)).scalar_one()
    connection.execute(delete(rooms).where(there, rooms.c.id != first))


def one_car(connection: Connection) -> None:
    there = (cars.c.airport == "JFK") & (cars.c.car_type == "midsize")
    first = connection.execute(select(func.min(cars.c.id)).where(there)).scalar_one()
    connection.execute(delete(cars).where(there, cars.c.id != first))


@pytest.mark.parametrize(
    ("scarce", "design"),
    few(
        [
            (one_room, BookInParallel),
            (one_seat, BookTrip),
            (one_car, BookTrip),
            (one_room, BookTrip),
            (one_seat, BookInParallel),
            (one_car, BookInParallel),
        ]
    ),
)
def test_many_trips_for_the_last_one(
    temporal_address: str,
    sqlite_database: Database,
    scarce: Callable[[Connection], None],
    design: type,
) -> None:
    trips = [a_new_trip(passengers=[Passenger("Ada")]) for _ in range(MANY)]

    async def test() -> list[TripResult]:
        async with running_system(temporal_address, sqlite_database, workflows=[design]) as system:
            return await book_trips(
                system.client, system.database, trips, design=design, queue=system.queue
            )

    with sqlite_database.transaction() as connection:
        plenty(connection)
        scarce(connection)
    results = run(test())
    assert sum(result.booked for result in results) == 1
    assert clean(sqlite_database).completed == 1


def test_stays_that_overlap_never_share_a_night_or_a_day(
    temporal_address: str, sqlite_database: Database
) -> None:
    def stay(first: int, nights: int) -> TripRequest:
        departure = date(2025, 1, 20) + timedelta(first)
        return a_new_trip(
            departure_date=departure.isoformat(),
            return_date=(departure + timedelta(nights)).isoformat(),
            passengers=[Passenger("Ada")],
        )

    trips = [stay(first, nights) for first in range(10) for nights in (1, 2, 3)]

    async def test() -> list[TripResult]:
        async with running_system(temporal_address, sqlite_database) as system:
            return await book_trips(system.client, system.database, trips, queue=system.queue)

    with sqlite_database.transaction() as connection:
        one_room(connection)
        one_car(connection)
    results = run(test())
    assert 1 < sum(result.booked for result in results) == clean(sqlite_database).completed <= 12


# --- the same trip, twice -----------------------------------------------------------


def test_the_same_trips_submitted_by_three_clients_at_once(
    temporal_address: str, sqlite_database: Database
) -> None:
    trips = [spread(number) for number in range(1, 16)]

    async def test() -> list[list[TripResult]]:
        async with running_system(temporal_address, sqlite_database) as system:
            submit = [
                book_trips(system.client, system.database, trips, queue=system.queue)
                for _ in range(3)
            ]
            return await asyncio.gather(*submit)

    first, second, third = run(test())
    assert [str(r) for r in first] == [str(r) for r in second] == [str(r) for r in third]
    assert clean(sqlite_database).completed == len(trips)
    with sqlite_database.snapshot() as connection:
        sent = Counter(connection.execute(select(outbox.c.confirmation_code)).scalars())
    assert sent == Counter(trip.confirmation_code for trip in trips), "one email a trip"


def test_two_customers_with_the_same_confirmation_code(
    temporal_address: str, sqlite_database: Database
) -> None:
    mine = [spread(number) for number in range(1, 13)]
    theirs = [
        replace(trip, customer="Somebody Else", passengers=[Passenger("Somebody Else")])
        for trip in mine
    ]

    async def test() -> list[TripResult]:
        async with running_system(temporal_address, sqlite_database) as system:
            return await book_trips(
                system.client, system.database, [*mine, *theirs], queue=system.queue
            )

    results = run(test())
    booked = Counter(result.request.confirmation_code for result in results if result.booked)
    assert booked == Counter(trip.confirmation_code for trip in mine), "one of the two"
    clean(sqlite_database)


# --- cancelled as it is paid for -------------------------------------------------------


@dataclass
class CancelSoon(Interceptor):
    """Cancels a trip so many seconds after an Activity of it began: (id, Activity) -> seconds.

    After no seconds at all the server has the request before the Activity does anything.
    """

    after: dict[tuple[str, str], float]
    client: Client | None = None
    sent: list[asyncio.Task[None]] = field(default_factory=list)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Cancelled(next, self)

    async def begins(self, workflow_id: str, step: str) -> None:
        seconds = self.after.pop((workflow_id, step), None)
        if seconds is None:
            return
        request = asyncio.create_task(self._cancel(workflow_id, seconds))
        self.sent.append(request)
        if not seconds:
            await request

    async def _cancel(self, workflow_id: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        assert self.client is not None
        with suppress(RPCError):  # it may have ended
            await self.client.get_workflow_handle(workflow_id).cancel()


class _Cancelled(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, cancel: CancelSoon) -> None:
        super().__init__(next)
        self._cancel = cancel

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        await self._cancel.begins(info.workflow_id or "", info.activity_type)
        return await self.next.execute_activity(input)


async def book_and_cancel(
    system: System, cancel: CancelSoon, trips: list[TripRequest], design: type
) -> list[tuple[bool, list[str]]]:
    """For each trip: whether it was booked, and its compensations."""
    cancel.client = system.client
    results = await book_trips(
        system.client, system.database, trips, design=design, queue=system.queue
    )
    await asyncio.gather(*cancel.sent)
    handles = [system.client.get_workflow_handle(trip.workflow_id) for trip in trips]
    undone = [await compensations(handle) for handle in handles]
    return [(result.booked, undos) for result, undos in zip(results, undone, strict=True)]


@pytest.mark.parametrize(
    ("step", "design"),
    few(
        [
            ("accept_payment", BookInParallel),
            ("book_car", BookTrip),
            ("book_car", BookInParallel),
            ("accept_payment", BookTrip),
        ]
    ),
)
def test_a_cancel_at_any_moment_is_all_or_nothing(
    temporal_address: str, sqlite_database: Database, step: str, design: type
) -> None:
    trips = [spread(number) for number in range(1, EARLY + LAST + 1)]
    # From "at once" to a second later, most of them early: in the middle of the attempt, at
    # its end, before the next one, at the end of the trip and after it. The last few come
    # after the pivot for certain.
    after = {(t.workflow_id, step): (n / EARLY) ** 3 for n, t in enumerate(trips[:EARLY])}
    after |= {
        (t.workflow_id, "send_confirmation_email"): n / 50 for n, t in enumerate(trips[EARLY:])
    }
    cancel = CancelSoon(after)

    async def test() -> list[tuple[bool, list[str]]]:
        async with running_system(
            temporal_address, sqlite_database, more=[cancel], workflows=[design]
        ) as system:
            return await book_and_cancel(system, cancel, trips, design)

    outcomes = run(test())
    # The audit holds a trip to what its customer was told: all of it, or nothing.
    assert clean(sqlite_database).completed == sum(booked for booked, _ in outcomes)
    assert not outcomes[0][0], "cancelled at once"
    assert all(booked for booked, _ in outcomes[EARLY:]), "cancelled after the payment"
    for booked, undos in outcomes:
        assert bool(undos) != booked
