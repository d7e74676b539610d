"""Answers to the exercises of the capstone."""

from lab.breaking.scenarios import STEPS, CancelAt, Scenario, fault_at
from lab.exercises import insurance_desk, insured_trip
from lab.exercises.ex15_capstone import IN_PRODUCTION, Submission

from exercise_answers.answer import CORRECT, UNTOUCHED, Answer, changed
from travel.faults import Fault
from travel.providers.payments import TEST_DECLINE

DESK = insurance_desk.solution_code
TRIP = insured_trip.solution_code

DESK_BY_HELPER = """
class Insurance:
    def __init__(self, database) -> None:
        self.database = database

    def key(self, message):
        return "insurance of " + message.confirmation_code

    @activity.defn
    def insure_trip(self, request: TripRequest) -> Policy:
        def do(connection):
            return issue(connection, request)

        return do_once(self.database, self.key(request), Policy, do)

    @activity.defn
    def cancel_insurance(self, trip: Cancellation) -> None:
        def undo(connection):
            revoke(connection, trip.confirmation_code)

        undo_once(self.database, self.key(trip), undo)
"""

DESK_SUBCLASS = """
class Office:
    def __init__(self, database) -> None:
        self.database = database

    def do(self, code, action):
        return do_once(self.database, f"{code}/insure", Policy, action)

    def undo(self, code, action):
        undo_once(self.database, f"{code}/insure", action)


class Insurance(Office):
    @activity.defn
    def insure_trip(self, request: TripRequest) -> Policy:
        return self.do(request.confirmation_code, lambda c: issue(c, request))

    @activity.defn
    def cancel_insurance(self, trip: Cancellation) -> None:
        code = trip.confirmation_code
        self.undo(code, lambda c: revoke(c, code))
"""

DESK_WITHOUT_KEYS = """
class Insurance:
    def __init__(self, database) -> None:
        self.database = database

    @activity.defn
    def insure_trip(self, request: TripRequest) -> Policy:
        with self.database.transaction() as connection:
            return issue(connection, request)

    @activity.defn
    def cancel_insurance(self, trip: Cancellation) -> None:
        with self.database.transaction() as connection:
            revoke(connection, trip.confirmation_code)
"""

INSURE = """            undos.append(Insurance.cancel_insurance)
            await call(Insurance.insure_trip, request)
"""
PAY = """            undos.append(Activities.refund_payment)
            await call(Activities.accept_payment, bill)
"""

INSURED_FIRST = changed(
    TRIP,
    (INSURE, ""),
    (
        "            undos.append(Activities.cancel_flight)\n",
        INSURE + "            undos.append(Activities.cancel_flight)\n",
    ),
)
PAID_BEFORE = changed(TRIP, (INSURE, ""), (PAY, PAY + INSURE))
AFTER_THE_SAGA = changed(
    TRIP,
    (INSURE, ""),
    (
        "        return price_cents\n",
        "        await call(Insurance.insure_trip, request)\n        return price_cents\n",
    ),
)
IGNORED_AFTER = changed(
    TRIP,
    (INSURE, ""),
    (
        "        return price_cents\n",
        "        try:\n            await call(Insurance.insure_trip, request)\n"
        "        except ActivityError:\n            pass\n        return price_cents\n",
    ),
)

DECLINED = {"confirmation_code": TEST_DECLINE}
LOST = [
    Scenario(f"{step}: lost", "mine", faults=(fault_at(step, Fault.LOST_ACKNOWLEDGEMENT),))
    for step in (*STEPS, "insure_trip")
]
TESTS = [
    Scenario("all is well", "mine"),
    Scenario("declined", "mine", DECLINED),
    *LOST,
    Scenario("cancel while undoing", "mine", DECLINED, cancels=(CancelAt("cancel_hotel"),)),
]

WITH_A_QUERY = (
    TRIP.rstrip()
    + """

    @workflow.query
    def names(self) -> list[str]:
        names = []
        names.append("insurance")
        return names
"""
)

ANSWERS = {
    "insurance_desk": {
        "untouched": Answer(insurance_desk.skeleton, UNTOUCHED),
        "reference": Answer(DESK, CORRECT),
        "a helper for the key": Answer(DESK_BY_HELPER, CORRECT),
        "a base class": Answer(DESK_SUBCLASS, CORRECT),
        "no keys": Answer(DESK_WITHOUT_KEYS, "not idempotent"),
        "two different keys": Answer(
            changed(
                DESK,
                ('(trip.confirmation_code, "insure_trip")', '(trip.confirmation_code, "cancel")'),
            ),
            "undo forgotten",
        ),
    },
    "insured_trip": {
        "untouched": Answer(insured_trip.skeleton, UNTOUCHED),
        "reference": Answer(TRIP, CORRECT),
        "insured first of all": Answer(INSURED_FIRST, CORRECT),
        "BookTrip with a step more": Answer(IN_PRODUCTION, CORRECT),
        "paid, then insured, in the saga": Answer(PAID_BEFORE, CORRECT),
        "after the saga": Answer(AFTER_THE_SAGA, "undo forgotten"),
        "after the saga, refusal ignored": Answer(IGNORED_AFTER, "error swallowed"),
        "registered late": Answer(
            changed(TRIP, (INSURE, "".join(reversed(INSURE.splitlines(True))))), "registered late"
        ),
        "no undo": Answer(
            changed(TRIP, ("            undos.append(Insurance.cancel_insurance)\n", "")),
            "undo forgotten",
        ),
        "not insured": Answer(changed(TRIP, (INSURE, "")), "incomplete"),
    },
    "defend_it": {
        "untouched": Answer(..., UNTOUCHED),
        "reference": Answer(Submission(TESTS, TRIP), CORRECT),
        "other order, more tests": Answer(
            Submission(
                [
                    *LOST,
                    *TESTS[:2],
                    TESTS[-1],
                    Scenario("no car", "mine", {"car_type": "limousine"}),
                ],
                TRIP,
            ),
            CORRECT,
        ),
        "for a Saga": Answer(Submission(TESTS, IN_PRODUCTION), CORRECT),
        "a list in a query": Answer(Submission(TESTS, WITH_A_QUERY), CORRECT),
        "only the happy path": Answer(Submission(TESTS[:1], TRIP), "mutant survives"),
        "no lost replies": Answer(Submission([*TESTS[:2], TESTS[-1]], TRIP), "mutant survives"),
    },
}
