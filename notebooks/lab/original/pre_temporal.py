"""Books trips: flight, hotel, car. Each is paid for as soon as it is booked.

TODO before the holidays: ask the product team what happens if the car fails.
"""

import asyncio
import sys
from dataclasses import replace
from functools import partial

from lab.original.models import Booked
from lab.original.providers import Providers
from travel.errors import TravelError, Unavailable
from travel.faults import DEFAULT_SEED, RandomFaults
from travel.store.database import open_database
from travel.trips import forty_four_trips

BOOKINGS = {}  # confirmation code -> what we have for it so far
PAUSE = 0.01  # seconds. It was 1, but then the demo took too long


async def try_hard(do, trip, what):
    for attempt in (1, 2, 3):
        key = f"{trip.confirmation_code}/{what}/{attempt}"
        try:
            price_cents = await do(key, trip)
        except Unavailable:
            if attempt == 3:
                raise
            await asyncio.sleep(PAUSE * attempt)
        else:
            BOOKINGS[trip.confirmation_code][what] = Booked(key, price_cents)
            return price_cents


async def pay(providers, trip, what, price_cents):
    charge = partial(providers.charge, price_cents=price_cents)
    await try_hard(charge, trip, f"pay {what}")


async def book_trip(providers, trip):
    BOOKINGS[trip.confirmation_code] = {}
    await providers.write_down(trip)
    try:
        flight = await try_hard(providers.book_flight, trip, "flight")
        await pay(providers, trip, "flight", flight)
        try:
            hotel = await try_hard(providers.book_hotel, trip, "hotel")
            await pay(providers, trip, "hotel", hotel)
            try:
                car = await try_hard(providers.book_car, trip, "car")
                await pay(providers, trip, "car", car)
            except TravelError as error:
                return await sorry(providers, trip, error)
        except TravelError as error:
            return await sorry(providers, trip, error)
    except TravelError as error:
        return await sorry(providers, trip, error)
    await try_hard(providers.send_email, trip, "email")
    await providers.tell(trip, "booked")
    return "SUCCESS"


async def sorry(providers, trip, error):
    await providers.tell(trip, "failed")
    return f"FAILED: {error}"


async def book_and_never_crash(providers, trip):
    try:
        return await book_trip(providers, trip)
    except TravelError as error:
        await providers.tell(trip, "failed")
        return f"ERROR: {error}"


def line(trip, ending):
    booked = BOOKINGS[trip.confirmation_code]
    paid = sum(b.price_cents for what, b in booked.items() if what.startswith("pay"))
    return f"{trip.customer:<20} ${paid / 100:>9,.2f} paid   {ending}"


def asked_for(customer="", car=""):
    trips = [trip for trip in forty_four_trips() if customer in ("", trip.customer)]
    return [replace(trip, car_type=car or trip.car_type) for trip in trips]


async def main():
    providers = Providers(open_database(), RandomFaults(DEFAULT_SEED))
    for trip in asked_for(*sys.argv[1:]):
        print(line(trip, await book_and_never_crash(providers, trip)))


if __name__ == "__main__":
    asyncio.run(main())
