"""Judges: is what was found what should hold? If not, which mistake looks like this?

A judge gets what was found and returns the first problem, or None. It looks at the audit,
the Event History and the order of all calls, never at the answer's text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from lab.checking.tempo import WRONG_ARGUMENT
from lab.checking.trials import Call, Found, Problem
from lab.showing.history import RUNNING, Step, in_words
from travel.audit import Finding

Judge = Callable[[Found], Problem | None]

THINGS = {
    "seats": ("book_flight", "the seat is"),
    "room nights": ("book_hotel", "the room is"),
    "car days": ("book_car", "the car is"),
    "policies": ("insure_trip", "the policy is"),
}
STORE = "store_booking_request"
PAYMENT = "accept_payment"
EMAIL = "send_confirmation_email"
RECORD = "record_settlement"


def booked(found: Found) -> Problem | None:
    """The trip stands, whole; nothing was undone, nothing was done twice."""
    return _first(
        _sound(found),
        _not_booked(found),
        _undone(found),
        _unwhole(found),
        _twice(found),
        _under_way(found),
    )


def released(found: Found) -> Problem | None:
    """The trip failed or was canceled, with nothing left and the first failure as the reason."""
    return _first(
        _sound(found),
        _dropped(found),
        _needless(found),
        _order(found),
        _believed_booked(found),
        _left(found),
        _masked(found),
        _before_it_was_back(found),
        _twice(found),
        _under_way(found),
    )


def deterministic(found: Found) -> Problem | None:
    """It asks neither chance nor the clock, and a replay decides the same."""
    return _first(_deterministic(found))


def told_why(found: Found) -> Problem | None:
    """The trip failed, and the caller is told what failed; what is left is not asked."""
    if found.failure_type in ("ExceptionGroup", "BaseExceptionGroup"):
        return None  # a TaskGroup's, which holds the failure
    return _first(_sound(found), _believed_booked(found), _masked(found))


def failed(found: Found) -> Problem | None:
    """The trip failed; neither what is left is asked, nor what the caller is told."""
    return _first(_deterministic(found), _believed_booked(found))


def nothing_left(found: Found) -> Problem | None:
    """Booked and whole, or failed and released: either is right."""
    return booked(found) if found.status == "completed" else released(found)


def emailed(found: Found) -> Problem | None:
    """The customer of a trip that stands got an email: after the payment, and waited for."""
    calls = found.calls_of(EMAIL)
    if not calls:
        return Problem("email forgotten", "the trip stands, and nobody told the customer")
    paid = [call.ended for call in found.calls_of(PAYMENT) if call.outcome == "completed"]
    if not paid or paid[0] is None or calls[0].began < paid[0]:
        return Problem("email too early", "the email went out before the payment was through")
    return None


def rejection_asked_once(found: Found) -> Problem | None:
    """Whoever said no was not asked again."""
    rejected = [step for step in found.history.steps if step.failure == "Rejected"]
    for step in rejected:
        times = sum(each.attempts for each in found.steps(step.activity))
        if times > 1:
            return Problem(
                "rejection retried", f"{step.activity} was rejected and tried {times} times"
            )
    return None


def within(minutes: float, mistake: str) -> Judge:
    """The customer is told how it ended in that time."""

    def judge(found: Found) -> Problem | None:
        took = found.history.seconds
        if found.status == "stuck" or took <= minutes * 60:
            return None
        return Problem(mistake, f"the customer was told after {in_words(took)}")

    return judge


def answered_in_time(step: str) -> Judge:
    """A provider that takes its time is listened to."""

    def judge(found: Found) -> Problem | None:
        timed_out = [call for call in found.calls_of(step) if call.outcome == "timed out"]
        if timed_out or any(each.attempts > 1 for each in found.steps(step)):
            return Problem("too hasty", f"{step} needs two seconds, and was given up before")
        return None

    return judge


def one_after_the_other(found: Found) -> Problem | None:
    """Each undo was over before the next one began."""
    undos = [call for call in found.calls if call.role == "undo"]
    for earlier, later in pairwise(undos):
        if earlier.ended is None or earlier.ended > later.began:
            return Problem(
                "not awaited", f"{later.activity} began before {earlier.activity} was done"
            )
    return None


def never_given_up(undo: str) -> Judge:
    """Its provider does not come back, and the Workflow goes on all the same."""

    def judge(found: Found) -> Problem | None:
        if found.status == "stuck":
            return None
        tries = len(found.steps(undo))
        return Problem("gave up", f"the Workflow {found.status} after {tries} calls of {undo}")

    return judge


def others_first(stuck: str) -> Judge:
    """While the undo ``stuck`` was failing, the other undos went on."""

    def judge(found: Found) -> Problem | None:
        done = _completed_at(found, stuck)
        for other in found.undo_of.values():
            freed = _completed_at(found, other)
            if other != stuck and freed is not None and done is not None and freed > done:
                return Problem("blocked", f"{other} had to wait until {stuck} succeeded")
        return None

    return judge


def at_once(*activities: str) -> Judge:
    """These Activities were scheduled before any of them had come back."""

    def judge(found: Found) -> Problem | None:
        began = [step.scheduled for name in activities for step in found.steps(name)]
        ended = [step.closed for name in activities for step in found.steps(name) if step.closed]
        if began and ended and max(began) > min(ended):
            return Problem("not parallel", "the next booking began when the one before had ended")
        return None

    return judge


def retried_blip(step: str) -> Judge:
    """The trip stands although one attempt of ``step`` failed."""

    def judge(found: Found) -> Problem | None:
        if found.status == "failed":
            return Problem("blip not retried", f"one failed attempt of {step} ended the trip")
        return None

    return judge


def unattempted(found: Found) -> bool:
    """Whether the blank of the exercise is still blank."""
    own = found.failure_type == "NotImplementedError"
    own = own or any(said.failure == "NotImplementedError" for said in found.said)
    return own or (found.task_failed and "NotImplementedError(" in found.failure.message)


# --- what may be wrong ----------------------------------------------------------


def _first(*problems: Iterator[Problem]) -> Problem | None:
    return next((problem for group in problems for problem in group), None)


def _sound(found: Found) -> Iterator[Problem]:
    yield from _deterministic(found)
    if found.endless:
        yield Problem("never ended", "its code runs on and on, and lets nothing else happen")
    elif found.task_failed:
        mistake, why = "bug", f"{found.failure_type}: {found.failure.message}"
        if "'coroutine' object" in found.failure.message:
            mistake, why = "not awaited", f"{why}; a call was never awaited"
        yield Problem(mistake, why)
    elif misused := _misused(found):
        yield misused
    elif found.status == "stuck":
        waiting = [step for step in found.history.steps if step.outcome == RUNNING]
        names = ", ".join(sorted({step.activity for step in waiting})) or "nothing that we can see"
        yield Problem("never ended", f"the trip did not come to an end; it waits for {names}")
    yield from _stored_first(found)


def _misused(found: Found) -> Problem | None:
    """Python's own word for a message that the Activity cannot read; no provider says that."""
    for step in found.history.steps:
        if step.failure in WRONG_ARGUMENT:
            why = f"{step.failure}: {step.message}"
            return Problem("bug", f"{step.activity} cannot use what it was given. {why}")
    return None


def _deterministic(found: Found) -> Iterator[Problem]:
    if found.failure_type == "RestrictedWorkflowAccessError":
        what = found.failure.message.split(" from inside")[0].replace(".__call__", "")
        yield Problem("not deterministic", f"the sandbox stopped the Workflow: {what}")
    elif found.chance:
        yield Problem(
            "not deterministic", f"it asked {found.chance}, which answers otherwise in a replay"
        )
    elif found.replay:
        yield Problem("not deterministic", "a replay of the Event History decides otherwise")


def _stored_first(found: Found) -> Iterator[Problem]:
    """Before any provider is called, the request is written down."""
    others = [call for call in found.calls if call.activity != STORE and call.role != "other"]
    if not others:
        return
    stored = [call for call in found.calls_of(STORE) if call.outcome == "completed"]
    first = others[0].activity
    if not stored:
        yield Problem("not stored", f"{first} was called, and nobody wrote the trip down")
    elif stored[0].ended is not None and stored[0].ended > others[0].began:
        yield Problem("not stored", f"{first} was called before the request was stored")


def _not_booked(found: Found) -> Iterator[Problem]:
    if found.status == "completed":
        return
    undone = bool(found.history.compensations)
    if found.blamed == EMAIL and (undone or found.findings):
        how = "undid a paid trip" if undone else "failed a paid trip"
        yield Problem("email compensated", f"the missing email {how}")
    elif undone:
        yield Problem("undone after success", f"{found.history.compensations[0]} ran")
    else:
        yield Problem("incomplete", f"the Workflow {found.status}: {found.history.reason}")


def _undone(found: Found) -> Iterator[Problem]:
    if found.history.compensations:
        undo = found.history.compensations[0]
        email = found.step(EMAIL)
        mistake = "undone after success"
        if email is not None and email.outcome != "completed":
            mistake = "email compensated"
        yield Problem(mistake, f"{undo} ran although the trip was to stand")


def _unwhole(found: Found) -> Iterator[Problem]:
    if found.findings and found.never_awaited:
        called = f"{found.never_awaited[0]}(…) was called and never awaited"
        yield Problem("not awaited", f"{found.findings[0].problem}; {called}")
    elif found.findings:
        yield Problem("incomplete", found.findings[0].problem)


def _dropped(found: Found) -> Iterator[Problem]:
    if found.never_awaited and found.findings:
        yield Problem(
            "not awaited",
            f"{_held(found, found.findings[0])}; {found.never_awaited[0]}(…) was called and "
            "never awaited, so nothing happened",
        )


def _needless(found: Found) -> Iterator[Problem]:
    for step, undo in found.undo_of.items():
        if found.steps(undo) and not found.steps(step):
            yield Problem("everything", f"{undo} ran, but {step} never did")


def _order(found: Found) -> Iterator[Problem]:
    """Newest first. Steps under way together, or on branches of their own, have no order."""
    begun = {
        undo: (found.steps(step)[0], found.steps(undo)[0])
        for step, undo in found.undo_of.items()
        if found.steps(step) and found.steps(undo)
    }
    for older, (step, undo) in begun.items():
        for newer, (later_step, later_undo) in begun.items():
            one_after_the_other = step.closed is not None and step.closed <= later_step.scheduled
            if frozenset((step.activity, later_step.activity)) in found.trial.beside:
                continue
            if one_after_the_other and _place(found, undo) < _place(found, later_undo):
                yield Problem("wrong order", f"{older} ran before {newer}")


def _place(found: Found, step: Step) -> int:
    return next(index for index, other in enumerate(found.history.steps) if other is step)


def _left(found: Found) -> Iterator[Problem]:
    for finding in sorted(found.findings, key=lambda finding: _rank(finding)):
        step_name = THINGS[finding.kind][0] if finding.kind in THINGS else PAYMENT
        mistake, why = _why_left(found, step_name)
        yield Problem(mistake, f"{_held(found, finding)}: {why}")


def _rank(finding: Finding) -> int:
    return [*THINGS, "money"].index(finding.kind)


def _held(found: Found, finding: Finding) -> str:
    if finding.kind in THINGS:
        return f"{THINGS[finding.kind][1]} still held"
    return f"${finding.amount_cents / 100:,.2f} kept"


def _why_left(found: Found, step_name: str) -> tuple[str, str]:
    """The mistake that leaves the outcome of this step behind, and the evidence."""
    undo_name = found.undo_of[step_name]
    undo, step = found.step(undo_name), found.step(step_name)
    if undo is not None and undo.outcome in ("failed", "timed out"):
        return "gave up", f"{undo_name} gave up while its provider was down"
    if undo is not None and undo.outcome != "completed":
        return _abandoned(found, undo_name)
    if undo is not None:
        if _siblings_were_open(found, step_name):
            return "siblings lost", f"{step_name} went on after {undo_name} had run"
        return "other", f"{undo_name} ran before {step_name} was done"
    return _never_undone(found, step_name, undo_name, step)


def _abandoned(found: Found, undo: str) -> tuple[str, str]:
    if found.history.cancel_requested:
        return "one shield", f"the Workflow closed while {undo} was running, after a cancel request"
    return "not awaited", f"the Workflow closed before {undo} was done; nobody waited for it"


def _never_undone(found: Found, name: str, undo: str, step: Step | None) -> tuple[str, str]:
    never = f"{undo} never ran"
    if step is None:
        return "other", never
    begun = [call.activity for call in found.calls if call.role == "undo"]
    left = [call.activity for call in found.calls if call.role == "undo" and call.ended is None]
    if left and left[-1] == begun[-1]:
        return _abandoned(found, left[-1])
    if any(_step_failed(found, other) for other in found.history.compensations):
        failed = next(o for o in found.history.compensations if _step_failed(found, o))
        return "gave up", f"{failed} failed, and {never}"
    if _siblings_were_open(found, name):
        return "siblings lost", f"{name} was still under way when another step failed, and {never}"
    canceled = bool(found.history.cancel_requested)
    if canceled and not found.history.compensations:
        return "cancel missed", f"the cancel request ended the Workflow, and {never}"
    if canceled and step.outcome == "completed" and _cut_off(found, step):
        return "one shield", f"a cancel request ended the compensation, and {never}"
    if step.outcome != "completed":
        how = {"failed": "failed after committing", "timed out": "timed out after committing"}
        ended = how.get(step.outcome, "was done although the Workflow stopped waiting for it")
        mistake = "registered late"
        if name == PAYMENT and found.history.compensations:
            mistake = "refund forgotten"
        return mistake, f"{name} {ended}, and {never}"
    return ("refund forgotten" if name == PAYMENT else "undo forgotten"), never


def _cut_off(found: Found, step: Step) -> bool:
    """Whether a request came while it undid, and before it got to this step or an older one."""
    begun = min(found.steps(undo)[0].scheduled for undo in found.history.compensations)
    if max(found.history.cancel_requested) < begun:
        return False
    return not any(
        other.closed is not None
        and other.closed <= step.scheduled
        and _completed_at(found, found.undo_of[other.activity]) is not None
        for other in found.history.steps
        if other.activity in found.undo_of
    )


def _step_failed(found: Found, undo: str) -> bool:
    step = found.step(undo)
    return step is not None and step.outcome in ("failed", "timed out")


def _siblings_were_open(found: Found, name: str) -> bool:
    """Whether this step was still under way when another one failed for good."""
    step = found.steps(name)[0]
    for other in found.history.steps:
        failed = other.role == "step" and other.outcome in ("failed", "timed out")
        if other is step or not failed or other.closed is None:
            continue
        if step.scheduled < other.closed and (step.closed is None or step.closed > other.closed):
            return True
    return False


def _believed_booked(found: Found) -> Iterator[Problem]:
    if found.status == "completed":
        canceled = bool(found.history.cancel_requested)
        mistake = "cancel swallowed" if canceled else "error swallowed"
        undone = found.history.compensations
        fact = "it was undone" if undone else "nothing was undone"
        yield Problem(mistake, f"{fact}, and the Workflow says completed")


def _masked(found: Found) -> Iterator[Problem]:
    """The failure names the step that failed first, or one that failed beside it."""
    if found.blamed in found.undo_of.values():
        yield Problem("cause hidden", f"the caller is told that {found.blamed} failed")
        return
    failed = [call for call in found.calls if call.role == "step" and _has_failed(call)]
    if not failed or found.status != "failed" or found.history.cancel_requested:
        return
    first = min(failed, key=lambda call: call.ended or 0)
    beside = {call.activity for call in failed if call.began <= (first.ended or 0)}
    if not beside & set(found.chain):
        yield Problem(
            "cause hidden",
            f"{first.activity} failed, and the caller is told: {found.history.reason}",
        )


def _has_failed(call: Call) -> bool:
    return call.outcome in ("failed", "timed out")


def _before_it_was_back(found: Found) -> Iterator[Problem]:
    """A step is undone when it has come back, or the Workflow asked it to stop."""
    for step, undo in found.undo_of.items():
        for call in found.calls_of(step):
            undone = [each for each in found.calls_of(undo) if each.began > call.began]
            if undone and (call.ended is None or call.ended > undone[0].began):
                yield Problem("siblings lost", f"{undo} began while {step} was still under way")


def _twice(found: Found) -> Iterator[Problem]:
    """What had succeeded was asked for again; keys make that harmless, not right."""
    for name in dict.fromkeys(call.activity for call in found.calls):
        if name == RECORD:  # the first one stands
            continue
        calls = found.calls_of(name)
        done = [call for call in calls if call.outcome == "completed"]
        if done and len(calls) > 1 and any(_again(done[0], other) for other in calls):
            mistake = "undone twice" if calls[0].role == "undo" else "done twice"
            yield Problem(mistake, f"{name} had succeeded, and was called again")


def _again(done: Call, other: Call) -> bool:
    """Whether the other call was needless: after one that succeeded, or at the same time."""
    return other is not done and (other.ended is None or other.ended > done.began)


def _under_way(found: Found) -> Iterator[Problem]:
    """Nothing is left to itself when the Workflow closes."""
    for call in found.calls:
        if call.outcome != RUNNING or found.status == "stuck":
            continue
        how = f"the Workflow closed before {call.activity} was done"
        if call.role == "undo" and found.history.cancel_requested:
            yield Problem("one shield", how)
        elif call.role == "step" and found.status != "completed":
            yield Problem("siblings lost", how)
        else:
            yield Problem("not awaited", f"{how}; nobody waited for it")


def _completed_at(found: Found, undo: str) -> float | None:
    closed = [step.closed for step in found.steps(undo) if step.outcome == "completed"]
    return closed[-1] if closed else None
