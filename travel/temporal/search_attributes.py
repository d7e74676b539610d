"""The search attribute that makes trips findable by what they wait for."""

from temporalio.common import SearchAttributeKey

TRIP_STATUS = SearchAttributeKey.for_keyword("TripStatus")
"""``booking``, ``booked``, ``compensating``, ``waiting for cancel_hotel`` or ``released``."""
