"""Notebook 01: a rollback in a plain script."""

from lab.checking.common import happy, outage, rejection
from lab.checking.exercise import ScriptExercise

SOLUTION = """
def book(agency, request):
    trip = Cancellation(request.confirmation_code)
    agency.store_booking_request(request)
    undos = []
    try:
        hotel = agency.book_hotel(request)
        undos.append(agency.cancel_hotel)
        flight = agency.book_flight(request)
        undos.append(agency.cancel_flight)
        car = agency.book_car(request)
        undos.append(agency.cancel_car)
        price_cents = hotel.price_cents + flight.price_cents + car.price_cents
        bill = PaymentRequest(request.confirmation_code, request.customer, price_cents)
        agency.accept_payment(bill)
    except TravelError:
        for undo in reversed(undos):
            undo(trip)
        raise
"""

undo_in_a_script = ScriptExercise(
    name="undo_in_a_script",
    title="Undo in a script",
    trials=(
        happy(),
        rejection("book_flight"),
        rejection("book_hotel"),
        rejection("book_car"),
        rejection("accept_payment"),
        outage("book_car"),
    ),
    hints=(
        "Write down, after each booking, what would undo it.",
        "Look at try_hard, at the top of this notebook: where does it note a success? Note there "
        "what would undo it.",
        "undos.append(...)  after each booking, and in the except block a loop over "
        "reversed(undos), then raise",
    ),
    solution_code=SOLUTION,
    why="The list remembers what was booked, in order, so the loop can go backwards and undo "
    "nothing else. It lives in the memory of this process, which is why the course does not "
    "end here.",
)
