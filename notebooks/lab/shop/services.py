"""The services of a shop: a warehouse, a bank, a parcel service and a mailbox.

None of them knows idempotency keys or tombstones: call one twice, and it is done twice.
The parcel service is the worst. It has no key at all, only a look-up by reference, and the
first time that it is asked for a parcel it books one and does not answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class Refused(Exception):
    """A service's definite no: sold out, card declined, address unknown."""


@dataclass
class Parcel:
    """A parcel that is booked; ``reference`` is whatever the sender gave."""

    number: int
    reference: str
    canceled: bool = False


@dataclass
class Shop:
    """All four services, and one table of your own.

    ``notes`` is yours: write down under any key what you have to remember. Everything else
    belongs to the services; use their methods.
    """

    stock: dict[str, int] = field(default_factory=lambda: {"lamp": 5, "vase": 0})
    reserved: list[tuple[str, str]] = field(default_factory=list)
    ledger: list[tuple[str, int]] = field(default_factory=list)
    parcels: list[Parcel] = field(default_factory=list)
    mailbox: list[tuple[str, str]] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)

    # --- the warehouse --------------------------------------------------------

    def reserve(self, reference: str, item: str) -> None:
        """Put one piece aside. Raises ``Refused`` if it is sold out."""
        if self.stock.get(item, 0) < 1:
            raise Refused(f"{item} is sold out.")
        self.stock[item] -= 1
        self.reserved.append((reference, item))

    def release(self, reference: str, item: str) -> None:
        """Put one piece back. Raises ``ValueError`` if none was put aside."""
        self.reserved.remove((reference, item))
        self.stock[item] += 1

    # --- the bank -------------------------------------------------------------

    def charge(self, reference: str, cents: int) -> None:
        """Take the money. Raises ``Refused`` for a card that is declined."""
        if "declined" in reference:
            raise Refused(f"The card for {reference} was declined.")
        self.ledger.append((reference, cents))

    def refund(self, reference: str, cents: int) -> None:
        """Pay money back: each time, whether any was taken or not."""
        self.ledger.append((reference, -cents))

    # --- the parcel service ---------------------------------------------------

    def book_parcel(self, reference: str, address: str) -> int:
        """Book a parcel, another one each time; return its number.

        Raises ``Refused`` without an address, and ``ConnectionError`` where its answer gets
        lost: always after the first parcel of a reference.
        """
        if not address:
            raise Refused("There is no address.")
        first = not self.find_parcels(reference)
        self.parcels.append(Parcel(len(self.parcels) + 1, reference))
        if first:
            raise ConnectionError("The parcel service does not answer.")
        return self.parcels[-1].number

    def find_parcels(self, reference: str) -> list[int]:
        """The numbers of all parcels of a reference that are not canceled."""
        return [p.number for p in self.parcels if p.reference == reference and not p.canceled]

    def cancel_parcel(self, number: int) -> None:
        """Call a parcel off. Raises ``ValueError`` for one that there is not, or is off already."""
        if not any(p.number == number and not p.canceled for p in self.parcels):
            raise ValueError(f"There is no parcel {number} to cancel.")
        self.parcels[number - 1].canceled = True

    # --- the mailbox ----------------------------------------------------------

    def send_mail(self, reference: str, text: str) -> None:
        """Tell the customer."""
        self.mailbox.append((reference, text))

    # --- for the audit --------------------------------------------------------

    def held(self) -> list[str]:
        """What is reserved, kept and on its way, of every reference; in a fixed order."""
        money: dict[str, int] = {}
        for reference, cents in self.ledger:
            money[reference] = money.get(reference, 0) + cents
        pieces = [f"{item} reserved for {reference}" for reference, item in self.reserved]
        kept = [f"{cents} cents of {reference}" for reference, cents in money.items() if cents]
        sent = [f"parcel for {p.reference}" for p in self.parcels if not p.canceled]
        return sorted(pieces + kept + sent)
