"""Converters that convert the same thing only once.

The same few messages go through thousands of simulated runs, and converting them to
JSON and back is most of what a run costs. What was converted is kept pickled, so nobody
is ever given an object that somebody else may change. What cannot be pickled is
converted every time. The same few lines fail, too.
"""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Sequence
from functools import lru_cache
from types import TracebackType
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverter, FailureConverter, PayloadConverter
from temporalio.exceptions import FailureError

_ENOUGH = 20_000
"""Entries after which a cache starts anew."""

_NO_PICKLE = (pickle.PicklingError, TypeError, AttributeError, RecursionError)


class QuickConverter(PayloadConverter):
    """``slow`` with a memory."""

    def __init__(self, slow: PayloadConverter) -> None:
        self._slow = slow
        self._payloads: dict[bytes, Payload] = {}
        self._values: dict[tuple[bytes, bytes, int], tuple[Any, bytes]] = {}

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        return [self._to_payload(value) for value in values]

    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        if type_hints is None:
            return [self._from_payload(payload, None) for payload in payloads]
        if len(type_hints) != len(payloads):
            return self._slow.from_payloads(payloads, type_hints)
        pairs = zip(payloads, type_hints, strict=True)
        return [self._from_payload(payload, hint) for payload, hint in pairs]

    def _to_payload(self, value: Any) -> Payload:
        try:
            key = pickle.dumps(value)
        except _NO_PICKLE:
            return self._slow.to_payloads([value])[0]
        found = self._payloads.get(key)
        if found is None:
            (found,) = self._slow.to_payloads([value])
            if len(self._payloads) >= _ENOUGH:
                self._payloads.clear()
            self._payloads[key] = found
        return found

    def _from_payload(self, payload: Payload, hint: Any) -> Any:
        # By the hint's identity: the entry keeps it alive, so no other can have its id.
        key = (payload.data, payload.metadata.get("encoding", b""), id(hint))
        found = self._values.get(key)
        if found is not None:
            return pickle.loads(found[1])
        hints = None if hint is None else [hint]
        (value,) = self._slow.from_payloads([payload], hints)
        try:
            kept = pickle.dumps(value)
            pickle.loads(kept)
        except (*_NO_PICKLE, ImportError, EOFError, pickle.UnpicklingError):
            return value
        if len(self._values) >= _ENOUGH:
            self._values.clear()
        self._values[key] = (hint, kept)
        return value


class QuickFailureConverter(DefaultFailureConverter):
    """The SDK's, with a memory for the lines of a stack trace; it leaves out their markers.

    Stack traces were half of what it costs to simulate an undo that fails for days. Most
    attempts that fail are tried again, and nobody reads theirs.
    """

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        trace, exception.__traceback__ = exception.__traceback__, None
        try:
            super().to_failure(exception, payload_converter, failure)
        finally:
            exception.__traceback__ = trace
        copied = isinstance(exception, FailureError) and exception.failure is not None
        if not copied and not failure.stack_trace:
            failure.stack_trace = "\n".join(_lines(trace))


def quick_failures(slow: FailureConverter) -> FailureConverter:
    """``slow`` itself, if it may write anything else than the SDK's own does."""
    return QuickFailureConverter() if type(slow) is DefaultFailureConverter else slow


def _lines(trace: TracebackType | None) -> list[str]:
    return [
        _line(frame.f_code.co_filename, number, frame.f_code.co_name)
        for frame, number in traceback.walk_tb(trace)
    ]


@lru_cache(_ENOUGH)
def _line(file: str, number: int, function: str) -> str:
    return traceback.format_list([traceback.FrameSummary(file, number, function)])[0]
