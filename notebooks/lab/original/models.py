"""What the script before Temporal remembers."""

from dataclasses import dataclass


@dataclass
class Booked:
    """A company said yes: under which key, and for how much."""

    key: str
    price_cents: int
