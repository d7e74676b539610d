"""Replays histories in a process of its own; see ``replay.replay_elsewhere``, which runs it.

Reads JSON from stdin: where to import from, which Workflows, which histories. Prints, as
its last line, what did not replay: pairs of a Workflow's id and the SDK's words.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner


async def failures(given: dict[str, Any]) -> AsyncIterator[tuple[str, str]]:
    """Ids of the histories that do not replay, and why."""
    workflows = [_imported(module, name) for module, name in given["workflows"]]
    replayer = Replayer(workflows=workflows, workflow_runner=UnsandboxedWorkflowRunner())
    for workflow_id, text in given["histories"]:
        history = WorkflowHistory.from_json(workflow_id, text)
        told = await replayer.replay_workflow(history, raise_on_replay_failure=False)
        if told.replay_failure:
            yield workflow_id, str(told.replay_failure)


def _imported(module: str, name: str) -> Any:
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


async def _main() -> None:
    given = json.load(sys.stdin)
    sys.path[:] = given["path"]
    print(json.dumps([found async for found in failures(given)]), flush=True)
    # The SDK's threads may still be at work, and nobody waits for them.
    os._exit(0)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(_main())
