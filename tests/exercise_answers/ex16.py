"""Answers to the exercises of notebook 16: a shop's desk, its audit and its saga.

The sagas are built in clearly different ways: with ``Saga``, with a list, with another order
and another pivot, with a child Workflow, with async Activities. The wrong ones are the
designs of the course, translated to the shop.
"""

from __future__ import annotations

from pathlib import Path

from lab.exercises.ex16_answers import DESK, SAGA
from lab.shop import hasty

from exercise_answers.answer import CORRECT, UNTOUCHED, Answer

HASTY = Path(hasty.__file__).read_text(encoding="utf-8")
BEFORE_THE_WORKFLOW = SAGA[: SAGA.index("@workflow.defn")]


def changed(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


WITH_A_LIST = (
    changed(BEFORE_THE_WORKFLOW, ("from dataclasses", "import asyncio\nfrom dataclasses"))
    + """
@workflow.defn
class PlaceOrder:
    @workflow.run
    async def run(self, order: Order) -> str:
        undos = []
        try:
            for do, undone_by in (
                (Desk.reserve_stock, Desk.release_stock),
                (Desk.charge_card, Desk.refund_card),
                (Desk.book_parcel, Desk.cancel_parcel),
            ):
                undos.append(undone_by)
                await step(do, order)
        except (ActivityError, asyncio.CancelledError):
            await uninterrupted(self.undo_all(undos, order))
            raise
        await uninterrupted(self.tell(order))
        return "placed"

    async def undo_all(self, undos: list, order: Order) -> None:
        for undone_by in reversed(undos):
            await workflow.execute_activity_method(
                undone_by, order, start_to_close_timeout=timedelta(seconds=5)
            )

    async def tell(self, order: Order) -> None:
        try:
            await step(Desk.tell_customer, order)
        except ActivityError:
            pass
"""
)

STEP = "                await step(do, order)\n"
UNDO = """            await workflow.execute_activity_method(
                undone_by, order, start_to_close_timeout=timedelta(seconds=5)
            )
"""
LIMITED = UNDO.replace("seconds=5)\n", "seconds=5), {limit}\n")
UNDOING = "            await uninterrupted(self.undo_all(undos, order))\n"
TELLING = "        await uninterrupted(self.tell(order))\n"
BY_HAND = (
    STEP.replace("step(", "self.tries("),
    """    async def tries(self, do, order: Order) -> None:
        for attempt in range(5):
            try:
                return await step(do, order, retry_policy=RetryPolicy(maximum_attempts=1))
            except ActivityError as error:
                no_answer = isinstance(error.cause, ApplicationError)
                if not no_answer or error.cause.type == "Rejected" or attempt == 4:
                    raise

    async def undo_all(""",
)
A_CHILD_UNDOES = """@workflow.defn
class UndoOrder:
    @workflow.run
    async def run(self, order: Order, undos: list[str]) -> None:
        for name in undos:
            await workflow.execute_activity(
                name, order, start_to_close_timeout=timedelta(seconds=5)
            )


@workflow.defn
class PlaceOrder:"""


def with_a_list(verdict: str, *changes: tuple[str, str]) -> Answer:
    return Answer(changed(WITH_A_LIST, *changes), verdict)


CARD_FIRST = changed(
    SAGA,
    (
        """                (Desk.reserve_stock, Desk.release_stock),
                (Desk.charge_card, Desk.refund_card),
""",
        """                (Desk.charge_card, Desk.refund_card),
                (Desk.reserve_stock, Desk.release_stock),
""",
    ),
)

PAYMENT_LAST = changed(
    SAGA,
    (
        """                (Desk.charge_card, Desk.refund_card),
                (Desk.book_parcel, Desk.cancel_parcel),
""",
        """                (Desk.book_parcel, Desk.cancel_parcel),
                (Desk.charge_card, Desk.refund_card),
""",
    ),
)

A_CHILD_TELLS = changed(
    SAGA,
    (
        """        try:
            await step(Desk.tell_customer, order)
        except ActivityError:
            pass  # the order stands all the same
""",
        """        try:
            await workflow.execute_child_workflow(Tell.run, order)
        except ChildWorkflowError:
            pass  # the order stands all the same


@workflow.defn
class Tell:
    @workflow.run
    async def run(self, order: Order) -> None:
        await step(Desk.tell_customer, order)
""",
    ),
    ("import ActivityError, ApplicationError", "import ApplicationError, ChildWorkflowError"),
)

ASYNC = changed(SAGA, ("    def reserve_stock", "    async def reserve_stock"))

SIDE_BY_SIDE = (
    changed(BEFORE_THE_WORKFLOW, ("from dataclasses", "import asyncio\nfrom dataclasses"))
    + """
@workflow.defn
class PlaceOrder:
    @workflow.run
    async def run(self, order: Order) -> str:
        async with Saga(rejections=["Rejected"]) as saga:

            def take(do, undone_by):
                return saga.step(
                    partial(step, do, order),
                    undo=partial(undo, undone_by, order),
                    name=undone_by.__name__,
                )

            await asyncio.gather(
                take(Desk.reserve_stock, Desk.release_stock),
                take(Desk.charge_card, Desk.refund_card),
            )
            await take(Desk.book_parcel, Desk.cancel_parcel)
        await uninterrupted(self.tell(order))
        return "placed"

    async def tell(self, order: Order) -> None:
        try:
            await step(Desk.tell_customer, order)
        except ActivityError:
            pass
"""
)

# --- wrong ---------------------------------------------------------------------

LATE = changed(
    WITH_A_LIST,
    (
        """                undos.append(undone_by)
                await step(do, order)
""",
        """                await step(do, order)
                undos.append(undone_by)
""",
    ),
)
ONE_SHIELD = changed(
    WITH_A_LIST, ("await uninterrupted(self.undo_all", "await asyncio.shield(self.undo_all")
)
ACTIVITY_ERROR_ONLY = changed(
    WITH_A_LIST, ("except (ActivityError, asyncio.CancelledError):", "except ActivityError:")
)
MAIL_INSIDE = changed(
    SAGA,
    (
        """        await uninterrupted(self.tell(order))
        return "placed"
""",
        """            await step(Desk.tell_customer, order)
        return "placed"
""",
    ),
)
GIVES_UP = changed(
    WITH_A_LIST,
    (
        "undone_by, order, start_to_close_timeout=timedelta(seconds=5)\n",
        "undone_by, order, start_to_close_timeout=timedelta(seconds=5),\n"
        "                retry_policy=RetryPolicy(maximum_attempts=5),\n",
    ),
)
NO_REFUND = changed(
    WITH_A_LIST, ("undos.append(undone_by)", "undos += [undone_by] * (do != Desk.charge_card)")
)
MASKED = changed(
    WITH_A_LIST,
    ("            raise\n", '            raise ApplicationError("no order") from None\n'),
)
SWALLOWED = changed(WITH_A_LIST, ("            raise\n", '            return "placed"\n'))
NO_TOMBSTONE = changed(
    SAGA,
    (
        """            action()
        self.shop.notes[order.reference, what] = "undone"
""",
        """            action()
            self.shop.notes[order.reference, what] = "undone"
""",
    ),
)
ONE_KEY_FOR_ALL = changed(
    SAGA, ("self.shop.notes.get((order.reference, what))", "self.shop.notes.get(what)")
)

ANSWERS = {
    "shop_desk": {
        "untouched": Answer("# an empty file", UNTOUCHED),
        "reference": Answer(DESK, CORRECT),
        "with a saga below": Answer(SAGA, CORRECT),
        "async": Answer(
            changed(DESK, ("    def reserve_stock", "    async def reserve_stock")), CORRECT
        ),
        "hasty": Answer(HASTY, "done twice"),
        "no tombstone": Answer(
            changed(
                DESK,
                (
                    """            action()
        self.shop.notes[order.reference, what] = "undone"
""",
                    """            action()
            self.shop.notes[order.reference, what] = "undone"
""",
                ),
            ),
            "no tombstone",
        ),
        "the parcel is not looked up": Answer(
            changed(DESK, ("if not self.shop.find_parcels(order.reference):", "if True:")),
            "done twice",
        ),
        "a refusal without its flag": Answer(
            changed(DESK, (", non_retryable=True", "")), "rejection retried"
        ),
        "what the desk remembers itself": Answer(
            changed(
                DESK,
                ("self.shop = shop\n", "self.shop = shop\n        self.notes = {}\n"),
                ("self.shop.notes", "self.notes"),
            ),
            "done twice",
        ),
        "one tombstone for all parcels": Answer(
            changed(
                DESK,
                (
                    '        self.shop.notes[order.reference, "parcel"] = "undone"\n',
                    '        self.shop.notes["parcel"] = "undone"\n',
                ),
                (
                    '        self._once(order, "parcel"',
                    '        if "parcel" in self.shop.notes:\n'
                    '            raise ApplicationError("undone", type="Rejected", '
                    "non_retryable=True)\n"
                    '        self._once(order, "parcel"',
                ),
            ),
            "incomplete",
        ),
        "a mail that is none": Answer(changed(DESK, ("send_mail", "mail")), "email forgotten"),
        "an endless loop": Answer(
            changed(
                DESK,
                (
                    "            self.shop.cancel_parcel(number)\n",
                    "            pass\n        while True:\n            pass\n",
                ),
            ),
            "never ended",
        ),
        "a refusal forgotten": Answer(
            changed(DESK, ('            self.shop.notes[order.reference, what] = "refused"\n', "")),
            "not idempotent",
        ),
    },
    "shop_audit": {
        "untouched": Answer(..., UNTOUCHED),
        "reference": Answer(lambda shop: shop.held(), CORRECT),
        "a number": Answer(lambda shop: len(shop.held()), CORRECT),
        "by hand": Answer(
            lambda shop: [
                *shop.reserved,
                *[
                    reference
                    for reference in {reference for reference, _ in shop.ledger}
                    if sum(cents for other, cents in shop.ledger if other == reference)
                ],
                *[parcel for parcel in shop.parcels if not parcel.canceled],
            ],
            CORRECT,
        ),
        "one by one": Answer(lambda shop: (each for each in shop.held()), CORRECT),
        "by kind, empty or not": Answer(
            lambda shop: {
                "pieces": list(shop.reserved),
                "all": shop.held(),
            },
            CORRECT,
        ),
        "a name that is none": Answer(lambda shop: shop.left, "bug"),
        "it clears away": Answer(
            lambda shop: [shop.reserved.pop() for _ in tuple(shop.reserved)] + shop.held(),
            "table changed",
        ),
        "the sum of all money": Answer(
            lambda shop: [
                *shop.reserved,
                *([1] if sum(cents for _, cents in shop.ledger) else []),
                *[parcel for parcel in shop.parcels if not parcel.canceled],
            ],
            "left",
        ),
        "every parcel": Answer(lambda shop: [*shop.held(), *shop.parcels], "left"),
        "the notes": Answer(lambda shop: [*shop.held(), *shop.notes], "left"),
        "nothing": Answer(lambda shop: [], "left"),
    },
    "shop_saga": {
        "untouched": Answer("# an empty file", UNTOUCHED),
        "reference": Answer(SAGA, CORRECT),
        "with a list": Answer(WITH_A_LIST, CORRECT),
        "the card first": Answer(CARD_FIRST, CORRECT),
        "the payment is the pivot": Answer(PAYMENT_LAST, CORRECT),
        "a child tells": Answer(A_CHILD_TELLS, CORRECT),
        "an async Activity": Answer(ASYNC, CORRECT),
        "side by side": Answer(SIDE_BY_SIDE, CORRECT),
        "hasty": Answer(HASTY, "email compensated"),
        "registered late": Answer(LATE, "registered late"),
        "one shield": Answer(ONE_SHIELD, "one shield"),
        "ActivityError only": Answer(ACTIVITY_ERROR_ONLY, "cancel missed"),
        "the mail inside": Answer(MAIL_INSIDE, "email compensated"),
        "gives up": Answer(GIVES_UP, "gave up"),
        "no refund": Answer(NO_REFUND, "refund forgotten"),
        "another failure": Answer(MASKED, "cause hidden"),
        "failure swallowed": Answer(SWALLOWED, "error swallowed"),
        "no tombstone": Answer(NO_TOMBSTONE, "no tombstone"),
        "one key for all orders": Answer(ONE_KEY_FOR_ALL, "left"),
        "retries by hand": with_a_list(
            CORRECT, (STEP, BY_HAND[0]), ("    async def undo_all(", BY_HAND[1])
        ),
        "a child undoes": with_a_list(
            CORRECT,
            ("@workflow.defn\nclass PlaceOrder:", A_CHILD_UNDOES),
            (
                "self.undo_all(undos, order)",
                "workflow.execute_child_workflow(UndoOrder.run, "
                "args=[order, [undo.__name__ for undo in reversed(undos)]])",
            ),
        ),
        "except Exception, registered first": with_a_list(
            "cancel missed",
            ("except (ActivityError, asyncio.CancelledError):", "except Exception:"),
            (UNDOING, "            await self.undo_all(undos, order)\n"),
        ),
        "undos not awaited": with_a_list(
            "not awaited",
            ("await uninterrupted(self.undo_all", "asyncio.create_task(self.undo_all"),
        ),
        "an undo tried for a day": with_a_list(
            "gave up",
            (UNDO, LIMITED.format(limit="schedule_to_close_timeout=timedelta(days=1)")),
        ),
        "an undo tried a thousand times": with_a_list(
            "gave up",
            (UNDO, LIMITED.format(limit="retry_policy=RetryPolicy(maximum_attempts=1000)")),
        ),
        "undone in time": with_a_list(
            "gave up",
            ("uninterrupted(self.undo_all(undos, order))", "self.undo_in_time(undos, order)"),
            (
                "    async def undo_all(",
                "    async def undo_in_time(self, undos: list, order: Order) -> None:\n"
                "        undoing = asyncio.wait_for(self.undo_all(undos, order), 60)\n"
                "        await uninterrupted(undoing)\n\n"
                "    async def undo_all(",
            ),
        ),
        "nobody told": with_a_list("email forgotten", (TELLING, "")),
        "told by a task that nobody awaits": with_a_list(
            "not awaited", (TELLING, "        asyncio.create_task(self.tell(order))\n")
        ),
        "told first": with_a_list(
            "email too early",
            (TELLING, ""),
            (
                "        try:\n            for",
                "        await self.tell(order)\n        try:\n            for",
            ),
        ),
        "every step twice": with_a_list("done twice", (STEP, STEP * 2)),
        "undone twice": with_a_list("undone twice", (UNDOING, UNDOING * 2)),
        "a refusal asked again": with_a_list(
            "rejection retried",
            (
                STEP,
                "                while True:\n"
                "                    try:\n"
                "                        await step(do, order)\n"
                "                        break\n"
                "                    except ActivityError:\n"
                "                        await workflow.sleep(60)\n",
            ),
        ),
        "single attempts": with_a_list("blip not retried", ("attempts=3", "attempts=1")),
        "undone after all": with_a_list(
            "undone after success",
            (
                "        await uninterrupted(self.tell",
                UNDOING[4:] + "        await uninterrupted(self.tell",
            ),
        ),
        "never charged": with_a_list(
            "incomplete", ("                (Desk.charge_card, Desk.refund_card),\n", "")
        ),
        "nothing undone": with_a_list("undo forgotten", (UNDOING, "")),
        "the list is the module's": with_a_list(
            "not deterministic",
            ("        undos = []\n", ""),
            ("@workflow.defn\n", "undos = []\n\n\n@workflow.defn\n"),
        ),
        "chance": with_a_list(
            "not deterministic",
            (
                "        undos = []\n",
                "        undos = []\n        import random\n"
                "        await workflow.sleep(random.random())\n",
            ),
        ),
        "an endless loop": with_a_list(
            "never ended",
            (UNDO, UNDO + "            while undos:\n                await asyncio.sleep(0)\n"),
        ),
    },
}
