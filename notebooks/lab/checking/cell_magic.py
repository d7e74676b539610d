"""``%%workflow NAME``: hand a cell's Workflow to the exercise of that name."""

from __future__ import annotations

from typing import Any

from lab.checking.exercise import Exercise
from lab.checking.modules import CellProblem, load_answer


def register(exercises: dict[str, Exercise]) -> None:
    """Make ``%%workflow`` known to the notebook, if this runs in one."""
    try:
        from IPython import get_ipython
    except ImportError:
        return
    shell: Any = get_ipython()
    if shell is None:
        return

    def workflow(line: str, cell: str) -> None:
        name = line.strip()
        if name not in exercises:
            print(f"There is no exercise {name!r}; expected one of {', '.join(sorted(exercises))}.")
            return
        exercises[name].cell = cell
        try:
            design = load_answer(name, cell, exercises[name].prelude).design
        except CellProblem as problem:
            print(problem)
        else:
            shell.user_ns[design.__name__] = design

    shell.register_magic_function(workflow, magic_kind="cell", magic_name="workflow")
