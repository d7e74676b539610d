"""Answers to the exercises of notebook 06."""

from lab.exercises import survive_a_cancel, the_pivot
from lab.exercises.ex06_what_not_to_compensate import BOOKING, EMAIL, HEAD, UNDO

from exercise_answers.answer import CORRECT, UNTOUCHED, Answer, changed
from exercise_answers.ex03 import OUR_SAGA

MINE = HEAD.format(name="Mine") + BOOKING

PIVOT = the_pivot.solution_code
SEND = "await call(Activities.send_confirmation_email, email)\n"

SUPPRESSED = changed(
    PIVOT,
    (
        "        try:\n            " + SEND + "        except ActivityError:\n"
        '            workflow.logger.warning("The confirmation email could not be sent.")\n',
        "        from contextlib import suppress\n"
        "        with suppress(FailureError):\n            " + SEND,
    ),
)

SAGA_THEN_EMAIL = changed(
    OUR_SAGA,
    (
        "        return price\n",
        EMAIL + "        sent = await asyncio.gather(\n"
        "            call(Activities.send_confirmation_email, email), return_exceptions=True\n"
        "        )\n        return len(sent)\n",
    ),
)

EMAIL_IN_TRY = MINE + "    " + EMAIL + "            " + SEND + UNDO + "        return price_cents\n"

UNGUARDED = MINE + UNDO + EMAIL + "        " + SEND + "        return price_cents\n"

UNDONE_LATER = changed(
    PIVOT,
    (
        '            workflow.logger.warning("The confirmation email could not be sent.")\n',
        "            for undo in reversed(undos):\n                await call_undo(undo, trip)\n",
    ),
)

CANCEL = survive_a_cancel.solution_code

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

ANSWERS = {
    "the_pivot": {
        "untouched": Answer(the_pivot.skeleton, UNTOUCHED),
        "reference": Answer(PIVOT, CORRECT),
        "suppressed": Answer(SUPPRESSED, CORRECT),
        "our Saga, then the email": Answer(SAGA_THEN_EMAIL, CORRECT),
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
                    "            await step(Activities.accept_payment",
                    "            await asyncio.sleep(3600)\n"
                    "            await step(Activities.accept_payment",
                ),
            ),
            CORRECT,
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
    },
}
