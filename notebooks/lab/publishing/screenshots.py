"""Takes the pictures of the Temporal Web UI that notebooks 00 and 04 show.

    python -m lab.publishing.screenshots        (in the folder notebooks)

Starts a server, books trips that end in different ways, and photographs the Web UI
with a Chromium that has no window.
"""

from __future__ import annotations

import asyncio
import io
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from lab.running.system import System, start

IMAGES = Path(__file__).resolve().parents[2] / "images"
CUSTOMERS = ("Customer-001", "Presidential-Suite", "Limousine-Fail", "PaymentFail-Test")
WIDTH, HEIGHT = 1280, 1500
PATIENCE_SECONDS = 30
COLOURS = 128

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    f"--window-size={WIDTH},{HEIGHT}",
)


PRESS = """
const labelled = [...document.querySelectorAll("button, a, [role=tab]")];
labelled.find(element => element.innerText.trim() === arguments[0]).click();
"""

# A failed trip's result holds a stack trace, with paths of the machine it ran on.
HIDE_PAYLOADS = """
const titles = [...document.querySelectorAll("main h3")];
const input = titles.find(title => title.innerText.trim() === "Input");
if (input) input.parentElement.parentElement.style.display = "none";
"""


async def main() -> None:
    """Book, photograph, and say what was written."""
    lab = await start(virtual_clock=False)
    for customer in CUSTOMERS:
        await lab.book(customer)
    IMAGES.mkdir(exist_ok=True)
    with browser() as driver:
        open_page(driver, lab.web_ui, until=CUSTOMERS[-1])
        photograph(driver, "workflows", height=440)
        page = await history_page(lab, CUSTOMERS[-1])
        open_page(driver, f"{page}/timeline", until="cancel_flight")
        press(driver, "Descending")
        photograph(driver, "timeline", height=780)
        open_page(driver, f"{page}/history", until="Compact")
        press(driver, "Compact")
        press(driver, "Descending")
        photograph(driver, "history", height=900)
    await lab.close()


async def history_page(lab: System, customer: str) -> str:
    """Address of a trip's page in the Web UI."""
    trip = await lab.begin(customer)
    description = await trip.handle.describe()
    return f"{lab.web_ui}/{description.id}/{description.run_id}"


@contextmanager
def browser() -> Iterator[Chrome]:
    """A Chromium with a profile that is thrown away: Debian's, else the one Selenium finds."""
    options = ChromeOptions()
    with tempfile.TemporaryDirectory(prefix="travel-browser-") as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        program, driver = shutil.which("chromium"), shutil.which("chromedriver")
        if program and driver:
            options.binary_location = program
        chrome = Chrome(options, Service(driver) if program and driver else Service())
        try:
            yield chrome
        finally:
            chrome.quit()


def open_page(driver: Chrome, address: str, *, until: str) -> None:
    """Open it and wait until the words ``until`` stand on it."""
    driver.get(address)
    WebDriverWait(driver, PATIENCE_SECONDS).until(
        lambda chrome: until in chrome.find_element(By.TAG_NAME, "body").text
    )


def press(driver: Chrome, label: str) -> None:
    """Press the button that says ``label``."""
    driver.execute_script(PRESS, label)


def photograph(driver: Chrome, name: str, *, height: int) -> None:
    """Save the page as ``web-ui-<name>.png``, without the panels of input and result."""
    driver.execute_script(HIDE_PAYLOADS)
    time.sleep(1.5)  # for its animations to end
    picture = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
    picture = picture.crop((0, 0, picture.width, min(height, picture.height)))
    path = IMAGES / f"web-ui-{name}.png"
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name}: {picture.width} x {picture.height}, {path.stat().st_size // 1024} KB")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
