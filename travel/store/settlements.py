"""What a person settled by hand, because a provider would not undo it.

Such an undo is never carried out, so what it would have released stays in the
books. The settlement says how much that was. The audit excuses as much and no more:
money that is charged late is not settled. (Our own providers refuse what comes late: the
Activity leaves a tombstone first.)
"""

from __future__ import annotations

from travel.store.accounts import left_by
from travel.store.database import Database, insert_new, settlements


def record(
    database: Database,
    *,
    confirmation_code: str,
    undo: str,
    settled_by: str,
    reason: str,
    settled_at: str,
) -> None:
    """Write down that ``undo`` (such as ``"cancel_hotel"``) of this trip was settled by hand.

    ``settled_at`` is an ISO date and time. May be called twice: the first one stands.
    """
    with database.transaction() as connection:
        insert_new(
            connection,
            settlements,
            confirmation_code=confirmation_code,
            undo=undo,
            amount_cents=left_by(connection, confirmation_code, undo),
            settled_by=settled_by,
            reason=reason,
            settled_at=settled_at,
        )
