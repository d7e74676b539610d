"""Idempotency keys and tombstones: what lets a provider be called twice.

Under each key the provider remembers one of three answers:

========  ==========================================================
done      the call was carried out; repeat it and get the same answer
refused   the call was rejected; repeat it and get the same rejection
undone    the call was undone, **or must never be carried out**
========  ==========================================================

An undo of something never done leaves ``undone`` behind, a tombstone: a do that
arrives late meets it and is refused. So it never matters which of the two
arrives first. A rejection is remembered too. Otherwise an earlier attempt that
got stuck on the way could still commit after a later one was refused.

Keys and tombstones also decide what an operator can do to a trip. **Reset** runs a trip
again from an earlier point: one that stands gets the answers that it got before, and books
nothing twice; one that was undone meets its tombstones and fails, whatever has become free
since. **Starting a closed trip again** under its own code ends the same way; the customer
tries again under a new code. **Pause** stops an Activity and the clock of its timeouts: a
paused undo keeps its turn, and the undos of the older steps wait behind it until somebody
unpauses it. So pause an undo to fix its provider, and not to put it aside.

The idea of the key is Stripe's (https://docs.stripe.com/api/idempotent_requests),
the word tombstone Cassandra's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, ClassVar, Protocol, TypeVar

from sqlalchemy import Connection, select, update

from travel.errors import Rejected
from travel.store.database import AnyRow, Database, insert_new, provider_calls


class Answer(Protocol):
    """Any dataclass of JSON values."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


A = TypeVar("A", bound=Answer)


def do_once(
    database: Database, key: str, answer_type: type[A], action: Callable[[Connection], A]
) -> A:
    """Carry out ``action`` under ``key``, or return the answer it gave before.

    Raises ``Rejected`` if the action does, if it did before, or if the key was
    undone in the meantime.
    """
    with database.transaction() as connection:
        if not insert_new(connection, provider_calls, key=key, state="done"):
            return _answer_again(_call(connection, key), answer_type)
        try:
            with connection.begin_nested():
                answer = action(connection)
        except Rejected as rejection:
            _remember(connection, key, "refused", {"reason": str(rejection)})
            refused = rejection
        else:
            _remember(connection, key, "done", asdict(answer))
            return answer
    # Raised only here, so that the transaction commits the refusal.
    raise refused


def undo_once(database: Database, key: str, action: Callable[[Connection], object]) -> None:
    """Undo what was done under ``key``; if nothing was, see that nothing will be."""
    with database.transaction() as connection:
        if insert_new(connection, provider_calls, key=key, state="undone"):
            return
        if _call(connection, key).state == "done":
            action(connection)
            _remember(connection, key, "undone", None)


def leave_tombstone(database: Database, key: str) -> None:
    """See that nothing will be done under ``key``: a person settled its undo by hand.

    What was done already stands.
    """
    with database.transaction() as connection:
        insert_new(connection, provider_calls, key=key, state="undone")


def _call(connection: Connection, key: str) -> AnyRow:
    query = select(provider_calls).where(provider_calls.c.key == key).with_for_update()
    return connection.execute(query).one()


def _answer_again(call: AnyRow, answer_type: type[A]) -> A:
    if call.state == "done":
        return answer_type(**call.answer)
    if call.state == "refused":
        raise Rejected(call.answer["reason"])
    raise Rejected(f"{call.key} was undone, so it can no longer be done.")


def _remember(connection: Connection, key: str, state: str, answer: dict[str, Any] | None) -> None:
    row = provider_calls.c.key == key
    connection.execute(update(provider_calls).where(row).values(state=state, answer=answer))
