"""What notebooks show: histories, tables and pictures of real trips and of extreme ones."""

import asyncio
import io
import re
from collections.abc import Callable, Sequence
from itertools import combinations, pairwise
from pathlib import Path

import lab.designs
import pytest
from lab.breaking.scorekeeping import SCRIPTS, WORKFLOWS
from lab.showing import (
    Picture,
    course_map,
    designs_so_far,
    distribution,
    lost_reply,
    money_at_risk,
    outcomes,
    scoreboard,
    success_against_blips,
    system_sketch,
    timeline,
)
from lab.showing.course_maps import core_path, hours
from lab.showing.family_trees import DESIGNS
from lab.showing.history import (
    History,
    Step,
    _earlier_attempts,
    in_words,
    read_history,
    role_of,
)
from lab.showing.scoreboards import Cell, Scoreboard
from lab.showing.tables import activity_table, audit_table, event_table, held_table, trips_table
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from PIL import Image
from temporalio.api.common.v1 import RetryPolicy

from tests.sampling import few
from travel.audit import Finding, Report
from travel.booking import TripResult, result_of, start_trip
from travel.faults import Fault, ScriptedFault, ScriptedFaults
from travel.store.address import sqlite_url
from travel.store.database import Database, open_database
from travel.store.inventory import store_seed_data
from travel.store.seed_data import load_seed_data
from travel.temporal.connection import connect
from travel.temporal.server import embedded_server
from travel.trips import forty_four_trips
from travel.worker import running_worker

TRIPS = {trip.customer: trip for trip in forty_four_trips()}
BLIP = ScriptedFaults((ScriptedFault("book_car", Fault.BLIP, (1,), "TRIP-001"),))
SHOWN = ("Customer-001", "Presidential-Suite", "PaymentFail-Test")
THREE_DAYS = 3 * 86400.0


async def book_shown_trips(url: str) -> tuple[dict[str, History], list[TripResult], str]:
    """Histories and results of three trips, and what the database says afterwards."""
    database = open_database(url)
    store_seed_data(database, load_seed_data())
    histories, results = {}, []
    async with embedded_server(ui=False) as server:
        client = await connect(server.address)
        async with running_worker(client, database, faults=BLIP):
            for customer in SHOWN:
                handle = await start_trip(client, TRIPS[customer])
                results.append(await result_of(handle, TRIPS[customer], database))
                histories[customer] = await read_history(handle)
    held = repr(held_table(database)) + held_table(database)._repr_html_()
    database.close()
    return histories, results, held


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list:
    """The same three trips, booked twice from scratch."""
    folder = tmp_path_factory.mktemp("runs")
    return [
        asyncio.run(book_shown_trips(sqlite_url(folder / name))) for name in ("first", "second")
    ]


@pytest.fixture(scope="module")
def histories(runs: list) -> dict[str, History]:
    return runs[0][0]


def test_a_booked_trip_has_its_steps_in_order(histories: dict[str, History]) -> None:
    history = histories["Customer-001"]
    assert (history.status, history.reason) == ("completed", "")
    assert history.workflow_type == "BookTrip"
    assert [(step.activity, step.role, step.outcome) for step in history.steps] == [
        ("store_booking_request", "step", "completed"),
        ("book_flight", "step", "completed"),
        ("book_hotel", "step", "completed"),
        ("book_car", "step", "completed"),
        ("accept_payment", "step", "completed"),
        ("send_confirmation_email", "email", "completed"),
    ]
    assert [step.attempts for step in history.steps] == [1, 1, 1, 2, 1, 1]
    assert history.compensations == [] and history.failed_step is None
    assert history.steps[1].summary == "SFO to JFK, 2025-01-20"
    moments = [(step.scheduled, step.started, step.closed) for step in history.steps]
    assert all(0 <= scheduled <= started <= closed for scheduled, started, closed in moments)


def test_a_declined_trip_has_its_compensations_newest_first(histories: dict[str, History]) -> None:
    history = histories["PaymentFail-Test"]
    assert history.status == "failed"
    assert history.reason == "The card of PaymentFail-Test was declined."
    assert history.compensations == ["cancel_car", "cancel_hotel", "cancel_flight"]
    assert history.failed_step is not None
    assert history.failed_step.activity == "accept_payment"
    assert history.failed_step.failure == "Rejected"


def test_the_event_table_lists_what_the_brief_lists(histories: dict[str, History]) -> None:
    said = "No available presidential rooms in JFK from 2025-01-25 to 2025-01-28."
    assert repr(event_table(histories["Presidential-Suite"])).splitlines() == [
        "✅ ActivityTaskScheduled: store_booking_request",
        "✅ ActivityTaskCompleted: store_booking_request",
        "✅ ActivityTaskScheduled: book_flight",
        "✅ ActivityTaskCompleted: book_flight ($1,680)",
        "✅ ActivityTaskScheduled: book_hotel",
        f"❌ ActivityTaskFailed: book_hotel ({said})",
        "   ↓ Workflow enters compensation",
        "✅ ActivityTaskScheduled: cancel_flight",
        "✅ ActivityTaskCompleted: cancel_flight",
        f"❌ WorkflowExecutionFailed: {said}",
    ]


def test_the_web_ui_has_about_three_times_as_many_events(histories: dict[str, History]) -> None:
    """So says notebook 00."""
    history = histories["PaymentFail-Test"]
    assert 2.5 < len(history.events) / len(event_table(history).lines) < 3.5


def test_two_runs_show_the_same_text(runs: list) -> None:
    def shown(run: tuple) -> list[str]:
        histories, results, held = run
        views = [trips_table(results), outcomes(histories.values())]
        for history in histories.values():
            views += [activity_table(history), event_table(history), timeline(history)]
        html = [view._repr_html_() for view in views if hasattr(view, "_repr_html_")]
        return [repr(view) for view in views] + html + [held]

    assert shown(runs[0]) == shown(runs[1])


def test_a_trip_without_events_and_an_empty_database_make_a_table(
    sqlite_database: Database,
) -> None:
    assert "No Activity" in repr(activity_table(EMPTY))
    assert "Nothing is held" in repr(held_table(sqlite_database))
    assert repr(event_table(EMPTY)) == ""


def test_the_audit_table_says_what_is_wrong_and_escapes_it() -> None:
    finding = Finding("<b>TRIP</b>", "money", "$1,225.00 charged", amount_cents=122500)
    table = audit_table(Report(1, 0, [finding]))
    assert "✗ NOT clean: 1 trip, 0 completed" in repr(table)
    assert "$1,225.00 kept" in repr(table)
    assert "&lt;b&gt;TRIP" in table._repr_html_() and "<b>" not in table._repr_html_()
    assert "✓ Clean" in repr(audit_table(Report(2, 2, [])))


def test_the_scoreboard_keeps_order_and_replaces_a_row() -> None:
    board = Scoreboard().add_row("script", {"outage": Cell(3, 4, 122500), "blip": Cell(0, 4)})
    board.add_row("saga", {"outage": Cell(0, 4)}).add_row("script", {"outage": Cell(1, 4)})
    assert [row.design for row in board.rows] == ["script", "saga"]
    assert str(Cell(3, 4, 122500)) == "3 of 4, $1,225"
    assert board.text(board.rows[0], "outage") == "1 of 4"
    assert board.text(board.rows[1], "blip") == "–" and "saga" in board._repr_html_()


def test_a_cell_counts_trips_not_findings() -> None:
    findings = [
        Finding("TRIP-001", "seats", "1 seat held", 1),
        Finding("TRIP-001", "money", "$4 charged", amount_cents=400),
        Finding("TRIP-002", "money", "$3 too little charged", amount_cents=-300),
    ]
    assert Cell.of(findings, 4) == Cell(2, 4, 400)
    assert Cell.of([], 4).clean and Cell(0, 0).share == 0


def test_the_board_frames_what_is_new() -> None:
    board = Scoreboard().add_row("first", {"outage": Cell(3, 4), "blip": Cell(1, 4)})
    board.add_row("second", {"outage": Cell(0, 4), "blip": Cell(1, 4)})
    first, second = board.rows
    assert board.is_fresh(second, "outage") and not board.is_fresh(second, "blip")
    assert not board.is_fresh(first, "outage")
    board.add_column("crash", {"second": Cell(0, 9)})
    second = board.rows[1]
    assert board.is_fresh(second, "crash") and not board.is_fresh(second, "outage")


def test_a_board_of_one_row_frames_nothing_and_says_what_it_counts() -> None:
    board = Scoreboard(things="orders").add_row("hasty", {"outage": Cell(1, 4), "blip": Cell(0, 4)})
    assert not any(board.is_fresh(board.rows[0], kind) for kind in board.kinds)
    assert board.title == "Orders that left something behind, of those tried"
    assert "orders that left something" in repr(scoreboard(board))


@pytest.mark.parametrize(
    ("activity", "role"),
    [
        ("book_car", "step"),
        ("accept_payment", "step"),
        ("buy_insurance", "step"),
        ("cancel_car", "undo"),
        ("refund_payment", "undo"),
        ("send_confirmation_email", "email"),
        ("find_abandoned_trips", "other"),
    ],
)
def test_roles(activity: str, role: str) -> None:
    assert role_of(activity) == role


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0"), (0.04, "40 ms"), (2.5, "2.5 s"), (60, "1 min"), (3600, "1 h"), (86400, "1 day")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
    assert in_words(THREE_DAYS) == "3 days"


# --- pictures -----------------------------------------------------------------

EMPTY = History("booking-x", "BookTrip", "running", "", [], [], [], 0.0)


def forty_rounds() -> History:
    """A car that failed, and a hotel that could be released after three days only."""
    steps = [step("book_flight", 0.0), step("book_hotel", 0.1), step("book_car", 0.2, "failed")]
    for turn in range(40):
        moment = 10 + turn * (THREE_DAYS - 20) / 40
        steps.append(step("cancel_hotel", moment, "failed" if turn < 39 else "completed"))
    steps.append(step("cancel_flight", THREE_DAYS - 1))
    requests = [5.0, THREE_DAYS / 2, THREE_DAYS - 5]
    reason = "a very long reason " * 20
    return History("booking-x", "BookTrip", "failed", reason, steps, [], requests, THREE_DAYS)


def step(activity: str, moment: float, outcome: str = "completed") -> Step:
    return Step(activity, role_of(activity), outcome, 9, moment, moment, moment + 0.01)


def board(rows: int, columns: int, kind: str = "kind") -> Scoreboard:
    scoreboard = Scoreboard()
    for row in range(rows):
        cells = {f"{kind} {n}": Cell(row, 9, row * n * 100_000_00) for n in range(columns)}
        scoreboard.add_row(f"design number {row} with a long name", cells)
    return scoreboard


PICTURES: dict[str, Callable[[], Picture]] = {
    "timeline, 40 rounds in 3 days": lambda: timeline(forty_rounds()),
    "scoreboard": lambda: scoreboard(board(6, 9)),
    "scoreboard, long words": lambda: scoreboard(board(2, 9, "incomprehensibly")),
    "money": lambda: money_at_risk([(0, 0), (0.1, 28000), (0.2, 122500), (0.3, 0)]),
    "money, years": lambda: money_at_risk([(0, 0), (1, 122500), (400 * THREE_DAYS, 0)]),
    "outcomes, odd ones": lambda: outcomes([EMPTY, forty_rounds()]),
    "retries": lambda: success_against_blips({n: [(0.1, 1 - 0.1**n)] for n in range(1, 6)}),
    "distribution": lambda: distribution(16),
    "system": system_sketch,
    "lost reply": lost_reply,
    "designs": lambda: designs_so_far(16),
    "timeline, empty": lambda: timeline(EMPTY),
    "scoreboard, empty": lambda: scoreboard(Scoreboard()),
    "scoreboard, one cell": lambda: scoreboard(board(1, 1)),
    "money, empty": lambda: money_at_risk([]),
    "money, 3 days": lambda: money_at_risk([(0, 0), (1, 122500), (THREE_DAYS, 0)]),
    "outcomes, empty": lambda: outcomes([]),
    "distribution, no run": lambda: distribution(None),
    "distribution, extreme": lambda: distribution(30),
    "map": course_map,
    "designs, none yet": lambda: designs_so_far(0),
}


@pytest.mark.parametrize("name", few(PICTURES, 3))
def test_a_picture_renders_with_words(name: str) -> None:
    check_picture(PICTURES[name]())


def test_the_name_of_a_class_breaks_between_its_words() -> None:
    cells = {"blip": Cell(0, 3)}
    names = ("HotelsWithExpiringKeys", "UndoRegisteredLate", "design number 1 with a long name")
    drawn = Scoreboard()
    for name in names:
        drawn.add_row(name, cells)
    labels = scoreboard(drawn).figure.axes[0].get_yticklabels()
    assert [label.get_text() for label in labels] == [
        "HotelsWithExpiring\nKeys",
        "UndoRegisteredLate",
        "design number 1 with\na long name",
    ]


@pytest.mark.everything
def test_real_trips_render(histories: dict[str, History]) -> None:
    for history in histories.values():
        check_picture(timeline(history))
    check_picture(outcomes(histories.values()))


def check_picture(picture: Picture) -> None:
    data, metadata = picture._repr_mimebundle_()
    image = Image.open(io.BytesIO(picture.png()))
    assert image.width >= 1000 and image.height >= 200
    assert len(image.convert("RGB").getcolors(1 << 20) or []) > 8, "the picture is empty"
    assert len(picture.png()) < 120_000
    for words in picture.figure.findobj(Text):
        colour = to_rgb(words.get_color())
        assert colour == (1, 1, 1) or contrast(colour) >= 4.5, words
    FigureCanvasAgg(picture.figure).draw()  # labels are measured where they were drawn last
    for axes in picture.figure.axes:
        assert_apart(axes.get_xticklabels())
        assert_apart(axes.get_yticklabels())
        assert_apart(axes.texts)
    assert data["text/plain"] == repr(picture) and len(picture.alt) > 10
    assert metadata["image/png"]["alt"] == picture.alt


def assert_apart(labels: Sequence[Text]) -> None:
    """No label on another one."""
    shown = [label for label in labels if label.get_text() and label.get_visible()]
    places = [label.get_window_extent().shrunk(0.98, 0.9) for label in shown]
    for (one, here), (other, there) in combinations(zip(shown, places, strict=True), 2):
        assert not here.overlaps(there), (one.get_text(), other.get_text())


def contrast(colour: tuple[float, float, float]) -> float:
    """With white, as the Web Content Accessibility Guidelines reckon it."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in colour]
    return 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)


def test_attempts_before_the_last_are_spaced_by_the_retry_policy(
    histories: dict[str, History],
) -> None:
    booked = histories["Customer-001"]
    car = booked.steps[3]
    assert car.attempts == 2 and car.earlier_failure == "Unavailable"
    ((begin, end),) = car.earlier
    assert begin == car.scheduled and car.started is not None
    assert car.started - end == pytest.approx(1.0)  # the pause before a second attempt
    assert "book_car done, 2 attempts (first: no answer)" in timeline(booked).alt
    assert all(step.earlier == () for step in booked.steps if step.attempts == 1)


def test_thousands_of_attempts_have_their_places() -> None:
    policy = RetryPolicy(backoff_coefficient=2)
    policy.initial_interval.FromSeconds(1)
    policy.maximum_interval.FromSeconds(100)
    spans = _earlier_attempts(0.0, 300_000.0, 3_000, policy)
    assert len(spans) == 2_999
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    policy.maximum_interval.Clear()
    assert len(_earlier_attempts(0.0, 60.0, 3_000, policy)) == 2_999


def test_every_wrong_design_has_its_place_in_the_family() -> None:
    folder = Path(lab.designs.__file__).parent
    sources = "".join(path.read_text(encoding="utf-8") for path in folder.glob("[a-z]*.py"))
    workflows = set(re.findall(r"^@workflow\.defn.*\nclass (\w+)", sources, re.MULTILINE))
    named = {design.name for design in DESIGNS}
    assert workflows and workflows <= named
    assert {design.parent for design in DESIGNS} <= named | {""}
    rows = {*SCRIPTS, *(entry.row for entry in WORKFLOWS)}
    assert {design.name for design in DESIGNS if design.main} <= rows <= named


def test_the_core_path_fits_in_five_hours() -> None:
    assert sum(notebook.minutes for notebook in core_path()) <= 300
    assert hours(core_path()) in course_map().alt


def test_a_number_of_successes_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="31 of 30"):
        distribution(31)
