"""Answers to the exercise of notebook 01: plain functions."""

from contextlib import ExitStack
from typing import Any

from exercise_answers.answer import CORRECT, UNTOUCHED, Answer
from travel.errors import Rejected, TravelError
from travel.models import Cancellation, PaymentRequest, TripRequest


def bill_of(request: TripRequest, *bookings: Any) -> PaymentRequest:
    price_cents = sum(booking.price_cents for booking in bookings)
    return PaymentRequest(request.confirmation_code, request.customer, price_cents)


def book_all(agency: Any, request: TripRequest, done: list[str]) -> None:
    agency.store_booking_request(request)
    flight = agency.book_flight(request)
    done.append("cancel_flight")
    hotel = agency.book_hotel(request)
    done.append("cancel_hotel")
    car = agency.book_car(request)
    done.append("cancel_car")
    agency.accept_payment(bill_of(request, flight, hotel, car))
    done.append("refund_payment")


def untouched(agency: Any, request: TripRequest) -> None:
    raise NotImplementedError


def list_of_undos(agency: Any, request: TripRequest) -> None:
    done: list[str] = []
    try:
        book_all(agency, request, done)
    except TravelError:
        for undo in reversed(done):
            getattr(agency, undo)(Cancellation(request.confirmation_code))
        raise


def exit_stack(agency: Any, request: TripRequest) -> None:
    trip = Cancellation(request.confirmation_code)
    agency.store_booking_request(request)
    with ExitStack() as stack:
        flight = agency.book_flight(request)
        stack.callback(agency.cancel_flight, trip)
        hotel = agency.book_hotel(request)
        stack.callback(agency.cancel_hotel, trip)
        car = agency.book_car(request)
        stack.callback(agency.cancel_car, trip)
        agency.accept_payment(bill_of(request, flight, hotel, car))
        stack.pop_all()


def nested(agency: Any, request: TripRequest) -> None:
    trip = Cancellation(request.confirmation_code)
    agency.store_booking_request(request)
    flight = agency.book_flight(request)
    try:
        hotel = agency.book_hotel(request)
        try:
            car = agency.book_car(request)
            try:
                agency.accept_payment(bill_of(request, flight, hotel, car))
            except TravelError:
                agency.cancel_car(trip)
                raise
        except TravelError:
            agency.cancel_hotel(trip)
            raise
    except TravelError:
        agency.cancel_flight(trip)
        raise


def no_rollback(agency: Any, request: TripRequest) -> None:
    book_all(agency, request, [])


def forward_order(agency: Any, request: TripRequest) -> None:
    done: list[str] = []
    try:
        book_all(agency, request, done)
    except TravelError:
        for undo in done:
            getattr(agency, undo)(Cancellation(request.confirmation_code))
        raise


def everything(agency: Any, request: TripRequest) -> None:
    try:
        book_all(agency, request, [])
    except TravelError:
        for undo in ("refund_payment", "cancel_car", "cancel_hotel", "cancel_flight"):
            getattr(agency, undo)(Cancellation(request.confirmation_code))
        raise


def error_swallowed(agency: Any, request: TripRequest) -> None:
    done: list[str] = []
    try:
        book_all(agency, request, done)
    except TravelError:
        for undo in reversed(done):
            getattr(agency, undo)(Cancellation(request.confirmation_code))


def only_rejections(agency: Any, request: TripRequest) -> None:
    done: list[str] = []
    try:
        book_all(agency, request, done)
    except Rejected:
        for undo in reversed(done):
            getattr(agency, undo)(Cancellation(request.confirmation_code))
        raise


def cause_hidden(agency: Any, request: TripRequest) -> None:
    done: list[str] = []
    try:
        book_all(agency, request, done)
    except TravelError:
        for undo in reversed(done):
            getattr(agency, undo)(Cancellation(request.confirmation_code))
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
