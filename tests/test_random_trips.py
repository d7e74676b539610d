"""Trips, outages, scripts of faults and cancel requests at random: nothing is ever orphaned.

1,000 trips; ``TEST_RANDOM_TRIPS=10000 python -m pytest tests/test_random_trips.py`` books more.
A trip that loses something is reduced to what makes it lose, and printed as lines that can be
pasted into a notebook.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lab.breaking.scenarios import CancelAt, Scenario, Verdict, request_for, simulate_scenarios
from lab.designs.undo_what_succeeded import UndoWhatSucceeded

from travel.faults import Fault, RandomFaults, ScriptedFault
from travel.models import CABINS, Passenger
from travel.providers.payments import TEST_DECLINE
from travel.workflows.book_in_parallel import BookInParallel
from travel.workflows.book_trip import BookTrip

TRIPS = int(os.environ.get("TEST_RANDOM_TRIPS", "1000"))
AN_EXAMPLE = 50

pytestmark = [pytest.mark.everything, pytest.mark.timeout(600 + TRIPS)]

# --- what is drawn ---------------------------------------------------------------------

STEPS = ("book_flight", "book_hotel", "book_car", "accept_payment")
UNDOS = ("refund_payment", "cancel_car", "cancel_hotel", "cancel_flight")
ALL = ("store_booking_request", *STEPS, "send_confirmation_email", *UNDOS)

QUICK = (Fault.BLIP, Fault.LOST_ACKNOWLEDGEMENT, Fault.OUTAGE)
SLOW = (Fault.NO_REPLY, Fault.LATE_COMMIT)

attempts = st.sets(st.integers(1, 12), min_size=1, max_size=4).map(lambda a: tuple(sorted(a)))
faults = st.one_of(
    st.builds(ScriptedFault, st.sampled_from(ALL), st.sampled_from(QUICK), attempts),
    st.builds(ScriptedFault, st.sampled_from(STEPS), st.sampled_from(QUICK)),
    st.builds(
        ScriptedFault,
        st.sampled_from(ALL),
        st.sampled_from(SLOW),
        st.integers(1, 3).map(lambda attempt: (attempt,)),
    ),
)
cancels = st.builds(CancelAt, st.sampled_from(ALL), st.integers(1, 2), st.integers(1, 3))
cabins = st.lists(st.sampled_from(CABINS), min_size=1, max_size=3)
changes = st.one_of(
    cabins.map(lambda chosen: {"passengers": [Passenger("Ada", cabin) for cabin in chosen]}),
    st.sampled_from(
        [
            {"room_type": "presidential"},
            {"car_type": "limousine"},
            {"departure_date": "2026-01-01"},
            {"confirmation_code": TEST_DECLINE},
        ]
    ),
)
scenarios = st.builds(
    Scenario,
    st.just("random"),
    st.just("random"),
    changes,
    st.lists(faults, max_size=3).map(tuple),
    st.lists(cancels, max_size=2).map(tuple),
)


@dataclass(frozen=True)
class Batch:
    """Trips that are booked at once; the rates are those at which any provider fails any trip."""

    design: Any
    seed: int
    outages: float
    blips: float
    scenarios: tuple[Scenario, ...]

    @property
    def chance(self) -> RandomFaults:
        """What goes wrong beside the scripts."""
        return RandomFaults(
            self.seed, dict.fromkeys(STEPS, self.outages), dict.fromkeys(ALL, self.blips)
        )


batches = st.builds(
    Batch,
    st.sampled_from([BookTrip, BookInParallel]),
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.1, 0.3]),
    st.sampled_from([0.0, 0.1, 0.2]),
    st.lists(scenarios, min_size=AN_EXAMPLE, max_size=AN_EXAMPLE).map(tuple),
)

# --- booking a batch ---------------------------------------------------------------------


def run_batch(batch: Batch) -> list[Verdict]:
    """Book all trips of a batch, each in a world of its own."""
    return simulate_scenarios(batch.design, list(prepared(batch)))


def prepared(batch: Batch) -> Iterator[Scenario]:
    """The scenarios, with what chance adds to their scripts."""
    for number, scenario in enumerate(batch.scenarios, 1):
        code = request_for(number, scenario.changes).confirmation_code
        yield replace(scenario, faults=(*scenario.faults, *by_chance(batch, code)))


def by_chance(batch: Batch, code: str) -> Iterator[ScriptedFault]:
    """The first attempts that chance lets fail; a step has no more than three."""
    for step in ALL:
        for attempt in (1, 2, 3):
            if fault := batch.chance.draw(step, code, attempt):
                yield ScriptedFault(step, fault, (attempt,))


def loses(verdict: Verdict) -> bool:
    """Something is orphaned, it did not end, or a trip that stands was undone."""
    return not verdict.clean or (verdict.status == "completed" and bool(verdict.compensations))


# --- telling ----------------------------------------------------------------------------


def reduced(design: Any, verdict: Verdict) -> Verdict:
    """The same trip with fewer faults and cancels, as long as it loses alone."""
    while True:
        scenario = verdict.scenario
        fewer = [
            *(replace(scenario, faults=_without(scenario.faults, f)) for f in scenario.faults),
            *(replace(scenario, cancels=_without(scenario.cancels, c)) for c in scenario.cancels),
        ]
        tried = run_batch(Batch(design, 0, 0.0, 0.0, tuple(fewer))) if fewer else []
        losing = next((found for found in tried if loses(found)), None)
        if losing is None:
            return verdict
        verdict = losing


def _without(lines: tuple[Any, ...], line: Any) -> tuple[Any, ...]:
    return tuple(other for other in lines if other is not line)


def pasted(design: Any, verdict: Verdict) -> str:
    """The trip as lines for a notebook."""
    found = [finding.problem for finding in verdict.findings] or [verdict.reason]
    lines = [f"# {verdict.status}: {'; '.join(found)}", f"trip = {verdict.request!r}"]
    lines += ["lab.faults = ["]
    lines += [
        f"    ScriptedFault({f.step!r}, {f.fault}, {f.attempts!r}),"
        for f in verdict.scenario.faults
    ]
    lines += ["]"]
    lines += [
        f"lab.at(trip, {c.step!r}, lambda trip: trip.cancel(), {c.attempt})  # {c.times} times"
        for c in verdict.scenario.cancels
    ]
    lines += [f"await lab.book(trip, {design.__name__})", "lab.audit()"]
    return "\n".join(lines)


def report(batch: Batch) -> str:
    """Empty, or the first trip of the batch that loses something."""
    losing = next((verdict for verdict in run_batch(batch) if loses(verdict)), None)
    return pasted(batch.design, reduced(batch.design, losing)) if losing else ""


# The first example that Hypothesis draws is always the simplest one: trips without faults.
@settings(
    max_examples=TRIPS // AN_EXAMPLE + 1,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(batches)
def test_no_random_trip_leaves_anything_behind(batch: Batch) -> None:
    losing = report(batch)
    assert not losing, losing


def test_a_trip_that_loses_is_reduced_to_what_makes_it_lose() -> None:
    blip = ScriptedFault("store_booking_request", Fault.NO_REPLY, (7,))
    lost = ScriptedFault("book_hotel", Fault.LOST_ACKNOWLEDGEMENT, (1,))
    scenario = Scenario("", "", {}, (blip, lost), (CancelAt("cancel_hotel", attempt=2),))
    told = report(Batch(UndoWhatSucceeded, 0, 0.0, 0.0, (scenario,)))
    assert "ScriptedFault('book_hotel', Fault.LOST_ACKNOWLEDGEMENT, (1,))" in told
    assert "store_booking_request" not in told and "cancel_hotel" not in told
    assert "1 room night held for a trip that did not complete" in told
