"""DELIBERATELY WRONG: an order as most first sagas are written.

Good enough while nothing goes wrong. Never copy it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy


@dataclass(frozen=True)
class Order:
    """One piece of an item, for one customer."""

    reference: str
    item: str
    price_cents: int
    address: str


class Desk:
    """The Activities: each calls its service, and no more."""

    def __init__(self, shop: Any) -> None:
        self.shop = shop

    @activity.defn
    def reserve_stock(self, order: Order) -> None:
        self.shop.reserve(order.reference, order.item)

    @activity.defn
    def release_stock(self, order: Order) -> None:
        self.shop.release(order.reference, order.item)

    @activity.defn
    def charge_card(self, order: Order) -> None:
        self.shop.charge(order.reference, order.price_cents)

    @activity.defn
    def refund_card(self, order: Order) -> None:
        self.shop.refund(order.reference, order.price_cents)

    @activity.defn
    def book_parcel(self, order: Order) -> None:
        self.shop.book_parcel(order.reference, order.address)

    @activity.defn
    def cancel_parcel(self, order: Order) -> None:
        for number in self.shop.find_parcels(order.reference):
            self.shop.cancel_parcel(number)

    @activity.defn
    def tell_customer(self, order: Order) -> None:
        self.shop.send_mail(order.reference, "Your order is on its way.")


async def call(step: Any, order: Order) -> None:
    """Three attempts of five seconds."""
    await workflow.execute_activity_method(
        step,
        order,
        start_to_close_timeout=timedelta(seconds=5),
        retry_policy=RetryPolicy(maximum_attempts=3, non_retryable_error_types=["Refused"]),
    )


@workflow.defn
class PlaceOrder:
    """Compensates what succeeded, on any exception."""

    @workflow.run
    async def run(self, order: Order) -> str:
        undos: list[Any] = []
        try:
            await call(Desk.reserve_stock, order)
            undos.append(Desk.release_stock)
            await call(Desk.charge_card, order)
            undos.append(Desk.refund_card)
            await call(Desk.book_parcel, order)
            undos.append(Desk.cancel_parcel)
            await call(Desk.tell_customer, order)
        except Exception:
            for undo in reversed(undos):
                await call(undo, order)
            raise
        return "placed"
