"""The payment company: charges and refunds, in cents, in a ledger that only grows."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from travel.errors import Rejected
from travel.models import PaymentReceipt, PaymentRequest
from travel.providers.once import do_once, undo_once
from travel.store.database import Database, ledger

TEST_DECLINE = "FORCE-PAYMENT-FAIL"
"""A confirmation code with this in it is always declined, like a payment company's
test cards (https://docs.stripe.com/testing#declined-payments)."""


def charge(database: Database, key: str, request: PaymentRequest) -> PaymentReceipt:
    """Take the money. Raises ``Rejected`` if the card is declined."""
    return do_once(
        database, key, PaymentReceipt, lambda connection: _charge(connection, key, request)
    )


def refund(database: Database, key: str, confirmation_code: str) -> None:
    """Pay back what was charged under ``key``, or see that it never will be charged."""
    undo_once(database, key, lambda connection: _refund(connection, key, confirmation_code))


def _charge(connection: Connection, key: str, request: PaymentRequest) -> PaymentReceipt:
    if TEST_DECLINE in request.confirmation_code:
        raise Rejected(f"The card of {request.customer} was declined.")
    receipt = PaymentReceipt(receipt_number=key, amount_cents=request.amount_cents)
    _enter(connection, request.confirmation_code, "charge", receipt)
    return receipt


def _refund(connection: Connection, key: str, confirmation_code: str) -> None:
    query = select(ledger.c.amount_cents).where(ledger.c.receipt_number == key)
    charged_cents = connection.execute(query).scalar_one()
    receipt = PaymentReceipt(receipt_number=f"{key}/refund", amount_cents=charged_cents)
    _enter(connection, confirmation_code, "refund", receipt)


def _enter(connection: Connection, code: str, entry: str, receipt: PaymentReceipt) -> None:
    connection.execute(
        insert(ledger).values(
            confirmation_code=code,
            entry=entry,
            amount_cents=receipt.amount_cents,
            receipt_number=receipt.receipt_number,
        )
    )
