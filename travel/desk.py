"""The operator's desk: which trips wait for something or somebody, and what to say to them.

``python -m travel.desk`` lists them: a compensation that is stuck, because its provider is
down or has refused it. ``retry CODE UNDO`` has it tried now; ``settle CODE UNDO --by NAME
--because TEXT`` takes it off the list, for good. ``schedule`` has reconciliation run by
itself. Exits 0 when nothing waits, 1 when something does, 2 on bad usage or no server.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.service import RPCError, RPCStatusCode

from travel.console import leave, printable
from travel.errors import InvalidInput
from travel.models import Decision, StuckUndo, TripConfirmation, TripProgress
from travel.temporal.connection import connect, task_queue
from travel.temporal.search_attributes import TRIP_STATUS
from travel.workflows.book_trip import BookTrip
from travel.workflows.reconcile_trips import ReconcileTrips

SCHEDULE = "reconcile-trips"
PATIENCE = timedelta(seconds=10)
"""How long a trip may take to answer. Without a Worker it never does."""

Trip = WorkflowHandle[BookTrip, TripConfirmation]


@dataclass(frozen=True)
class Case:
    """A trip on the desk; ``problem`` says why it could not be asked."""

    workflow_id: str
    progress: TripProgress | None
    problem: str = ""

    @property
    def waits(self) -> bool:
        """Whether something or somebody is waited for."""
        return self.progress is None or bool(self.progress.waiting)


# --- what can be done ----------------------------------------------------------


async def show(client: Client) -> int:
    """List the trips that wait."""
    waiting = [case async for case in _cases(client) if case.waits]
    for case in waiting:
        _print(*_lines(case))
    _print(f"{len(waiting)} trip{'' if len(waiting) == 1 else 's'} waiting.")
    return 1 if waiting else 0


async def decide(client: Client, code: str, decision: Decision) -> int:
    """Send a decision to a trip, and say what came of it."""
    trip = await _trip_of(client, code)
    try:
        progress = await trip.execute_update(BookTrip.decide, decision, rpc_timeout=PATIENCE)
    except WorkflowUpdateFailedError as error:
        raise InvalidInput(f"Trip {code}: {_reason(error)}") from None
    case = Case(trip.id, progress)
    _print(*_lines(case))
    return 1 if case.waits else 0


async def schedule(client: Client, every: timedelta) -> int:
    """Have reconciliation run by itself; a Schedule that is there is changed."""
    wanted = Schedule(
        action=ScheduleActionStartWorkflow(
            ReconcileTrips.run, id=SCHEDULE, task_queue=task_queue()
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        # A run that takes long is not overtaken by the next.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )
    minutes = every // timedelta(minutes=1)
    try:
        await client.create_schedule(SCHEDULE, wanted)
    except ScheduleAlreadyRunningError:
        handle = client.get_schedule_handle(SCHEDULE)
        await handle.update(lambda _: ScheduleUpdate(schedule=wanted))
        _print(f"Schedule {SCHEDULE} changed: every {minutes} minutes.")
    else:
        _print(f"Schedule {SCHEDULE} created: every {minutes} minutes.")
    return 0


# --- asking the server -------------------------------------------------------------


async def _cases(client: Client) -> AsyncIterator[Case]:
    """The trips that say that they wait, in the order of their ids."""
    query = f"ExecutionStatus = 'Running' AND {TRIP_STATUS.name} STARTS_WITH 'waiting'"
    for workflow_id in sorted([found.id async for found in client.list_workflows(query)]):
        yield await _case(client, workflow_id)


async def _case(client: Client, workflow_id: str) -> Case:
    trip: Trip = client.get_workflow_handle_for(BookTrip.run, workflow_id)
    try:
        progress = await trip.query(BookTrip.progress, rpc_timeout=PATIENCE)
    except WorkflowQueryFailedError as error:
        return Case(workflow_id, None, f"its Workflow Task fails ({error.message})")
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:  # closed and gone meanwhile
            return Case(workflow_id, TripProgress("closed", [], [], []))
        return Case(workflow_id, None, f"it does not answer ({error.message}); is there a Worker?")
    return Case(workflow_id, progress)


async def _trip_of(client: Client, code: str) -> Trip:
    """The running trip of this confirmation code."""
    query = "ExecutionStatus = 'Running' AND WorkflowId STARTS_WITH 'booking-'"
    found = [w.id async for w in client.list_workflows(query) if w.id.endswith(f"-{code}")]
    if len(found) != 1:
        those = f" but {len(found)}: {', '.join(sorted(found))}" if found else ""
        raise InvalidInput(f"Confirmation code {code!r}: expected one running trip{those}.")
    return client.get_workflow_handle_for(BookTrip.run, found[0])


# --- on the terminal ------------------------------------------------------------------


def _lines(case: Case) -> list[str]:
    if case.progress is None:
        return [f"{case.workflow_id}: {case.problem}"]
    lines = [f"{case.workflow_id}: {case.progress.status}"]
    if case.progress.failure:
        lines.append(f"    failed because: {case.progress.failure}")
    if case.progress.cancel_reason:
        lines.append(f"    cancelled because: {case.progress.cancel_reason}")
    lines += map(_stuck, case.progress.waiting)
    lines += [
        f"    {done.undo} settled by {done.settled_by}, {done.settled_at}: {done.reason}"
        for done in case.progress.settled
    ]
    return lines


def _stuck(stuck: StuckUndo) -> str:
    what = "refused, waits for you" if stuck.refused else "stuck, is tried again"
    return f"    {stuck.undo} {what}, since {stuck.since}: {stuck.reason}"


def _print(*lines: str) -> None:
    for line in lines:
        print(printable(line, sys.stdout))


def _reason(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the desk; see the module."""
    options = _parser().parse_args(arguments)
    try:
        return asyncio.run(_run(options))
    except InvalidInput as error:
        print(printable(str(error), sys.stderr), file=sys.stderr)
    except RPCError as error:
        print(f"The Temporal server did not answer ({error.message}).", file=sys.stderr)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
    return 2


async def _run(options: argparse.Namespace) -> int:
    client = await connect()
    match options.command:
        case "retry":
            return await decide(client, options.code, Decision(options.undo))
        case "settle":
            decision = Decision(options.undo, options.by, options.because)
            return await decide(client, options.code, decision)
        case "schedule":
            return await schedule(client, timedelta(minutes=options.minutes))
    return await show(client)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m travel.desk",
        description="List the trips that wait for something or somebody, or decide for one.",
        epilog="TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY … say which server "
        "(default: localhost:7233). Exit code 0: nothing waits, 1: something does, "
        "2: bad usage, or no server.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("list", help="list the trips that wait (also without a command)")
    retry = commands.add_parser("retry", help="try a stuck compensation now")
    settle = commands.add_parser("settle", help="take one off the list: it is seen to by hand")
    for command in (retry, settle):
        command.add_argument("code", metavar="CODE", help="the trip's confirmation code")
        command.add_argument("undo", metavar="UNDO", help="such as cancel_hotel")
    text = partial(settle.add_argument, type=_text, required=True)
    text("--by", metavar="NAME", help="who settled it")
    text("--because", metavar="TEXT", help="why, and how")
    every = commands.add_parser("schedule", help="have reconciliation run by itself")
    every.add_argument(
        "--minutes", type=_minutes, default=60, help="how often (default: %(default)s)"
    )
    return parser


def _text(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("expected some text, not an empty one")
    return text


def _minutes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10_080:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 10080")
    return int(text)


if __name__ == "__main__":
    leave(main())
