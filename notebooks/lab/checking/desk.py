"""An operator at a desk, who sends a trip's Workflow decisions about its undos.

Time stands still while the operator is busy, and goes on while an answer is awaited.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from lab.simulation import Handle, Simulation, StillRunning, UpdateHandle
from travel.models import Decision

UPDATE = "decide"


@dataclass(frozen=True)
class Said:
    """A decision, and what came back.

    ``sensible`` says whether it should be let in, None if either is right. ``accepted``:
    the validator let it in. ``answered``: the handler came to an end, by an error of type
    ``failure`` perhaps, which ``reason`` tells. ``closed``: the Workflow was over.
    """

    decision: Decision
    sensible: bool | None
    accepted: bool = False
    answered: bool = False
    closed: bool = False
    failure: str = ""
    reason: str = ""


class Operator:
    """Waits a while, and says what is to become of an undo; ``said`` is the record of it."""

    def __init__(self, simulation: Simulation, handle: Handle, said: list[Said]) -> None:
        self._simulation, self._handle = simulation, handle
        self.said = said

    def wait(self, **time: float) -> None:
        """Do nothing for so long: ``hours=3``."""
        self._simulation.run_for(timedelta(**time))

    def says(self, *decisions: Decision, sensible: bool | None = True) -> None:
        """Send them all at the same moment, and wait for the answers."""
        sent = [(decision, self._send(decision)) for decision in decisions]
        self.said += [self._answer(decision, update, sensible) for decision, update in sent]

    def _send(self, decision: Decision) -> UpdateHandle | None:
        try:
            return self._handle.start_update(UPDATE, decision)
        except RPCError:
            return None

    def _answer(
        self, decision: Decision, update: UpdateHandle | None, sensible: bool | None
    ) -> Said:
        if update is None:
            return Said(decision, sensible, closed=True)
        try:
            update.result()
        except StillRunning:
            return Said(decision, sensible, accepted=update.accepted)
        except WorkflowUpdateFailedError as error:
            cause = error.cause
            kind = (isinstance(cause, ApplicationError) and cause.type) or type(cause).__name__
            return Said(decision, sensible, update.accepted, True, False, kind, str(cause))
        return Said(decision, sensible, accepted=True, answered=True)
