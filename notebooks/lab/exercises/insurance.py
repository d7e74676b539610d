"""The insurer of the capstone: its book of policies, and an audit of that book.

It can do and undo, once each. What it lacks is what a provider needs in a world where
replies get lost: keys and tombstones. Those are yours to add.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, delete, insert, select

from travel.audit import Finding
from travel.errors import Rejected
from travel.models import TripRequest
from travel.store.database import Database
from travel.store.holdings import read_trips

UNINSURABLE = "Daredevil"
PREMIUM_CENTS = 4_900

_metadata = MetaData()
policies = Table(
    "policies",
    _metadata,
    Column("number", Integer, primary_key=True),
    Column("confirmation_code", String, nullable=False, index=True),
)


@dataclass(frozen=True)
class Policy:
    """A policy that was issued; the insurer bills the customer for it, not we."""

    confirmation_code: str
    premium_cents: int


def issue(connection: Connection, request: TripRequest) -> Policy:
    """Write a policy into the book. Raises ``Rejected`` for a customer nobody insures."""
    if UNINSURABLE in request.customer:
        raise Rejected(f"{request.customer} cannot be insured.")
    connection.execute(insert(policies).values(confirmation_code=request.confirmation_code))
    return Policy(request.confirmation_code, PREMIUM_CENTS)


def revoke(connection: Connection, confirmation_code: str) -> None:
    """Strike a trip's policies from the book."""
    own = policies.c.confirmation_code == confirmation_code
    connection.execute(delete(policies).where(own))


def open_book(database: Database) -> None:
    """Create the book, if it is not there yet."""
    _metadata.create_all(database.engine)


def audit_policies(database: Database) -> list[Finding]:
    """A completed trip has one policy, every other trip has none."""
    with database.snapshot() as connection:
        held = list(connection.execute(select(policies.c.confirmation_code)).scalars())
    trips = read_trips(database)
    findings = []
    for code in sorted({*trips, *held}):
        count, stands = held.count(code), code in trips and trips[code].completed
        if stands and count != 1:
            problem = f"{count} policies in a completed trip"
        elif not stands and count:
            problem = f"{count} policies held for a trip that did not complete"
        else:
            continue
        findings.append(Finding(code, "policies", problem, max(count, 1)))
    return findings
