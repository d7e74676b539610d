"""The trips that are not over yet: found in SQL, a page at a time, and nothing else touched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select

from travel.models import workflow_id
from travel.store.accounts import MONEY, SIGNED_CENTS, THINGS, UNDOES
from travel.store.database import Database, booking_requests, ledger, settlements


@dataclass(frozen=True)
class Unfinished:
    """A stored trip whose customer was told nothing, or that failed and left something.

    ``to_undo`` are the undos that would find something, but for those that were
    ``settled`` by hand.
    """

    confirmation_code: str
    customer: str
    outcome: str | None
    to_undo: list[str]
    settled: list[str]
    charged_cents: int

    @property
    def workflow_id(self) -> str:
        """Whom to ask at Temporal."""
        return workflow_id(self.customer, self.confirmation_code)


def unfinished(
    database: Database, *, after: str = "", limit: int = 200, codes: Sequence[str] | None = None
) -> list[Unfinished]:
    """The next ones in the order of their codes, or those among ``codes``.

    A hold without a stored request names no Workflow to ask about. The audit shows
    it; releasing it is for somebody who knows whose it is.
    """
    code = booking_requests.c.confirmation_code
    chosen = _QUERY.where(code > after) if codes is None else _QUERY.where(code.in_(codes))
    with database.snapshot() as connection:
        rows = connection.execute(chosen.order_by(code).limit(limit)).all()
        settled = _settled(connection, [row.confirmation_code for row in rows])
    return [_trip(row, settled[row.confirmation_code]) for row in rows]


def _trip(row: Any, settled: list[str]) -> Unfinished:
    left = {kind for kind in THINGS if getattr(row, kind.replace(" ", "_"))}
    left |= {MONEY} if row.charged_cents else set()
    to_undo = [undo for undo, kind in UNDOES.items() if kind in left and undo not in settled]
    code, customer, outcome = row.confirmation_code, row.customer, row.outcome
    return Unfinished(code, customer, outcome, to_undo, settled, int(row.charged_cents))


def _settled(connection: Connection, codes: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    query = select(settlements.c.confirmation_code, settlements.c.undo)
    for code, undo in connection.execute(query.where(settlements.c.confirmation_code.in_(codes))):
        found[code].append(undo)
    return found


def _query() -> Select[Any]:
    code, outcome = booking_requests.c.confirmation_code, booking_requests.c.outcome
    charged: ColumnElement[int] = func.coalesce(
        select(func.sum(SIGNED_CENTS)).where(ledger.c.confirmation_code == code).scalar_subquery(),
        0,
    )
    held = {
        kind: select(things.holds.c.confirmation_code)
        .where(things.holds.c.confirmation_code == code)
        .exists()
        for kind, things in THINGS.items()
    }
    left = or_(charged != 0, *held.values())
    columns = [exists.label(kind.replace(" ", "_")) for kind, exists in held.items()]
    return select(
        code, booking_requests.c.customer, outcome, charged.label("charged_cents"), *columns
    ).where(or_(outcome.is_(None), (outcome != "booked") & left))


_QUERY = _query()
