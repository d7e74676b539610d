"""Notebook 07: register first, and a provider that can be asked twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from lab.checking.common import (
    cancel_during,
    cancel_with_reply,
    happy,
    lost_reply,
    outage,
    rejection,
)
from lab.checking.exercise import ValueExercise, WorkflowExercise
from lab.checking.report_card import Line
from lab.checking.trials import Problem
from lab.simulation import NeverYields
from lab.simulation.guard import guarded

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
    + """            # --- your code: three bookings, price_cents, the payment, and their undos ---
            raise NotImplementedError("your steps; when does each undo go on the list?")
            # --- end ---
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
        lost_reply("book_flight"),
        lost_reply("book_hotel"),
        lost_reply("book_car"),
        lost_reply("accept_payment"),
        cancel_during("book_car"),
        cancel_with_reply("book_hotel"),
    ),
    hints=(
        "Between the provider's commit and its reply lies a moment in which you know nothing.",
        "Look at the six lines under 'Register first' in this notebook: what happens before "
        "await do()?",
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


ROOM = "room"
_TRIP = "TRIP-1/book_hotel"


class _World:
    """A provider's rooms, of which one is held or not; ``answer`` is what it says to a booking."""

    def __init__(self, book: Any, cancel: Any, answer: Any = ROOM) -> None:
        self._book, self._cancel, self._answer = book, cancel, answer
        self.calls: dict[str, Any] = {}
        self.booked = self.canceled = 0
        self.answers: list[Any] = []
        self.broken = False

    def book(self, key: str = _TRIP) -> None:
        def action() -> Any:
            if self.broken:
                raise ConnectionError("The hotel's computer is down.")
            self.booked += 1
            return f"room {self.booked}" if self._answer == ROOM else self._answer

        self.answers.append(self._book(self.calls, key, action))

    def cancel(self, key: str = _TRIP) -> None:
        def action() -> None:
            if self.broken:
                raise ConnectionError("The hotel's computer is down.")
            self.canceled += 1

        self._cancel(self.calls, key, action)

    def fails(self, call: Any) -> bool:
        """Whether the call tells of the failure while the hotel's computer is down."""
        self.broken = True
        try:
            call()
        except ConnectionError:
            return True
        finally:
            self.broken = False
        return False


async def judge_provider(answer: Any) -> list[Line]:
    """Play the sequences in which calls arrive."""
    if not (isinstance(answer, Sequence) and len(answer) == 2 and all(map(callable, answer))):
        should = "two functions: check((book, cancel))"
        return [Line("your answer", should, Problem("bug", f"{answer!r:.60}"))]
    book, cancel = answer
    return await asyncio.to_thread(_play_all, book, cancel)


def _play_all(book: Any, cancel: Any) -> list[Line]:
    """Stops at the first that never ends."""
    lines: list[Line] = []
    for tried, should, play in SEQUENCES:
        lines.append(_played(book, cancel, tried, should, play))
        problem = lines[-1].problem
        if problem is not None and problem.mistake == "never ended":
            break
    return lines


def _played(book: Any, cancel: Any, tried: str, should: str, play: Any) -> Line:
    try:
        problem = guarded(lambda: play(_World(book, cancel)), "Your function", limit=2.0)
        return Line(tried, should, problem)
    except NotImplementedError:
        raise
    except NeverYields as endless:
        return Line(tried, should, Problem("never ended", str(endless)))
    except Exception as error:
        return Line(tried, should, Problem("bug", f"{type(error).__name__}: {error}"))


def _once(world: _World) -> Problem | None:
    world.book()
    held = world.booked == 1 and world.answers == ["room 1"]
    return None if held else Problem("incomplete", f"{world.booked} rooms, answer {world.answers}")


def _twice(world: _World) -> Problem | None:
    for _ in range(3):
        world.book()
    if world.booked != 1:
        return Problem("not idempotent", f"{world.booked} rooms were booked")
    if world.answers != ["room 1"] * 3:
        return Problem("not idempotent", f"the second answer was {world.answers[1]!r}")
    return None


def _whatever_it_answers(world: _World) -> Problem | None:
    """An empty answer is an answer."""
    for answer in (None, "", 0, [], False, "room"):
        one = _World(world._book, world._cancel, answer if answer != ROOM else ROOM)
        one.book()
        one.book()
        if one.booked != 1:
            return Problem("not idempotent", f"{one.booked} rooms were booked, answer {answer!r}")
        if one.answers[0] != one.answers[1]:
            return Problem("not idempotent", f"the second answer was {one.answers[1]!r}")
        one.cancel()
        if one.canceled != 1:
            return Problem("undo forgotten", f"the room is still held; its answer was {answer!r}")
    return None


def _two_trips(world: _World) -> Problem | None:
    world.book("TRIP-1/book_hotel")
    world.book("TRIP-2/book_hotel")
    if world.booked != 2 or world.answers != ["room 1", "room 2"]:
        return Problem("incomplete", "the second trip got no room of its own")
    world.cancel("TRIP-1/book_hotel")
    world.cancel("TRIP-2/book_hotel")
    if world.canceled != 2:
        return Problem("undo forgotten", f"{world.canceled} of the two rooms released")
    return None


def _one_tombstone_each(world: _World) -> Problem | None:
    world.cancel("TRIP-1/book_hotel")
    world.book("TRIP-2/book_hotel")
    world.book("TRIP-2/book_car")
    if world.booked == 2:
        return None
    return Problem("incomplete", "one trip was cancelled, and another was refused")


def _failed_first(world: _World) -> Problem | None:
    """Nothing was done, so it is not remembered as done."""
    if not world.fails(world.book):
        return Problem("not idempotent", "the booking failed, and book() says nothing of it")
    world.book()
    if world.booked != 1 or world.answers != ["room 1"]:
        return Problem("not idempotent", "marked as done before it was done: no room was booked")
    return None


def _undo_failed_first(world: _World) -> Problem | None:
    """Nothing was undone, so it is not remembered as undone, and nobody believes it was."""
    world.book()
    if not world.fails(world.cancel):
        return Problem("undo forgotten", "the undo failed, and cancel() says nothing of it")
    world.cancel()
    if world.canceled == 1:
        return None
    return Problem("undo forgotten", "marked as undone before it was: the room is still held")


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
    world.cancel()
    return _refused(world, "it was booked again after its undo")


def _refused(world: _World, otherwise: str) -> Problem | None:
    before, answers = world.booked, len(world.answers)
    for _ in range(2):
        try:
            world.book()
        except Exception:
            continue
        if world.booked > before:
            return Problem("no tombstone", otherwise)
        return Problem("no tombstone", f"the late booking was told {world.answers[answers]!r}")
    return None if world.booked == before else Problem("no tombstone", otherwise)


SEQUENCES = (
    ("book", "one room", _once),
    ("book, book, book", "one room, the same answer each time", _twice),
    ("book for two trips", "two rooms", _two_trips),
    ("book, cancel", "the room is released", _undo),
    ("book, cancel, cancel", "it is released once", _undo_twice),
    ("cancel, book", "the late booking is refused", _undo_first),
    ("book, cancel, book", "the late booking is refused", _again_after_undo),
    ("cancel for one trip, book for another", "the other one gets its room", _one_tombstone_each),
    ("book, book: an empty answer", "one room, the same answer twice", _whatever_it_answers),
    ("book fails, book", "the second one books", _failed_first),
    ("book, cancel fails, cancel", "the second one releases", _undo_failed_first),
)

ask_twice = ValueExercise(
    name="ask_twice",
    title="Ask twice",
    judge_value=judge_provider,
    hints=(
        "The key says which call this is. The dict remembers what became of it.",
        "Look at undo_once in this notebook: what does it write if the key is new? Its partner is "
        "do_once, in travel/providers/once.py.",
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
