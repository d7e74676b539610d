"""What the choice between rounds and retries rests on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.rounds_or_retries import WAYS, measure


@pytest.mark.parametrize("down", [timedelta(minutes=20), timedelta(hours=6)])
def test_an_hour_a_turn_has_the_best_of_both(down: timedelta) -> None:
    found = {way: measure(way, down) for way in WAYS}
    ours, rounds = found["an hour a turn"], found["rounds"]
    side_by_side, one_by_one = found["retries, side by side"], found["retries, one by one"]
    assert ours["order"] == ["payment", "car", "flight", "hotel"], "newest first"
    assert ours["knows"] and not side_by_side["knows"]
    assert ours["others"] < 60 < one_by_one["others"]
    assert side_by_side["events"] < ours["events"] < 0.6 * rounds["events"]
    assert ours["hotel"] <= 600, "noticed within ten minutes"
