"""What crosses the wire: one dataclass a message.

Money is integer cents, dates are ISO dates (``"2025-01-20"``).
"""

# No "from __future__ import annotations" here: it makes text of the types, and
# the SDK, which asks for them at every payload, would compile that text each time.
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from travel.errors import InvalidInput

MAX_NAME_LENGTH = 100
MAX_PASSENGERS = 9
MAX_NIGHTS = 60
MAX_PATIENCE = timedelta(days=365)

CABINS = ("economy", "business", "first")


@dataclass(frozen=True)
class Passenger:
    """One traveller; ``cabin`` is the class of their own seat and fare."""

    name: str
    cabin: str = "economy"


@dataclass(frozen=True)
class TripRequest:
    """A whole trip: one seat a passenger, one room, one car.

    ``origin`` and ``destination`` are airport codes. The room is held for each
    night, and the car for each day, from ``departure_date`` up to but not
    including ``return_date``. ``book_within_seconds`` is the customer's patience:
    not booked by then, the trip fails and everything is released.
    """

    confirmation_code: str
    customer: str
    origin: str
    destination: str
    departure_date: str
    return_date: str
    passengers: list[Passenger]
    room_type: str
    car_type: str
    book_within_seconds: int | None = field(default=None, repr=False)

    @property
    def workflow_id(self) -> str:
        """The same trip always has the same Workflow id, so it is never booked twice."""
        return workflow_id(self.customer, self.confirmation_code)


@dataclass(frozen=True)
class FlightBooking:
    """The seats held on one flight; ``seats`` in the order of the passengers."""

    flight_number: str
    departure_date: str
    seats: list[str]
    price_cents: int


@dataclass(frozen=True)
class HotelBooking:
    """The room held, one entry in ``nights`` for each night."""

    hotel: str
    room_number: str
    nights: list[str]
    price_cents: int


@dataclass(frozen=True)
class CarBooking:
    """The car held, one entry in ``days`` for each day."""

    model: str
    licence_plate: str
    days: list[str]
    price_cents: int


@dataclass(frozen=True)
class PaymentRequest:
    """What to charge: the prices that the providers confirmed."""

    confirmation_code: str
    customer: str
    amount_cents: int


@dataclass(frozen=True)
class PaymentReceipt:
    """A charge that went through."""

    receipt_number: str
    amount_cents: int


@dataclass(frozen=True)
class Cancellation:
    """Names the trip whose step is to be undone.

    It holds nothing that the step returned: an undo must be possible although
    the reply of the step was lost.
    """

    confirmation_code: str


@dataclass(frozen=True)
class ConfirmationEmail:
    """The email that a paid trip ends with."""

    confirmation_code: str
    customer: str
    text: str


@dataclass(frozen=True)
class TripConfirmation:
    """What a booked trip returns to its caller."""

    confirmation_code: str
    flight: FlightBooking
    hotel: HotelBooking
    car: CarBooking
    payment: PaymentReceipt
    email_sent: bool


@dataclass(frozen=True)
class StuckUndo:
    """A compensation that did not succeed: ``since`` when (ISO), and the last ``reason``.

    ``refused`` by a definite no: it is not asked again before a person decides.
    """

    undo: str
    since: str
    reason: str
    refused: bool = False


@dataclass(frozen=True)
class Settlement:
    """A compensation that somebody saw to by hand: who, why, and when (ISO)."""

    confirmation_code: str
    undo: str
    settled_by: str
    reason: str
    settled_at: str


@dataclass(frozen=True)
class Decision:
    """What a person says about a stuck compensation, such as ``"cancel_hotel"``.

    With ``settled_by`` and ``because`` it is settled by hand and taken off the list.
    Without them it is to be tried now.
    """

    undo: str
    settled_by: str = ""
    because: str = ""


@dataclass(frozen=True)
class TripProgress:
    """Answer of the ``progress`` query.

    ``status`` is as in ``travel.temporal.search_attributes``. ``done`` lists the steps
    that succeeded, ``to_undo`` the compensations still to come, newest first,
    and ``stuck`` those among them that failed and wait for their next turn;
    ``waiting`` has more about these. ``failure`` says why the trip failed, and
    ``cancel_reason`` why somebody asked to cancel it.
    """

    status: str
    done: list[str]
    to_undo: list[str]
    stuck: list[str]
    waiting: list[StuckUndo] = field(default_factory=list)
    settled: list[Settlement] = field(default_factory=list)
    failure: str = ""
    cancel_reason: str | None = None


@dataclass(frozen=True)
class Undoing:
    """What a run of ``BookTrip`` hands to the next, when its Event History has grown long.

    ``failure`` is the first one, a Temporal ``Failure`` in base64; ``to_undo`` lists the
    compensations still to come, oldest step first.
    """

    failure: str
    done: list[str]
    to_undo: list[str]
    waiting: list[StuckUndo]
    settled: list[Settlement]
    cancel_reason: str | None


@dataclass(frozen=True)
class AbandonedTrip:
    """A trip that nobody looks after; ``settled`` are the undos that a person settled by hand."""

    confirmation_code: str
    settled: list[str] = field(default_factory=list)


def workflow_id(customer: str, confirmation_code: str) -> str:
    """The id of a trip's Workflow."""
    return f"booking-{customer}-{confirmation_code}"


def idempotency_key(confirmation_code: str, step: str) -> str:
    """The key of one provider call: the same for every attempt, and for its undo.

    A key made of run id and Activity id could not be rebuilt by the compensation.
    """
    return f"{confirmation_code}/{step}"


def stay_dates(request: TripRequest) -> list[str]:
    """The ISO dates of the nights (and car days) of a trip, first to last."""
    return dates_between(request.departure_date, request.return_date)


def dates_between(first: str, last: str) -> list[str]:
    """The ISO dates from ``first`` up to but not including ``last``."""
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    return [(start + timedelta(days=n)).isoformat() for n in range((end - start).days)]


def check_request(request: TripRequest) -> None:
    """Raise ``InvalidInput`` with one sentence if ``request`` cannot be a trip.

    Whether a provider *offers* what is asked (a route, a room type, a date) is
    for the provider to say: that is a rejection.
    """
    for problem in _problems(request):
        raise InvalidInput(problem)


def _problems(request: TripRequest) -> Iterator[str]:
    yield from _bad_text("confirmation code", request.confirmation_code)
    yield from _bad_text("customer", request.customer)
    yield from _bad_text("origin", request.origin)
    yield from _bad_text("destination", request.destination)
    yield from _bad_text("room type", request.room_type)
    yield from _bad_text("car type", request.car_type)
    if request.origin == request.destination:
        yield f"Destination {request.destination!r} is also the origin; expected two airports."
    yield from _bad_date("departure date", request.departure_date)
    yield from _bad_date("return date", request.return_date)
    yield from _bad_stay(request)
    yield from _bad_passengers(request.passengers)
    yield from _bad_patience(request.book_within_seconds)


def _bad_text(what: str, value: object) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"The {what} is {_short(value)}; expected text."
    elif not value.strip():
        yield f"The {what} is empty; expected 1 to {MAX_NAME_LENGTH} characters."
    elif len(value) > MAX_NAME_LENGTH:
        yield (
            f"The {what} {_short(value)} has {len(value):,} characters; "
            f"expected 1 to {MAX_NAME_LENGTH}."
        )
    elif any(ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) < 0xE000 for c in value):
        yield f"The {what} {_short(value)} has a control character; expected printable text."


def _bad_date(what: str, value: object) -> Iterator[str]:
    try:
        valid = isinstance(value, str) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        valid = False
    if not valid:
        yield f"The {what} is {_short(value)}; expected an ISO date such as 2025-01-20."


def _bad_stay(request: TripRequest) -> Iterator[str]:
    nights = (
        date.fromisoformat(request.return_date) - date.fromisoformat(request.departure_date)
    ).days
    if not 1 <= nights <= MAX_NIGHTS:
        yield (
            f"The return date {request.return_date} is {nights} nights after the departure "
            f"{request.departure_date}; expected 1 to {MAX_NIGHTS}."
        )


def _bad_passengers(passengers: object) -> Iterator[str]:
    if not isinstance(passengers, list) or not 1 <= len(passengers) <= MAX_PASSENGERS:
        count = len(passengers) if isinstance(passengers, list) else _short(passengers)
        yield f"The number of passengers is {count}; expected 1 to {MAX_PASSENGERS}."
        return
    for passenger in passengers:
        yield from _bad_text("passenger name", passenger.name)
        if passenger.cabin not in CABINS:
            yield (
                f"The cabin of {passenger.name} is {_short(passenger.cabin)}; "
                f"expected one of {', '.join(CABINS)}."
            )


def _bad_patience(seconds: object) -> Iterator[str]:
    most = int(MAX_PATIENCE.total_seconds())
    whole = isinstance(seconds, int) and not isinstance(seconds, bool)
    if seconds is not None and not (whole and 1 <= int(str(seconds)) <= most):
        yield (
            f"The time to book within is {_short(seconds)}; "
            f"expected whole seconds from 1 to {most:,}, or none."
        )


def _short(value: object) -> str:
    """``repr`` of a value, cut so that 10 MB of text still make one sentence."""
    text = repr(value[:40]) if isinstance(value, str) else repr(value)[:60]
    return f"{text}…" if isinstance(value, str) and len(value) > 40 else text
