"""Trips on the simulator end as on the server, and the sagas lose nothing there."""

from __future__ import annotations

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from types import ModuleType
from typing import NoReturn

import pytest
from lab.designs import except_exception
from lab.designs.except_exception import ExceptException
from lab.running.memory import Memory
from lab.showing.history import read_history
from lab.showing.tables import activity_table, event_table
from lab.showing.timelines import timeline
from lab.simulation import (
    Cancel,
    Code,
    Drawn,
    Evict,
    Fate,
    Fault,
    Outcome,
    Schedule,
    Simulation,
    every,
)
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from test_forty_four import expected_outcomes

from tests import simulate, simulate_beside_server
from tests.sampling import few
from tests.simulated_trips import SAGAS, Travel, flawed, requests
from travel.activities import Activities
from travel.audit import audit
from travel.faults import DEFAULT_SEED, RandomFaults
from travel.faults.injection import FaultInjection
from travel.store.booking_requests import record_outcome
from travel.trips import forty_four_trips
from travel.workflows import book_trip
from travel.workflows.book_in_parallel import BookInParallel
from travel.workflows.book_trip import BookTrip

UNDOS = ("refund_payment", "cancel_car", "cancel_hotel", "cancel_flight")
NAMES = tuple(SAGAS)


@pytest.mark.parametrize(
    ("sandboxed", "next_flags"),
    few([(True, False), (False, True), (False, False), (True, True)]),
)
def test_forty_four_trips_as_on_the_server(sandboxed: bool, next_flags: bool) -> None:
    memory = Memory()
    code = Code(
        [BookTrip],
        [Activities(memory.database)],
        interceptors=[FaultInjection(RandomFaults(DEFAULT_SEED))],
        runner=SandboxedWorkflowRunner() if sandboxed else None,
        next_flags=next_flags,
    )
    outcomes = {}
    for request in forty_four_trips():
        simulation = Simulation(code)
        handle = simulation.start(BookTrip, request, id=request.workflow_id)
        booked = simulation.run().verify() and handle.status == "completed"
        record_outcome(memory.database, request, "booked" if booked else "failed")
        undone = [name for name in simulation.scheduled if name in UNDOS]
        outcomes[request.customer] = (booked, undone)
    assert outcomes == expected_outcomes()
    assert sum(booked for booked, _undone in outcomes.values()) == 16
    report = audit(memory.database)
    assert (report.findings, report.trips, report.completed) == ([], 44, 16)
    memory.close()


@pytest.mark.everything  # a sample of the matrix does, in test_matrix
def test_the_same_trips_end_alike_on_server_and_simulator() -> None:
    """With every kind of fault at every step."""
    simulator = simulate_beside_server.on_simulator(rounds=2)
    server = asyncio.run(simulate_beside_server.on_a_server())
    assert simulate_beside_server.differences(server, simulator) == []
    assert simulator.findings == []


@pytest.mark.parametrize(
    ("name", "next_flags"),
    few(
        [
            ("BookTrip", False),
            ("BookInParallel", True),
            ("BookTrip", True),
            ("BookInParallel", False),
        ],
        2,
    ),
)
def test_no_single_deviation_loses_anything(name: str, next_flags: bool) -> None:
    tally = simulate.exhaustively(name, next_flags, 1)
    assert (tally.lost, tally.problems) == (0, [])
    assert tally.trips > 100


@pytest.mark.parametrize("name", sorted(flawed()))
def test_a_flawed_design_loses_something(name: str) -> None:
    """By a schedule that can be written down and tried again."""
    loss = simulate.shortest_loss(name)
    assert loss is not None and len(loss.schedule) <= 2
    travel = Travel()
    design = flawed()[name]
    again = travel.trial(travel.code(design), design, requests()[0]).run(loss.schedule)
    assert again.left.findings == loss.left.findings != []


def test_except_exception_misses_a_cancel_request_beside_a_reply() -> None:
    """It is no ``Exception`` where it arrives as ``asyncio.CancelledError``."""
    travel = Travel()
    trial = travel.trial(travel.code(ExceptException), ExceptException, requests()[0])
    losses = [outcome for outcome in every(trial, 1, fates=[]) if outcome.left]
    assert losses
    assert {outcome.status for outcome in losses} == {"canceled"}
    assert all(not compensations(outcome) for outcome in losses)


@pytest.mark.parametrize(
    ("module", "name", "undone"),
    [
        (except_exception, "ExceptException", ["cancel_car", "cancel_hotel", "cancel_flight"]),
        (book_trip, "BookTrip", []),
    ],
)
def test_except_exception_undoes_a_trip_for_a_typo(
    module: ModuleType, name: str, undone: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the saga undoes nothing, and waits for the fix."""

    def typo(*_arguments: object) -> NoReturn:
        raise KeyError("prize_cents")

    monkeypatch.setattr(module, "PaymentRequest", typo)
    design = getattr(module, name)
    travel = Travel()
    outcome = travel.trial(travel.code(design), design, requests()[0]).run(Schedule())
    assert (outcome.status, compensations(outcome)) == ("running", undone)


def compensations(outcome: Outcome) -> list[str]:
    """The undos that the Workflow asked for, in order."""
    assert outcome.handle is not None
    return asyncio.run(read_history(outcome.handle)).compensations


def test_a_shortest_loss_is_told_by_another_process() -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        lines = pool.submit(simulate.shortest_loss_in_words, "UndoRegisteredLate").result()
    assert lines[0].startswith("UndoRegisteredLate: Schedule(")
    assert "held for a trip that did not complete" in lines[1]


def test_random_trips_lose_nothing_and_every_kind_of_fault_happens() -> None:
    tally = simulate.book(NAMES, 0, 240)
    assert (tally.trips, tally.lost, tally.problems) == (240, 0, [])
    happened = set(tally.faults)
    wanted = {fate.value for fate in Fate if fate is not Fate.OK}
    assert happened >= wanted | {"cancel", "crash", "evict", "task held back"}
    assert set(tally.statuses) == {"completed", "failed", "canceled"}


def test_remembered_trips_end_like_executed_ones() -> None:
    remembered, executed = (
        simulate.book(NAMES, 0, 48, remember=remember) for remember in (True, False)
    )
    assert remembered.statuses == executed.statuses
    assert remembered.faults == executed.faults


def test_random_schedules_of_trips_replay_in_the_sdks_replayer() -> None:
    travel = Travel()
    histories = []
    for number, request in enumerate(requests()):
        for design in (BookTrip, BookInParallel):
            trial = travel.trial(travel.code(design), design, request)
            outcome = trial.run(Drawn(number, simulate.ODDS))
            assert outcome.handle is not None
            histories.append(outcome.handle.history())

    async def failures() -> list[str]:
        replayer = Replayer(
            workflows=[BookTrip, BookInParallel], workflow_runner=UnsandboxedWorkflowRunner()
        )
        told = [
            await replayer.replay_workflow(history, raise_on_replay_failure=False)
            for history in histories
        ]
        return [str(result.replay_failure) for result in told if result.replay_failure]

    assert asyncio.run(failures()) == []


def test_the_lab_shows_a_simulated_trip() -> None:
    travel = Travel()
    outcome = travel.trial(travel.code(BookTrip), BookTrip, requests()[0]).run(
        Schedule(Fault("book_car", "outage", attempts=3), Fault("cancel_hotel", "no reply"))
    )
    assert outcome.handle is not None
    history = asyncio.run(read_history(outcome.handle))
    assert history.status == "failed"
    assert history.compensations == ["cancel_car", "cancel_hotel", "cancel_flight"]
    assert history.failed_step is not None and history.failed_step.activity == "book_car"
    assert history.failed_step.attempts == 3
    assert "book_car" in repr(activity_table(history))
    assert "ActivityTaskTimedOut" in repr(event_table(history, everything=True)) or repr(
        event_table(history)
    )
    assert timeline(history) is not None


def test_a_seed_is_a_trip_and_its_loss_is_shrunk() -> None:
    names = ("OneShield",)
    tally = simulate.book(names, 0, 48)
    assert tally.lost > 0
    design, seed = tally.losses[0]
    drawn, short = simulate.drawn(design, seed, names)
    assert 0 < len(short) <= len(drawn)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate.main(["--trips", "60", "--jobs", "1", "--seed", "7"]) == 0
    printed = capsys.readouterr().out
    assert "60 trips by BookTrip, BookInParallel from seed 7" in printed
    assert "lost: 0" in printed
    assert simulate.main(["--trips", "30", "--jobs", "1", "--design", "UndoRegisteredLate"]) == 0
    assert "UndoRegisteredLate lost" in capsys.readouterr().out
    for bad in (["--trips", "0"], ["--design", "Nothing"]):
        with pytest.raises(SystemExit) as caught:
            simulate.main(bad)
        assert caught.value.code == 2


def test_a_trip_cancelled_and_evicted_between_any_two_steps() -> None:
    travel = Travel()
    trial = travel.trial(travel.code(BookTrip), BookTrip, requests()[0])
    evicted = replace(trial, verify=False)
    for outcome in every(trial, 1, fates=[]):
        moments = [d.at for d in outcome.schedule if isinstance(d, Cancel) and not d.during]
        for moment in moments:
            again = evicted.run(Schedule(Cancel(moment), Evict(moment + 1)))
            assert not again.left and again.status == outcome.status
