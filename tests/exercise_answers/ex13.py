"""Answers to the exercise of notebook 13: which tool for which situation."""

from lab.exercises.ex13_what_a_saga_cannot_promise import SITUATIONS, TOOLS

from exercise_answers.answer import CORRECT, UNTOUCHED, Answer

RIGHT = dict(
    zip(
        SITUATIONS,
        ("transaction", "outbox", "saga", "two-phase commit", "choreography", "retry"),
        strict=True,
    )
)


def everywhere(tool: str) -> Answer:
    return Answer(dict.fromkeys(SITUATIONS, tool), "prediction")


ANSWERS = {
    "which_tool": {
        "untouched": Answer(dict.fromkeys(SITUATIONS, ...), UNTOUCHED),
        "reference": Answer(RIGHT, CORRECT),
        "as a function": Answer(RIGHT.get, CORRECT),
        "in capitals": Answer({name: tool.title() for name, tool in RIGHT.items()}, CORRECT),
        "spelled otherwise": Answer(
            {name: tool.replace("-", "_") for name, tool in RIGHT.items()}, CORRECT
        ),
        "a list": Answer(list(RIGHT.values()), "bug"),
        **{f"{tool} everywhere": everywhere(tool) for tool in TOOLS},
        "a word that is none": Answer(dict.fromkeys(SITUATIONS, "kafka"), "prediction"),
        "one not answered": Answer(RIGHT | {next(iter(RIGHT)): ...}, "prediction"),
    }
}
