"""What goes wrong, on purpose: the failure model, and the interceptor that carries it out."""

from travel.faults.model import (
    BRIEF_RATES,
    DEFAULT_SEED,
    Fault,
    FaultModel,
    RandomFaults,
    ScriptedFault,
    ScriptedFaults,
)

__all__ = [
    "BRIEF_RATES",
    "DEFAULT_SEED",
    "Fault",
    "FaultModel",
    "RandomFaults",
    "ScriptedFault",
    "ScriptedFaults",
]
