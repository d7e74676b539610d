"""The simulator plays every case as a real server does, and its histories replay.

What breaks the simulator is found by that: the deliberate errors at the end are each
caught by at least one case.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import simulation_cases as cases
import simulation_stages as stages
from lab.simulation import (
    NotDeterministic,
    Simulation,
    activities,
    attempts,
    closing,
    commands,
    server,
)
from lab.simulation import replay as replaying
from lab.simulation import run as runs
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from tests.sampling import few

AT_ONCE = 16
CODE = stages.code()
NEXT = stages.code(next_flags=True)

by_name = pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.name)


@pytest.fixture(scope="module")
def played(temporal_address: str) -> dict[str, stages.Result]:
    """What the server made of every case: played once, many at a time."""
    found = perform(temporal_address, cases.CASES)
    return {case.name: result for case, result in zip(cases.CASES, found, strict=True)}


def perform(address: str, wanted: Sequence[cases.Case]) -> list[stages.Result]:
    """Play cases on the server."""

    async def play() -> list[stages.Result]:
        slots = asyncio.Semaphore(AT_ONCE)
        async with stages.real_stage(address) as stage:

            async def one(case: cases.Case) -> stages.Result:
                async with slots:
                    return await stages.perform(case, stage)

            return await asyncio.gather(*map(one, wanted))

    logging.disable(logging.ERROR)
    try:
        return asyncio.run(play())
    finally:
        logging.disable(logging.NOTSET)


def simulated(case: cases.Case, code: Any = CODE, choices: Any = None) -> stages.Result:
    return asyncio.run(stages.simulate(case, code, choices))


@by_name
def test_the_same_as_on_the_server(
    case: cases.Case, played: dict[str, stages.Result], temporal_address: str
) -> None:
    """A server on a busy machine may take a turn of its own; it gets a second chance alone."""
    result = simulated(case)
    if result.differs(played[case.name], case):
        (played[case.name],) = perform(temporal_address, [case])
    assert result.differs(played[case.name], case) == []


@by_name
@pytest.mark.parametrize("code", [CODE, NEXT], ids=["shipped flags", "next flags"])
def test_its_history_replays(case: cases.Case, code: Any) -> None:
    assert replay_failures(simulated(case, code)) == []


@by_name
@pytest.mark.parametrize("seed", few(range(3)))
def test_random_schedules_replay(case: cases.Case, seed: int) -> None:
    """Whatever goes wrong meanwhile. A case that waits for something else may end there."""
    from lab.simulation import Drawn, Odds

    odds = Odds(cancel=0, crash=0.02, evict=0.1, hold=0.3, race=0.5, fault=0.1)
    try:
        result = simulated(case, CODE, Drawn(seed, odds))
    except (AssertionError, IndexError, KeyError):
        return
    assert replay_failures(result) == []


def replay_failures(result: stages.Result) -> list[str]:
    """What the SDK's Replayer says of each run."""

    async def replay() -> list[str]:
        replayer = Replayer(workflows=cases.WORKFLOWS, workflow_runner=UnsandboxedWorkflowRunner())
        failures = []
        for history in result.histories:
            told = await replayer.replay_workflow(history, raise_on_replay_failure=False)
            if told.replay_failure:
                failures.append(str(told.replay_failure))
        return failures

    return asyncio.run(replay())


# --- deliberate errors in the simulator ---------------------------------------------------

Break = Callable[[pytest.MonkeyPatch], None]
BREAKS: dict[str, Break] = {}


def breaks(do: Break) -> Break:
    """Put a deliberate error into the table."""
    BREAKS[do.__name__.replace("_", " ")] = do  # type: ignore[attr-defined]
    return do


def wrapped(patch: pytest.MonkeyPatch, owner: Any, name: str, change: Callable[..., Any]) -> None:
    """Replace ``owner.name``; ``change`` is given the original and its arguments."""
    original = getattr(owner, name)
    patch.setattr(owner, name, lambda *args, **named: change(original, *args, **named))


@breaks
def a_timer_fires_early(patch: pytest.MonkeyPatch) -> None:
    wrapped(patch, commands, "nanoseconds", lambda real, duration: real(duration) // 2)


@breaks
def a_timer_is_lost(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(commands, "_fire", lambda *_: None)


@breaks
def a_cancelled_timer_fires(patch: pytest.MonkeyPatch) -> None:
    wrapped(patch, runs.Run, "_cancel_timer", lambda real, run, command, metadata: None)


@breaks
def a_signal_is_lost(patch: pytest.MonkeyPatch) -> None:
    def lose(real: Any, *args: Any, **named: Any) -> Any:
        return None if args[2] == "add" else real(*args, **named)

    wrapped(patch, server.Server, "_signal_now", lose)


@breaks
def signals_come_last(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(runs._ORDER, "signal_workflow", 5)
    patch.setitem(runs._ORDER, "do_update", 5)


@breaks
def a_retry_too_many(patch: pytest.MonkeyPatch) -> None:
    def once_more(real: Any, task: Any, failure: Any) -> Any:
        task.attempt -= 1
        state = real(task, failure)
        task.attempt += 1
        return state

    wrapped(patch, activities.ActivityTask, "_retry", once_more)


@breaks
def backoff_does_not_grow(patch: pytest.MonkeyPatch) -> None:
    wrapped(
        patch, activities, "backoff", lambda real, policy, _n, failure: real(policy, 1, failure)
    )


@breaks
def the_maximum_interval_is_ignored(patch: pytest.MonkeyPatch) -> None:
    def ignore(real: Any, policy: Any, attempt: int, failure: Any) -> Any:
        longer = type(policy)()
        longer.CopyFrom(policy)
        longer.ClearField("maximum_interval")
        return real(longer, attempt, failure)

    wrapped(patch, activities, "backoff", ignore)


@breaks
def non_retryable_errors_are_retried(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(activities, "retryable", lambda failure, policy: True)


@breaks
def timeouts_are_not_retried(patch: pytest.MonkeyPatch) -> None:
    def refuse(real: Any, failure: Any, policy: Any) -> Any:
        return not failure.HasField("timeout_failure_info") and real(failure, policy)

    wrapped(patch, activities, "retryable", refuse)


@breaks
def schedule_to_close_is_ignored(patch: pytest.MonkeyPatch) -> None:
    def ignore(real: Any, task: Any, *args: Any) -> None:
        real(task, *args)
        task.schedule_to_close = 0

    wrapped(patch, activities.ActivityTask, "_set_timeouts", ignore)


@breaks
def a_cancel_request_is_dropped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(server.Server, "_cancel_now", lambda *_: None)


@breaks
def a_second_cancel_request_counts(patch: pytest.MonkeyPatch) -> None:
    def forget(real: Any, self: Any, run: Any, *args: Any) -> None:
        run.cancel_requested = False
        real(self, run, *args)

    wrapped(patch, server.Server, "_cancel_now", forget)


@breaks
def an_activity_is_not_told_of_its_cancellation(patch: pytest.MonkeyPatch) -> None:
    wrapped(patch, activities.ActivityTask, "heartbeat", lambda real, *args: real(*args) and "")


@breaks
def try_cancel_waits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runs, "WAIT", 0)


@breaks
def heartbeat_details_are_lost(patch: pytest.MonkeyPatch) -> None:
    wrapped(
        patch,
        activities.ActivityTask,
        "heartbeat",
        lambda real, task, attempt, _details: real(task, attempt, ()),
    )


@breaks
def events_have_wrong_numbers(patch: pytest.MonkeyPatch) -> None:
    def shift(real: Any, task: Any, name: str, attributes: Any, started: int) -> None:
        task.event_id += 1
        real(task, name, attributes, started)

    wrapped(patch, activities.ActivityTask, "_record", shift)


@breaks
def an_event_is_missing(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(commands.SEND, "patch", lambda *_: None)


@breaks
def another_random_seed(patch: pytest.MonkeyPatch) -> None:
    wrapped(patch, runs, "randomness_seed", lambda real, run_id: real(run_id) ^ 1)


@breaks
def validators_are_not_asked(patch: pytest.MonkeyPatch) -> None:
    def skip(real: Any, self: Any, jobs: Any, *args: Any) -> Any:
        return real(self, [replaying._without_validator(job) for job in jobs], *args)

    wrapped(patch, runs.Run, "activation", skip)


@breaks
def children_outlive_their_parent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(closing, "_part_with", lambda *_: None)


@breaks
def the_memo_does_not_continue(patch: pytest.MonkeyPatch) -> None:
    def forget(real: Any, *args: Any, **changes: Any) -> Any:
        return real(*args, **(changes | {"memo": {}}))

    wrapped(patch, closing, "_begin_again", forget)


@breaks
def a_failed_task_is_not_tried_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(server.Server, "try_task_again", lambda *_: None)


@breaks
def a_workflow_that_fails_starts_no_more(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(closing, "_workflow_retry", lambda *_: (1, None))


@breaks
def a_late_result_counts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(activities.ActivityTask, "knows", lambda task, attempt: not task.closed)
    patch.setattr(attempts, "WORKER_PATIENCE", 0)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A broken simulator may go on for ever; a few hundred steps are enough for any case."""
    wrapped(
        monkeypatch,
        Simulation,
        "__init__",
        lambda real, *args, **named: real(*args, **(named | {"max_steps": 500})),
    )
    yield monkeypatch


@pytest.mark.parametrize("error", few(BREAKS, 12))
def test_a_deliberate_error_is_caught(
    error: str, quick: pytest.MonkeyPatch, played: dict[str, stages.Result]
) -> None:
    BREAKS[error](quick)
    found = next(iter(_caught(played)), None)
    assert found, f"nothing noticed that {error}"


def _caught(played: dict[str, stages.Result]) -> Iterator[str]:
    """Everything that a broken simulator gives itself away by."""
    results = []
    for case in cases.CASES:
        try:
            result = simulated(case)
        except (Exception, NotDeterministic) as problem:
            yield f"{case.name}: {problem!r}"
            continue
        results.append(result)
        for difference in result.differs(played[case.name], case):
            yield f"{case.name}: {difference}"
    for result in results:
        yield from replay_failures(result)
