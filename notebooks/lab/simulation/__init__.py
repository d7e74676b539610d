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
from .prove import CannotProve, Proof, prove
from .remembered import Remembered
from .replay import replay_elsewhere
from .shrink import shrink
from .simulation import Handle, Simulation, UpdateHandle
from .trial import Outcome, Trial, arrivals_at, cancels_at, every, faults_at
from .world import Nothing, Objects, Several, Sqlite, SqliteRows, World

__all__ = [
    "FAULTS",
    "Arrival",
    "Cancel",
    "CannotProve",
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
    "Nothing",
    "Objects",
    "Odds",
    "Outcome",
    "Proof",
    "Remembered",
    "Schedule",
    "Several",
    "Signal",
    "Simulation",
    "SimulationError",
    "Site",
    "Sqlite",
    "SqliteRows",
    "StillRunning",
    "Terminate",
    "Trial",
    "Update",
    "UpdateHandle",
    "World",
    "arrivals_at",
    "cancels_at",
    "every",
    "faults_at",
    "prove",
    "replay_elsewhere",
    "shrink",
]
