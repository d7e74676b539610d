"""Answers to the exercises of notebook 06."""

from lab.exercises import survive_a_cancel, the_pivot
from lab.exercises.ex06_what_not_to_compensate import BOOKING, HEAD, MESSAGE, PAY, UNDO

from exercise_answers.answer import CORRECT, UNTOUCHED, Answer, changed
from exercise_answers.ex03 import OUR_SAGA

MINE = HEAD.format(name="Mine") + BOOKING

PIVOT = the_pivot.solution_code
SEND = "await call(Activities.send_confirmation_email, email)\n"
PATIENT = """            await workflow.execute_activity_method(
                Activities.send_confirmation_email,
                email,
                start_to_close_timeout=ATTEMPT_TIMEOUT,
                schedule_to_close_timeout=timedelta(hours=3),
            )
"""
GUARDED = (
    "        try:\n" + PATIENT + "        except ActivityError:\n"
    '            workflow.logger.warning("The confirmation email could not be sent.")\n'
)

SUPPRESSED = changed(
    PIVOT,
    (
        GUARDED,
        "        from contextlib import suppress\n        with suppress(FailureError):\n" + PATIENT,
    ),
)

SAGA_THEN_EMAIL = changed(
    OUR_SAGA,
    (
        "        return price\n",
        MESSAGE
        + changed(
            PATIENT.replace("\n    ", "\n"),
            ("            await workflow", "        sending = workflow"),
        )
        + "        return len(await asyncio.gather(sending, return_exceptions=True))\n",
    ),
)

BY_HAND = changed(
    PIVOT,
    (
        GUARDED,
        """        for _ in range(3 * 6):
            try:
                await call(Activities.send_confirmation_email, email)
                break
            except ActivityError:
                await workflow.sleep(timedelta(minutes=10))
""",
    ),
)

BY_THE_CLOCK = changed(
    PIVOT,
    (
        GUARDED,
        """        end = workflow.now() + timedelta(days=1)
        while workflow.now() < end:
            try:
                await call(Activities.send_confirmation_email, email)
                break
            except ActivityError:
                await workflow.sleep(timedelta(minutes=1))
""",
    ),
)

SENDER = """
@workflow.defn
class Sender:
    @workflow.run
    async def run(self, email: ConfirmationEmail) -> None:
""" + PATIENT.replace("\n    ", "\n").replace("    ", "", 1)

IN_A_CHILD = changed(
    PIVOT,
    (
        GUARDED,
        """        try:
            await workflow.execute_child_workflow(Sender.run, email, id=email.confirmation_code)
        except FailureError:
            pass
""",
    ),
)

LEFT_TO_A_CHILD = changed(
    PIVOT,
    (
        GUARDED,
        """        await workflow.start_child_workflow(
            Sender.run,
            email,
            id=f"{email.confirmation_code}-email",
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
        )
""",
    ),
)

EMAIL_IN_TRY = MINE + "    " + MESSAGE + PATIENT + UNDO + "        return price_cents\n"

UNGUARDED = MINE + UNDO + MESSAGE + "        " + SEND + "        return price_cents\n"

UNDONE_LATER = changed(
    PIVOT,
    (
        '            workflow.logger.warning("The confirmation email could not be sent.")\n',
        "            for undo in reversed(undos):\n                await call_undo(undo, trip)\n",
    ),
)

CANCEL = survive_a_cancel.solution_code
REFUND = "            undos.append(Activities.refund_payment)\n"
SLEEP = "            await workflow.sleep(timedelta(hours=1))  # until then all is given back\n"

SHIELD_IN_A_LOOP = changed(
    CANCEL,
    (
        "            await uninterrupted(self.undo_all(undos, trip))\n",
        "            undoing = asyncio.create_task(self.undo_all(undos, trip))\n"
        "            while not undoing.done():\n"
        "                try:\n"
        "                    await asyncio.shield(undoing)\n"
        "                except asyncio.CancelledError:\n"
        "                    pass\n",
    ),
)

CATCH_EVERYTHING = changed(
    CANCEL,
    ("except (ActivityError, asyncio.CancelledError):", "except BaseException:"),
)

EACH_UNINTERRUPTED = changed(
    CANCEL,
    (
        "            await uninterrupted(self.undo_all(undos, trip))\n",
        "            for undo in reversed(undos):\n"
        "                await uninterrupted(call_undo(undo, trip))\n",
    ),
)

UNDOER = """
@workflow.defn
class Undoer:
    @workflow.run
    async def run(self, code: str, names: list[str]) -> None:
        for name in reversed(names):
            await call_undo(getattr(Activities, name), Cancellation(code))
"""

CHILD_UNDOES = UNDOER + changed(
    CANCEL,
    (
        "uninterrupted(self.undo_all(undos, trip))",
        "uninterrupted(self.by_child(undos, trip.confirmation_code))",
    ),
    (
        "    async def undo_all(self",
        """    async def by_child(self, undos, code):
        names = [undo.__name__ for undo in undos]
        await workflow.execute_child_workflow(Undoer.run, args=[code, names], id=f"{code}-undo")

    async def undo_all(self""",
    ),
)

BY_CONDITION = changed(
    CANCEL,
    (
        SLEEP,
        """            try:
                await workflow.wait_condition(lambda: False, timeout=timedelta(hours=1))
            except TimeoutError:
                pass
""",
    ),
)

ANSWERS = {
    "the_pivot": {
        "untouched": Answer(the_pivot.skeleton, UNTOUCHED),
        "reference": Answer(PIVOT, CORRECT),
        "suppressed": Answer(SUPPRESSED, CORRECT),
        "our Saga, then the email": Answer(SAGA_THEN_EMAIL, CORRECT),
        "again and again, by hand": Answer(BY_HAND, CORRECT),
        "a child that is waited for": Answer(SENDER + IN_A_CHILD, CORRECT),
        "a child that is left to itself": Answer(SENDER + LEFT_TO_A_CHILD, CORRECT),
        "each minute for a day, by the clock": Answer(BY_THE_CLOCK, CORRECT),
        "for three days": Answer(changed(PIVOT, ("hours=3", "days=3")), CORRECT),
        "copied from the page": Answer(
            changed(PIVOT, (PATIENT, "            " + SEND)), "email let go"
        ),
        "for an hour": Answer(
            changed(PIVOT, ("timedelta(hours=3)", "timedelta(hours=1)")), "email let go"
        ),
        "for ever": Answer(
            changed(PIVOT, ("                schedule_to_close_timeout=timedelta(hours=3),\n", "")),
            "never ended",
        ),
        "email compensated": Answer(EMAIL_IN_TRY, "email compensated"),
        "email unguarded": Answer(UNGUARDED, "email compensated"),
        "undone in the email's except": Answer(UNDONE_LATER, "email compensated"),
        "undone when all is well": Answer(
            changed(
                PIVOT,
                (
                    "        except ActivityError:\n            for undo",
                    "        finally:\n            for undo",
                ),
                ("            raise\n", ""),
            ),
            "undone after success",
        ),
    },
    "survive_a_cancel": {
        "untouched": Answer(survive_a_cancel.skeleton, UNTOUCHED),
        "reference": Answer(CANCEL, CORRECT),
        "a shield in a loop": Answer(SHIELD_IN_A_LOOP, CORRECT),
        "every error caught": Answer(CATCH_EVERYTHING, CORRECT),
        "each undo uninterrupted": Answer(EACH_UNINTERRUPTED, CORRECT),
        "our Saga": Answer(
            changed(
                OUR_SAGA,
                (
                    "        return price\n",
                    "            await asyncio.sleep(3600)\n        return price\n",
                ),
            ),
            CORRECT,
        ),
        "a child Workflow undoes": Answer(CHILD_UNDOES, CORRECT),
        "the hour by a condition": Answer(BY_CONDITION, CORRECT),
        "except Exception": Answer(
            changed(CANCEL, ("(ActivityError, asyncio.CancelledError)", "Exception")),
            "cancel missed",
        ),
        "a list that begins anew": Answer(
            changed(CANCEL, (REFUND, "            undos = [Activities.refund_payment]\n")),
            "undo forgotten",
        ),
        "the refund before the payment": Answer(
            changed(CANCEL, (PAY + REFUND, REFUND + PAY)),
            CORRECT,
        ),
        "copied from the page": Answer(changed(CANCEL, (REFUND, "")), "refund forgotten"),
        "the refund last": Answer(
            changed(CANCEL, (REFUND, REFUND.replace("append(", "insert(0, "))), "wrong order"
        ),
        "the hour before the payment": Answer(
            changed(CANCEL, (SLEEP, ""), (PAY, SLEEP + PAY)), "not the task"
        ),
        "no hour": Answer(changed(CANCEL, (SLEEP, "")), "not the task"),
        "the hour after the try": Answer(
            changed(
                CANCEL,
                (SLEEP, ""),
                ("        return price_cents\n", SLEEP[4:] + "        return price_cents\n"),
            ),
            "cancel missed",
        ),
        "only ActivityError caught": Answer(
            changed(CANCEL, ("(ActivityError, asyncio.CancelledError)", "ActivityError")),
            "cancel missed",
        ),
        "cancellation swallowed": Answer(
            changed(
                CANCEL,
                (
                    "            raise\n        return price_cents",
                    "            return 0\n        return price_cents",
                ),
            ),
            "error swallowed",
        ),
        "only the cancellation swallowed": Answer(
            changed(
                CANCEL,
                (
                    "except (ActivityError, asyncio.CancelledError):",
                    "except BaseException as error:",
                ),
                (
                    "            raise\n        return price_cents",
                    "            if isinstance(error, ActivityError):\n                raise\n"
                    "        return 0",
                ),
            ),
            "cancel swallowed",
        ),
        "one bare shield": Answer(
            changed(CANCEL, ("await uninterrupted(", "await asyncio.shield(")), "one shield"
        ),
        "no shield at all": Answer(
            changed(CANCEL, ("await uninterrupted(self", "await (self")), "one shield"
        ),
        "an undo that a cancel request breaks off is dropped": Answer(
            changed(
                CANCEL,
                (
                    "            await uninterrupted(self.undo_all(undos, trip))\n",
                    "            while undos:\n"
                    "                try:\n"
                    "                    await call_undo(undos.pop(), trip)\n"
                    "                except asyncio.CancelledError:\n"
                    "                    pass\n",
                ),
            ),
            "one shield",
        ),
    },
}
