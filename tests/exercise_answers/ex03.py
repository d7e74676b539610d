"""Answers to the exercises of notebook 03."""

from inspect import getsource

from lab.designs.undo_what_succeeded import UndoWhatSucceeded
from lab.exercises import undo_in_reverse

from exercise_answers.answer import CORRECT, UNTOUCHED, Answer, changed

HEAD = """
@workflow.defn
class Mine:
    @workflow.run
    async def run(self, request: TripRequest) -> int:
        await call_once(Activities.store_booking_request, request)
        trip = Cancellation(request.confirmation_code)
"""

LIST_OF_UNDOS = (
    HEAD
    + """
        undos = []
        try:
            hotel = await call_once(Activities.book_hotel, request)
            undos.append(Activities.cancel_hotel)
            car = await call_once(Activities.book_car, request)
            undos.append(Activities.cancel_car)
            flight = await call_once(Activities.book_flight, request)
            undos.append(Activities.cancel_flight)
            price = flight.price_cents + hotel.price_cents + car.price_cents
            bill = PaymentRequest(request.confirmation_code, request.customer, price)
            await call_once(Activities.accept_payment, bill)
            undos.append(Activities.refund_payment)
        except ActivityError:
            for undo in reversed(undos):
                await call_undo(undo, trip)
            raise
        return price
"""
)

EXIT_STACK = (
    HEAD
    + """
        async with AsyncExitStack() as stack:
            hotel = await call_once(Activities.book_hotel, request)
            stack.push_async_callback(call_undo, Activities.cancel_hotel, trip)
            car = await call_once(Activities.book_car, request)
            stack.push_async_callback(call_undo, Activities.cancel_car, trip)
            flight = await call_once(Activities.book_flight, request)
            stack.push_async_callback(call_undo, Activities.cancel_flight, trip)
            price = flight.price_cents + hotel.price_cents + car.price_cents
            bill = PaymentRequest(request.confirmation_code, request.customer, price)
            await call_once(Activities.accept_payment, bill)
            stack.pop_all()
        return price
"""
)

OUR_SAGA = (
    HEAD
    + """
        async with Saga(rejections=REJECTIONS) as saga:
            async def step(do, undo, message):
                return await saga.step(
                    partial(call, do, message),
                    undo=partial(call_undo, undo, trip),
                    name=undo.__name__,
                )
            hotel = await step(Activities.book_hotel, Activities.cancel_hotel, request)
            car = await step(Activities.book_car, Activities.cancel_car, request)
            flight = await step(Activities.book_flight, Activities.cancel_flight, request)
            price = flight.price_cents + hotel.price_cents + car.price_cents
            bill = PaymentRequest(request.confirmation_code, request.customer, price)
            await step(Activities.accept_payment, Activities.refund_payment, bill)
        return price
"""
)

CLASS_HIERARCHY = """
class Undoing:
    def __init__(self) -> None:
        self.undos = []

    async def do(self, activity, message, undo):
        result = await call_once(activity, message)
        self.undos.insert(0, undo)
        return result

    async def roll_back(self, trip):
        for undo in self.undos:
            await call_undo(undo, trip)


@workflow.defn
class Mine(Undoing):
    @workflow.run
    async def run(self, request: TripRequest) -> int:
        await call_once(Activities.store_booking_request, request)
        try:
            return await self.book(request)
        except ActivityError:
            await self.roll_back(Cancellation(request.confirmation_code))
            raise

    async def book(self, request):
        hotel = await self.do(Activities.book_hotel, request, Activities.cancel_hotel)
        car = await self.do(Activities.book_car, request, Activities.cancel_car)
        flight = await self.do(Activities.book_flight, request, Activities.cancel_flight)
        price = flight.price_cents + hotel.price_cents + car.price_cents
        bill = PaymentRequest(request.confirmation_code, request.customer, price)
        await self.do(Activities.accept_payment, bill, Activities.refund_payment)
        return price
"""

REFERENCE = undo_in_reverse.solution_code

A_VARIABLE_A_STEP = (
    HEAD
    + """
        flight = hotel = car = payment = None
        try:
            hotel = await call_once(Activities.book_hotel, request)
            car = await call_once(Activities.book_car, request)
            flight = await call_once(Activities.book_flight, request)
            price = flight.price_cents + hotel.price_cents + car.price_cents
            bill = PaymentRequest(request.confirmation_code, request.customer, price)
            payment = await call_once(Activities.accept_payment, bill)
        except ActivityError:
            if payment:
                await call_undo(Activities.refund_payment, trip)
            if flight:
                await call_undo(Activities.cancel_flight, trip)
            if car:
                await call_undo(Activities.cancel_car, trip)
            if hotel:
                await call_undo(Activities.cancel_hotel, trip)
            raise
        return price
"""
)

COPIED = changed(
    getsource(UndoWhatSucceeded),
    (getsource(UndoWhatSucceeded).partition("raise\n")[2], "        return price_cents\n"),
)
UNDO_FLIGHT = """            if flight:
                await call_undo(Activities.cancel_flight, trip)
"""
UNDOS_COPIED = changed(
    A_VARIABLE_A_STEP,
    (UNDO_FLIGHT, ""),
    ("            raise\n", UNDO_FLIGHT + "            raise\n"),
)

FORWARD_ORDER = changed(LIST_OF_UNDOS, ("reversed(undos)", "undos"))
EVERYTHING = changed(
    LIST_OF_UNDOS,
    (
        "reversed(undos)",
        "[Activities.refund_payment, Activities.cancel_car,\n"
        "                Activities.cancel_hotel, Activities.cancel_flight]",
    ),
)

ANSWERS = {
    "undo_in_reverse": {
        "untouched": Answer(undo_in_reverse.skeleton, UNTOUCHED),
        "reference, list of undos": Answer(REFERENCE, CORRECT),
        "the refund in the list too": Answer(LIST_OF_UNDOS, CORRECT),
        "if result:": Answer(A_VARIABLE_A_STEP, CORRECT),
        "exit stack": Answer(EXIT_STACK, CORRECT),
        "our Saga": Answer(OUR_SAGA, CORRECT),
        "class hierarchy": Answer(CLASS_HIERARCHY, CORRECT),
        "copied from the page, whole": Answer(COPIED, "not the task"),
        "the undos copied from the page": Answer(UNDOS_COPIED, "wrong order"),
        "forward order": Answer(FORWARD_ORDER, "wrong order"),
        "compensates everything": Answer(EVERYTHING, "everything"),
        "nothing awaited": Answer(
            changed(LIST_OF_UNDOS, ("await call_undo", "call_undo")), "not awaited"
        ),
        "tasks that nobody awaits": Answer(
            changed(
                LIST_OF_UNDOS,
                ("await call_undo(undo, trip)", "asyncio.create_task(call_undo(undo, trip))"),
            ),
            "not awaited",
        ),
        "error swallowed": Answer(
            changed(
                LIST_OF_UNDOS,
                (
                    "            raise\n        return price",
                    "            return 0\n        return price",
                ),
            ),
            "error swallowed",
        ),
        "another error raised": Answer(
            changed(
                LIST_OF_UNDOS,
                ("            raise\n", "            raise ApplicationError('undone') from None\n"),
            ),
            "cause hidden",
        ),
        "hotel forgotten": Answer(
            changed(LIST_OF_UNDOS, ("            undos.append(Activities.cancel_hotel)\n", "")),
            "undo forgotten",
        ),
        "request not stored": Answer(
            changed(
                LIST_OF_UNDOS,
                ("        await call_once(Activities.store_booking_request, request)\n", ""),
            ),
            "not stored",
        ),
        "random in the Workflow": Answer(
            changed(
                LIST_OF_UNDOS,
                ("undos = []", "import random\n        undos, chance = [], random.random()"),
            ),
            "not deterministic",
        ),
        "the clock in the Workflow": Answer(
            changed(
                LIST_OF_UNDOS,
                (
                    "undos = []",
                    "import datetime\n        undos = []\n        datetime.datetime.now()",
                ),
            ),
            "not deterministic",
        ),
        "a misspelt name": Answer(changed(LIST_OF_UNDOS, ("undo, trip", "undo, tripp")), "bug"),
    }
}
