"""Parse the code of others."""

from __future__ import annotations

import ast


def parsed(source: str) -> ast.Module:
    """As ``ast.parse``, whatever Python cleans up meanwhile.

    What it throws away may print a traceback, and to mark a place in it Python 3.11 parses
    too: it then says of the outer one that its recursion depth does not match.
    """
    try:
        return ast.parse(source)
    except SystemError:
        return ast.parse(source)
