"""What terminated and timed-out trips leave behind is found and released, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from lab.breaking.scenarios import request_for
from lab.running.background import background
from lab.running.pause import Pause
from lab.running.system import System
from lab.running.worker_process import start_worker
from sqlalchemy import insert, update
from temporal import Patient, run, until
from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleSpec,
    WorkflowExecutionStatus,
    WorkflowHandle,
)
from temporalio.testing import ActivityEnvironment

from tests.matrix import Commit, Plan, Plans, planned
from tests.sampling import few
from travel.faults import Fault, ScriptedFault
from travel.models import TripRequest
from travel.providers.payments import TEST_DECLINE
from travel.reconciliation import Reconciliation
from travel.store import settlements
from travel.store.database import booking_requests
from travel.store.holdings import read_trips
from travel.temporal.connection import connect, task_queue
from travel.workflows.book_trip import BookTrip
from travel.workflows.reconcile_trips import ReconcileTrips

FORWARD = ("store_booking_request", "book_flight", "book_hotel", "book_car", "accept_payment")
UNDOS = ("cancel_car", "cancel_hotel", "cancel_flight")
STEPS = (*FORWARD, "send_confirmation_email", *UNDOS)


async def terminate_before_commit(trip: WorkflowHandle[Any, Any], commit: Commit) -> Any:
    await trip.terminate("by hand")
    raise ConnectionError("Nobody is waiting for this.")


async def terminate_after_commit(trip: WorkflowHandle[Any, Any], commit: Commit) -> Any:
    result = await commit()
    await trip.terminate("by hand")
    return result


def released_meanwhile(release: Callable[[], Coroutine[Any, Any, Any]]) -> Plan:
    """Terminated, then reconciled, and only then does the request reach the provider."""

    async def plan(trip: WorkflowHandle[Any, Any], commit: Commit) -> Any:
        await trip.terminate("by hand")
        await release()
        return await commit()

    return plan


async def outlive(trip: WorkflowHandle[Any, Any], commit: Commit) -> Any:
    """Done, and the reply comes when the Workflow has timed out."""
    result = await commit()
    await _end(trip)
    return result


async def _end(trip: WorkflowHandle[Any, Any]) -> None:
    await asyncio.gather(trip.result(), return_exceptions=True)


def patient() -> AbstractAsyncContextManager[tuple[System, Plans]]:
    """Plans that end when they have done what they are for, however long that takes."""
    return planned(BookTrip, Patient())


async def reconcile(system: System) -> list[str]:
    released = system.client.execute_workflow(
        ReconcileTrips.run,
        id=f"reconcile-{uuid4().hex}",
        task_queue=system.queue or task_queue(),
    )
    return await background().run(released)


def trip_for(number: int, step: str) -> TripRequest:
    """A trip that comes to that step: to an undo only by a declined card."""
    return request_for(number, {"confirmation_code": TEST_DECLINE} if step in UNDOS else {})


async def stopped_at(
    system: System, plans: Plans, steps: tuple[str, ...], plan: Plan, first: int = 1
) -> list[TripRequest]:
    """A trip for each step, stopped there by the plan."""
    trips = [trip_for(number, step) for number, step in enumerate(steps, first)]
    for trip, step in zip(trips, steps, strict=True):
        plans.plans[trip.workflow_id, step] = plan
    await asyncio.gather(*[system.book(trip) for trip in trips])
    await background().run(system._injection.settled())
    return trips


def codes(trips: list[TripRequest]) -> list[str]:
    return sorted(trip.confirmation_code for trip in trips)


def held(system: System) -> list[str]:
    """The codes of trips that hold what they should not."""
    return sorted({finding.confirmation_code for finding in system.audit().findings})


# --- every step ---------------------------------------------------------------------


def test_terminated_before_the_provider_was_called() -> None:
    async def test() -> None:
        async with patient() as (system, plans):
            trips = await stopped_at(system, plans, STEPS, terminate_before_commit)
            # Nothing is held yet at the first two, and the email comes when the trip stands.
            abandoned = codes([*trips[2:5], *trips[6:]])
            assert held(system) == abandoned
            assert sorted(await reconcile(system)) == abandoned
            assert system.audit().clean
            assert await reconcile(system) == []

    run(test())


def test_terminated_between_commit_and_reply() -> None:
    async def test() -> None:
        async with patient() as (system, plans):
            trips = await stopped_at(system, plans, STEPS, terminate_after_commit)
            # Paid is booked: the customer was told nothing, and has a trip.
            abandoned = codes([*trips[1:4], *trips[6:8]])
            assert held(system) == abandoned
            assert sorted(await reconcile(system)) == abandoned
            assert system.audit().clean
            assert system.audit().completed == 2

    run(test())


def test_a_request_that_arrives_after_the_reconciliation_is_refused() -> None:
    async def test() -> None:
        async with patient() as (system, plans):
            released: list[list[str]] = []

            async def release() -> None:
                released.append(await reconcile(system))

            await stopped_at(system, plans, FORWARD[2:], released_meanwhile(release))
            assert any(released)
            assert system.audit().clean

    run(test())


def test_timed_out_workflows() -> None:
    async def test() -> None:
        async with patient() as (system, plans):
            timed_out = [timed_out_at(system, plans, *one) for one in enumerate(FORWARD[1:4], 1)]
            tried = await asyncio.gather(*timed_out)
            abandoned = held(system)
            assert {*codes([trips[-1] for trips in tried])} <= {*abandoned}
            assert {*abandoned} <= {*codes([trip for trips in tried for trip in trips])}
            assert sorted(await reconcile(system)) == abandoned
            assert system.audit().clean

    run(test())


SECONDS = (2, 8, 32, 128)


async def timed_out_at(system: System, plans: Plans, number: int, step: str) -> list[TripRequest]:
    """Trips of which the last one's time is up between that step and its reply.

    The time is real: while an attempt runs, a virtual clock stands still. A busy machine
    may not come to the step in so short a time; then another trip gets more of it.
    """
    trips = []
    for again, seconds in enumerate(SECONDS):
        trips.append(trip := trip_for(number + 10 * again, step))
        plans.plans[trip.workflow_id, step] = outlive
        await background().run(end_within(system, trip, timedelta(seconds=seconds)))
        if (trip.workflow_id, step) not in plans.plans:
            return trips
    raise AssertionError(f"{step} was not begun within {SECONDS[-1]} s")


async def end_within(system: System, trip: TripRequest, time: timedelta) -> None:
    # Not system.client: a virtual clock would skip to the timeout before the first attempt.
    client = await connect(system.server.address, namespace=system.client.namespace)
    handle = await client.start_workflow(
        BookTrip.run,
        trip,
        id=trip.workflow_id,
        task_queue=system.queue or task_queue(),
        execution_timeout=time,
    )
    await _end(handle)
    await system._settled()


# --- again and again ------------------------------------------------------------------


def test_on_a_schedule() -> None:
    async def test() -> None:
        async with patient() as (system, plans):
            trips = await stopped_at(system, plans, FORWARD[1:4], terminate_after_commit)
            assert held(system) == codes(trips)
            action = ScheduleActionStartWorkflow(
                ReconcileTrips.run, id="reconcile", task_queue=system.queue or task_queue()
            )
            every = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(seconds=1))])
            schedule = await background().run(
                system.client.create_schedule("reconcile", Schedule(action=action, spec=every))
            )
            try:

                async def clean() -> bool:
                    return system.audit().clean

                await until(clean, seconds=120)
            finally:
                await background().run(schedule.delete())

    run(test())


def test_five_at_once() -> None:
    async def test() -> None:
        async with patient() as (system, plans):
            trips = await stopped_at(system, plans, FORWARD[1:4], terminate_after_commit)
            found = await asyncio.gather(*[reconcile(system) for _ in range(5)])
            assert sorted({code for some in found for code in some}) == codes(trips)
            assert system.audit().clean

    run(test())


def test_trips_under_way_are_left_alone() -> None:
    async def test() -> None:
        async with patient() as (system, plans):
            trips = await stopped_at(system, plans, FORWARD[1:4], terminate_after_commit)
            live = asyncio.create_task(system.book_all([request_for(n) for n in range(20, 40)]))
            released = []
            while not live.done():
                released += await reconcile(system)
            assert sorted(released) == codes(trips)
            assert all(trip.booked for trip in await live)
            assert system.audit().clean
            assert system.audit().completed == 20

    run(test())


class AsksLate(Reconciliation):
    """Asks Temporal about a trip when it has been paid for and is over."""

    def __init__(self, system: System, pause: Pause) -> None:
        super().__init__(system.database, system.client)
        self._pause = pause
        self.asked: list[str] = []

    async def _running(self, ids: Sequence[str]) -> set[str]:
        return set()  # the list knows nothing of it yet

    async def _status(self, workflow_id: str) -> WorkflowExecutionStatus | None:
        self._pause.go_on()
        await self._client.get_workflow_handle(workflow_id).result()
        self.asked.append(workflow_id)
        return await super()._status(workflow_id)


def test_a_trip_that_ends_well_between_the_look_and_the_question() -> None:
    async def test() -> None:
        async with patient() as (system, _):
            request = request_for(1)
            pause = Pause(system, request, "accept_payment")
            late = AsksLate(system, pause)
            await system.begin(request)
            await pause.reached()
            found = ActivityEnvironment().run(late.find_abandoned_trips)
            assert await background().run(found) == []
            assert late.asked == [request.workflow_id]
            assert system.audit().clean
            assert system.audit().completed == 1

    run(test())


# --- what became of them ------------------------------------------------------------------


def told(system: System) -> dict[str, str | None]:
    """What the database says each customer was told."""
    return {code: trip.outcome for code, trip in read_trips(system.database).items()}


def forget(system: System) -> None:
    """As if every client had died before it could note what it had been told."""
    with system.database.transaction() as connection:
        connection.execute(update(booking_requests).values(outcome=None))


def test_no_trip_stays_at_nothing_yet() -> None:
    """Booked, failed and undone, cancelled, and terminated at every step."""

    async def test() -> None:
        async with patient() as (system, plans):
            await stopped_at(system, plans, FORWARD[1:], terminate_after_commit)
            booked = await system.book(request_for(20))
            declined = await system.book(request_for(21, {"confirmation_code": TEST_DECLINE}))
            assert (booked.booked, declined.booked) == (True, False)
            forget(system)
            released = await reconcile(system)
            assert len(released) == 3
            assert system.audit().clean
            outcomes = told(system)
            # The fourth was terminated when it had been paid for.
            paid = trip_for(4, "accept_payment").confirmation_code
            for code in (booked.request.confirmation_code, paid):
                assert outcomes.pop(code) == "booked"
            assert set(outcomes.values()) == {"failed"}
            assert await reconcile(system) == []

    run(test())


def test_what_was_told_stays_told_and_trips_under_way_are_told_nothing() -> None:
    async def test() -> None:
        async with patient() as (system, _):
            under_way = request_for(1)
            pause = Pause(system, under_way, "book_car")
            trip = await system.begin(under_way)
            await pause.reached()
            await system.book(request_for(2))
            before = told(system)
            try:
                assert await reconcile(system) == []
                assert told(system) == before
                assert before[under_way.confirmation_code] is None
            finally:
                pause.go_on()
            assert (await trip.end()).booked
            assert system.audit().clean

    run(test())


@pytest.mark.parametrize("undo", [*UNDOS, "refund_payment"])
def test_what_a_person_settled_is_not_undone_again(undo: str) -> None:
    """Money would be paid back twice; the rest is released."""

    async def test() -> None:
        async with patient() as (system, plans):
            [trip] = await stopped_at(system, plans, ("accept_payment",), terminate_after_commit)
            settlements.record(
                system.database,
                confirmation_code=trip.confirmation_code,
                undo=undo,
                settled_by="Grace",
                reason="by telephone",
                settled_at="2025-01-21T09:00:00+00:00",
            )
            assert await reconcile(system) == codes([trip])
            report = system.audit()
            assert report.clean
            assert [one.undo for one in report.settled] == [undo]
            assert told(system) == {trip.confirmation_code: "failed"}
            assert await reconcile(system) == []

    run(test())


CUSTOMERS = ["Ada", "O'Brien", 'a "b" c', "back\\slash\\", "50% (%_)", "Ünï 🚗", "' OR '1'='1"]


def test_any_customer_can_be_asked_about() -> None:
    """The server's list is asked in a language in which names are quoted."""

    async def test() -> None:
        async with patient() as (system, _):
            trips = [
                replace(request_for(number), customer=name) for number, name in enumerate(CUSTOMERS)
            ]
            pauses = [Pause(system, trip, "book_car") for trip in trips]
            begun = [await system.begin(trip) for trip in trips]
            for pause in pauses:
                await pause.reached()
            reconciliation = Reconciliation(system.database, system.client)
            ids = [trip.workflow_id for trip in trips]

            async def listed() -> bool:
                return {*ids[:2]} <= await background().run(reconciliation._running(ids))

            try:
                await until(listed)
                assert await reconcile(system) == []
            finally:
                for pause in pauses:
                    pause.go_on()
            for trip in begun:
                assert (await trip.end()).booked

    run(test())


class StaleList(Reconciliation):
    """The server's list still has whoever is asked about."""

    async def _running(self, ids: Sequence[str]) -> set[str]:
        return {*ids}


def test_who_ended_a_moment_ago_is_still_in_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Among few it is found at once, among many by the next run."""

    async def test() -> None:
        async with patient() as (system, plans):
            trips = await stopped_at(system, plans, FORWARD[1:4], terminate_after_commit)

            async def found() -> list[str]:
                stale = StaleList(system.database, system.client)
                abandoned = ActivityEnvironment().run(stale.find_abandoned_trips)
                return [trip.confirmation_code for trip in await background().run(abandoned)]

            with monkeypatch.context() as many:
                many.setattr("travel.reconciliation.FEW", 2)
                assert await found() == []
            assert await found() == codes(trips)

    run(test())


class Counts(Reconciliation):
    """Counts the trips that the server is asked about one by one."""

    asked = 0

    async def _status(self, workflow_id: str) -> WorkflowExecutionStatus | None:
        self.asked += 1
        return None


def test_the_server_is_asked_about_what_is_unfinished_and_no_more() -> None:
    """A thousand finished trips, and five that nobody looks after: five questions."""

    async def test() -> None:
        async with patient() as (system, _):
            trips = [request_for(number) for number in range(1, 1006)]
            rows = [
                {
                    "confirmation_code": trip.confirmation_code,
                    "customer": trip.customer,
                    "request": asdict(trip),
                    "outcome": "failed" if number > 5 else None,
                }
                for number, trip in enumerate(trips, 1)
            ]
            with system.database.transaction() as connection:
                connection.execute(insert(booking_requests), rows)
            counts = Counts(system.database, system.client)
            found = ActivityEnvironment().run(counts.find_abandoned_trips)
            assert await background().run(found) == []
            assert counts.asked == 5
            assert set(told(system).values()) == {"failed"}

    run(test())


@pytest.mark.parametrize(
    "activity",
    few(["refund_payment", "find_abandoned_trips", "cancel_hotel", "cancel_flight"]),
)
def test_the_worker_is_killed_in_the_middle(activity: str) -> None:
    async def test() -> None:
        async with patient() as (system, plans):
            trips = await stopped_at(system, plans, FORWARD[1:4], terminate_after_commit)
            # A Task Queue that the Worker in this process does not poll.
            system.queue = f"killed-{uuid4().hex}"
            crash = ScriptedFault(activity, Fault.CRASH_AFTER_COMMIT, (1,))
            mortal = await start_worker(system, [crash])
            released = asyncio.create_task(reconcile(system))
            assert await mortal.died(60) == -9
            assert not system.audit().clean
            await start_worker(system)
            assert sorted(await released) == codes(trips)
            assert system.audit().clean

    run(test())
