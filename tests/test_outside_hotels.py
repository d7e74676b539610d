"""Companies that are not ours: the adapters lose nothing, the naive uses do."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from lab.foreign.kinds import KINDS, Kind, hotels_of
from lab.foreign.line import Crash, Line
from lab.foreign.simulated import recorded_hotels, rows, simulate_hotels, simulated_cells
from lab.foreign.trials import KEY, START, TRIP, Trial, cells, lost, trials, try_hotels
from lab.running import postgres
from sqlalchemy import func, select
from temporal import a_new_trip, compensations, run, running_system

from tests.sampling import few
from travel.audit import audit
from travel.errors import Rejected, Unavailable
from travel.faults import Fault, ScriptedFault
from travel.models import idempotency_key
from travel.providers.outside import IN_FLIGHT, Reservation, expiring_keys, orders
from travel.providers.outside.callback import REPLY_WITHIN
from travel.store.database import Database, open_database, room_holds
from travel.store.inventory import store_seed_data
from travel.store.seed_data import load_seed_data
from travel.workflows.book_on_request import BookOnRequest
from travel.workflows.book_trip import BookTrip

EXPIRING, LOOK_UP, CALLBACK, NOTHING = KINDS
EVERY = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
SOME = pytest.mark.parametrize("kind", few(KINDS, 2), ids=lambda kind: kind.name)
DAY = timedelta(days=1).total_seconds()


# --- every fault, every kind of company ------------------------------------------------


@SOME
def test_an_adapter_loses_nothing_whatever_goes_wrong_on_the_line(kind: Kind) -> None:
    outcomes = try_hotels(kind, kind.adapter)
    assert len(outcomes) == 84
    assert not lost(outcomes)


@SOME
def test_an_adapter_loses_nothing_when_two_calls_go_wrong(kind: Kind) -> None:
    pairs = [trial for trial in trials(at_once=2) if len(trial.faults) == 2]
    assert len(pairs) == 600
    # Every 23rd, for all of them take minutes. 23 meets each plan, call and fault.
    assert not lost(try_hotels(kind, kind.adapter, pairs[::23]))


@SOME
def test_the_naive_use_loses_rooms(kind: Kind) -> None:
    left = {column: cell.lost for column, cell in cells(try_hotels(kind, kind.naive)).items()}
    assert left["down for two days"] or left["late commit"], left
    if kind is EXPIRING:
        # Within a day the key does all that is needed. That is what makes it treacherous.
        assert [column for column, count in left.items() if count] == ["down for two days"]


@SOME
def test_an_adapter_works_on_postgresql_too(kind: Kind, postgres_server: str) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(postgres.fresh_database(postgres_server, f"t_{uuid4().hex}"))
        database = open_database(url)
        stack.callback(database.close)
        store_seed_data(database, load_seed_data())
        some = [trial for number, trial in enumerate(trials()) if number % 13 == 0]
        assert not lost(try_hotels(kind, kind.adapter, some, database=database))


# --- whole trips with them, on the simulator ----------------------------------------------


@pytest.mark.everything
@pytest.mark.parametrize("row", list(rows()), ids=lambda row: row[0])
def test_the_rows_of_the_scoreboard_are_what_is_recorded(row: tuple[str, Kind, Any]) -> None:
    name, kind, use = row
    found = simulated_cells(simulate_hotels(kind, use))
    (recorded,) = [row for row in recorded_hotels().rows if row.design == name]
    assert found == recorded.cells
    lost = sum(cell.lost for cell in found.values())
    assert bool(lost) == name.endswith("naive")


# --- one rule at a time -----------------------------------------------------------------


class World:
    """One company, the line to it, an adapter, and a clock that tests move."""

    def __init__(self, database: Database, kind: Kind, **faults: Fault) -> None:
        self.now = START
        self.database = database
        self.company = kind.company(database, lambda: self.now)
        wrong = {int(call.removeprefix("call")): fault for call, fault in faults.items()}
        self.line = Line(self.company, lambda: self.now, wrong)
        self.hotels = kind.adapter(database, self.line, lambda: self.now)
        self.company.call_back = getattr(self.hotels, "receive", None)

    def cancel(self, key: str = KEY) -> None:
        self.hotels.cancel(key, TRIP.confirmation_code)

    def nights(self) -> int:
        with self.database.snapshot() as connection:
            query = select(func.count()).select_from(room_holds)
            return int(connection.execute(query).scalar_one())


@pytest.fixture
def db(sqlite_database: Database) -> Database:
    return sqlite_database


def unavailable(action: Any, *arguments: Any) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        action(*arguments)
    return caught.value


def test_a_key_is_never_used_once_it_may_have_been_forgotten(db: Database) -> None:
    world = World(db, EXPIRING, call1=Fault.LOST_ACKNOWLEDGEMENT)
    unavailable(world.hotels.book, KEY, TRIP)
    world.now += expiring_keys.KEY_IS_SAFE.total_seconds()
    assert "forgotten" in str(unavailable(world.hotels.book, KEY, TRIP))
    world.now += DAY
    world.cancel()
    assert world.line.calls == ["reserve", "statement", "cancel"]
    assert world.nights() == 0


def test_within_its_time_the_key_tells_the_undo_what_to_cancel(db: Database) -> None:
    world = World(db, EXPIRING, call1=Fault.LOST_ACKNOWLEDGEMENT)
    unavailable(world.hotels.book, KEY, TRIP)
    world.now += DAY / 2
    world.cancel()
    assert world.line.calls == ["reserve", "reserve", "cancel"]
    assert world.nights() == 0


def test_one_request_is_under_way_at_a_time_where_there_is_only_a_look_up(db: Database) -> None:
    world = World(db, LOOK_UP, call2=Fault.LATE_COMMIT)
    unavailable(world.hotels.book, KEY, TRIP)
    assert unavailable(world.hotels.book, KEY, TRIP).retry_after == IN_FLIGHT
    assert world.line.calls == ["find", "reserve", "find"]
    world.now += IN_FLIGHT.total_seconds()
    assert len(world.hotels.book(KEY, TRIP).nights) == world.nights() == 3


def test_an_undo_looks_again_when_nothing_can_be_under_way(db: Database) -> None:
    world = World(db, LOOK_UP, call2=Fault.LATE_COMMIT)
    unavailable(world.hotels.book, KEY, TRIP)
    assert unavailable(world.cancel).retry_after == IN_FLIGHT
    world.now += IN_FLIGHT.total_seconds()
    world.cancel()
    assert world.line.calls[-2:] == ["find", "cancel"]
    assert world.nights() == 0


def test_with_nothing_there_is_one_request_ever(db: Database) -> None:
    world = World(db, NOTHING, call1=Fault.CRASH_BEFORE_COMMIT)
    with pytest.raises(Crash):
        world.hotels.book(KEY, TRIP)
    for _ in range(3):
        world.now += DAY
        assert "not sent again" in str(unavailable(world.hotels.book, KEY, TRIP))
    assert world.line.calls == ["reserve"]


def test_the_statement_is_read_when_it_is_out(db: Database) -> None:
    world = World(db, NOTHING, call1=Fault.LOST_ACKNOWLEDGEMENT)
    unavailable(world.hotels.book, KEY, TRIP)
    assert "2025-01-20 is not out yet" in str(unavailable(world.cancel))
    assert world.nights() == 3
    world.now += DAY
    world.cancel()
    assert world.nights() == 0


def test_a_request_around_midnight_may_be_on_either_statement(db: Database) -> None:
    world = World(db, NOTHING, call1=Fault.LATE_COMMIT)
    world.now = START + 13 * 3600 - 5  # 23:59:55; the request arrives twenty seconds later
    unavailable(world.hotels.book, KEY, TRIP)
    world.now += 20
    world.line.arrive()
    world.now += 3600
    assert "2025-01-21 is not out yet" in str(unavailable(world.cancel))
    world.now += DAY
    world.cancel()
    assert world.nights() == 0


def test_two_like_orders_of_one_guest_claim_a_line_each(db: Database) -> None:
    world = World(db, NOTHING, call1=Fault.LOST_ACKNOWLEDGEMENT, call2=Fault.LOST_ACKNOWLEDGEMENT)
    twin = replace(TRIP, confirmation_code="TWIN")
    keys = [idempotency_key(trip.confirmation_code, "book_hotel") for trip in (TRIP, twin)]
    for key, trip in zip(keys, (TRIP, twin), strict=True):
        unavailable(world.hotels.book, key, trip)
    world.now += DAY
    world.cancel(keys[0])
    assert world.nights() == 3
    world.cancel(keys[0])
    assert world.nights() == 3
    world.cancel(keys[1])
    assert world.nights() == 0


def test_an_undo_never_cancels_a_like_trip_that_stands(db: Database) -> None:
    world = World(db, NOTHING, call2=Fault.BLIP)
    twin = replace(TRIP, confirmation_code="TWIN")
    world.hotels.book(idempotency_key("TWIN", "book_hotel"), twin)
    unavailable(world.hotels.book, KEY, TRIP)
    world.now += DAY
    world.cancel()
    assert world.nights() == 3


def test_the_undo_of_an_order_waits_for_its_answer(db: Database) -> None:
    world = World(db, CALLBACK)
    unavailable(world.hotels.book, KEY, TRIP)
    assert "not answered yet" in str(unavailable(world.cancel))
    world.now += 2 * DAY
    world.company.deliver()
    world.cancel()
    assert world.nights() == 0
    with pytest.raises(Rejected, match="undone"):
        world.hotels.book(KEY, TRIP)


def test_a_callback_after_the_undo_meets_the_tombstone(db: Database) -> None:
    """Even when it comes later than the company promised."""
    world = World(db, CALLBACK)
    unavailable(world.hotels.book, KEY, TRIP)
    world.now += REPLY_WITHIN.total_seconds()
    world.cancel()
    world.company.deliver()
    assert world.line.calls == ["request", "cancel", "cancel"]  # it calls back twice
    assert world.nights() == 0


def test_a_callback_delivered_again_changes_nothing(db: Database) -> None:
    world = World(db, CALLBACK)
    unavailable(world.hotels.book, KEY, TRIP)
    world.now += 2 * DAY
    world.company.deliver()
    booking = world.hotels.book(KEY, TRIP)
    (reply,) = orders.replies(db, KEY)
    world.hotels.receive(KEY, reply)
    assert world.hotels.book(KEY, TRIP) == booking
    assert world.nights() == 3


def test_of_two_confirmed_orders_one_stands(db: Database) -> None:
    world = World(db, CALLBACK, call1=Fault.LOST_ACKNOWLEDGEMENT)
    for _ in range(2):
        unavailable(world.hotels.book, KEY, TRIP)
        world.now += 60
    world.now += 2 * DAY
    world.company.deliver()
    assert world.nights() == 6
    world.hotels.book(KEY, TRIP)
    assert world.nights() == 3


def test_a_refused_order_is_a_definite_no(db: Database) -> None:
    world = World(db, CALLBACK)
    trip = replace(TRIP, room_type="presidential")
    unavailable(world.hotels.book, KEY, trip)
    world.now += 2 * DAY
    world.company.deliver()
    for _ in range(2):
        with pytest.raises(Rejected, match="No available presidential rooms"):
            world.hotels.book(KEY, trip)
    assert world.line.calls == ["request"]


@EVERY
def test_an_undo_of_something_never_sent_leaves_a_tombstone(db: Database, kind: Kind) -> None:
    world = World(db, kind)
    world.cancel()
    with pytest.raises(Rejected, match="was undone"):
        world.hotels.book(KEY, TRIP)
    assert (world.line.calls, world.nights()) == ([], 0)


@pytest.mark.parametrize("kind", (EXPIRING, LOOK_UP, NOTHING), ids=lambda kind: kind.name)
def test_an_answer_that_overtakes_its_undo_is_still_cancelled(db: Database, kind: Kind) -> None:
    """The undo begins while the request is with the company."""
    world = World(db, kind)
    reserve = world.company.reserve

    def slow(*arguments: Any) -> Reservation:
        reservation: Reservation = reserve(*arguments)
        orders.undo(db, KEY)
        return reservation

    world.company.reserve = slow
    with pytest.raises(Rejected, match="undone meanwhile"):
        world.hotels.book(KEY, TRIP)
    world.company.reserve = reserve
    world.now += 2 * DAY
    world.cancel()
    assert world.nights() == 0


# --- behind the same two Activities --------------------------------------------------------


def design_for(kind: Kind) -> type:
    return BookOnRequest if kind is CALLBACK else BookTrip


@EVERY
def test_a_trip_is_booked_there(temporal_address: str, db: Database, kind: Kind) -> None:
    async def test() -> None:
        design = design_for(kind)
        hotels = hotels_of(kind, kind.adapter)
        system = running_system(temporal_address, db, hotels=hotels, workflows=[design])
        async with system as it:
            result, _ = await it.book(a_new_trip(), design)
            assert result.booked, result.reason

    run(test())
    assert audit(db).clean


@EVERY
def test_a_trip_is_undone_there(temporal_address: str, db: Database, kind: Kind) -> None:
    """The hotel's reply is lost, then there is no car."""

    async def test() -> None:
        design = design_for(kind)
        faults = [ScriptedFault("book_hotel", Fault.LOST_ACKNOWLEDGEMENT, attempts=(1,))]
        hotels = hotels_of(kind, kind.adapter)
        system = running_system(temporal_address, db, faults, hotels=hotels, workflows=[design])
        async with system as it:
            result, handle = await it.book(a_new_trip(car_type="limousine"), design)
            assert "limousine" in result.reason
            assert "cancel_hotel" in await compensations(handle)

    run(test())
    assert audit(db).clean


def test_the_trials_name_what_they_did() -> None:
    trial = Trial("the trip stands", {2: Fault.LATE_COMMIT})
    assert str(trial) == "the trip stands, late commit at call 2"
