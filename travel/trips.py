"""The 44 trips of the course: 30 that can succeed, and 14 that must fail.

All 44 fit beside each other: no valid trip ever loses its seat, room or car to
another one, in whatever order they are booked.
"""

from __future__ import annotations

from datetime import date, timedelta

from travel.models import Passenger, TripRequest

# customer, origin, destination, departure, nights, room, car, a cabin a passenger
TRIPS = (
    # Valid. SAGA101 flies Customer-009 and -010 on one day, and both want a deluxe room.
    "Customer-001 SFO JFK 2025-01-20 3 deluxe midsize economy",
    "Customer-002 LAX MIA 2025-01-22 4 standard compact economy economy",
    "Customer-003 ORD SFO 2025-01-21 2 standard economy economy",
    "Customer-004 JFK LAX 2025-01-23 5 suite luxury first first",
    "Customer-005 DFW LAS 2025-01-24 3 deluxe suv economy economy economy economy",
    "Customer-006 SEA ORD 2025-01-26 2 standard compact business",
    "Customer-007 BOS SEA 2025-01-27 4 deluxe midsize business economy economy",
    "Customer-008 ATL BOS 2025-01-28 3 standard compact economy",
    "Customer-009 SFO JFK 2025-01-29 5 deluxe suv economy economy",
    "Customer-010 SFO JFK 2025-01-29 2 deluxe luxury business business",
    "Customer-011 DEN JFK 2025-01-30 3 deluxe compact economy economy economy",
    "Customer-012 PHX SFO 2025-01-31 4 deluxe midsize economy economy",
    "Customer-013 LAS SEA 2025-02-01 3 suite suv first first economy economy",
    "Customer-014 MIA ORD 2025-02-03 2 deluxe luxury business",
    "Customer-015 LAX MIA 2025-02-04 5 suite luxury first business",
    "Customer-016 JFK LAX 2025-02-05 3 standard economy economy",
    "Customer-017 DFW LAS 2025-02-06 2 suite luxury first first",
    "Customer-018 DFW LAS 2025-02-06 4 standard economy economy economy economy",
    "Customer-019 ORD SFO 2025-02-08 3 suite suv business business economy",
    "Customer-020 SEA ORD 2025-02-10 5 standard midsize economy economy",
    "Customer-021 SFO JFK 2025-02-11 4 standard economy economy",
    "Customer-022 ATL BOS 2025-02-12 2 deluxe midsize business economy",
    "Customer-023 BOS SEA 2025-02-14 3 standard economy economy",
    "Customer-024 LAX MIA 2025-02-15 5 deluxe suv economy economy economy economy",
    "Customer-025 DEN JFK 2025-02-18 3 suite luxury first first",
    "Customer-026 PHX SFO 2025-02-22 2 standard compact economy",
    "Customer-027 JFK LAX 2025-02-26 4 deluxe suv business business economy economy",
    "Customer-028 MIA ORD 2025-03-04 3 suite economy first",
    "Customer-029 ATL BOS 2025-03-11 4 suite suv business business economy",
    "Customer-030 LAS SEA 2025-03-20 5 deluxe midsize economy economy",
    # Rejected by the flight: no flight that day, none that day, no direct one.
    "EarlyDate-Fail SFO JFK 2025-01-10 3 deluxe midsize economy",
    "LateDate-Fail LAX MIA 2025-03-25 4 standard compact economy economy",
    "BadRoute-Fail SEA MIA 2025-01-24 3 standard economy economy",
    # Rejected by the hotel: no such room type.
    "Presidential-Suite SFO JFK 2025-01-25 3 presidential midsize first",
    "Penthouse-Fail LAX MIA 2025-01-27 4 penthouse luxury first first",
    "Oceanview-Fail JFK LAX 2025-01-29 3 oceanview suv economy economy",
    "ExecutiveSuite-Fail ORD SFO 2025-01-31 2 executivesuite compact business",
    "DeluxeKing-Fail DFW LAS 2025-02-02 3 deluxeking economy economy",
    # Rejected by the car rental: no such car type.
    "Limousine-Fail LAX MIA 2025-02-04 3 standard limousine business",
    "SportsCar-Fail BOS SEA 2025-02-07 2 deluxe sportscar economy economy",
    "Convertible-Fail JFK LAX 2025-02-10 4 deluxe convertible economy economy",
    "LuxurySUV-Fail PHX SFO 2025-02-13 3 suite luxurysuv first",
    "Electric-Fail SEA ORD 2025-02-16 2 standard electric economy",
    # Declined at payment, because of the confirmation code.
    "PaymentFail-Test SFO JFK 2025-02-19 3 deluxe midsize economy",
)


def forty_four_trips() -> list[TripRequest]:
    """The trips in their order, ``TRIP-001`` to ``FORCE-PAYMENT-FAIL-044``."""
    codes = [f"TRIP-{n:03}" for n in range(1, len(TRIPS))]
    codes.append(f"FORCE-PAYMENT-FAIL-{len(TRIPS):03}")
    return [_trip(code, line) for code, line in zip(codes, TRIPS, strict=True)]


def _trip(confirmation_code: str, line: str) -> TripRequest:
    customer, origin, destination, departure, nights, room, car, *cabins = line.split()
    return_date = date.fromisoformat(departure) + timedelta(days=int(nights))
    return TripRequest(
        confirmation_code=confirmation_code,
        customer=customer,
        origin=origin,
        destination=destination,
        departure_date=departure,
        return_date=return_date.isoformat(),
        passengers=_passengers(customer, cabins),
        room_type=room,
        car_type=car,
    )


def _passengers(customer: str, cabins: list[str]) -> list[Passenger]:
    names = [customer, *(f"{customer}, guest {n}" for n in range(1, len(cabins)))]
    return [Passenger(name, cabin) for name, cabin in zip(names, cabins, strict=True)]
