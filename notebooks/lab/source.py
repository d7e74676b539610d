"""Show the code of ``travel`` in a cell, whole or as what differs between two designs."""

from __future__ import annotations

import difflib
import inspect
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from types import ModuleType
from typing import Any

CONTEXT = 3
"""Lines shown around a change."""

TONES = {"+": "rgba(0,158,115,.18)", "-": "rgba(213,94,0,.18)", " ": "transparent"}


@dataclass(frozen=True)
class Source:
    """A piece of Python, as it stands in its file."""

    name: str
    text: str

    def __repr__(self) -> str:
        """The file's name and the code."""
        return f"# {self.name}\n{self.text}"

    def _repr_markdown_(self) -> str:
        # The page's own highlighting fits its own colours, light or dark.
        return f"`{self.name}`\n\n```python\n{self.text}\n```"


@dataclass(frozen=True)
class Diff:
    """What to take out (``-``) of one piece of code and to put in (``+``) to get another."""

    before: str
    after: str
    lines: Sequence[str]

    def __repr__(self) -> str:
        """A unified diff."""
        return "\n".join([f"--- {self.before}", f"+++ {self.after}", *self.lines])

    def _repr_html_(self) -> str:
        head = (
            f'<div style="background:{TONES["-"]};">--- {escape(self.before)}</div>'
            f'<div style="background:{TONES["+"]};">+++ {escape(self.after)}</div>'
        )
        body = "".join(_html_line(line) for line in self.lines)
        style = "line-height:1.35;background:transparent;white-space:pre;overflow-x:auto;"
        return f'<pre style="{style}">{head}{body}</pre>'


def show_source(thing: Any) -> Source:
    """The code of a class, a function or a module, without the imports above it."""
    return Source(_name(thing), _code(thing))


def show_diff(before: Any, after: Any) -> Diff:
    """What differs between the code of two classes or functions."""
    diff = difflib.unified_diff(
        _code(before).splitlines(), _code(after).splitlines(), n=CONTEXT, lineterm=""
    )
    lines = ["…" if line.startswith("@@") else line for line in list(diff)[2:]]
    return Diff(_name(before), _name(after), lines[1:] if lines[:1] == ["…"] else lines)


def _code(thing: Any) -> str:
    return textwrap.dedent(inspect.getsource(thing)).strip()


def _name(thing: Any) -> str:
    if isinstance(thing, ModuleType):
        return _file(thing.__name__)
    return f"{thing.__qualname__} in {_file(thing.__module__)}"


def _file(module: str) -> str:
    return module.replace(".", "/") + ".py"


def _html_line(line: str) -> str:
    tone = TONES.get(line[:1], "transparent")
    return f'<div style="background:{tone};">{escape(line) or " "}</div>'
