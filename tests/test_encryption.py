"""Names and cards stay private: what the server stores, and what it can read of that."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from samples import a_trip
from temporal import run
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.testing import TimeSkipper

from travel.booking import result_of, start_trip
from travel.errors import InvalidInput
from travel.faults import Fault, ScriptedFault, ScriptedFaults
from travel.models import Passenger, TripRequest
from travel.providers.payments import TEST_DECLINE
from travel.store.database import Database
from travel.temporal.connection import connect, register_search_attribute
from travel.temporal.encryption import ENCODING, KEY_VARIABLE, EncryptionCodec, data_converter
from travel.temporal.server import embedded_server
from travel.worker import running_worker
from travel.workflows.book_trip import BookTrip

# Fixed, for they are in the names of tests; nothing real is encrypted with them.
FIRST, SECOND = (urlsafe_b64encode(bytes([number] * 32)).decode() for number in (1, 2))

PEOPLE = ("Zbigniew Brzeczyszczykiewicz", "Wilhelmina Featherstonehaugh", "Quentin Oyelaran")


def a_private_trip(code: str, **changes: Any) -> TripRequest:
    """The customer is a number, for that is in the Workflow id; the passengers have names."""
    passengers = [Passenger(name, "first") for name in PEOPLE]
    return a_trip(code, customer="C-48151623", passengers=passengers, **changes)


TRIPS = (
    a_private_trip("PRIVATE-BOOKED", departure_date="2025-01-21", return_date="2025-01-24"),
    a_private_trip("PRIVATE-NO-CAR", car_type="limousine"),
    a_private_trip(
        f"PRIVATE-{TEST_DECLINE}", departure_date="2025-01-25", return_date="2025-01-27"
    ),
    a_private_trip("PRIVATE-STUCK", departure_date="2025-01-28", return_date="2025-01-30"),
)

TELLTALE = (
    *PEOPLE,
    "Hudson House",  # where they sleep
    "deluxe",  # what the Web UI shows beside a step
    "was declined",  # what a failure says
    "_cents",  # any amount, in the way that a payload writes it
    "SFO to JFK",  # the summary of a trip
)


@dataclass(frozen=True)
class Stored:
    """What a server kept: its file, and the strings in its Event Histories outside of payloads."""

    file: bytes
    in_clear: set[str]


async def book_them(folder: Path, database: Database) -> Stored:
    """Book the trips on a server that writes a file; one meets an outage of its undo."""
    filename = folder / "temporal.sqlite"
    faults = ScriptedFaults(
        (
            ScriptedFault("book_car", Fault.OUTAGE, (), "PRIVATE-STUCK"),
            ScriptedFault("cancel_hotel", Fault.OUTAGE, tuple(range(1, 8)), "PRIVATE-STUCK"),
        )
    )
    async with embedded_server(ui=False, database_filename=str(filename)) as server:
        client = TimeSkipper(await connect(server.address)).client
        await register_search_attribute(client)
        async with running_worker(client, database, faults=faults):
            handles = [await start_trip(client, trip) for trip in TRIPS]
            pairs = zip(handles, TRIPS, strict=True)
            results = [await result_of(handle, trip, database) for handle, trip in pairs]
            assert [result.booked for result in results] == [True, False, False, False]
            progress = await handles[0].query(BookTrip.progress)
            assert progress.status == "booked"
        in_clear = await strings_in_clear(await plain_client(server.address))
    return Stored(contents(filename), in_clear)


async def plain_client(address: str) -> Client:
    """A client without a key, as the server's operator has."""
    from temporalio.converter import DataConverter

    return await connect(address, data_converter=DataConverter.default)


async def strings_in_clear(client: Client) -> set[str]:
    found: set[str] = set()
    for trip in TRIPS:
        handle = client.get_workflow_handle(trip.workflow_id)
        async for event in handle.fetch_history_events():
            found |= set(strings_of(event))
    return found


def strings_of(message: Message) -> Iterator[str]:
    """Every string in a message, but for what is encrypted."""
    if isinstance(message, Payload):
        if message.metadata["encoding"] != ENCODING:
            yield message.data.decode()
        return
    for field, value in message.ListFields():
        for one in values_of(field, value):
            if isinstance(one, Message):
                yield from strings_of(one)
            elif isinstance(one, str):
                yield one


def values_of(field: Any, value: Any) -> Sequence[Any]:
    if hasattr(value, "items"):
        return [part for pair in value.items() for part in pair]
    return list(value) if field.is_repeated else [value]


def contents(filename: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(filename.parent.glob(f"{filename.name}*")))


def found_in(file: bytes) -> list[str]:
    return [word for word in TELLTALE if word.encode() in file]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "server"
    folder.mkdir()
    return folder


@pytest.mark.everything  # shows that the next one would see it
def test_without_a_key_the_server_knows_everything(
    folder: Path, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the test after this one is known to be able to find something."""
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    stored = run(book_them(folder, sqlite_database))
    assert found_in(stored.file) == list(TELLTALE)


def test_with_a_key_the_servers_file_holds_no_name_and_no_amount(
    folder: Path, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, FIRST)
    stored = run(book_them(folder, sqlite_database))
    assert found_in(stored.file) == []
    assert FIRST.encode() not in stored.file
    assert b"PRIVATE-BOOKED" in stored.file  # it is the file of these trips
    unexplained = {text for text in stored.in_clear if not explained(text)}
    assert not unexplained


IN_CLEAR = {
    *("BookTrip", "travel", "booking-C-48151623-", "PRIVATE"),  # type, queue, id
    *("store_booking_request", "book_", "cancel_", "accept_payment", "refund_payment"),
    *("send_confirmation_email", "TripStatus", "Rejected", "Unavailable", "ActivityError"),
    *("booking", "booked", "compensating", "waiting for", "released"),  # search attribute
    *("Encoded failure", "PythonSDK", "temporal-python", "Keyword", "core", "@"),
}
"""The list in ``travel.temporal.encryption``, as it looks in an Event History."""


def explained(text: str) -> bool:
    plain = text.strip('"')
    number_or_id = plain.replace("-", "").isalnum() and (plain.isdigit() or len(plain) >= 32)
    version = plain[:1].isdigit() and plain.count(".") >= 1
    return not plain or number_or_id or version or any(word in plain for word in IN_CLEAR)


# --- keys ---------------------------------------------------------------------------------


def a_payload(text: str = "Ada") -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=f'"{text}"'.encode())


def through(writer: EncryptionCodec, reader: EncryptionCodec) -> Payload:
    async def there_and_back() -> Payload:
        return (await reader.decode(await writer.encode([a_payload()])))[0]

    return asyncio.run(there_and_back())


def test_the_first_key_encrypts_and_all_decrypt() -> None:
    old, new = EncryptionCodec([FIRST]), EncryptionCodec([SECOND])
    both = EncryptionCodec([SECOND, FIRST])
    assert through(old, both) == through(new, both) == through(both, new) == a_payload()
    with pytest.raises(InvalidInput, match="None of the keys"):
        through(both, old)


def test_what_was_written_before_encryption_can_still_be_read() -> None:
    codec = EncryptionCodec([FIRST])
    assert asyncio.run(codec.decode([a_payload()])) == [a_payload()]


def test_a_changed_payload_is_refused() -> None:
    async def test() -> None:
        codec = EncryptionCodec([FIRST])
        (payload,) = await codec.encode([a_payload()])
        middle = len(payload.data) // 2
        flipped = bytes([payload.data[middle] ^ 1])
        payload.data = payload.data[:middle] + flipped + payload.data[middle + 1 :]
        with pytest.raises(InvalidInput, match="None of the keys"):
            await codec.decode([payload])

    asyncio.run(test())


def test_the_same_text_never_looks_the_same() -> None:
    async def test() -> None:
        payloads = await EncryptionCodec([FIRST]).encode([a_payload(), a_payload()])
        assert payloads[0].data != payloads[1].data

    asyncio.run(test())


@pytest.mark.parametrize(
    ("value", "which"),
    [
        ("secret", "Key 1 of 1"),
        (f"{FIRST[:-2]}", "Key 1 of 1"),
        ("é" * 44, "Key 1 of 1"),
        (f"{FIRST},secret", "Key 2 of 2"),
        (f"{FIRST},", "Key 2 of 2"),
        (f",{FIRST}", "Key 1 of 2"),
        (f"{FIRST} {SECOND}", "Key 1 of 1"),
    ],
)
def test_a_bad_key_is_one_sentence_that_does_not_show_it(
    monkeypatch: pytest.MonkeyPatch, value: str, which: str
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, value)
    with pytest.raises(InvalidInput) as caught:
        data_converter()
    said = str(caught.value)
    assert said.startswith(f"{which} in {KEY_VARIABLE} is not a key; expected 32 bytes")
    assert "secret" not in said and FIRST[:8] not in said


@pytest.mark.parametrize("module", ["travel.worker", "travel.client"])
def test_a_command_with_a_bad_key_says_so(module: str) -> None:
    command = [sys.executable, "-m", module]
    environment = {**os.environ, KEY_VARIABLE: "secret", "TEMPORAL_ADDRESS": "127.0.0.1:1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.startswith("Key 1 of 1 in TRAVEL_ENCRYPTION_KEY is not a key")
    assert ended.stderr.count("\n") == 1


def test_a_new_key_is_printed_and_works(monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "travel.temporal.encryption"]
    key = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    monkeypatch.setenv(KEY_VARIABLE, key)
    assert isinstance(data_converter().payload_codec, EncryptionCodec)


def test_a_worker_with_the_wrong_key_waits_for_the_right_one(
    temporal_address: str, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trip is neither lost nor failed: it goes on as soon as somebody can read it."""
    trip = replace(a_private_trip("ROTATED"), customer="C-1")

    async def client_with(key: str) -> Client:
        monkeypatch.setenv(KEY_VARIABLE, key)
        return TimeSkipper(await connect(temporal_address)).client

    async def test() -> None:
        writer = await client_with(FIRST)
        handle = await start_trip(writer, trip, queue="rotation")
        async with running_worker(await client_with(SECOND), sqlite_database, queue="rotation"):
            await asyncio.sleep(1)
            assert (await handle.describe()).status.name == "RUNNING"  # type: ignore[union-attr]
        both = await client_with(f"{SECOND},{FIRST}")
        async with running_worker(both, sqlite_database, queue="rotation"):
            result = await result_of(
                both.get_workflow_handle_for(BookTrip.run, handle.id), trip, sqlite_database
            )
            assert result.booked

    run(test())
