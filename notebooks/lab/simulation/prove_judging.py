"""What a saga lost in one run, and which mistake looks like that.

A mistake is named after what the saga did, never after its text: which undos it
scheduled, when, and what became of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .choices import Cancel, Fate, Fault, Schedule
from .prove_runs import OPEN, Op, Ran

LATE_UNDO = "undo registered after its step"
NO_UNDO = "a step without its undo"
NOTHING_UNDONE = "nothing is undone"
CANCEL_MISSED = "a cancel request ended the saga without its undos"
CANCEL_BROKE = "a cancel request ended the undoing"
GAVE_UP = "undo given up"
NOT_AWAITED = "undo not awaited"
MASKED = "first failure masked"
NOT_IDEMPOTENT = "not idempotent"
UNDONE_TWICE = "undone twice"
NO_TOMBSTONE = "a late step was done after its undo"
UNDO_INEFFECTIVE = "an undo that does not undo"
AUXILIARY = "auxiliary step compensates"
TOLD_DONE = "told done although it was undone"
HELD = "closed with something held"
NEVER_ENDED = "never ends"
BUG = "an error in the Workflow's own code"
NOT_DETERMINISTIC = "not deterministic"

MISTAKES = {
    LATE_UNDO: "Register an undo before its step begins: a lost reply must not lose the undo.",
    NO_UNDO: "Every step that takes something needs the one that gives it back.",
    NOTHING_UNDONE: "When a step fails for good, undo what was done before it.",
    CANCEL_MISSED: "A cancel request arrives as asyncio.CancelledError, which is no Exception.",
    CANCEL_BROKE: "Await the undoing to its end, however many cancel requests arrive meanwhile; "
    "one asyncio.shield is not enough.",
    GAVE_UP: "An undo whose provider is down is tried again, however long that takes.",
    NOT_AWAITED: "Await each undo: what a Workflow does not wait for ends with it.",
    MASKED: "Raise what failed first, whatever went wrong while undoing.",
    NOT_IDEMPOTENT: "The same step twice, under the same key, must be done once.",
    UNDONE_TWICE: "The same undo twice, under the same key, must undo once.",
    NO_TOMBSTONE: "An undo that comes first leaves a tombstone, and the late step is refused.",
    UNDO_INEFFECTIVE: "The undo ran, and its step still stands. Does it undo the right thing?",
    AUXILIARY: "Once the saga stands, a failing message to somebody undoes nothing.",
    TOLD_DONE: "Whoever is told that it is done must have all of it.",
    HELD: "The Workflow closed, and the world is not as it should be.",
    NEVER_ENDED: "Nothing more will happen, and the Workflow is still open.",
    BUG: "The Workflow Task fails again and again until the code is mended.",
    NOT_DETERMINISTIC: "Replayed from its own Event History it must ask for the same.",
}
"""The names of the mistakes, and what to do about each."""

ANYWHERE = {NOTHING_UNDONE, CANCEL_MISSED, CANCEL_BROKE, NOT_AWAITED, MASKED, NEVER_ENDED, BUG}
"""Mistakes of the whole saga: where it shows is chance, so it is told once."""


@dataclass(frozen=True)
class Loss:
    """Something that should hold and does not.

    ``schedule`` replays it, shrunk to what it takes; ``found`` is the evidence, and
    ``where`` the step or undo that it is about.
    """

    mistake: str
    found: str
    where: str = ""
    schedule: Schedule = field(default_factory=Schedule)
    next_flags: bool = False

    def __str__(self) -> str:
        return (
            f"{self.mistake} ({self.where}): {self.found}"
            if self.where
            else (f"{self.mistake}: {self.found}")
        )


@dataclass(frozen=True)
class Chart:
    """What is known of a saga before it is judged.

    ``steps`` are the Activities of a calm run in their order; ``undos`` those that only a
    failure brings about; ``auxiliary`` steps after which nothing is undone, because
    nothing that is held depends on them. ``undo_of`` tells which undo belongs to which
    step, as far as that could be found out. ``patient`` are calls that are tried for ever.
    """

    steps: tuple[str, ...]
    undos: tuple[str, ...]
    auxiliary: frozenset[str]
    undo_of: Mapping[str, str]
    calm: Ran
    before: object
    patient: frozenset[tuple[str, int]] = frozenset()


def judge(ran: Ran, chart: Chart) -> Loss | None:
    """The first thing that is wrong, without the schedule."""
    return next(_problems(ran, chart), None)


def _problems(ran: Ran, chart: Chart) -> Iterator[Loss]:
    if ran.not_deterministic:
        yield Loss(NOT_DETERMINISTIC, ran.not_deterministic)
    if ran.bug:
        yield Loss(BUG, ran.bug)
    if ran.status == OPEN:
        if not ran.reason_to_wait and not _down_for_good(ran, chart):
            yield Loss(NEVER_ENDED, "nothing more will happen, and the Workflow is open")
        return
    yield from _auxiliary(ran, chart)
    yield from _left(ran, chart)
    yield from _masked(ran, chart)


def _down_for_good(ran: Ran, chart: Chart) -> bool:
    """Whether an undo can never succeed. Then it is right to ask a person, and to wait."""
    return any(
        isinstance(decision, Fault)
        and decision.activity in chart.undos
        and not (decision.call or decision.attempts)
        for decision in ran.schedule
    )


def _auxiliary(ran: Ran, chart: Chart) -> Iterator[Loss]:
    """After the last step that matters the saga stands, whatever becomes of the others."""
    if ran.cancels and not ran.stands:
        yield from _canceled_afterwards(ran, chart)
    failed = [op for op in ran.ops if op.failed and op.activity in chart.steps]
    undone = [op for op in ran.ops if op.activity in chart.undos]
    if not failed or any(op.activity not in chart.auxiliary for op in failed) or ran.cancels:
        return
    names = ", ".join(dict.fromkeys(op.activity for op in failed))
    if undone:
        yield Loss(AUXILIARY, f"{names} failed, and {undone[0].activity} ran", names)
    elif not ran.stands:
        yield Loss(AUXILIARY, f"{names} failed, and the Workflow {ran.status}", names)


def _canceled_afterwards(ran: Ran, chart: Chart) -> Iterator[Loss]:
    first = next((op for op in ran.ops if op.activity in chart.auxiliary), None)
    undone = [op for op in ran.ops if op.activity in chart.undos]
    if first is not None and not undone:
        yield Loss(
            AUXILIARY,
            f"a cancel request came after the last step that matters, and the Workflow "
            f"{ran.status} with everything held",
            first.activity,
        )


def _left(ran: Ran, chart: Chart) -> Iterator[Loss]:
    wanted = chart.calm.held if ran.stands else chart.before
    if ran.held == wanted:
        return
    found = f"the Workflow {ran.status}, and {ran.difference(wanted)}"
    mistake, where, why = _why_left(ran, chart)
    yield Loss(mistake, f"{found}; {why}" if why else found, where)


def _why_left(ran: Ran, chart: Chart) -> tuple[str, str, str]:
    undos = [op for op in ran.ops if op.activity in chart.undos]
    if ran.stands:
        return _why_wrong_though_done(ran, chart, undos)
    for op in undos:
        if op.outcome == OPEN:
            if ran.cancels:
                why = f"a cancel request came while {op.activity} was under way"
                return CANCEL_BROKE, op.activity, why
            return NOT_AWAITED, op.activity, f"nobody waited for {op.activity}"
    given_up = _given_up(undos)
    if given_up and (given_up.failed or not ran.cancels):
        return GAVE_UP, given_up.activity, f"{given_up.activity} failed and was not tried again"
    missing = _missing(ran, chart, undos)
    if ran.cancels and missing:
        return _why_cancel_lost(undos, missing, chart)
    if missing:
        return _why_never_undone(ran, chart, missing, undos)
    return _why_undone_in_vain(ran, chart, undos)


def _why_wrong_though_done(ran: Ran, chart: Chart, undos: Sequence[Op]) -> tuple[str, str, str]:
    if undos:
        return TOLD_DONE, undos[0].activity, f"{undos[0].activity} ran"
    twice = [op for op in ran.ops if op.carried_out > 1 and op.activity in chart.steps]
    if twice:
        op = twice[0]
        return NOT_IDEMPOTENT, op.activity, f"{op.activity} was carried out {op.carried_out} times"
    failed = [op.activity for op in ran.ops if op.failed]
    if failed:
        return TOLD_DONE, failed[0], f"{failed[0]} had failed"
    return HELD, "", ""


def _given_up(undos: Sequence[Op]) -> Op | None:
    """An undo whose last call failed, or was stopped although nobody had asked for that."""
    last = {(op.activity, op.arguments): op for op in undos}
    return next((op for op in last.values() if op.failed or op.outcome == "canceled"), None)


def _missing(ran: Ran, chart: Chart, undos: Sequence[Op]) -> list[Op]:
    """Steps that were carried out and whose undo, as far as it is known, never ran."""
    ran_undos = {op.activity for op in undos}
    return [
        op
        for op in ran.ops
        if op.activity in chart.steps
        and op.carried_out
        and op.activity not in chart.auxiliary
        and chart.undo_of.get(op.activity, "") not in ran_undos
        and _takes_something(op, chart)
    ]


def _takes_something(op: Op, chart: Chart) -> bool:
    calm = [other for other in chart.calm.ops if other.activity == op.activity]
    return not calm or any(other.changed_the_world for other in calm)


def _why_cancel_lost(
    undos: Sequence[Op], missing: Sequence[Op], chart: Chart
) -> tuple[str, str, str]:
    """Undos go newest first: a missing one that is newer than those that ran was not known yet."""
    op = missing[-1]
    undo = chart.undo_of.get(op.activity, "")
    what = f"{undo or 'the undo of ' + op.activity} never ran"
    if not undo and chart.undos:
        return NO_UNDO, op.activity, what
    if not undos:
        late = len(missing) == 1 and undo and op.outcome != "completed"
        return (LATE_UNDO if late else CANCEL_MISSED), op.activity, what
    order = list(chart.undo_of.values())
    ran = [order.index(each.activity) for each in undos if each.activity in order]
    if ran and undo and order.index(undo) > max(ran):
        return LATE_UNDO, op.activity, what
    return CANCEL_BROKE, undos[-1].activity, f"after {undos[-1].activity}, {what}"


def _why_never_undone(
    ran: Ran, chart: Chart, missing: Sequence[Op], undos: Sequence[Op]
) -> tuple[str, str, str]:
    """Which of the missing ones is to be named: the one without a known undo, if there is one."""
    if not undos and not chart.undos:
        return NOTHING_UNDONE, missing[0].activity, "no undo ever ran"
    without = [op for op in missing if op.activity not in chart.undo_of]
    op = (without or list(missing))[0]
    if without:
        return NO_UNDO, op.activity, f"{op.activity} was done, and nothing undoes it"
    undo = chart.undo_of[op.activity]
    if op.outcome != "completed":
        how = "its reply was lost" if op.failed else f"it was {op.outcome}"
        return LATE_UNDO, op.activity, f"{op.activity} was done, {how}, and {undo} never ran"
    if not undos:
        return NOTHING_UNDONE, op.activity, f"{undo} never ran"
    return NO_UNDO, op.activity, f"{undo} never ran"


def _why_undone_in_vain(ran: Ran, chart: Chart, undos: Sequence[Op]) -> tuple[str, str, str]:
    step_of = {undo: step for step, undo in chart.undo_of.items()}
    for undo in undos:
        step = step_of.get(undo.activity)
        done = [op for op in ran.ops if op.activity == step and op.carried_out]
        late = [op for op in done if op.last_done > undo.last_done >= 0]
        if late and undo.carried_out:
            why = f"{step} was carried out after {undo.activity} had run"
            return NO_TOMBSTONE, str(step), why
    for undo in undos:
        if undo.carried_out > 1:
            times = f"{undo.activity} was carried out {undo.carried_out} times"
            return UNDONE_TWICE, undo.activity, times
    for op in ran.ops:
        if op.activity in chart.steps and op.carried_out > 1:
            times = f"{op.activity} was carried out {op.carried_out} times"
            return NOT_IDEMPOTENT, op.activity, times
    if unknown := _never_answered(ran, chart, undos):
        why = f"{unknown.activity} was {unknown.outcome}, and {chart.undo_of[unknown.activity]}"
        return LATE_UNDO, unknown.activity, f"{why} never ran"
    if undos:
        names = ", ".join(dict.fromkeys(op.activity for op in undos))
        return UNDO_INEFFECTIVE, undos[0].activity, f"{names} ran"
    return HELD, "", ""


def _never_answered(ran: Ran, chart: Chart, undos: Sequence[Op]) -> Op | None:
    """A step whose outcome nobody knows, and whose undo never ran.

    It may have been done although no attempt came to its end: by one that did it, and failed.
    """
    ran_undos = {op.activity for op in undos}
    silent = {
        decision.activity
        for decision in ran.schedule
        if isinstance(decision, Fault) and decision.fate != Fate.REJECTED.value
    }
    return next(
        (
            op
            for op in ran.ops
            if (op.outcome in ("canceled", "timed out") or (op.failed and op.activity in silent))
            and op.activity in chart.undo_of
            and chart.undo_of[op.activity] not in ran_undos
        ),
        None,
    )


def _masked(ran: Ran, chart: Chart) -> Iterator[Loss]:
    """Whoever asked is told what failed first, by the Activity that it happened in."""
    if ran.status != "failed" or ran.cancels:
        return
    failed = [op for op in ran.ops if op.failed and op.activity in chart.steps]
    if not failed:
        return
    first = min(failed, key=lambda op: op.closed)
    together = {op.activity for op in failed if op.scheduled <= first.closed}
    if not together & set(ran.blamed):
        told = ", ".join(ran.blamed) or ran.reason
        yield Loss(
            MASKED, f"{first.activity} failed, and the caller is told: {told}", first.activity
        )


def simplest(losses: Sequence[Loss]) -> list[Loss]:
    """One loss for each mistake and place: the one with the shortest schedule."""
    best: dict[tuple[str, str], Loss] = {}
    for loss in losses:
        place = "" if loss.mistake in ANYWHERE else loss.where
        kept = best.get((loss.mistake, place))
        if kept is None or _length(loss.schedule) < _length(kept.schedule):
            best[loss.mistake, place] = loss
    return list(best.values())


def _length(schedule: Schedule) -> int:
    """A cancel alone is simpler than a fault, a fault for ever simpler than many attempts."""
    kinds = {Fault: 3, Cancel: 2}
    return sum(kinds.get(type(decision), 4) for decision in schedule)
