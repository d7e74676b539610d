"""The email company. An email cannot be unsent, so there is no undo."""

from __future__ import annotations

from sqlalchemy import Connection, insert

from travel.models import ConfirmationEmail
from travel.providers.once import do_once
from travel.store.database import Database, outbox


def send(database: Database, key: str, email: ConfirmationEmail) -> ConfirmationEmail:
    """Put the email into the outbox, once, however often it is sent; return what was sent."""
    return do_once(database, key, ConfirmationEmail, lambda connection: _send(connection, email))


def _send(connection: Connection, email: ConfirmationEmail) -> ConfirmationEmail:
    connection.execute(
        insert(outbox).values(
            confirmation_code=email.confirmation_code, customer=email.customer, text=email.text
        )
    )
    return email
