"""What crosses the wire: bad input is named in one sentence, odd names are welcome."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import NIGHTS, a_trip

from travel.errors import InvalidInput, TravelError
from travel.models import (
    CABINS,
    MAX_NAME_LENGTH,
    MAX_NIGHTS,
    MAX_PASSENGERS,
    Passenger,
    check_request,
    idempotency_key,
    stay_dates,
)

TEN_MEGABYTES = "x" * 10_000_000


def complaint(**changes: Any) -> str:
    """The sentence about a trip with these changes."""
    with pytest.raises(InvalidInput) as caught:
        check_request(a_trip(**changes))
    return str(caught.value)


def assert_one_short_sentence(text: str) -> None:
    assert "\n" not in text
    assert len(text) < 300
    assert text.endswith(".")


@pytest.mark.parametrize(
    ("changes", "value", "expected"),
    [
        ({"departure_date": "20.01.2025"}, "'20.01.2025'", "ISO date such as 2025-01-20"),
        ({"departure_date": "2025-02-30"}, "'2025-02-30'", "ISO date"),
        ({"departure_date": "20250120"}, "'20250120'", "ISO date"),
        ({"departure_date": ""}, "''", "ISO date"),
        ({"departure_date": None}, "None", "ISO date"),
        ({"return_date": "2025-01-23T00:00"}, "'2025-01-23T00:00'", "ISO date"),
        ({"return_date": 20250123}, "20250123", "ISO date"),
        ({"return_date": "2025-01-19"}, "2025-01-19", f"expected 1 to {MAX_NIGHTS}"),
        ({"return_date": "2025-01-20"}, "2025-01-20", f"expected 1 to {MAX_NIGHTS}"),
        ({"return_date": "2025-03-22"}, "61 nights", f"expected 1 to {MAX_NIGHTS}"),
        ({"passengers": []}, "0", f"expected 1 to {MAX_PASSENGERS}"),
        ({"passengers": [Passenger("Ada")] * 10}, "10", f"expected 1 to {MAX_PASSENGERS}"),
        ({"passengers": None}, "None", f"expected 1 to {MAX_PASSENGERS}"),
        ({"passengers": [Passenger("Ada", "royal")]}, "'royal'", "economy, business, first"),
        ({"passengers": [Passenger("Ada", None)]}, "None", "economy, business, first"),
        ({"passengers": [Passenger("")]}, "passenger name", "1 to 100 characters"),
        ({"passengers": [Passenger(7)]}, "7", "expected text"),
        ({"customer": ""}, "customer", "1 to 100 characters"),
        ({"customer": " \t "}, "customer", "1 to 100 characters"),
        ({"customer": None}, "None", "expected text"),
        ({"customer": 12}, "12", "expected text"),
        ({"customer": b"Ada"}, "b'Ada'", "expected text"),
        ({"customer": "Ada\nLovelace"}, r"'Ada\nLovelace'", "printable text"),
        ({"customer": "Ada\x00"}, r"'Ada\x00'", "printable text"),
        ({"customer": "Ada\ud800"}, r"'Ada\ud800'", "printable text"),
        ({"customer": "A" * 101}, "101 characters", f"1 to {MAX_NAME_LENGTH}"),
        ({"code": ""}, "confirmation code", "1 to 100 characters"),
        ({"origin": ""}, "origin", "1 to 100 characters"),
        ({"destination": "SFO"}, "'SFO'", "two airports"),
        ({"room_type": ""}, "room type", "1 to 100 characters"),
        ({"car_type": ["suv"]}, "['suv']", "expected text"),
    ],
)
def test_bad_input_gets_a_sentence_with_the_value_and_what_was_expected(
    changes: dict[str, Any], value: str, expected: str
) -> None:
    text = complaint(**changes)
    assert value in text
    assert expected in text
    assert_one_short_sentence(text)


@pytest.mark.parametrize(
    "field", ["customer", "code", "origin", "room_type", "car_type", "departure_date"]
)
def test_ten_megabytes_of_text_make_a_short_sentence(field: str) -> None:
    text = complaint(**{field: TEN_MEGABYTES})
    assert_one_short_sentence(text)
    assert "xxx" in text


def test_ten_megabytes_of_passenger_make_a_short_sentence() -> None:
    for passenger in (Passenger(TEN_MEGABYTES), Passenger("Ada", TEN_MEGABYTES)):
        assert_one_short_sentence(complaint(passengers=[passenger]))


@pytest.mark.parametrize(
    "name",
    [
        "O'Brien",
        'Ada "The Countess" Lovelace',
        "Robert'); DROP TABLE booking_requests;--",
        "Zoë 👩🏽‍🚀",
        "عائشة",
        "שרה \u202eהפוך",
        "山田太郎",
        "%s {0} ${HOME} \\n",
        "A" * MAX_NAME_LENGTH,
    ],
)
def test_unusual_names_are_names(name: str) -> None:
    check_request(a_trip(customer=name, passengers=[Passenger(name)]))


@pytest.mark.parametrize("cabin", CABINS)
@pytest.mark.parametrize("passengers", [1, MAX_PASSENGERS])
def test_the_limits_themselves_are_allowed(cabin: str, passengers: int) -> None:
    check_request(a_trip(passengers=[Passenger("Ada", cabin)] * passengers))
    check_request(a_trip(return_date="2025-01-21"))
    check_request(a_trip(return_date="2025-03-21"))


@given(st.one_of(st.text(), st.none(), st.integers(), st.binary(), st.floats()))
def test_whatever_the_value_is_only_invalid_input_is_raised(value: Any) -> None:
    fields = ["confirmation_code", "customer", "origin", "departure_date", "return_date"]
    for field in [*fields, "passengers", "room_type", "car_type"]:
        try:
            check_request(replace(a_trip(), **{field: value}))
        except InvalidInput as error:
            assert_one_short_sentence(str(error))
    try:
        check_request(a_trip(passengers=[Passenger(value, value)]))
    except InvalidInput as error:
        assert_one_short_sentence(str(error))


def test_bad_input_is_a_value_error_and_one_of_ours() -> None:
    assert issubclass(InvalidInput, ValueError)
    assert issubclass(InvalidInput, TravelError)


def test_the_nights_of_a_stay_end_before_the_return() -> None:
    assert stay_dates(a_trip()) == NIGHTS
    leap_year = a_trip(departure_date="2024-02-28", return_date="2024-03-01")
    assert stay_dates(leap_year) == ["2024-02-28", "2024-02-29"]


def test_ids_depend_on_the_trip_alone() -> None:
    assert a_trip("TRIP-7", customer="Ada").workflow_id == "booking-Ada-TRIP-7"
    assert idempotency_key("TRIP-7", "book_hotel") == "TRIP-7/book_hotel"
    assert idempotency_key("TRIP-7", "book_car") != idempotency_key("TRIP-7", "book_hotel")


def test_a_message_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        a_trip().customer = "Grace"  # type: ignore[misc]
