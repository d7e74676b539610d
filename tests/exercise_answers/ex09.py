"""Answers to the exercise of notebook 09."""

from lab.exercises import still_alive
from lab.exercises.ex09_kill_the_worker import HEAD

from exercise_answers.answer import CORRECT, UNTOUCHED, Answer, changed

REFERENCE = still_alive.solution_code

BY_NAME = (
    HEAD
    + """        info = activity.info()
        done = set(*info.heartbeat_details)
        for guest in guests:
            if guest not in done:
                self.post.send(f"{info.workflow_id} {mailing} {guest}", guest)
                done.add(guest)
                activity.heartbeat(sorted(done))
"""
)

ASYNC = changed(
    HEAD
    + """        left = list(guests)
        for details in activity.info().heartbeat_details:
            left = details["left"]
        while left:
            self.post.send(str((mailing, left[0])), left.pop(0))
            activity.heartbeat({"left": left})
            await asyncio.sleep(0)
""",
    ("    def write_to_all", "    async def write_to_all"),
)

IN_PAIRS = (
    HEAD
    + """        begin = next(iter(activity.info().heartbeat_details), 0)
        activity.heartbeat(begin)
        for place in range(begin, len(guests), 2):
            for guest in guests[place : place + 2]:
                self.post.send(mailing + guest, guest)
            activity.heartbeat(place + 2)
"""
)

HELPERS = changed(
    """
def key(mailing, guest):
    return hash_of(mailing) + guest


def hash_of(text):
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()
"""
    + REFERENCE,
    ('f"{mailing}/{guest}"', "key(mailing, guest)"),
)

SEND = '            self.post.send(f"{mailing}/{guest}", guest)\n'
REPORT = "            done += 1\n            activity.heartbeat(done)\n"


def keyed(key: str) -> str:
    return changed(REFERENCE, ('f"{mailing}/{guest}"', key))


ANSWERS = {
    "still_alive": {
        "untouched": Answer(still_alive.skeleton, UNTOUCHED),
        "reference": Answer(REFERENCE, CORRECT),
        "the names of those who have theirs": Answer(BY_NAME, CORRECT),
        "asynchronous, what is left": Answer(ASYNC, CORRECT),
        "two letters for each report": Answer(IN_PAIRS, CORRECT),
        "three letters for each report": Answer(
            changed(
                IN_PAIRS,
                ("guests), 2)", "guests), 3)"),
                ("place + 2]", "place + 3]"),
                ("(place + 2)", "(place + 3)"),
            ),
            CORRECT,
        ),
        "a key by a function": Answer(HELPERS, CORRECT),
        "no heartbeat": Answer(HEAD + "        for guest in guests:\n" + SEND, "no sign of life"),
        "one heartbeat at the end": Answer(
            HEAD + "        for guest in guests:\n" + SEND + "        activity.heartbeat(8)\n",
            "no sign of life",
        ),
        "a heartbeat now and then": Answer(
            changed(
                REFERENCE,
                (
                    "            activity.heartbeat(done)\n",
                    "            if done % 4 == 0:\n                activity.heartbeat(done)\n",
                ),
            ),
            "no sign of life",
        ),
        "a heartbeat that says nothing": Answer(
            HEAD + "        for guest in guests:\n" + SEND + "            activity.heartbeat()\n",
            "from the beginning",
        ),
        "what was reported is not read": Answer(
            changed(REFERENCE, ("reported[0] if reported else 0", "0")), "from the beginning"
        ),
        "reported first": Answer(
            changed(REFERENCE, (SEND + REPORT, REPORT + SEND)), "reported early"
        ),
        "one too far": Answer(
            changed(REFERENCE, ("activity.heartbeat(done)", "activity.heartbeat(done + 1)")),
            "reported early",
        ),
        "by attempts": Answer(
            changed(REFERENCE, ("reported[0] if reported else 0", "activity.info().attempt - 1")),
            "reported early",
        ),
        "reported in a finally": Answer(
            changed(
                REFERENCE,
                (
                    SEND + REPORT,
                    "            try:\n    " + SEND + "            finally:\n"
                    "                done += 1\n                activity.heartbeat(done)\n",
                ),
            ),
            CORRECT,
        ),
        "the attempt in the key": Answer(
            keyed('f"{mailing}/{guest}/{activity.info().attempt}"'), "another key"
        ),
        "a random key": Answer(keyed('__import__("uuid").uuid4().hex'), "another key"),
        "a counter of this process": Answer(
            changed(
                keyed('f"{mailing}/{len(SENT)}"'),
                (REPORT, REPORT + "            SENT.append(guest)\n"),
            ).replace("\nclass Letters", "SENT = []\n\n\nclass Letters"),
            "reported early",
        ),
        "remembered in the process": Answer(
            "DONE = []\n"
            + HEAD
            + "        for guest in guests[len(DONE) :]:\n"
            + SEND
            + "            DONE.append(guest)\n            activity.heartbeat(len(DONE))\n",
            "from the beginning",
        ),
        "one key for all": Answer(keyed("mailing"), "one key"),
        "the guest alone": Answer(keyed("guest"), "one key"),
        "half of the guests": Answer(
            changed(REFERENCE, ("guests[done:]", "guests[done::2]")), "incomplete"
        ),
        "two letters each": Answer(
            changed(REFERENCE, (SEND, SEND + SEND.replace("{guest}", "{guest}/again"))),
            "done twice",
        ),
        "nothing reported in the first attempt": Answer(
            changed(REFERENCE, ("reported[0] if reported else 0", "reported[0]")), "bug"
        ),
        "a set cannot be sent": Answer(
            changed(REFERENCE, ("activity.heartbeat(done)", "activity.heartbeat({done})")), "bug"
        ),
        "for ever": Answer(
            HEAD + "        while True:\n            activity.heartbeat()\n", "never ended"
        ),
    }
}
