"""Our own records: which trips were asked for, and what the customers were told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Literal

from sqlalchemy import Connection, select, update

from travel.errors import Rejected
from travel.models import TripRequest
from travel.store.database import Database, airports, booking_requests, insert_new
from travel.store.failures import again

Outcome = Literal["booked", "failed"]


def store(database: Database, request: TripRequest) -> None:
    """Write the request down, once.

    Raises ``Rejected`` for an airport that does not exist, or a confirmation
    code that belongs to another trip.
    """
    code = request.confirmation_code
    with database.transaction() as connection:
        _check_airports(connection, request)
        new = insert_new(
            connection,
            booking_requests,
            confirmation_code=code,
            customer=request.customer,
            request=asdict(request),
        )
        if not new and _stored(connection, code) != asdict(request):
            raise Rejected(f"Confirmation code {code} belongs to another trip.")


def record_outcome(database: Database, request: TripRequest, outcome: Outcome) -> None:
    """Note what the customer was told; the audit holds us to it.

    Nobody repeats this for us as Temporal does an Activity, so it is tried more than once.
    """
    # The code may belong to another customer's trip, whose outcome is not ours to tell.
    row = (booking_requests.c.confirmation_code == request.confirmation_code) & (
        booking_requests.c.customer == request.customer
    )
    record = update(booking_requests).where(row).values(outcome=outcome)

    def write() -> None:
        with database.transaction() as connection:
            connection.execute(record)

    again(write)


def conclude(database: Database, outcomes: Mapping[str, Outcome]) -> None:
    """Note the outcome of trips, by code, whose customers were told nothing yet."""
    unknown = booking_requests.c.outcome.is_(None)
    for outcome in ("booked", "failed"):
        codes = [code for code, became in outcomes.items() if became == outcome]
        rows = unknown & booking_requests.c.confirmation_code.in_(codes)
        if codes:
            with database.transaction() as connection:
                connection.execute(update(booking_requests).where(rows).values(outcome=outcome))


def _check_airports(connection: Connection, request: TripRequest) -> None:
    known = set(connection.execute(select(airports.c.code)).scalars())
    for code in (request.origin, request.destination):
        if code not in known:
            raise Rejected(f"Unknown airport {code}; expected one of {', '.join(sorted(known))}.")


def _stored(connection: Connection, code: str) -> object:
    query = select(booking_requests.c.request)
    return connection.execute(
        query.where(booking_requests.c.confirmation_code == code)
    ).scalar_one()
