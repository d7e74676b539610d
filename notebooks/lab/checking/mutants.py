"""Break a Workflow on purpose, in the ways in which sagas are broken.

Each mutant differs from the original in one place. A good set of tests notices every one.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lab.checking.parsing import parsed

Edit = Callable[[ast.AST], None]


@dataclass(frozen=True)
class Mutant:
    """A broken copy: what was done to it, and its text."""

    change: str
    cell: str


def mutants(cell: str) -> list[Mutant]:
    """Every mutant of the cell that differs from it and from the others."""
    tree = parsed(cell)
    original = ast.unparse(tree)
    found: dict[str, Mutant] = {}
    for change, mutated in _all(tree):
        text = ast.unparse(ast.fix_missing_locations(mutated))
        if text != original:
            found.setdefault(text, Mutant(change, text))
    return list(found.values())


def _all(tree: ast.Module) -> Iterator[tuple[str, ast.Module]]:
    for path, node in enumerate(ast.walk(tree)):
        for change, edit in _edits(node):
            mutated = copy.deepcopy(tree)
            edit(list(ast.walk(mutated))[path])
            yield change, mutated


def _edits(node: ast.AST) -> Iterator[tuple[str, Edit]]:
    for name in ("body", "orelse", "finalbody"):
        body = getattr(node, name, None)
        if isinstance(body, list):
            yield from _edits_of_block(name, body)
    if isinstance(node, ast.Call):
        yield from _edits_of_call(node)


def _edits_of_block(name: str, body: list[ast.stmt]) -> Iterator[tuple[str, Edit]]:
    for index, statement in enumerate(body):
        text = _short(statement)
        if _registers(statement):
            yield f"dropped: {text}", _drop(name, index)
            if index + 1 < len(body) and _awaits(body[index + 1]):
                yield f"registered late: {text}", _swap(name, index)
        if _does_insurance(statement):
            yield f"dropped: {text}", _drop(name, index)
        if isinstance(statement, ast.Raise) and index == len(body) - 1:
            yield "error swallowed: return 0 instead of raise", _return_instead(name, index)


def _edits_of_call(call: ast.Call) -> Iterator[tuple[str, Edit]]:
    function = call.func
    if isinstance(function, ast.Name) and function.id == "reversed":
        yield f"forward order: no reversed in {_short(call)}", _not_reversed
    if isinstance(function, ast.Name) and function.id == "uninterrupted":
        yield "one bare shield instead of uninterrupted", _shield
    for keyword in call.keywords:
        if keyword.arg == "undo":
            yield f"no undo: {_short(call)}", _no_undo


def _registers(statement: ast.stmt) -> bool:
    """``undos.append(…)``, or a push on an exit stack."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    names = ("append", "insert", "push_async_callback", "extend")
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in names
    )


def _does_insurance(statement: ast.stmt) -> bool:
    simple = isinstance(statement, (ast.Expr, ast.Assign))
    return simple and _awaits(statement) and "insure_trip" in ast.unparse(statement)


def _awaits(statement: ast.stmt) -> bool:
    return any(isinstance(node, ast.Await) for node in ast.walk(statement))


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


# --- edits: each gets the node of a copy of the tree -----------------------------


def _drop(name: str, index: int) -> Edit:
    def edit(node: ast.AST) -> None:
        getattr(node, name)[index] = ast.Pass()

    return edit


def _swap(name: str, index: int) -> Edit:
    def edit(node: ast.AST) -> None:
        body = getattr(node, name)
        body[index], body[index + 1] = body[index + 1], body[index]

    return edit


def _return_instead(name: str, index: int) -> Edit:
    def edit(node: ast.AST) -> None:
        getattr(node, name)[index] = ast.Return(ast.Constant(0))

    return edit


def _not_reversed(node: ast.AST) -> None:
    assert isinstance(node, ast.Call)
    node.func = ast.Name("tuple", ast.Load())


def _shield(node: ast.AST) -> None:
    assert isinstance(node, ast.Call)
    node.func = ast.parse("asyncio.shield", mode="eval").body


def _no_undo(node: ast.AST) -> None:
    assert isinstance(node, ast.Call)
    for keyword in node.keywords:
        if keyword.arg == "undo":
            keyword.value = ast.parse("lambda: asyncio.sleep(0)", mode="eval").body
