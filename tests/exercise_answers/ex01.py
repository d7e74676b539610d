"""Answers to the exercise of notebook 01: plain functions."""

from contextlib import ExitStack
from typing import Any

from exercise_answers.answer import CORRECT, UNTOUCHED, Answer
from travel.errors import Rejected, TravelError
from travel.models import Cancellation, PaymentRequest, TripRequest


def bill_of(request: TripRequest, *bookings: Any) -> PaymentRequest:
    price_cents = sum(booking.price_cents for booking in bookings)
    return PaymentRequest(request.confirmation_code, request.customer, price_cents)


def book_all(desk: Any, request: TripRequest, done: list[str]) -> None:
    desk.store_booking_request(request)
    flight = desk.book_flight(request)
    done.append("cancel_flight")
    hotel = desk.book_hotel(request)
    done.append("cancel_hotel")
    car = desk.book_car(request)
    done.append("cancel_car")
    desk.accept_payment(bill_of(request, flight, hotel, car))
    done.append("refund_payment")


def untouched(desk: Any, request: TripRequest) -> None:
    raise NotImplementedError


def list_of_undos(desk: Any, request: TripRequest) -> None:
    done: list[str] = []
    try:
        book_all(desk, request, done)
    except TravelError:
        for undo in reversed(done):
            getattr(desk, undo)(Cancellation(request.confirmation_code))
        raise


def exit_stack(desk: Any, request: TripRequest) -> None:
    trip = Cancellation(request.confirmation_code)
    desk.store_booking_request(request)
    with ExitStack() as stack:
        flight = desk.book_flight(request)
        stack.callback(desk.cancel_flight, trip)
        hotel = desk.book_hotel(request)
        stack.callback(desk.cancel_hotel, trip)
        car = desk.book_car(request)
        stack.callback(desk.cancel_car, trip)
        desk.accept_payment(bill_of(request, flight, hotel, car))
        stack.pop_all()


def nested(desk: Any, request: TripRequest) -> None:
    trip = Cancellation(request.confirmation_code)
    desk.store_booking_request(request)
    flight = desk.book_flight(request)
    try:
        hotel = desk.book_hotel(request)
        try:
            car = desk.book_car(request)
            try:
                desk.accept_payment(bill_of(request, flight, hotel, car))
            except TravelError:
                desk.cancel_car(trip)
                raise
        except TravelError:
            desk.cancel_hotel(trip)
            raise
    except TravelError:
        desk.cancel_flight(trip)
        raise


def no_rollback(desk: Any, request: TripRequest) -> None:
    book_all(desk, request, [])


def forward_order(desk: Any, request: TripRequest) -> None:
    done: list[str] = []
    try:
        book_all(desk, request, done)
    except TravelError:
        for undo in done:
            getattr(desk, undo)(Cancellation(request.confirmation_code))
        raise


def everything(desk: Any, request: TripRequest) -> None:
    try:
        book_all(desk, request, [])
    except TravelError:
        for undo in ("refund_payment", "cancel_car", "cancel_hotel", "cancel_flight"):
            getattr(desk, undo)(Cancellation(request.confirmation_code))
        raise


def error_swallowed(desk: Any, request: TripRequest) -> None:
    done: list[str] = []
    try:
        book_all(desk, request, done)
    except TravelError:
        for undo in reversed(done):
            getattr(desk, undo)(Cancellation(request.confirmation_code))


def only_rejections(desk: Any, request: TripRequest) -> None:
    done: list[str] = []
    try:
        book_all(desk, request, done)
    except Rejected:
        for undo in reversed(done):
            getattr(desk, undo)(Cancellation(request.confirmation_code))
        raise


def cause_hidden(desk: Any, request: TripRequest) -> None:
    done: list[str] = []
    try:
        book_all(desk, request, done)
    except TravelError:
        for undo in reversed(done):
            getattr(desk, undo)(Cancellation(request.confirmation_code))
        raise TravelError("The trip was undone.") from None


ANSWERS = {
    "undo_in_a_script": {
        "untouched": Answer(untouched, UNTOUCHED),
        "reference, list of undos": Answer(list_of_undos, CORRECT),
        "exit stack": Answer(exit_stack, CORRECT),
        "nested try blocks": Answer(nested, CORRECT),
        "no rollback": Answer(no_rollback, "undo forgotten"),
        "forward order": Answer(forward_order, "wrong order"),
        "compensates everything": Answer(everything, "everything"),
        "error swallowed": Answer(error_swallowed, "error swallowed"),
        "only rejections caught": Answer(only_rejections, "undo forgotten"),
        "another error raised": Answer(cause_hidden, "cause hidden"),
    }
}
