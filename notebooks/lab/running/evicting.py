"""A Worker whose Workflows end with it, in a process that lives on.

The SDK evicts a Workflow before it forgets it: all its tasks are ended, and may ask for
nothing. It does not when a Worker stops. Python's garbage collector closes what is left,
perhaps in the thread of another Workflow, and a ``finally`` block would ask for its
Activities in the other's name. For a process that ends with its Worker that is no
matter; a kernel has many Workers, one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.worker import Worker, WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from travel.worker import running_worker


@asynccontextmanager
async def evicting_worker(*arguments: Any, **options: Any) -> AsyncIterator[Worker]:
    """``travel.worker.running_worker``; what it leaves of its Workflows is evicted at the end."""
    async with (
        evicting(options.pop("workflow_runner", None)) as runner,
        running_worker(*arguments, workflow_runner=runner, **options) as worker,
    ):
        yield worker


@asynccontextmanager
async def evicting(runner: WorkflowRunner | None = None) -> AsyncIterator[WorkflowRunner]:
    """A runner for a Worker that stops within the block: what it leaves is evicted at the end."""
    keeping = _Keeping(runner or SandboxedWorkflowRunner())
    try:
        yield keeping
    finally:
        # Not in this thread, where an event loop is running. A process that is ending gives
        # no other; and nothing will run there any more.
        with suppress(RuntimeError):
            await asyncio.to_thread(keeping.evict)


class _Keeping(WorkflowRunner):
    """Runs Workflows as another runner does, and knows which are not evicted yet."""

    def __init__(self, runner: WorkflowRunner) -> None:
        self._runner = runner
        self._alive: dict[WorkflowInstance, str] = {}

    def prepare_workflow(self, defn: Any) -> None:
        """See ``temporalio.worker.WorkflowRunner``."""
        self._runner.prepare_workflow(defn)

    def set_worker_level_failure_exception_types(
        self, types: Sequence[type[BaseException]]
    ) -> None:
        """See ``temporalio.worker.WorkflowRunner``."""
        self._runner.set_worker_level_failure_exception_types(types)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """See ``temporalio.worker.WorkflowRunner``."""
        instance = self._runner.create_instance(det)
        self._alive[instance] = det.info.run_id
        activate = instance.activate

        def activated(act: WorkflowActivation) -> Any:
            if any(job.HasField("remove_from_cache") for job in act.jobs):
                self._alive.pop(instance, None)
            return activate(act)

        instance.activate = activated  # type: ignore[method-assign]
        return instance

    def evict(self) -> None:
        """End what is left."""
        if not self._alive:
            return
        # Only now: the simulator takes its time to load, and not every kernel has use for it.
        from lab.simulation.instances import evict_or_keep

        for instance, run_id in list(self._alive.items()):
            evict_or_keep(instance, run_id, "The code of a Workflow whose Worker stopped")
