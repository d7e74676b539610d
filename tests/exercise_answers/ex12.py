"""Answers to the exercises of notebook 12."""

# ruff: noqa: E501  (lines of answers are as long as they are)

from lab.exercises import in_time, never_stuck, operators_word
from lab.exercises.ex12_when_an_undo_is_stuck import STUCK_HEAD, TIME_HEAD, WORD_HEAD

from exercise_answers.answer import CORRECT, UNTOUCHED, Answer, changed

ROUNDS = never_stuck.solution_code

AT_ONCE = (
    STUCK_HEAD
    + """        async def until_done(undo):
            while True:
                try:
                    return await call_undo(undo, trip)
                except ActivityError:
                    await workflow.sleep(60)

        await asyncio.gather(*[until_done(undo) for undo in reversed(undos)])
"""
)

RECURSIVE = (
    STUCK_HEAD
    + """        failed = []
        while undos:
            undo = undos.pop()
            try:
                await call_once(undo, trip)
            except FailureError:
                failed.insert(0, undo)
        if failed:
            await asyncio.sleep(60)
            await self.undo_all(failed, trip)
"""
)

ONE_AFTER_THE_OTHER = (
    STUCK_HEAD
    + """        for undo in reversed(undos):
            while True:
                try:
                    await call_undo(undo, trip)
                    break
                except ActivityError:
                    await workflow.sleep(60)
"""
)

GIVES_UP = (
    STUCK_HEAD
    + """        for undo in reversed(undos):
            try:
                await call_undo(undo, trip)
            except ActivityError:
                pass
"""
)

WORD = operators_word.solution_code
VALIDATOR = WORD[WORD.index("    @decide.validator") :]
BODY = WORD[len(WORD_HEAD) : WORD.index("\n    @decide.validator")]
RECORD = """            await call(Activities.record_settlement, settlement)
"""
SETTLE = """            if decision.undo in self.saga.stuck:
                self.saga.settle(decision.undo)
"""
TRY_NOW = """        else:
            self.saga.try_now(decision.undo)
"""

OUR_BOOK_TRIP = """
from travel.workflows.book_trip import BookTrip


@workflow.defn(name="Mine", failure_exception_types=[InvalidInput])
class Mine(BookTrip):
    @workflow.init
    def __init__(self, request: TripRequest) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: TripRequest):
        return await super().run(request)
"""

ANSWERED_AT_THE_END = (
    changed(
        WORD,
        (
            "        async with self.saga:\n",
            "        try:\n            return await self.all_of_it(request)\n        finally:\n"
            "            await uninterrupted(\n"
            "                workflow.wait_condition(workflow.all_handlers_finished)\n            )\n\n"
            "    async def all_of_it(self, request):\n        async with self.saga:\n",
        ),
        (VALIDATOR, ""),
    )
    + """
    @decide.validator
    def known(self, decision: Decision) -> None:
        waiting = {undo.name: undo for undo in self.saga.waiting}
        if waiting.get(decision.undo) is None:
            raise ApplicationError(f"nothing waits that is called {decision.undo}")
        if (decision.settled_by == "") is not (decision.because == ""):
            raise ApplicationError("who, and why?")
"""
)

BY_HAND = """
@workflow.defn
class ByHand:
    def __init__(self) -> None:
        self.undos, self.said, self.settled = [], [], set()

    @workflow.run
    async def run(self, request: TripRequest) -> int:
        self.trip = Cancellation(request.confirmation_code)
        await call(Activities.store_booking_request, request)
        try:
            flight = await self.step(Activities.book_flight, request, Activities.cancel_flight)
            hotel = await self.step(Activities.book_hotel, request, Activities.cancel_hotel)
            car = await self.step(Activities.book_car, request, Activities.cancel_car)
            price = flight.price_cents + hotel.price_cents + car.price_cents
            bill = PaymentRequest(request.confirmation_code, request.customer, price)
            await self.step(Activities.accept_payment, bill, Activities.refund_payment)
        except (ActivityError, asyncio.CancelledError):
            await uninterrupted(self.undo_all())
            raise
        return price

    async def step(self, do, message, undo):
        self.undos.insert(0, undo)
        return await call(do, message)

    async def undo_all(self):
        refused = [undo for undo in self.undos if not await self.undone(undo)]
        self.undos = refused
        while self.undos:
            await workflow.wait_condition(lambda: bool(self.said))
            decision = self.said.pop(0)
            for undo in [each for each in self.undos if each.__name__ == decision.undo]:
                if decision.settled_by:
                    words = (decision.settled_by, decision.because, workflow.now().isoformat())
                    settlement = Settlement(self.trip.confirmation_code, decision.undo, *words)
                    await call(Activities.record_settlement, settlement)
                    self.undos.remove(undo)
                elif await self.undone(undo):
                    self.undos.remove(undo)
        await workflow.wait_condition(workflow.all_handlers_finished)

    async def undone(self, undo):
        while True:
            try:
                await call_undo(undo, self.trip)
            except ActivityError as error:
                if isinstance(error.cause, ApplicationError) and error.cause.type == "Rejected":
                    return False
                await workflow.sleep(60)
            else:
                return True

    @workflow.update
    def decide(self, decision: Decision) -> list[str]:
        self.said.append(decision)
        return [undo.__name__ for undo in self.undos]

    @decide.validator
    def check(self, decision: Decision) -> None:
        if decision.undo not in [undo.__name__ for undo in self.undos] or self.trip is None:
            raise ValueError(decision.undo)
        if decision.undo == "cancel_car" or bool(decision.settled_by) ^ bool(decision.because):
            raise ValueError("not so")
"""

BY_LOCK = changed(
    WORD,
    (
        "Saga(rejections=REJECTIONS)\n",
        "Saga(rejections=REJECTIONS)\n        self.one = asyncio.Lock()\n",
    ),
    (
        BODY,
        """        async with self.one:
            if decision.undo not in self.saga.to_undo:
                return
            if not decision.settled_by:
                return self.saga.try_now(decision.undo)
            await workflow.execute_activity(
                "record_settlement",
                Settlement(self.code, decision.undo, decision.settled_by, decision.because, "now"),
                start_to_close_timeout=timedelta(seconds=10),
            )
            self.saga.settle(decision.undo)
""",
    ),
)

GLOBAL = "DECIDED = []\n" + changed(
    WORD,
    (
        "        if decision.settled_by:\n",
        "        if decision in DECIDED:\n            return\n"
        "        DECIDED.append(decision)\n        if decision.settled_by:\n",
    ),
)

VALIDATOR_REMEMBERS = changed(
    WORD,
    ("Saga(rejections=REJECTIONS)\n", "Saga(rejections=REJECTIONS)\n        self.word = None\n"),
    (
        VALIDATOR,
        VALIDATOR.rstrip("\n") + "\n        self.word = decision\n",
    ),
    (
        "        if decision.settled_by:\n",
        "        decision = self.word or Decision('')\n        if decision.settled_by:\n",
    ),
)

TIME = in_time.solution_code
TIMER = TIME[len(TIME_HEAD) : TIME.index("        email = Conf")]
DEADLINE = TIME[TIME.index("\n    async def fail_after") :]
LATE = 'ApplicationError("too late", type="DeadlineExceeded")'


def limited(text: str) -> str:
    return changed(TIME, (TIMER, text), (DEADLINE, ""))


TIMEOUT_INSIDE = limited(
    f"""            limit = asyncio.timeout(request.book_within_seconds)
            try:
                async with limit:
                    price_cents = await self.book(saga, request)
            except (TimeoutError, ActivityError) as error:
                raise {LATE} if limit.expired() else error
"""
)

TIMEOUT_AS_IN_PLAIN_PYTHON = limited(
    f"""            try:
                async with asyncio.timeout(request.book_within_seconds):
                    price_cents = await self.book(saga, request)
            except TimeoutError:
                raise {LATE} from None
"""
)

WAIT_FOR_INSIDE = limited(
    f"""            try:
                price_cents = await asyncio.wait_for(
                    self.book(saga, request), request.book_within_seconds
                )
            except asyncio.TimeoutError as error:
                raise {LATE} from error
"""
)

RACE = limited(
    f"""            booking = asyncio.create_task(self.book(saga, request))
            seconds = request.book_within_seconds
            await workflow.wait([booking], timeout=seconds)
            if not booking.done():
                booking.cancel()
                await workflow.wait([booking])
                raise {LATE}
            price_cents = await booking
"""
)

TIMEOUT_OUTSIDE = changed(
    TIME,
    (
        "        async with Saga",
        "        limit = asyncio.timeout(request.book_within_seconds)\n        try:\n"
        "            async with limit:\n                return await self.all_of_it(request)\n"
        "        except (TimeoutError, ActivityError) as error:\n"
        f"            raise {LATE} if limit.expired() else error\n\n"
        "    async def all_of_it(self, request):\n        async with Saga",
    ),
    (TIMER, "            price_cents = await self.book(saga, request)\n"),
    (DEADLINE, ""),
)

OWN_LIST = """
@workflow.defn
class Mine:
    @workflow.run
    async def run(self, request: TripRequest) -> int:
        await call(Activities.store_booking_request, request)
        trip, undos = Cancellation(request.confirmation_code), []
        try:
            async with asyncio.timeout(request.book_within_seconds) as limit:
                price = await self.book(request, undos)
        except (ActivityError, asyncio.CancelledError, TimeoutError):
            await uninterrupted(self.undo_all(undos, trip))
            if limit.expired():
                raise ApplicationError("too late", type="DeadlineExceeded") from None
            raise
        email = ConfirmationEmail(request.confirmation_code, request.customer, "Booked.")
        await asyncio.gather(
            call(Activities.send_confirmation_email, email), return_exceptions=True
        )
        return price

    async def book(self, request, undos):
        undos.append(Activities.cancel_flight)
        flight = await call(Activities.book_flight, request)
        undos.append(Activities.cancel_hotel)
        hotel = await call(Activities.book_hotel, request)
        undos.append(Activities.cancel_car)
        car = await call(Activities.book_car, request)
        price = flight.price_cents + hotel.price_cents + car.price_cents
        bill = PaymentRequest(request.confirmation_code, request.customer, price)
        undos.append(Activities.refund_payment)
        await call(Activities.accept_payment, bill)
        return price

    async def undo_all(self, undos, trip):
        for undo in reversed(undos):
            while True:
                try:
                    await call_undo(undo, trip)
                    break
                except ActivityError:
                    await workflow.sleep(60)
"""

TIMEOUT_AROUND_UNDOS = changed(
    OWN_LIST,
    (
        "        try:\n            async with asyncio.timeout(request.book_within_seconds) as limit:\n"
        "                price = await self.book(request, undos)\n",
        "        limit = asyncio.timeout(request.book_within_seconds)\n        try:\n"
        "            async with limit:\n"
        "                return await self.all_of_it(request, trip, undos)\n"
        "        except (TimeoutError, ActivityError) as error:\n"
        f"            raise {LATE} if limit.expired() else error\n\n"
        "    async def all_of_it(self, request, trip, undos):\n"
        "        try:\n            price = await self.book(request, undos)\n",
    ),
    ("await uninterrupted(self.undo_all(undos, trip))", "await self.undo_all(undos, trip)"),
    (
        "            if limit.expired():\n"
        '                raise ApplicationError("too late", type="DeadlineExceeded") from None\n',
        "",
    ),
)

UNDOS_CANCELED = changed(
    TIMEOUT_AROUND_UNDOS,
    (
        "                except ActivityError:\n                    await workflow.sleep(60)\n",
        "                except ActivityError as error:\n"
        '                    if type(error.cause).__name__ == "CancelledError":\n'
        "                        raise\n"
        "                    await workflow.sleep(60)\n",
    ),
)

ABANDONED = changed(
    TIME,
    (
        "        async with Saga",
        "        seconds = request.book_within_seconds\n"
        "        trip = asyncio.create_task(self.all_of_it(request))\n"
        "        await workflow.wait([trip], timeout=seconds)\n"
        "        if not trip.done():\n            trip.cancel()\n"
        f"            raise {LATE}\n        return await trip\n\n"
        "    async def all_of_it(self, request):\n        async with Saga",
    ),
    (TIMER, "            price_cents = await self.book(saga, request)\n"),
    (DEADLINE, ""),
)

UNDOS_ABANDONED = changed(
    UNDOS_CANCELED,
    (
        "            async with limit:\n"
        "                return await self.all_of_it(request, trip, undos)\n",
        "            return await asyncio.wait_for(\n"
        "                asyncio.shield(self.all_of_it(request, trip, undos)),\n"
        "                request.book_within_seconds,\n            )\n",
    ),
    (f"{LATE} if limit.expired() else error", f"{LATE} from None"),
    ("except (TimeoutError, ActivityError) as error:", "except TimeoutError:"),
)

CALL_LATER = limited(
    f"""            seconds = request.book_within_seconds
            if seconds:
                late = {LATE}
                asyncio.get_running_loop().call_later(seconds, saga.fail, late)
            price_cents = await self.book(saga, request)
"""
)

IN_A_GROUP = limited(
    f"""            seconds = request.book_within_seconds

            async def watch():
                if seconds is not None:
                    await asyncio.sleep(seconds)
                    raise {LATE}

            async with asyncio.TaskGroup() as group:
                watching = group.create_task(watch())
                price_cents = await self.book(saga, request)
                watching.cancel()
"""
)

WHAT_IS_LEFT = changed(
    limited(
        """            began, seconds = workflow.now(), request.book_within_seconds
            self.end = None if seconds is None else began + timedelta(seconds=seconds)
            price_cents = await self.book(saga, request)
"""
    ),
    ("partial(call, do, message)", "partial(self.in_time, do, message)"),
    (
        "    async def book(",
        f"""    async def in_time(self, do, message):
        if self.end is None:
            return await call(do, message)
        left = self.end - workflow.now()
        try:
            if left <= timedelta(0):
                raise {LATE}
            return await workflow.execute_activity_method(
                do,
                message,
                schedule_to_close_timeout=left,
                start_to_close_timeout=ATTEMPT_TIMEOUT,
                retry_policy=STEP_RETRIES,
            )
        except ActivityError:
            if workflow.now() + ATTEMPT_TIMEOUT > self.end:  # no attempt fits any more
                raise {LATE} from None
            raise

    async def book(""",
    ),
)

BETWEEN_THE_STEPS = changed(
    limited("            price_cents = await self.book(saga, request)\n"),
    (
        "        async def step(do, undo, message):\n",
        "        began, seconds = workflow.now(), request.book_within_seconds\n\n"
        "        async def step(do, undo, message):\n"
        "            if seconds and (workflow.now() - began).total_seconds() > seconds:\n"
        f"                raise {LATE}\n",
    ),
)

IN_A_CHILD = (
    limited("            price_cents = await self.book(saga, request)\n")
    + """

@workflow.defn
class Outer:
    @workflow.run
    async def run(self, request: TripRequest) -> int:
        seconds = request.book_within_seconds
        return await workflow.execute_child_workflow(
            "InTime",
            request,
            id=f"{request.confirmation_code}-inner",
            execution_timeout=timedelta(seconds=seconds) if seconds else None,
        )
"""
)

FAILS = "            saga.fail(late)\n"

WORDS = {
    "untouched": Answer(operators_word.skeleton, UNTOUCHED),
    "reference": Answer(WORD, CORRECT),
    "the end waits for all answers": Answer(ANSWERED_AT_THE_END, CORRECT),
    "no Saga, one decision after the other": Answer(BY_HAND, CORRECT),
    "a lock, an Activity by name": Answer(BY_LOCK, CORRECT),
    "our BookTrip": Answer(OUR_BOOK_TRIP, CORRECT),
    "no validator": Answer(changed(WORD, (VALIDATOR, "")), "let in"),
    "asked in the handler": Answer(
        changed(WORD, (VALIDATOR, "")).replace(
            "        if decision.settled_by:\n",
            "        if decision.undo not in self.saga.stuck:\n"
            "            raise ApplicationError('unknown')\n        if decision.settled_by:\n",
        ),
        "let in",
    ),
    "whatever is to be undone": Answer(
        changed(
            WORD,
            ("decision.undo not in self.saga.stuck", "not decision.undo.startswith('cancel_')"),
        ),
        "let in",
    ),
    "without a reason": Answer(
        changed(WORD, ("if bool(decision.settled_by) != bool(decision.because)", "if False")),
        "let in",
    ),
    "a name is always needed": Answer(
        changed(
            WORD,
            (
                "if bool(decision.settled_by) != bool(decision.because)",
                "if not decision.settled_by or not decision.because",
            ),
        ),
        "turned away",
    ),
    "everything refused": Answer(
        changed(WORD, ("if decision.undo not in self.saga.stuck", "if decision.undo")),
        "turned away",
    ),
    "an Update of another name": Answer(
        changed(WORD, ("async def decide", "async def settle"), ("@decide.", "@settle.")),
        "turned away",
    ),
    "not asked again after the await": Answer(
        changed(WORD, (SETTLE, "            self.saga.settle(decision.undo)\n")), "said again"
    ),
    "not recorded": Answer(changed(WORD, (RECORD, "")), "not recorded"),
    "recorded, not awaited": Answer(
        changed(WORD, (RECORD, RECORD.replace("await ", ""))), "not recorded"
    ),
    "recorded in a task": Answer(
        changed(
            WORD, (RECORD, RECORD.replace("await ", "asyncio.create_task(").replace("nt)", "nt))"))
        ),
        "not recorded",
    ),
    "recorded last": Answer(changed(WORD, (RECORD + SETTLE, SETTLE + RECORD)), "unanswered"),
    "who and why mixed up": Answer(
        changed(
            WORD,
            (
                "decision.settled_by, decision.because, when",
                "decision.because, decision.settled_by, when",
            ),
        ),
        "not recorded",
    ),
    "recorded when tried now": Answer(
        changed(
            WORD,
            (
                "            self.saga.try_now(decision.undo)\n",
                "            tried = Settlement(self.code, decision.undo, '', '', 'now')\n"
                "            await call(Activities.record_settlement, tried)\n"
                "            self.saga.try_now(decision.undo)\n",
            ),
        ),
        "not recorded",
    ),
    "always the same name": Answer(
        changed(
            WORD, ("decision.settled_by, decision.because, when", '"operator", "settled", when')
        ),
        "not recorded",
    ),
    "settles all at once": Answer(
        changed(
            WORD,
            (
                SETTLE,
                "            for undo in self.saga.stuck:\n                self.saga.settle(undo)\n",
            ),
        ),
        "nobody asked",
    ),
    "settled by the validator": Answer(
        changed(
            WORD, (SETTLE, ""), (VALIDATOR, VALIDATOR + "        self.saga.settle(decision.undo)\n")
        ),
        "not deterministic",
    ),
    "answers when the undo is off the list": Answer(
        changed(
            WORD,
            (
                TRY_NOW,
                TRY_NOW + "        gone = lambda: decision.undo not in self.saga.to_undo\n"
                "        await workflow.wait_condition(gone)\n",
            ),
        ),
        CORRECT,
    ),
    "fails the saga again": Answer(
        changed(
            WORD,
            (SETTLE, SETTLE + "            raise ApplicationError('settled by hand')\n"),
        ),
        "turned away",
    ),
    "asks another provider's undo": Answer(
        changed(WORD, ("self.saga.try_now(decision.undo)", "self.saga.try_now('cancel_flight')")),
        "bug",
    ),
    "only recorded": Answer(changed(WORD, (SETTLE, "")), "never ended"),
    "try now does nothing": Answer(
        changed(WORD, ("            self.saga.try_now(decision.undo)\n", "            pass\n")),
        "never ended",
    ),
    "the operator's failure is told": Answer(
        changed(
            WORD,
            (
                "        async with self.saga:\n",
                "        try:\n            return await self.all_of_it(request)\n"
                "        except ActivityError:\n            if not self.by:\n                raise\n"
                "            raise ApplicationError(f'settled by {self.by}') from None\n\n"
                "    async def all_of_it(self, request):\n        async with self.saga:\n",
            ),
            (
                "Saga(rejections=REJECTIONS)\n",
                "Saga(rejections=REJECTIONS)\n        self.by = ''\n",
            ),
            (RECORD, RECORD + "            self.by = decision.settled_by\n"),
        ),
        "cause hidden",
    ),
    "ends as a success": Answer(
        changed(
            WORD,
            (
                "        async with self.saga:\n",
                "        try:\n            return await self.all_of_it(request)\n"
                "        except ActivityError:\n            if not self.by:\n                raise\n"
                "            return 0\n\n"
                "    async def all_of_it(self, request):\n        async with self.saga:\n",
            ),
            (
                "Saga(rejections=REJECTIONS)\n",
                "Saga(rejections=REJECTIONS)\n        self.by = ''\n",
            ),
            (RECORD, RECORD + "            self.by = decision.settled_by\n"),
        ),
        "error swallowed",
    ),
    "asked for ever": Answer(
        changed(WORD, ("Saga(rejections=REJECTIONS)", "Saga()")), "rejection retried"
    ),
    "the refused undo is dropped": Answer(
        changed(BY_HAND, ("        self.undos = refused\n", "        self.undos = []\n")),
        "nobody asked",
    ),
    "the undo fails the Update": Answer(
        changed(
            WORD,
            (
                "            self.saga.try_now(decision.undo)\n",
                "            self.saga.settle(decision.undo)\n"
                "            await call_undo(getattr(Activities, decision.undo), "
                "Cancellation(self.code))\n",
            ),
        ),
        "unanswered",
    ),
    "state of the module": Answer(GLOBAL, "not deterministic"),
    "the validator remembers": Answer(VALIDATOR_REMEMBERS, "not deterministic"),
    "the wall clock": Answer(
        changed(
            WORD,
            (
                'when = workflow.now().isoformat(timespec="seconds")',
                "import datetime; when = datetime.datetime.now().isoformat()",
            ),
        ),
        "not deterministic",
    ),
}

TIMES = {
    "untouched": Answer(in_time.skeleton, UNTOUCHED),
    "reference": Answer(TIME, CORRECT),
    "the timer left to itself": Answer(changed(TIME, ("        deadline.cancel()\n", "")), CORRECT),
    "asyncio.timeout inside the block": Answer(TIMEOUT_INSIDE, CORRECT),
    "asyncio.timeout, as in plain Python": Answer(TIMEOUT_AS_IN_PLAIN_PYTHON, "deadline hidden"),
    "wait_for, as in plain Python": Answer(WAIT_FOR_INSIDE, "deadline hidden"),
    "a race inside the block": Answer(RACE, CORRECT),
    "no Saga, a list of undos": Answer(OWN_LIST, CORRECT),
    "call_later": Answer(CALL_LATER, CORRECT),
    "a watcher in a group": Answer(IN_A_GROUP, CORRECT),
    "the time that is left for each step": Answer(WHAT_IS_LEFT, CORRECT),
    "our BookTrip": Answer(OUR_BOOK_TRIP, CORRECT),
    "no deadline": Answer(
        limited("            price_cents = await self.book(saga, request)\n"), "too late"
    ),
    "raised in a task": Answer(changed(TIME, ("saga.fail(late)", "raise late")), "too late"),
    "asked between the steps": Answer(BETWEEN_THE_STEPS, "too late"),
    "None forgotten": Answer(
        changed(
            TIME,
            (
                "        if seconds is not None:\n",
                "        if seconds < 0:\n            return\n        else:\n",
            ),
        ),
        CORRECT,
    ),
    "None compared in the block": Answer(
        changed(
            TIME,
            (
                TIMER,
                TIMER.replace(
                    "            deadline",
                    "            assert request.book_within_seconds > 0\n            deadline",
                    1,
                ),
            ),
        ),
        "bug",
    ),
    "waited for in every case": Answer(
        changed(TIME, ("        deadline.cancel()\n", "        await deadline\n")), "too slow"
    ),
    "an error without a type": Answer(
        changed(TIME, (', type="DeadlineExceeded"', "")), "deadline hidden"
    ),
    "a plain exception": Answer(
        changed(RACE, (f"raise {LATE}", 'raise ValueError("too late")')),
        "bug",
    ),
    "canceled": Answer(
        changed(
            TIME,
            (
                "            deadline =",
                "            self.task = asyncio.current_task()\n            deadline =",
            ),
            (FAILS, "            self.task.cancel()\n"),
        ),
        "deadline hidden",
    ),
    "the TimeoutError is told": Answer(
        changed(RACE, (f"raise {LATE}", "raise TimeoutError")), "deadline hidden"
    ),
    "a timeout around everything": Answer(TIMEOUT_OUTSIDE, "cause hidden"),
    "a timeout around the undos": Answer(TIMEOUT_AROUND_UNDOS, "cause hidden"),
    "a timeout cancels an undo": Answer(UNDOS_CANCELED, "cut short"),
    "the deadline does not wait, no Saga": Answer(UNDOS_ABANDONED, "cut short"),
    "the deadline does not wait": Answer(ABANDONED, "bug"),
    "an undo has a limit too": Answer(
        changed(
            OWN_LIST,
            (
                "            while True:\n                try:\n",
                "            for _ in range(3):\n                try:\n",
            ),
        ),
        "gave up",
    ),
    "an execution timeout": Answer(IN_A_CHILD, "cut short"),
    "the email in the block": Answer(
        limited(
            TIMER.replace(
                "self.book(saga, request)\n        deadline.cancel()\n",
                "self.book(saga, request)\n"
                "            email = ConfirmationEmail(\n"
                "                request.confirmation_code, request.customer, 'Booked.'\n"
                "            )\n"
                "            await call(Activities.send_confirmation_email, email)\n"
                "            deadline.cancel()\n            return price_cents\n",
            )
        )
        + DEADLINE,
        "undone after success",
    ),
    "the payment after the block": Answer(
        changed(
            TIME,
            (
                "        deadline.cancel()\n",
                "        deadline.cancel()\n        await call(Activities.accept_payment, self.bill)\n",
            ),
            (
                "        await step(Activities.accept_payment, Activities.refund_payment, bill)\n",
                "        self.bill = bill\n",
            ),
        ),
        "undo forgotten",
    ),
    "success is told": Answer(
        changed(
            RACE,
            (
                "        async with Saga",
                "        try:\n            return await self.all_of_it(request)\n"
                "        except ApplicationError:\n            return 0\n\n"
                "    async def all_of_it(self, request):\n        async with Saga",
            ),
        ),
        "error swallowed",
    ),
    "the wall clock": Answer(
        changed(
            BETWEEN_THE_STEPS,
            ("began, seconds = workflow.now()", "import time; began, seconds = time.time()"),
            ("(workflow.now() - began).total_seconds()", "time.time() - began"),
        ),
        "not deterministic",
    ),
}

ANSWERS = {
    "never_stuck": {
        "untouched": Answer(never_stuck.skeleton, UNTOUCHED),
        "reference, rounds": Answer(ROUNDS, CORRECT),
        "all at once": Answer(AT_ONCE, CORRECT),
        "recursive, one attempt each": Answer(RECURSIVE, CORRECT),
        "a stuck undo blocks the rest": Answer(ONE_AFTER_THE_OTHER, "blocked"),
        "its error is ignored": Answer(GIVES_UP, "gave up"),
        "a hundred rounds": Answer(
            STUCK_HEAD
            + """        for _ in range(100):
            for undo in reversed(tuple(undos)):
                try:
                    await call_undo(undo, trip)
                    undos.remove(undo)
                except ActivityError:
                    await workflow.sleep(60)
""",
            "gave up",
        ),
        "its error ends the loop": Answer(
            STUCK_HEAD
            + "        for undo in reversed(undos):\n            await call_undo(undo, trip)\n",
            "gave up",
        ),
        "its error raised at the end": Answer(
            changed(
                AT_ONCE,
                (
                    "                except ActivityError:\n",
                    "                except ActivityError as error:\n"
                    "                    self.error = error\n",
                ),
                (
                    "        await asyncio.gather(",
                    "        self.error = None\n        await asyncio.gather(",
                ),
                (
                    "for undo in reversed(undos)])\n",
                    "for undo in reversed(undos)])\n        if self.error:\n            raise self.error\n",
                ),
            ),
            "cause hidden",
        ),
        "oldest first": Answer(
            changed(ROUNDS, ("reversed(tuple(undos))", "tuple(undos)")), "wrong order"
        ),
    },
    "operators_word": WORDS,
    "in_time": TIMES,
}
