"""Whatever comes in: one clear sentence or a booked trip, and no secret in any of it."""

from __future__ import annotations

import asyncio
import copy
import io
import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lab.running import postgres
from samples import a_trip
from sqlalchemy import make_url
from temporal import a_new_trip, run, running_system

from travel import audit, client, worker
from travel.booking import TripResult, start_trip
from travel.errors import InvalidInput
from travel.models import Passenger
from travel.store.address import sqlite_url
from travel.store.database import Database, open_database
from travel.store.holdings import read_trips
from travel.store.seed_data import DEFAULT_FILE, load_seed_data
from travel.temporal.connection import connect

# A fixture that lives as long as the test is what these tests want.
many = settings(max_examples=100, suppress_health_check=list(HealthCheck))
some = settings(many, max_examples=30)

SECRET = "hunter2-S3CRET"
NOWHERE = "127.0.0.1:1"

HOSTILE = (
    "Robert'); DROP TABLE seat_holds;--",
    'She said "no"',
    "{{7*7}} ${HOME} %s %(name)s",
    "../../etc/passwd",
    "👩‍👩‍👧‍👦 Família Ñandú",
    "\u202eadA\u202c",
    "שלום עליכם",
    "Zoë\u0301\u0301\u0301",
    "０１２３",
    "NULL",
    "a" * 100,
)


def assert_one_sentence(text: str) -> None:
    assert "Traceback" not in text
    assert text.strip(), "says something"
    assert len(text.strip().splitlines()) == 1, text
    assert len(text) < 1000


# --- requests -----------------------------------------------------------------------


class Nobody:
    """A client that may not be used."""

    class Used(Exception):
        pass

    async def start_workflow(self, *_: object, **__: object) -> None:
        raise self.Used


junk = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.just([])
)
dates = st.one_of(junk, st.dates().map(str), st.just("2025-02-30"), st.just("2025-1-2"))
passengers = st.one_of(
    junk, st.lists(st.builds(Passenger, st.one_of(junk, st.text()), junk), max_size=12)
)
FIELDS = {
    "confirmation_code": junk,
    "customer": junk,
    "origin": junk,
    "destination": junk,
    "departure_date": dates,
    "return_date": dates,
    "passengers": passengers,
    "room_type": junk,
    "car_type": junk,
}


@many
@given(st.data())
def test_a_request_gets_a_sentence_or_is_sent(data: st.DataObject) -> None:
    names = data.draw(st.sets(st.sampled_from(sorted(FIELDS)), min_size=1))
    request = a_trip(**{name: data.draw(FIELDS[name], label=name) for name in sorted(names)})
    try:
        asyncio.run(start_trip(Nobody(), request))  # type: ignore[arg-type]
    except InvalidInput as error:
        assert_one_sentence(str(error))
    except Nobody.Used:
        assert all(isinstance(getattr(request, name), (str, list)) for name in names)


@pytest.mark.parametrize("field", ["customer", "confirmation_code", "room_type", "origin"])
def test_ten_megabytes_are_never_sent(field: str) -> None:
    for text in ("x" * 10_000_000, "👩" * 2_500_000, "\u202e" * 3_000_000):
        with pytest.raises(InvalidInput) as caught:
            asyncio.run(start_trip(Nobody(), a_trip(**{field: text})))  # type: ignore[arg-type]
        assert_one_sentence(str(caught.value))


def test_unusual_names_book_a_trip_and_come_back_as_they_were(
    temporal_address: str, sqlite_database: Database
) -> None:
    trips = [
        a_new_trip(
            customer=name,
            passengers=[Passenger(name)],
            departure_date=f"2025-02-{day:02}",
            return_date=f"2025-02-{day + 1:02}",
        )
        for day, name in enumerate(HOSTILE, 1)
    ]

    async def test() -> None:
        async with running_system(temporal_address, sqlite_database) as system:
            results = await asyncio.gather(*[system.book(trip) for trip in trips])
            assert [result.reason for result, _ in results] == [""] * len(trips)

    run(test())
    stored = read_trips(sqlite_database)
    assert [stored[trip.confirmation_code].request for trip in trips] == trips
    assert audit.audit(sqlite_database).clean


@pytest.mark.parametrize("field", ["origin", "room_type", "car_type", "confirmation_code"])
def test_unusual_wishes_are_refused_or_granted_and_nothing_remains(
    temporal_address: str, sqlite_database: Database, field: str
) -> None:
    trips = [a_new_trip(customer=f"{n}-{field}") for n, _ in enumerate(HOSTILE)]
    trips = [
        replace(trip, **{field: f"{text[:60]}{trip.confirmation_code[-8:]}"})
        for trip, text in zip(trips, HOSTILE, strict=True)
    ]

    async def test() -> None:
        async with running_system(temporal_address, sqlite_database) as system:
            results = await asyncio.gather(*[system.book(trip) for trip in trips])
            for result, _ in results:
                assert result.booked or "\n" not in result.reason
                assert field == "confirmation_code" or not result.booked

    run(test())
    assert audit.audit(sqlite_database).clean


# --- seed files -----------------------------------------------------------------------

SEED = json.loads(DEFAULT_FILE.read_text(encoding="utf-8"))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=200)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, (dict, list)):
            yield from places(inner, (*path, key))


PLACES = sorted(places(SEED), key=str)


@many
@given(st.sampled_from(PLACES), values, st.booleans())
def test_a_damaged_seed_file_gets_a_sentence(
    tmp_path: Path, place: tuple[Any, ...], value: Any, delete: bool
) -> None:
    document = copy.deepcopy(SEED)
    inner = document
    for key in place[:-1]:
        inner = inner[key]
    if delete:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    file = tmp_path / "seed.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    try:
        load_seed_data(file)
    except InvalidInput as error:
        assert_one_sentence(str(error))


@many
@given(st.binary(max_size=400))
@example(b'{"airports": ' + b"[" * 100_000)
@example(b"\xef\xbb\xbf{}")
def test_any_bytes_as_a_seed_file_get_a_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "seed.json"
    file.write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        load_seed_data(file)
    assert_one_sentence(str(caught.value))


# --- environment and command line ---------------------------------------------------------


@contextmanager
def environment(folder: Path, **settings: str) -> Iterator[None]:
    """No server, an empty database in the folder, and these settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TEMPORAL_", "TRAVEL_"))}
    kept |= {
        "TEMPORAL_ADDRESS": NOWHERE,
        "TRAVEL_DATABASE_URL": sqlite_url(folder / "travel.sqlite"),
    }
    with mock.patch.dict(os.environ, kept | settings, clear=True):
        yield


def call(main: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> tuple[int, str, str]:
    """Exit code, output and errors of an entry point, called in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as end:  # from argparse
            code = int(end.code or 0)
    return code, out.getvalue(), err.getvalue()


def nothing_stored(folder: Path) -> bool:
    database = open_database(sqlite_url(folder / "travel.sqlite"))
    try:
        return not read_trips(database)
    finally:
        database.close()


MAINS = [client.main, worker.main, audit.main]
words = st.one_of(
    st.sampled_from(
        ["--seed", "--trips", "--server", "-1", "0", "45", "1e3", "--", "-", "--seed="]
    ),
    st.text(max_size=60),
)


@many
@given(st.sampled_from(MAINS), st.lists(words, min_size=1, max_size=4))
@example(client.main, ["--trips", "٤٤"])
@example(client.main, ["--trips", "²"])
@example(client.main, ["--server", "%s%n{}"])
@example(worker.main, ["--seed", "9" * 5000])
def test_any_command_line(
    tmp_path: Path, main: Callable[[Sequence[str]], int], arguments: list[str]
) -> None:
    with environment(tmp_path):
        code, out, err = call(main, arguments)
    assert "Traceback" not in err
    if code == 2:
        # The line names the argument, which may be long; argparse shortens nothing.
        sentence = err.strip().splitlines()[-1]
        for argument in sorted(arguments, key=len, reverse=True):
            sentence = sentence.replace(argument, "…") if len(argument) > 99 else sentence
        assert_one_sentence(sentence)
    else:  # help, or an argument that the audit does not mind
        assert code == 0 and out
    assert nothing_stored(tmp_path)


# What an environment variable can hold.
settings_text = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=200
)


@some
@given(settings_text)
@example("localhost")
@example("localhost:99999")
@example("http://localhost:7233")
@example("[::1:7233")
@example(f"user:{SECRET}@localhost:7233")
@pytest.mark.parametrize("main", MAINS[:2])
def test_any_address(tmp_path: Path, main: Callable[[Sequence[str]], int], address: str) -> None:
    if address.rpartition(":")[2].isdecimal() and "@" not in address:
        address += "!"  # not one that might exist
    with environment(tmp_path, TEMPORAL_ADDRESS=address):
        code, _, err = call(main, [])
    assert code == 2
    assert_one_sentence(err)
    assert nothing_stored(tmp_path)


@some
@given(settings_text)
@example(f"{SECRET}\n")
@example(SECRET)
def test_any_api_key_and_it_is_never_shown(tmp_path: Path, key: str) -> None:
    with environment(tmp_path, TEMPORAL_API_KEY=f"{SECRET}{key}"):
        code, out, err = call(client.main, [])
    assert code == 2
    assert_one_sentence(err)
    assert SECRET not in out + err


urls = st.one_of(
    settings_text,
    st.builds(
        "{}://ada:{}@{}/{}".format,
        st.sampled_from(["postgresql", "postgresql+psycopg", "mysql", "oracle", "sqlite", "x"]),
        st.just(SECRET),
        st.sampled_from(["127.0.0.1:1", "127.0.0.1:port", "127.0.0.1:99999", "[::1]:1", ""]),
        st.sampled_from(["", "db", "../..", "?x=1", "db?host=/nowhere"]),
    ),
    st.sampled_from(["sqlite:////nowhere/x", "sqlite:///.", "sqlite:///a\nb/c", "postgresql://"]),
)


@some
@given(urls)
def test_any_database_url_and_no_password_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PGHOST", "/nowhere")
    with environment(tmp_path, TRAVEL_DATABASE_URL=url, PGHOST="/nowhere"):
        code, out, err = call(audit.main, [])
    assert SECRET not in out + err
    assert code in (0, 2)
    if code == 2:
        assert_one_sentence(err)


@some
@given(st.text(max_size=300))
def test_any_namespace(temporal_address: str, namespace: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        asyncio.run(connect(temporal_address, namespace=namespace))
    assert_one_sentence(str(caught.value))


def test_a_database_of_somebody_else(tmp_path: Path) -> None:
    """It has a table of ours by name, and not our columns."""
    with sqlite3.connect(tmp_path / "travel.sqlite") as connection:
        connection.execute("CREATE TABLE booking_requests (id INTEGER)")
    with environment(tmp_path):
        code, _, err = call(audit.main, [])
    assert code == 2
    assert_one_sentence(err)
    assert "has no table" in err


def test_a_database_that_goes_away_while_trips_are_booked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def book(*_: object, **__: object) -> list[TripResult]:
        with sqlite3.connect(tmp_path / "travel.sqlite") as connection:
            connection.execute("DROP TABLE ledger")
        return []

    monkeypatch.setattr(client, "_book_and_print", book)
    with environment(tmp_path):
        code, _, err = call(client.main, ["--server", "embedded"])
    assert code == 2
    assert_one_sentence(err)
    assert "a table is missing" in err


# --- secrets ------------------------------------------------------------------------------


def test_no_secret_in_an_event_history_or_a_log(
    temporal_address: str, postgres_server: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The database goes away under a trip, and what it then says goes everywhere."""
    caplog.set_level(logging.DEBUG)

    async def test(database: Database, drop: Callable[[], None]) -> str:
        trip = a_new_trip()
        async with running_system(temporal_address, database) as system:
            key = await connect(temporal_address, api_key=SECRET, tls=False)
            await start_trip(key, a_new_trip(), queue=system.queue)
            drop()
            result, _ = await system.book(trip)
            assert not result.booked and not result.recorded
            history = await system.client.get_workflow_handle(trip.workflow_id).fetch_history()
            return history.to_json()

    name = f"travel_secret_{os.getpid()}"
    with postgres.fresh_database(postgres_server, name) as url:
        secret = make_url(url).set(password=SECRET).render_as_string(hide_password=False)
        database = open_database(secret)

        def drop() -> None:
            with database.transaction() as connection:
                connection.exec_driver_sql("DROP SCHEMA public CASCADE")

        try:
            told = run(test(database, drop))
        finally:
            database.close()
    assert "a table is missing, 42P01" in told, "the error is in the Event History"
    assert SECRET not in told
    assert SECRET not in caplog.text
    assert SECRET not in str(database)
