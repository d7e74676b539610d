"""The promises of BookTrip, against the real Event History and the real database.

Each promise is broken first, by a flawed design or a flawed provider in the same
scenario, so that a check which finds nothing is known to be able to find something.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from lab.designs.email_in_the_saga import EmailInTheSaga
from lab.designs.forward_order import ForwardOrder
from lab.designs.one_shield import OneShield
from lab.designs.retry_then_undo import RetryThenUndo
from lab.designs.siblings_lost import SiblingsLost
from lab.designs.undo_everything import UndoEverything
from lab.designs.undo_not_awaited import UndoNotAwaited
from lab.designs.undo_registered_late import UndoRegisteredLate
from lab.designs.without_compensation import WithoutCompensation
from samples import NIGHTS, PRICE_CENTS
from sqlalchemy import func, select
from temporal import (
    UNDOS,
    Gate,
    Switch,
    System,
    a_new_trip,
    activity_calls,
    compensations,
    failed_activity,
    failure_of,
    history_activities,
    outage,
    root,
    run,
    running_system,
    until,
)
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.worker import UnsandboxedWorkflowRunner

from travel.audit import audit
from travel.faults import Fault, ScriptedFault
from travel.models import Passenger, TripRequest
from travel.providers import cars
from travel.providers.payments import TEST_DECLINE
from travel.store.database import Database, outbox
from travel.temporal.search_attributes import TRIP_STATUS
from travel.workflows import calls
from travel.workflows.book_in_parallel import BookInParallel
from travel.workflows.book_trip import BookTrip
from travel.workflows.reconcile_trips import ReconcileTrips

DESIGNS = (
    BookTrip,
    BookInParallel,
    EmailInTheSaga,
    ForwardOrder,
    OneShield,
    ReconcileTrips,
    RetryThenUndo,
    SiblingsLost,
    UndoEverything,
    UndoNotAwaited,
    UndoRegisteredLate,
    WithoutCompensation,
)

REFUND, CAR, HOTEL, FLIGHT = UNDOS
STEPS = ["book_flight", "book_hotel", "book_car", "accept_payment"]
UNDO_OF = dict(zip(STEPS, reversed(UNDOS), strict=True))
FORWARD = ["store_booking_request", *STEPS, "send_confirmation_email"]
NO_CAR = {"car_type": "limousine"}


@pytest.fixture
def db(sqlite_database: Database) -> Iterator[Database]:
    """The database of a test, clean at its end unless the test says that it is not."""
    yield sqlite_database
    assert audit(sqlite_database).findings == []


@pytest.fixture
def damaged_db(sqlite_database: Database) -> Database:
    """The database of a test that leaves orphans on purpose."""
    return sqlite_database


def kinds(db: Database) -> list[str]:
    return [finding.kind for finding in audit(db).findings]


def all_but(step: str) -> list[str]:
    """The compensations of everything before ``step``, newest first."""
    return [UNDO_OF[earlier] for earlier in reversed(STEPS[: STEPS.index(step)])]


def up_to(step: str) -> list[str]:
    """The compensations of everything before ``step`` and of ``step`` itself."""
    return [UNDO_OF[step], *all_but(step)]


async def status_of(handle: WorkflowHandle[Any, Any]) -> WorkflowExecutionStatus | None:
    return (await handle.describe()).status


async def wait_for_stuck(handle: WorkflowHandle[Any, Any], *undos: str) -> None:
    async def stuck() -> bool:
        progress = await handle.query(BookTrip.progress)
        return progress.stuck == progress.to_undo == list(undos)

    await until(stuck)


# --- the table of the design --------------------------------------------------


@pytest.mark.parametrize(
    ("failed_step", "changes", "faults", "expected"),
    [
        ("book_flight", {"departure_date": "2025-01-10"}, [], []),
        ("book_hotel", {"room_type": "penthouse"}, [], [FLIGHT]),
        ("book_car", NO_CAR, [], [HOTEL, FLIGHT]),
        ("accept_payment", {"code": TEST_DECLINE}, [], [CAR, HOTEL, FLIGHT]),
        ("book_flight", {}, [outage("book_flight")], [FLIGHT]),
        ("book_hotel", {}, [outage("book_hotel")], [HOTEL, FLIGHT]),
        ("book_car", {}, [outage("book_car")], [CAR, HOTEL, FLIGHT]),
        ("accept_payment", {}, [outage("accept_payment")], [REFUND, CAR, HOTEL, FLIGHT]),
    ],
)
def test_which_failure_reaches_which_compensations(
    temporal_address: str,
    db: Database,
    failed_step: str,
    changes: dict[str, Any],
    faults: list[ScriptedFault],
    expected: list[str],
) -> None:
    async def test() -> None:
        async with running_system(temporal_address, db, faults) as system:
            result, handle = await system.book(a_new_trip(**changes))
            assert not result.booked
            assert failed_activity(await failure_of(handle)) == failed_step
            assert await compensations(handle) == expected
            # 7: a rejection is asked for once, an outage until the attempts are used up
            failed = next(c for c in await activity_calls(handle) if c.name == failed_step)
            assert (failed.outcome, failed.attempt) == ("failed", 3 if faults else 1)

    run(test())


def test_a_trip_without_faults(temporal_address: str, db: Database) -> None:
    trip = a_new_trip()

    async def test() -> None:
        async with running_system(temporal_address, db) as system:
            result, handle = await system.book(trip)
            assert await history_activities(handle) == [(name, "completed") for name in FORWARD]
            booked = result.confirmation
            assert booked is not None
            assert booked.flight.seats == ["E01", "F01"]
            assert booked.hotel.nights == booked.car.days == NIGHTS
            assert booked.payment.amount_cents == PRICE_CENTS
            assert booked.email_sent
            assert (await handle.query(BookTrip.progress)).status == "booked"

    run(test())
    assert audit(db).completed == 1


def test_every_activity_has_a_timeout_and_only_undos_retry_without_limit(
    temporal_address: str, db: Database
) -> None:
    async def test() -> None:
        async with running_system(temporal_address, db, patient=False) as system:
            _, handle = await system.book(a_new_trip(TEST_DECLINE))
            async for event in handle.fetch_history_events():
                if event.event_type != EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                    continue
                scheduled = event.activity_task_scheduled_event_attributes
                is_undo = scheduled.activity_type.name in UNDOS
                assert 0 < scheduled.start_to_close_timeout.ToSeconds() <= 10
                assert scheduled.retry_policy.maximum_attempts == (0 if is_undo else 3)

    run(test())


# --- 1: undo registered before its step, newest first, each awaited -----------


@pytest.mark.parametrize(
    ("design", "expected"),
    [
        (BookTrip, [HOTEL, FLIGHT]),
        (ForwardOrder, [FLIGHT, HOTEL]),
        (UndoNotAwaited, []),
        (WithoutCompensation, []),
    ],
)
def test_newest_first_and_awaited(
    temporal_address: str, damaged_db: Database, design: type, expected: list[str]
) -> None:
    async def test() -> None:
        async with running_system(temporal_address, damaged_db, workflows=DESIGNS) as system:
            _, handle = await system.book(a_new_trip(**NO_CAR), design)
            done = [call for call in await activity_calls(handle) if call.outcome == "completed"]
            assert [call.name for call in done if call.name in UNDOS] == expected

    run(test())
    assert kinds(damaged_db) == ([] if expected else ["seats", "room nights"])


@pytest.mark.parametrize("step", STEPS)
def test_a_lost_acknowledgement_is_undone(temporal_address: str, db: Database, step: str) -> None:
    lost = [ScriptedFault(step, Fault.LOST_ACKNOWLEDGEMENT)]

    async def test() -> None:
        async with running_system(temporal_address, db, lost) as system:
            result, handle = await system.book(a_new_trip())
            assert not result.booked
            assert await compensations(handle) == up_to(step)

    run(test())


@pytest.mark.parametrize(
    ("step", "orphans"), [("book_hotel", ["room nights"]), ("accept_payment", ["money"])]
)
def test_an_undo_registered_late_misses_a_lost_acknowledgement(
    temporal_address: str, damaged_db: Database, step: str, orphans: list[str]
) -> None:
    lost = [ScriptedFault(step, Fault.LOST_ACKNOWLEDGEMENT)]

    async def test() -> None:
        async with running_system(temporal_address, damaged_db, lost, workflows=DESIGNS) as system:
            result, handle = await system.book(a_new_trip(), UndoRegisteredLate)
            assert not result.booked
            assert await compensations(handle) == all_but(step)

    run(test())
    assert kinds(damaged_db) == orphans


def test_a_lost_acknowledgement_and_a_retry_book_once(temporal_address: str, db: Database) -> None:
    steps = ["book_hotel", "accept_payment", "send_confirmation_email"]
    lost = [ScriptedFault(step, Fault.LOST_ACKNOWLEDGEMENT, attempts=(1,)) for step in steps]

    async def test() -> None:
        async with running_system(temporal_address, db, lost) as system:
            result, handle = await system.book(a_new_trip())
            assert result.booked
            calls = await activity_calls(handle)
            assert [call.name for call in calls if call.attempt == 2] == steps

    run(test())
    with db.snapshot() as connection:
        assert connection.execute(select(func.count()).select_from(outbox)).scalar_one() == 1


def test_no_reply_is_undone(temporal_address: str, db: Database) -> None:
    faults = [
        ScriptedFault("book_car", Fault.BLIP, attempts=(1, 2)),
        ScriptedFault("book_car", Fault.NO_REPLY),
    ]

    async def test() -> None:
        async with running_system(temporal_address, db, faults) as system:
            result, handle = await system.book(a_new_trip())
            assert not result.booked
            assert ("book_car", "timed out") in await history_activities(handle)
            assert await compensations(handle) == [CAR, HOTEL, FLIGHT]

    run(test())


def commits_late(step: str) -> list[ScriptedFault]:
    """The last attempt times out, is given up and undone, and only then commits."""
    return [
        ScriptedFault(step, Fault.BLIP, attempts=(1, 2)),
        ScriptedFault(step, Fault.LATE_COMMIT),
    ]


@pytest.mark.parametrize("step", ["book_hotel", "accept_payment"])
def test_a_late_commit_meets_a_tombstone(temporal_address: str, db: Database, step: str) -> None:
    async def test() -> None:
        async with running_system(temporal_address, db, commits_late(step)) as system:
            result, handle = await system.book(a_new_trip())
            assert not result.booked
            assert (step, "timed out") in await history_activities(handle)
            assert await compensations(handle) == up_to(step)

    run(test())


def test_without_a_tombstone_a_late_commit_leaks(
    temporal_address: str, damaged_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def undo_if_done(database: Database, key: str, action: Any) -> None:
        with database.transaction() as connection:
            action(connection)

    monkeypatch.setattr(cars, "undo_once", undo_if_done)

    async def test() -> None:
        faults = commits_late("book_car")
        async with running_system(temporal_address, damaged_db, faults) as system:
            _, handle = await system.book(a_new_trip())
            assert await compensations(handle) == [CAR, HOTEL, FLIGHT]

    run(test())
    assert kinds(damaged_db) == ["car days"]


def test_a_late_commit_beside_its_retry_books_once(temporal_address: str, db: Database) -> None:
    late = [ScriptedFault("book_hotel", Fault.LATE_COMMIT, attempts=(1,))]

    async def test() -> None:
        async with running_system(temporal_address, db, late) as system:
            result, _ = await system.book(a_new_trip())
            assert result.booked

    run(test())


# --- 2: rejected steps need no undo -------------------------------------------


def test_without_state_everything_is_undone(temporal_address: str, db: Database) -> None:
    """The table above has teeth: this design undoes what was never done, harmlessly."""

    async def test() -> None:
        async with running_system(temporal_address, db, workflows=DESIGNS) as system:
            _, handle = await system.book(a_new_trip(**NO_CAR), UndoEverything)
            assert await compensations(handle) == list(UNDOS)

    run(test())


# --- 3: compensations are not given up ----------------------------------------


def test_a_stuck_undo_holds_up_no_neighbour(temporal_address: str, db: Database) -> None:
    providers = Switch(HOTEL)

    async def test() -> None:
        async with running_system(temporal_address, db, providers) as system:
            trip = a_new_trip(**NO_CAR)
            handle = await system.start(trip)
            await wait_for_stuck(handle, HOTEL)
            assert (FLIGHT, "completed") in await history_activities(handle)
            progress = await handle.query(BookTrip.progress)
            assert progress.status == "waiting for cancel_hotel"
            assert progress.done == ["book_flight", "book_hotel"]
            attributes = (await handle.describe()).typed_search_attributes
            assert attributes.get(TRIP_STATUS) == "waiting for cancel_hotel"
            providers.down.clear()
            # 5: the caller sees the original failure
            assert failed_activity(await failure_of(handle)) == "book_car"
            assert (await handle.query(BookTrip.progress)).status == "released"

    run(test())


def test_an_undo_that_raises_leaves_its_neighbours_undone(
    temporal_address: str, damaged_db: Database
) -> None:
    async def test() -> None:
        down = [outage(HOTEL)]
        async with running_system(temporal_address, damaged_db, down, workflows=DESIGNS) as system:
            _, handle = await system.book(a_new_trip(**NO_CAR), RetryThenUndo)
            assert failed_activity(await failure_of(handle)) == HOTEL, "hides the first failure"

    run(test())
    assert kinds(damaged_db) == ["seats", "room nights"]


def test_blips_are_cured_by_a_retry_in_both_directions(temporal_address: str, db: Database) -> None:
    steps = ["book_flight", "book_car", HOTEL]
    blips = [ScriptedFault(name, Fault.BLIP, attempts=(1, 2)) for name in steps]

    async def test() -> None:
        async with running_system(temporal_address, db, blips) as system:
            _, handle = await system.book(a_new_trip(TEST_DECLINE))
            calls = await activity_calls(handle)
            assert [call.name for call in calls if call.attempt == 3] == steps
            assert await compensations(handle) == [CAR, HOTEL, FLIGHT]

    run(test())


async def cancel_three_times(handle: WorkflowHandle[Any, Any]) -> None:
    """Ask three times and wait until the Workflow has seen it; the server passes on one."""
    for _ in range(3):
        await handle.cancel()
    requested = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
    worked = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED

    async def seen() -> bool:
        types = [event.event_type async for event in handle.fetch_history_events()]
        return requested in types and worked in types[types.index(requested) :]

    await until(seen)


@pytest.mark.parametrize("undo", [CAR, HOTEL, FLIGHT])
def test_cancel_requests_during_compensation_change_nothing(
    temporal_address: str, db: Database, undo: str
) -> None:
    gate = Gate(undo)

    async def test() -> None:
        async with running_system(temporal_address, db, gate=gate) as system:
            handle = await system.start(a_new_trip(TEST_DECLINE))
            await gate.reached.wait()
            await cancel_three_times(handle)
            await gate.open()
            assert failed_activity(await failure_of(handle)) == "accept_payment"
            assert await compensations(handle) == [CAR, HOTEL, FLIGHT]

    run(test())


def test_cancel_requests_while_an_undo_is_stuck_change_nothing(
    temporal_address: str, db: Database
) -> None:
    providers = Switch(FLIGHT)

    async def test() -> None:
        async with running_system(temporal_address, db, providers) as system:
            handle = await system.start(a_new_trip(**NO_CAR))
            await wait_for_stuck(handle, FLIGHT)
            await cancel_three_times(handle)
            assert (await handle.query(BookTrip.progress)).stuck == [FLIGHT]
            providers.down.clear()
            assert failed_activity(await failure_of(handle)) == "book_car"

    run(test())


def test_one_shield_is_not_enough(temporal_address: str, damaged_db: Database) -> None:
    gate = Gate(CAR)

    async def test() -> None:
        async with running_system(
            temporal_address, damaged_db, gate=gate, workflows=DESIGNS
        ) as system:
            handle = await system.start(a_new_trip(TEST_DECLINE), OneShield)
            await gate.reached.wait()
            await cancel_three_times(handle)
            assert isinstance(await failure_of(handle), CancelledError)
            await gate.open()

    run(test())
    assert kinds(damaged_db)[:2] == ["seats", "room nights"]


# --- cancelling a trip --------------------------------------------------------


def test_cancelled_before_it_begins(temporal_address: str, db: Database) -> None:
    async def test() -> None:
        async with running_system(temporal_address, db, workflows=[ReconcileTrips]) as other:
            elsewhere = System(other.client, db, f"{other.queue}-later", other.injection)
            handle = await elsewhere.start(a_new_trip())
            await handle.cancel()
            options = {"task_queue": elsewhere.queue}
            async with running_system(temporal_address, db, **options):
                assert isinstance(await failure_of(handle), CancelledError)
            assert await history_activities(handle) == []

    run(test())


@pytest.mark.parametrize("after", [False, True], ids=["before its commit", "after its commit"])
@pytest.mark.parametrize("step", ["store_booking_request", *STEPS])
def test_cancelled_during_a_step(
    temporal_address: str, db: Database, step: str, after: bool
) -> None:
    gate = Gate(step, after)

    async def test() -> None:
        async with running_system(temporal_address, db, gate=gate) as system:
            handle = await system.start(a_new_trip())
            await gate.reached.wait()
            await handle.cancel()
            assert isinstance(await failure_of(handle), CancelledError)
            assert await status_of(handle) == WorkflowExecutionStatus.CANCELED
            assert await compensations(handle) == (up_to(step) if step in STEPS else [])
            await gate.open()  # and only now the provider gets the call, if it had not

    run(test())


def test_what_did_not_return_before_the_cancel_request_may_have_happened(
    temporal_address: str, damaged_db: Database
) -> None:
    gate = Gate("book_car", after=True)

    async def test() -> None:
        async with running_system(
            temporal_address, damaged_db, gate=gate, workflows=DESIGNS
        ) as system:
            handle = await system.start(a_new_trip(), RetryThenUndo)
            await gate.reached.wait()
            await handle.cancel()
            await failure_of(handle)
            assert await compensations(handle) == [HOTEL, FLIGHT]
            await gate.open()

    run(test())
    assert kinds(damaged_db) == ["car days"]


def test_cancelled_after_its_end(temporal_address: str, db: Database) -> None:
    async def test() -> None:
        async with running_system(temporal_address, db) as system:
            _, handle = await system.book(a_new_trip())
            await handle.cancel()
            assert await status_of(handle) == WorkflowExecutionStatus.COMPLETED

    run(test())
    assert audit(db).completed == 1


# --- 5: the original failure --------------------------------------------------


def test_the_reason_is_what_the_provider_said(temporal_address: str, db: Database) -> None:
    blips = [ScriptedFault(HOTEL, Fault.BLIP, attempts=(1, 2, 3, 4))]

    async def test() -> None:
        async with running_system(temporal_address, db, blips) as system:
            result, _ = await system.book(a_new_trip(**NO_CAR))
            assert result.reason == (
                "No available limousine cars in JFK from 2025-01-20 to 2025-01-23."
            )

    run(test())


# --- 6: the pivot -------------------------------------------------------------


@pytest.mark.parametrize("design", [BookTrip, EmailInTheSaga])
def test_a_trip_stands_without_its_email(temporal_address: str, db: Database, design: type) -> None:
    async def test() -> None:
        down = [outage("send_confirmation_email")]
        async with running_system(temporal_address, db, down, workflows=DESIGNS) as system:
            result, handle = await system.book(a_new_trip(), design)
            if design is BookTrip:
                assert result.confirmation is not None
                assert not result.confirmation.email_sent
                assert await compensations(handle) == []
            else:
                assert await compensations(handle) == list(UNDOS), "a paid trip is rolled back"

    run(test())
    assert audit(db).completed == (design is BookTrip)


@pytest.mark.parametrize("after", [False, True])
def test_cancelled_while_the_email_is_sent(
    temporal_address: str, db: Database, after: bool
) -> None:
    gate = Gate("send_confirmation_email", after)

    async def test() -> None:
        async with running_system(temporal_address, db, gate=gate) as system:
            handle = await system.start(a_new_trip())
            await gate.reached.wait()
            await cancel_three_times(handle)
            await gate.open()
            confirmation = await handle.result()
            assert confirmation.email_sent
            assert await status_of(handle) == WorkflowExecutionStatus.COMPLETED

    run(test())
    assert audit(db).completed == 1


# --- 7: what is retried -------------------------------------------------------


def test_the_retry_policy_is_what_spares_rejections(
    temporal_address: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table above has teeth: without the policy, the same rejection is asked for thrice."""
    monkeypatch.setattr(calls, "STEP_RETRIES", RetryPolicy(maximum_attempts=3))

    async def test() -> None:
        runner = UnsandboxedWorkflowRunner()  # the sandbox would load the file anew
        async with running_system(temporal_address, db, workflow_runner=runner) as system:
            _, handle = await system.book(a_new_trip(**NO_CAR))
            rejected = next(c for c in await activity_calls(handle) if c.name == "book_car")
            assert rejected.attempt == 3

    run(test())


def test_bad_input_that_gets_past_the_client_fails_at_once(
    temporal_address: str, db: Database
) -> None:
    trip = a_new_trip(return_date="2025-01-19")

    async def test() -> None:
        async with running_system(temporal_address, db) as system:
            handle = await system.client.start_workflow(
                BookTrip.run, trip, id=trip.workflow_id, task_queue=system.queue
            )
            error = root(await failure_of(handle))
            assert isinstance(error, ApplicationError)
            assert error.type == "InvalidInput"
            assert "2025-01-19" in error.message
            assert await history_activities(handle) == []

    run(test())


# --- twice --------------------------------------------------------------------


def test_started_twice_is_one_trip(temporal_address: str, db: Database) -> None:
    trip = a_new_trip()

    async def test() -> None:
        async with running_system(temporal_address, db) as system:
            results = await asyncio.gather(*[system.book(trip) for _ in range(5)])
            later, handle = await system.book(trip)
            assert {str(result.confirmation) for result, _ in results} == {str(later.confirmation)}
            assert await history_activities(handle) == [(name, "completed") for name in FORWARD]

    run(test())
    assert (audit(db).trips, audit(db).completed) == (1, 1)


def test_a_confirmation_code_of_somebody_else_s_trip(temporal_address: str, db: Database) -> None:
    ada = a_new_trip()
    grace = TripRequest(**{**ada.__dict__, "customer": "Grace", "passengers": [Passenger("Grace")]})

    async def test() -> None:
        async with running_system(temporal_address, db) as system:
            assert (await system.book(ada))[0].booked
            refused, handle = await system.book(grace)
            assert "belongs to another trip" in refused.reason
            assert await compensations(handle) == []

    run(test())
    assert audit(db).completed == 1, "Ada's trip is still hers"


# --- 8: terminated trips ------------------------------------------------------


async def reconcile(system: System) -> list[str]:
    released: list[str] = await system.client.execute_workflow(
        ReconcileTrips.run, id=f"reconcile-{system.queue}", task_queue=system.queue
    )
    return released


@pytest.mark.parametrize("step", ["book_hotel", "accept_payment"])
def test_a_terminated_trip_is_reconciled(temporal_address: str, db: Database, step: str) -> None:
    gate = Gate(step, after=True)
    trip = a_new_trip()

    async def test() -> None:
        async with running_system(temporal_address, db, gate=gate) as system:
            handle = await system.start(trip)
            await gate.reached.wait()
            if step == "book_hotel":
                assert await reconcile(system) == [], "a running trip is left alone"
            await handle.terminate()
            await gate.open()
            if step == "accept_payment":  # paid, and nobody was told that it failed
                assert await reconcile(system) == []
            else:
                assert kinds(db) == ["seats", "room nights"]
                assert await reconcile(system) == [trip.confirmation_code]
                assert await reconcile(system) == []

    run(test())


def test_reconciliation_goes_on_when_a_provider_is_down(
    temporal_address: str, db: Database
) -> None:
    gate, providers, trip = Gate("book_car", after=True), Switch(HOTEL), a_new_trip()

    async def test() -> None:
        async with running_system(temporal_address, db, providers, gate=gate) as system:
            handle = await system.start(trip)
            await gate.reached.wait()
            await handle.terminate()
            await gate.open()
            assert await reconcile(system) == []
            assert kinds(db) == ["room nights"]
            providers.down.clear()
            assert await reconcile(system) == [trip.confirmation_code]

    run(test())


# --- without a cache: every Workflow Task is a replay -------------------------


@pytest.mark.parametrize("design", [BookTrip, BookInParallel])
def test_replayed_from_the_start_at_each_task(
    temporal_address: str, db: Database, design: type
) -> None:
    async def test() -> None:
        async with running_system(
            temporal_address, db, workflows=DESIGNS, max_cached_workflows=0
        ) as system:
            booked, _ = await system.book(a_new_trip(), design)
            assert booked.booked
            _, handle = await system.book(a_new_trip(TEST_DECLINE, car_type="suv"), design)
            assert sorted(await compensations(handle)) == sorted([CAR, HOTEL, FLIGHT])

    run(test())


# --- flight, hotel and car at the same time -----------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_in_parallel_an_outage_leaves_nothing(
    temporal_address: str, db: Database, step: str
) -> None:
    async def test() -> None:
        down = [outage(step)]
        async with running_system(temporal_address, db, down, workflows=DESIGNS) as system:
            result, handle = await system.book(a_new_trip(), BookInParallel)
            assert not result.booked
            assert failed_activity(await failure_of(handle)) == step
            assert UNDO_OF[step] in await compensations(handle)

    run(test())


@pytest.mark.parametrize(
    ("design", "orphans"), [(BookInParallel, []), (SiblingsLost, ["room nights"])]
)
def test_in_parallel_a_sibling_may_still_be_under_way(
    temporal_address: str, damaged_db: Database, design: type, orphans: list[str]
) -> None:
    gate = Gate("book_hotel")

    async def test() -> None:
        async with running_system(
            temporal_address, damaged_db, gate=gate, workflows=DESIGNS
        ) as system:
            handle = await system.start(a_new_trip(**NO_CAR), design)
            await gate.reached.wait()
            assert failed_activity(await failure_of(handle)) == "book_car"
            await gate.open()

    run(test())
    assert kinds(damaged_db) == orphans
