"""The trip that most tests book, and what it costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from travel.models import Passenger, TripRequest

FLIGHT_CENTS = 28_000 + 168_000
HOTEL_CENTS = 3 * 31_500
CAR_CENTS = 3 * 7_400
PRICE_CENTS = FLIGHT_CENTS + HOTEL_CENTS + CAR_CENTS
NIGHTS = ["2025-01-20", "2025-01-21", "2025-01-22"]


def a_trip(code: str = "TEST-1", **changes: Any) -> TripRequest:
    """San Francisco to New York, three nights, two passengers in different cabins."""
    trip = TripRequest(
        confirmation_code=code,
        customer="Ada",
        origin="SFO",
        destination="JFK",
        departure_date="2025-01-20",
        return_date="2025-01-23",
        passengers=[Passenger("Ada", "economy"), Passenger("Grace", "first")],
        room_type="deluxe",
        car_type="midsize",
    )
    return replace(trip, **changes)
