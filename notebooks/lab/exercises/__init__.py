"""The exercises, a file a notebook: ``await exercises.undo_in_reverse.check()``.

Importing this makes ``%%workflow`` known to the notebook.
"""

from __future__ import annotations

from lab.checking.cell_magic import register
from lab.checking.exercise import Exercise
from lab.checking.modules import PRELUDE as PRELUDE
from lab.exercises.ex01_the_messy_version import undo_in_a_script
from lab.exercises.ex02_a_durable_workflow import my_first_trip
from lab.exercises.ex03_the_saga import undo_in_reverse
from lab.exercises.ex04_forty_four_trips import predict_compensations
from lab.exercises.ex05_retry import patience
from lab.exercises.ex06_what_not_to_compensate import survive_a_cancel, the_pivot
from lab.exercises.ex07_lost_acknowledgement import ask_twice, register_first
from lab.exercises.ex08_outside_hotels import without_a_key
from lab.exercises.ex09_kill_the_worker import still_alive
from lab.exercises.ex10_change_it_under_running_trips import car_first
from lab.exercises.ex11_book_in_parallel import side_by_side
from lab.exercises.ex12_when_an_undo_is_stuck import in_time, never_stuck, operators_word
from lab.exercises.ex13_what_a_saga_cannot_promise import which_tool
from lab.exercises.ex14_beyond_one_machine import who_is_abandoned
from lab.exercises.ex15_capstone import defend_it, insurance_desk, insured_trip
from lab.exercises.ex16_self_test import questions as questions
from lab.exercises.ex16_self_test import self_test
from lab.exercises.ex16_your_own_saga import shop_audit, shop_desk, shop_saga

ALL: dict[str, Exercise] = {
    exercise.name: exercise
    for exercise in (
        undo_in_a_script,
        my_first_trip,
        undo_in_reverse,
        predict_compensations,
        patience,
        the_pivot,
        survive_a_cancel,
        ask_twice,
        register_first,
        without_a_key,
        still_alive,
        car_first,
        side_by_side,
        never_stuck,
        operators_word,
        in_time,
        which_tool,
        who_is_abandoned,
        insurance_desk,
        insured_trip,
        defend_it,
        shop_desk,
        shop_audit,
        shop_saga,
        self_test,
    )
}

register(ALL)


def forget() -> None:
    """Forget every answer; ``System.reset`` does it."""
    for exercise in ALL.values():
        exercise.forget()
