"""Answers to the exercise of notebook 11."""

from lab.exercises import side_by_side
from lab.exercises.ex11_book_in_parallel import HEAD, TAIL

from exercise_answers.answer import CORRECT, UNTOUCHED, Answer

REFERENCE = side_by_side.solution_code

TASK_GROUP = (
    HEAD
    + """            async with asyncio.TaskGroup() as group:
                seat = group.create_task(
                    step(Activities.book_flight, Activities.cancel_flight, request)
                )
                room = group.create_task(
                    step(Activities.book_hotel, Activities.cancel_hotel, request)
                )
                wheels = group.create_task(
                    step(Activities.book_car, Activities.cancel_car, request)
                )
            flight, hotel, car = seat.result(), room.result(), wheels.result()
"""
    + TAIL
)

OWN_LIST = """
@workflow.defn
class Mine:
    @workflow.run
    async def run(self, request: TripRequest) -> int:
        await call(Activities.store_booking_request, request)
        undos = []
        try:
            undos += [Activities.cancel_flight, Activities.cancel_hotel, Activities.cancel_car]
            results = await asyncio.gather(
                call(Activities.book_flight, request),
                call(Activities.book_hotel, request),
                call(Activities.book_car, request),
                return_exceptions=True,
            )
            for result in results:
                if isinstance(result, BaseException):
                    raise result
            price = sum([booking.price_cents for booking in results])
            undos.append(Activities.refund_payment)
            bill = PaymentRequest(request.confirmation_code, request.customer, price)
            await call(Activities.accept_payment, bill)
        except (FailureError, asyncio.CancelledError):
            await uninterrupted(self.undo(undos, Cancellation(request.confirmation_code)))
            raise
        return price

    async def undo(self, undos, trip):
        for undo in reversed(undos):
            await call_undo(undo, trip)
"""

SEQUENTIAL = (
    HEAD
    + """            flight = await step(Activities.book_flight, Activities.cancel_flight, request)
            hotel = await step(Activities.book_hotel, Activities.cancel_hotel, request)
            car = await step(Activities.book_car, Activities.cancel_car, request)
"""
    + TAIL
)

TWO_AT_ONCE = (
    HEAD
    + """            flight = await step(Activities.book_flight, Activities.cancel_flight, request)
            hotel, car = await asyncio.gather(
                step(Activities.book_hotel, Activities.cancel_hotel, request),
                step(Activities.book_car, Activities.cancel_car, request),
            )
"""
    + TAIL
)

SIBLINGS_LOST = """
@workflow.defn
class Mine:
    @workflow.run
    async def run(self, request: TripRequest) -> int:
        await call(Activities.store_booking_request, request)
        self.undos = []
        try:
            flight, hotel, car = await asyncio.gather(
                self.book(Activities.book_flight, request, Activities.cancel_flight),
                self.book(Activities.book_hotel, request, Activities.cancel_hotel),
                self.book(Activities.book_car, request, Activities.cancel_car),
            )
            price = flight.price_cents + hotel.price_cents + car.price_cents
            bill = PaymentRequest(request.confirmation_code, request.customer, price)
            await call(Activities.accept_payment, bill)
        except ActivityError:
            for undo in reversed(self.undos):
                await call_undo(undo, Cancellation(request.confirmation_code))
            raise
        return price

    async def book(self, do, request, undo):
        result = await call(do, request)
        self.undos.append(undo)
        return result
"""

ANSWERS = {
    "side_by_side": {
        "untouched": Answer(side_by_side.skeleton, UNTOUCHED),
        "reference, gather": Answer(REFERENCE, CORRECT),
        "task group": Answer(TASK_GROUP, CORRECT),
        "a list, settled by gather": Answer(OWN_LIST, CORRECT),
        "one after the other": Answer(SEQUENTIAL, "not parallel"),
        "siblings lost": Answer(SIBLINGS_LOST, "siblings lost"),
        "two at once": Answer(TWO_AT_ONCE, "not parallel"),
    }
}
