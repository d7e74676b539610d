"""What can go wrong with a trip, as scenarios that any design can be put through.

A scenario is a trip, a script of faults and perhaps cancel requests at exact
moments. ``run_scenarios`` books one trip for each, on the simulator or on a server, and
says what the audit and the Event History found afterwards.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from temporalio.client import WorkflowHandle

from lab.breaking.simulated import Bench
from lab.running.system import CountedScript, System, Trip
from lab.showing.history import RUNNING, History
from travel.audit import Finding
from travel.faults import Fault, ScriptedFault
from travel.models import Passenger, TripRequest
from travel.providers.payments import TEST_DECLINE
from travel.store.seed_data import SeedData, load_seed_data

STEPS = ("book_flight", "book_hotel", "book_car", "accept_payment")
UNDO_OF = dict(
    zip(STEPS, ("cancel_flight", "cancel_hotel", "cancel_car", "refund_payment"), strict=True)
)
PROVIDER_OF = dict(zip(STEPS, ("flight", "hotel", "car", "payment"), strict=True))

KINDS = (
    "rejection",
    "outage",
    "blip",
    "lost reply",
    "late commit",
    "cancel",
    "cancel while undoing",
    "undo down",
    "email down",
)
"""The columns of the scoreboard."""


@dataclass(frozen=True)
class CancelAt:
    """``times`` cancel requests, sent when that attempt of that Activity begins."""

    step: str
    attempt: int = 1
    times: int = 1


@dataclass(frozen=True)
class Scenario:
    """One way for a trip to go wrong.

    ``changes`` are fields of the request, for example a room type that does not
    exist. ``faults`` and ``cancels`` speak of this trip alone.
    """

    name: str
    kind: str
    changes: dict[str, Any] = field(default_factory=dict)
    faults: tuple[ScriptedFault, ...] = ()
    cancels: tuple[CancelAt, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What was found after a scenario: the audit's findings and the Event History.

    ``status`` is the Workflow's ("completed", "failed", …), or "stuck" if it did
    not end within ``PATIENCE_SECONDS``.
    """

    scenario: Scenario
    request: TripRequest
    status: str
    reason: str
    history: History
    findings: list[Finding]

    @property
    def compensations(self) -> list[str]:
        """The compensations that the Event History shows, in order."""
        return self.history.compensations

    @property
    def clean(self) -> bool:
        """It came to an end and nothing is orphaned."""
        return self.status != "stuck" and not self.findings


PATIENCE_SECONDS = 60

AT_ONCE = 64
"""Trips under way at a time: more would wait for the processor until their attempts time out."""


def fault_at(step: str, fault: Fault, *attempts: int) -> ScriptedFault:
    """A fault at these attempts of a step; no attempts means every attempt."""
    return ScriptedFault(step, fault, attempts)


def standard_scenarios() -> list[Scenario]:
    """The scenarios behind the scoreboard, each kind at every step where it can happen."""
    return [
        *_rejections(),
        *(_at(step, "outage", fault_at(step, Fault.OUTAGE)) for step in STEPS),
        *(_at(step, "blip", fault_at(step, Fault.BLIP, 1)) for step in STEPS),
        *_lost_replies(),
        *_late_commits(),
        *(_cancel_during(step) for step in (*STEPS, "send_confirmation_email")),
        *_cancels_while_undoing(),
        *_undos_down(),
        Scenario(
            "email down for ever",
            "email down",
            faults=(fault_at("send_confirmation_email", Fault.OUTAGE),),
        ),
    ]


def _at(step: str, kind: str, *faults: ScriptedFault) -> Scenario:
    return Scenario(f"{kind} at {step}", kind, faults=faults)


def _rejections() -> list[Scenario]:
    kind = "rejection"
    return [
        Scenario("no such flight", kind, {"departure_date": "2026-01-01"}),
        Scenario("no such room", kind, {"room_type": "presidential"}),
        Scenario("no such car", kind, {"car_type": "limousine"}),
        Scenario("card declined", kind, {"confirmation_code": TEST_DECLINE}),
    ]


def _lost_replies() -> list[Scenario]:
    lost = Fault.LOST_ACKNOWLEDGEMENT
    once = [
        Scenario(f"first reply of {step} lost", "lost reply", faults=(fault_at(step, lost, 1),))
        for step in STEPS
    ]
    for_ever = [
        Scenario(f"every reply of {step} lost", "lost reply", faults=(fault_at(step, lost),))
        for step in STEPS
    ]
    return once + for_ever


def _late_commits() -> list[Scenario]:
    """The first attempt times out and commits later, when the others have failed."""
    return [
        _at(step, "late commit", fault_at(step, Fault.LATE_COMMIT, 1), fault_at(step, Fault.OUTAGE))
        for step in STEPS
    ]


def _cancel_during(step: str) -> Scenario:
    # Without the lost reply, the step's answer and the cancel request would race each other,
    # and it were chance whether the Workflow sees an ActivityError or a CancelledError.
    return Scenario(
        f"cancel during {step}",
        "cancel",
        faults=(fault_at(step, Fault.NO_REPLY, 1),),
        cancels=(CancelAt(step),),
    )


def _cancels_while_undoing() -> list[Scenario]:
    kind, no_car = "cancel while undoing", {"car_type": "limousine"}
    return [
        Scenario("one cancel during cancel_hotel", kind, no_car, (), (CancelAt("cancel_hotel"),)),
        Scenario("three cancels during cancel_hotel", kind, no_car, (), (_three(),)),
        Scenario(
            "a cancel, then another while undoing",
            kind,
            faults=(fault_at("book_car", Fault.NO_REPLY, 1),),
            cancels=(CancelAt("book_car"), CancelAt("cancel_hotel")),
        ),
    ]


def _three() -> CancelAt:
    return CancelAt("cancel_hotel", times=3)


def _undos_down() -> list[Scenario]:
    """A provider refuses to answer the undo for twelve attempts: a few minutes."""
    return [
        Scenario(
            f"{undo} down for a while",
            "undo down",
            {"confirmation_code": TEST_DECLINE} if undo != "refund_payment" else {},
            (
                *(
                    (fault_at("accept_payment", Fault.LOST_ACKNOWLEDGEMENT),)
                    if "refund" in undo
                    else ()
                ),
                fault_at(undo, Fault.OUTAGE, *range(1, 13)),
            ),
        )
        for undo in UNDO_OF.values()
    ]


async def run_scenarios(
    design: Any, scenarios: Iterable[Scenario], *, system: System | None = None
) -> list[Verdict]:
    """Put ``design`` through all scenarios; verdicts in the order given.

    Each is simulated, in a world of its own. With a ``system`` they are booked on its
    server instead, ``AT_ONCE`` at a time.
    """
    if system is not None:
        return await _run(system, design, list(scenarios))
    return await asyncio.to_thread(simulate_scenarios, design, list(scenarios))


def simulate_scenarios(design: Any, scenarios: Sequence[Scenario]) -> list[Verdict]:
    """The same, here and now."""
    bench = Bench(design)
    try:
        return [
            simulate(bench, scenario, request_for(number, scenario.changes))
            for number, scenario in enumerate(scenarios, 1)
        ]
    finally:
        bench.close()


def simulate(bench: Bench, scenario: Scenario, request: TripRequest) -> Verdict:
    """Simulate one trip in a scenario."""
    for cancel in scenario.cancels:
        bench.at(request, cancel.step, _ask(cancel.times), cancel.attempt)
    booked = bench.book(request, CountedScript(_of(request, scenario)))
    history = booked.history
    status = booked.status if booked.status != RUNNING else "stuck"
    if booked.problem:
        raise booked.problem
    reason = history.reason if status != "completed" else ""
    return Verdict(scenario, request, status, reason, history, booked.findings)


def _ask(times: int) -> Callable[[Any], None]:
    def ask(handle: Any) -> None:
        for _ in range(times):
            handle.cancel()

    return ask


def _of(request: TripRequest, scenario: Scenario) -> list[ScriptedFault]:
    """The faults of a scenario, of this trip alone."""
    code = request.confirmation_code
    return [replace(fault, confirmation_code=code) for fault in scenario.faults]


async def _run(system: System, design: Any, scenarios: list[Scenario]) -> list[Verdict]:
    pairs = [(s, request_for(number, s.changes)) for number, s in enumerate(scenarios, 1)]
    system.faults = [fault for scenario, request in pairs for fault in _of(request, scenario)]
    slots = asyncio.Semaphore(AT_ONCE)
    trips = await asyncio.gather(*[_book(system, design, *pair, slots) for pair in pairs])
    await system.settled()
    report = system.audit()
    return [
        await _verdict(scenario, trip, report.findings)
        for (scenario, _), trip in zip(pairs, trips, strict=True)
    ]


async def _book(
    system: System, design: Any, scenario: Scenario, request: TripRequest, slots: asyncio.Semaphore
) -> Trip:
    for cancel in scenario.cancels:
        system.at(request, cancel.step, _send(cancel.times), cancel.attempt)
    async with slots:
        trip = await system.begin(request, design)
        try:
            return await trip.end(PATIENCE_SECONDS)
        except TimeoutError:
            return trip


def _send(times: int) -> Any:
    async def send(handle: WorkflowHandle[Any, Any]) -> None:
        for _ in range(times):
            await handle.cancel()

    return send


async def _verdict(scenario: Scenario, trip: Trip, findings: Sequence[Finding]) -> Verdict:
    history = await trip.history()
    status = history.status
    if trip.result is None and status == "running":
        await trip.terminate("it did not end")
        status = "stuck"
    code = trip.request.confirmation_code
    own = [finding for finding in findings if finding.confirmation_code == code]
    return Verdict(scenario, trip.request, status, trip.reason, history, own)


seed_data = functools.cache(load_seed_data)
"""Read once: scenarios ask for hundreds of trips."""


def request_for(number: int, changes: dict[str, Any] | None = None) -> TripRequest:
    """The trip of scenario ``number`` (from 1): one night, in nobody else's way.

    No two numbers up to 700 share a seat, a room or a car, so what a flawed
    design leaves behind cannot fail its neighbour.
    """
    seed = seed_data()
    route = seed.routes[number % len(seed.routes)]
    rank = sum(
        other.destination == route.destination for other in seed.routes[: number % len(seed.routes)]
    )
    departure = date.fromisoformat(seed.schedule.first_day) + timedelta(number // len(seed.routes))
    request = TripRequest(
        confirmation_code=f"SCENARIO-{number:03}",
        customer=f"Traveller-{number:03}",
        origin=route.origin,
        destination=route.destination,
        departure_date=departure.isoformat(),
        return_date=(departure + timedelta(1)).isoformat(),
        passengers=[Passenger(f"Traveller-{number:03}")],
        room_type="standard",
        car_type=_car_types(seed, route.destination)[rank],
    )
    return _changed(request, changes or {})


def _car_types(seed: SeedData, airport: str) -> list[str]:
    return [car.car_type for car in seed.cars if car.airport == airport]


def _changed(request: TripRequest, changes: dict[str, Any]) -> TripRequest:
    changes = dict(changes)
    if "confirmation_code" in changes:
        changes["confirmation_code"] += f"-{request.confirmation_code}"
    if "departure_date" in changes:
        departure = date.fromisoformat(changes["departure_date"])
        changes["return_date"] = (departure + timedelta(1)).isoformat()
    return replace(request, **changes)
