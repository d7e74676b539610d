"""An exercise: a task, the trials that an answer has to survive, hints and a solution."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.checking import record
from lab.checking.elsewhere import depends_on_the_process
from lab.checking.judging import unattempted
from lab.checking.mistakes import MISTAKES
from lab.checking.modules import PRELUDE, Answer, CellProblem, load_answer
from lab.checking.real import FOR_REAL, book_for_real
from lab.checking.report_card import Line, ReportCard
from lab.checking.scripts import run_script
from lab.checking.trials import Found, Problem, Trial, run_trials
from lab.simulation import NeverYields

UNATTEMPTED = "not attempted yet. Write your part, run the cell, then run the check again."
LADDER = ("the idea", "where it stands", "the shape of the line")


@dataclass(eq=False)
class Exercise:
    """What the learner meets: ``check()``, ``hint()`` and ``solution()``.

    ``hints`` are the idea, the place in the text and the shape of the line; ``shapes`` has
    other shapes for single mistakes. ``solution_code`` is one correct answer, ``why`` two
    sentences on it.
    """

    name: str
    title: str
    hints: tuple[str, str, str]
    solution_code: str
    why: str
    skeleton: str = ""
    shapes: Mapping[str, str] = field(default_factory=dict)
    cell: str | None = field(default=None, repr=False)
    last: ReportCard | None = field(default=None, repr=False)
    _rung: int = field(default=0, repr=False)

    async def check(self, answer: Any = None) -> ReportCard:
        """Try the answer and show what was found."""
        try:
            card = await self.judge(answer)
        except CellProblem as problem:
            card = ReportCard(self.title, note=f"the cell cannot be used. {problem}")
        if self.last is None or card.mistakes != self.last.mistakes:
            self._rung = 0
        self.last = card
        if card.passed:
            record.remember(self.name)
        return card

    def forget(self) -> None:
        """Forget the answer and its report card."""
        self.cell = self.last = None
        self._rung = 0

    def load(self, cell: str) -> Any:
        """What a cell of this exercise defines; ``CellProblem`` if it cannot be used."""
        raise CellProblem("This exercise needs no such cell.")

    def defined(self, cell: str) -> list[Any]:
        """All that such a cell makes known to the notebook."""
        return [self.load(cell)]

    async def judge(self, answer: Any) -> ReportCard:
        """What the kinds of exercise do differently."""
        raise NotImplementedError

    def hint(self) -> None:
        """Print the next of three hints; the first names the mistake, if there was one."""
        mistake = next(iter(self.last.mistakes), "") if self.last else ""
        if self.last and self.last.passed:
            print("Your answer holds; there is nothing to hint at.")
            return
        if mistake and self._rung == 0:
            first = self.last.problems[0] if self.last else None
            print(f"{MISTAKES[mistake].pitfall} ({first.tried if first else ''})")
        print(f"Hint {self._rung + 1} of 3, {LADDER[self._rung]}: {self._hint(mistake)}")
        self._rung = min(self._rung + 1, 2)

    def solution(self) -> None:
        """Print one correct answer, and why it is one."""
        print(self.solution_code.strip(), "", self.why, sep="\n")

    def _hint(self, mistake: str) -> str:
        if self._rung == 0 and mistake and mistake != "other":
            return MISTAKES[mistake].idea
        if self._rung == 2 and mistake in self.shapes:
            return self.shapes[mistake]
        return self.hints[self._rung]


@dataclass(eq=False)
class CellExercise(Exercise):
    """The answer is what stands in a cell of its own, ``%%workflow`` or ``%%activities``."""

    async def judge(self, answer: Any = None) -> ReportCard:
        """Judge the cell that was run last."""
        if self.cell is None:
            return ReportCard(self.title, note=UNATTEMPTED)
        return await self.judge_cell(self.cell)

    async def judge_cell(self, cell: str) -> ReportCard:
        """The report card of an answer's text."""
        raise NotImplementedError


@dataclass(eq=False)
class WorkflowExercise(CellExercise):
    """The answer is a Workflow in a ``%%workflow`` cell; it is put through ``trials``."""

    trials: Sequence[Trial] = ()
    prelude: str = PRELUDE

    def load(self, cell: str) -> Any:
        """The Workflow class in the cell."""
        return load_answer(self.name, cell, self.prelude).design

    async def judge_cell(self, cell: str) -> ReportCard:
        """The report card of an answer's text."""
        loaded = self.read(cell)
        found = await self.try_out(loaded)
        if any(unattempted(one) for each in found for one in each):
            return ReportCard(self.title, note=UNATTEMPTED)
        lines = [*(await self.further_lines(loaded)), *(judged(each) for each in found)]
        simulated = sum(len(each) for each in found)
        if not any(line.problem for line in lines):
            lines += await asyncio.to_thread(self._elsewhere, loaded)
        if any(line.problem for line in lines):
            return ReportCard(self.title, lines, simulated=simulated)
        lines.append(Line(*FOR_REAL, await self.book_for_real(loaded)))
        return ReportCard(self.title, lines, simulated=simulated, real=1)

    def _elsewhere(self, loaded: Answer) -> list[Line]:
        """Only a problem is told: nothing is asked of most answers."""
        scenarios = [trial.scenario for trial in self.trials if not trial.scenario.cancels]
        if not depends_on_the_process(loaded.workflows_in_order, scenarios):
            return []
        found = "another process, with another hash seed, goes another way"
        problem = Problem("not deterministic", found)
        return [Line("replayed in another process", "the same again", problem)]

    def read(self, cell: str) -> Answer:
        """The cell as a module."""
        return load_answer(self.name, cell, self.prelude)

    async def try_out(self, loaded: Answer) -> list[list[Found]]:
        """What is found after all trials."""
        return await run_trials(loaded.design, self.trials, workflows=loaded.workflows)

    async def further_lines(self, loaded: Answer) -> list[Line]:
        """What else is looked at."""
        return []

    async def book_for_real(self, loaded: Answer) -> Problem | None:
        """The last word is the server's."""
        return await book_for_real(loaded.workflows_in_order)


def judged(found: Sequence[Found]) -> Line:
    """The line of the report card for one trial and its variants."""
    trial = found[0].trial
    for one in found:
        problem = next(filter(None, (judge(one) for judge in one.trial.judges)), None)
        if problem is not None:
            if one.trial.name != trial.name:
                problem = Problem(problem.mistake, f"{one.trial.name}: {problem.found}")
            return Line(trial.name, trial.should, problem)
    return Line(trial.name, trial.should)


@dataclass(eq=False)
class ScriptExercise(Exercise):
    """The answer is a plain function of an agency and a request; see ``scripts``."""

    trials: Sequence[Trial] = ()

    async def judge(self, answer: Any = None) -> ReportCard:
        """Call the function once for each trial."""
        if not callable(answer):
            return ReportCard(self.title, note=UNATTEMPTED)
        try:
            found = await run_script(answer, self.trials)
        except NotImplementedError:
            return ReportCard(self.title, note=UNATTEMPTED)
        return ReportCard(self.title, [judged([one]) for one in found])


@dataclass(eq=False)
class ValueExercise(Exercise):
    """The answer is a value or a plain function; ``judge_value`` compares it with a real run."""

    judge_value: Callable[[Any], Awaitable[list[Line]]] | None = None

    async def judge(self, answer: Any = None) -> ReportCard:
        """Hand the answer to ``judge_value``; None or a blank means not attempted."""
        if answer is None or answer is ... or self.judge_value is None:
            return ReportCard(self.title, note=UNATTEMPTED)
        try:
            return ReportCard(self.title, await self.judge_value(answer))
        except NotImplementedError:
            return ReportCard(self.title, note=UNATTEMPTED)
        except Exception as error:
            mistake = "never ended" if isinstance(error, NeverYields) else "bug"
            problem = Problem(mistake, f"{type(error).__name__}: {error}")
            return ReportCard(self.title, [Line("your answer", "it can be judged", problem)])
