"""Nothing is ever orphaned: every case of the matrix, judged by audit, Event History and status.

All of it is simulated. A sample that covers every trouble at every step and in every
compensation is booked on a real server too, with no difference in any verdict; ``--all``
books the whole matrix. ``python -m tests.matrix`` puts the flawed designs through it.
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
    Result,
    all_cases,
    expected,
    load,
    run_cases,
    simulate_cases,
)
from tests.sampling import few
from travel.workflows.book_in_parallel import BookInParallel
from travel.workflows.book_trip import BookTrip

ONE_AFTER_THE_OTHER = all_cases()
AT_ONCE = all_cases(parallel=True)
FEW = 12
"""Cases of each kind of design that is known to lose."""


def covering(cases: Sequence[Case], number: int) -> list[Case]:
    """A sample with every trouble at every kind of step, and every trouble in every undo."""
    shuffled = random.Random(20250120).sample(cases, len(cases))
    wanted = {(case.trouble, "") for case in cases} | {
        (case.undo, case.undo_trouble) for case in cases if case.undo
    }
    chosen = []
    for case in shuffled:
        covers = {(case.trouble, ""), (case.undo, case.undo_trouble)} & wanted
        if covers or len(chosen) < number - len(wanted):
            chosen.append(case)
            wanted -= covers
    return chosen


def check(design: Any, cases: Sequence[Case], parallel: bool = False) -> None:
    results = simulate_cases(design, cases)
    problems = [p for result in results for p in result.problems(expected(result.case, parallel))]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("number", few([80, len(ONE_AFTER_THE_OTHER)]))
def test_nothing_is_orphaned(number: int) -> None:
    check(BookTrip, covering(ONE_AFTER_THE_OTHER, number))


@pytest.mark.parametrize("number", few([40, len(AT_ONCE)]))
def test_nothing_is_orphaned_when_booked_at_once(number: int) -> None:
    check(BookInParallel, covering(AT_ONCE, number), parallel=True)


# --- the simulator and the server ---------------------------------------------------


def told(results: Sequence[Result]) -> list[tuple[str, str, tuple[str, ...], list[str]]]:
    """Status, compensations and audit of each."""
    return [
        (
            str(result.case),
            result.verdict.status,
            tuple(result.verdict.compensations),
            sorted(f"{f.kind}: {f.problem}" for f in result.verdict.findings),
        )
        for result in results
    ]


def test_a_sample_is_the_same_on_a_server() -> None:
    cases = covering(ONE_AFTER_THE_OTHER, 24)
    assert {case.trouble for case in cases} == set(TROUBLES)
    assert told(simulate_cases(BookTrip, cases)) == told(asyncio.run(run_cases(BookTrip, cases)))


@pytest.mark.everything
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("design", "parallel"), [(BookTrip, False), (BookInParallel, True)])
def test_all_of_it_is_the_same_on_a_server(design: Any, parallel: bool) -> None:
    cases = all_cases(parallel)
    assert told(simulate_cases(design, cases)) == told(asyncio.run(run_cases(design, cases)))


@pytest.mark.everything
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("module", "design"), [each for each in FLAWED if each[1] != "SiblingsLost"]
)
def test_a_flawed_design_loses_the_same_on_a_server(module: str, design: str) -> None:
    """But for the one whose losses depend on which provider replies first."""
    cases, flawed = covering(ONE_AFTER_THE_OTHER, 40), load(module, design)
    assert told(simulate_cases(flawed, cases)) == told(asyncio.run(run_cases(flawed, cases)))


# --- flawed designs -------------------------------------------------------------------


@pytest.mark.parametrize(("module", "design"), FLAWED)
def test_the_matrix_finds_what_a_flawed_design_loses(module: str, design: str) -> None:
    failing = [case for case in ONE_AFTER_THE_OTHER if expected(case).compensations]
    cases = random.Random(20250120).sample(failing, FEW)
    results = simulate_cases(load(module, design), cases)
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
