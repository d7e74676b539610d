"""Notebook 07: register first, and a provider that can be asked twice."""

from __future__ import annotations

from typing import Any

from lab.checking.common import (
    cancel_during,
    happy,
    lost_reply,
    outage,
    rejection,
)
from lab.checking.exercise import ValueExercise, WorkflowExercise
from lab.checking.report_card import Line
from lab.checking.trials import Problem

HEAD = """
@workflow.defn
class RegisterFirst:
    @workflow.run
    async def run(self, request: TripRequest) -> int:
        await call(Activities.store_booking_request, request)
        trip = Cancellation(request.confirmation_code)
        undos = []
        try:
"""

TAIL = """        except (ActivityError, asyncio.CancelledError):
            await uninterrupted(self.undo_all(undos, trip))
            raise
        return price_cents

    async def undo_all(self, undos, trip):
        for undo in reversed(undos):
            await call_undo(undo, trip)
"""

SKELETON = (
    HEAD
    + """            # The three bookings and the payment. When does each undo go on the list?
            raise NotImplementedError("your steps")
"""
    + TAIL
)

SOLUTION = (
    HEAD
    + """            undos.append(Activities.cancel_flight)
            flight = await call(Activities.book_flight, request)
            undos.append(Activities.cancel_hotel)
            hotel = await call(Activities.book_hotel, request)
            undos.append(Activities.cancel_car)
            car = await call(Activities.book_car, request)
            price_cents = flight.price_cents + hotel.price_cents + car.price_cents
            bill = PaymentRequest(request.confirmation_code, request.customer, price_cents)
            undos.append(Activities.refund_payment)
            await call(Activities.accept_payment, bill)
"""
    + TAIL
)

register_first = WorkflowExercise(
    name="register_first",
    title="Register first",
    skeleton=SKELETON,
    trials=(
        happy(),
        rejection("book_car"),
        outage("book_hotel"),
        lost_reply("book_hotel"),
        lost_reply("book_car"),
        lost_reply("accept_payment"),
        cancel_during("book_car"),
    ),
    hints=(
        "Between the provider's commit and its reply lies a moment in which you know nothing.",
        "Look at the first lines of Saga.step in this notebook: what happens before await do()?",
        "undos.append(...)  stands on one side of its step. On which?",
    ),
    shapes={
        "refund forgotten": "refund_payment goes on the list like the others, before its step",
    },
    solution_code=SOLUTION,
    why="Once a step has been started only its provider knows whether it happened, so its undo is "
    "on the list before that. An undo of something never done costs a call and changes nothing.",
)

PROVIDER = '''
from travel.errors import Rejected


def book(calls, key, action):
    """Carry out action() under this key, once; return its answer, each time."""
    if key not in calls:
        calls[key] = action()
    if calls[key] == "undone":
        raise Rejected("it was undone, so it can no longer be done")
    return calls[key]


def cancel(calls, key, action):
    """Undo what was done under this key, once; if nothing was, see that nothing will be."""
    if calls.get(key, "undone") != "undone":
        action()
    calls[key] = "undone"
'''


class _World:
    """A provider's rooms, of which one is held or not."""

    def __init__(self, book: Any, cancel: Any) -> None:
        self._book, self._cancel = book, cancel
        self.calls: dict[str, Any] = {}
        self.booked = self.canceled = 0
        self.answers: list[Any] = []

    def book(self, key: str = "TRIP-1/book_hotel") -> None:
        def action() -> str:
            self.booked += 1
            return f"room {self.booked}"

        self.answers.append(self._book(self.calls, key, action))

    def cancel(self, key: str = "TRIP-1/book_hotel") -> None:
        def action() -> None:
            self.canceled += 1

        self._cancel(self.calls, key, action)


async def judge_provider(answer: Any) -> list[Line]:
    """Play the sequences in which calls arrive."""
    book, cancel = answer
    return [_played(book, cancel, *sequence) for sequence in SEQUENCES]


def _played(book: Any, cancel: Any, tried: str, should: str, play: Any) -> Line:
    try:
        return Line(tried, should, play(_World(book, cancel)))
    except NotImplementedError:
        raise
    except Exception as error:
        return Line(tried, should, Problem("bug", f"{type(error).__name__}: {error}"))


def _once(world: _World) -> Problem | None:
    world.book()
    held = world.booked == 1 and world.answers == ["room 1"]
    return None if held else Problem("incomplete", f"{world.booked} rooms, answer {world.answers}")


def _twice(world: _World) -> Problem | None:
    world.book()
    world.book()
    if world.booked != 1:
        return Problem("not idempotent", f"{world.booked} rooms were booked")
    if world.answers != ["room 1", "room 1"]:
        return Problem("not idempotent", f"the second answer was {world.answers[1]!r}")
    return None


def _two_trips(world: _World) -> Problem | None:
    world.book("TRIP-1/book_hotel")
    world.book("TRIP-2/book_hotel")
    return None if world.booked == 2 else Problem("incomplete", "the second trip got no room")


def _undo(world: _World) -> Problem | None:
    world.book()
    world.cancel()
    return None if world.canceled == 1 else Problem("undo forgotten", "the room is still held")


def _undo_twice(world: _World) -> Problem | None:
    world.book()
    world.cancel()
    world.cancel()
    if world.canceled == 1:
        return None
    return Problem("undone twice", f"it was released {world.canceled} times")


def _undo_first(world: _World) -> Problem | None:
    world.cancel()
    if world.canceled:
        return Problem("undone twice", "something was released that was never booked")
    return _refused(world, "the late booking got a room that nobody will cancel")


def _again_after_undo(world: _World) -> Problem | None:
    world.book()
    world.cancel()
    return _refused(world, "it was booked again after its undo")


def _refused(world: _World, otherwise: str) -> Problem | None:
    before, answers = world.booked, len(world.answers)
    try:
        world.book()
    except Exception:
        return None if world.booked == before else Problem("no tombstone", otherwise)
    if world.booked > before:
        return Problem("no tombstone", otherwise)
    return Problem("no tombstone", f"the late booking was told {world.answers[answers]!r}")


SEQUENCES = (
    ("book", "one room", _once),
    ("book, book", "one room, the same answer twice", _twice),
    ("book for two trips", "two rooms", _two_trips),
    ("book, cancel", "the room is released", _undo),
    ("book, cancel, cancel", "it is released once", _undo_twice),
    ("cancel, book", "the late booking is refused", _undo_first),
    ("book, cancel, book", "the late booking is refused", _again_after_undo),
)

ask_twice = ValueExercise(
    name="ask_twice",
    title="Ask twice",
    judge_value=judge_provider,
    hints=(
        "The key says which call this is. The dict remembers what became of it.",
        "Look at the table of answers (done, refused, undone) in travel/providers/once.py.",
        "if key in calls: ...  in both functions; and what does cancel write under a key that is "
        "not there yet?",
    ),
    shapes={
        "no tombstone": "calls[key] = ...  in cancel, in any case, and a look at it in book",
    },
    solution_code=PROVIDER,
    why="The first call under a key acts and remembers its answer, every other call is told the "
    "same. An undo leaves a tombstone even if nothing was done yet, so it does not matter which "
    "of the two arrives first.",
)
