"""Judges for what an operator said about an undo: see ``judging`` and ``desk``."""

from __future__ import annotations

from lab.checking.desk import UPDATE, Said
from lab.checking.judging import Judge
from lab.checking.trials import Found, Problem

CLOSED_MEANWHILE = "AcceptedUpdateCompletedWorkflow"


def listened(found: Found) -> Problem | None:
    """What makes sense is let in and answered, all else is refused by the validator."""
    for said in found.said:
        told = _in_words(said)
        if said.sensible is False and said.accepted:
            return Problem("let in", f"{told} was let in and is in the Event History")
        if said.closed and said.sensible:
            return Problem("nobody asked", f"the Workflow {found.status} before {told} was sent")
        if said.sensible and not said.accepted and not found.task_failed:
            return Problem("turned away", f"{told} was refused: {said.reason}")
        if said.sensible and _unanswered(found, said):
            return Problem("unanswered", f"{told} got no answer; the Workflow {found.status}")
        if said.sensible and said.failure:
            return Problem("turned away", f"{told} failed: {said.reason}")
    return None


def bears_repeating(found: Found) -> Problem | None:
    """The same decision, said again, harms nobody."""
    again = [said for said in found.said if said.sensible is None and not said.closed]
    harmed = [said for said in again if said.accepted and not said.answered]
    if found.task_failed and harmed:
        why = f"{found.failure_type}: {found.failure.message}"
        return Problem("said again", f"{_in_words(harmed[0])} a second time: {why}")
    return None


def waited(undo: str, *, times: int) -> Judge:
    """Who refused this undo was asked so often, and not again before somebody said so."""

    def judge(found: Found) -> Problem | None:
        asked = sum(step.attempts for step in found.steps(undo))
        if asked > times:
            return Problem("rejection retried", f"{undo} was refused, and asked {asked} times")
        return None

    return judge


def recorded(*decisions: tuple[str, str, str]) -> Judge:
    """In the database stand these undos with who settled them and why, and no others."""

    def judge(found: Found) -> Problem | None:
        settled = found.simulated.settled if found.simulated else []
        if settled == sorted(decisions) or found.status == "stuck":
            return None
        told = "; ".join(f"{undo} by {by}: {why}" for undo, by, why in settled) or "nothing"
        return Problem("not recorded", f"settled by hand, says the database: {told}")

    return judge


def _unanswered(found: Found, said: Said) -> bool:
    open_ended = said.accepted and not said.answered and not found.task_failed
    return open_ended or said.failure == CLOSED_MEANWHILE


def _in_words(said: Said) -> str:
    decision = said.decision
    parts = [decision.undo, *filter(None, (decision.settled_by, decision.because))]
    return f"{UPDATE}({', '.join(map(repr, parts))})"
