"""Answers to the exercise of notebook 02."""

from lab.exercises import my_first_trip

from exercise_answers.answer import CORRECT, UNTOUCHED, Answer, changed

REFERENCE = my_first_trip.solution_code

IN_PARALLEL = changed(
    REFERENCE,
    (
        """        flight = await call_twice(Activities.book_flight, request)
        hotel = await call_twice(Activities.book_hotel, request)
        car = await call_twice(Activities.book_car, request)
""",
        """        flight = await call_twice(Activities.book_flight, request)
        hotel, car = await asyncio.gather(
            call_twice(Activities.book_hotel, request), call_twice(Activities.book_car, request)
        )
""",
    ),
)

IN_METHODS = """
@workflow.defn
class Mine:
    @workflow.run
    async def run(self, request: TripRequest) -> str:
        await self.do(Activities.store_booking_request, request)
        bookings = (Activities.book_flight, Activities.book_hotel, Activities.book_car)
        price = sum([(await self.do(book, request)).price_cents for book in bookings])
        bill = PaymentRequest(request.confirmation_code, request.customer, price)
        return (await self.do(Activities.accept_payment, bill)).receipt_number

    async def do(self, activity, message):
        return await workflow.execute_activity_method(
            activity,
            message,
            start_to_close_timeout=timedelta(seconds=5),
            retry_policy=RetryPolicy(maximum_attempts=2, non_retryable_error_types=["Rejected"]),
        )
"""

BODY = REFERENCE.partition("@workflow.defn")
COPIED = BODY[1] + BODY[2].replace("call_twice(", "call_once(")

STORE = "        await call_twice(Activities.store_booking_request, request)\n"
PAY = "        await call_twice(Activities.accept_payment, bill)\n"

ANSWERS = {
    "my_first_trip": {
        "untouched": Answer(my_first_trip.skeleton, UNTOUCHED),
        "reference": Answer(REFERENCE, CORRECT),
        "hotel and car at once": Answer(IN_PARALLEL, CORRECT),
        "a loop in a method": Answer(IN_METHODS, CORRECT),
        "copied from the page": Answer(COPIED, "blip not retried"),
        "request not stored": Answer(changed(REFERENCE, (STORE, "")), "not stored"),
        "nobody pays": Answer(changed(REFERENCE, (PAY, "")), "incomplete"),
        "only the flight is paid": Answer(
            changed(REFERENCE, (" + hotel.price_cents + car.price_cents", "")), "incomplete"
        ),
        "payment not awaited": Answer(
            changed(REFERENCE, ("await call_twice(Activities.acc", "call_twice(Activities.acc")),
            "not awaited",
        ),
        "booking not awaited": Answer(
            changed(
                REFERENCE,
                ("await call_twice(Activities.book_car", "call_twice(Activities.book_car"),
            ),
            "not awaited",
        ),
        "random in the Workflow": Answer(
            changed(REFERENCE, (STORE, "        import random\n        random.random()\n" + STORE)),
            "not deterministic",
        ),
        "the clock in the Workflow": Answer(
            changed(
                REFERENCE,
                (STORE, "        import datetime\n        datetime.datetime.now()\n" + STORE),
            ),
            "not deterministic",
        ),
        "two payments": Answer(
            changed(REFERENCE, ("customer, price_cents)", "customer, price_cents + 100)")),
            "incomplete",
        ),
        "three attempts": Answer(
            changed(REFERENCE, ("maximum_attempts=2", "maximum_attempts=3")), "too many attempts"
        ),
    }
}
