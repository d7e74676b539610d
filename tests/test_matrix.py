"""Nothing is ever orphaned: every case of the matrix, judged by audit, Event History and status.

``python -m tests.matrix`` puts the flawed designs through all of it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest

from tests.matrix import (
    FLAWED,
    STEPS,
    TROUBLES,
    UNDO_OF,
    UNDO_TROUBLES,
    Case,
    Expected,
    all_cases,
    expected,
    load,
    run_cases,
)
from travel.workflows.book_in_parallel import BookInParallel
from travel.workflows.book_trip import BookTrip

pytestmark = [pytest.mark.everything, pytest.mark.timeout(600)]

ONE_AFTER_THE_OTHER = all_cases()
AT_ONCE = random.Random(20250120).sample(all_cases(parallel=True), 250)
FEW = 12
"""Cases of each kind of design that is known to lose."""


def check(design: Any, cases: Sequence[Case], parallel: bool = False) -> None:
    results = asyncio.run(run_cases(design, cases))
    problems = [p for result in results for p in result.problems(expected(result.case, parallel))]
    assert not problems, "\n".join(problems)


def test_nothing_is_orphaned() -> None:
    check(BookTrip, ONE_AFTER_THE_OTHER)


def test_nothing_is_orphaned_when_booked_at_once() -> None:
    check(BookInParallel, AT_ONCE, parallel=True)


@pytest.mark.parametrize(("module", "design"), [(m, d) for _, m, d in FLAWED])
def test_the_matrix_finds_what_a_flawed_design_loses(module: str, design: str) -> None:
    failing = [case for case in ONE_AFTER_THE_OTHER if expected(case).compensations]
    cases = random.Random(20250120).sample(failing, FEW)
    results = asyncio.run(run_cases(load(module, design), cases))
    assert any(result.lost for result in results)


# --- the matrix itself ------------------------------------------------------------


def test_the_matrix_leaves_nothing_out() -> None:
    assert len(ONE_AFTER_THE_OTHER) == len(set(ONE_AFTER_THE_OTHER)) > 500
    alone = {(case.step, case.trouble) for case in ONE_AFTER_THE_OTHER if not case.undo}
    assert alone == {(s, t) for s in STEPS for t in TROUBLES} - {(STEPS[-1], "rejection")}
    crossed = {(case.undo, case.undo_trouble) for case in ONE_AFTER_THE_OTHER if case.undo}
    assert crossed == {(undo, t) for undo in UNDO_OF.values() for t in UNDO_TROUBLES}


@pytest.mark.parametrize(
    ("case", "wanted"),
    [
        (Case("book_flight", "rejection"), Expected("failed")),
        (Case("book_hotel", "rejection"), Expected("failed", ("cancel_flight",))),
        (Case("book_hotel", "outage"), Expected("failed", ("cancel_hotel", "cancel_flight"))),
        (Case("book_car", "blip"), Expected("completed")),
        (
            Case("accept_payment", "rejection", "cancel_hotel", "outage"),
            Expected("failed", ("cancel_car", "cancel_hotel", "cancel_flight", "cancel_hotel")),
        ),
        (
            Case("accept_payment", "cancel at commit"),
            Expected("canceled", ("refund_payment", "cancel_car", "cancel_hotel", "cancel_flight")),
        ),
        (Case("send_confirmation_email", "outage"), Expected("completed")),
    ],
    ids=lambda value: str(value) if isinstance(value, Case) else "",
)
def test_what_is_expected_is_what_the_design_says(case: Case, wanted: Expected) -> None:
    assert expected(case) == wanted


def test_at_once_a_rejection_undoes_the_siblings() -> None:
    wanted = Expected("failed", ("cancel_car", "cancel_flight"))
    assert expected(Case("book_hotel", "rejection"), parallel=True) == wanted
