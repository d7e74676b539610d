"""Three sagas for one room and one payment. None of them ever loses anything.

They repeat each other line for line on purpose: a reader diffs them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from lab.isolation.hotel import Hotel, Wish

from travel.saga import Saga

HOLD_MINUTES = 15
"""Longer than the way from the hold to its confirmation ever takes."""


@workflow.defn
class BookThenPay:
    """As ``BookTrip`` does: the room is taken for good, and given back if the card fails."""

    @workflow.run
    async def run(self, wish: Wish) -> None:
        """Return when the room is sold; fail if there is none, or no money."""
        async with Saga(rejections=["Rejected"]) as saga:
            await saga.step(
                lambda: call(Hotel.book_room, wish),
                undo=lambda: call(Hotel.release_room, wish),
                name="release_room",
            )
            await saga.step(
                lambda: call(Hotel.charge, wish),
                undo=lambda: call(Hotel.refund, wish),
                name="refund",
            )


@workflow.defn
class PayThenBook:
    """What fails most goes first: whoever cannot pay never takes a room."""

    @workflow.run
    async def run(self, wish: Wish) -> None:
        """Return when the room is sold; fail if there is none, or no money."""
        async with Saga(rejections=["Rejected"]) as saga:
            await saga.step(
                lambda: call(Hotel.charge, wish),
                undo=lambda: call(Hotel.refund, wish),
                name="refund",
            )
            await saga.step(
                lambda: call(Hotel.book_room, wish),
                undo=lambda: call(Hotel.release_room, wish),
                name="release_room",
            )


@workflow.defn
class HoldThenPay:
    """Try, confirm, cancel: the room is held for some minutes, and sold when it is paid."""

    @workflow.run
    async def run(self, wish: Wish) -> None:
        """Return when the room is sold; fail if there is none, or no money."""
        async with Saga(rejections=["Rejected"]) as saga:
            await saga.step(
                lambda: call(Hotel.hold_room, wish, HOLD_MINUTES, patience=timedelta(minutes=30)),
                undo=lambda: call(Hotel.release_room, wish),
                name="release_room",
            )
            await saga.step(
                lambda: call(Hotel.charge, wish),
                undo=lambda: call(Hotel.refund, wish),
                name="refund",
            )
            await call(Hotel.confirm_room, wish)


async def call(
    activity: Any, wish: Wish, *more: Any, patience: timedelta = timedelta(hours=1)
) -> None:
    """One Activity, asked each minute until ``patience`` is over."""
    await workflow.execute_activity_method(
        activity,
        args=[wish, *more],
        start_to_close_timeout=timedelta(minutes=5),
        schedule_to_close_timeout=patience,
        retry_policy=RetryPolicy(
            initial_interval=timedelta(minutes=1),
            backoff_coefficient=1,
            non_retryable_error_types=["Rejected"],
        ),
    )
