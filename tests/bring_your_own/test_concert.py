"""Bring your own: this folder, ``saga.py``, ``simulation/`` and ``pip install temporalio pytest``.

``Town`` is made anew for each run, so ``activities`` and ``left_behind`` are given it.
"""

from __future__ import annotations

from typing import Any

from concert import Concert, Plan, Town
from hasty_concert import HastyConcert, HastyTown
from simulation import Proof, prove


def proof_of(concert: type, town: type[Town], **more: Any) -> Proof:
    return prove(
        concert,
        lambda world: [world],
        argument=Plan("C-1"),
        left_behind=lambda world: world.left_behind(),
        world=town,
        random=60,
        **more,
    )


def test_the_concert_loses_nothing() -> None:
    proof = proof_of(Concert, Town)
    assert proof.holds, str(proof)


def test_haste_has_its_faults_found_and_named() -> None:
    proof = proof_of(HastyConcert, HastyTown)
    found = {(loss.mistake, loss.where) for loss in proof.losses}
    assert ("undo registered after its step", "engage_band") in found, str(proof)
    assert ("not idempotent", "print_posters") in found, str(proof)
    assert ("auxiliary step compensates", "tell_newspaper") in found, str(proof)
    assert "a cancel request ended the undoing" in proof.mistakes, str(proof)
