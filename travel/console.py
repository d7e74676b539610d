"""How trips look on a terminal, in symbols where it can show them, else in words."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, TextIO

from travel.models import TripRequest


@dataclass(frozen=True)
class Symbols:
    """What stands for success, failure, from-to and "done"."""

    success: str
    failure: str
    arrow: str
    check: str


PICTURES = Symbols("✅ SUCCESS", "❌ FAILED", "→", "✓")
WORDS = Symbols("SUCCESS", "FAILED", "to", "OK:")


def symbols_for(stream: TextIO) -> Symbols:
    """Symbols if the stream's encoding has them, else words."""
    try:
        "✅❌→✓".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return WORDS
    return PICTURES


def printable(text: str, stream: TextIO) -> str:
    """The text with what the stream cannot encode replaced by ``?``."""
    encoding = stream.encoding or "ascii"
    return text.encode(encoding, errors="replace").decode(encoding)


def trip_line(
    number: int,
    total: int,
    request: TripRequest,
    booked: bool,
    cities: Mapping[str, str],
    symbols: Symbols,
) -> str:
    """One trip, for example ``[ 1/44] Customer-001 | San Francisco → New York | … ✅ SUCCESS``."""
    origin = cities.get(request.origin, request.origin)
    destination = cities.get(request.destination, request.destination)
    route = f"{origin:<15} {symbols.arrow} {destination:<13}"
    verdict = symbols.success if booked else symbols.failure
    width = len(str(total))
    return (
        f"[{number:>{width}}/{total}] {request.customer:<20} | {route} | "
        f"{request.departure_date}  {verdict}"
    )


def result_lines(booked: Sequence[bool], symbols: Symbols) -> list[str]:
    """The results block: how many trips were booked, how many were not."""
    success, failure = symbols.success.split()[0], symbols.failure.split()[0]
    if symbols is WORDS:
        success, failure = "+", "-"
    return [
        "RESULTS:",
        f"  {success} Successful bookings: {sum(booked)}",
        f"  {failure} Failed bookings: {len(booked) - sum(booked)}",
    ]


def leave(code: int) -> NoReturn:
    """End the process at once, with all that was printed.

    An interpreter that takes its leave crashes now and then, after a connection
    that failed above all, when a thread of the SDK returns in that moment.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
