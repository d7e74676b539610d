"""Answers to the exercise of notebook 10."""

from lab.exercises import car_first
from lab.exercises.ex10_change_it_under_running_trips import HEAD, TAIL

from exercise_answers.answer import CORRECT, UNTOUCHED, Answer, changed

REFERENCE = car_first.solution_code

IN_A_LOOP = (
    HEAD
    + """        steps = [self._book_hotel, self._book_car]
        if workflow.patched("v2"):
            steps.reverse()
        booked = {step.__name__: await step(trip) for step in steps}
        hotel, car = booked["_book_hotel"], booked["_book_car"]
"""
    + TAIL
)

BY_SUPER = (
    changed(
        HEAD,
        (
            "        flight = await self._book_flight(trip)\n",
            '        if not workflow.patched("the car comes first"):\n'
            "            return await super()._book(trip)\n"
            "        flight = await self._book_flight(trip)\n"
            "        car = await self._book_car(trip)\n"
            "        hotel = await self._book_hotel(trip)\n",
        ),
    )
    + TAIL
)

NEW = "        car = await self._book_car(trip)\n        hotel = await self._book_hotel(trip)\n"
OLD = "        hotel = await self._book_hotel(trip)\n        car = await self._book_car(trip)\n"

ANSWERS = {
    "car_first": {
        "untouched": Answer(car_first.skeleton, UNTOUCHED),
        "reference": Answer(REFERENCE, CORRECT),
        "steps in a list": Answer(IN_A_LOOP, CORRECT),
        "the old way by super()": Answer(BY_SUPER, CORRECT),
        "not patched": Answer(HEAD + NEW + TAIL, "replay"),
        "not changed": Answer(HEAD + OLD + TAIL, "no change"),
        "patched the wrong way round": Answer(
            changed(
                REFERENCE,
                ('if workflow.patched("car-first")', 'if not workflow.patched("car-first")'),
            ),
            "replay",
        ),
    }
}
