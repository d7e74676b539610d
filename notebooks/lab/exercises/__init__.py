"""The exercises, a file a notebook: ``exercises.undo_in_reverse.check()``.

Importing this makes ``%%workflow`` known to the notebook.
"""

from __future__ import annotations

from lab.checking.cell_magic import register
from lab.checking.exercise import Exercise
from lab.exercises.ex03_the_saga import undo_in_reverse

ALL: dict[str, Exercise] = {exercise.name: exercise for exercise in (undo_in_reverse,)}

register(ALL)

__all__ = ["undo_in_reverse"]
