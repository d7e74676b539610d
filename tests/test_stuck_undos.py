"""An undo that is stuck or refused, the person who decides, and how long it may take.

In the simulator, where a year takes a second; what the server has its own word in, on the server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from lab.simulation import Cancel, Code, Evict, Fault, Schedule, Simulation
from samples import a_trip
from sqlalchemy import select
from temporal import DOWN, Providers, root, run, until
from temporalio import activity
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowUpdateFailedError,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError
from temporalio.testing import TimeSkipper, WorkflowEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from travel import desk
from travel.audit import audit
from travel.booking import result_of, start_trip
from travel.errors import InvalidInput, Rejected
from travel.models import Decision, TripProgress
from travel.store.database import Database, settlements
from travel.temporal.connection import connect, register_search_attribute
from travel.temporal.search_attributes import TRIP_STATUS
from travel.temporal.server import embedded_server, find_executable
from travel.worker import activities_of, running_worker
from travel.workflows.book_in_parallel import BookInParallel
from travel.workflows.book_trip import BookTrip

REFUSED = Rejected("This rate cannot be cancelled.")
EVER = 10**9
BY_HAND = Decision("cancel_hotel", "Ann", "the hotel paid us back by bank transfer")


class Trial:
    """One trip in the simulator, whose car cannot be booked, and its providers."""

    def __init__(self, database: Database, design: Any = BookTrip, **answers: Any) -> None:
        self.providers = Providers(**{"book_car": (DOWN, EVER)} | answers)
        self.database = database
        self.design = design
        self.schedule = Schedule()
        self.next_flags = False

    def start(self, **changes: Any) -> Trial:
        code = Code(
            [self.design],
            activities_of(None, self.database),  # type: ignore[arg-type]
            interceptors=[self.providers],
            next_flags=self.next_flags,
        )
        self.simulation = Simulation(code, self.schedule, max_steps=400_000)
        self.trip = a_trip(f"TEST-{uuid4().hex}", **changes)
        status = TypedSearchAttributes([SearchAttributePair(TRIP_STATUS, "booking")])
        self.handle = self.simulation.start(
            self.design, self.trip, id=self.trip.workflow_id, search_attributes=status
        )
        return self

    @property
    def progress(self) -> TripProgress:
        progress: TripProgress = self.handle.query(BookTrip.progress)
        return progress

    def until_stuck(self, *undos: str) -> TripProgress:
        self.simulation.run(until=lambda: self.progress.stuck == list(undos))
        return self.progress

    def pass_time(self, **duration: float) -> TripProgress:
        self.simulation.run_for(timedelta(**duration))
        return self.progress

    def decide(self, decision: Decision) -> TripProgress:
        progress: TripProgress = self.handle.execute_update(BookTrip.decide, decision)
        return progress

    def failure(self) -> BaseException | None:
        with pytest.raises(WorkflowFailureError) as failed:
            self.handle.result()
        return failed.value.cause


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    return sqlite_database


def recorded(database: Database) -> list[tuple[str, str, str]]:
    with database.snapshot() as connection:
        rows = connection.execute(select(settlements))
        return [(row.undo, row.settled_by, row.reason) for row in rows]


# --- refused, and down ---------------------------------------------------------------


@pytest.mark.parametrize("design", [BookTrip, BookInParallel])
def test_a_refused_undo_waits_for_a_person_and_is_not_asked_again(
    database: Database, design: Any
) -> None:
    trial = Trial(database, design, cancel_hotel=(REFUSED, EVER)).start()
    trial.until_stuck("cancel_hotel")
    progress = trial.pass_time(days=30)
    assert trial.providers.count("cancel_hotel") == 1
    assert progress.status == "waiting for a decision on cancel_hotel"
    assert progress.to_undo == ["cancel_hotel"], "the others had their turns"
    [stuck] = progress.waiting
    assert stuck.refused and stuck.reason == "Rejected: This rate cannot be cancelled."
    assert "No connection" in progress.failure
    assert trial.handle.search_attributes[TRIP_STATUS] == progress.status


def test_an_undo_whose_provider_is_down_is_asked_again(database: Database) -> None:
    trial = Trial(database, cancel_hotel=(DOWN, 30)).start()
    progress = trial.until_stuck("cancel_hotel")
    assert progress.status == "waiting for cancel_hotel"
    assert not progress.waiting[0].refused
    assert isinstance(trial.failure(), ActivityError)
    assert trial.providers.count("cancel_hotel") == 31
    assert audit(database).clean


def test_the_details_say_what_is_done_and_left_and_what_can_be_done(database: Database) -> None:
    trial = Trial(database, cancel_hotel=(REFUSED, EVER)).start()
    trial.until_stuck("cancel_hotel")
    trial.pass_time(minutes=10)
    metadata = trial.handle.query("__temporal_workflow_metadata")
    details = str(metadata)
    for said in (
        "waiting for a decision on cancel_hotel",
        "Done: `book_flight`, `book_hotel`",
        "| `cancel_hotel` | ",
        "Rejected: This rate cannot be cancelled.",
        "a person must decide",
        f"python -m travel.desk settle {trial.trip.confirmation_code} cancel_hotel",
    ):
        assert said in details
    assert trial.trip.customer not in details


def test_a_provider_says_itself_when_to_come_again(database: Database) -> None:
    later = ApplicationError("Come again.", next_retry_delay=timedelta(hours=5))
    trial = Trial(database, cancel_hotel=(later, 2)).start()
    trial.until_stuck("cancel_hotel")
    began = trial.simulation.now
    trial.failure()
    hours = (trial.simulation.now - began) / 3_600e9
    assert trial.providers.count("cancel_hotel") == 3
    assert 9 < hours < 10.1


# --- a person decides ---------------------------------------------------------------------


def test_settled_by_hand_is_off_the_list_and_on_record(database: Database) -> None:
    trial = Trial(database, cancel_hotel=(REFUSED, EVER)).start()
    trial.until_stuck("cancel_hotel")
    progress = trial.decide(BY_HAND)
    assert progress.to_undo == [] and progress.settled[0].settled_by == "Ann"
    error = trial.failure()
    assert isinstance(error, ActivityError) and error.activity_type == "book_car"
    assert recorded(database) == [("cancel_hotel", "Ann", BY_HAND.because)]
    trial.simulation.verify()


def test_try_now_ends_the_pause(database: Database) -> None:
    trial = Trial(database, cancel_hotel=(DOWN, EVER)).start()
    trial.until_stuck("cancel_hotel")
    trial.pass_time(hours=7, minutes=3)
    trial.providers.answers["cancel_hotel"] = (DOWN, 0)
    before = trial.simulation.now
    trial.decide(Decision("cancel_hotel"))
    trial.failure()
    assert trial.simulation.now - before < 5e9, "not ten minutes later"
    assert audit(database).clean
    trial.simulation.verify()


def test_try_now_of_a_refused_undo(database: Database) -> None:
    trial = Trial(database, cancel_hotel=(REFUSED, 2)).start()
    trial.until_stuck("cancel_hotel")
    trial.decide(Decision("cancel_hotel"))
    trial.pass_time(hours=1)
    assert trial.providers.count("cancel_hotel") == 2
    trial.decide(Decision("cancel_hotel"))
    trial.failure()
    assert audit(database).clean


def test_a_decision_may_be_sent_twice(database: Database) -> None:
    trial = Trial(database, cancel_hotel=(REFUSED, EVER), cancel_flight=(REFUSED, EVER)).start()
    trial.until_stuck("cancel_hotel", "cancel_flight")
    trial.decide(BY_HAND)
    progress = trial.decide(BY_HAND)
    assert progress.to_undo == ["cancel_flight"]
    assert len(progress.settled) == len(recorded(database)) == 1


def test_a_decision_outlives_a_cancel_request_and_an_eviction(database: Database) -> None:
    trial = Trial(database, cancel_hotel=(REFUSED, EVER), cancel_flight=(DOWN, 40))
    trial.schedule = Schedule(*(Evict(moment) for moment in range(20, 400, 3)))
    trial.start()
    trial.simulation.run(until=lambda: "cancel_hotel" in trial.progress.stuck)
    trial.handle.cancel("a better offer")
    trial.pass_time(minutes=5)
    trial.decide(BY_HAND)
    error = trial.failure()
    assert isinstance(error, ActivityError), "the first failure, not the cancel request"
    assert trial.progress.cancel_reason == "a better offer"
    assert recorded(database) == [("cancel_hotel", "Ann", BY_HAND.because)]
    trial.simulation.verify()


NO_CAR = Decision("cancel_car", "Ann", "there was no car")


def test_a_cancel_request_beside_a_late_answer_takes_nothing_away(database: Database) -> None:
    """A decision is still recorded when its undo succeeds after all: the block is over then."""
    for later in range(6, 11):
        trial = Trial(database, cancel_car=(DOWN, 9))
        trial.schedule, trial.next_flags = Schedule(Fault("record_settlement", "slow")), True
        trial.start().until_stuck("cancel_car")
        trial.pass_time(seconds=58)
        sent = trial.handle.start_update(BookTrip.decide, NO_CAR)
        now = trial.simulation.moment
        trial.simulation.run(until=lambda: trial.simulation.moment == now + later)  # noqa: B023
        trial.handle.cancel()
        error = trial.failure()
        assert isinstance(error, ActivityError) and error.activity_type == "book_car", later
        assert trial.progress.to_undo == sent.result().to_undo == []
        trial.simulation.verify()


def test_what_is_settled_cannot_be_booked_any_more(database: Database) -> None:
    """An attempt that is stuck on its way would hold a room that nobody gives back."""
    trial = Trial(database, cancel_hotel=(REFUSED, EVER), book_car=(DOWN, 0))
    trial.schedule = Schedule(Fault("book_hotel", "very late", attempts=0))
    trial.start().until_stuck("cancel_hotel")
    trial.decide(BY_HAND)
    trial.failure()
    trial.simulation.run()
    assert trial.providers.calls.count("book_hotel") == 3, "all of them late"
    report = audit(database)
    assert (report.findings, report.settled) == ([], [])


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (Decision("cancel_car"), "'cancel_car' does not wait for a decision"),
        (Decision("cancel_hotel", "Ann", " "), "expected a name and a reason"),
        (Decision("cancel_hotel", "", "because"), "expected a name and a reason"),
    ],
)
def test_what_cannot_be_decided_is_refused_in_a_sentence(
    database: Database, decision: Decision, said: str
) -> None:
    trial = Trial(database, cancel_hotel=(REFUSED, EVER)).start()
    trial.until_stuck("cancel_hotel")
    events = len(trial.handle.events())
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        trial.decide(decision)
    assert said in str(root(refused.value))
    assert len(trial.handle.events()) == events, "nothing in the Event History"


# --- how long it may take --------------------------------------------------------------------


SUGGEST_AT = "limit.historyCount.suggestContinueAsNew"
LATER = ApplicationError("Come again next week.", next_retry_delay=timedelta(days=7))


def test_a_cancel_request_beside_a_decision_while_the_saga_hands_over(database: Database) -> None:
    """The hand-over waits for the decision's answer, and goes on whatever that comes with."""
    calm = Trial(database, cancel_car=(REFUSED, EVER)).start()
    calm.simulation.run()
    for moment in range(calm.simulation.moment + 1, calm.simulation.moment + 12):
        trial = Trial(database, cancel_car=(REFUSED, EVER))
        trial.schedule, trial.next_flags = Schedule(Cancel(moment)), True
        trial.start().simulation.suggest_continue_as_new_at = len(calm.handle.events()) + 2
        trial.simulation.run()
        assert trial.decide(NO_CAR).to_undo == []
        error = trial.failure()
        assert isinstance(error, ActivityError) and error.activity_type == "book_car"
        trial.simulation.verify()


@pytest.mark.parametrize("design", [BookTrip, BookInParallel])
def test_a_year_and_then_a_person_with_the_cause_intact(database: Database, design: Any) -> None:
    trial = Trial(
        database, design, cancel_hotel=(LATER, EVER), cancel_flight=(REFUSED, EVER)
    ).start()
    trial.simulation.suggest_continue_as_new_at = 150
    since = trial.until_stuck("cancel_hotel", "cancel_flight").waiting
    progress = trial.pass_time(days=365)
    assert len(trial.handle.runs) > 3, "continued as new"
    assert [(w.undo, w.since, w.refused) for w in progress.waiting] == [
        (w.undo, w.since, w.refused) for w in since
    ]
    assert trial.providers.count("cancel_flight") == 1, "not asked again in a new run either"
    assert progress.done == ["book_flight", "book_hotel"] and "No connection" in progress.failure
    trial.decide(BY_HAND)
    trial.decide(Decision("cancel_flight", "Ann", "refunded in cash"))
    error = trial.failure()
    assert isinstance(error, ActivityError) and error.activity_type == "book_car"
    assert "No connection" in str(root(error))
    assert [undo for undo, *_ in recorded(database)] == ["cancel_hotel", "cancel_flight"]
    trial.simulation.verify()


def test_a_decision_in_one_run_is_remembered_in_the_next(database: Database) -> None:
    trial = Trial(database, cancel_hotel=(LATER, EVER), cancel_flight=(REFUSED, EVER)).start()
    trial.simulation.suggest_continue_as_new_at = 100
    trial.until_stuck("cancel_hotel", "cancel_flight")
    trial.decide(Decision("cancel_flight", "Ann", "refunded in cash"))
    trial.pass_time(days=120)
    assert len(trial.handle.runs) > 1
    progress = trial.decide(Decision("cancel_flight", "Ann", "refunded in cash"))
    assert progress.to_undo == ["cancel_hotel"]
    assert [settled.undo for settled in progress.settled] == ["cancel_flight"]


@pytest.mark.parametrize("design", [BookTrip, BookInParallel])
def test_a_cancelled_trip_is_failed_by_its_cancellation_if_it_continued_as_new(
    database: Database, design: Any
) -> None:
    """No run but the one that was asked can be closed as canceled. Whoever looks sees why."""
    trial = Trial(database, design, book_car=(DOWN, 1), cancel_hotel=(LATER, 12)).start()
    trial.simulation.suggest_continue_as_new_at = 40
    trial.simulation.run(until=lambda: "book_car" in trial.providers.calls)
    trial.handle.cancel("a better offer")
    progress = trial.until_stuck("cancel_hotel")
    for _run in range(2):
        assert (progress.failure, progress.cancel_reason) == (
            "Workflow cancelled",
            "a better offer",
        )
        progress = trial.pass_time(days=70)
    error = trial.failure()
    assert isinstance(error, CancelledError) and error.message == "Workflow cancelled"
    assert len(trial.handle.runs) > 1 and trial.handle.status == "failed"
    assert audit(database).clean


# --- the customer's patience --------------------------------------------------------------------


def test_a_deadline_compensates_says_so_and_does_not_kill_the_undos(database: Database) -> None:
    slow = ApplicationError("Come again.", next_retry_delay=timedelta(hours=3))
    trial = Trial(database, book_car=(slow, EVER), cancel_flight=(DOWN, 60))
    trial.start(book_within_seconds=3600)
    error = trial.failure()
    assert isinstance(error, ApplicationError) and error.type == "DeadlineExceeded"
    assert error.message == "The trip was not booked within 3,600 seconds."
    assert audit(database).clean
    assert trial.providers.count("cancel_flight") == 61


def test_a_trip_that_is_booked_in_time_stands(database: Database) -> None:
    trial = Trial(database, book_car=(DOWN, 1)).start(book_within_seconds=3600)
    assert trial.handle.result().payment.amount_cents > 0
    assert trial.handle.status == "completed"


def test_the_reason_of_a_cancel_request_is_kept(database: Database) -> None:
    trial = Trial(database, book_car=(DOWN, 0), accept_payment=(DOWN, EVER)).start()
    trial.simulation.run(until=lambda: "accept_payment" in trial.providers.calls)
    trial.handle.cancel("the customer fell ill")
    assert isinstance(trial.failure(), CancelledError)
    assert trial.handle.status == "canceled"
    assert trial.progress.cancel_reason == "the customer fell ill"


# --- on the server ------------------------------------------------------------------------------


def test_the_desk(sqlite_database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """Lists what waits, sends what a person decides, and says what came of it."""

    async def test() -> None:
        providers = Providers(book_car=(DOWN, EVER), cancel_hotel=(REFUSED, EVER))
        async with embedded_server(ui=False) as server:
            client = TimeSkipper(await connect(server.address)).client
            assert await register_search_attribute(client)
            assert await desk.show(client) == 0
            assert capsys.readouterr().out == "0 trips waiting.\n"
            async with running_worker(client, sqlite_database, interceptors=[providers]):
                trip = a_trip("DESK-1")
                handle = await start_trip(client, trip)
                await until(lambda: _waiting(client))
                listed = capsys.readouterr().out
                assert f"{trip.workflow_id}: waiting for a decision on cancel_hotel" in listed
                assert "cancel_hotel refused, waits for you, since 20" in listed
                assert "failed because: " in listed and listed.endswith("1 trip waiting.\n")
                assert await desk.decide(client, "DESK-1", Decision("cancel_hotel")) == 1
                await until(lambda: _asked_again(providers))
                with pytest.raises(InvalidInput, match="'cancel_car' does not wait"):
                    await desk.decide(client, "DESK-1", Decision("cancel_car"))
                with pytest.raises(InvalidInput, match="'DESK-2': expected one running trip"):
                    await desk.decide(client, "DESK-2", Decision("cancel_car"))
                await until(lambda: _waiting(client))
                assert await desk.decide(client, "DESK-1", BY_HAND) == 0
                assert "cancel_hotel settled by Ann" in capsys.readouterr().out
                with pytest.raises(WorkflowFailureError):
                    await handle.result()
                assert recorded(sqlite_database) == [("cancel_hotel", "Ann", BY_HAND.because)]
                await until(lambda: _nothing_waits(client))

    async def _waiting(client: Client) -> bool:
        return await desk.show(client) == 1

    async def _nothing_waits(client: Client) -> bool:
        return await desk.show(client) == 0

    async def _asked_again(providers: Providers) -> bool:
        return providers.count("cancel_hotel") == 2

    run(test())


def test_the_desk_makes_and_changes_the_schedule(capsys: pytest.CaptureFixture[str]) -> None:
    async def test() -> None:
        async with embedded_server(ui=False) as server:
            client = await connect(server.address)
            assert await desk.schedule(client, timedelta(minutes=60)) == 0
            assert await desk.schedule(client, timedelta(minutes=30)) == 0
            described = await client.get_schedule_handle(desk.SCHEDULE).describe()
            assert [i.every for i in described.schedule.spec.intervals] == [timedelta(minutes=30)]

    run(test())
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "Schedule reconcile-trips created: every 60 minutes.",
        "Schedule reconcile-trips changed: every 30 minutes.",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["settle", "A", "cancel_hotel"], "--by, --because"),
        (["settle", "A", "cancel_hotel", "--by", " ", "--because", "x"], "expected some text"),
        (["retry", "A"], "UNDO"),
        (["schedule", "--minutes", "0"], "whole number from 1 to 10080"),
        (["dance"], "dance"),
    ],
)
def test_bad_usage_of_the_desk(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        desk.main(arguments)
    assert left.value.code == 2
    assert said in capsys.readouterr().err


def test_the_desk_without_a_server(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    assert desk.main([]) == 2
    assert "127.0.0.1:1" in capsys.readouterr().err


@asynccontextmanager
async def server_of_short_histories() -> AsyncIterator[Client]:
    """It suggests to continue as new after 40 events, on a virtual clock."""
    limits = ("frontend.WorkflowTimeSkippingEnabled=true", f"{SUGGEST_AT}=40")
    options = [part for limit in limits for part in ("--dynamic-config-value", limit)]
    async with await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=find_executable(), dev_server_extra_args=options
    ) as server:
        await register_search_attribute(server.client)
        yield server.client


@pytest.mark.everything  # as the next one, which is cancelled besides
def test_continue_as_new_on_a_server_whose_histories_may_not_grow(
    sqlite_database: Database,
) -> None:
    async def test() -> None:
        providers = Providers(book_car=(DOWN, EVER), cancel_hotel=(LATER, 12))
        async with (
            server_of_short_histories() as client,
            running_worker(client, sqlite_database, interceptors=[providers]),
        ):
            trip = a_trip("LONG-1")
            handle = await start_trip(client, trip)
            with pytest.raises(WorkflowFailureError) as failed:
                await handle.result()

            async def two_runs() -> bool:
                return (await client.count_workflows("WorkflowType='BookTrip'")).count > 1

            await until(two_runs)  # the server's list lags behind
        error = failed.value.cause
        assert isinstance(error, ActivityError) and error.activity_type == "book_car"
        assert providers.count("cancel_hotel") == 13

    run(test())
    assert audit(sqlite_database).clean


class CancelsInBookCar(Interceptor):
    """Somebody asks to cancel the trip while its car is being booked."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _CancelsInBookCar(next, self.client)


class _CancelsInBookCar(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, client: Client) -> None:
        super().__init__(next)
        self._client = client

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        if input.fn.__name__ == "book_car":
            workflow_id = activity.info().workflow_id
            assert workflow_id is not None
            await self._client.get_workflow_handle(workflow_id).cancel(reason="a better offer")
        return await self.next.execute_activity(input)


def test_a_cancelled_trip_whose_history_may_not_grow_on_a_server(sqlite_database: Database) -> None:
    async def test() -> None:
        providers = Providers(cancel_hotel=(LATER, 12))
        async with server_of_short_histories() as client:
            interceptors = [providers, CancelsInBookCar(client)]
            async with running_worker(client, sqlite_database, interceptors=interceptors):
                trip = a_trip("LONG-2")
                handle = await start_trip(client, trip)
                result = await result_of(handle, trip, sqlite_database)
                progress = await handle.query(BookTrip.progress)
                last = await client.get_workflow_handle(trip.workflow_id).describe()
        assert (result.booked, result.reason) == (False, "Workflow cancelled")
        assert (progress.failure, progress.cancel_reason) == (result.reason, "a better offer")
        assert last.status == WorkflowExecutionStatus.FAILED
        assert last.run_id != handle.first_execution_run_id, "continued as new"

    run(test())
    assert audit(sqlite_database).clean
