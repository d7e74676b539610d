"""Put any saga through everything that can go wrong, and say what it loses.

    proof = prove(
        OrderWorkflow,
        [reserve_stock, release_stock, charge_card, refund_card, tell_customer],
        argument=Order("A-1"),
        left_behind=lambda: [*stock.reserved, *cards.charged],
        world=shop,
    )
    assert proof.holds, str(proof)

It finds the steps and their undos by itself. The idea of such a kit is that of ``steno``'s
(an error at every node, every action and undo twice), the seeds are FoundationDB's, the
shrinking is Hypothesis's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from temporalio.exceptions import ApplicationError
from temporalio.worker import Interceptor

from .choices import Arrival, Odds, Schedule
from .prove_judging import Chart, Loss, judge, simplest
from .prove_report import Line, Proof, Tally
from .prove_runs import OPEN, Ran, Subject, fair
from .prove_suite import WHAT, chart, trials
from .shrink import shrink

CALM = "calm"


class CannotProve(ValueError):
    """What was given cannot be judged; the message says why."""


def prove(
    workflow: type | Sequence[type],
    activities: Any,
    *,
    argument: Any,
    left_behind: Callable[..., Any],
    world: Any = None,
    messages: Iterable[Arrival] = (),
    stands: Callable[[Any], bool] = lambda result: True,
    auxiliary: Collection[str] | None = None,
    rejection: Callable[[str], BaseException] | str = "Rejected",
    outage: Callable[[str], BaseException] | None = None,
    seed: int = 1,
    random: int = 300,
    odds: Odds | None = None,
    interceptors: Sequence[Interceptor] = (),
    name: str = "",
    **options: Any,
) -> Proof:
    """Run a saga through every fault at every step and in every undo, and judge each run.

    Args:
        workflow: The Workflow class; or several, the first of which is started and the
            others are its children.
        activities: Functions or bound methods with ``@activity.defn``, or objects that have
            such methods; where ``world`` is made anew for each run, a function of it.
        argument: What the Workflow is started with; a tuple for more than one.
        left_behind: What is held, as a list, dict, number or text that can be compared.
            Where the saga stands it must hold what a calm run holds, else what was held
            before. If it takes an argument, that is the outcome (``"completed"`` or
            ``"failed"``) and it says what is wrong: nothing, if all is well. Where
            ``world`` is made anew for each run, the world comes first.
        world: An object with ``snapshot()`` and ``restore(kept)``, each in a millisecond at
            most; or a function that makes a new one for each run.
        messages: Signals and Updates that somebody sends whenever the Workflow waits and
            nothing else happens, in this order: ``Update(0, name="approve", args=(True,))``.
        stands: Whether the Workflow's result says that all is done; for a saga that
            answers a failure instead of raising it.
        auxiliary: Steps whose failure undoes nothing, a message to the customer for
            example. By default those after the last one that changes what is held.
        rejection: Type of the ``ApplicationError`` by which the other side says no for good,
            or a function of the Activity's name that makes such an error.
        outage: A function of the Activity's name that makes the error of no connection.
        seed, random: How many schedules are drawn by chance, from which seed on.
        odds: How often what goes wrong in these.
        interceptors: As for a Worker.
        name: How the row of the scoreboard is called.
        options: As for ``Code``: a runner, a data converter, failure exception types.

    Raises ``CannotProve`` if a calm run does not come to its end or does nothing.
    """
    workflows = [workflow] if isinstance(workflow, type) else list(workflow)
    subject = Subject(
        workflows,
        argument,
        activities,
        left_behind,
        world,
        messages=tuple(messages),
        stands=stands,
        outage=outage,
        rejection=_rejecting(rejection) if isinstance(rejection, str) else rejection,
        interceptors=interceptors,
        auxiliary=None if auxiliary is None else frozenset(auxiliary),
        odds=odds or Odds(),
        options=options,
    )
    begun = time.perf_counter()
    calm = _must_be_calm(subject)
    broken = bool(calm.bug or calm.not_deterministic)
    known = Chart((), (), frozenset(), {}, calm, calm.held) if broken else chart(subject)
    found = [(CALM, known.calm, judge(known.calm, known))]
    if not broken:
        found += [
            (trial.kind, ran, judge(ran, known))
            for trial in trials(subject, known, seed, random)
            for ran in [trial.run(subject, known)]
        ]
    losses = [
        replace(loss, schedule=ran.schedule, next_flags=ran.next_flags)
        for _kind, ran, loss in found
        if loss is not None
    ]
    return Proof(
        name or workflows[0].__name__,
        known,
        [_line(kind, found) for kind in dict.fromkeys(kind for kind, *_ in found)],
        _shrunk(subject, known, losses),
        seed,
        time.perf_counter() - begun,
    )


def _rejecting(kind: str) -> Callable[[str], BaseException]:
    def reject(activity: str) -> BaseException:
        return ApplicationError(f"{activity}: rejected.", type=kind, non_retryable=True)

    return reject


def _must_be_calm(subject: Subject) -> Ran:
    calm = subject.run(Schedule())
    if calm.bug or calm.not_deterministic:
        return calm
    if not calm.stands:
        how = "is open and waits" if calm.status == OPEN else f"{calm.status} ({calm.reason})"
        raise CannotProve(
            f"With nothing going wrong the Workflow {how}; expected it to complete. "
            "If somebody has to send it something, say so in messages."
        )
    if not calm.ops:
        raise CannotProve("The Workflow completed without an Activity; expected at least one step.")
    return calm


def _line(kind: str, found: Sequence[tuple[str, Ran, Loss | None]]) -> Line:
    own = [loss for its_kind, _ran, loss in found if its_kind == kind]
    lost = [loss for loss in own if loss is not None]
    tried, should = WHAT.get(kind, ("nothing goes wrong", "all of it is done"))
    return Line(kind, tried, should, Tally(len(lost), len(own)), simplest(lost))


def _shrunk(subject: Subject, known: Chart, losses: Sequence[Loss]) -> list[Loss]:
    """One for each mistake and place, with a schedule of which nothing can be left out."""
    shortest = [_shrink(subject, known, loss) for loss in simplest(losses)]
    return sorted(simplest(shortest), key=lambda loss: len(loss.schedule))


def _shrink(subject: Subject, known: Chart, loss: Loss) -> Loss:
    """The same mistake with as few decisions as it takes."""

    def again(schedule: Schedule) -> Loss | None:
        if not fair(schedule, known.undos):
            return None
        found = judge(subject.run(schedule, next_flags=loss.next_flags), known)
        return found if found is not None and found.mistake == loss.mistake else None

    if again(loss.schedule) is None:  # the seed drew what a schedule cannot say
        return loss
    small = shrink(loss.schedule, lambda schedule: again(schedule) is not None)
    found = again(small)
    assert found is not None, "what shrink returns still fails"
    return replace(found, schedule=small, next_flags=loss.next_flags)


__all__ = ["CALM", "CannotProve", "Proof", "prove"]
