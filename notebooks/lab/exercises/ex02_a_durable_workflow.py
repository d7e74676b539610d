"""Notebook 02: the first Workflow of one's own."""

from lab.breaking.scenarios import Scenario
from lab.checking.common import BOOKED, rejection
from lab.checking.exercise import WorkflowExercise
from lab.checking.judging import booked, replays
from lab.checking.trials import Trial
from travel.models import Passenger

SKELETON = """
@workflow.defn
class MyFirstTrip:
    @workflow.run
    async def run(self, request: TripRequest) -> int:
        # Store the request, book flight, hotel and car, take the payment.
        raise NotImplementedError("your steps")
"""

SOLUTION = """
@workflow.defn
class MyFirstTrip:
    @workflow.run
    async def run(self, request: TripRequest) -> int:
        await call_once(Activities.store_booking_request, request)
        flight = await call_once(Activities.book_flight, request)
        hotel = await call_once(Activities.book_hotel, request)
        car = await call_once(Activities.book_car, request)
        price_cents = flight.price_cents + hotel.price_cents + car.price_cents
        bill = PaymentRequest(request.confirmation_code, request.customer, price_cents)
        await call_once(Activities.accept_payment, bill)
        return price_cents
"""

_FAMILY = [Passenger("Ada", "business"), Passenger("Ben")]

my_first_trip = WorkflowExercise(
    name="my_first_trip",
    title="My first trip",
    skeleton=SKELETON,
    trials=(
        Trial(
            Scenario("every provider says yes", "happy"), BOOKED, (booked, replays), replayed=True
        ),
        Trial(
            Scenario("two travellers, one in business", "happy", {"passengers": _FAMILY}),
            BOOKED,
            (booked,),
        ),
        rejection("book_flight"),
    ),
    hints=(
        "Five calls, one after the other. Each booking returns its price.",
        "Look at WithoutCompensation in this notebook: which call comes first, and what does the "
        "bill consist of?",
        "hotel = await call_once(Activities.book_hotel, ...)",
    ),
    shapes={"not stored": "await call_once(Activities.store_booking_request, ...)  comes first"},
    solution_code=SOLUTION,
    why="The request is stored before any provider is called, so whatever they hold belongs to a "
    "known trip. The bill adds up what the providers confirmed, not what we hoped for.",
)
