"""The saga: book a whole trip, or leave nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

# The sandbox loads Workflow files anew for each run. What is imported here is
# either plain data or never run inside a Workflow, so one copy is enough.
with workflow.unsafe.imports_passed_through():
    from travel.activities import Activities
    from travel.errors import InvalidInput
    from travel.models import (
        Cancellation,
        CarBooking,
        ConfirmationEmail,
        Decision,
        FlightBooking,
        HotelBooking,
        PaymentReceipt,
        PaymentRequest,
        Settlement,
        StuckUndo,
        TripConfirmation,
        TripProgress,
        TripRequest,
        Undoing,
        check_request,
    )
    from travel.temporal.search_attributes import TRIP_STATUS

from travel.saga import Saga, Waiting, uninterrupted, wait_through
from travel.workflows.calls import LONGEST_PAUSE, REJECTIONS, call, call_undo, call_undo_for_an_hour
from travel.workflows.details import details_of
from travel.workflows.failures import packed, reason_of, unpacked
from travel.workflows.metrics import SagaMetrics

Booking = tuple[FlightBooking, HotelBooking, CarBooking, PaymentReceipt]
M = TypeVar("M")
R = TypeVar("R")

UNDOING = "undoing"
"""Memo of a run that carries on what an earlier one could not undo. A memo, not an
argument: a design that builds on this one need not know of it to pass it on."""

UNDOS = {
    undo.__name__: undo
    for undo in (
        Activities.cancel_flight,
        Activities.cancel_hotel,
        Activities.cancel_car,
        Activities.refund_payment,
    )
}


# Bad input is the caller's mistake: fail the trip. By default an exception that
# is not Temporal's own only fails the Workflow Task, which is retried for ever.
@workflow.defn(failure_exception_types=[InvalidInput])
class BookTrip:
    """Flight, hotel, car, payment: all of them, or none."""

    @workflow.init
    def __init__(self, request: TripRequest) -> None:
        """The saga lives as long as the Workflow, so that a query can ask it."""
        self._request = request
        self._saga = Saga(
            rejections=REJECTIONS,
            longest_pause=LONGEST_PAUSE,
            on_change=self._publish,
            carry_on=self._continue_undoing,
        )
        self._done: list[str] = []
        self._settled: list[Settlement] = []
        self._cancel_reason: str | None = None
        self._paid = False
        self._published = "booking"
        self._metrics = SagaMetrics()

    @workflow.run
    async def run(self, request: TripRequest) -> TripConfirmation:
        """Return the booked trip, or fail with the first failure and everything released."""
        left = workflow.memo_value(UNDOING, None, type_hint=Undoing)
        if left is None:
            check_request(request)
            # Stored first: what a provider holds must never belong to an unknown trip.
            await call(Activities.store_booking_request, request)
        deadline = self._deadline()
        try:
            async with self._saga:
                if left is not None:
                    raise self._taken_over(left)
                flight, hotel, car, payment = await self._book(request)
        finally:
            deadline.cancel()
            if not workflow.all_handlers_finished():
                # A decision that came last must still be answered.
                await uninterrupted(wait_through(workflow.all_handlers_finished))
        # The payment was the pivot. From here on the trip stands, whatever comes.
        self._paid = True
        self._publish()
        email_sent = await uninterrupted(self._send_email(payment))
        code = request.confirmation_code
        return TripConfirmation(code, flight, hotel, car, payment, email_sent)

    @workflow.query
    def progress(self) -> TripProgress:
        """What is done, what is still to be undone, and what that waits for."""
        return self._progress()

    def _progress(self) -> TripProgress:
        # Apart from the query, which a subclass may replace.
        saga, failure = self._saga, self._saga.failure
        return TripProgress(
            status=self._status(),
            done=self._done,
            to_undo=saga.to_undo,
            stuck=saga.stuck,
            waiting=[
                StuckUndo(undo, since.isoformat(timespec="seconds"), reason, refused)
                for undo, since, reason, refused in saga.waiting
            ],
            settled=self._settled,
            failure=reason_of(failure) if failure else "",
            cancel_reason=self._cancel_reason or workflow.cancellation_reason(),
        )

    @workflow.update
    async def decide(self, decision: Decision) -> TripProgress:
        """Try a stuck compensation now, or take it off the list as settled by hand.

        The same decision may be sent twice: the second time changes nothing.
        """
        if decision.settled_by:
            await self._settle(decision)
        elif decision.undo in self._saga.stuck:
            self._saga.try_now(decision.undo)
        return self._progress()

    @decide.validator
    def check_decision(self, decision: Decision) -> None:
        """Refuse, in a sentence, what cannot be decided."""
        known = [*self._saga.stuck, *(settled.undo for settled in self._settled)]
        if decision.undo not in known:
            waiting = ", ".join(self._saga.stuck) or "nothing"
            raise ValueError(
                f"{decision.undo!r} does not wait for a decision; waiting in trip "
                f"{self._request.confirmation_code}: {waiting}."
            )
        if bool(decision.settled_by.strip()) != bool(decision.because.strip()):
            raise ValueError(
                f"{decision.undo} is settled by {decision.settled_by!r} because "
                f"{decision.because!r}; expected a name and a reason."
            )

    async def _settle(self, decision: Decision) -> None:
        settlement = Settlement(
            self._request.confirmation_code,
            decision.undo,
            decision.settled_by,
            decision.because,
            workflow.now().isoformat(timespec="seconds"),
        )
        # Recorded first: the audit must never see less than what the trip believes.
        await call(Activities.record_settlement, settlement)
        if decision.undo in self._saga.stuck:
            self._settled.append(settlement)
            self._saga.settle(decision.undo)

    def _deadline(self) -> asyncio.Task[None]:
        async def fail_in_time() -> None:
            patience = self._request.book_within_seconds
            if patience is not None:
                await workflow.sleep(patience, summary="the customer's patience")
                self._saga.fail(
                    ApplicationError(
                        f"The trip was not booked within {patience:,} seconds.",
                        type="DeadlineExceeded",
                    )
                )

        return asyncio.create_task(fail_in_time())

    async def _continue_undoing(self) -> None:
        """Go on in a new run, before the server ends one whose Event History is too long."""
        await workflow.wait_condition(workflow.all_handlers_finished)
        progress = self._progress()
        if self._saga.failure is None or not progress.to_undo:
            return
        left = Undoing(
            packed(self._saga.failure),
            progress.done,
            list(reversed(progress.to_undo)),
            progress.waiting,
            progress.settled,
            progress.cancel_reason,
        )
        workflow.continue_as_new(self._request, memo={UNDOING: left})

    def _taken_over(self, left: Undoing) -> BaseException:
        """Owe what an earlier run could not undo; return what that run failed with."""
        self._done, self._settled = list(left.done), list(left.settled)
        self._cancel_reason = left.cancel_reason
        waiting = {
            stuck.undo: Waiting(
                stuck.undo, datetime.fromisoformat(stuck.since), stuck.reason, stuck.refused
            )
            for stuck in left.waiting
        }
        for undo in left.to_undo:
            self._saga.owe(
                self._undo(UNDOS[undo], "undo, taken over from an earlier run"),
                name=undo,
                waiting=waiting.get(undo),
            )
        return unpacked(left.failure)

    async def _book(self, trip: TripRequest) -> Booking:
        flight = await self._book_flight(trip)
        hotel = await self._book_hotel(trip)
        car = await self._book_car(trip)
        price_cents = flight.price_cents + hotel.price_cents + car.price_cents
        payment = await self._accept_payment(trip, price_cents)
        return flight, hotel, car, payment

    async def _book_flight(self, trip: TripRequest) -> FlightBooking:
        summary = f"{trip.origin} to {trip.destination}, {trip.departure_date}"
        return await self._step(
            Activities.book_flight, trip, undo=Activities.cancel_flight, summary=summary
        )

    async def _book_hotel(self, trip: TripRequest) -> HotelBooking:
        summary = f"{trip.room_type} room until {trip.return_date}"
        return await self._step(
            Activities.book_hotel, trip, undo=Activities.cancel_hotel, summary=summary
        )

    async def _book_car(self, trip: TripRequest) -> CarBooking:
        summary = f"{trip.car_type} car until {trip.return_date}"
        return await self._step(
            Activities.book_car, trip, undo=Activities.cancel_car, summary=summary
        )

    async def _accept_payment(self, trip: TripRequest, price_cents: int) -> PaymentReceipt:
        bill = PaymentRequest(trip.confirmation_code, trip.customer, price_cents)
        summary = f"${price_cents / 100:,.2f}"
        return await self._step(
            Activities.accept_payment, bill, undo=Activities.refund_payment, summary=summary
        )

    async def _step(
        self,
        do: Callable[[Any, M], R],
        message: M,
        *,
        undo: Callable[[Any, Cancellation], None],
        summary: str,
    ) -> R:
        result = await self._saga.step(
            partial(call, do, message, summary),
            undo=self._undo(undo, f"undo {summary}"),
            name=undo.__name__,
        )
        self._done.append(do.__name__)
        return result

    def _undo(
        self, undo: Callable[[Any, Cancellation], None], summary: str
    ) -> Callable[[], Awaitable[None]]:
        """A short turn at first, so that the others get theirs; then as long as it takes."""
        trip = Cancellation(self._request.confirmation_code)
        ask = call_undo

        async def turn() -> None:
            nonlocal ask
            this_time, ask = ask, call_undo_for_an_hour
            await this_time(undo, trip, summary)

        return turn

    async def _send_email(self, payment: PaymentReceipt) -> bool:
        """Tell whether it was sent; a trip that is paid does not fail for an email."""
        text = f"Your trip is booked. You paid ${payment.amount_cents / 100:,.2f}."
        trip = self._request
        email = ConfirmationEmail(trip.confirmation_code, trip.customer, text)
        try:
            await call(Activities.send_confirmation_email, email)
        except ActivityError:
            return False
        return True

    def _status(self) -> str:
        if self._paid:
            return "booked"
        if refused := [waiting.name for waiting in self._saga.waiting if waiting.refused]:
            return f"waiting for a decision on {', '.join(refused)}"
        if self._saga.stuck:
            return f"waiting for {', '.join(self._saga.stuck)}"
        if self._saga.compensating:
            return "compensating" if self._saga.to_undo else "released"
        return "booking"

    def _publish(self) -> None:
        """Show the status in the Web UI, make trips findable by it, and keep the numbers."""
        saga = self._saga
        self._metrics.changed(
            compensating=saga.compensating, to_undo=saga.to_undo, waiting=saga.waiting
        )
        workflow.set_current_details(details_of(self._request.confirmation_code, self._progress()))
        status = self._status()
        # The client sets the attribute where the server knows it. Asking the
        # Event History, not the server, keeps a replay deterministic.
        known = workflow.info().typed_search_attributes.get(TRIP_STATUS) is not None
        if known and status != self._published:
            workflow.upsert_search_attributes([TRIP_STATUS.value_set(status)])
        self._published = status
