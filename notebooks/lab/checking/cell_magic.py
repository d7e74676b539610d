"""``%%workflow NAME`` and ``%%activities NAME``: hand a cell to the exercise of that name.

``%%workflow`` without a name makes a module of the cell and no more.
"""

from __future__ import annotations

from typing import Any

from lab.checking.exercise import Exercise
from lab.checking.modules import CellProblem, load_answer


def register(exercises: dict[str, Exercise]) -> None:
    """Make both known to the notebook, if this runs in one."""
    try:
        from IPython import get_ipython
    except ImportError:
        return
    shell: Any = get_ipython()
    if shell is None:
        return

    def take(line: str, cell: str) -> None:
        name = line.strip()
        if not name:  # a Workflow that is no answer to anything, to be tried out
            take_any(cell)
            return
        if name not in exercises:
            print(f"There is no exercise {name!r}; expected one of {', '.join(sorted(exercises))}.")
            return
        exercises[name].cell = cell
        try:
            defined = exercises[name].defined(cell)
        except CellProblem as problem:
            print(problem)
        else:
            shell.user_ns.update({one.__name__: one for one in defined})

    def take_any(cell: str) -> None:
        try:
            defined = load_answer("workflow", cell).design
        except CellProblem as problem:
            print(problem)
        else:
            shell.user_ns[defined.__name__] = defined

    for magic in ("workflow", "activities"):
        shell.register_magic_function(take, magic_kind="cell", magic_name=magic)
