"""Values in the forms that protobufs of the API take."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.failure.v1 import Failure

from .clock import SECOND

if TYPE_CHECKING:
    from .run import Run

new_failure: Callable[..., Failure] = Failure
"""A ``Failure`` of plain dicts: protobufs take them, but their stubs do not say so."""


def execution(run: Run) -> dict[str, str]:
    """Which run it is."""
    return {"workflow_id": run.id, "run_id": run.run_id}


def queue(name: str) -> dict[str, Any]:
    """A Task Queue."""
    return {"name": name, "kind": TaskQueueKind.TASK_QUEUE_KIND_NORMAL}


def sticky_queue(run: Run) -> dict[str, Any]:
    """The queue of the Worker that has the run in its cache."""
    return {
        "name": f"{run.server.identity}-cache",
        "kind": TaskQueueKind.TASK_QUEUE_KIND_STICKY,
        "normal_name": run.start.task_queue,
    }


def seconds(number: float, *, none: bool = False) -> dict[str, int] | None:
    """A duration; ``none`` leaves one of 0 out."""
    if none and not number:
        return None
    return duration(round(number * SECOND))


def duration(number: int) -> dict[str, int]:
    """A duration in nanoseconds."""
    whole, rest = divmod(number, SECOND)
    return {"seconds": whole, "nanos": rest}


def nanoseconds(given: Any) -> int:
    """A protobuf's duration in nanoseconds."""
    return int(given.seconds) * SECOND + int(given.nanos)


def json_payload(value: Any) -> Payload:
    """A payload as the SDK's core writes it."""
    data = json.dumps(value, separators=(",", ":")).encode()
    return Payload(metadata={"encoding": b"json/plain"}, data=data)
