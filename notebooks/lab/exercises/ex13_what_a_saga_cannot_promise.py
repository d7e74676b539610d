"""Notebook 13: which tool for which situation; a saga is only one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lab.checking.exercise import ValueExercise
from lab.checking.report_card import Line
from lab.checking.trials import Problem
from lab.simulation.guard import guarded

TOOLS = {
    "transaction": "a transaction needs one database that holds all of it",
    "outbox": "an outbox sees that a message goes out if, and only if, a row was committed",
    "two-phase commit": "two-phase commit needs participants that hold their locks for you until "
    "you decide, and wait if you die before you have",
    "saga": "a saga needs an undo for each step, and lets others see the states in between",
    "choreography": "with choreography nobody knows how far the whole is, and nobody undoes it",
    "retry": "retrying alone is enough where a step cannot be refused and need not be undone",
}
"""Each tool, and what it costs or asks for."""


@dataclass(frozen=True)
class Situation:
    """What is to be done, the tool that fits, and what to look at if another was named."""

    tool: str
    look_at: str


SITUATIONS = {
    "move money between two accounts of one bank's database": Situation(
        "transaction", "both accounts are in one database"
    ),
    "store an order, and tell the warehouse about it by a message": Situation(
        "outbox", "a row and a message; the message must not go out for a row that was rolled back"
    ),
    "book flight, hotel and car of three companies, all or none": Situation(
        "saga", "three strangers, none of whom holds locks for you, and each offers to cancel"
    ),
    "change two databases of your own for some milliseconds; nobody may see half of it": Situation(
        "two-phase commit", "both databases are yours, and no state in between may be seen"
    ),
    "six teams react to 'the customer has moved', each in its own time": Situation(
        "choreography", "nobody needs to know when all have reacted, and nothing is undone"
    ),
    "send the invoice for a trip that is paid": Situation(
        "retry", "it comes after the pivot: nobody refuses an invoice, and nobody takes it back"
    ),
}

SOLUTION = "chosen = {\n" + "".join(
    f"    {name!r}: {situation.tool!r},\n" for name, situation in SITUATIONS.items()
)

Choice = Mapping[str, str] | Callable[[str], str]


async def judge(chosen: Choice) -> list[Line]:
    """A line for each situation; a wrong choice is answered by what it asks for."""
    said = {name: _said(chosen, name) for name in SITUATIONS}
    if all(answer is None for answer in said.values()):
        raise NotImplementedError
    return [_line(name, said[name]) for name in SITUATIONS]


def _said(chosen: Any, name: str) -> str | None:
    if callable(chosen):
        answer = guarded(lambda: chosen(name), "Your function", limit=2.0)
    elif isinstance(chosen, Mapping):
        answer = chosen.get(name)
    else:
        raise TypeError(f"expected a dict of situations and tools, not {chosen!r:.60}")
    return None if answer is None or answer is ... else _spelled(str(answer))


def _spelled(answer: str) -> str:
    """As in ``TOOLS``: who writes ``Two_phase commit`` means the same."""
    return answer.strip().lower().replace("_", " ").replace("two phase", "two-phase")


def _line(name: str, said: str | None) -> Line:
    situation, should = SITUATIONS[name], "the tool that fits"
    if said == situation.tool:
        return Line(name, should)
    if said not in TOOLS:
        expected = f"expected one of {', '.join(TOOLS)}"
        problem = f"you named {said!r}; {expected}" if said else f"no choice; {expected}"
    else:
        problem = f"{TOOLS[said]}; and here {situation.look_at}"
    return Line(name, should, Problem("prediction", problem))


which_tool = ValueExercise(
    name="which_tool",
    title="Which tool?",
    judge_value=judge,
    hints=(
        "Ask three things: who owns the data, who may see it half done, and can it be undone?",
        "Look at the table of tools in this notebook: its second column.",
        '"some situation": "one of the six words"',
    ),
    solution_code=SOLUTION + "}",
    why="A saga is for steps that belong to different owners and can be undone. Whoever owns all "
    "the data has something simpler.",
)
