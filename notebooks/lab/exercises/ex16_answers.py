"""One correct answer to each exercise of notebook 16, as a learner would type it."""

ORDER_AND_DESK = """@dataclass(frozen=True)
class Order:
    reference: str
    item: str
    price_cents: int
    address: str


class Desk:
    def __init__(self, shop) -> None:
        self.shop = shop

    @activity.defn
    def reserve_stock(self, order: Order) -> None:
        self._once(order, "stock", lambda: self.shop.reserve(order.reference, order.item))

    @activity.defn
    def release_stock(self, order: Order) -> None:
        self._undo(order, "stock", lambda: self.shop.release(order.reference, order.item))

    @activity.defn
    def charge_card(self, order: Order) -> None:
        self._once(order, "card", lambda: self.shop.charge(order.reference, order.price_cents))

    @activity.defn
    def refund_card(self, order: Order) -> None:
        self._undo(order, "card", lambda: self.shop.refund(order.reference, order.price_cents))

    @activity.defn
    def book_parcel(self, order: Order) -> None:
        self._once(order, "parcel", lambda: self._ship(order))

    @activity.defn
    def cancel_parcel(self, order: Order) -> None:
        for number in self.shop.find_parcels(order.reference):
            self.shop.cancel_parcel(number)
        self.shop.notes[order.reference, "parcel"] = "undone"

    @activity.defn
    def tell_customer(self, order: Order) -> None:
        self._once(order, "mail", lambda: self.shop.send_mail(order.reference, "On its way."))

    def _ship(self, order: Order) -> None:
        if not self.shop.find_parcels(order.reference):  # an earlier attempt may have booked it
            self.shop.book_parcel(order.reference, order.address)

    def _once(self, order: Order, what: str, action) -> None:
        state = self.shop.notes.get((order.reference, what))
        if state == "done":
            return
        if state is not None:
            raise ApplicationError(f"{what}: {state}", type="Rejected", non_retryable=True)
        try:
            action()
        except Exception as error:
            if type(error).__name__ != "Refused":
                raise
            self.shop.notes[order.reference, what] = "refused"
            raise ApplicationError(str(error), type="Rejected", non_retryable=True) from None
        self.shop.notes[order.reference, what] = "done"

    def _undo(self, order: Order, what: str, action) -> None:
        if self.shop.notes.get((order.reference, what)) == "done":
            action()
        self.shop.notes[order.reference, what] = "undone"
"""

DESK = (
    """
from dataclasses import dataclass

from temporalio import activity
from temporalio.exceptions import ApplicationError


"""
    + ORDER_AND_DESK
)

SAGA = (
    """
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

from travel.saga import Saga, uninterrupted


"""
    + ORDER_AND_DESK
    + """

step = partial(
    workflow.execute_activity_method,
    start_to_close_timeout=timedelta(seconds=5),
    retry_policy=RetryPolicy(maximum_attempts=3),
)
undo = partial(
    workflow.execute_activity_method,
    start_to_close_timeout=timedelta(seconds=5),
    schedule_to_close_timeout=timedelta(minutes=1),
)


@workflow.defn
class PlaceOrder:
    @workflow.run
    async def run(self, order: Order) -> str:
        async with Saga(rejections=["Rejected"]) as saga:
            for do, undone_by in (
                (Desk.reserve_stock, Desk.release_stock),
                (Desk.charge_card, Desk.refund_card),
                (Desk.book_parcel, Desk.cancel_parcel),
            ):
                await saga.step(
                    partial(step, do, order),
                    undo=partial(undo, undone_by, order),
                    name=undone_by.__name__,
                )
        await uninterrupted(self.tell(order))
        return "placed"

    async def tell(self, order: Order) -> None:
        try:
            await step(Desk.tell_customer, order)
        except ActivityError:
            pass  # the order stands all the same
"""
)
