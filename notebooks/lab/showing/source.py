"""Show code in a cell: a class, a function, or what tells two of them apart."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Sequence
from typing import Any

NOQA = re.compile(r"\s*# noqa\b.*$")


class Source:
    """Lines of code. A page colours them by its own theme, light or dark."""

    def __init__(self, lines: Sequence[str], language: str = "python") -> None:
        self.lines = [line.rstrip() for line in lines]
        self.language = language

    def __repr__(self) -> str:
        """The code as it is."""
        return "\n".join(self.lines)

    def _repr_markdown_(self) -> str:
        return f"```{self.language}\n{self}\n```"


def show_source(*things: Any) -> Source:
    """The code of modules, classes or functions, below each other; a text is code already."""
    lines: list[str] = []
    for thing in things:
        lines += ["", "", *_lines(thing)] if lines else _lines(thing)
    return Source(lines)


def show_diff(before: Any, after: Any, *, around: int = 2) -> Source:
    """Only the lines that differ, with some ``around`` them: "-" before, "+" after."""
    diff = list(difflib.unified_diff(_lines(before), _lines(after), lineterm="", n=around))[2:]
    return Source([re.sub(r"^@@.*", "…", line) for line in diff][1:], "diff")


def _lines(thing: Any) -> list[str]:
    """Without what only a linter reads."""
    source = thing if isinstance(thing, str) else inspect.getsource(thing)
    return [NOQA.sub("", line) for line in inspect.cleandoc("\n" + source).splitlines()]
