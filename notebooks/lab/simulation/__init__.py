"""Deterministic simulation of Temporal Workflows: no server, no threads, no waiting.

    code = Code([MyWorkflow], [my_activity])
    simulation = Simulation(code, Schedule(Fault("my_activity", "lost reply"), Cancel(at=7)))
    handle = simulation.start(MyWorkflow, argument)
    simulation.run()
    handle.status, handle.error, handle.history()

It stands on ``temporalio`` and the standard library alone: take the folder along.
"""

from .choices import (
    FAULTS,
    Arrival,
    Cancel,
    Choices,
    Crash,
    Decision,
    Do,
    Drawn,
    Evict,
    Fate,
    Fault,
    First,
    Fixed,
    Hold,
    Odds,
    Schedule,
    Signal,
    Site,
    Terminate,
    Update,
)
from .code import Code
from .errors import NeverYields, NotDeterministic, NotSimulated, SimulationError, StillRunning
from .simulation import Handle, Simulation, UpdateHandle

__all__ = [
    "FAULTS",
    "Arrival",
    "Cancel",
    "Choices",
    "Code",
    "Crash",
    "Decision",
    "Do",
    "Drawn",
    "Evict",
    "Fate",
    "Fault",
    "First",
    "Fixed",
    "Handle",
    "Hold",
    "NeverYields",
    "NotDeterministic",
    "NotSimulated",
    "Odds",
    "Schedule",
    "Signal",
    "Simulation",
    "SimulationError",
    "Site",
    "StillRunning",
    "Terminate",
    "Update",
    "UpdateHandle",
]
