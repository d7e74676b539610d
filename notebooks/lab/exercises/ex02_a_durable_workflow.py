"""Notebook 02: the first Workflow of one's own."""

from lab.breaking.scenarios import Scenario, fault_at
from lab.checking.common import BOOKED, blip, happy, refused
from lab.checking.exercise import WorkflowExercise
from lab.checking.judging import booked, failed, retried_blip
from lab.checking.trials import Found, Problem, Trial
from travel.faults import Fault
from travel.models import Passenger

SKELETON = """
@workflow.defn
class MyFirstTrip:
    @workflow.run
    async def run(self, request: TripRequest) -> int:
        # --- your code ---
        raise NotImplementedError("your steps, two attempts each")
        # --- end ---
"""

SOLUTION = """
async def call_twice(activity, message):
    return await workflow.execute_activity_method(
        activity,
        message,
        start_to_close_timeout=timedelta(seconds=3),
        retry_policy=RetryPolicy(maximum_attempts=2),
    )


@workflow.defn
class MyFirstTrip:
    @workflow.run
    async def run(self, request: TripRequest) -> int:
        await call_twice(Activities.store_booking_request, request)
        flight = await call_twice(Activities.book_flight, request)
        hotel = await call_twice(Activities.book_hotel, request)
        car = await call_twice(Activities.book_car, request)
        price_cents = flight.price_cents + hotel.price_cents + car.price_cents
        bill = PaymentRequest(request.confirmation_code, request.customer, price_cents)
        await call_twice(Activities.accept_payment, bill)
        return price_cents
"""

CALLS = ("store_booking_request", "book_flight", "book_hotel", "book_car", "accept_payment")


def tried_twice(found: Found) -> Problem | None:
    """The task says how many attempts a call has."""
    for down in found.trial.scenario.faults:
        times = sum(step.attempts for step in found.steps(down.step))
        if times == 1:
            return Problem("blip not retried", f"{down.step} had one attempt, and no second one")
        if times > 2:
            found_it = f"{down.step} had {times} attempts, and the task says two"
            return Problem("too many attempts", found_it)
    return None


def _down(step: str) -> Scenario:
    return Scenario(f"{step}: provider down", "outage", faults=(fault_at(step, Fault.OUTAGE),))


_FAMILY = [Passenger("Ada", "business"), Passenger("Ben")]

my_first_trip = WorkflowExercise(
    name="my_first_trip",
    title="My first trip",
    skeleton=SKELETON,
    trials=(
        happy(),
        Trial(
            Scenario("two travellers, one in business", "happy", {"passengers": _FAMILY}),
            BOOKED,
            (booked,),
        ),
        blip("book_hotel", retried_blip("book_hotel")),
        refused("book_flight"),
        Trial(
            _down(CALLS[0]),
            "two attempts for each call, and the trip fails",
            (tried_twice, failed),
            variants=tuple(map(_down, CALLS[1:])),
        ),
    ),
    hints=(
        "Five calls, one after the other. Each booking returns its price. What a call may cost in "
        "attempts is said where it is made.",
        "Look at WithoutCompensation in this notebook for the steps, and at call_once for the "
        "attempts: which word in it means one?",
        "workflow.execute_activity_method(..., retry_policy=RetryPolicy(maximum_attempts=...))",
    ),
    shapes={
        "not stored": "the first call of all: Activities.store_booking_request",
        "blip not retried": "a call of your own like call_once, with maximum_attempts=2",
    },
    solution_code=SOLUTION,
    why="The request is stored before any provider is called, so whatever they hold belongs to a "
    "known trip. The bill adds up what the providers confirmed, not what we hoped for. Retrying is "
    "the server's business: your code says how often and waits.",
)
