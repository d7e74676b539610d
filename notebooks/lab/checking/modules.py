"""A cell becomes a module in ``notebooks/.exercises``, where the sandbox can load it.

A Workflow class of ``__main__`` cannot run in the sandbox. Each version of a cell gets
a file of its own, named after its content, so no cache can mistake one for another.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import os
import shutil
import sys
import tempfile
import traceback
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

from lab.checking.parsing import parsed

FOLDER = Path(__file__).resolve().parents[2] / ".exercises"

PRELUDE = """\
import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from travel.activities import Activities
    from travel.errors import InvalidInput
    from travel.models import Cancellation, ConfirmationEmail, PaymentRequest, TripRequest

from travel.saga import Saga, uninterrupted
from travel.workflows.calls import ATTEMPT_TIMEOUT, REJECTIONS, STEP_RETRIES
from travel.workflows.calls import UNDO_RETRIES, UNDO_TURN, call, call_once, call_undo
"""
"""What every exercise's cell may use without importing it."""


class CellProblem(Exception):
    """The cell cannot be used; the message says why, in one or two lines."""


@dataclass(frozen=True)
class Answer:
    """A learner's module, the Workflow in it that a trip is started with, and all it has."""

    module: ModuleType
    design: Any
    workflows: tuple[Any, ...] = ()

    @property
    def workflows_in_order(self) -> tuple[Any, ...]:
        """The one that is started first, then the others."""
        return (self.design, *(each for each in self.workflows if each is not self.design))


def load_answer(name: str, cell: str, prelude: str = PRELUDE) -> Answer:
    """Write the cell to a file, import it and find its Workflow; ``CellProblem`` if that fails."""
    module = load_module(name, cell, prelude)
    workflows = _workflows_of(module)
    return Answer(module, _main_of(module, workflows), workflows)


def load_module(name: str, cell: str, prelude: str = "") -> ModuleType:
    """Write the cell to a file and import it."""
    _check_syntax(cell)
    prelude, cell = _future_first(prelude, cell)
    source = f"{prelude}\n{cell}\n"
    module_name = f"{name}_{hashlib.sha256(source.encode()).hexdigest()[:10]}"
    path = Path(_kernel_folder().name, f"{module_name}.py")
    if module_name in sys.modules:
        return sys.modules[module_name]
    path.write_text(source, encoding="utf-8")
    importlib.invalidate_caches()
    try:
        return importlib.import_module(module_name)
    except Exception as error:
        raise CellProblem(_import_problem(error, str(path), prelude)) from None


def _check_syntax(cell: str) -> None:
    try:
        compile(cell, "cell", "exec")
    except SyntaxError as error:
        line = (error.text or "").strip()
        raise CellProblem(f"Line {error.lineno} is not Python ({error.msg}): {line}") from None


def _future_first(prelude: str, cell: str) -> tuple[str, str]:
    """Python wants ``from __future__ import …`` above everything else, our lines too."""
    lines, found = cell.splitlines(), []
    for node in parsed(cell).body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            found.append(ast.unparse(node))
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
    return ("\n".join([*found, prelude]), "\n".join(lines)) if found else (prelude, cell)


def _import_problem(error: Exception, path: str, prelude: str) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if path in frame[0]]
    line = f"Line {frames[-1].lineno - prelude.count(chr(10)) - 1}: " if frames else ""
    return f"{line}{type(error).__name__}: {error}"


def _workflows_of(module: ModuleType) -> tuple[Any, ...]:
    """The Workflow classes of the cell, without those that are only there to be inherited."""
    own = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and value.__module__ == module.__name__
        and "__temporal_workflow_definition" in vars(value)
    ]
    leaves = [one for one in own if not any(issubclass(o, one) and o is not one for o in own)]
    if not leaves:
        raise CellProblem("There is no class with @workflow.defn in the cell.")
    return tuple(dict.fromkeys(leaves))


def _main_of(module: ModuleType, workflows: tuple[Any, ...]) -> Any:
    """The one that nobody in the cell starts: the others are its children."""
    tree = parsed(inspect.getsource(module))
    started = {
        name
        for node in tree.body
        for name in _mentioned(node) - ({node.name} if isinstance(node, ast.ClassDef) else set())
    }
    tops = [one for one in workflows if not started & {one.__name__, _type_name(one)}]
    return (tops or workflows)[-1]


def _type_name(workflow: Any) -> str:
    return str(getattr(workflow, "__temporal_workflow_definition").name)


def _mentioned(node: ast.AST) -> set[str]:
    """Names and texts in a piece of code, but for those of base classes and decorators."""
    if isinstance(node, ast.ClassDef):
        return {name for inner in node.body for name in _mentioned(inner)}
    names = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    texts = (inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant))
    return names | {text for text in texts if isinstance(text, str)}


@cache
def _kernel_folder() -> tempfile.TemporaryDirectory[str]:
    """This process's folder, removed at its end; two kernels are not in each other's way."""
    FOLDER.mkdir(exist_ok=True)
    for left in FOLDER.glob("kernel-*"):  # by kernels that were killed
        if not psutil.pid_exists(int(left.name.split("-")[1])):
            shutil.rmtree(left, ignore_errors=True)
    folder = tempfile.TemporaryDirectory(
        prefix=f"kernel-{os.getpid()}-", dir=FOLDER, ignore_cleanup_errors=True
    )
    sys.path.insert(0, folder.name)
    return folder
