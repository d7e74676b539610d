"""The Event History of one run, as the server would write it.

Events are kept as light records and become protobufs when somebody asks: most of
a million simulated histories are never read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History, HistoryEvent

Record = tuple[str, int, Mapping[str, Any], Any]


class Events:
    """Numbered from 1. ``attributes`` are those of the event's protobuf, by name."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch
        self.records: list[Record] = []

    def add(self, name: str, now: int, attributes: Mapping[str, Any], metadata: Any = None) -> int:
        """Write an event, ``"timer_started"`` for example, and return its id."""
        self.records.append((name, now, attributes, metadata))
        return len(self.records)

    def drop_last(self, number: int) -> None:
        """Forget the last events: those of a task that left nothing behind."""
        del self.records[-number:]

    @property
    def next_id(self) -> int:
        """The id of the event that will be written next."""
        return len(self.records) + 1

    def names(self) -> list[str]:
        """Type of each event, ``"timer_started"`` for example."""
        return [record[0] for record in self.records]

    def proto(self) -> History:
        """All of it as the server sends it."""
        return History(events=[self._event(n, *r) for n, r in enumerate(self.records, start=1)])

    def _event(
        self, number: int, name: str, now: int, attributes: Mapping[str, Any], metadata: Any
    ) -> HistoryEvent:
        said: dict[str, Any] = {k: v for k, v in attributes.items() if v is not None}
        form: Any = {f"{name}_event_attributes": said}
        event = HistoryEvent(
            event_id=number,
            task_id=1_048_576 + number,
            event_type=EventType.Value(f"EVENT_TYPE_{name.upper()}"),
            event_time=timestamp(self._epoch + now),
            **form,
        )
        if metadata is not None:
            event.user_metadata.CopyFrom(metadata)
        return event


def timestamp(nanoseconds: int) -> Timestamp:
    """Nanoseconds since 1970."""
    return Timestamp(seconds=nanoseconds // 1_000_000_000, nanos=nanoseconds % 1_000_000_000)
