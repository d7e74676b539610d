"""The failure model: the same seed, the same fate, whoever asks first."""

from __future__ import annotations

import random
from collections import Counter
from itertools import product

import pytest

from travel.faults import (
    BRIEF_RATES,
    DEFAULT_SEED,
    Fault,
    RandomFaults,
    ScriptedFault,
    ScriptedFaults,
)
from travel.trips import forty_four_trips

STEPS = list(BRIEF_RATES)
VALID = forty_four_trips()[:30]
MUST_FAIL = forty_four_trips()[30:]
# The steps that each of the 14 reaches: 3 fail at the flight, 5 at the hotel, 5 at the car.
REACHED = [[]] * 3 + [["book_hotel"]] * 5 + [["book_hotel", "book_car"]] * 5 + [STEPS]
CODES = [f"CODE-{n}" for n in range(10_000)]


def fate(model: RandomFaults, code: str) -> str | None:
    """The first step with an outage."""
    return next((step for step in STEPS if model.draw(step, code, 1) is Fault.OUTAGE), None)


def successes(seed: int) -> int:
    return sum(fate(RandomFaults(seed), trip.confirmation_code) is None for trip in VALID)


def test_draws_do_not_depend_on_the_order_of_calls() -> None:
    calls = list(product(STEPS, CODES[:200], (1, 2, 3)))
    rates = dict.fromkeys(STEPS, 0.3)
    in_order = RandomFaults(1, blips=rates, lost_acknowledgements=rates)
    expected = {call: in_order.draw(*call) for call in calls}
    assert len(set(expected.values())) == 4, "all three faults and none"
    shuffled = RandomFaults(1, blips=rates, lost_acknowledgements=rates)
    random.Random(0).shuffle(calls)
    assert {call: shuffled.draw(*call) for call in calls} == expected


@pytest.mark.parametrize("step", STEPS)
def test_outages_come_at_the_brief_s_rates(step: str) -> None:
    model = RandomFaults(7)
    share = sum(model.draw(step, code, 1) is Fault.OUTAGE for code in CODES) / len(CODES)
    assert share == pytest.approx(BRIEF_RATES[step], abs=0.015)


def test_the_providers_fail_independently_of_each_other() -> None:
    model = RandomFaults(7)
    both = sum(
        model.draw("book_hotel", code, 1) is model.draw("book_car", code, 1) is Fault.OUTAGE
        for code in CODES
    )
    assert both / len(CODES) == pytest.approx(0.25 * 0.40, abs=0.015)


def test_an_outage_lasts_for_every_attempt_and_a_blip_does_not() -> None:
    down = RandomFaults(7)
    for code in CODES[:200]:
        fates = {down.draw("book_car", code, attempt) for attempt in range(1, 6)}
        assert len(fates) == 1
    blips = RandomFaults(7, outages={}, blips={"book_car": 0.5})
    drawn = Counter(blips.draw("book_car", code, n) for code in CODES[:500] for n in range(1, 5))
    assert drawn[Fault.BLIP] / drawn.total() == pytest.approx(0.5, abs=0.05)
    first = [blips.draw("book_car", code, 1) for code in CODES[:500]]
    assert first != [blips.draw("book_car", code, 2) for code in CODES[:500]]


def test_steps_that_have_no_rate_have_no_fault() -> None:
    model = RandomFaults(7)
    steps = ["store_booking_request", "book_flight", "cancel_hotel", "send_confirmation_email"]
    assert {model.draw(step, code, 1) for step in steps for code in CODES[:500]} == {None}


def test_a_trip_to_be_declined_is_spared_every_random_fault() -> None:
    always = dict.fromkeys(STEPS, 1.0)
    model = RandomFaults(7, outages=always, blips=always, lost_acknowledgements=always)
    assert model.draw("book_car", "TRIP-1", 1) is Fault.OUTAGE
    for step in STEPS:
        assert model.draw(step, "FORCE-PAYMENT-FAIL-044", 1) is None
        assert model.draw(step, "2025-FORCE-PAYMENT-FAIL", 1) is None


def test_another_seed_is_another_fate() -> None:
    assert len({tuple(fate(RandomFaults(n), code) for code in CODES[:50]) for n in range(20)}) == 20


def test_the_default_seed_is_as_its_text_says() -> None:
    assert successes(DEFAULT_SEED) == 16
    model = RandomFaults(DEFAULT_SEED)
    fates = {fate(model, trip.confirmation_code) for trip in VALID}
    assert fates == {None, *STEPS}, "each kind of outage at least once"
    for trip, steps in zip(MUST_FAIL, REACHED, strict=True):
        assert {model.draw(step, trip.confirmation_code, 1) for step in steps} <= {None}


def test_about_one_seed_in_six_is_in_the_brief_s_range() -> None:
    counts = [successes(seed) for seed in range(1_000)]
    mean = sum(counts) / len(counts)
    assert mean == pytest.approx(30 * 0.75 * 0.60 * 0.90, abs=0.3)
    variance = sum((count - mean) ** 2 for count in counts) / len(counts)
    assert variance**0.5 == pytest.approx(2.7, abs=0.2)
    share = sum(15 <= count <= 18 for count in counts) / len(counts)
    assert share == pytest.approx(1 / 6, abs=0.04)


def test_a_script_is_followed_to_the_line() -> None:
    model = ScriptedFaults(
        (
            ScriptedFault("book_car", Fault.BLIP, attempts=(1, 2)),
            ScriptedFault("book_car", Fault.OUTAGE, confirmation_code="TRIP-2"),
            ScriptedFault("book_hotel", Fault.OUTAGE),
        )
    )
    assert [model.draw("book_car", "TRIP-1", n) for n in (1, 2, 3)] == [
        Fault.BLIP,
        Fault.BLIP,
        None,
    ]
    assert [model.draw("book_car", "TRIP-2", n) for n in (2, 3)] == [Fault.BLIP, Fault.OUTAGE]
    assert {model.draw("book_hotel", code, 9) for code in ("TRIP-1", "TRIP-2")} == {Fault.OUTAGE}
    assert model.draw("book_flight", "TRIP-1", 1) is None
