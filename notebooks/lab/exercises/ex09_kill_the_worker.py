"""Notebook 09: a long Activity whose Worker dies, again and again."""

from __future__ import annotations

import asyncio
import importlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from temporalio.converter import DataConverter
from temporalio.testing import ActivityEnvironment

from lab.checking.exercise import UNATTEMPTED, CellExercise
from lab.checking.modules import CellProblem, load_module
from lab.checking.report_card import Line, ReportCard
from lab.checking.trials import Problem
from lab.simulation import NeverYields
from lab.simulation.guard import guarded

PRELUDE = """\
import asyncio

from temporalio import activity
"""

HEAD = """
class Letters:
    def __init__(self, post) -> None:
        self.post = post  # post.send(key, guest) sends one letter for each key

    @activity.defn
    def write_to_all(self, mailing: str, guests: list[str]) -> None:
"""

SKELETON = (
    HEAD
    + """        for guest in guests:
            raise NotImplementedError("send, report, and go on where the last attempt was")
"""
)

SOLUTION = (
    HEAD
    + """        reported = activity.info().heartbeat_details
        done = reported[0] if reported else 0
        for guest in guests[done:]:
            self.post.send(f"{mailing}/{guest}", guest)
            done += 1
            activity.heartbeat(done)
"""
)

GUESTS = tuple(f"GUEST-{number}" for number in range(1, 9))
MAILING = "the hotel closes"
SECONDS_A_LETTER = 3
HEARTBEAT_SECONDS = 10
UNREPORTED = HEARTBEAT_SECONDS // SECONDS_A_LETTER
MAX_ATTEMPTS = 30
LIMIT_SECONDS = 2.0


class _Killed(BaseException):
    """The process is gone; whatever still runs in it reaches nobody."""


@dataclass(frozen=True)
class Death:
    """An attempt dies at its letter number ``at``, before it is sent or after.

    Of its reports the last ``lost`` never reach the server. ``attempts`` of them die like that.
    """

    at: int
    sent: bool = True
    lost: int = 0
    attempts: int = 1


@dataclass
class Post:
    """The company that sends letters: one for each key. It outlives every Worker."""

    letters: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[int, str, str]] = field(default_factory=list)

    def of(self, guest: str) -> int:
        """How many letters this guest got."""
        return Counter(self.letters.values())[guest]


class _Process:
    """One Worker process: one attempt, which ``death`` may end."""

    def __init__(self, post: Post, attempt: int, death: Death | None) -> None:
        self._post, self._attempt, self._death = post, attempt, death
        self.sent = self.now = self.silent_for = self._last_sign = 0
        self.dead = False
        self.reports: list[tuple[Any, ...]] = []

    def send(self, key: str, guest: str) -> None:
        """Send a letter; a key that was used before sends none."""
        self._die_if(self.dead)
        self.sent += 1
        last = self._death is not None and self.sent == self._death.at
        self._die_if(last and self._death is not None and not self._death.sent)
        self._post.asked.append((self._attempt, key, guest))
        self._post.letters.setdefault(key, guest)
        self.now += SECONDS_A_LETTER
        self.silent_for = max(self.silent_for, self.now - self._last_sign)
        self._die_if(last)

    def heartbeat(self, *details: Any) -> None:
        """What the Activity reports."""
        if not self.dead:
            self._last_sign = self.now
            self.reports.append(_on_the_wire(details))

    def _die_if(self, fatal: bool) -> None:
        if fatal:
            self.dead = True
            raise _Killed


@dataclass
class Outcome:
    """What came of one mailing, attempt by attempt."""

    post: Post
    processes: list[_Process] = field(default_factory=list)
    ended: bool = False


def run_mailing(
    desk: Callable[[], Any], death: Death | None, post: Post, mailing: str = MAILING
) -> Outcome:
    """Try until an attempt lives to its end, as the server would."""
    outcome, reported = Outcome(post), ()
    while not outcome.ended and len(outcome.processes) < MAX_ATTEMPTS:
        number = len(outcome.processes) + 1
        dies = death if death is not None and number <= death.attempts else None
        process = _Process(post, number, dies)
        outcome.processes.append(process)
        outcome.ended = _attempt(desk, process, number, reported, mailing)
        arrived = process.reports[: len(process.reports) - (dies.lost if dies else 0)]
        reported = arrived[-1] if arrived else reported
    return outcome


def _attempt(
    desk: Callable[[], Any], process: _Process, number: int, reported: Any, mailing: str
) -> bool:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=number, heartbeat_details=reported)
    environment.on_heartbeat = process.heartbeat
    activity = desk()(process).write_to_all

    def run() -> None:
        told = environment.run(activity, mailing, list(GUESTS))
        if asyncio.iscoroutine(told):
            asyncio.run(told)

    with suppress(_Killed):
        guarded(run, "Your Activity", limit=LIMIT_SECONDS)
    return not process.dead


def _on_the_wire(details: tuple[Any, ...]) -> tuple[Any, ...]:
    """As the next attempt reads it."""
    converter = DataConverter.default.payload_converter
    return tuple(converter.from_payloads(converter.to_payloads(details)))


# --- judging -----------------------------------------------------------------------------


def lines_of(desk: Callable[[], Any]) -> Iterator[Line]:
    """What holds, and what does not."""
    yield Line("nobody dies", ONE_EACH, _calm(desk))
    yield Line("how long the server hears nothing", IN_TIME, _silent(desk))
    for tried, deaths in DEATHS.items():
        yield Line(tried, ONE_EACH, next(filter(None, (_letters(desk, d) for d in deaths)), None))
    yield Line("the attempt after a death", "goes on where the last one was", _again(desk))
    yield Line("each attempt dies at its fourth letter", "all the same it ends", _for_ever(desk))
    yield Line("another mailing to the same guests", "a letter of each", _second(desk))


ONE_EACH = "one letter for each guest"
IN_TIME = f"at most {HEARTBEAT_SECONDS} seconds"
_EACH = range(1, len(GUESTS) + 1)
DEATHS = {
    "a death before a letter is sent": [Death(at, sent=False) for at in _EACH],
    "a death after a letter was sent": [Death(at) for at in _EACH],
    "the last reports do not arrive": [Death(at, lost=lost) for at in _EACH for lost in (1, 2)],
    "two deaths in a row": [Death(2, sent, 0, 2) for sent in (True, False)],
}


def _calm(desk: Callable[[], Any]) -> Problem | None:
    post = run_mailing(desk, None, Post()).post
    return _missing(post) or _double(post, "done twice")


def _letters(desk: Callable[[], Any], death: Death) -> Problem | None:
    outcome = run_mailing(desk, death, Post())
    when = f"a death at letter {death.at}"
    missing = next((guest for guest in GUESTS if not outcome.post.of(guest)), None)
    if missing and outcome.ended:
        return Problem("reported early", f"{when}: {missing} got no letter")
    return _double(outcome.post, "another key", f"{when}: ")


def _missing(post: Post) -> Problem | None:
    for guest in GUESTS:
        if post.of(guest):
            continue
        if any(to == guest for _attempt, _key, to in post.asked):
            return Problem("one key", f"{guest} got no letter: its key was another letter's")
        return Problem("incomplete", f"{guest} got no letter")
    return None


def _double(post: Post, mistake: str, when: str = "") -> Problem | None:
    for guest in GUESTS:
        if (letters := post.of(guest)) > 1:
            return Problem(mistake, f"{when}{guest} got {letters} letters")
    return None


def _silent(desk: Callable[[], Any]) -> Problem | None:
    process = run_mailing(desk, None, Post()).processes[0]
    if process.silent_for > HEARTBEAT_SECONDS:
        return Problem("no sign of life", f"it sent letters for {process.silent_for} seconds")
    return None


def _again(desk: Callable[[], Any]) -> Problem | None:
    for at in _EACH:
        processes = run_mailing(desk, Death(at), Post()).processes
        # What nobody had reported yet is asked for again.
        if len(processes) > 1 and processes[1].sent > len(GUESTS) - at + UNREPORTED:
            asked = f"{processes[1].sent} of {len(GUESTS)} letters were asked for again"
            return Problem("from the beginning", f"a death at letter {at}: {asked}")
    return None


def _for_ever(desk: Callable[[], Any]) -> Problem | None:
    outcome = run_mailing(desk, Death(4, attempts=MAX_ATTEMPTS), Post())
    if outcome.ended:
        return None
    got = sum(bool(outcome.post.of(guest)) for guest in GUESTS)
    found = f"after {MAX_ATTEMPTS} attempts {got} of {len(GUESTS)} guests have a letter"
    return Problem("from the beginning", found)


def _second(desk: Callable[[], Any]) -> Problem | None:
    post = run_mailing(desk, None, Post()).post
    run_mailing(desk, None, post, "it opens again")
    for guest in GUESTS:
        if post.of(guest) != 2:
            return Problem("one key", f"{guest} got {post.of(guest)} of 2 letters")
    return None


@dataclass(eq=False)
class ActivityExercise(CellExercise):
    """The answer is a class with an Activity, in a ``%%activities`` cell."""

    async def judge_cell(self, cell: str) -> ReportCard:
        """The report card of an answer's text."""
        return await asyncio.to_thread(self._judge, cell)

    def load(self, cell: str) -> Any:
        """The class in the cell."""
        return _desk_of(load_module(self.name, cell, PRELUDE))

    def _judge(self, cell: str) -> ReportCard:
        self.load(cell)
        module = load_module(self.name, cell, PRELUDE)
        lines: list[Line] = []
        try:
            # Each attempt runs in a process that knows nothing of the one before.
            for line in lines_of(lambda: _desk_of(importlib.reload(module))):
                lines.append(line)
        except NotImplementedError:
            return ReportCard(self.title, note=UNATTEMPTED)
        except NeverYields as error:
            lines.append(
                Line("your Activity", "it comes to an end", Problem("never ended", str(error)))
            )
        except Exception as error:
            problem = Problem("bug", f"{type(error).__name__}: {error}")
            lines.append(Line("your Activity", "it runs", problem))
        return ReportCard(self.title, lines)


def _desk_of(module: Any) -> Any:
    desk = getattr(module, "Letters", None)
    if not hasattr(getattr(desk, "write_to_all", None), "__temporal_activity_definition"):
        raise CellProblem("The cell needs a class Letters with an Activity write_to_all.")
    return desk


still_alive = ActivityExercise(
    name="still_alive",
    title="Still alive",
    skeleton=SKELETON,
    hints=(
        "What does the server know of an attempt that died? And which letter does nobody know of?",
        "Read again what a heartbeat carries, under 'Who notices a crash?', and what the key did "
        "for the hotel.",
        "activity.info().heartbeat_details  is what the last attempt reported, empty in the first;"
        "  activity.heartbeat(...)  after each letter",
    ),
    shapes={
        "no sign of life": "activity.heartbeat(...)  in the loop",
        "reported early": "first self.post.send(...), then activity.heartbeat(...)",
        "another key": "a key made of mailing and guest, and of nothing else",
        "one key": "a key made of mailing and guest",
    },
    solution_code=SOLUTION,
    why="The report comes after the letter, so a death between the two makes the next attempt send "
    "it again and never skip it; the key makes that harmless. What was reported is kept on the "
    "server, so the next process goes on from there.",
)
