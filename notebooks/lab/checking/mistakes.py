"""The mistakes that a check can tell apart, and what to say about each.

``pitfall`` is its name; ``idea`` is the first hint, a question rather than an answer.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """A way to be wrong that has a name."""

    pitfall: str
    idea: str


MISTAKES = {
    "bug": Mistake(
        "An error in the Workflow's own code",
        "The Workflow stopped on an error of its own. Read the message: it names what is missing.",
    ),
    "not deterministic": Mistake(
        "Chance or the clock in a Workflow",
        "A Workflow is replayed from its Event History and must decide the same again. What do "
        "random and datetime.now answer the second time?",
    ),
    "never ended": Mistake(
        "Waiting without end",
        "Somebody waits for an answer that will not come. Who gives up, and when?",
    ),
    "not stored": Mistake(
        "Forgetting to store the booking request",
        "A provider holds something for a trip that nobody has written down. What has to be "
        "known before the first provider is called?",
    ),
    "incomplete": Mistake(
        "A trip that is not whole",
        "Compare what the customer asked for with what was booked and charged.",
    ),
    "wrong order": Mistake(
        "Wrong compensation order",
        "Each step builds on those before it. Which step can be taken back without pulling the "
        "ground from under another?",
    ),
    "not the task": Mistake(
        "Another trip than the one asked for",
        "Read the task again: which step was to come first, and which after it?",
    ),
    "everything": Mistake(
        "Missing state tracking: compensating everything",
        "How does your code know, when the error arrives, which steps had been started?",
    ),
    "not awaited": Mistake(
        "Not awaiting compensations",
        "Did you forget to await? When the Workflow ends, whatever it did not wait for is dropped.",
    ),
    "undo forgotten": Mistake(
        "A step without its compensation",
        "Every step that takes something needs the step that gives it back. Which one has none?",
    ),
    "refund forgotten": Mistake(
        "The refund forgotten",
        "The payment is a step like the others: the card may be charged although it failed, or "
        "long before the trip is given up. Who gives the money back?",
    ),
    "registered late": Mistake(
        "Registering the undo after its step succeeded",
        "A step can be done although its reply never arrives. At which moment is the undo first "
        "needed?",
    ),
    "cancel missed": Mistake(
        "Catching only ActivityError",
        "A cancel request arrives as asyncio.CancelledError, which is no Exception. Does your "
        "handler see it?",
    ),
    "cancel swallowed": Mistake(
        "Swallowing the cancellation",
        "The customer asked to cancel. What does the caller learn when your handler has run?",
    ),
    "error swallowed": Mistake(
        "Swallowing the error",
        "The trip was undone, and the Workflow reports success. What will the customer believe?",
    ),
    "one shield": Mistake(
        "One bare asyncio.shield",
        "A shield protects what runs behind it, not the one who waits in front of it. What "
        "happens to your await when a second cancel request arrives?",
    ),
    "gave up": Mistake(
        "An undo that gives up",
        "The provider was down longer than your undo was willing to try. What does the customer "
        "lose if you stop, and what do you lose if you go on?",
    ),
    "blocked": Mistake(
        "A stuck undo that blocks the rest",
        "One provider is down. Why should the others' reservations wait for it?",
    ),
    "cause hidden": Mistake(
        "The undo's error raised instead of the cause",
        "Two things failed: a step, and later an undo. Which of the two does the customer need "
        "to hear about?",
    ),
    "email compensated": Mistake(
        "Compensating auxiliary failures",
        "The customer has paid and everything is booked. Is a missing email worth the trip?",
    ),
    "undone after success": Mistake(
        "Undoing a trip that stands",
        "Nothing had failed, or the payment had gone through. Why is anything undone?",
    ),
    "rejection retried": Mistake(
        "Retrying a rejection",
        "The provider said no. What would change if you asked again?",
    ),
    "blip not retried": Mistake(
        "Compensating for a blip",
        "One attempt failed, the next would have succeeded. Is that worth a cancelled trip?",
    ),
    "too many attempts": Mistake(
        "More attempts than asked for",
        "Nobody waits for ever. How many attempts does the task give a call, and where is that "
        "said?",
    ),
    "not parallel": Mistake(
        "One after the other",
        "What needs nobody's result need not wait for anybody. Which steps are these, and when "
        "could they be started?",
    ),
    "siblings lost": Mistake(
        "Losing the siblings",
        "When one booking fails, the others are still under way. Who waits for them, and who "
        "undoes what they do after that?",
    ),
    "replay": Mistake(
        "Changing code under running trips",
        "A trip that started before your change is replayed by your new code. Which steps does "
        "its Event History expect?",
    ),
    "no change": Mistake(
        "The change does not arrive",
        "Trips that start from now on should go the new way. Which way did this one go?",
    ),
    "not idempotent": Mistake(
        "Doing it again when asked again",
        "The same key came twice. How does the provider know, and what does it answer then?",
    ),
    "undone twice": Mistake(
        "Undoing it again when asked again",
        "A compensation is retried like every Activity. What must the second call find out "
        "before it acts?",
    ),
    "no tombstone": Mistake(
        "Forgetting that the undo came first",
        "The undo may overtake its do. What can it leave behind, so that the late do is refused?",
    ),
    "done twice": Mistake(
        "Doing it twice",
        "It had succeeded, and was asked for again. Which line does that, and what would it cost "
        "with a provider that has no keys?",
    ),
    "email forgotten": Mistake(
        "Telling nobody",
        "The trip is booked and paid. How does the customer learn of it?",
    ),
    "email let go": Mistake(
        "Letting go too soon",
        "The mail server came back, and by then nobody tried any more. How long may an email "
        "wait that changes nothing else?",
    ),
    "email too early": Mistake(
        "Telling too early",
        "The email says that the trip is paid. When is that true?",
    ),
    "too slow": Mistake(
        "Waiting too long",
        "One attempt failed, and a customer waits. How long is the pause before the next one?",
    ),
    "too hasty": Mistake(
        "Giving no time to answer",
        "A provider may need two seconds. When do you stop listening?",
    ),
    "table changed": Mistake(
        "Changing what was only shown",
        "The table belongs to whoever asks. Which line changes it?",
    ),
    "under way": Mistake(
        "Not seeing what is under way",
        "A request that has left you and not arrived cannot be found by anybody. Who could know "
        "of it, and how long must you reckon with it?",
    ),
    "left": Mistake(
        "Something left behind",
        "Nobody runs this trip any more, and it did not complete. Who releases what it holds?",
    ),
    "running released": Mistake(
        "Releasing a trip that is under way",
        "A trip half booked looks like an orphan. Who still looks after this one?",
    ),
    "standing released": Mistake(
        "Releasing a trip that stands",
        "Whoever paid, or was told booked, has a trip. What does the database say of this one?",
    ),
    "no sign of life": Mistake(
        "No sign of life",
        "A dead process is as silent as a busy one. How could the server tell them apart?",
    ),
    "from the beginning": Mistake(
        "Beginning again",
        "The attempt before had come far. Who remembers what it reported?",
    ),
    "reported early": Mistake(
        "Reporting what is not done yet",
        "The process may die between any two lines. What does the next one believe then?",
    ),
    "another key": Mistake(
        "A key that changes",
        "The next attempt runs in another process. Does it make the same key of the same guest?",
    ),
    "one key": Mistake(
        "One key for two letters",
        "A key that was used before sends nothing. What must it tell apart?",
    ),
    "nobody asked": Mistake(
        "Not waiting for a person",
        "The provider said no. Who can still decide, and what does the Workflow do until then?",
    ),
    "let in": Mistake(
        "Letting in what makes no sense",
        "Once an Update is accepted, it stands in the Event History. Who may look at it before?",
    ),
    "turned away": Mistake(
        "Turning away what makes sense",
        "An operator may try an undo now, or settle it by hand. Which of the two ends in an error?",
    ),
    "said again": Mistake(
        "Not ready for the same word twice",
        "Somebody clicks twice. What has changed when your handler comes back from its await?",
    ),
    "unanswered": Mistake(
        "An Update without an answer",
        "The Workflow was over before your handler was. What has to come first?",
    ),
    "not recorded": Mistake(
        "Who, and why?",
        "What is settled by hand stays in the books. Who will ask for the reason in a year, and "
        "where do they look?",
    ),
    "too late": Mistake(
        "Not in time",
        "The customer has left. At which moments does your code look at the clock?",
    ),
    "deadline hidden": Mistake(
        "A deadline reported as something else",
        "Nothing else had failed when the time was over. What is the caller told?",
    ),
    "cut short": Mistake(
        "A deadline that ends the undoing too",
        "The time is over for the customer. Is it over for what you hold?",
    ),
    "prediction": Mistake(
        "Another outcome than predicted",
        "Ask of each step: was it done for certain, certainly not, or does nobody know?",
    ),
    "wrong choice": Mistake(
        "Another answer",
        "Go back to the notebook that the line names, and find the trip that shows it.",
    ),
    "mutant survives": Mistake(
        "A test that is missing",
        "The code was broken on purpose and no test noticed. Which fault would have shown it?",
    ),
    "other": Mistake("Something else", "Read the line of the report card again."),
}
