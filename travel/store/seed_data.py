"""Seed data: what the providers own before the first trip is booked.

The file is checked against itself before anything is stored, because the
database would drop a second airport of the same code without a word.
Money is integer cents, dates are ISO dates.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from travel.errors import InvalidInput
from travel.models import CABINS, MAX_NAME_LENGTH, TripRequest

DEFAULT_FILE = Path(__file__).resolve().parents[2] / "seed" / "travel-seed-data.json"

ROOM_TYPES = ("standard", "deluxe", "suite")
CAR_TYPES = ("economy", "compact", "midsize", "suv", "luxury")

# The dearest trip that these allow still fits the 32-bit integers of PostgreSQL.
MAX_RATE_CENTS = 10_000_000
MAX_SEATS = 1_000
MAX_DAYS = 3_650


@dataclass(frozen=True)
class Airport:
    """A city that trips start from or go to."""

    code: str
    city: str


@dataclass(frozen=True)
class Fare:
    """One cabin of a route: the price of a seat, and the seats on every flight."""

    cabin: str
    fare_cents: int
    seats: int


@dataclass(frozen=True)
class Route:
    """A direct connection, flown once on every day of the schedule."""

    number: str
    origin: str
    destination: str
    cabins: tuple[Fare, ...]


@dataclass(frozen=True)
class Schedule:
    """The days on which every route is flown: ``days`` of them from ``first_day``."""

    first_day: str
    days: int

    def dates(self) -> list[str]:
        """The ISO dates, first to last."""
        start = date.fromisoformat(self.first_day)
        return [(start + timedelta(days=n)).isoformat() for n in range(self.days)]


@dataclass(frozen=True)
class Room:
    """One room and its price for a night."""

    number: str
    room_type: str
    nightly_cents: int


@dataclass(frozen=True)
class Hotel:
    """A hotel in the city of ``airport``."""

    name: str
    airport: str
    rooms: tuple[Room, ...]


@dataclass(frozen=True)
class Car:
    """One rental car, kept at ``airport``, and its price for a day."""

    licence_plate: str
    model: str
    car_type: str
    daily_cents: int
    airport: str


@dataclass(frozen=True)
class SeedData:
    """Everything in the file, checked."""

    airports: tuple[Airport, ...]
    routes: tuple[Route, ...]
    schedule: Schedule
    hotels: tuple[Hotel, ...]
    cars: tuple[Car, ...]


def load_seed_data(path: Path = DEFAULT_FILE) -> SeedData:
    """Read and check the file; raise ``InvalidInput``, naming the entry, if it is wrong."""
    document = _Entry("the document", _read_json(path))
    seed = SeedData(
        airports=tuple(_airport(entry) for entry in document.entries("airports")),
        routes=tuple(_route(entry) for entry in document.entries("routes")),
        schedule=_schedule(document.entry("schedule")),
        hotels=tuple(_hotel(entry) for entry in document.entries("hotels")),
        cars=tuple(_car(entry) for entry in document.entries("cars")),
    )
    for problem in _contradictions(seed):
        raise InvalidInput(f"In the seed data, {problem}")
    return seed


def cities(seed: SeedData) -> dict[str, str]:
    """The city of each airport code."""
    return {airport.code: airport.city for airport in seed.airports}


def check_cities(request: TripRequest, seed: SeedData) -> None:
    """Raise ``InvalidInput`` if the trip starts from or goes to an unknown airport."""
    known = cities(seed)
    for what, code in (("origin", request.origin), ("destination", request.destination)):
        if code not in known:
            raise InvalidInput(
                f"The {what} {_short(code)} is not a known airport; "
                f"expected one of {', '.join(known)}."
            )


# --- reading the file --------------------------------------------------------


@dataclass(frozen=True)
class _Entry:
    """A JSON object, and where in the file it stands."""

    where: str
    value: Any

    def __post_init__(self) -> None:
        if not isinstance(self.value, dict):
            raise _wrong(self.where, self.value, "an object")

    def get(self, name: str) -> Any:
        if name not in self.value:
            raise InvalidInput(f"In the seed data, {self.where} has no {name!r}; expected one.")
        return self.value[name]

    def path(self, name: str) -> str:
        return name if self.where == "the document" else f"{self.where}.{name}"

    def text(self, name: str) -> str:
        value = self.get(name)
        valid = isinstance(value, str) and value.strip() and value.isprintable()
        if not valid or len(value) > MAX_NAME_LENGTH:
            expected = f"1 to {MAX_NAME_LENGTH} printable characters"
            raise _wrong(self.path(name), value, expected)
        return str(value)

    def choice(self, name: str, choices: Sequence[str]) -> str:
        value = self.text(name)
        if value not in choices:
            raise _wrong(self.path(name), value, f"one of {', '.join(choices)}")
        return value

    def number(self, name: str, most: int) -> int:
        value = self.get(name)
        # type(), because True is an int to isinstance().
        if type(value) is not int or not 1 <= value <= most:
            raise _wrong(self.path(name), value, f"a whole number from 1 to {most}")
        return value

    def entry(self, name: str) -> _Entry:
        return _Entry(self.path(name), self.get(name))

    def entries(self, name: str) -> list[_Entry]:
        value = self.get(name)
        if not isinstance(value, list) or not value:
            raise _wrong(self.path(name), value, "a list of at least one entry")
        return [_Entry(f"{self.path(name)}[{n}]", item) for n, item in enumerate(value)]


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or "no reason given"
    except (ValueError, RecursionError) as error:
        reason = str(error)
    raise InvalidInput(
        f"The seed data {path} cannot be read ({reason}); expected a JSON file."
    ) from None


def _airport(entry: _Entry) -> Airport:
    return Airport(code=entry.text("code"), city=entry.text("city"))


def _route(entry: _Entry) -> Route:
    cabins = entry.entry("cabins")
    if not cabins.value:
        raise _wrong(cabins.where, {}, "at least one cabin")
    return Route(
        number=entry.text("number"),
        origin=entry.text("origin"),
        destination=entry.text("destination"),
        cabins=tuple(_fare(cabin, cabins) for cabin in cabins.value),
    )


def _fare(cabin: str, cabins: _Entry) -> Fare:
    if cabin not in CABINS:
        raise InvalidInput(
            f"In the seed data, {cabins.where} has the cabin {_short(cabin)}; "
            f"expected only {', '.join(CABINS)}."
        )
    entry = cabins.entry(cabin)
    return Fare(
        cabin=cabin,
        fare_cents=entry.number("fare_cents", MAX_RATE_CENTS),
        seats=entry.number("seats", MAX_SEATS),
    )


def _schedule(entry: _Entry) -> Schedule:
    schedule = Schedule(first_day=entry.text("first_day"), days=entry.number("days", MAX_DAYS))
    try:
        valid = schedule.dates()[0] == schedule.first_day
    except (ValueError, OverflowError):
        valid = False
    if not valid:
        raise _wrong(entry.path("first_day"), schedule.first_day, "an ISO date such as 2025-01-20")
    return schedule


def _hotel(entry: _Entry) -> Hotel:
    return Hotel(
        name=entry.text("name"),
        airport=entry.text("airport"),
        rooms=tuple(_room(room) for room in entry.entries("rooms")),
    )


def _room(entry: _Entry) -> Room:
    return Room(
        number=entry.text("number"),
        room_type=entry.choice("room_type", ROOM_TYPES),
        nightly_cents=entry.number("nightly_cents", MAX_RATE_CENTS),
    )


def _car(entry: _Entry) -> Car:
    return Car(
        licence_plate=entry.text("licence_plate"),
        model=entry.text("model"),
        car_type=entry.choice("car_type", CAR_TYPES),
        daily_cents=entry.number("daily_cents", MAX_RATE_CENTS),
        airport=entry.text("airport"),
    )


def _wrong(where: str, value: object, expected: str) -> InvalidInput:
    return InvalidInput(f"In the seed data, {where} is {_short(value)}; expected {expected}.")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


# --- checking the file against itself ----------------------------------------


def _contradictions(seed: SeedData) -> Iterator[str]:
    yield from _repeated("airport", [airport.code for airport in seed.airports])
    yield from _repeated("city", [airport.city for airport in seed.airports])
    yield from _repeated("route", [route.number for route in seed.routes])
    connections = [f"{route.origin} to {route.destination}" for route in seed.routes]
    yield from _repeated("connection", connections)
    yield from _repeated("hotel", [hotel.name for hotel in seed.hotels])
    for hotel in seed.hotels:
        yield from _repeated(f"room of {hotel.name}", [room.number for room in hotel.rooms])
    yield from _repeated("licence plate", [car.licence_plate for car in seed.cars])
    yield from _unknown_airports(seed)
    for route in seed.routes:
        if route.origin == route.destination:
            yield f"route {route.number} ends where it starts; expected two airports."


def _repeated(what: str, values: list[str]) -> Iterator[str]:
    seen = set()
    for value in values:
        if value in seen:
            yield f"the {what} {value!r} stands twice; expected it once."
        seen.add(value)


def _unknown_airports(seed: SeedData) -> Iterator[str]:
    known = cities(seed)
    references = [
        *((f"the origin of route {route.number}", route.origin) for route in seed.routes),
        *((f"the destination of route {route.number}", route.destination) for route in seed.routes),
        *((f"the airport of hotel {hotel.name}", hotel.airport) for hotel in seed.hotels),
        *((f"the airport of car {car.licence_plate}", car.airport) for car in seed.cars),
    ]
    for what, code in references:
        if code not in known:
            yield f"{what} is {code!r}; expected one of {', '.join(known)}."
