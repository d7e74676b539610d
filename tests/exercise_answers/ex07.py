"""Answers to the exercises of notebook 07."""

from contextlib import suppress
from typing import Any

from lab.exercises import register_first

from exercise_answers.answer import CORRECT, UNTOUCHED, Answer, changed
from exercise_answers.ex03 import OUR_SAGA
from travel.errors import Rejected

FIRST = register_first.solution_code

EXIT_STACK = """
@workflow.defn
class Mine:
    @workflow.run
    async def run(self, request: TripRequest) -> int:
        await call(Activities.store_booking_request, request)
        trip = Cancellation(request.confirmation_code)
        stack = AsyncExitStack()
        try:
            stack.push_async_callback(call_undo, Activities.cancel_flight, trip)
            flight = await call(Activities.book_flight, request)
            stack.push_async_callback(call_undo, Activities.cancel_hotel, trip)
            hotel = await call(Activities.book_hotel, request)
            stack.push_async_callback(call_undo, Activities.cancel_car, trip)
            car = await call(Activities.book_car, request)
            price = flight.price_cents + hotel.price_cents + car.price_cents
            bill = PaymentRequest(request.confirmation_code, request.customer, price)
            stack.push_async_callback(call_undo, Activities.refund_payment, trip)
            await call(Activities.accept_payment, bill)
        except BaseException:
            await uninterrupted(stack.aclose())
            raise
        return price
"""

FLAGS = """
@workflow.defn
class Mine:
    @workflow.run
    async def run(self, request: TripRequest) -> int:
        await call(Activities.store_booking_request, request)
        self.begun = []
        try:
            price = 0
            for name in ("flight", "hotel", "car"):
                self.begun.insert(0, getattr(Activities, f"cancel_{name}"))
                price += (await call(getattr(Activities, f"book_{name}"), request)).price_cents
            self.begun.insert(0, Activities.refund_payment)
            bill = PaymentRequest(request.confirmation_code, request.customer, price)
            await call(Activities.accept_payment, bill)
            return price
        except (FailureError, asyncio.CancelledError):
            await uninterrupted(self.undo(Cancellation(request.confirmation_code)))
            raise

    async def undo(self, trip):
        for undo in self.begun:
            await call_undo(undo, trip)
"""


def swapped(name: str, undo: str, message: str = "request") -> tuple[str, str]:
    """Replace "register, then do" by "do, then register"."""
    register = f"            undos.append(Activities.{undo})\n"
    do = next(line for line in FIRST.splitlines(True) if f"Activities.{name}, {message}" in line)
    return register + do, do + register


LATE = changed(
    FIRST,
    swapped("book_flight", "cancel_flight"),
    swapped("book_hotel", "cancel_hotel"),
    swapped("book_car", "cancel_car"),
    swapped("accept_payment", "refund_payment", "bill"),
)


def untouched(calls: dict[str, Any], key: str, action: Any) -> Any:
    raise NotImplementedError


def book(calls: dict[str, Any], key: str, action: Any) -> Any:
    if key not in calls:
        calls[key] = action()
    if calls[key] == "undone":
        raise Rejected("it was undone")
    return calls[key]


def cancel(calls: dict[str, Any], key: str, action: Any) -> None:
    if calls.get(key, "undone") != "undone":
        action()
    calls[key] = "undone"


def book_with_states(calls: dict[str, Any], key: str, action: Any) -> Any:
    state, answer = calls.setdefault(key, ("new", None))
    if state == "undone":
        raise ValueError("too late")
    if state == "new":
        answer = action()
        calls[key] = ("done", answer)
    return answer


def cancel_with_states(calls: dict[str, Any], key: str, action: Any) -> None:
    state, _ = calls.get(key, ("new", None))
    if state == "done":
        action()
    calls[key] = ("undone", None)


def book_with_two_keys(calls: dict[str, Any], key: str, action: Any) -> Any:
    if calls.get(f"{key}/tombstone"):
        raise Rejected("it was undone")
    if key not in calls:
        calls[key] = action()
    return calls[key]


def cancel_with_two_keys(calls: dict[str, Any], key: str, action: Any) -> None:
    if key in calls and f"{key}/tombstone" not in calls:
        action()
    calls[f"{key}/tombstone"] = True


def book_again(calls: dict[str, Any], key: str, action: Any) -> Any:
    if calls.get(key) == "undone":
        raise Rejected("it was undone")
    calls[key] = action()
    return calls[key]


def book_other_answer(calls: dict[str, Any], key: str, action: Any) -> Any:
    if key in calls:
        if calls[key] == "undone":
            raise Rejected("it was undone")
        return None
    calls[key] = action()
    return calls[key]


def cancel_without_tombstone(calls: dict[str, Any], key: str, action: Any) -> None:
    if key in calls:
        action()
        del calls[key]


def cancel_every_time(calls: dict[str, Any], key: str, action: Any) -> None:
    action()
    calls[key] = "undone"


def cancel_marked_before(calls: Any, key: str, action: Any) -> None:
    before = dict(calls)
    calls[key] = "undone"
    if before.get(key, "undone") != "undone":
        action()


def cancel_hiding_failure(calls: Any, key: str, action: Any) -> None:
    with suppress(Exception):
        cancel(calls, key, action)
    cancel(calls, key, lambda: None)


ANSWERS = {
    "register_first": {
        "untouched": Answer(register_first.skeleton, UNTOUCHED),
        "reference": Answer(FIRST, CORRECT),
        "exit stack": Answer(EXIT_STACK, CORRECT),
        "a loop with names": Answer(FLAGS, CORRECT),
        "our Saga": Answer(OUR_SAGA, CORRECT),
        "registered after success": Answer(LATE, "registered late"),
        "only the car late": Answer(
            changed(FIRST, swapped("book_car", "cancel_car")), "registered late"
        ),
        "refund forgotten": Answer(
            changed(FIRST, ("            undos.append(Activities.refund_payment)\n", "")),
            "refund forgotten",
        ),
        "refund registered late": Answer(
            changed(FIRST, swapped("accept_payment", "refund_payment", "bill")), "refund forgotten"
        ),
        "everything registered at once": Answer(
            changed(
                FIRST,
                ("        undos = []\n", "        undos = [Activities.refund_payment]\n"),
            ),
            "everything",
        ),
    },
    "ask_twice": {
        "untouched": Answer((untouched, untouched), UNTOUCHED),
        "reference": Answer((book, cancel), CORRECT),
        "states": Answer((book_with_states, cancel_with_states), CORRECT),
        "two keys": Answer((book_with_two_keys, cancel_with_two_keys), CORRECT),
        "books again": Answer((book_again, cancel), "not idempotent"),
        "another answer the second time": Answer((book_other_answer, cancel), "not idempotent"),
        "no tombstone": Answer((book, cancel_without_tombstone), "no tombstone"),
        "undone twice": Answer((book, cancel_every_time), "undone twice"),
        "undo marked before it is done": Answer((book, cancel_marked_before), "undo forgotten"),
        "undo that hides its failure": Answer((book, cancel_hiding_failure), "undo forgotten"),
    },
}
