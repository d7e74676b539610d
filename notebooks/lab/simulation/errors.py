"""What the simulator itself has to say; each message is one clear sentence."""

from __future__ import annotations


class SimulationError(Exception):
    """Something about the simulation, not about the Workflow's outcome."""


class NotSimulated(SimulationError):
    """The Workflow asked for something that the simulator does not know."""


class NotDeterministic(SimulationError):
    """Replayed from its own history, the Workflow asked for something else.

    ``first`` and ``again`` name the two commands, ``task`` is the number of the
    Workflow Task (counted from 1) in which they differ.
    """

    def __init__(self, workflow: str, task: int, first: str, again: str) -> None:
        super().__init__(
            f"{workflow} is not deterministic: in its Workflow Task {task} it asked for {first}, "
            f"and when that was replayed, for {again}."
        )
        self.workflow, self.task, self.first, self.again = workflow, task, first, again


class NeverYields(SimulationError):
    """Code that ran on and on without giving control back."""


class StillRunning(SimulationError):
    """A result was asked for, but the Workflow is open and nothing more will happen."""
