"""Answers to the exercise of notebook 04: predictions."""

from collections import defaultdict

from exercise_answers.answer import CORRECT, UNTOUCHED, Answer

RIGHT = {
    "hotel rejected": [],
    "car rejected": ["cancel_hotel"],
    "flight rejected": ["cancel_car", "cancel_hotel"],
    "payment declined": ["cancel_flight", "cancel_car", "cancel_hotel"],
    "hotel outage": ["cancel_hotel"],
    "flight outage": ["cancel_flight", "cancel_car", "cancel_hotel"],
    "payment outage": ["refund_payment", "cancel_flight", "cancel_car", "cancel_hotel"],
}

NEWEST_FIRST = ("refund_payment", "cancel_flight", "cancel_car", "cancel_hotel")


def by_rule(failure: str) -> tuple[str, ...]:
    step, how = failure.split()
    undone = 3 - ["hotel", "car", "flight", "payment"].index(step)
    return NEWEST_FIRST[undone + (how != "outage") :]


ANSWERS = {
    "predict_compensations": {
        "untouched": Answer(dict.fromkeys(RIGHT, ...), UNTOUCHED),
        "reference": Answer(RIGHT, CORRECT),
        "tuples": Answer({name: tuple(undos) for name, undos in RIGHT.items()}, CORRECT),
        "a rule, as a function": Answer(by_rule, CORRECT),
        "forward order": Answer(
            {name: list(reversed(undos)) for name, undos in RIGHT.items()}, "wrong order"
        ),
        "everything, always": Answer(dict.fromkeys(RIGHT, NEWEST_FIRST), "everything"),
        "refund forgotten": Answer(
            {name: [u for u in undos if "refund" not in u] for name, undos in RIGHT.items()},
            "refund forgotten",
        ),
        "outage taken for a rejection": Answer(
            RIGHT | {"flight outage": RIGHT["flight rejected"]}, "prediction"
        ),
        "one not answered": Answer(RIGHT | {"flight outage": ...}, "prediction"),
        "a list of pairs": Answer(list(RIGHT.items()), "prediction"),
        "numbers": Answer(RIGHT | {"car rejected": 1}, "prediction"),
        "a list in a list": Answer(RIGHT | {"car rejected": [["cancel_hotel"]]}, "prediction"),
        "a default for none": Answer(
            defaultdict(list, {name: undos for name, undos in RIGHT.items() if undos}), CORRECT
        ),
    }
}
