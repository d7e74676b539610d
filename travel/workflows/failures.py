"""A failure as data: what a Workflow hands to its next run, or shows to a person."""

from __future__ import annotations

from base64 import b64decode, b64encode

from temporalio import workflow
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverter
from temporalio.exceptions import (
    ApplicationError,
    CancelledError,
    FailureError,
    is_cancelled_exception,
)

CONVERTER = DefaultFailureConverter()
CANCELLED = "Workflow cancelled"
"""What the client says of a cancelled Workflow, whatever the request interrupted."""


def packed(failure: BaseException) -> str:
    """The failure with all its causes, in base64.

    A trip that was asked to cancel ends FAILED, not CANCELED, if it continued as new
    meanwhile: the SDK closes only a run that was asked itself as CANCELED, the server does
    not pass the request on to the next run, and refuses one that a Workflow sends to itself.
    The caller sees the same in both cases, this ``CancelledError``.
    """
    if is_cancelled_exception(failure):
        failure = CancelledError(CANCELLED)
    data = Failure()
    CONVERTER.to_failure(failure, workflow.payload_converter(), data)
    return b64encode(data.SerializeToString()).decode()


def unpacked(data: str) -> BaseException:
    """The failure that ``packed`` was given; what was no ``FailureError`` has become one."""
    failure = Failure.FromString(b64decode(data))
    return CONVERTER.from_failure(failure, workflow.payload_converter())


def reason_of(failure: BaseException) -> str:
    """The first cause, in one line: what the provider said, not who passed it on."""
    if is_cancelled_exception(failure):
        return CANCELLED
    while failure.__cause__ is not None:
        failure = failure.__cause__
    text = failure.message if isinstance(failure, FailureError) else str(failure)
    kind = failure.type if isinstance(failure, ApplicationError) else None
    return " ".join(text.split()) or kind or type(failure).__name__
