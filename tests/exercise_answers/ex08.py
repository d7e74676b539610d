"""Answers to the exercise of notebook 08."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from exercise_answers.answer import CORRECT, UNTOUCHED, Answer
from travel.errors import Rejected, Unavailable
from travel.providers.outside import IN_FLIGHT


def untouched(company: Any, notes: Any, key: str, *rest: Any) -> Any:
    raise NotImplementedError


def cancel_in_circles(company: Any, notes: Any, key: str, now: float) -> None:
    while True:
        notes["undone"] = True


def book(company: Any, notes: Any, key: str, order: Any, now: float) -> Any:
    if notes.get("undone"):
        raise Rejected("it was undone")
    if found := company.find(key):
        return found[0]
    if now < notes.get("last sent", 0) + IN_FLIGHT.total_seconds():
        raise Unavailable("a request may be under way", retry_after=IN_FLIGHT)
    notes["last sent"] = now
    return company.reserve(order)


def cancel(company: Any, notes: Any, key: str, now: float) -> None:
    notes["undone"] = True
    for reservation in company.find(key):
        company.cancel(reservation.number)
    if now < notes.get("last sent", 0) + IN_FLIGHT.total_seconds():
        raise Unavailable("a request may still arrive", retry_after=IN_FLIGHT)


def book_once_ever(company: Any, notes: Any, key: str, order: Any, now: float) -> Any:
    """One request at most: less is booked, and nothing is lost."""
    if "undone" in notes:
        raise Rejected("too late")
    found = company.find(key)
    if found:
        return found[0]
    if "sent" in notes:
        raise Unavailable("sent already")
    notes["sent"] = now
    return company.reserve(order)


def cancel_slowly(company: Any, notes: Any, key: str, now: float) -> None:
    notes["undone"] = True
    if "sent" in notes and now - notes["sent"] < 60:
        raise Unavailable("wait", retry_after=timedelta(minutes=1))
    for reservation in company.find(key):
        company.cancel(reservation.number)


def book_with_a_list(company: Any, notes: Any, key: str, order: Any, now: float) -> Any:
    requests = notes.setdefault("requests", [])
    if None in requests:
        raise Rejected("undone")
    for reservation in company.find(key):
        return reservation
    if any(now - sent < 30 for sent in requests):
        raise Unavailable("patience")
    requests.append(now)
    return company.reserve(order)


def cancel_with_a_list(company: Any, notes: Any, key: str, now: float) -> None:
    requests = notes.setdefault("requests", [])
    sent = [moment for moment in requests if moment is not None]
    if None not in requests:
        requests.append(None)
    for reservation in company.find(key):
        company.cancel(reservation.number)
    if sent and now - max(sent) < 30:
        raise Unavailable("once more")


def book_without_looking(company: Any, notes: Any, key: str, order: Any, now: float) -> Any:
    if notes.get("undone"):
        raise Rejected("it was undone")
    return company.reserve(order)


def book_after_a_look(company: Any, notes: Any, key: str, order: Any, now: float) -> Any:
    if notes.get("undone"):
        raise Rejected("it was undone")
    found = company.find(key)
    return found[0] if found else company.reserve(order)


def cancel_what_is_found(company: Any, notes: Any, key: str, now: float) -> None:
    notes["undone"] = True
    for reservation in company.find(key):
        company.cancel(reservation.number)


def book_undone_or_not(company: Any, notes: Any, key: str, order: Any, now: float) -> Any:
    return book(company, {**notes, "undone": False}, key, order, now)


def cancel_that_never_ends(company: Any, notes: Any, key: str, now: float) -> None:
    cancel_what_is_found(company, notes, key, now)
    raise Unavailable("to be sure", retry_after=IN_FLIGHT)


def note_afterwards(company: Any, notes: Any, key: str, order: Any, now: float) -> Any:
    """The note is written when the reply is there, so a lost reply leaves none."""
    if notes.get("undone"):
        raise Rejected("it was undone")
    if found := company.find(key):
        return found[0]
    reservation = company.reserve(order)
    notes["last sent"] = now
    return reservation


ANSWERS = {
    "without_a_key": {
        "untouched": Answer((untouched, untouched), UNTOUCHED),
        "reference": Answer((book, cancel), CORRECT),
        "one request ever": Answer((book_once_ever, cancel_slowly), CORRECT),
        "a list of requests": Answer((book_with_a_list, cancel_with_a_list), CORRECT),
        "no look": Answer((book_without_looking, cancel), "not idempotent"),
        "no tombstone": Answer((book_undone_or_not, cancel), "no tombstone"),
        "one look": Answer((book_after_a_look, cancel_what_is_found), "under way"),
        "noted too late": Answer((note_afterwards, cancel), "under way"),
        "never sure": Answer((book, cancel_that_never_ends), "never ended"),
        "turns in circles": Answer((book, cancel_in_circles), "never ended"),
        "one function": Answer(book, "bug"),
    }
}
