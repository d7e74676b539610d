"""How long the audit of a million trips takes, and how much memory.

``python -m tests.million [--trips N] [--postgres] [--kind booked|failed|wrong]`` fills a
database with that many trips, audits it in a process of its own, and prints the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

from sqlalchemy import Connection, insert, text

sys.path.insert(0, str(Path(__file__).parents[1] / "notebooks"))

from lab.running import postgres

from travel.store.address import sqlite_url
from travel.store.database import (
    Database,
    airports,
    cars,
    fares,
    flights,
    hotels,
    open_database,
    rooms,
    routes,
)

ROOT = Path(__file__).parents[1]

AIRPORTS = 12
PLACES = 12_000
"""Rooms, and cars. Trip ``i`` has number ``i % PLACES`` of both, in its own three days."""
NIGHTS = 3
SEATS = 2
FARE_CENTS, NIGHT_CENTS, DAY_CENTS = 28_000, 31_500, 7_400
PRICE_CENTS = SEATS * FARE_CENTS + NIGHTS * (NIGHT_CENTS + DAY_CENTS)

KINDS = ("booked", "failed", "wrong")

TRIPS = f"""
    WITH RECURSIVE n(i) AS (SELECT CAST(:first AS INTEGER)
        UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :after),
    trips AS (
        SELECT i, 'TRIP-' || i AS code, i % {PLACES} AS place, i / {PLACES} AS slot,
            i % {AIRPORTS} AS airport
        FROM n
    )
"""

REQUESTS = """
    INSERT INTO booking_requests (confirmation_code, customer, request, outcome)
    {trips}
    SELECT code, 'Customer-' || i, {json}, :outcome
    FROM trips
    JOIN days AS first ON first.number = slot * {nights}
    JOIN days AS last ON last.number = (slot + 1) * {nights}
"""

JSON = """
    '{"confirmation_code": "' || code || '", "customer": "Customer-' || i || '", "origin": "A'
    || ((airport + 11) % 12) || '", "destination": "A' || airport || '", "departure_date": "'
    || first.day || '", "return_date": "' || last.day
    || '", "passengers": [{"name": "Ada", "cabin": "economy"}, {"name": "Grace", "cabin": '
    || '"economy"}], "room_type": "deluxe", "car_type": "midsize"}'
"""

HOLDS = {
    "seat_holds": f"""
        INSERT INTO seat_holds (flight, seat, cabin, confirmation_code)
        {TRIPS}
        SELECT slot * {AIRPORTS} + airport + 1, 'E' || (place * {SEATS} + seat.number),
            CASE WHEN :wrong = 1 AND seat.number = 0 THEN 'first' ELSE 'economy' END, code
        FROM trips JOIN days AS seat ON seat.number < {SEATS}
    """,
    "room_holds": f"""
        INSERT INTO room_holds (room, night, confirmation_code)
        {TRIPS}
        SELECT CASE WHEN :wrong = 1 THEN (place + 1) % {PLACES} ELSE place END + 1, night.day, code
        FROM trips JOIN days AS night
        ON night.number >= slot * {NIGHTS} AND night.number < (slot + 1) * {NIGHTS}
    """,
    "car_holds": f"""
        INSERT INTO car_holds (car, day, confirmation_code)
        {TRIPS}
        SELECT CASE WHEN :wrong = 1 THEN (place + 1) % {PLACES} ELSE place END + 1, held.day, code
        FROM trips JOIN days AS held
        ON held.number >= slot * {NIGHTS} AND held.number < (slot + 1) * {NIGHTS}
    """,
}

LEDGER = f"""
    INSERT INTO ledger (confirmation_code, entry, amount_cents, receipt_number)
    {TRIPS}
    SELECT code, CAST(:entry AS VARCHAR), {PRICE_CENTS}, code || '/' || CAST(:entry AS VARCHAR)
    FROM trips
"""

BATCH = 50_000


def fill(database: Database, trips: int, kind: str) -> None:
    """Make the trips, with SQL alone: as many booked, failed and undone, or wrong in everything."""
    slots = trips // PLACES + 1
    with database.transaction() as connection:
        _fill_inventory(connection, slots)
    for first in range(0, trips, BATCH):
        with database.transaction() as connection:
            _fill_trips(connection, {"first": first, "after": min(first + BATCH, trips)}, kind)
    with database.transaction() as connection:
        connection.execute(text("DROP TABLE days"))
        connection.execute(text("ANALYZE"))


def _fill_inventory(connection: Connection, slots: int) -> None:
    start = date(2025, 1, 20)
    days = [(start + timedelta(days=n)).isoformat() for n in range((slots + 1) * NIGHTS)]
    connection.execute(text("CREATE TABLE days (number INTEGER PRIMARY KEY, day VARCHAR)"))
    connection.execute(
        text("INSERT INTO days VALUES (:number, :day)"),
        [{"number": number, "day": day} for number, day in enumerate(days)],
    )
    ports = range(AIRPORTS)
    places = range(PLACES)
    rows = {
        airports: [{"code": f"A{n}", "city": f"City {n}"} for n in ports],
        routes: [
            {"number": f"R{n}", "origin": f"A{(n - 1) % AIRPORTS}", "destination": f"A{n}"}
            for n in ports
        ],
        fares: [
            {"route": f"R{n}", "cabin": cabin, "fare_cents": cents, "seats": 10_000}
            for n in ports
            for cabin, cents in (("economy", FARE_CENTS), ("first", 6 * FARE_CENTS))
        ],
        flights: [
            {"id": slot * AIRPORTS + n + 1, "route": f"R{n}", "date": days[slot * NIGHTS]}
            for slot in range(slots)
            for n in ports
        ],
        hotels: [{"id": n + 1, "name": f"Hotel {n}", "airport": f"A{n}"} for n in ports],
        rooms: [
            {
                "id": n + 1,
                "hotel": n % AIRPORTS + 1,
                "number": f"{n}",
                "room_type": "deluxe",
                "nightly_cents": NIGHT_CENTS,
            }
            for n in places
        ],
        cars: [
            {
                "id": n + 1,
                "airport": f"A{n % AIRPORTS}",
                "licence_plate": f"P{n}",
                "model": "M",
                "car_type": "midsize",
                "daily_cents": DAY_CENTS,
            }
            for n in places
        ],
    }
    for table, values in rows.items():
        connection.execute(insert(table), values)


def _fill_trips(connection: Connection, batch: dict[str, int], kind: str) -> None:
    document = f"CAST({JSON} AS JSON)" if connection.dialect.name == "postgresql" else JSON
    requests = REQUESTS.format(trips=TRIPS, json=document, nights=NIGHTS)
    outcome = "failed" if kind == "failed" else "booked"
    # No bind parameter may begin inside a JSON text, where a colon is a colon.
    requests = requests.replace('": ', '"\\: ')
    connection.execute(text(requests), {**batch, "outcome": outcome})
    connection.execute(text(LEDGER), {**batch, "entry": "charge"})
    if kind == "failed":
        connection.execute(text(LEDGER), {**batch, "entry": "refund"})
        return
    for statement in HOLDS.values():
        connection.execute(text(statement), {**batch, "wrong": int(kind == "wrong")})


AUDIT = """
import json, resource, sys, time
from travel.audit import audit
from travel.store.database import open_existing
from travel.store.unfinished import unfinished
database = open_existing()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started, processor = time.perf_counter(), time.process_time()
report = audit(database)
seconds, processor = time.perf_counter() - started, time.process_time() - processor
started = time.perf_counter()
to_reconcile = len(unfinished(database))
print(json.dumps({
    "reconciling": time.perf_counter() - started,
    "unfinished": to_reconcile,
    "seconds": seconds,
    "processor": processor,
    "before": before,
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    "clean": report.clean,
    "trips": report.trips,
    "completed": report.completed,
    "orphans": report.orphans,
    "money_kept_cents": report.money_kept_cents,
}))
"""


def measured(url: str) -> dict[str, float]:
    """Audit in a process of its own; returns seconds, memory in MB and the verdict."""
    outcome = subprocess.run(
        [sys.executable, "-c", AUDIT],
        cwd=ROOT,
        env=os.environ | {"TRAVEL_DATABASE_URL": url},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    figures: dict[str, float] = json.loads(outcome.stdout)
    in_mb = 1024 * 1024 if sys.platform == "darwin" else 1024
    return figures | {name: figures[name] / in_mb for name in ("before", "peak")}


@contextmanager
def empty_database(in_postgres: bool) -> Iterator[str]:
    """The URL of a database that goes with the block."""
    if in_postgres:
        with postgres.postgres_urls() as urls:
            if not urls:
                raise SystemExit("There is no PostgreSQL here.")
            yield urls[0]
        return
    with tempfile.TemporaryDirectory(prefix="travel-") as folder:
        yield sqlite_url(Path(folder, "travel.sqlite"))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.million", description=__doc__)
    parser.add_argument("--trips", type=int, default=1_000_000)
    parser.add_argument("--postgres", action="store_true", help="instead of an SQLite file")
    parser.add_argument("--kind", choices=KINDS, action="append", help="default: all three")
    options = parser.parse_args(arguments)
    for kind in options.kind or KINDS:
        with empty_database(options.postgres) as url:
            started = time.perf_counter()
            database = open_database(url)
            fill(database, options.trips, kind)
            database.close()
            filled = time.perf_counter() - started
            figures = measured(url)
        print(
            f"{options.trips:>9,} trips, all {kind:<7} audited in {figures['seconds']:6.1f} s "
            f"({figures['processor']:.1f} s of processor here), peak {figures['peak']:4.0f} MB; "
            f"{'clean' if figures['clean'] else 'NOT clean'}, {figures['completed']:,} completed, "
            f"{figures['orphans']:,} orphans, ${figures['money_kept_cents'] / 100:,.2f} kept "
            f"looked for unfinished ones in {figures['reconciling']:.1f} s "
            f"(filled in {filled:.0f} s)",
            flush=True,
        )


if __name__ == "__main__":
    main()
