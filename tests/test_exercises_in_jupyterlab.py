"""Exercises and switchboard in a real JupyterLab, as a learner and an instructor use them."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from exercise_answers import ANSWERS
from jupyter_browser import (
    CELLS,
    chromium,
    copy_course,
    jupyterlab,
    missing_parts,
    open_notebook,
    restart_and_run_all,
)
from selenium.common.exceptions import TimeoutException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

pytestmark = [
    pytest.mark.everything,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        bool(missing_parts()) and not os.environ.get("CI"),
        reason=f"no {' and no '.join(missing_parts())} on this machine",
    ),
]

PATIENCE_SECONDS = 200
OUTAGE_SECONDS = 8  # longer than a step is tried

# Select the cell, replace its text in the editor, and run it as the menu does.
TYPE_AND_RUN = """
const done = arguments[arguments.length - 1];
const panel = window.jupyterapp.shell.currentWidget;
const notebook = panel.content;
(async () => {
  notebook.activeCellIndex = arguments[0];
  notebook.deselectAll();
  await notebook.scrollToItem(arguments[0], "center");
  if (arguments[1] !== null) notebook.activeCell.editor.model.sharedModel.setSource(arguments[1]);
  await window.jupyterapp.commands.execute("notebook:run-cell");
  done("ran");
})().catch(error => done(String(error)));
"""

STATE = """
const lines = document.querySelectorAll(".switchboard-state");
return lines.length ? lines[lines.length - 1].textContent : "";
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Chrome, str]]:
    """JupyterLab's address, and a browser to open it in."""
    folder = tmp_path_factory.mktemp("course")
    with jupyterlab(copy_course(folder)) as address, chromium(folder / "profile") as driver:
        yield driver, address


def index_of(cells: list[dict[str, Any]], start: str) -> int:
    """The place of the cell whose text starts like this."""
    return next(i for i, cell in enumerate(cells) if source(cell).startswith(start))


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def run_cell(driver: Chrome, index: int, text: str | None = None) -> str:
    """Type ``text`` into the cell, if any, and run it; what it shows."""
    assert driver.execute_async_script(TYPE_AND_RUN, index, text) == "ran"
    cell = driver.execute_script(CELLS)[index]
    return "\n".join(
        "".join(output.get("text") or output.get("data", {}).get("text/plain", ""))
        for output in cell["outputs"]
    )


def test_a_wrong_saga_is_told_why_and_the_right_one_passes(
    lab: tuple[Chrome, str], tmp_path: Path
) -> None:
    driver, address = lab
    open_notebook(driver, address, "03_the_saga.ipynb")
    cells = restart_and_run_all(driver)
    answer = index_of(cells, "%%workflow undo_in_reverse")
    check = index_of(cells, "await exercises.undo_in_reverse.check()")
    answers = ANSWERS["undo_in_reverse"]

    run_cell(driver, answer, f"%%workflow undo_in_reverse\n{answers['forward order'].given}")
    wrong = run_cell(driver, check)
    driver.save_screenshot(str(tmp_path / "wrong.png"))  # kept with --basetemp=FOLDER
    hint = run_cell(driver, check, "exercises.undo_in_reverse.hint()")
    run_cell(driver, answer, f"%%workflow undo_in_reverse\n{answers['exit stack'].given}")
    right = run_cell(driver, check, "await exercises.undo_in_reverse.check()")
    driver.save_screenshot(str(tmp_path / "right.png"))

    assert "cancel_hotel ran before cancel_car" in wrong
    assert hint.startswith("Wrong compensation order")
    assert "All of it holds." in right


def test_from_an_empty_cell_to_a_proven_saga_with_its_row(
    lab: tuple[Chrome, str], tmp_path: Path
) -> None:
    driver, address = lab
    open_notebook(driver, address, "16_your_own_saga.ipynb")
    cells = restart_and_run_all(driver)
    answer = index_of(cells, "%%workflow shop_saga")
    check = index_of(cells, "await exercises.shop_saga.check()")
    row = index_of(cells, "from lab.showing import scoreboard")
    answers = ANSWERS["shop_saga"]

    untouched = run_cell(driver, check)
    run_cell(driver, answer, f"%%workflow shop_saga\n{answers['hasty'].given}")
    wrong = run_cell(driver, check)
    run_cell(driver, answer, f"%%workflow shop_saga\n{answers['reference'].given}")
    right = run_cell(driver, check)
    board = run_cell(driver, row)
    driver.save_screenshot(str(tmp_path / "row.png"))  # kept with --basetemp=FOLDER
    progress = run_cell(driver, row, "from lab import progress\n\nprogress('Ada Lovelace')")

    assert "not attempted" in untouched
    assert "All of it holds." not in wrong
    assert "All of it holds." in right, right
    found = re.search(r"you: (.*)\.", " ".join(board.split()))
    assert found is not None, board
    assert {cell.rsplit(" ", 1)[1] for cell in found[1].split(", ")} == {"0"}
    assert re.search(r"16 +holds +Your own saga", progress) and "Ada Lovelace: " in progress


def test_the_switchboard_through_an_outage_and_the_death_of_a_worker(
    lab: tuple[Chrome, str], tmp_path: Path
) -> None:
    driver, address = lab
    open_notebook(driver, address, "00_start_here.ipynb")
    cells = restart_and_run_all(driver)
    board = index_of(cells, "from lab.breaking import switchboard")
    run_cell(driver, board)
    wait_for_state(driver, lambda state: state["Worker"] == "running")

    press(driver, "A trip arrives")
    wait_for_state(driver, lambda state: state["booked"] == "1")
    turn(driver, "hotel", "down")
    press(driver, "A trip arrives")
    # The flight is booked, the hotel does not answer, the flight is released. But whether
    # there is a room nobody knows, so the trip waits until the hotel can be asked.
    time.sleep(OUTAGE_SECONDS)
    wait_for_state(driver, lambda state: state["seats held"] == "1" and state["under way"] == "1")
    turn(driver, "hotel", "up")
    wait_for_state(driver, lambda state: state["failed"] == "1")
    turn(driver, "car", "down")
    press(driver, "A trip arrives")
    wait_for_state(driver, lambda state: state["under way"] == "1")
    press(driver, "Kill the Worker")
    wait_for_state(driver, lambda state: state["Worker"] == "dead")
    driver.save_screenshot(str(tmp_path / "dead.png"))
    turn(driver, "car", "up")
    press(driver, "Start a Worker")
    state = wait_for_state(
        driver, lambda state: state["Worker"] == "running" and state["under way"] == "0"
    )
    driver.save_screenshot(str(tmp_path / "back.png"))

    assert state["trips"] == "3"
    assert int(state["booked"]) + int(state["failed"]) == 3
    assert state["seats held"] == state["booked"]
    assert state["money at risk"] == "$0.00"


def press(driver: Chrome, label: str) -> None:
    buttons = driver.find_elements(By.CSS_SELECTOR, ".jp-OutputArea button.widget-button")
    click(driver, next(button for button in buttons if button.text.strip() == label))


def turn(driver: Chrome, provider: str, position: str) -> None:
    for row in driver.find_elements(By.CSS_SELECTOR, ".jp-OutputArea .widget-dropdown"):
        if row.find_element(By.CSS_SELECTOR, "label").text.strip() == provider:
            select = row.find_element(By.CSS_SELECTOR, "select")
            driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", select)
            Select(select).select_by_visible_text(position)
            return
    raise AssertionError(f"there is no switch for {provider}")


def click(driver: Chrome, element: Any) -> None:
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def wait_for_state(driver: Chrome, wanted: Callable[[dict[str, str]], bool]) -> dict[str, str]:
    """What the switchboard's line says, once it says what is wanted."""

    def look(_: Chrome) -> dict[str, str] | None:
        state = state_of(driver)
        return state if state and wanted(state) else None

    try:
        return WebDriverWait(driver, PATIENCE_SECONDS, poll_frequency=0.2).until(look)
    except TimeoutException:
        raise AssertionError(f"the switchboard says {state_of(driver)}") from None


def state_of(driver: Chrome) -> dict[str, str]:
    # Read in one go: the board may be drawn anew between two calls.
    text = driver.execute_script(STATE)
    return dict(re.findall(r"([A-Za-z][A-Za-z ]*?): (\S+)", text.replace("\xa0", " ")))
