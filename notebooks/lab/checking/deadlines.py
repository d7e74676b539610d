"""Judges for a deadline of the whole trip: see ``judging``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from temporalio.api.failure.v1 import Failure

from lab.checking.judging import EMAIL, Judge, booked, released
from lab.checking.trials import Found, Problem

REPORTED_AS = "DeadlineExceeded"
NOTICE_SECONDS = 4
"""A step that is under way may come to the end of its attempt first."""


def stopped_at(seconds: float) -> Judge:
    """Undoing began at the deadline, and the deadline is what the caller is told."""

    def judge(found: Found) -> Problem | None:
        began = found.history.steps[0].scheduled if found.history.steps else 0.0
        undos = [step.scheduled - began for step in found.history.steps if step.role == "undo"]
        first = min(undos, default=found.history.seconds)
        if found.status == "completed" and not undos:
            return Problem("too late", f"booked after {found.history.seconds:.0f} s all the same")
        if first > seconds + NOTICE_SECONDS and found.status != "stuck":
            return Problem("too late", f"it went on until {first:.0f} s")
        return None

    return judge


def told_of_deadline(found: Found) -> Problem | None:
    """The deadline is what the caller hears of."""
    if found.status in ("completed", "stuck") or REPORTED_AS in _types_in(found.failure):
        return None
    return Problem("deadline hidden", f"the caller is told: {_told(found)}")


def told_of_what_came_first(found: Found) -> Problem | None:
    """Something had failed before the deadline, and that is what the caller hears of."""
    if REPORTED_AS not in _types_in(found.failure):
        return None
    return Problem("cause hidden", "the caller is told of the deadline, which came later")


def undone_to_the_end(found: Found) -> Problem | None:
    """Nothing that limits the trip limits its undos."""
    if not found.findings or found.status == "stuck":
        return None
    left = found.findings[0].problem
    if not found.history.compensations:
        return Problem("cut short", f"the Workflow {found.status}, and nothing was undone: {left}")
    for undo in found.undo_of.values():
        step = found.step(undo)
        if step is not None and step.outcome in ("canceled", "running"):
            return Problem("cut short", f"the deadline ended {undo} too: {left}")
    return None


def released_at_deadline(found: Found) -> Problem | None:
    """As ``released``; but which step the deadline met need not be told."""
    ended = "canceled" if found.status == "failed" else found.status
    return released(replace(found, status=ended))


def stands_with_email(found: Found) -> Problem | None:
    """Paid before the deadline: the trip stands, and its email goes out."""
    calls = found.calls_of(EMAIL)
    if found.status == "completed" and calls and calls[-1].outcome in ("canceled", "running"):
        return Problem("email forgotten", "the deadline stopped the email of a paid trip")
    return booked(found)


def all_or_nothing(found: Found) -> Problem | None:
    """A payment that is under way at the deadline: known to be done, or given back."""
    if found.status == "completed":
        return booked(found)
    return undone_to_the_end(found) or told_of_deadline(found) or released_at_deadline(found)


def _told(found: Found) -> str:
    last = list(_causes(found.failure))[-1]
    if found.chain and last.HasField("canceled_failure_info"):
        return f"{found.chain[-1]} was canceled"
    return found.history.reason or last.message or f"the trip {found.status}"


def _types_in(failure: Failure) -> list[str]:
    return [each.application_failure_info.type for each in _causes(failure)]


def _causes(failure: Failure) -> Iterator[Failure]:
    yield failure
    if failure.HasField("cause"):
        yield from _causes(failure.cause)
