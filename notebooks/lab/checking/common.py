"""The trials that exercises choose from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lab.breaking.scenarios import CancelAt, Scenario, fault_at
from lab.checking.judging import (
    EMAIL,
    Judge,
    answered_in_time,
    booked,
    emailed,
    never_given_up,
    others_first,
    released,
    told_why,
)
from lab.checking.trials import Trial
from travel.faults import Fault, ScriptedFault
from travel.providers.payments import TEST_DECLINE

BOOKED = "the trip is booked, whole"
STANDS = "the trip stands"
NEWEST_FIRST = "all that was booked is released, newest first"
NOTHING_HELD = "nothing is held, nothing is kept"

_REJECTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "book_flight": ("no such flight", {"departure_date": "2026-01-01"}),
    "book_hotel": ("no such room", {"room_type": "presidential"}),
    "book_car": ("no such car", {"car_type": "limousine"}),
    "accept_payment": ("card declined", {"confirmation_code": TEST_DECLINE}),
}
NO_FLIGHT = _REJECTIONS["book_flight"][1]
NO_CAR = _REJECTIONS["book_car"][1]
NO_ROOM = _REJECTIONS["book_hotel"][1]


def happy(*judges: Judge) -> Trial:
    """Nothing goes wrong."""
    return Trial(Scenario("every provider says yes", "happy"), BOOKED, (booked, *judges))


def rejection(step: str, *judges: Judge) -> Trial:
    """The provider of ``step`` says no."""
    name, changes = _REJECTIONS[step]
    should = NEWEST_FIRST if step in ("book_car", "accept_payment") else NOTHING_HELD
    return Trial(Scenario(name, "rejection", changes), should, (released, *judges))


def refused(step: str) -> Trial:
    """The provider of ``step`` says no; nobody asks for an undo yet."""
    trial = rejection(step)
    return replace(trial, should="the trip fails, and the caller is told why", judges=(told_why,))


def outage(step: str, *judges: Judge) -> Trial:
    """The provider of ``step`` is down and stays down."""
    trial = _failing(f"{step}: provider down", fault_at(step, Fault.OUTAGE))
    return replace(trial, judges=(*trial.judges, *judges))


def lost_reply(step: str) -> Trial:
    """``step`` is done, and every reply is lost, or none ever comes."""
    trial = _failing(f"{step}: replies lost", fault_at(step, Fault.LOST_ACKNOWLEDGEMENT))
    silent = Scenario(f"{step}: no reply at all", "fault", faults=(fault_at(step, Fault.NO_REPLY),))
    late = Scenario(
        f"{step}: done too late",
        "fault",
        faults=(fault_at(step, Fault.LATE_COMMIT, 1), fault_at(step, Fault.OUTAGE)),
    )
    return replace(trial, variants=(silent, late))


def blip(step: str, *judges: Judge) -> Trial:
    """One attempt of ``step`` fails."""
    scenario = Scenario(f"{step}: one blip", "blip", faults=(fault_at(step, Fault.BLIP, 1),))
    return Trial(scenario, STANDS, (*judges, booked))


def slow_answer(step: str) -> Trial:
    """The provider of ``step`` answers after two seconds, and does so each time."""
    scenario = Scenario(f"{step}: an answer after two seconds", "slow")
    return Trial(scenario, STANDS, (answered_in_time(step), booked), taking={step: 2.0})


def first_reply_lost(step: str) -> Trial:
    """``step`` is done, its first reply is lost; the second attempt tells."""
    faults = (fault_at(step, Fault.LOST_ACKNOWLEDGEMENT, 1),)
    return Trial(Scenario(f"{step}: first reply lost", "lost", faults=faults), STANDS, (booked,))


def no_reply(step: str) -> Trial:
    """The provider of ``step`` never answers the first attempt."""
    scenario = Scenario(f"{step}: no answer at all", "timeout")
    return Trial(scenario, STANDS, (booked,), silent=(step,))


def cancel_during(step: str) -> Trial:
    """The customer cancels while ``step`` is under way."""
    scenario = Scenario(f"cancel during {step}", "cancel", cancels=(CancelAt(step),))
    return Trial(scenario, "the trip is canceled and nothing is held", (released,))


def cancel_with_reply(step: str) -> Trial:
    """The customer cancels at the moment at which ``step`` has answered."""
    scenario = Scenario(f"cancel when {step} has answered", "cancel")
    should = "the trip is canceled and nothing is held"
    return Trial(scenario, should, (released,), cancel_with=step)


def cancel_during_undo(undo: str, times: int = 1) -> Trial:
    """The customer cancels while an undo is under way."""
    count = {1: "one cancel", 2: "two cancels", 3: "three cancels"}[times]
    cancels = (CancelAt(undo, times=times),)
    scenario = Scenario(f"{count} during {undo}", "cancel", NO_CAR, cancels=cancels)
    return Trial(scenario, NOTHING_HELD, (released,))


def cancel_then_again() -> Trial:
    """A cancel request starts the compensation, another arrives during it."""
    cancels = (CancelAt("book_car"), CancelAt("cancel_hotel"))
    scenario = Scenario("cancel, and again while undoing", "cancel", cancels=cancels)
    return Trial(scenario, NOTHING_HELD, (released,))


def cancel_during_email() -> Trial:
    """The customer cancels after the payment went through."""
    cancels = (CancelAt("send_confirmation_email"),)
    scenario = Scenario("cancel during the email", "cancel", cancels=cancels)
    return Trial(scenario, STANDS, (booked,))


def email_down() -> Trial:
    """The email company is down."""
    faults = (fault_at("send_confirmation_email", Fault.OUTAGE),)
    silence = (fault_at(EMAIL, Fault.NO_REPLY, 1, 2, 3), fault_at(EMAIL, Fault.OUTAGE))
    silent = Scenario("no reply to the email", "email", faults=silence)
    return Trial(
        Scenario("email down", "email", faults=faults),
        STANDS,
        (booked, emailed),
        variants=(silent,),
    )


HOURS = 150
"""Attempts: a provider that is down for hours, however long the pauses are."""


def undo_down(undo: str, attempts: int = 5) -> Trial:
    """``undo`` fails a few times: its provider is down for a while."""
    down = fault_at(undo, Fault.OUTAGE, *range(1, attempts + 1))
    return Trial(_declined(f"{undo}: down for a while", down), NOTHING_HELD, (released,))


def undo_put_off(undo: str, days: int = 210) -> Trial:
    """The provider of ``undo`` asks to come again tomorrow, day after day."""
    scenario = _declined(f"{undo}: not today, day after day")
    return Trial(scenario, NOTHING_HELD, (released,), later={undo: days})


def undo_down_others_first(undo: str) -> Trial:
    """It is down for longer than one turn, and the other undos do not wait for it."""
    trial = undo_down(undo, attempts=HOURS)
    should = "the others are released meanwhile, and in the end nothing is held"
    return replace(trial, should=should, judges=(*trial.judges, others_first(undo)))


def undo_down_for_good(undo: str) -> Trial:
    """However long one looks, it is still tried."""
    scenario = _declined(f"{undo}: down for good", fault_at(undo, Fault.OUTAGE))
    return Trial(scenario, "nobody gives it up", (never_given_up(undo),), looks=8_000)


def _declined(name: str, *faults: ScriptedFault) -> Scenario:
    """The last step is refused, so everything has to be undone."""
    return Scenario(name, "undo down", {"confirmation_code": TEST_DECLINE}, faults)


def _failing(name: str, *faults: ScriptedFault) -> Trial:
    return Trial(Scenario(name, "fault", faults=faults), NOTHING_HELD, (released,))
