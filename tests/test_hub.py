"""The course on a real JupyterHub of two users: from the login to the Event History."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_browser import follow, jupyterhub, log_in, missing_hub
from jupyter_browser import (
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
from selenium.webdriver.support.ui import WebDriverWait

missing = [*missing_parts(), *missing_hub()]
pytestmark = [
    pytest.mark.everything,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        bool(missing) and not os.environ.get("CI"),
        reason=f"no {' and no '.join(missing)} on this machine",
    ),
]

USERS = ("ann", "bob")
WITHOUT_PROXY = "cat"
PATIENCE_SECONDS = 120
PRESS_TAB = """
const tabs = [...document.querySelectorAll("a, button, [role=tab]")];
const tab = tabs.find(element => element.innerText.trim().startsWith(arguments[0]));
tab?.click();
return Boolean(tab);
"""
TRIP = re.compile(r"(/\S+/proxy/absolute/\d+)/namespaces/default/workflows/booking-\S+")


def shown(cells: list[dict]) -> str:
    """The text of all outputs of a notebook."""
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return "\n".join("".join(output.get("data", {}).get("text/plain", "")) for output in outputs)


def text_of(driver: Chrome) -> str:
    return driver.find_element(By.TAG_NAME, "body").text


def wait_for_text(driver: Chrome, text: str) -> None:
    wait = WebDriverWait(driver, PATIENCE_SECONDS)
    try:
        wait.until(lambda page: text in text_of(page))
    except TimeoutException:
        pytest.fail(f"{driver.current_url} does not say {text!r}:\n{text_of(driver)[:2000]}")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    users = (*USERS, WITHOUT_PROXY)
    with jupyterhub(tmp_path_factory.mktemp("hub"), users, WITHOUT_PROXY) as address:
        yield address


@pytest.fixture(scope="module")
def browsers(
    hub: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, tuple[Chrome, str]]]:
    """For each user a browser of their own, logged in, and the path of their trip's page."""
    folder = tmp_path_factory.mktemp("profiles")
    with chromium(folder / "ann") as ann, chromium(folder / "bob") as bob:
        found = {}
        for user, driver in zip(USERS, (ann, bob), strict=True):
            log_in(driver, hub, user)
            trip = TRIP.search(shown(restart_and_run_all(driver)))
            assert trip, "the notebook shows no link to the trip"
            found[user] = (driver, trip[0])
        yield found


@pytest.mark.parametrize("user", USERS)
def test_from_login_to_event_history(browsers: dict[str, tuple[Chrome, str]], user: str) -> None:
    driver, trip = browsers[user]
    assert trip.startswith(f"/user/{user}/proxy/absolute/")

    follow(driver, trip)

    wait_for_text(driver, "book_flight")
    assert driver.execute_script(PRESS_TAB, "Event History")
    wait_for_text(driver, "Workflow Execution Started")
    wait_for_text(driver, "Activity Task Completed")


def test_one_user_cannot_reach_the_other(hub: str, browsers: dict[str, tuple[Chrome, str]]) -> None:
    (ann, of_ann), (bob, of_bob) = (browsers[user] for user in USERS)
    assert TRIP.match(of_ann)[1].rsplit("/")[-1] != TRIP.match(of_bob)[1].rsplit("/")[-1]
    for stranger, page in ((bob, of_ann), (ann, of_bob)):
        stranger.get(f"{hub}{page}")
        wait_for_text(stranger, "403")
        assert "book_flight" not in text_of(stranger)


def test_without_the_proxy_the_cell_says_what_to_do(hub: str, tmp_path: Path) -> None:
    with chromium(tmp_path) as driver:
        log_in(driver, hub, WITHOUT_PROXY)
        text = shown(restart_and_run_all(driver))
        assert "%pip install jupyter-server-proxy" in text
        assert "Hub Control Panel" in text_of(driver)
        assert not driver.find_elements(By.CSS_SELECTOR, ".jp-OutputArea a[href*='/proxy/']")


def test_a_jupyter_server_with_a_base_url(tmp_path: Path) -> None:
    notebooks = copy_course(tmp_path)
    settings = {"ServerApp.base_url": "/node/seven/"}
    with jupyterlab(notebooks, **settings) as address, chromium(tmp_path / "profile") as driver:
        open_notebook(driver, address, "00_start_here.ipynb")
        trip = TRIP.search(shown(restart_and_run_all(driver)))
        assert trip and trip[0].startswith("/node/seven/proxy/absolute/")
        follow(driver, trip[0])
        wait_for_text(driver, "book_flight")
