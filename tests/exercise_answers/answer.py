"""What an answer is."""

from dataclasses import dataclass
from typing import Any

CORRECT = "correct"
UNTOUCHED = "not attempted"


@dataclass(frozen=True)
class Answer:
    """``given`` is a cell's text, or the value or function handed to the check.

    ``verdict`` is ``CORRECT``, ``UNTOUCHED`` or the mistake that the check must name first.
    """

    given: Any
    verdict: str


def changed(text: str, *replacements: tuple[str, str]) -> str:
    """The text with each replacement made; each must apply."""
    for old, new in replacements:
        assert old in text, f"{old!r} is not in the answer"
        text = text.replace(old, new)
    return text
