"""The figures in the text are those of the code and of the outputs beside it."""

from __future__ import annotations

import json
import math
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from lab.foreign.companies import ANSWERS_AFTER
from lab.foreign.trials import trials
from lab.showing import course_maps

from travel.faults import BRIEF_RATES
from travel.providers.outside import IN_FLIGHT
from travel.providers.outside.callback import LOOK_AGAIN
from travel.store.seed_data import load_seed_data
from travel.workflows.calls import ATTEMPT_TIMEOUT, STEP_RETRIES, UNDO_TURN

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
QUOTED = re.compile(r"\d+ of \d+(?:, \$[\d,]+)?|\d+ reservations?(?:, \$[\d,]+)?|\$[\d,.]+\d")

SEED = load_seed_data()
VALID_TRIPS = 30
LUCK = math.prod(1 - rate for rate in BRIEF_RATES.values())
BLIPS = 0.3  # 05's bad day

NUMBERS = {2: "two", 3: "three", 4: "four"}
UNITS = {
    "day": timedelta(days=1),
    "hour": timedelta(hours=1),
    "minute": timedelta(minutes=1),
    "second": timedelta(seconds=1),
}


def cells(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return found


def text_of(path: Path) -> str:
    """What a notebook says, in one line."""
    told = ["".join(cell["source"]) for cell in cells(path) if cell["cell_type"] == "markdown"]
    return " ".join(" ".join(told).split())


def outputs_of(path: Path) -> str:
    """What its cells show, in one line; an amount is not torn from its dollar."""
    shown = [output for cell in cells(path) for output in cell.get("outputs", [])]
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in shown]
    return re.sub(r"\$ +", "$", " ".join(" ".join("".join(text) for text in texts).split()))


def notebook(number: str) -> Path:
    return next(path for path in NOTEBOOKS if path.name.startswith(number))


def binomial(low: int, high: int) -> float:
    """The chance that so many of the valid trips have luck."""
    return sum(
        math.comb(VALID_TRIPS, booked) * LUCK**booked * (1 - LUCK) ** (VALID_TRIPS - booked)
        for booked in range(low, high + 1)
    )


def attempts_within(budget: timedelta) -> list[int]:
    """The seconds at which attempts begin that fail at once: pauses of 1, 2, 4, …"""
    seconds = [2**number - 1 for number in range(20)]
    return [second for second in seconds if second < budget.total_seconds()]


def said(duration: timedelta) -> str:
    """In words: "three seconds", "a minute"."""
    unit, size = next(pair for pair in UNITS.items() if duration >= pair[1])
    number = duration // size
    return f"a {unit}" if number == 1 else f"{NUMBERS[number]} {unit}s"


IN_TWENTY = attempts_within(timedelta(seconds=20))
EXPECTED = VALID_TRIPS * LUCK
SPREAD = math.sqrt(EXPECTED * (1 - LUCK))
ROOMS = sum(len(hotel.rooms) for hotel in SEED.hotels)
FLIGHTS = len(SEED.routes) * len(SEED.schedule.dates())
OF_THREE = 1 - BLIPS**STEP_RETRIES.maximum_attempts

FIGURES = [
    ("00", f"{len(SEED.airports)} airports, {FLIGHTS} flights, {ROOMS} hotel rooms"),
    ("00", f"{len(SEED.cars)} rental cars"),
    ("02", f"and gives it {said(ATTEMPT_TIMEOUT)}"),
    ("03", f"for no longer than {said(UNDO_TURN)}"),
    ("04", " · ".join(f"{1 - rate:.2f}" for rate in BRIEF_RATES.values()) + f" = {LUCK:.1%}"),
    ("04", f"{EXPECTED:.2f} are to be expected, give or take {SPREAD:.1f}"),
    ("04", f"it happens to {binomial(15, 18):.0%} of all seeds"),
    ("05", f"0.7⁴ ≈ {(1 - BLIPS) ** 4:.0%}"),
    ("05", f"0.3³ = {BLIPS**3:.1%}"),
    ("05", f"(1 − 0.3³)⁴ ≈ {OF_THREE**4:.0%}"),
    ("05", f"In `calls.py` it is {said(ATTEMPT_TIMEOUT)}"),
    ("05", f"at seconds {', '.join(map(str, IN_TWENTY[:-1]))} and {IN_TWENTY[-1]}."),
    ("05", f"The sixth would be due at second {2 ** len(IN_TWENTY) - 1}"),
    ("08", f"{len(list(trials()))} trials"),
    ("08", f"with {IN_FLIGHT.total_seconds():.0f} (`IN_FLIGHT`)"),
    ("08", f"a look every {said(LOOK_AGAIN)} for {said(ANSWERS_AFTER)}"),
]


@pytest.mark.parametrize(("number", "figure"), FIGURES, ids=[f"{n}: {f}" for n, f in FIGURES])
def test_a_figure_in_the_text_is_that_of_the_code(number: str, figure: str) -> None:
    assert figure.replace("%", " %") in text_of(notebook(number))


def test_the_looks_for_a_callback_are_counted() -> None:
    """08: one attempt orders, and then one looks each time."""
    looks = ANSWERS_AFTER // LOOK_AGAIN
    assert re.search(rf"book_hotel step ✓ completed {1 + looks}\b", outputs_of(notebook("08")))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_the_text_quotes_was_shown(path: Path) -> None:
    """``8 of 8, $803`` in a code span stands in an output of this notebook; a price in any."""
    shown = outputs_of(path)
    anywhere = " ".join(map(outputs_of, NOTEBOOKS))
    for span in re.findall(r"`([^`\n]*)`", text_of(path)):
        for quoted in span.split(" + "):
            if QUOTED.fullmatch(quoted):
                assert quoted in (anywhere if quoted.startswith("$") else shown), quoted


SHOWN = (
    ("12", r"hence (\w+) turns", r"cancel_hotel undone, (\d+) turns"),
    ("13", r"lost (\w+) sales", r"BookThenPay \d+ (\d+)"),
    ("13", r"(\w+) customers who paid, got no room", r"PayThenBook \d+ \d+ \d+ (\d+)"),
    ("13", r"waited (\w+) minutes", r"HoldThenPay [\d ]+ (\d+) min"),
    ("14", r"One Worker booked (\w+)", r"(\d+) booked, 28 not"),
    ("16", r"some (\d+)0 schedules", r"(\d+)\d schedules"),
)
"""What the text of a notebook says, and where its output says it."""

IN_WORDS = {"three": "3", "fifteen": "15"}


@pytest.mark.parametrize(("number", "text", "output"), SHOWN)
def test_a_figure_in_the_text_is_that_of_the_run(number: str, text: str, output: str) -> None:
    told = re.search(text, text_of(notebook(number)))
    seen = re.search(output, outputs_of(notebook(number)))
    assert told and seen
    assert IN_WORDS.get(told[1], told[1]) == seen[1]


def test_plans_add_up() -> None:
    plan = (ROOT / "notebooks" / "plan.md").read_text(encoding="utf-8")
    half_day = plan.partition("## Half a day")[2].partition("##")[0]
    minutes = [int(found) for found in re.findall(r"\| (\d+) \|$", half_day, re.MULTILINE)]
    assert "Three and a half hours, with a break of 15 minutes" in half_day
    assert sum(minutes) + 15 == 3.5 * 60
    assert f"takes {course_maps.hours(course_maps.core_path())} with all exercises" in plan


def test_the_core_path_fits_into_five_hours() -> None:
    assert sum(stop.minutes for stop in course_maps.core_path()) <= 5 * 60
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "The core path takes five hours with all exercises" in readme
