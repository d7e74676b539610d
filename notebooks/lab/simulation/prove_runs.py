"""A saga run once, and what is to be seen of it afterwards.

Nothing is asked of its text: what was scheduled stands in the Event Histories, what was
carried out is counted by an interceptor, what is held the caller's ``left_behind`` says.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from temporalio import activity
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import FailureError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from .choices import Arrival, Choices, Decision, Drawn, Fate, Fault, Fixed, Odds, Schedule, Site
from .code import Code
from .errors import NeverYields, NotDeterministic
from .simulation import Simulation

OPEN = "open"
MAX_STEPS = 4_000
"""Enough to see an undo given up after a day of attempts, or after a thousand of them."""

WORKFLOW_ID = "proof"


@dataclass
class Op:
    """One Activity that was scheduled; ``call`` numbers those of its type, from 1.

    ``outcome`` is ``"completed"``, ``"failed"``, ``"timed out"``, ``"canceled"`` or
    ``OPEN``. ``carried_out`` is how often it was really done, ``last_done`` a number that
    grows with everything that is done. Moments are those of the simulation.
    """

    activity: str
    call: int
    arguments: bytes
    scheduled: int
    outcome: str = OPEN
    closed: int = 0
    carried_out: int = 0
    last_done: int = -1
    changed_the_world: bool = False

    @property
    def failed(self) -> bool:
        """It ended, and not well."""
        return self.outcome in ("failed", "timed out")


@dataclass(frozen=True)
class Ran:
    """What came of a run.

    ``stands`` says whether the caller was told that all is done; ``blamed`` are the
    Activities that the failure names, ``reason`` its innermost words. ``held`` is what
    ``left_behind`` said in the end, ``not_deterministic`` and ``bug`` what the engine did.
    """

    schedule: Schedule
    status: str
    stands: bool
    ops: Sequence[Op]
    held: Any
    moments: int
    cancels: int = 0
    blamed: Sequence[str] = ()
    reason: str = ""
    not_deterministic: str = ""
    bug: str = ""
    reason_to_wait: str = ""
    began: Mapping[Site, int] = field(default_factory=dict)
    next_flags: bool = False

    @property
    def sites(self) -> list[tuple[str, int]]:
        """The calls of its Activities."""
        return [(op.activity, op.call) for op in self.ops]

    def first_moment_of(self, activities: Collection[str]) -> int:
        """When the first attempt at one of them began."""
        moments = [m for site, m in self.began.items() if site.activity in activities]
        return min(moments, default=1)

    def difference(self, wanted: Any) -> str:
        """What is held and should not be, or the other way round, in words."""
        if _is_collection(self.held) and _is_collection(wanted):
            left = _without(self.held, wanted)
            missing = _without(wanted, self.held)
            parts = [f"left behind: {_listed(left)}"] if left else []
            parts += [f"missing: {_listed(missing)}"] if missing else []
            if parts:
                return ", ".join(parts)
        return f"left behind: {self.held!r}, expected {wanted!r}"


@dataclass
class Subject:
    """What is to be proven, and how to run it once."""

    workflows: Sequence[type]
    argument: Any
    activities: Any
    left_behind: Callable[..., Any]
    world: Any = None
    messages: Sequence[Arrival] = ()
    stands: Callable[[Any], bool] = lambda result: True
    outage: Callable[[str], BaseException] | None = None
    rejection: Callable[[str], BaseException] | None = None
    interceptors: Sequence[Interceptor] = ()
    auxiliary: frozenset[str] | None = None
    odds: Odds = field(default_factory=Odds)
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._factory = self.world if callable(self.world) else None
        self._kept = None if self._factory or self.world is None else self.world.snapshot()
        self._per_world = callable(self.activities) and not _is_activity(self.activities)
        self._asks = _positional(self.left_behind)
        self._log = _Log()
        self._codes: dict[bool, Code] = {}
        self._known: dict[tuple[Schedule, bool], Ran] = {}

    def run(self, schedule: Schedule, *, watch: bool = False, next_flags: bool = False) -> Ran:
        """What comes of a schedule; known ones are not run again.

        ``watch`` looks at the world before and after each Activity. ``next_flags`` runs with
        the SDK's logic flags that it does not use yet.
        """
        key = (schedule, next_flags)
        if watch or key not in self._known:
            self._known[key] = self._run(Fixed(schedule), schedule, watch, next_flags)
        return self._known[key]

    def by_chance(self, seed: int, undos: Collection[str] = (), *, next_flags: bool = False) -> Ran:
        """What comes of a seed."""
        return self._run(_FairlyDrawn(seed, self.odds, undos), None, False, next_flags)

    def held_before(self) -> Any:
        """What is held when nobody has done anything."""
        return self._held(self._fresh(), "failed")

    # --- one run -----------------------------------------------------------------------

    def _run(
        self, choices: Choices, schedule: Schedule | None, watch: bool, next_flags: bool
    ) -> Ran:
        world = self._fresh()
        self._log.begin((lambda: self._held(world, "failed")) if watch else None)
        simulation = Simulation(
            self._code_for(world, next_flags),
            choices,
            outage=self.outage,
            rejection=self.rejection,
            max_steps=MAX_STEPS,
        )
        arguments = self.argument if isinstance(self.argument, tuple) else (self.argument,)
        handle = simulation.start(self.workflows[0], *arguments, id=WORKFLOW_ID)
        complaint = bug = ""
        try:
            self._run_out(simulation)
            simulation.verify()
        except NotDeterministic as error:
            complaint = str(error)
        except NeverYields as error:
            bug = str(error)
        if schedule is None:
            schedule = simulation.schedule
        ran = self._read(simulation, handle, world, schedule, complaint, bug)
        try:
            simulation.close()
        except NeverYields as error:
            bug = str(error)
        return replace(ran, next_flags=next_flags, bug=ran.bug or bug)

    def _run_out(self, simulation: Simulation) -> None:
        """To the end; whoever is to send something does so when nothing else happens."""
        waiting = list(self.messages)
        simulation.run()
        while waiting and simulation.started[0].status == "running" and not simulation.exhausted:
            simulation.arrival(waiting.pop(0))
            simulation.run()

    def _read(
        self,
        simulation: Simulation,
        handle: Any,
        world: Any,
        schedule: Schedule,
        complaint: str,
        bug: str,
    ) -> Ran:
        run = handle.last
        status = OPEN if run.status == "running" else run.status
        if status == OPEN and not bug and (error := handle.task_error) is not None:
            bug = f"{_kind_of(error)}: {error}"
        stands = status == "completed" and self.stands(_result(simulation, run))
        failure = run.failure if status == "failed" else None
        ops = _ops(simulation, self._log)
        return Ran(
            schedule=schedule,
            status=status,
            stands=stands,
            ops=ops,
            held=self._held(world, "completed" if stands else "failed"),
            moments=simulation.moment,
            cancels=simulation.faults.get("cancel", 0),
            blamed=_blamed(failure),
            reason=_innermost(failure),
            not_deterministic=complaint or _nondeterminism(simulation),
            bug=bug,
            reason_to_wait=_what_it_waits_for(simulation, ops) if status == OPEN else "",
            began={site: moment for moment, site in simulation.sites},
        )

    # --- the world -----------------------------------------------------------------------

    def _fresh(self) -> Any:
        if self._factory is not None:
            return self._factory()
        if self.world is not None:
            self.world.restore(self._kept)
        return self.world

    def _held(self, world: Any, told: str) -> Any:
        wanted = [world, told] if self._factory is not None else [told]
        held = self.left_behind(*wanted[: self._asks])
        return sorted(held, key=repr) if isinstance(held, (set, frozenset)) else copied(held)

    def _code_for(self, world: Any, next_flags: bool) -> Code:
        if self._per_world:
            return self._made(self.activities(world), next_flags)
        if next_flags not in self._codes:
            self._codes[next_flags] = self._made(self.activities, next_flags)
        return self._codes[next_flags]

    def _made(self, activities: Any, next_flags: bool) -> Code:
        several = activities if isinstance(activities, (list, tuple)) else [activities]
        return Code(
            self.workflows,
            several,
            interceptors=[self._log, *self.interceptors],
            next_flags=next_flags,
            **self.options,
        )


class _FairlyDrawn(Drawn):
    def __init__(self, seed: int, odds: Odds, undos: Collection[str]) -> None:
        super().__init__(seed, odds)
        self._undos = undos

    def fate(self, site: Site) -> Fate:
        fate = super().fate(site)
        if not self.decisions or fair(self.decisions[-1:], self._undos):
            return fate
        self.decisions[-1] = replace(self.decisions[-1], fate=Fate.OUTAGE.value)  # type: ignore[type-var]
        return Fate.OUTAGE


def fair(schedule: Iterable[Decision], undos: Collection[str]) -> bool:
    """Whether nobody says that nothing was done who has perhaps done it, and no undo is refused.

    What to do about a refused undo only a person knows: it is no loss that any code prevents.
    """
    return not any(
        isinstance(decision, Fault)
        and decision.fate == Fate.REJECTED.value
        and (decision.attempt > 1 or decision.call > 1 or decision.activity in undos)
        for decision in schedule
    )


def _is_activity(thing: Any) -> bool:
    return hasattr(thing, "__temporal_activity_definition")


def _positional(function: Callable[..., Any]) -> int:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return sum(p.kind in kinds and p.default is p.empty for p in parameters)


# --- what was done ---------------------------------------------------------------------------


class _Log(Interceptor):
    """Counts what was carried out, by the Activity's id in its Workflow."""

    def __init__(self) -> None:
        self.begin(None)

    def begin(self, held: Callable[[], Any] | None) -> None:
        """Forget the run before; ``held`` tells what is held, where that is to be watched."""
        self.done: dict[tuple[str, str], list[int]] = {}
        self.changed: set[tuple[str, str]] = set()
        self._numbers = itertools.count()
        self._look = held

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Logged(next, self)

    def note(self, key: tuple[str, str], before: Any) -> None:
        """It was carried out."""
        self.done.setdefault(key, []).append(next(self._numbers))
        self.compare(key, before)

    def compare(self, key: tuple[str, str], before: Any) -> None:
        """Note whether it changed what is held; one that fails may have done so too."""
        if self._look is not None and self._look() != before:
            self.changed.add(key)

    def look(self) -> Any:
        """What is held now."""
        return self._look() if self._look is not None else None


class _Logged(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, log: _Log) -> None:
        super().__init__(next)
        self._log = log

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        key, before = (info.workflow_run_id or "", info.activity_id), self._log.look()
        try:
            result = await self.next.execute_activity(input)
        except BaseException:
            self._log.compare(key, before)
            raise
        self._log.note(key, before)
        return result


_ENDS = {
    "activity_task_completed": "completed",
    "activity_task_failed": "failed",
    "activity_task_timed_out": "timed out",
    "activity_task_canceled": "canceled",
}


def _ops(simulation: Simulation, log: _Log) -> list[Op]:
    """The Activities of all Workflows, in the order in which they were scheduled."""
    found: list[tuple[int, Op]] = []
    calls: dict[tuple[str, str], int] = {}
    for runs in simulation.runs.values():
        for run in runs:
            found += _ops_of(run, log, calls)
    found.sort(key=lambda pair: pair[0])
    return [op for _when, op in found]


def _ops_of(run: Any, log: _Log, calls: dict[tuple[str, str], int]) -> list[tuple[int, Op]]:
    ops: dict[int, Op] = {}
    for number, (name, now, attributes, _metadata) in enumerate(run.events.records, start=1):
        if name == "activity_task_scheduled":
            kind = attributes["activity_type"]["name"]
            calls[run.id, kind] = calls.get((run.id, kind), 0) + 1
            key = (run.run_id, attributes["activity_id"])
            done = log.done.get(key, [])
            payloads = attributes.get("input")
            ops[number] = Op(
                kind,
                calls[run.id, kind],
                payloads.SerializeToString(deterministic=True) if payloads is not None else b"",
                now,
                carried_out=len(done),
                last_done=done[-1] if done else -1,
                changed_the_world=key in log.changed,
            )
        elif name == "activity_task_cancel_requested":
            op = ops[attributes["scheduled_event_id"]]
            op.outcome, op.closed = "canceled", now
        elif name in _ENDS and ops[attributes["scheduled_event_id"]].outcome == OPEN:
            op = ops[attributes["scheduled_event_id"]]
            op.outcome, op.closed = _ENDS[name], now
    return [(op.scheduled, op) for op in ops.values()]


# --- how it ended ------------------------------------------------------------------------------


def _result(simulation: Simulation, run: Any) -> Any:
    return simulation.value(run.result) if run.result is not None else None


def _blamed(failure: Failure | None) -> list[str]:
    """The Activities that a failure names, from the outside in."""
    names = []
    while failure is not None:
        if failure.HasField("activity_failure_info"):
            names.append(failure.activity_failure_info.activity_type.name)
        failure = failure.cause if failure.HasField("cause") else None
    return names


def _innermost(failure: Failure | None) -> str:
    while failure is not None and failure.HasField("cause"):
        failure = failure.cause
    return " ".join(failure.message.split()) if failure is not None else ""


def _kind_of(error: BaseException) -> str:
    kind = getattr(error, "type", None) if isinstance(error, FailureError) else None
    return str(kind) if kind else type(error).__name__


def _nondeterminism(simulation: Simulation) -> str:
    for runs in simulation.runs.values():
        failure = runs[-1].task_failure
        if failure is not None and "Nondeterminism" in failure.message:
            return str(failure.message)
    return ""


def _what_it_waits_for(simulation: Simulation, ops: Sequence[Op]) -> str:
    """An Activity that is tried again and again, or time: what is still going on."""
    if not simulation.exhausted:
        return ""
    return ", ".join(dict.fromkeys(op.activity for op in ops if op.outcome == OPEN)) or "a timer"


# --- comparing -----------------------------------------------------------------------------------


def copied(held: Any) -> Any:
    """As it is now: the world goes on."""
    if isinstance(held, Mapping):
        return {key: copied(value) for key, value in held.items()}
    if isinstance(held, (list, tuple)):
        return [copied(value) for value in held]
    if isinstance(held, (set, frozenset)):
        return sorted(held, key=repr)
    return list(held) if inspect.isgenerator(held) else held


def _is_collection(held: Any) -> bool:
    return isinstance(held, (list, dict))


def _without(some: Any, others: Any) -> list[Any]:
    """Entries of the one that the other lacks, as often as it lacks them."""
    mine = [f"{k}: {v}" for k, v in some.items()] if isinstance(some, dict) else list(some)
    theirs = [f"{k}: {v}" for k, v in others.items()] if isinstance(others, dict) else list(others)
    for entry in theirs:
        if entry in mine:
            mine.remove(entry)
    return mine


def _listed(entries: Sequence[Any]) -> str:
    texts = [str(entry) for entry in entries]
    return ", ".join(texts[:4]) + (f" and {len(texts) - 4} more" if len(texts) > 4 else "")
