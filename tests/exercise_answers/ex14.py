"""Answers to the exercise of notebook 14."""

from exercise_answers.answer import CORRECT, UNTOUCHED, Answer
from travel.store.holdings import Trip

Trips = dict[str, Trip]


def untouched(trips: Trips, running: set[str]) -> list[str]:
    raise NotImplementedError


def reference(trips: Trips, running: set[str]) -> list[str]:
    return [
        code
        for code, trip in trips.items()
        if trip.request and not trip.completed and not trip.empty and code not in running
    ]


def by_hand(trips: Trips, running: set[str]) -> set[str]:
    found = set()
    for code in trips.keys() - running:
        trip = trips[code]
        stands = trip.outcome == "booked" or (trip.outcome is None and trip.charged_cents > 0)
        if (trip.seats or trip.nights or trip.days or trip.charged_cents) and not stands:
            found.add(code)
    return found


def by_filter(trips: Trips, running: set[str]) -> list[str]:
    def gone(code: str) -> bool:
        return code not in running and not (trips[code].completed or trips[code].empty)

    return sorted(filter(gone, trips))


def whatever_is_not_running(trips: Trips, running: set[str]) -> list[str]:
    return [code for code in trips if code not in running and not trips[code].empty]


def running_too(trips: Trips, running: set[str]) -> list[str]:
    return [code for code, trip in trips.items() if not trip.completed and not trip.empty]


def only_failed(trips: Trips, running: set[str]) -> list[str]:
    return [code for code, trip in trips.items() if trip.outcome == "failed" and not trip.empty]


def only_booked_stand(trips: Trips, running: set[str]) -> list[str]:
    return [
        code
        for code, trip in trips.items()
        if trip.outcome != "booked" and not trip.empty and code not in running
    ]


ANSWERS = {
    "who_is_abandoned": {
        "untouched": Answer(untouched, UNTOUCHED),
        "reference": Answer(reference, CORRECT),
        "by hand, a set": Answer(by_hand, CORRECT),
        "a filter": Answer(by_filter, CORRECT),
        "whatever is not running": Answer(whatever_is_not_running, "standing released"),
        "running ones too": Answer(running_too, "running released"),
        "only those told failed": Answer(only_failed, "left"),
        "only booked ones stand": Answer(only_booked_stand, "standing released"),
        "nothing": Answer(lambda trips, running: [], "left"),
    }
}
