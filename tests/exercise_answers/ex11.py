"""Answers to the exercise of notebook 11."""

from lab.exercises import side_by_side
from lab.exercises.ex11_book_in_parallel import HEAD, TAIL

from exercise_answers.answer import CORRECT, UNTOUCHED, Answer, changed

REFERENCE = side_by_side.solution_code

TASK_GROUP = (
    HEAD
    + """            async with asyncio.TaskGroup() as group:
                wheels = group.create_task(
                    step(Activities.book_car, Activities.cancel_car, request)
                )
                flight = await step(Activities.book_flight, Activities.cancel_flight, request)
                hotel = await step(Activities.book_hotel, Activities.cancel_hotel, request)
            car = wheels.result()
"""
    + TAIL
)

A_TASK_BESIDE = (
    HEAD
    + """            wheels = asyncio.create_task(
                step(Activities.book_car, Activities.cancel_car, request)
            )
            flight = await step(Activities.book_flight, Activities.cancel_flight, request)
            hotel = await step(Activities.book_hotel, Activities.cancel_hotel, request)
            car = await wheels
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
            undos += [Activities.cancel_flight, Activities.cancel_car]
            results = await asyncio.gather(
                self.flight_then_hotel(request, undos),
                call(Activities.book_car, request),
                return_exceptions=True,
            )
            for result in results:
                if isinstance(result, BaseException):
                    raise result
            (flight, hotel), car = results
            price = sum([booking.price_cents for booking in (flight, hotel, car)])
            undos.append(Activities.refund_payment)
            bill = PaymentRequest(request.confirmation_code, request.customer, price)
            await call(Activities.accept_payment, bill)
        except (FailureError, asyncio.CancelledError):
            await uninterrupted(self.undo(undos, Cancellation(request.confirmation_code)))
            raise
        return price

    async def flight_then_hotel(self, request, undos):
        flight = await call(Activities.book_flight, request)
        undos.append(Activities.cancel_hotel)
        return flight, await call(Activities.book_hotel, request)

    async def undo(self, undos, trip):
        for undo in reversed(undos):
            await call_undo(undo, trip)
"""

CAR_UNDONE_FIRST = changed(
    OWN_LIST, ("undos.append(Activities.cancel_hotel)", "undos.insert(1, Activities.cancel_hotel)")
)

SEQUENTIAL = (
    HEAD
    + """            flight = await step(Activities.book_flight, Activities.cancel_flight, request)
            hotel = await step(Activities.book_hotel, Activities.cancel_hotel, request)
            car = await step(Activities.book_car, Activities.cancel_car, request)
"""
    + TAIL
)

BY_EVENT = (
    HEAD
    + """            landed = asyncio.Event()

            async def fly():
                seat = await step(Activities.book_flight, Activities.cancel_flight, request)
                landed.set()
                return seat

            async def sleep_well():
                await landed.wait()
                return await step(Activities.book_hotel, Activities.cancel_hotel, request)

            flight, hotel, car = await asyncio.gather(
                fly(), sleep_well(), step(Activities.book_car, Activities.cancel_car, request)
            )
"""
    + TAIL
)

COPIED = (
    HEAD
    + """            flight, hotel, car = await asyncio.gather(
                step(Activities.book_flight, Activities.cancel_flight, request),
                step(Activities.book_hotel, Activities.cancel_hotel, request),
                step(Activities.book_car, Activities.cancel_car, request),
            )
"""
    + TAIL
)

BOTH_THEN_HOTEL = (
    HEAD
    + """            flight, car = await asyncio.gather(
                step(Activities.book_flight, Activities.cancel_flight, request),
                step(Activities.book_car, Activities.cancel_car, request),
            )
            hotel = await step(Activities.book_hotel, Activities.cancel_hotel, request)
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
            (flight, hotel), car = await asyncio.gather(
                self.flight_then_hotel(request),
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

    async def flight_then_hotel(self, request):
        flight = await self.book(Activities.book_flight, request, Activities.cancel_flight)
        return flight, await self.book(Activities.book_hotel, request, Activities.cancel_hotel)

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
        "a task beside": Answer(A_TASK_BESIDE, CORRECT),
        "an event between them": Answer(BY_EVENT, CORRECT),
        "a list, settled by gather": Answer(OWN_LIST, CORRECT),
        "the car undone before the hotel": Answer(CAR_UNDONE_FIRST, CORRECT),
        "every undo registered at once": Answer(
            changed(
                OWN_LIST,
                (
                    "[Activities.cancel_flight, ",
                    "[Activities.cancel_flight, Activities.cancel_hotel, ",
                ),
                ("        undos.append(Activities.cancel_hotel)\n", ""),
            ),
            "everything",
        ),
        "one after the other": Answer(SEQUENTIAL, "not parallel"),
        "siblings lost": Answer(SIBLINGS_LOST, "siblings lost"),
        "two at once": Answer(TWO_AT_ONCE, "not parallel"),
        "copied from the page": Answer(COPIED, "not the task"),
        "flight and car, then the hotel": Answer(BOTH_THEN_HOTEL, "not parallel"),
    }
}
