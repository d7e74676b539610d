"""Answers made from others: right ones in another shape, and mutants, by kind of mistake.

A mutant names every mistake whose hint fits it; the check must name one of them first.
"""

# ruff: noqa: E501  (lines of answers are as long as they are)

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from lab.exercises import ALL

from exercise_answers import ANSWERS
from exercise_answers.answer import CORRECT, UNTOUCHED, changed
from exercise_answers.ex03 import LIST_OF_UNDOS
from exercise_answers.ex06 import GUARDED
from travel.errors import Rejected

Text = str


@dataclass(frozen=True)
class Generated:
    """An answer of some ``kind``; ``fits`` are the mistakes that may be named, none if right."""

    exercise: str
    name: str
    kind: str
    given: Any
    fits: tuple[str, ...] = ()

    @property
    def correct(self) -> bool:
        """Nothing is wrong with it."""
        return not self.fits

    def __str__(self) -> str:
        return f"{self.exercise}: {self.name}"


def all_answers() -> list[Generated]:
    """All of them, each once."""
    found = [
        *_right(),
        *_wrong_in_other_shapes(),
        *_mutants(),
        *_scripts(),
        *_functions(),
        *_trips(),
    ]
    return list({str(answer): answer for answer in found}.values())


# --- another shape of the same -------------------------------------------------------------

LOG = '    workflow.logger.info("The Workflow has begun.")\n'


def future(cell: Text) -> Text:
    """Ordinary Python on top."""
    return "from __future__ import annotations\n" + cell


def other_result(cell: Text) -> Text:
    """The annotation says otherwise than what is returned."""
    return re.sub(r"-> int:", "-> dict[str, list[bool]]:", cell)


def code_beside(cell: Text) -> Text:
    """A list of prices, a guard and a log line beside the saga."""
    beside = (
        "PRICES: list[int] = []\n\n\ndef noted(cents):\n    if cents < 0:\n        return 0\n"
        "    prices = []\n    prices.append(cents)\n    return sum(prices)\n\n\n"
    )
    body = "        workflow.logger.info('begun %s', noted(3))\n"
    return beside + re.sub(
        r"(async def run\(self, request: TripRequest\)[^:]*:\n)", rf"\1{body}", cell, count=1
    )


def with_query(cell: Text) -> Text:
    """A query that says how far it is."""
    query = "    @workflow.query\n    def progress(self) -> str:\n        return 'under way'\n\n"
    return re.sub(r"(    @workflow\.run\n)", rf"{query}\1", cell, count=1)


def in_a_child(cell: Text) -> Text:
    """A second Workflow that is started by nobody's caller: it runs the first as its child."""
    name = re.findall(r"@workflow\.defn[^\n]*\nclass (\w+)", cell)[-1]
    parent = f"""

@workflow.defn
class Outer:
    @workflow.run
    async def run(self, request: TripRequest) -> int:
        return await workflow.execute_child_workflow({name}.run, request, id=f"{{request.confirmation_code}}-inner")
"""
    return cell + parent


SHAPES: dict[str, Callable[[Text], Text]] = {
    "ordinary Python on top": future,
    "a result of another type": other_result,
    "code beside the saga": code_beside,
    "a query": with_query,
}
WORKFLOWS = (
    "my_first_trip",
    "undo_in_reverse",
    "patience",
    "never_stuck",
    "the_pivot",
    "survive_a_cancel",
    "register_first",
    "side_by_side",
    "operators_word",
    "in_time",
)


def _texts(exercise: str, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Text, str]]:
    for name, answer in ANSWERS[exercise].items():
        if wanted(answer.verdict):
            yield name, str(answer.given), answer.verdict


def _right() -> Iterator[Generated]:
    for exercise in (*WORKFLOWS, "car_first", "insured_trip"):
        for name, cell, _verdict in _texts(exercise, lambda verdict: verdict == CORRECT):
            for shape, make in SHAPES.items():
                yield Generated(exercise, f"{name}, {shape}", shape, make(cell))
    for exercise in ("my_first_trip", "undo_in_reverse", "patience", "never_stuck", "the_pivot"):
        for name, cell, _verdict in _texts(exercise, lambda verdict: verdict == CORRECT):
            yield Generated(exercise, f"{name}, in a child", "two Workflows", in_a_child(cell))


def _wrong_in_other_shapes() -> Iterator[Generated]:
    for exercise in WORKFLOWS:
        for name, cell, verdict in _texts(exercise, lambda v: v not in (CORRECT, UNTOUCHED)):
            fits = (verdict, *NEAR.get(verdict, ()))
            for shape in ("a result of another type", "code beside the saga"):
                yield Generated(exercise, f"{name}, {shape}", shape, SHAPES[shape](cell), fits)


NEAR = {"email compensated": ("undone after success",), "registered late": ("refund forgotten",)}

# --- mutants ------------------------------------------------------------------------------------

PIVOT = ALL["the_pivot"].solution_code
CANCEL = ALL["survive_a_cancel"].solution_code
FIRST = ALL["register_first"].solution_code
PATIENT = ALL["patience"].solution_code
ROUNDS = ALL["never_stuck"].solution_code
PARALLEL = ALL["side_by_side"].solution_code
TRIP = ALL["my_first_trip"].solution_code
CAR = ALL["car_first"].solution_code
WORD = ALL["operators_word"].solution_code
TIME = ALL["in_time"].solution_code

STORES = {
    "my_first_trip": (
        TRIP,
        "        await call_twice(Activities.store_booking_request, request)\n",
    ),
    "undo_in_reverse": (
        LIST_OF_UNDOS,
        "        await call_once(Activities.store_booking_request, request)\n",
    ),
    "the_pivot": (PIVOT, "        await call(Activities.store_booking_request, request)\n"),
    "survive_a_cancel": (CANCEL, "        await call(Activities.store_booking_request, request)\n"),
    "register_first": (FIRST, "        await call(Activities.store_booking_request, request)\n"),
    "side_by_side": (PARALLEL, "        await call(Activities.store_booking_request, request)\n"),
    "operators_word": (WORD, "        await call(Activities.store_booking_request, request)\n"),
    "in_time": (TIME, "        await call(Activities.store_booking_request, request)\n"),
}


def _mutants() -> Iterator[Generated]:
    yield from _stored_late()
    yield from _twice()
    yield from _not_waited_for()
    yield from _given_up()
    yield from _emails()
    yield from _chance()
    yield from _masked()
    yield from _siblings()
    yield from _impatient()
    yield from _versions()


def _stored_late() -> Iterator[Generated]:
    kind, fits = "stored, but not first", ("not stored", "not awaited")
    for exercise, (cell, store) in STORES.items():
        call = store.strip().removeprefix("await ")
        yield Generated(exercise, "stored never", kind, changed(cell, (store, "")), fits)
        in_a_task = f"        task = asyncio.create_task({call})\n"
        yield Generated(exercise, "stored in a task", kind, changed(cell, (store, in_a_task)), fits)
        ending = re.findall(r"\n        return [^\n]*\n", cell)
        if exercise != "the_pivot" and ending:
            last = cell.rpartition(ending[0])
            late = changed(last[0], (store, "")) + "\n" + store.rstrip("\n") + ending[0] + last[2]
            yield Generated(exercise, "stored last", kind, late, fits)
        flight = next((li for li in cell.splitlines(True) if "flight = await" in li), None)
        if flight:
            indent = flight[: len(flight) - len(flight.lstrip())]
            after = changed(cell, (store, "")).replace(
                flight, flight + indent + store.strip() + "\n"
            )
            yield Generated(exercise, "stored after the flight", kind, after, fits)


PAYMENTS = {
    "my_first_trip": (TRIP, "        await call_twice(Activities.accept_payment, bill)\n"),
    "undo_in_reverse": (
        LIST_OF_UNDOS,
        "            await call_once(Activities.accept_payment, bill)\n",
    ),
    "the_pivot": (PIVOT, "            await call(Activities.accept_payment, bill)\n"),
    "survive_a_cancel": (CANCEL, "            await call(Activities.accept_payment, bill)\n"),
    "register_first": (FIRST, "            await call(Activities.accept_payment, bill)\n"),
}


def _twice() -> Iterator[Generated]:
    kind = "done twice"
    for exercise, (cell, pay) in PAYMENTS.items():
        yield Generated(
            exercise,
            "paid twice",
            kind,
            changed(cell, (pay, pay + pay)),
            ("done twice", "undone twice"),
        )
        both = changed(
            cell,
            (
                pay,
                pay.replace("await ", "await asyncio.gather(").rstrip("\n")
                + ", "
                + pay.strip().removeprefix("await ")
                + ")\n",
            ),
        )
        yield Generated(exercise, "paid twice at once", kind, both, ("done twice",))
    for exercise, cell in (("undo_in_reverse", LIST_OF_UNDOS), ("the_pivot", PIVOT)):
        undo = "                await call_undo(undo, trip)\n"
        fits = ("undone twice", "wrong order")
        yield Generated(exercise, "each undo twice", kind, changed(cell, (undo, undo + undo)), fits)
        loop = "            for undo in reversed(undos):\n" + undo
        yield Generated(
            exercise, "undone twice over", kind, changed(cell, (loop, loop + loop)), fits
        )


def _not_waited_for() -> Iterator[Generated]:
    kind, fits = "awaited in part, or in no order", ("not awaited", "wrong order", "one shield")
    loop = "            for undo in reversed(undos):\n                await call_undo(undo, trip)\n"
    for exercise, cell in (("undo_in_reverse", LIST_OF_UNDOS),):
        for name, text in {
            "all at once": "            await asyncio.gather(*[call_undo(u, trip) for u in reversed(undos)])\n",
            "only the last": "            tasks = [asyncio.create_task(call_undo(u, trip)) for u in reversed(undos)]\n"
            "            if tasks:\n                await tasks[-1]\n",
            "only the first": "            tasks = [asyncio.create_task(call_undo(u, trip)) for u in reversed(undos)]\n"
            "            if tasks:\n                await tasks[0]\n",
            "whichever is first": "            tasks = [asyncio.create_task(call_undo(u, trip)) for u in reversed(undos)]\n"
            "            if tasks:\n                await workflow.wait(tasks, return_when=asyncio.FIRST_COMPLETED)\n",
            "for a moment": "            tasks = [asyncio.create_task(call_undo(u, trip)) for u in reversed(undos)]\n"
            "            await asyncio.sleep(0.01)\n",
        }.items():
            yield Generated(exercise, name, kind, changed(cell, (loop, text)), fits)
    for exercise, cell in (("the_pivot", PIVOT),):
        for name, text in {
            "only the last": "            tasks = [asyncio.create_task(call_undo(u, trip)) for u in reversed(undos)]\n"
            "            if tasks:\n                await tasks[-1]\n",
            "nobody": "            for undo in reversed(undos):\n"
            "                asyncio.create_task(call_undo(undo, trip))\n",
        }.items():
            yield Generated(exercise, name, kind, changed(cell, (loop, text)), fits)


def _given_up() -> Iterator[Generated]:
    kind = "an undo that is given up"
    undo = """    await workflow.execute_activity_method(
        activity, trip, start_to_close_timeout=timedelta(seconds=3)
    )
"""
    for limit in (
        *(f"retry_policy=RetryPolicy(maximum_attempts={n})" for n in (1, 2, 6, 20, 100)),
        *(f"schedule_to_close_timeout=timedelta(minutes={n})" for n in (1, 10, 60)),
    ):
        text = undo.replace("timedelta(seconds=3)\n", f"timedelta(seconds=3), {limit}\n")
        yield Generated("patience", limit, kind, changed(PATIENT, (undo, text)), ("gave up",))
        swallowed = "    try:\n" + "".join(f"    {line}\n" for line in text.splitlines())
        swallowed += "    except ActivityError:\n        pass\n"
        yield Generated(
            "patience", f"{limit}, ignored", kind, changed(PATIENT, (undo, swallowed)), ("gave up",)
        )
    for rounds in (1, 2, 5, 10):
        limited = changed(
            ROUNDS, ("        while undos:\n", f"        for _ in range({rounds}):\n")
        )
        yield Generated("never_stuck", f"{rounds} rounds", kind, limited, ("gave up",))
    hour = changed(
        ROUNDS,
        (
            "        while undos:\n",
            "        end = workflow.now() + timedelta(minutes=30)\n"
            "        while undos and workflow.now() < end:\n",
        ),
    )
    yield Generated("never_stuck", "half an hour", kind, hour, ("gave up",))


EACH_MINUTE = "initial_interval=timedelta(minutes=1), backoff_coefficient=1"


def _emails() -> Iterator[Generated]:
    kind = "the email"
    email = """        email = ConfirmationEmail(request.confirmation_code, request.customer, "Booked.")
"""
    send = GUARDED
    made = email.strip()
    pay = "            await call(Activities.accept_payment, bill)\n"
    early = (
        f"            {made}\n            try:\n"
        "                await call(Activities.send_confirmation_email, email)\n"
        "            except ActivityError:\n                pass\n"
    )
    yield Generated("the_pivot", "not sent", kind, changed(PIVOT, (send, "")), ("email forgotten",))
    yield Generated(
        "the_pivot",
        "in a task",
        kind,
        changed(
            PIVOT,
            (
                send,
                "        asyncio.create_task(call(Activities.send_confirmation_email, email))\n",
            ),
        ),
        ("email forgotten", "not awaited"),
    )
    yield Generated(
        "the_pivot",
        "called, not awaited",
        kind,
        changed(PIVOT, (send, "        call(Activities.send_confirmation_email, email)\n")),
        ("email forgotten", "not awaited"),
    )
    yield Generated(
        "the_pivot",
        "before the payment",
        kind,
        changed(PIVOT, (send, ""), (pay, early + pay)),
        ("email too early",),
    )
    yield Generated(
        "the_pivot",
        "in the saga",
        kind,
        changed(
            PIVOT,
            (send, ""),
            (
                pay,
                pay
                + f"            {made}\n            await call(Activities.send_confirmation_email, email)\n",
            ),
        ),
        ("email compensated",),
    )
    yield Generated(
        "the_pivot",
        "sent twice",
        kind,
        changed(PIVOT, (send, send + send)),
        ("done twice",),
    )
    for name, retries, fits in (
        ("each minute for a day", f"{EACH_MINUTE}, maximum_attempts=1440", ()),
        (
            "each hour for a day",
            "initial_interval=timedelta(hours=1), backoff_coefficient=1, maximum_attempts=24",
            (),
        ),
        (
            "longer and longer pauses",
            "maximum_interval=timedelta(hours=2), maximum_attempts=30",
            (),
        ),
        ("each minute for an hour", f"{EACH_MINUTE}, maximum_attempts=60", ("email let go",)),
        ("each minute for ever", EACH_MINUTE, ("never ended",)),
        ("fifty attempts", "maximum_attempts=50", ("email let go",)),
    ):
        patient = f"""        try:
            await workflow.execute_activity_method(
                Activities.send_confirmation_email,
                email,
                start_to_close_timeout=timedelta(seconds=30),
                retry_policy=RetryPolicy({retries}),
            )
        except ActivityError:
            pass
"""
        kind = "the email" if fits else "patience on the virtual clock"
        yield Generated("the_pivot", name, kind, changed(PIVOT, (send, patient)), fits)


def _chance() -> Iterator[Generated]:
    kind, fits = "not deterministic", ("not deterministic",)
    steps = (
        "            flight = await call(Activities.book_flight, request)\n",
        "            hotel = await call(Activities.book_hotel, request)\n",
    )
    begin = "        await call(Activities.store_booking_request, request)\n"
    top = "    @workflow.run\n"
    coin = "            if {condition}:\n                await workflow.sleep(1)\n"
    for name, (before, condition) in {
        "a global counter": ("counted = [0]\n", "counted.append(0) or len(counted) % 2"),
        "is_replaying": ("", "not workflow.unsafe.is_replaying()"),
        "hash of a text": ("", "hash(request.customer) % 2"),
    }.items():
        cell = before + changed(PIVOT, (steps[0], coin.format(condition=condition) + steps[0]))
        yield Generated("the_pivot", name, kind, cell, fits)
    for name, line in {
        "random, passed through": "import random; random.random()",
        "the clock, unrestricted": "import time; time.time()",
        "a date, unrestricted": "import datetime; datetime.datetime.now()",
        "uuid, unrestricted": "import uuid; uuid.uuid4()",
    }.items():
        cell = changed(
            PIVOT,
            (
                begin,
                f"        with workflow.unsafe.sandbox_unrestricted():\n            {line}\n{begin}",
            ),
        )
        yield Generated("the_pivot", name, kind, cell, fits)
        off = changed(
            PIVOT,
            ("@workflow.defn\n", "@workflow.defn(sandboxed=False)\n"),
            (begin, f"        {line}\n{begin}"),
        )
        yield Generated("the_pivot", f"{name.split(',')[0]}, sandbox off", kind, off, fits)
    ordered = changed(
        LIST_OF_UNDOS,
        ("for undo in reversed(undos):", "for name in {undo.__name__ for undo in undos}:"),
        ("await call_undo(undo, trip)", "await call_undo(getattr(Activities, name), trip)"),
    )
    yield Generated(
        "undo_in_reverse", "the order of a set", kind, ordered, ("not deterministic", "wrong order")
    )
    assert top in PIVOT


def _masked() -> Iterator[Generated]:
    kind, fits = "the first failure replaced", ("cause hidden",)
    raising = "            raise\n"
    for exercise, cell in {
        "undo_in_reverse": LIST_OF_UNDOS,
        "the_pivot": PIVOT,
        "survive_a_cancel": CANCEL,
        "register_first": FIRST,
    }.items():
        caught = "ActivityError:" if "ActivityError:\n" in cell else "asyncio.CancelledError):"
        if exercise in ("survive_a_cancel", "register_first"):
            replaced = {
                "its text": "            if isinstance(error, ActivityError):\n"
                "                raise ApplicationError(str(error.cause)) from None\n            raise\n",
                "its cause": "            if isinstance(error, ActivityError):\n"
                "                raise error.cause\n            raise\n",
            }
        else:
            replaced = {
                "its text": "            raise ApplicationError(str(error.cause)) from None\n",
                "its cause": "            raise error.cause\n",
                "its cause, from None": "            raise error.cause from None\n",
                "a new one of its type": "            raise ApplicationError(error.cause.message, "
                "type='Rejected') from None\n",
                "another one": "            raise ApplicationError('The trip was undone.') from None\n",
            }
        place = cell.index(raising)
        for name, text in replaced.items():
            new = cell[:place] + text + cell[place + len(raising) :]
            new = (
                changed(new, (f"except {caught}", f"except {caught[:-1]} as error:"))
                if (caught == "ActivityError:")
                else changed(new, (caught, caught[:-1] + " as error:"))
            )
            yield Generated(exercise, f"raises {name}", kind, new, fits)
        wrapped = cell[:place] + "            raise ApplicationError('No trip today.') from error\n"
        wrapped += cell[place + len(raising) :]
        if caught == "ActivityError:":
            wrapped = changed(wrapped, (f"except {caught}", "except ActivityError as error:"))
            yield Generated(exercise, "wraps it", "the first failure kept inside", wrapped)


def _siblings() -> Iterator[Generated]:
    kind = "siblings"
    fits = (
        "siblings lost",
        "registered late",
        "undo forgotten",
        "not awaited",
        "refund forgotten",
        "other",
    )
    body = """
@workflow.defn
class Mine:
    @workflow.run
    async def run(self, request: TripRequest) -> int:
        await call(Activities.store_booking_request, request)
        trip = Cancellation(request.confirmation_code)
        undos = [Activities.cancel_flight, Activities.cancel_car]
        tasks = [
            asyncio.create_task(self.flight_then_hotel(request, undos)),
            asyncio.create_task(call(Activities.book_car, request)),
        ]
        try:
            (flight, hotel), car = await asyncio.gather(*tasks)
            price = flight.price_cents + hotel.price_cents + car.price_cents
            bill = PaymentRequest(request.confirmation_code, request.customer, price)
            undos.append(Activities.refund_payment)
            await call(Activities.accept_payment, bill)
        except (FailureError, asyncio.CancelledError):
            SETTLE
            await uninterrupted(self.undo(undos, trip))
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
    yield Generated("side_by_side", "not waited for", kind, body.replace("SETTLE", "pass"), fits)
    settled = body.replace("SETTLE", "await asyncio.gather(*tasks, return_exceptions=True)")
    yield Generated("side_by_side", "waited for", "steps side by side", settled)
    yield Generated(
        "side_by_side",
        "no refund",
        kind,
        settled.replace("            undos.append(Activities.refund_payment)\n", ""),
        fits,
    )
    yield Generated(
        "side_by_side",
        "the refund registered late",
        kind,
        settled.replace(
            """            undos.append(Activities.refund_payment)
            await call(Activities.accept_payment, bill)
""",
            """            await call(Activities.accept_payment, bill)
            undos.append(Activities.refund_payment)
""",
        ),
        fits,
    )


def _impatient() -> Iterator[Generated]:
    kind = "the wrong patience"
    step = "        start_to_close_timeout=timedelta(seconds=3),\n"
    policy = 'RetryPolicy(maximum_attempts=3, non_retryable_error_types=["Rejected"])'
    for seconds in ("0.5", "1", "1.5"):
        yield Generated(
            "patience",
            f"an attempt of {seconds} s",
            kind,
            changed(PATIENT, (step, step.replace("3", seconds, 1))),
            ("too hasty", "incomplete", "undone after success"),
        )
    for pause in ("days=1", "hours=5", "minutes=30"):
        slow = policy.replace("(", f"(initial_interval=timedelta({pause}), ", 1)
        yield Generated(
            "patience",
            f"a first pause of {pause}",
            kind,
            changed(PATIENT, (policy, slow)),
            ("too slow", "never ended"),
        )
    by_hand = changed(
        PATIENT,
        (
            "async def step(activity, message):\n    return await",
            "async def step(activity, message):\n    try:\n        return await once(activity, message)\n"
            "    except ActivityError:\n        return await once(activity, message)\n\n\n"
            "async def once(activity, message):\n    return await",
        ),
    )
    yield Generated(
        "patience", "asked again by hand", kind, by_hand, ("rejection retried", "everything")
    )
    for name, retries in {
        "for an hour": "maximum_interval=timedelta(minutes=1), maximum_attempts=66",
        "seven attempts": "maximum_attempts=7",
    }.items():
        patient = policy.replace("maximum_attempts=3", retries)
        yield Generated(
            "patience", name, "patience on the virtual clock", changed(PATIENT, (policy, patient))
        )
    long = changed(PATIENT, (step, step.replace("seconds=3", "seconds=30")))
    yield Generated("patience", "an attempt of 30 s", "patience on the virtual clock", long)


def _versions() -> Iterator[Generated]:
    kind, fits = "a version change", ("replay", "no change", "done twice", "not deterministic")
    asked = 'workflow.patched("car-first")'
    for name, condition in {
        "by the room": 'trip.room_type == "standard"',
        "by chance": "workflow.random().random() < 0.5",
        "by the customer": 'trip.customer.endswith("1")',
        "always": "True",
        "never": "False",
        "by the clock": "workflow.now().second % 2",
        "by is_replaying": "not workflow.unsafe.is_replaying()",
    }.items():
        yield Generated("car_first", name, kind, changed(CAR, (asked, condition)), fits)
    both = changed(CAR, ("        else:\n", "        if True:\n"))
    yield Generated("car_first", "both branches", kind, both, fits)


# --- scripts and functions -----------------------------------------------------------------------


def _scripts() -> Iterator[Generated]:
    from exercise_answers import ex01

    def spins(desk: Any, request: Any) -> None:
        while True:
            pass

    def books_for_ever(desk: Any, request: Any) -> None:
        while True:
            desk.store_booking_request(request)

    def swallows(desk: Any, request: Any) -> None:
        while True:
            try:
                desk.book_flight(request)
                raise ValueError
            except Exception:
                continue

    name = "undo_in_a_script"
    for answer in (spins, books_for_ever, swallows):
        yield Generated(name, answer.__name__, "never ends", answer, ("never ended", "not stored"))

    def pays_twice(desk: Any, request: Any) -> None:
        done: list[str] = []
        trip = ex01.Cancellation(request.confirmation_code)
        try:
            ex01.book_all(desk, request, done)
            desk.accept_payment(ex01.bill_of(request))
        except ex01.TravelError:
            for undo in reversed(done):
                getattr(desk, undo)(trip)
            raise

    def undoes_twice(desk: Any, request: Any) -> None:
        done: list[str] = []
        trip = ex01.Cancellation(request.confirmation_code)
        try:
            ex01.book_all(desk, request, done)
        except ex01.TravelError:
            for undo in [*reversed(done), *reversed(done)]:
                getattr(desk, undo)(trip)
            raise

    yield Generated(
        name, "undoes twice", "done twice", undoes_twice, ("undone twice", "wrong order")
    )
    yield Generated(
        name, "pays twice", "done twice", pays_twice, ("done twice", "bug", "incomplete")
    )


def _functions() -> Iterator[Generated]:
    kind = "tombstones and keys"

    def book(calls: Any, key: str, action: Any) -> Any:
        if key not in calls:
            calls[key] = action()
        if calls[key] == "undone":
            raise Rejected("undone")
        return calls[key]

    def cancel(calls: Any, key: str, action: Any) -> None:
        if calls.get(key, "undone") != "undone":
            action()
        calls[key] = "undone"

    def empty_again(calls: Any, key: str, action: Any) -> Any:
        if calls.get(key) == "undone":
            raise Rejected("undone")
        if not calls.get(key):
            calls[key] = action()
        return calls[key]

    def one_key(calls: Any, key: str, action: Any) -> Any:
        return book(calls, "the key", action)

    def cancel_one_key(calls: Any, key: str, action: Any) -> None:
        cancel(calls, "the key", action)

    def by_trip(calls: Any, key: str, action: Any) -> Any:
        return book(calls, key.partition("/")[0], action)

    def cancel_by_trip(calls: Any, key: str, action: Any) -> None:
        cancel(calls, key.partition("/")[0], action)

    def marked_first(calls: Any, key: str, action: Any) -> Any:
        if calls.get(key) == "undone":
            raise Rejected("undone")
        if key not in calls:
            calls[key] = "done"
            calls[key] = action()
        return calls[key]

    def one_tombstone(calls: Any, key: str, action: Any) -> Any:
        if calls.get("tombstone"):
            raise Rejected("undone")
        return calls.setdefault(key, None) or calls.update({key: action()}) or calls[key]

    def cancel_one_tombstone(calls: Any, key: str, action: Any) -> None:
        if calls.pop(key, None) is not None:
            action()
        calls["tombstone"] = True

    def spins(calls: Any, key: str, action: Any) -> Any:
        while True:
            pass

    def told(calls: Any, key: str, action: Any) -> Any:
        if calls.get(key) == "undone":
            return None
        return book(calls, key, action)

    fits = ("not idempotent", "incomplete", "no tombstone", "undo forgotten", "undone twice")
    for name, answer in {
        "an empty answer again": (empty_again, cancel),
        "one key for all": (one_key, cancel_one_key),
        "a key for each trip": (by_trip, cancel_by_trip),
        "marked before it was done": (marked_first, cancel),
        "one tombstone for all": (one_tombstone, cancel_one_tombstone),
        "None instead of a refusal": (told, cancel),
    }.items():
        yield Generated("ask_twice", name, kind, answer, fits)
    yield Generated("ask_twice", "never ends", "never ends", (spins, cancel), ("never ended",))
    yield Generated("ask_twice", "one function", "an unexpected shape", book, ("bug",))


def _trips() -> Iterator[Generated]:
    kind = "which trips are abandoned"

    def right(trips: Any, running: Any) -> Any:
        return {c for c, t in trips.items() if not (t.completed or t.empty or c in running)}

    def paid_stands(trips: Any, running: Any) -> Any:
        return [c for c in right(trips, running) if not trips[c].charged_cents]

    def told_is_over(trips: Any, running: Any) -> Any:
        return [
            c
            for c, t in trips.items()
            if not t.completed and not t.empty and (t.outcome == "failed" or c not in running)
        ]

    def only_things(trips: Any, running: Any) -> Any:
        return [
            c for c in right(trips, running) if trips[c].seats or trips[c].nights or trips[c].days
        ]

    def only_money(trips: Any, running: Any) -> Any:
        return [c for c in right(trips, running) if trips[c].charged_cents]

    def pops(trips: Any, running: Any) -> Any:
        chosen = right(trips, running)
        for code in chosen:
            trips.pop(code)
        return chosen

    def clears(trips: Any, running: Any) -> Any:
        chosen = right(trips, running)
        running.clear()
        return chosen

    fits = ("left", "standing released", "running released", "table changed")
    for answer in (paid_stands, told_is_over, only_things, only_money, pops, clears):
        yield Generated("who_is_abandoned", answer.__name__, kind, answer, fits)
    yield Generated("who_is_abandoned", "a set", "another shape of the same", right)
    yield Generated(
        "who_is_abandoned",
        "a generator",
        "another shape of the same",
        lambda t, r: iter(right(t, r)),
    )
