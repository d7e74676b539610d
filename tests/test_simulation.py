"""The simulator by itself: schedules, faults, replay, worlds, guards, where it may be called."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import itertools
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import nexusrpc
import pytest
from lab import simulation as sim
from lab.simulation import (
    Cancel,
    Code,
    Crash,
    Do,
    Drawn,
    Evict,
    Fate,
    Fault,
    First,
    Hold,
    NeverYields,
    NotDeterministic,
    NotSimulated,
    Objects,
    Odds,
    Remembered,
    Schedule,
    Signal,
    Simulation,
    SqliteRows,
    StillRunning,
    Terminate,
    Trial,
    Update,
    every,
    shrink,
)
from lab.simulation.quick import QuickFailureConverter
from temporalio import activity, workflow
from temporalio.api.failure.v1 import Failure
from temporalio.client import WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
)
from temporalio.exceptions import ActivityError, ApplicationError, FailureError
from temporalio.exceptions import TimeoutError as TemporalTimeoutError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    Interceptor,
    Replayer,
    UnsandboxedWorkflowRunner,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from tests.sampling import few

BOOKED: list[str] = []
UNDONE: set[str] = set()
"""Tombstones: what was undone is not done any more."""
SECONDS = timedelta(seconds=3)
STEP = {
    "start_to_close_timeout": SECONDS,
    "retry_policy": RetryPolicy(maximum_attempts=3, non_retryable_error_types=["Rejected"]),
}
UNDO = {"start_to_close_timeout": SECONDS, "retry_policy": RetryPolicy(maximum_attempts=20)}


@activity.defn
def book(what: str) -> str:
    if what in UNDONE:
        raise ApplicationError(f"{what} was undone", type="Rejected")
    if what not in BOOKED:
        BOOKED.append(what)
    return f"booked {what}"


@activity.defn
async def cancel(what: str) -> None:
    await asyncio.sleep(0.001)
    UNDONE.add(what)
    if what in BOOKED:
        BOOKED.remove(what)


@workflow.defn
class Careful:
    """A small saga: two steps, the undos registered before them."""

    def __init__(self) -> None:
        self.log: list[str] = []

    @workflow.run
    async def run(self, fail: bool = False) -> list[str]:
        undos: list[str] = []
        try:
            for what in ("room", "car"):
                undos.append(what)
                self.log.append(await workflow.execute_activity(book, what, **STEP))
            if fail:
                raise ApplicationError("no", type="No")
        except BaseException:
            work = asyncio.create_task(self._undo(undos))
            while not work.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await workflow.wait([work])
            raise
        return self.log

    async def _undo(self, undos: list[str]) -> None:
        for what in reversed(undos):
            await workflow.execute_activity(cancel, what, **UNDO)

    @workflow.signal
    def note(self, text: str) -> None:
        self.log.append(text)

    @workflow.update
    async def noted(self, text: str) -> int:
        self.log.append(text)
        return len(self.log)


@workflow.defn
class Careless:
    """The same with the undo registered after its step."""

    @workflow.run
    async def run(self) -> None:
        done = []
        try:
            for what in ("room", "car"):
                await workflow.execute_activity(book, what, **STEP)
                done.append(what)
        except ActivityError:
            for what in reversed(done):
                await workflow.execute_activity(cancel, what, **UNDO)
            raise


@workflow.defn
class SideBySide:
    """Three steps at once; tells in which order they were done."""

    @workflow.run
    async def run(self) -> list[str]:
        done: list[str] = []

        async def step(what: str) -> None:
            await workflow.execute_activity(book, what, **STEP)
            done.append(what)

        await asyncio.gather(*(step(what) for what in ("room", "car", "seat")))
        return done


CODE = Code([Careful, Careless], [book, cancel])
NEXT = Code([Careful, Careless], [book, cancel], next_flags=True)


@pytest.fixture(autouse=True)
def nothing_booked() -> Iterator[None]:
    _clear()
    yield
    _clear()


def _clear() -> None:
    BOOKED.clear()
    UNDONE.clear()


def lost(outcome: sim.Outcome) -> list[str]:
    """What is held although the Workflow did not complete."""
    return [] if outcome.status == "completed" else list(BOOKED)


def trial(workflow_class: type = Careful, code: Code = CODE, **options: Any) -> Trial:
    return Trial(code, workflow_class, world=Objects(BOOKED, UNDONE), judge=lost, **options)


def replays(outcome: sim.Outcome, *workflows: type) -> str:
    """What the SDK's Replayer says: nothing, or what went wrong."""

    async def replay() -> str:
        replayer = Replayer(
            workflows=workflows or [Careful, Careless],
            workflow_runner=UnsandboxedWorkflowRunner(),
        )
        assert outcome.handle is not None
        told = await replayer.replay_workflow(
            outcome.handle.history(), raise_on_replay_failure=False
        )
        return str(told.replay_failure or "")

    return asyncio.run(replay())


# --- schedules ---------------------------------------------------------------------------


def test_all_goes_well_without_decisions() -> None:
    outcome = trial().run()
    assert (outcome.status, outcome.result) == ("completed", ["booked room", "booked car"])
    assert (outcome.faults, outcome.scheduled) == ({}, ["book", "book"])
    assert BOOKED == ["room", "car"]


def test_a_schedule_prints_as_what_builds_it() -> None:
    schedule = Schedule(
        Fault("book", "lost reply"),
        Fault("cancel", "outage", call=2, attempts=0, workflow="w"),
        Cancel(7),
        Cancel(9, during=True),
        Hold(2, events=3),
        First(4, pick=2),
        Signal(3, name="note", args=("hello",)),
        Do(2, name="the operator calls"),
    )
    again = eval(repr(schedule), vars(sim))
    assert again == schedule
    assert "Fault('book', 'lost reply')" in repr(schedule)
    assert repr(Schedule()) == "Schedule()"


@pytest.mark.parametrize("seed", few(range(60), 20))
@pytest.mark.parametrize("workflow_class", [Careful, Careless])
def test_what_was_drawn_replays_exactly(seed: int, workflow_class: type) -> None:
    odds = Odds(fault=0.3, cancel=0.05, crash=0.03, evict=0.1, hold=0.3, race=0.4)
    tried = trial(workflow_class)
    first = tried.run(Drawn(seed, odds))
    again = tried.run(eval(repr(first.schedule), vars(sim)))
    assert first.handle is not None and again.handle is not None
    assert again.handle.history().to_json() == first.handle.history().to_json()
    assert (again.left, again.faults) == (first.left, first.faults)
    assert replays(first) == ""


@pytest.mark.parametrize("code", [CODE, NEXT], ids=["shipped flags", "next flags"])
def test_a_careful_saga_loses_nothing_in_any_schedule_of_one_deviation(code: Code) -> None:
    outcomes = list(every(trial(code=code), 1, lasting=(1, 5)))
    assert [o.schedule for o in outcomes if o.left or o.problem] == []
    assert len(outcomes) > 40


def test_every_schedule_of_two_deviations_is_tried_once() -> None:
    outcomes = every(trial(verify=False), 2, fates=[Fate.OUTAGE], arrivals=lambda outcome: ())
    schedules = [outcome.schedule for outcome in outcomes]
    assert len(schedules) == len(set(schedules))
    assert Schedule(Fault("book", "outage"), Fault("book", "outage", attempt=2)) in schedules
    assert Schedule(Fault("book", "outage"), Fault("book", "outage", call=2)) in schedules


def test_two_deviations_may_come_at_the_same_step() -> None:
    """A cancel request just before the attempt that goes wrong is one of the pairs."""
    moment = next(moment for moment, site in trial().run().sites if site.call == 2)
    pair = Schedule(Cancel(moment), Fault("book", "lost reply", call=2))
    outcomes = list(every(trial(verify=False), 2, fates=[Fate.LOST_REPLY]))
    assert pair in [outcome.schedule for outcome in outcomes]
    assert len(outcomes) == len({outcome.schedule for outcome in outcomes})


def test_every_order_of_what_is_under_way_is_tried() -> None:
    """Three replies in any order, one by one or several in one activation."""
    code = Code([SideBySide], [book])
    tried = Trial(code, SideBySide, world=Objects(BOOKED, UNDONE))
    outcomes = list(every(tried, 2, fates=[], arrivals=lambda outcome: (), orders=True))
    assert [outcome.problem for outcome in outcomes if outcome.problem] == []
    orders = {tuple(outcome.result) for outcome in outcomes}
    assert orders == set(itertools.permutations(["car", "room", "seat"]))
    kinds = {type(decision) for outcome in outcomes for decision in outcome.schedule}
    assert kinds == {First, Hold}
    assert len({len(outcome.task_moments) for outcome in outcomes}) >= 3
    again = tried.run(outcomes[-1].schedule)
    assert again.result == outcomes[-1].result


def test_the_first_loss_found_is_a_shortest_one() -> None:
    loss = next(outcome for outcome in every(trial(Careless), 2, lasting=(1, 3)) if outcome.left)
    assert len(loss.schedule) == 1


def test_a_failing_schedule_is_shrunk() -> None:
    careless = trial(Careless)
    odds = Odds(fault=0.4, hold=0.5, evict=0.2, race=0.5)
    losses = (careless.run(Drawn(seed, odds)) for seed in range(500))
    found = next(o for o in losses if o.left and len(o.schedule) > 5)
    small = shrink(found.schedule, lambda schedule: bool(careless.run(schedule).left))
    assert careless.run(small).left
    assert len(small) < len(found.schedule)
    for decision in small:
        assert not careless.run(small.without([decision])).left


def test_shrinking_wants_a_schedule_that_fails() -> None:
    with pytest.raises(ValueError, match="does not fail"):
        shrink(Schedule(), lambda schedule: False)


def test_a_decision_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="is no decision"):
        Simulation(CODE, ["cancel"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="gone"):
        Fault("book", "gone")


# --- what becomes of an attempt ----------------------------------------------------------

EXPECTED: dict[Fate, tuple[str, list[str], float]] = {
    Fate.OK: ("completed", ["room", "car"], 0),
    Fate.SLOW: ("completed", ["room", "car"], 2.9),
    Fate.REJECTED: ("failed", [], 0),
    Fate.OUTAGE: ("completed", ["room", "car"], 1),
    Fate.LOST_REPLY: ("completed", ["room", "car"], 1),
    Fate.NO_REPLY: ("completed", ["room", "car"], 4),
    Fate.LATE: ("completed", ["room", "car"], 4),
    Fate.VERY_LATE: ("completed", ["room", "car"], 4),
    Fate.CRASH_BEFORE: ("completed", ["room", "car"], 4),
    Fate.CRASH_AFTER: ("completed", ["room", "car"], 4),
}


@pytest.mark.parametrize("fate", Fate)
def test_fates(fate: Fate) -> None:
    status, booked, seconds = EXPECTED[fate]
    outcome = trial().run([Fault("book", fate.value)])
    assert (outcome.status, sorted(BOOKED), outcome.problem) == (status, sorted(booked), None)
    assert outcome.seconds == pytest.approx(seconds, abs=0.1)
    if fate is not Fate.OK:
        assert outcome.faults[fate.value] == 1
    assert replays(outcome) == ""


def test_a_late_attempt_is_carried_out_after_the_undo() -> None:
    """Without tombstones that is a loss, and so the schedule is worth drawing."""

    @activity.defn(name="cancel")
    async def without_tombstone(what: str) -> None:
        if what in BOOKED:
            BOOKED.remove(what)

    forgetful = Code([Careful], [book, without_tombstone])
    schedule = Schedule(Fault("book", "very late"), Cancel(6))
    assert trial(code=forgetful).run(schedule).left == ["room"]
    outcome = trial().run(schedule)
    assert (outcome.status, outcome.left) == ("canceled", [])


def test_a_definite_no_is_never_told_of_what_was_done() -> None:
    outcome = trial().run([Fault("book", "lost reply"), Fault("book", "rejected", attempt=2)])
    assert outcome.status == "completed"


def test_a_fault_that_lasts() -> None:
    outcome = trial().run([Fault("book", "outage", attempts=0)])
    assert outcome.faults == {"outage": 3}
    assert isinstance(outcome.error, ActivityError)
    assert "no connection" in str(outcome.error.cause)


def test_errors_of_the_callers_own() -> None:
    engine = {"outage": lambda name: OSError(f"{name} is down")}
    outcome = trial(engine=engine).run([Fault("book", "outage", attempts=3)])
    assert outcome.error is not None and "book is down" in str(outcome.error.__cause__)


def _fail(kind: str) -> None:
    try:
        {}["a seat"]
    except KeyError as first:
        if kind == "with a cause":
            raise ApplicationError("full", "details", type="Full") from first
        if kind == "beside another":
            raise RuntimeError("no pen")  # noqa: B904
        if kind == "from elsewhere":
            known = Failure(message="as it came", stack_trace="far away")
            raise FailureError("known", failure=known) from None
        raise


@pytest.mark.parametrize("kind", ["by itself", "with a cause", "beside another", "from elsewhere"])
def test_the_failure_of_an_attempt_is_the_sdks(kind: str) -> None:
    """Without the markers below the lines of a stack trace; and the error stays as it was."""
    with pytest.raises(Exception) as caught:
        _fail(kind)
    trace = caught.value.__traceback__
    ours, theirs = Failure(), Failure()
    for converter, failure in (
        (QuickFailureConverter(), ours),
        (DefaultFailureConverter(), theirs),
    ):
        converter.to_failure(caught.value, DataConverter.default.payload_converter, failure)
    assert caught.value.__traceback__ is trace
    for each in [theirs, theirs.cause] if theirs.HasField("cause") else [theirs]:
        each.stack_trace = re.sub(r"^ *[~^]+\n", "", each.stack_trace, flags=re.MULTILINE)
        assert each.stack_trace
    assert ours == theirs


def test_another_converter_of_failures_is_left_alone() -> None:
    encoding = DataConverter(failure_converter_class=DefaultFailureConverterWithEncodedAttributes)
    code = Code([Careful], data_converter=encoding)
    assert type(code.failure_converter) is DefaultFailureConverterWithEncodedAttributes


# --- what arrives ------------------------------------------------------------------------


@pytest.mark.parametrize("moment", range(1, 10))
@pytest.mark.parametrize("during", [False, True])
def test_a_cancel_request_at_any_moment(moment: int, during: bool) -> None:
    outcome = trial().run([Cancel(moment, during=during)])
    assert outcome.left == [] and outcome.problem is None
    assert replays(outcome) == ""


def test_what_arrives_during_the_last_task_is_not_overlooked() -> None:
    """The server refuses to close a Workflow that has not seen a cancel request."""
    calm = trial().run()
    outcome = trial().run([Cancel(calm.task_moments[-1], during=True)])
    assert outcome.status == "canceled"
    assert outcome.handle is not None
    assert "workflow_task_failed" in outcome.handle.events()
    assert replays(outcome) == ""


@pytest.mark.parametrize("moment", range(1, 10))
@pytest.mark.parametrize("arrival", [Crash, Evict])
def test_a_worker_that_dies_or_forgets(moment: int, arrival: Callable[..., Any]) -> None:
    outcome = trial().run([arrival(moment)])
    assert (outcome.status, outcome.problem) == ("completed", None)
    assert replays(outcome) == ""


@workflow.defn
class CallsLocally:
    @workflow.run
    async def run(self) -> list[str]:
        first = await workflow.execute_local_activity(book, "room", **STEP)
        both = asyncio.gather(
            workflow.execute_local_activity(book, "car", **STEP),
            workflow.execute_activity(book, "seat", **STEP),
        )
        return [first, *await both]


@pytest.mark.parametrize("moment", range(1, 14))
@pytest.mark.parametrize("during", [False, True])
@pytest.mark.parametrize("workflow_class", [Careful, CallsLocally])
def test_a_worker_that_dies_over_a_task(workflow_class: type, moment: int, during: bool) -> None:
    code = Code([Careful, CallsLocally], [book, cancel])
    outcome = trial(workflow_class, code).run([Crash(moment, during=during)])
    assert (outcome.status, outcome.problem) == ("completed", None)
    assert replays(outcome, workflow_class) == ""


def test_a_task_that_is_lost_times_out() -> None:
    moment = trial().run().task_moments[1]
    outcome = trial().run([Crash(moment, during=True)])
    assert outcome.handle is not None
    assert "workflow_task_timed_out" in outcome.handle.events()
    assert outcome.seconds > 10


def test_signals_updates_and_termination_by_schedule() -> None:
    tried = trial()
    noted = tried.run([Signal(6, name="note", args=("a",)), Update(8, name="noted", args=("b",))])
    assert noted.result == ["booked room", "a", "b", "booked car"]
    assert noted.faults == {"signal": 1, "update": 1}
    ended = tried.run([Terminate(5)])
    assert (ended.status, ended.left) == ("terminated", ["room"])


def test_a_happening_of_the_callers_own() -> None:
    seen: list[float] = []
    engine = {"happenings": {"look": lambda simulation: seen.append(simulation.now)}}
    outcome = trial(engine=engine).run([Do(3, name="look")])
    assert (len(seen), outcome.faults) == (1, {"look": 1})
    with pytest.raises(sim.SimulationError, match="No happening is called 'other'"):
        Simulation(CODE, [Do(1, name="other")]).start(Careful)._simulation.run()


def test_a_task_held_back_gets_more_in_one_activation() -> None:
    def batches(*decisions: Any) -> list[int]:
        outcome = trial().run([Signal(3, name="note", args=("a",)), *decisions])
        assert outcome.handle is not None
        return [len(entry.jobs) for entry in outcome.handle.last.journal]

    assert max(batches()) == 1
    assert max(batches(Hold(2, events=3))) == 2


# --- replay and determinism --------------------------------------------------------------

COUNTED = 0


@workflow.defn
class CountsOutside:
    @workflow.run
    async def run(self) -> None:
        global COUNTED
        COUNTED += 1
        await workflow.sleep(COUNTED)


@workflow.defn
class LooksWhetherItReplays:
    @workflow.run
    async def run(self) -> None:
        await workflow.sleep(1)
        if not workflow.unsafe.is_replaying():
            await workflow.execute_activity(book, "room", **STEP)


@pytest.mark.parametrize("workflow_class", [CountsOutside, LooksWhetherItReplays])
def test_what_is_not_deterministic_is_named(workflow_class: type) -> None:
    outcome = trial(workflow_class, Code([workflow_class], [book])).run()
    assert isinstance(outcome.problem, NotDeterministic)
    assert outcome.problem.first != outcome.problem.again
    assert "is not deterministic" in str(outcome.problem)


def test_the_two_commands_are_named() -> None:
    outcome = trial(LooksWhetherItReplays, Code([LooksWhetherItReplays], [book])).run()
    assert isinstance(outcome.problem, NotDeterministic)
    assert outcome.problem.first == "schedule_activity book"


def test_an_eviction_finds_it_too() -> None:
    code = Code([CountsOutside], [book])
    outcome = trial(CountsOutside, code, verify=False).run([Evict(2)])
    assert isinstance(outcome.problem, NotDeterministic)


@workflow.defn
class UndoesWhateverHappens:
    @workflow.run
    async def run(self) -> None:
        try:
            await workflow.sleep(timedelta(days=1))
        finally:
            await workflow.execute_activity(cancel, "room", **UNDO)


@workflow.defn(sandboxed=False)
class Tidies:
    @workflow.run
    async def run(self) -> None:
        gc.collect()
        await workflow.execute_activity(book, "car", **STEP)


def leave_open() -> None:
    """A simulation that nobody closes, with its Workflow in the middle of something."""
    simulation = Simulation(Code([UndoesWhateverHappens], [cancel]))
    handle = simulation.start(UndoesWhateverHappens)
    simulation.run(until=lambda: bool(handle.last.timers))
    assert simulation.scheduled == []


def test_a_simulation_that_was_not_closed_disturbs_no_other() -> None:
    """Its Workflow, collected while another runs, would ask for its undo in the other's name."""
    gc.disable()
    try:
        leave_open()
        outcome = trial(Tidies, Code([Tidies], [book])).run()
    finally:
        gc.enable()
    assert (outcome.status, outcome.problem) == ("completed", None)
    assert outcome.scheduled == ["book"]


BY_HASH = """
from datetime import timedelta
from temporalio import activity, workflow

@activity.defn
def book(what: str) -> str:
    return what

@workflow.defn
class InTheOrderOfASet:
    @workflow.run
    async def run(self) -> None:
        for name in {"room", "car", "seat", "guide", "ticket", "meal", "insurance"}:
            await workflow.execute_activity(
                book, name, activity_id=name, start_to_close_timeout=timedelta(seconds=3)
            )
"""


def test_the_order_of_a_set_is_found_in_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in_the_order_of_a_set.py").write_text(BY_HASH)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("in_the_order_of_a_set")
    simulation = Simulation(Code([module.InTheOrderOfASet], [module.book]))
    handle = simulation.start(module.InTheOrderOfASet)
    simulation.run().verify()
    failures = [
        sim.replay_elsewhere([handle.history()], [module.InTheOrderOfASet], hash_seed=seed)
        for seed in (1, 2)
    ]
    assert any("does not match" in text for found in failures for _id, text in found)
    careful = trial().run()
    assert careful.handle is not None
    assert sim.replay_elsewhere([careful.handle.history()], [Careful]) == []


# --- worlds ------------------------------------------------------------------------------


def test_objects_are_put_back_and_stay_the_same_objects() -> None:
    class Shop:
        def __init__(self) -> None:
            self.stock = {"bolt": 3}

    shop, names, numbers = Shop(), {"a"}, [1]
    world = Objects(shop, names, numbers)
    before = world.snapshot()
    shop.stock["bolt"] -= 1
    names.add("b")
    numbers.append(2)
    for _ in range(2):
        world.restore(before)
        assert (shop.stock, names, numbers) == ({"bolt": 3}, {"a"}, [1])
        shop.stock.clear()


@pytest.mark.parametrize("kind", [sim.Sqlite, SqliteRows])
def test_a_database_is_put_back(kind: Any) -> None:
    import sqlite3

    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE stock (name TEXT PRIMARY KEY, number INTEGER)")
    connection.execute("INSERT INTO stock VALUES ('bolt', 3)")
    connection.commit()
    world = kind(connection)
    before = world.snapshot()
    connection.execute("UPDATE stock SET number = 2")
    connection.execute("INSERT INTO stock VALUES ('nut', 1)")
    connection.commit()
    after = world.snapshot()
    world.restore(before)
    assert connection.execute("SELECT * FROM stock").fetchall() == [("bolt", 3)]
    world.restore(after)
    assert connection.execute("SELECT * FROM stock").fetchall() == [("bolt", 2), ("nut", 1)]


class _Frozen:
    """What is booked and undone, with snapshots that can be remembered."""

    def snapshot(self) -> tuple[tuple[str, ...], frozenset[str]]:
        return tuple(BOOKED), frozenset(UNDONE)

    def restore(self, snapshot: tuple[tuple[str, ...], frozenset[str]]) -> None:
        BOOKED[:] = snapshot[0]
        UNDONE.clear()
        UNDONE.update(snapshot[1])


@activity.defn(name="cancel")
def cancel_at_once(what: str) -> None:
    UNDONE.add(what)
    if what in BOOKED:
        BOOKED.remove(what)


def test_a_remembered_world_gives_the_same_and_executes_little() -> None:
    code = Code([Careful], [book, cancel_at_once])
    fresh = Trial(code, Careful, world=Objects(BOOKED, UNDONE), judge=lost)
    ones = [fresh.run(seed) for seed in range(200)]
    _clear()
    world = Remembered(_Frozen())

    def judge(outcome: sim.Outcome) -> list[str]:
        return world.ask(("lost", outcome.status), lambda: lost(outcome))

    remembered = Trial(code, Careful, world=world, judge=judge)
    for one in ones:
        other = remembered.run(one.schedule)
        assert (one.status, one.left, one.scheduled) == (other.status, other.left, other.scheduled)
    assert world.executed < 30 < world.recalled
    assert world.worlds <= 9


def test_a_remembered_world_refuses_what_it_cannot_remember() -> None:
    outcome = Trial(CODE, Careful, [True], world=Remembered(_Frozen())).run()
    assert isinstance(outcome.problem, NotSimulated)
    assert "Activity cancel is a coroutine" in str(outcome.problem)


# --- guards ------------------------------------------------------------------------------


@workflow.defn
class NeverAwaits:
    @workflow.run
    async def run(self) -> None:
        while True:
            pass


@workflow.defn
class AwaitsNothing:
    @workflow.run
    async def run(self) -> None:
        while True:
            await asyncio.sleep(0)


@workflow.defn
class Blocks:
    @workflow.run
    async def run(self) -> None:
        time.sleep(3600)


@workflow.defn
class UndoesForEver:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(book, "x", start_to_close_timeout=SECONDS)


@workflow.defn
class CannotGoOn:
    @workflow.run
    async def run(self) -> None:
        raise KeyError("a bug")

    @workflow.update
    async def told(self) -> None:
        await asyncio.sleep(1)


@pytest.mark.parametrize("moment", range(1, 8))
def test_a_task_that_fails_for_ever_is_given_up_with_an_update_in_it_too(moment: int) -> None:
    simulation = Simulation(Code([CannotGoOn]), [Update(moment, name="told")], max_steps=200)
    handle = simulation.start(CannotGoOn)
    simulation.run()
    assert not simulation.exhausted
    assert handle.status == "running"
    assert isinstance(handle.task_error, ApplicationError)
    simulation.close()


@pytest.mark.parametrize("workflow_class", [NeverAwaits, AwaitsNothing])
def test_an_endless_loop_is_stopped(workflow_class: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.simulation.guard.guarded.__defaults__", (0.5,))
    outcome = trial(workflow_class, Code([workflow_class])).run()
    assert isinstance(outcome.problem, NeverYields)
    assert "an endless loop" in str(outcome.problem)
    assert trial().run().status == "completed"


def test_an_endless_activity_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    @activity.defn(name="book")
    async def for_ever(_what: str) -> str:
        while True:
            await asyncio.sleep(0)

    monkeypatch.setattr("lab.simulation.guard.guarded.__defaults__", (0.5,))
    outcome = trial(Careful, Code([Careful], [for_ever])).run()
    assert isinstance(outcome.problem, NeverYields)
    assert "Activity book" in str(outcome.problem)


def test_an_activity_that_waits_for_ever_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    @activity.defn(name="book")
    def waits(_what: str) -> str:
        while True:
            time.sleep(0.01)

    monkeypatch.setattr("lab.simulation.guard.STANDSTILL_LOOKS", 4)
    outcome = trial(Careful, Code([Careful], [waits])).run()
    assert isinstance(outcome.problem, NeverYields)
    assert "Activity book" in str(outcome.problem)


def test_what_the_garbage_collector_takes_is_nobodys_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins in the middle of anything, and what it finds may be everybody's."""

    def work(seconds: float) -> None:
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass

    class Left:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            work(1.2)

    @activity.defn(name="book")
    def collects(what: str) -> str:
        if what == "room":
            Left()
            gc.collect()
            work(0.3)  # longer than the watchdog sleeps
        return what

    monkeypatch.setattr("lab.simulation.guard.guarded.__defaults__", (0.8,))
    assert trial(Careful, Code([Careful], [collects, cancel])).run().status == "completed"


def test_a_profiler_may_look_on_after_somebody_was_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python 3.11 turned in circles if the exception that stops was taken back."""
    monkeypatch.setattr("lab.simulation.guard.guarded.__defaults__", (0.5,))
    assert isinstance(trial(NeverAwaits, Code([NeverAwaits])).run().problem, NeverYields)
    sys.setprofile(lambda frame, event, what: None)
    try:
        status = trial().run().status
    finally:
        sys.setprofile(None)
    assert status == "completed"


def test_a_workflow_that_sleeps_is_told_so() -> None:
    begun = time.monotonic()
    outcome = trial(Blocks, Code([Blocks])).run()
    assert outcome.status == "running"
    assert "expected workflow.sleep" in str(outcome.task_error)
    assert time.monotonic() - begun < 600


def test_what_never_ends_is_cut_off() -> None:
    outcome = trial(UndoesForEver, max_steps=300, code=Code([UndoesForEver], [book])).run(
        [Fault("book", "outage", attempts=0)]
    )
    assert (outcome.status, outcome.exhausted, outcome.moments) == ("running", True, 300)


@workflow.defn
class HasABug:
    @workflow.run
    async def run(self) -> None:
        raise NameError("a bug")


def test_a_workflow_that_keeps_failing_its_task_is_open_with_the_error() -> None:
    outcome = trial(HasABug, Code([HasABug])).run()
    assert (outcome.status, outcome.exhausted) == ("running", False)
    assert isinstance(outcome.task_error, ApplicationError)
    assert "a bug" in str(outcome.task_error)
    assert outcome.handle is not None
    with pytest.raises(StillRunning, match="its Workflow Task fails"):
        outcome.handle.result()
    as_failure = Code([HasABug], failure_exception_types=[Exception])
    assert trial(HasABug, as_failure).run().status == "failed"


def test_a_result_is_the_callers_or_the_callers_failure() -> None:
    simulation = Simulation(CODE)
    assert simulation.start(Careful, id="a").result() == ["booked room", "booked car"]
    with pytest.raises(WorkflowFailureError) as caught:
        simulation.start(Careful, True, id="b").result()
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == "No"


# --- what is not simulated ---------------------------------------------------------------


@nexusrpc.service
class Service:
    hello: nexusrpc.Operation[str, str]


@workflow.defn
class UsesNexus:
    @workflow.run
    async def run(self) -> None:
        client = workflow.create_nexus_client(service=Service, endpoint="there")
        await client.execute_operation(Service.hello, "me")


class _Codec(PayloadCodec):
    async def encode(self, payloads: Any) -> Any:
        return payloads

    async def decode(self, payloads: Any) -> Any:
        return payloads


@activity.defn(name="book")
async def completed_elsewhere(_what: str) -> str:
    activity.raise_complete_async()


def test_what_it_does_not_know_ends_in_a_sentence() -> None:
    outcome = trial(UsesNexus, Code([UsesNexus])).run()
    assert isinstance(outcome.problem, NotSimulated)
    assert "schedule_nexus_operation" in str(outcome.problem)
    with pytest.raises(NotSimulated, match="codec"):
        Code([Careful], data_converter=DataConverter(payload_codec=_Codec()))
    outcome = trial(code=Code([Careful], [completed_elsewhere])).run()
    assert isinstance(outcome.problem, NotSimulated)
    with pytest.raises(NotSimulated, match="Unheard was not given to the simulation"):
        Simulation(CODE).start("Unheard")


# --- interceptors ------------------------------------------------------------------------


class _Recording(Interceptor):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _RecordingActivity(next, self.seen)

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        return _RecordingWorkflow


class _RecordingActivity(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, seen: list[str]) -> None:
        super().__init__(next)
        self.seen = seen

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        await asyncio.sleep(0.1)
        self.seen.append(f"{info.activity_type} {info.attempt} {input.args}")
        return await super().execute_activity(input)


class _RecordingWorkflow(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        return ["intercepted", *await super().execute_workflow(input)]


def test_interceptors_of_activities_and_workflows() -> None:
    recording = _Recording()
    code = Code([Careful], [book, cancel], interceptors=[recording])
    outcome = trial(code=code).run([Fault("book", "outage")])
    assert outcome.result == ["intercepted", "booked room", "booked car"]
    assert recording.seen == ["book 2 ['room']", "book 1 ['car']"]
    with pytest.raises(ValueError, match="interceptors"):
        Simulation(code, memory=Remembered(_Frozen()))


# --- where it may be called --------------------------------------------------------------


def test_in_a_coroutine_whose_loop_goes_on() -> None:
    async def inside() -> tuple[str, bool]:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        outcome = trial().run([Fault("book", "no reply"), Crash(5)])
        same = asyncio.get_running_loop() is loop and asyncio.current_task() is task
        await asyncio.sleep(0.001)
        await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
        return outcome.status, same

    assert asyncio.run(inside()) == ("completed", True)


def test_everything_that_a_handle_offers_can_be_done_in_a_coroutine() -> None:
    """Python 3.14 lets nobody step a task while another one is at work in this thread."""

    async def inside() -> list[str]:
        seen = []
        for act in (
            lambda handle: handle.terminate("no"),
            lambda handle: handle.cancel("no"),
            lambda handle: handle.signal("note", "a"),
            lambda handle: handle.execute_update("noted", "b"),
            lambda handle: handle.query("__stack_trace"),
        ):
            _clear()
            simulation = Simulation(CODE)
            handle = simulation.start(Careful)
            simulation.run(until=lambda s=simulation: s.moment > 3)
            act(handle)
            simulation.run()
            simulation.verify()
            seen.append(handle.status)
            simulation.close()
            await asyncio.sleep(0)
        return seen

    assert asyncio.run(inside()) == ["terminated", "canceled", *["completed"] * 3]


def test_in_another_thread_and_in_several() -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(_alone().status)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["failed"] * 3


def _alone() -> sim.Outcome:
    """A run that shares no world with others."""

    @activity.defn(name="book")
    def book_here(what: str) -> str:
        return what

    @activity.defn(name="cancel")
    async def cancel_here(_what: str) -> None: ...

    return Trial(Code([Careful], [book_here, cancel_here]), Careful, [True]).run()


def test_in_the_sandbox() -> None:
    outcome = trial(code=Code([Careful], [book, cancel], runner=SandboxedWorkflowRunner())).run(
        [Fault("book", "rejected", call=2)]
    )
    assert (outcome.status, outcome.left, outcome.problem) == ("failed", [], None)


def test_nothing_is_written_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    import gc

    for outcome in every(trial(), 1):
        assert outcome.left == []
    del outcome
    gc.collect()
    assert capfd.readouterr().err == ""


def test_the_folder_can_be_taken_elsewhere(tmp_path: Path) -> None:
    """Lifted out, it is a package ``simulation`` that needs the SDK alone."""
    import shutil
    import subprocess

    folder = Path(sim.__file__).parent
    shutil.copytree(folder, tmp_path / "simulation", ignore=shutil.ignore_patterns("__pycache__"))
    program = (
        "import sys; import simulation\n"
        "assert 'lab' not in sys.modules and 'travel' not in sys.modules\n"
        "assert 'sqlalchemy' not in sys.modules\n"
        "print(simulation.Schedule(simulation.Cancel(3)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "Cancel(3)" in done.stdout


def test_timeouts_are_those_of_the_client() -> None:
    outcome = trial(options={"execution_timeout": timedelta(seconds=2)}).run(
        [Fault("book", "no reply", attempts=0)]
    )
    assert (outcome.status, outcome.seconds) == ("timed out", pytest.approx(2, abs=1.5))
    assert isinstance(outcome.error, TemporalTimeoutError)
