"""Notebook 12: an undo that is stuck, one that is refused, and a deadline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lab.breaking.scenarios import Scenario, fault_at
from lab.checking.common import (
    HOURS,
    NO_CAR,
    STANDS,
    happy,
    rejection,
    undo_down_for_good,
    undo_down_others_first,
)
from lab.checking.deadlines import (
    all_or_nothing,
    released_at_deadline,
    stands_with_email,
    stopped_at,
    told_of_deadline,
    told_of_what_came_first,
    undone_to_the_end,
)
from lab.checking.decisions import bears_repeating, listened, recorded, waited
from lab.checking.desk import Operator
from lab.checking.exercise import WorkflowExercise
from lab.checking.judging import Judge, booked, deterministic, emailed, released, within
from lab.checking.modules import PRELUDE
from lab.checking.trials import Trial
from travel.faults import Fault, ScriptedFault
from travel.models import Decision

STUCK_HEAD = """
@workflow.defn
class NeverStuck:
    @workflow.run
    async def run(self, request: TripRequest) -> int:
        await call(Activities.store_booking_request, request)
        trip, undos = Cancellation(request.confirmation_code), []
        try:
            flight = await call(Activities.book_flight, request)
            undos.append(Activities.cancel_flight)
            hotel = await call(Activities.book_hotel, request)
            undos.append(Activities.cancel_hotel)
            car = await call(Activities.book_car, request)
            undos.append(Activities.cancel_car)
            price_cents = flight.price_cents + hotel.price_cents + car.price_cents
            bill = PaymentRequest(request.confirmation_code, request.customer, price_cents)
            await call(Activities.accept_payment, bill)
        except ActivityError:
            await self.undo_all(undos, trip)
            raise
        return price_cents

    async def undo_all(self, undos, trip):
"""

STUCK_SKELETON = (
    STUCK_HEAD
    + """        # call_undo(undo, trip) tries for a minute; then it raises ActivityError.
        raise NotImplementedError("let nobody wait for a stuck neighbour")
"""
)

STUCK_SOLUTION = (
    STUCK_HEAD
    + """        while undos:
            for undo in reversed(tuple(undos)):
                try:
                    await call_undo(undo, trip)
                    undos.remove(undo)
                except ActivityError:
                    pass  # its next turn comes
            if undos:
                await workflow.sleep(timedelta(minutes=1))
"""
)

never_stuck = WorkflowExercise(
    name="never_stuck",
    title="Never stuck",
    skeleton=STUCK_SKELETON,
    trials=(
        happy(),
        rejection("accept_payment"),
        undo_down_others_first("cancel_hotel"),
        undo_down_others_first("cancel_car"),
        undo_down_for_good("cancel_hotel"),
    ),
    hints=(
        "An undo that fails gives its turn away, and comes again in the next round.",
        "Look at Saga._undo_all and at Saga._ask in travel/saga.py.",
        "while ...:  for undo in ...:  try: ...  except ActivityError: ...",
    ),
    solution_code=STUCK_SOLUTION,
    why="Each undo gets a turn of a minute, newest first, and leaves the list only when it has "
    "succeeded. One that fails raises nothing to the caller and holds nobody up: it gets "
    "another turn in the next round.",
)

WORD_PRELUDE = f"""{PRELUDE}
with workflow.unsafe.imports_passed_through():
    from travel.models import Decision, Settlement
"""

WORD_HEAD = """
@workflow.defn
class OperatorsWord:
    @workflow.init
    def __init__(self, request: TripRequest) -> None:
        self.code, self.saga = request.confirmation_code, Saga(rejections=REJECTIONS)

    @workflow.run
    async def run(self, request: TripRequest) -> int:
        await call(Activities.store_booking_request, request)
        async with self.saga:
            flight = await self.step(Activities.book_flight, Activities.cancel_flight, request)
            hotel = await self.step(Activities.book_hotel, Activities.cancel_hotel, request)
            car = await self.step(Activities.book_car, Activities.cancel_car, request)
            price_cents = flight.price_cents + hotel.price_cents + car.price_cents
            bill = PaymentRequest(self.code, request.customer, price_cents)
            await self.step(Activities.accept_payment, Activities.refund_payment, bill)
        return price_cents

    async def step(self, do, undo, message):
        undoing = partial(call_undo, undo, Cancellation(self.code))
        return await self.saga.step(partial(call, do, message), undo=undoing, name=undo.__name__)

    @workflow.update
    async def decide(self, decision: Decision) -> None:
"""

WORD_SKELETON = (
    WORD_HEAD
    + """        raise NotImplementedError("try it now, or settle it")

    @decide.validator
    def check(self, decision: Decision) -> None:
        raise NotImplementedError("raise ValueError(...) if it makes no sense")
"""
)

WORD_SOLUTION = (
    WORD_HEAD
    + """        if decision.settled_by:
            when = workflow.now().isoformat(timespec="seconds")
            settlement = Settlement(
                self.code, decision.undo, decision.settled_by, decision.because, when
            )
            await call(Activities.record_settlement, settlement)
            if decision.undo in self.saga.stuck:
                self.saga.settle(decision.undo)
        else:
            self.saga.try_now(decision.undo)

    @decide.validator
    def check(self, decision: Decision) -> None:
        if decision.undo not in self.saga.stuck:
            raise ValueError(f"{decision.undo} does not wait; waiting: {self.saga.stuck}")
        if bool(decision.settled_by) != bool(decision.because):
            raise ValueError("expected a name and a reason")
"""
)

FOR_EVER = 1_000_000
ANN = ("Ann", "The hotel keeps its fee.")
BEN = ("Ben", "The airline is gone.")
WITH_NAME = "the first failure is told, and the database has who and why"


def _settles(operator: Operator) -> None:
    operator.wait(hours=3)
    operator.says(Decision("cancel_hotel", *ANN))


def _tries_now(operator: Operator) -> None:
    operator.says(Decision("cancel_hotel"))


def _nonsense(operator: Operator) -> None:
    for nonsense in (
        Decision("cancel_boat", *ANN),
        Decision("cancel_boat"),
        Decision("cancel_car", *ANN),
        Decision("cancel_hotel", "Ann"),
        Decision("cancel_hotel", because="The hotel keeps its fee."),
    ):
        operator.says(nonsense, sensible=False)
    operator.wait(minutes=1)
    operator.says(Decision("cancel_hotel", *ANN))


def _again(operator: Operator) -> None:
    hotel, flight = Decision("cancel_hotel", *ANN), Decision("cancel_flight", *BEN)
    operator.says(hotel)
    operator.says(hotel, sensible=None)
    operator.wait(minutes=1)
    operator.says(flight)


def _twice_at_once(operator: Operator) -> None:
    flight = Decision("cancel_flight", *BEN)
    operator.says(flight, flight, sensible=None)
    operator.wait(minutes=1)
    operator.says(Decision("cancel_hotel", *ANN))


def _decided(
    tried: str,
    should: str,
    operator: Callable[[Operator], None],
    *judges: Judge,
    often: int = FOR_EVER,
    both: bool = False,
) -> Trial:
    """No car is to be had, and the hotel refuses the undo ``often``; ``both``, the airline too."""
    refusing = dict.fromkeys(("cancel_hotel", "cancel_flight")[: 1 + both], often)
    asked = [waited(undo, times=1 if often == FOR_EVER else often + 1) for undo in refusing]
    return Trial(
        Scenario(tried, "refused undo", NO_CAR),
        should,
        (deterministic, *asked, bears_repeating, listened, *judges, released),
        refusing=refusing,
        operator=operator,
    )


def _forgetting(trial: Trial) -> Trial:
    scenario = replace(trial.scenario, name=f"{trial.name}, the Worker forgets")
    return replace(trial, scenario=scenario, forgetful=True, should="the same, after every replay")


_SETTLED = recorded(("cancel_hotel", *ANN))
_BOTH_SETTLED = recorded(("cancel_hotel", *ANN), ("cancel_flight", *BEN))

operators_word = WorkflowExercise(
    name="operators_word",
    title="The operator's word",
    skeleton=WORD_SKELETON,
    prelude=WORD_PRELUDE,
    trials=(
        happy(),
        _decided("settled by hand", WITH_NAME, _settles, _SETTLED),
        _decided("tried now", "undone, and nothing is held", _tries_now, recorded(), often=1),
        _decided("what makes no sense", "refused, and nothing happens", _nonsense, _SETTLED),
        _decided("said again", "the second time changes nothing", _again, _BOTH_SETTLED, both=True),
        _decided("twice at once", "the same", _twice_at_once, _BOTH_SETTLED, both=True),
        _forgetting(_decided("settled", WITH_NAME, _again, _BOTH_SETTLED, both=True)),
        _forgetting(_decided("tried now", "undone", _tries_now, recorded(), often=1)),
        rejection("accept_payment"),
    ),
    hints=(
        "Three questions: may this be said now? Who must know of it for good? And what if "
        "somebody has said it already?",
        "Look at check_decision, decide and _settle in travel/workflows/book_trip.py: what comes "
        "first, and what is asked after each await?",
        "await call(Activities.record_settlement, Settlement(...)), then if ... in "
        "self.saga.stuck: self.saga.settle(...); in check, raise ValueError(...)",
    ),
    shapes={
        "said again": "after the await look again:  if decision.undo in ...",
        "let in": "@decide.validator:  if ... not in self.saga.stuck: raise ValueError(...)",
        "turned away": "Decision(undo) without a name means: try it now",
    },
    solution_code=WORD_SOLUTION,
    why="The validator refuses before anything is written, so it changes nothing itself. Who and "
    "why are in the database before the undo leaves the list, and after that await the list is "
    "asked again, because the same word may have come twice.",
)

TIME_TAIL = """\
        email = ConfirmationEmail(request.confirmation_code, request.customer, "Booked.")
        try:
            await call(Activities.send_confirmation_email, email)
        except ActivityError:
            workflow.logger.warning("The confirmation email could not be sent.")
        return price_cents

    async def book(self, saga, request):
        async def step(do, undo, message):
            undoing = partial(call_undo, undo, Cancellation(request.confirmation_code))
            return await saga.step(partial(call, do, message), undo=undoing, name=undo.__name__)

        flight = await step(Activities.book_flight, Activities.cancel_flight, request)
        hotel = await step(Activities.book_hotel, Activities.cancel_hotel, request)
        car = await step(Activities.book_car, Activities.cancel_car, request)
        price_cents = flight.price_cents + hotel.price_cents + car.price_cents
        bill = PaymentRequest(request.confirmation_code, request.customer, price_cents)
        await step(Activities.accept_payment, Activities.refund_payment, bill)
        return price_cents
"""

TIME_HEAD = """
@workflow.defn
class InTime:
    @workflow.run
    async def run(self, request: TripRequest) -> int:
        await call(Activities.store_booking_request, request)
        async with Saga(rejections=REJECTIONS) as saga:
"""

TIME_SKELETON = (
    TIME_HEAD
    + """            # --- your code: request.book_within_seconds may be None, for no deadline ---
            raise NotImplementedError('fail with ApplicationError(..., type="DeadlineExceeded")')
            price_cents = await self.book(saga, request)
        # --- end ---
"""
    + TIME_TAIL
)

TIME_SOLUTION = (
    TIME_HEAD
    + """            seconds = request.book_within_seconds
            deadline = asyncio.create_task(self.fail_after(seconds, saga))
            price_cents = await self.book(saga, request)
        deadline.cancel()
"""
    + TIME_TAIL
    + """
    async def fail_after(self, seconds, saga):
        if seconds is not None:
            await workflow.sleep(seconds)
            late = ApplicationError(f"Not booked in {seconds} seconds.", type="DeadlineExceeded")
            saga.fail(late)
"""
)

SECONDS = 4
_PAYING = {"accept_payment": 2.5}
_SLOW = {"book_flight": 2.5, "book_hotel": 2.5, "book_car": 2.5}
_TOO_LATE = (stopped_at(SECONDS), undone_to_the_end, told_of_deadline, released_at_deadline)
UNDONE_IN_TIME = "undone from then on, and the caller is told of the deadline"


_SILENT = fault_at("book_hotel", Fault.NO_REPLY)


def _due(tried: str, should: str, *judges: Judge, **trial: Any) -> Trial:
    """A trip with a deadline; ``changes``, ``faults`` are the scenario's."""
    changes = {"book_within_seconds": SECONDS, **trial.pop("changes", {})}
    scenario = Scenario(tried, "deadline", changes, trial.pop("faults", ()))
    return Trial(scenario, should, judges, **trial)


def _down_for_hours(undo: str) -> ScriptedFault:
    return fault_at(undo, Fault.OUTAGE, *range(1, HOURS + 1))


in_time = WorkflowExercise(
    name="in_time",
    title="In time",
    skeleton=TIME_SKELETON,
    trials=(
        happy(),
        _due("all are slow", UNDONE_IN_TIME, *_TOO_LATE, taking=_SLOW),
        _due(
            "time enough",
            STANDS,
            booked,
            emailed,
            within(1, "too slow"),
            changes={"book_within_seconds": 3600},
            taking=_SLOW,
        ),
        _due("the hotel is silent", UNDONE_IN_TIME, *_TOO_LATE, faults=(_SILENT,)),
        _due(
            "too late, and an undo is down",
            "undone to the end, however long it takes",
            *_TOO_LATE,
            taking=_SLOW,
            faults=(_down_for_hours("cancel_flight"),),
        ),
        _due(
            "no such car, and an undo is down",
            "the deadline ends no undo; the caller is told of the car",
            undone_to_the_end,
            told_of_what_came_first,
            released,
            changes=NO_CAR,
            faults=(_down_for_hours("cancel_flight"),),
        ),
        _due(
            "paid in time, and a slow email",
            "the trip stands, and the email goes out",
            stands_with_email,
            changes={"book_within_seconds": 1},
            taking={"send_confirmation_email": 2.5},
        ),
        _due(
            "too late while paying",
            "paid and booked, or neither",
            all_or_nothing,
            taking=_PAYING,
            changes={"book_within_seconds": 2},
        ),
        rejection("accept_payment"),
    ),
    hints=(
        "Whom may the deadline stop: the booking, the undoing, the email?",
        "Look at BookTrip._deadline, and at where BookTrip.run stops it.",
        "asyncio.create_task(...) of a function that sleeps and then calls saga.fail(...)",
    ),
    shapes={
        "deadline hidden": 'saga.fail(ApplicationError(..., type="DeadlineExceeded")); a step that '
        "is stopped raises ActivityError, not TimeoutError",
        "cut short": "the limit belongs inside  async with Saga(...)  , not around it",
        "bug": "if ... is not None  before you sleep",
    },
    solution_code=TIME_SOLUTION,
    why="The timer makes the saga fail, and does no more: undoing runs without a limit, and the "
    "deadline is the failure that the caller sees. Before the block and after it saga.fail does "
    "nothing, so a trip that is paid stands, and a failure that came first stays the first.",
)
