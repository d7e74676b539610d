"""What can go wrong, told apart by what the caller may conclude from it.

TravelError
├── InvalidInput    the request makes no sense; nothing was sent anywhere
├── Rejected        a provider said no: definite, nothing was taken, never retried
└── Unavailable     no answer: the provider may or may not have done it, retry
    └── DatabaseUnavailable    our own database failed; says how, and nothing of what it was about
"""

from __future__ import annotations

from datetime import timedelta


class TravelError(Exception):
    """Base of every error that this package raises on purpose."""


class InvalidInput(TravelError, ValueError):
    """Input that cannot be a trip; the message names the value and what was expected."""


class Rejected(TravelError):
    """A provider's definite no: nothing was taken, and asking again changes nothing."""


class Unavailable(TravelError):
    """No answer from a provider: whether it acted is unknown.

    ``retry_after`` is when to ask again, where somebody knows better than a retry policy.
    """

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DatabaseUnavailable(Unavailable):
    """The database failed; ``reason`` holds no names, no statement and no secret.

    ``lasting`` if asking again changes nothing, such as a missing permission.
    """

    def __init__(self, reason: str, lasting: bool = False) -> None:
        super().__init__(f"The database failed ({reason}).")
        self.reason = reason
        self.lasting = lasting
