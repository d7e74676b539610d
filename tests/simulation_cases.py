"""Small Workflows, one for each thing that the simulator must do as the server does.

A case is a coroutine that plays one of them on a ``Stage``: the simulator or a real
server. It ends with what is compared; most just return the handle.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from temporalio import activity, workflow
from temporalio.common import (
    RawValue,
    RetryPolicy,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import (
    ApplicationError,
    CancelledError,
    FailureError,
    WorkflowAlreadyStartedError,
)
from temporalio.workflow import ActivityCancellationType, ChildWorkflowCancellationType

STATUS = SearchAttributeKey.for_keyword("TripStatus")
UNPOLLED = "nobody-polls-this"
SHORT = timedelta(seconds=0.4)
"""A timeout that a hanging attempt runs into; on the server it passes in real time."""
LONG = timedelta(seconds=30)
ONCE = RetryPolicy(maximum_attempts=1)


class Played(Protocol):
    """A Workflow on either stage."""

    id: str

    async def seen(self, event: str, times: int = 1) -> None: ...
    async def running(self) -> None: ...
    async def signal(self, name: str, *args: Any) -> None: ...
    async def cancel(self) -> None: ...
    async def terminate(self, reason: str) -> None: ...
    async def query(self, name: str, *args: Any) -> Any: ...
    async def until(self, query: str, value: Any) -> None: ...
    async def update(self, name: str, *args: Any) -> Any: ...
    async def over(self) -> None: ...


class Stage(Protocol):
    """Where a case is played."""

    async def start(self, workflow: Any, *args: Any, **options: Any) -> Played: ...
    async def other(self, workflow_id: str) -> Played: ...


Script = Callable[[Stage], Awaitable[Any]]


@dataclass(frozen=True)
class Case:
    """``events``: whether the Event History must be the same, event by event.

    ``seconds``: whether it must take as long. A parent's clock does not skip with its child's.
    """

    name: str
    play: Script
    events: bool = True
    seconds: bool = True


CASES: list[Case] = []
WORKFLOWS: list[type] = []


def case(*, events: bool = True) -> Callable[[Script], Script]:
    """Put a script into the table."""

    def add(play: Script) -> Script:
        name = play.__name__.replace("_", " ")  # type: ignore[attr-defined]
        CASES.append(Case(name, play, events))
        return play

    return add


def defined(cls: type) -> type:
    """A Workflow of the table."""
    WORKFLOWS.append(workflow.defn(cls))
    return cls


# --- Activities --------------------------------------------------------------------------


@activity.defn
async def echo(value: Any) -> Any:
    return value


@activity.defn
def sync_echo(value: str) -> str:
    return f"{value}, attempt {activity.info().attempt}"


@activity.defn
async def fails(attempts: int, kind: str = "Flaky", non_retryable: bool = False) -> int:
    """Fail the first attempts."""
    attempt = activity.info().attempt
    if attempt <= attempts:
        raise ApplicationError(
            f"attempt {attempt} failed",
            {"attempt": attempt},
            type=kind,
            non_retryable=non_retryable,
        )
    return attempt


@activity.defn
async def asks_for_delay(seconds: int) -> int:
    attempt = activity.info().attempt
    if attempt < 3:
        raise ApplicationError("later", next_retry_delay=timedelta(seconds=seconds))
    return attempt


@activity.defn
async def breaks() -> None:
    raise KeyError("no such key")


@activity.defn
async def hangs(attempts: int = 1000) -> int:
    """Do not answer in the first attempts."""
    if activity.info().attempt <= attempts:
        await asyncio.sleep(3600)
    return activity.info().attempt


@activity.defn
async def beats_once() -> list[Any]:
    """Send one heartbeat and hang; the next attempt tells what it was given."""
    if activity.info().attempt == 1:
        activity.heartbeat("so far", 7)
        await asyncio.sleep(3600)
    return list(activity.info().heartbeat_details)


@activity.defn
async def beats(then: str) -> str:
    """Send heartbeats until cancelled; then end as told."""
    try:
        while True:
            activity.heartbeat()
            await asyncio.sleep(0.1)
    except asyncio.CancelledError:
        if then == "raise":
            raise
        if then == "fail":
            raise ApplicationError("cannot stop", type="Stubborn", non_retryable=True) from None
        return "done all the same"


@activity.defn
def beats_in_a_thread(then: str) -> str:
    """The same, synchronous."""
    try:
        while True:
            activity.heartbeat()
            time.sleep(0.1)
    except CancelledError:
        if then == "raise":
            raise
        if then == "fail":
            raise ApplicationError("cannot stop", type="Stubborn", non_retryable=True) from None
        return "done all the same"


ACTIVITIES: list[Any] = [
    beats_in_a_thread,
    echo,
    sync_echo,
    fails,
    asks_for_delay,
    breaks,
    hangs,
    beats_once,
    beats,
]


# --- results and failures ----------------------------------------------------------------


@dataclass
class Money:
    cents: int
    currency: str = "USD"


@defined
class Returns:
    @workflow.run
    async def run(self, money: Money) -> Money:
        return Money(money.cents * 2)


@case()
async def result(stage: Stage) -> Any:
    return await stage.start(Returns, Money(21))


@defined
class Raises:
    @workflow.run
    async def run(self) -> None:
        try:
            raise ValueError("the cause")
        except ValueError as cause:
            raise ApplicationError("it failed", "detail", type="Mine") from cause


@case()
async def failure(stage: Stage) -> Any:
    return await stage.start(Raises)


class Refused(Exception):
    pass


@workflow.defn(failure_exception_types=[Refused])
class RaisesItsOwn:
    @workflow.run
    async def run(self) -> None:
        raise Refused("no")


WORKFLOWS.append(RaisesItsOwn)


@case()
async def failure_exception_types(stage: Stage) -> Any:
    return await stage.start(RaisesItsOwn)


# --- Activities: retries and timeouts ----------------------------------------------------


@defined
class Calls:
    """Call an Activity, by name, with options as given."""

    @workflow.run
    async def run(self, name: str, args: list[Any], options: dict[str, Any]) -> Any:
        return await workflow.execute_activity(name, args=args, **_options(options))


def _options(plain: dict[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {"start_to_close_timeout": LONG}
    retry = plain.get("retry")
    if retry is not None:
        intervals = {k: timedelta(seconds=v) for k, v in retry.items() if k.endswith("interval")}
        options["retry_policy"] = RetryPolicy(**(retry | intervals))
    for name, value in plain.items():
        if name.endswith("timeout"):
            options[name] = timedelta(seconds=value) if value else None
        elif name in ("task_queue", "activity_id", "summary"):
            options[name] = value
    return options


def _calls(name: str, *args: Any, **options: Any) -> Callable[[Stage], Awaitable[Any]]:
    async def play(stage: Stage) -> Any:
        return await stage.start(Calls, args=[name, list(args), options])

    return play


def _activity_case(title: str, *args: Any, **options: Any) -> None:
    CASES.append(Case(title, _calls(*args, **options)))


SLOWLY = {"initial_interval": 100.0, "backoff_coefficient": 3.0}
_activity_case("activity", "echo", {"a": [1, 2]}, summary="in words")
_activity_case("sync activity", "sync_echo", "hello", activity_id="mine")
_activity_case("unknown activity", "nobody_knows", retry={"maximum_attempts": 1})
_activity_case("any exception", "breaks", retry={"maximum_attempts": 1})
_activity_case("third attempt", "fails", 2, retry=SLOWLY)
_activity_case("maximum interval", "fails", 4, retry=SLOWLY | {"maximum_interval": 500.0})
_activity_case("maximum attempts", "fails", 9, retry=SLOWLY | {"maximum_attempts": 3})
_activity_case(
    "non-retryable type", "fails", 9, retry=SLOWLY | {"non_retryable_error_types": ["Flaky"]}
)
_activity_case("non-retryable error", "fails", 9, "Flaky", True, retry=SLOWLY)
_activity_case("default retries", "fails", 3)
_activity_case("next retry delay", "asks_for_delay", 700, retry=SLOWLY)
_activity_case(
    "next retry delay and maximum interval",
    "asks_for_delay",
    700,
    retry=SLOWLY | {"maximum_interval": 200.0},
)
_activity_case(
    "no time for another attempt", "fails", 9, retry=SLOWLY, schedule_to_close_timeout=450
)
_activity_case("start to close", "hangs", start_to_close_timeout=0.4, retry={"maximum_attempts": 1})
_activity_case("start to close, then well", "hangs", 1, start_to_close_timeout=3, retry=SLOWLY)
_activity_case(
    "start to close, no time for another",
    "hangs",
    start_to_close_timeout=0.4,
    schedule_to_close_timeout=50,
    retry=SLOWLY,
)
_activity_case(
    "start to close is not retryable",
    "hangs",
    start_to_close_timeout=0.4,
    retry=SLOWLY | {"non_retryable_error_types": ["TemporalTimeout:StartToClose"]},
)
_activity_case(
    "schedule to close", "hangs", start_to_close_timeout=0, schedule_to_close_timeout=0.4
)
_activity_case(
    "schedule to close in a later attempt",
    "hangs_after_failing",
    start_to_close_timeout=0,
    schedule_to_close_timeout=3,
    retry={"initial_interval": 0.1},
)
_activity_case("schedule to close before start to close", "hangs", schedule_to_close_timeout=0.4)
_activity_case(
    "schedule to close, one attempt",
    "hangs",
    schedule_to_close_timeout=0.4,
    retry={"maximum_attempts": 1},
)
_activity_case(
    "schedule to close, not retryable",
    "hangs",
    schedule_to_close_timeout=0.4,
    retry={"non_retryable_error_types": ["TemporalTimeout:ScheduleToClose"]},
)
_activity_case("schedule to start", "echo", 1, schedule_to_start_timeout=0.4, task_queue=UNPOLLED)
_activity_case(
    "schedule to start, one attempt",
    "echo",
    1,
    schedule_to_start_timeout=0.4,
    task_queue=UNPOLLED,
    retry={"maximum_attempts": 1},
)
_activity_case("heartbeat", "beats_once", heartbeat_timeout=3, retry=SLOWLY)
_activity_case("heartbeat, once", "beats_once", heartbeat_timeout=3, retry={"maximum_attempts": 1})


@activity.defn
async def hangs_after_failing() -> None:
    if activity.info().attempt == 1:
        raise ApplicationError("the first failed", type="Flaky")
    await asyncio.sleep(3600)


ACTIVITIES.append(hangs_after_failing)


@defined
class InTurnAndTogether:
    @workflow.run
    async def run(self) -> list[str]:
        first = await workflow.execute_activity(echo, "first", start_to_close_timeout=LONG)
        rest = await asyncio.gather(
            *(workflow.execute_activity(echo, n, start_to_close_timeout=LONG) for n in "abc")
        )
        return [first, *rest]


@case(events=False)
async def several_activities(stage: Stage) -> Any:
    return await stage.start(InTurnAndTogether)


# --- cancelling Activities ---------------------------------------------------------------


@defined
class CancelsActivity:
    """Tell what became of an Activity when the Workflow was asked to cancel."""

    @workflow.run
    async def run(self, name: str, how: int, then: str, args: list[Any]) -> str:
        try:
            result = await workflow.execute_activity(
                name,
                args=args,
                start_to_close_timeout=timedelta(minutes=5),
                heartbeat_timeout=timedelta(seconds=5),
                retry_policy=RetryPolicy(initial_interval=timedelta(hours=1)),
                cancellation_type=ActivityCancellationType(how),
            )
        except BaseException as error:
            what = f"{type(error).__name__} {type(error.__cause__).__name__}"
            if then == "raise":
                raise
            return what
        return f"got {result}"


def _cancel_case(
    title: str, name: str, how: ActivityCancellationType, then: str, *args: Any
) -> None:
    async def play(stage: Stage) -> Any:
        handle = await stage.start(
            CancelsActivity, args=[name, int(how), then, list(args)], real=True
        )
        await handle.running()
        await handle.cancel()
        return handle

    CASES.append(Case(title, play, events=how is not ActivityCancellationType.TRY_CANCEL))


for _how in ActivityCancellationType:
    for _end in ("raise", "return", "fail"):
        _cancel_case(f"cancel, {_how.name}, activity: {_end}", "beats", _how, "tell", _end)
    _cancel_case(f"cancel, {_how.name}, in a thread", "beats_in_a_thread", _how, "tell", "raise")
    _cancel_case(f"cancel, {_how.name}, between attempts", "fails", _how, "tell", 9)
    _cancel_case(f"cancelled by {_how.name}", "beats", _how, "raise", "raise")


@defined
class CancelsBeforeItIsSent:
    @workflow.run
    async def run(self) -> str:
        task = workflow.start_activity(echo, 1, start_to_close_timeout=LONG)
        timer = asyncio.create_task(asyncio.sleep(1000))
        await asyncio.sleep(0)
        task.cancel()
        timer.cancel()
        try:
            await task
        except FailureError as error:
            return f"{type(error).__name__} {type(error.cause).__name__}"
        return "not cancelled"


@case()
async def cancelled_before_it_is_sent(stage: Stage) -> Any:
    return await stage.start(CancelsBeforeItIsSent)


# --- timers and cancel requests ----------------------------------------------------------


@defined
class Sleeps:
    @workflow.run
    async def run(self) -> list[float]:
        begun = workflow.now()
        await workflow.sleep(timedelta(hours=3), summary="a nap")
        slept = workflow.now() - begun
        return [round(slept.total_seconds(), -1)]


@case()
async def timer(stage: Stage) -> Any:
    return await stage.start(Sleeps)


@defined
class WaitsInVain:
    @workflow.run
    async def run(self) -> str:
        with contextlib.suppress(asyncio.TimeoutError):
            await workflow.wait_condition(lambda: False, timeout=timedelta(hours=1))
        task = asyncio.create_task(asyncio.sleep(10_000))
        await workflow.sleep(60)
        task.cancel()
        await workflow.sleep(60)
        return "waited"


@case()
async def timers_fired_and_cancelled(stage: Stage) -> Any:
    return await stage.start(WaitsInVain)


@defined
class CleansUp:
    @workflow.run
    async def run(self) -> None:
        try:
            await workflow.sleep(timedelta(days=1))
        finally:
            await workflow.execute_activity(echo, "undo", start_to_close_timeout=LONG)


@case()
async def cancel_request(stage: Stage) -> Any:
    handle = await stage.start(CleansUp, real=True)
    await handle.seen("timer_started")
    await handle.cancel()
    return handle


@defined
class Swallows:
    @workflow.run
    async def run(self) -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await workflow.sleep(timedelta(days=1))
        return f"swallowed {workflow.cancellation_reason()!r}"


@case()
async def swallowed_cancel(stage: Stage) -> Any:
    handle = await stage.start(Swallows, real=True)
    await handle.seen("timer_started")
    await handle.cancel()
    return handle


@case(events=False)
async def two_cancel_requests(stage: Stage) -> Any:
    handle = await stage.start(CleansUpSlowly, real=True)
    await handle.seen("timer_started")
    await handle.cancel()
    await handle.seen("timer_started", 2)
    await handle.cancel()
    await handle.signal("go")
    return handle


@defined
class CleansUpSlowly:
    def __init__(self) -> None:
        self.go_on = False

    @workflow.run
    async def run(self) -> str:
        try:
            await workflow.sleep(timedelta(days=1))
        except asyncio.CancelledError:
            await workflow.wait_condition(lambda: self.go_on, timeout=timedelta(days=1))
        return "went on"

    @workflow.signal
    def go(self) -> None:
        self.go_on = True


@case()
async def terminated(stage: Stage) -> Any:
    handle = await stage.start(CleansUp, real=True)
    await handle.seen("timer_started")
    await handle.terminate("enough")
    return handle


# --- messages ----------------------------------------------------------------------------


@defined
class Basket:
    """Everything that can be sent to a Workflow."""

    def __init__(self) -> None:
        self.items: list[str] = []
        self.closed = False

    @workflow.run
    async def run(self) -> list[str]:
        await workflow.wait_condition(lambda: self.closed)
        return self.items

    @workflow.signal
    async def add(self, item: str) -> None:
        self.items.append(item)

    @workflow.signal
    async def add_checked(self, item: str) -> None:
        self.items.append(await workflow.execute_activity(echo, item, start_to_close_timeout=LONG))

    @workflow.signal(dynamic=True)
    async def anything(self, name: str, args: Sequence[RawValue]) -> None:
        self.items.append(f"{name}/{len(args)}")

    @workflow.signal
    def close(self) -> None:
        self.closed = True

    @workflow.query
    def count(self) -> int:
        return len(self.items)

    @workflow.query
    def broken(self) -> int:
        raise ValueError("cannot be asked")

    @workflow.update
    async def put(self, item: str) -> int:
        self.items.append(item)
        return len(self.items)

    @put.validator
    def validate_put(self, item: str) -> None:
        if not item:
            raise ValueError("no item")

    @workflow.update
    async def put_checked(self, item: str) -> str:
        item = await workflow.execute_activity(echo, item, start_to_close_timeout=LONG)
        self.items.append(item)
        return item

    @workflow.update
    async def put_badly(self, item: str) -> None:
        await workflow.sleep(0.01)
        raise ApplicationError(f"cannot put {item}", type="Full")

    @workflow.update
    def finish(self) -> str:
        self.closed = True
        return "finished"


@case(events=False)
async def signals(stage: Stage) -> Any:
    handle = await stage.start(Basket, real=True)
    await handle.seen("workflow_task_completed")
    await handle.signal("add", "apple")
    await handle.signal("add", "pear")
    await handle.signal("add_checked", "fig")
    await handle.until("count", 3)
    await handle.signal("unheard_of", 1, 2)
    await handle.signal("close")
    return handle


@case()
async def signal_with_start(stage: Stage) -> Any:
    return await stage.start(Basket, start_signal="close")


@case()
async def queries(stage: Stage) -> Any:
    handle = await stage.start(Basket, real=True)
    await handle.seen("workflow_task_completed")
    await handle.signal("add", "apple")
    await handle.seen("workflow_task_completed", 2)
    answers = [await handle.query(name) for name in ("count", "broken", "unheard_of")]
    await handle.signal("close")
    await handle.over()
    return handle, [*answers, await handle.query("count")]


@case()
async def updates(stage: Stage) -> Any:
    handle = await stage.start(Basket, real=True)
    await handle.seen("workflow_task_completed")
    answers = [
        await handle.update("put", "apple"),
        await handle.update("put", ""),
        await handle.update("unheard_of", ""),
        await handle.update("put_checked", "fig"),
        await handle.update("put_badly", "pear"),
        await handle.update("finish"),
    ]
    return handle, answers


@case()
async def update_before_the_first_task(stage: Stage) -> Any:
    handle = await stage.start(Basket, real=True, start_delay=timedelta(seconds=0.3))
    answer = await handle.update("finish")
    return handle, [answer]


@case()
async def update_after_the_end(stage: Stage) -> Any:
    handle = await stage.start(Basket, start_signal="close")
    await handle.over()
    return handle, [await handle.update("put", "late")]


@defined
class LeavesHandlersBehind:
    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: workflow.all_handlers_finished() is False)
        return "did not wait"

    @workflow.update
    async def never(self) -> None:
        await workflow.sleep(timedelta(days=1))


@case()
async def unfinished_update(stage: Stage) -> Any:
    handle = await stage.start(LeavesHandlersBehind, real=True)
    await handle.seen("workflow_task_completed")
    return handle, [await handle.update("never")]


# --- children ----------------------------------------------------------------------------


@defined
class Parent:
    """Start a child; tell what became of it."""

    @workflow.run
    async def run(self, child: str, args: list[Any], options: dict[str, Any]) -> str:
        given: dict[str, Any] = {"id": f"{workflow.info().workflow_id}/child"}
        if "how" in options:
            given["cancellation_type"] = ChildWorkflowCancellationType(options["how"])
        if "timeout" in options:
            given["execution_timeout"] = timedelta(seconds=options["timeout"])
        if "run_timeout" in options:
            given["run_timeout"] = timedelta(seconds=options["run_timeout"])
        if "attempts" in options:
            given["retry_policy"] = RetryPolicy(
                initial_interval=timedelta(seconds=10), maximum_attempts=options["attempts"]
            )
        try:
            handle = await workflow.start_child_workflow(child, args=args, **given)
            if name := options.get("signal"):
                await handle.signal(name)
            if options.get("cancel"):
                handle.cancel()
            return f"got {await handle}"
        except (FailureError, asyncio.CancelledError) as error:
            if options.get("then") == "raise":
                raise
            inner = getattr(error, "cause", None)
            last = getattr(inner, "cause", None)
            return " < ".join(f"{type(e).__name__}: {e}" for e in (error, inner, last) if e)


def _child_case(title: str, child: str, *args: Any, events: bool = True, **options: Any) -> None:
    async def play(stage: Stage) -> Any:
        return await stage.start(Parent, args=[child, list(args), options])

    CASES.append(Case(title, play, events, seconds=False))


_child_case("child", "Returns", {"cents": 4, "currency": "EUR"})
_child_case("child fails", "Raises")
_child_case("child fails, parent too", "Raises", then="raise")
_child_case("child is retried", "Raises", attempts=2)
_child_case("child times out", "Sleeps", timeout=60)
_child_case("child's run times out", "Sleeps", run_timeout=60)
_child_case("child is signalled", "Basket", signal="close")
_child_case("child's activity", "Calls", "fails", [9], {"retry": {"maximum_attempts": 1}})
_child_case("child continues as new", "Counts", 2, 0)
for _child_how in (
    ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
    ChildWorkflowCancellationType.TRY_CANCEL,
    ChildWorkflowCancellationType.WAIT_CANCELLATION_REQUESTED,
    ChildWorkflowCancellationType.ABANDON,
):
    _child_case(
        f"child is cancelled, {_child_how.name}",
        "CleansUp",
        cancel=True,
        how=int(_child_how),
        events=False,
    )


@case(events=False)
async def cancel_reaches_the_child(stage: Stage) -> Any:
    handle = await stage.start(Parent, args=["CleansUp", [], {"then": "raise"}], real=True)
    child = await stage.other(f"{handle.id}/child")
    await child.seen("timer_started")
    await handle.seen("workflow_task_completed", 2)
    await handle.cancel()
    await handle.over()
    return child


@case()
async def child_is_terminated(stage: Stage) -> Any:
    handle = await stage.start(Parent, args=["CleansUp", [], {}], real=True)
    child = await stage.other(f"{handle.id}/child")
    await child.seen("timer_started")
    await child.terminate("enough")
    return handle


@case()
async def child_id_is_taken(stage: Stage) -> Any:
    return await stage.start(StartsTwice)


@defined
class StartsTwice:
    @workflow.run
    async def run(self) -> str:
        child_id = f"{workflow.info().workflow_id}/child"
        await workflow.start_child_workflow("CleansUp", id=child_id)
        try:
            await workflow.start_child_workflow("CleansUp", id=child_id)
        except WorkflowAlreadyStartedError as error:
            return type(error).__name__
        return "twice"


@defined
class Leaves:
    @workflow.run
    async def run(self, policy: int) -> None:
        await workflow.start_child_workflow(
            "CleansUp",
            id=f"{workflow.info().workflow_id}/child",
            parent_close_policy=workflow.ParentClosePolicy(policy),
        )


def _close_case(policy: workflow.ParentClosePolicy) -> None:
    async def play(stage: Stage) -> Any:
        handle = await stage.start(Leaves, int(policy), real=True)
        await handle.over()
        child = await stage.other(f"{handle.id}/child")
        if policy == workflow.ParentClosePolicy.ABANDON:
            await child.seen("timer_started")
            await child.terminate("end of the test")
        await child.over()
        return child

    CASES.append(Case(f"parent closes, {policy.name}", play, events=False))


for _policy in list(workflow.ParentClosePolicy)[1:]:
    _close_case(_policy)


@defined
class TalksToOthers:
    @workflow.run
    async def run(self, other: str, what: str) -> str:
        handle = workflow.get_external_workflow_handle(other)
        try:
            if what == "signal":
                await handle.signal("add", "a gift")
                await handle.signal("close")
            else:
                await handle.cancel()
        except ApplicationError as error:
            return f"{error.type}: {error.message}"
        return "done"


@case(events=False)
async def external_signal(stage: Stage) -> Any:
    other = await stage.start(Basket, real=True)
    await other.seen("workflow_task_completed")
    handle = await stage.start(TalksToOthers, args=[other.id, "signal"])
    await handle.over()
    return other


@case()
async def external_cancel(stage: Stage) -> Any:
    other = await stage.start(CleansUp, real=True)
    await other.seen("timer_started")
    handle = await stage.start(TalksToOthers, args=[other.id, "cancel"])
    await handle.over()
    await other.over()
    return handle


@case()
async def external_signal_to_nobody(stage: Stage) -> Any:
    return await stage.start(TalksToOthers, args=["nobody", "signal"])


@case()
async def external_cancel_to_nobody(stage: Stage) -> Any:
    return await stage.start(TalksToOthers, args=["nobody", "cancel"])


# --- chains ------------------------------------------------------------------------------


@defined
class Counts:
    @workflow.run
    async def run(self, more: int, so_far: int) -> str:
        await workflow.execute_activity(echo, so_far, start_to_close_timeout=LONG)
        memo = workflow.memo_value("who", "nobody")
        if more:
            workflow.continue_as_new(args=[more - 1, so_far + 1])
        status = workflow.info().typed_search_attributes.get(STATUS)
        return f"{so_far} for {memo}, {status}"


@case()
async def continue_as_new(stage: Stage) -> Any:
    return await stage.start(
        Counts,
        args=[2, 0],
        memo={"who": "Ada"},
        search_attributes=TypedSearchAttributes([SearchAttributePair(STATUS, "kept")]),
    )


@defined
class FailsAtFirst:
    @workflow.run
    async def run(self, times: int) -> str:
        attempt = workflow.info().attempt
        if attempt <= times:
            raise ApplicationError(f"run {attempt} failed", type="Flaky")
        return f"run {attempt}, after {workflow.get_last_failure()}"


@case()
async def workflow_retries(stage: Stage) -> Any:
    policy = RetryPolicy(initial_interval=timedelta(seconds=100), maximum_attempts=3)
    return await stage.start(FailsAtFirst, 2, retry_policy=policy)


@case()
async def workflow_retries_in_vain(stage: Stage) -> Any:
    policy = RetryPolicy(initial_interval=timedelta(seconds=100), maximum_attempts=2)
    return await stage.start(FailsAtFirst, 9, retry_policy=policy)


@case()
async def run_timeout(stage: Stage) -> Any:
    return await stage.start(Sleeps, run_timeout=timedelta(seconds=100))


@case()
async def execution_timeout(stage: Stage) -> Any:
    return await stage.start(Sleeps, execution_timeout=timedelta(seconds=100))


@case()
async def start_delay(stage: Stage) -> Any:
    return await stage.start(Returns, Money(1), start_delay=timedelta(seconds=0.3), real=True)


@case(events=False)
async def same_id_again(stage: Stage) -> Any:
    handle = await stage.start(Basket, real=True)
    answers = []
    for options in (
        {},
        {"id_conflict_policy": WorkflowIDConflictPolicy.USE_EXISTING},
    ):
        answers.append(await _again(stage, handle.id, **options))
    await handle.signal("close")
    await handle.over()
    for reuse in (
        WorkflowIDReusePolicy.REJECT_DUPLICATE,
        WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
        WorkflowIDReusePolicy.ALLOW_DUPLICATE,
    ):
        answers.append(await _again(stage, handle.id, id_reuse_policy=reuse))
    again = await stage.other(handle.id)
    await again.terminate("end of the test")
    return again, answers


async def _again(stage: Stage, workflow_id: str, **options: Any) -> str:
    try:
        await stage.start(Basket, id=workflow_id, real=True, **options)
    except WorkflowAlreadyStartedError as error:
        return type(error).__name__
    return "started"


# --- what a Workflow knows and notes -----------------------------------------------------


@defined
class Notes:
    @workflow.run
    async def run(self) -> list[Any]:
        workflow.upsert_search_attributes([STATUS.value_set("booking")])
        workflow.upsert_memo({"seat": 12, "gone": None})
        await workflow.sleep(1)
        workflow.upsert_search_attributes([STATUS.value_unset()])
        workflow.set_current_details("half way")
        return [workflow.memo_value("seat"), workflow.get_current_details()]


@case()
async def search_attributes_and_memo(stage: Stage) -> Any:
    return await stage.start(Notes)


@defined
class Patched:
    @workflow.run
    async def run(self) -> list[Any]:
        found = [workflow.patched("one")]
        await workflow.sleep(1)
        found += [workflow.patched("two"), workflow.patched("one")]
        workflow.deprecate_patch("three")
        await workflow.sleep(1)
        return found


@case()
async def patches(stage: Stage) -> Any:
    return await stage.start(Patched)


@defined
class IsItself:
    @workflow.run
    async def run(self) -> list[Any]:
        info = workflow.info()
        draws = {workflow.random().random(), workflow.random().random(), workflow.uuid4()}
        await workflow.sleep(1)
        return [
            info.workflow_type,
            info.attempt,
            info.run_timeout,
            info.parent,
            len(draws),
            info.get_current_history_length(),
            workflow.unsafe.is_replaying(),
        ]


@case()
async def info(stage: Stage) -> Any:
    return await stage.start(IsItself, real=True)


@defined
class DrawsIds:
    """Ids from the Workflow's own random numbers, which a replay must draw again."""

    @workflow.run
    async def run(self) -> int:
        ids = [str(workflow.uuid4()), f"{workflow.random().getrandbits(64):x}"]
        for activity_id in ids:
            await workflow.execute_activity(
                echo, 1, activity_id=activity_id, start_to_close_timeout=LONG
            )
        return len(set(ids))


@case(events=False)
async def drawn_ids(stage: Stage) -> Any:
    return await stage.start(DrawsIds)


@activity.defn
async def tells_about_itself() -> list[Any]:
    info = activity.info()
    return [
        info.activity_type,
        info.activity_id,
        info.attempt,
        info.is_local,
        info.workflow_type,
        info.start_to_close_timeout and info.start_to_close_timeout.total_seconds(),
        info.schedule_to_close_timeout and info.schedule_to_close_timeout.total_seconds(),
        info.heartbeat_timeout and info.heartbeat_timeout.total_seconds(),
        info.retry_policy and info.retry_policy.maximum_attempts,
        info.retry_policy
        and info.retry_policy.maximum_interval
        and info.retry_policy.maximum_interval.total_seconds(),
        info.scheduled_time <= info.current_attempt_scheduled_time <= info.started_time,
        info.workflow_run_id is not None and info.in_workflow,
    ]


ACTIVITIES.append(tells_about_itself)
_activity_case(
    "activity info",
    "tells_about_itself",
    heartbeat_timeout=7,
    schedule_to_close_timeout=70,
    retry={"maximum_attempts": 5, "initial_interval": 3.0},
)

FAILED_TASKS: dict[str, int] = {}
"""How often the task of a Workflow has failed: state outside of it, on purpose."""


@defined
class FailsItsTask:
    @workflow.run
    async def run(self, times: int, sleeps: bool = True) -> str:
        if sleeps:
            await workflow.sleep(1)
        me = workflow.info().workflow_id
        FAILED_TASKS[me] = FAILED_TASKS.get(me, 0) + 1
        if FAILED_TASKS[me] <= times:
            raise RuntimeError("a bug, for now")
        return "mended"


@case()
async def failed_task(stage: Stage) -> Any:
    return await stage.start(FailsItsTask, 1)


@case()
async def task_that_fails_three_times(stage: Stage) -> Any:
    return await stage.start(FailsItsTask, 3, real=True, task_timeout=timedelta(seconds=3))


@case()
async def first_task_fails(stage: Stage) -> Any:
    return await stage.start(
        FailsItsTask, args=[3, False], real=True, task_timeout=timedelta(seconds=3)
    )


@case(events=False)
async def task_fails_for_ever(stage: Stage) -> Any:
    handle = await stage.start(FailsItsTask, 1000, real=True)
    await handle.seen("workflow_task_failed")
    await handle.terminate("end of the test")
    return handle


# --- local Activities --------------------------------------------------------------------


@defined
class CallsLocally:
    @workflow.run
    async def run(self, name: str, args: list[Any], retry: dict[str, Any]) -> Any:
        intervals = {k: timedelta(seconds=v) for k, v in retry.items() if k.endswith("interval")}
        threshold = retry.pop("threshold", 60)
        policy = RetryPolicy(**({k: v for k, v in retry.items() if k != "threshold"} | intervals))
        first = await workflow.execute_local_activity(
            name,
            args=args,
            start_to_close_timeout=LONG,
            retry_policy=policy,
            local_retry_threshold=timedelta(seconds=threshold),
        )
        second = await workflow.execute_local_activity(echo, "second", start_to_close_timeout=LONG)
        await workflow.sleep(1)
        return [first, second]


def _local_case(title: str, name: str, *args: Any, **retry: Any) -> None:
    async def play(stage: Stage) -> Any:
        return await stage.start(CallsLocally, args=[name, list(args), retry])

    CASES.append(Case(title, play))


_local_case("local activity", "echo", 1)
_local_case("local activity retried", "fails", 2, initial_interval=0.01)
_local_case("local activity fails", "fails", 9, maximum_attempts=2, initial_interval=0.01)
_local_case("local activity not retried", "fails", 9, "Flaky", True)
_local_case("local activity backs off", "fails", 1, initial_interval=100.0, threshold=1)


@activity.defn
async def takes_long() -> str:
    await asyncio.sleep(8.5)
    return "at last"


ACTIVITIES.append(takes_long)


@case()
async def local_activity_outlasts_its_task(stage: Stage) -> Any:
    return await stage.start(CallsLocally, args=["takes_long", [], {}], real=True)


@defined
class CancelsLocally:
    @workflow.run
    async def run(self, how: int) -> str:
        task = workflow.start_local_activity(
            hangs,
            start_to_close_timeout=LONG,
            cancellation_type=ActivityCancellationType(how),
        )
        await workflow.execute_local_activity(echo, 1, start_to_close_timeout=LONG)
        task.cancel()
        try:
            await task
        except BaseException as error:
            return f"{type(error).__name__} {type(error.__cause__).__name__}"
        return "not cancelled"


def _local_cancel_case(how: ActivityCancellationType) -> None:
    async def play(stage: Stage) -> Any:
        return await stage.start(CancelsLocally, int(how), real=True)

    CASES.append(Case(f"local activity cancelled, {how.name}", play, events=False))


for _how in ActivityCancellationType:
    _local_cancel_case(_how)
