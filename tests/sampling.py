"""Some of a test's cases in every run, the rest with ``pytest --all``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def few(cases: Iterable[Any], number: int = 1) -> list[Any]:
    """The first ``number`` cases as they are, the others marked ``everything``.

    For cases that differ in a word and cost seconds each. Put those first that differ most.
    """
    found = list(cases)
    rest = [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.everything)
        for case in found[number:]
    ]
    return [*found[:number], *rest]
