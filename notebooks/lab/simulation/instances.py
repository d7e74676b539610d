"""Instances of Workflows, as the SDK makes them, and their end.

One that is dropped in the middle of something leaves coroutines behind. Python closes
those whenever it collects garbage, perhaps while another Workflow runs, and their
``finally`` blocks would ask for Activities in the other's name. The SDK's Worker takes
care by evicting whatever it forgets. So does a simulation that is closed; the instances
of one that nobody closed are kept here, and evicted before the next simulation begins.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation, WorkflowActivationJob
from temporalio.worker import WorkflowInstance

from . import noise
from .errors import SimulationError
from .guard import LIMIT_TURNS, Counted, guarded
from .waiting import Waiting

_alive: dict[WorkflowInstance, Callable[[], object]] = {}
"""Those that were not evicted; the value tells whether their simulation is still there."""


def kept(instance: WorkflowInstance, simulation: object) -> WorkflowInstance:
    """Hold on to a new instance until it is evicted; count what its event loop runs."""
    if hasattr(instance, "_ready"):
        instance._ready = Counted(instance._ready)
    _alive[instance] = weakref.ref(simulation)
    return instance


def activate(instance: WorkflowInstance, act: WorkflowActivation, what: str) -> Any:
    """One activation; its logs and asyncio's remarks go nowhere. Returns the completion.

    Raises ``NeverYields``, which names ``what``, if it does not come to its end.
    """
    ready = getattr(instance, "_ready", None)
    if isinstance(ready, Counted):
        ready.left = LIMIT_TURNS

    def activated() -> Any:
        with noise.quiet(), Waiting.refused(what):
            return instance.activate(act)

    return guarded(activated, what)


def evict(instance: WorkflowInstance, run_id: str, what: str) -> None:
    """Have an instance end all its tasks, as a Worker does before it forgets it."""
    job = WorkflowActivationJob()
    job.remove_from_cache.message = "simulation"
    activate(instance, WorkflowActivation(run_id=run_id, jobs=[job]), what)
    _alive.pop(instance, None)


def evict_forgotten() -> None:
    """Evict what simulations that are gone have left."""
    for instance, simulation in list(_alive.items()):
        # Taken out first: two threads may simulate at the same time.
        if simulation() is None and _alive.pop(instance, None):
            evict_or_keep(instance, "", "The code of a Workflow that was forgotten")


def evict_or_keep(instance: WorkflowInstance, run_id: str, what: str) -> None:
    """Evict an instance; one that does not let itself be ended is kept for good."""
    try:
        evict(instance, run_id, what)
    except (SimulationError, RuntimeError):
        _alive[instance] = lambda: True
