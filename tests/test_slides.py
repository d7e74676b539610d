"""The deck of slides: made from the notebooks, and shown without a network."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_browser import FLAGS, missing_parts
from lab.publishing import slides
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

READY_SECONDS = 60
LOADED = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*?\s(?:src|href)=["']?([^"'\s>]+)""")
IMPORTED = re.compile(r"""(?:@import\s+(?:url\()?|url\()["']?([^"')\s]+)""")

# What is visible of the notes, and what of a slide hangs over its lower edge.
SHOWN_NOTES = """
return [...document.querySelectorAll(".slides > section > section")].filter(slide => {
  const { h, v } = Reveal.getIndices(slide);
  Reveal.slide(h, v, 99);
  return [...slide.querySelectorAll("aside.notes")].some(note => note.offsetHeight > 0);
}).length;
"""
CUT_OFF = """
const end = document.querySelector(".slide-number").getBoundingClientRect().top;
return [...document.querySelectorAll(".slides > section > section")].filter(slide => {
  const { h, v } = Reveal.getIndices(slide);
  Reveal.slide(h, v, 99);
  const boxes = [...slide.querySelectorAll(".jp-Cell")].map(cell => cell.getBoundingClientRect());
  return boxes.some(box => box.bottom > end + 1 || box.right > innerWidth + 1);
}).map(slide => slide.dataset.chapter + ": " + slide.innerText.slice(0, 60));
"""


@pytest.fixture(scope="module")
def deck(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deck of the first two notebooks."""
    path = tmp_path_factory.mktemp("slides") / "slides.html"
    path.write_text(slides.make_deck(slides.course()[:2]), encoding="utf-8")
    return path


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Chrome]:
    """A browser of 1280 by 720 that finds no host by its name."""
    if missing_parts() and not os.environ.get("CI"):
        pytest.skip(f"no {' and no '.join(missing_parts())} on this machine")
    options = ChromeOptions()
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    for flag in (*FLAGS, "--host-resolver-rules=MAP * ~NOTFOUND", profile):
        options.add_argument(flag)
    driver = Chrome(options=options, service=Service(shutil.which("chromedriver")))
    size = {"width": 1280, "height": 720, "deviceScaleFactor": 1, "mobile": False}
    try:
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        yield driver
    finally:
        driver.quit()


def test_everything_is_in_the_file(deck: Path) -> None:
    html = deck.read_text(encoding="utf-8")
    page = re.sub(r"(<script>).*?(</script>)", r"\1\2", html, flags=re.DOTALL)
    styles = "".join(re.findall(r"<style\b[^>]*>(.*?)</style>", page, flags=re.DOTALL))

    loaded = LOADED.findall(page) + IMPORTED.findall(styles)

    assert loaded
    assert [url[:80] for url in loaded if not url.startswith(("data:", "#"))] == []
    assert "Reveal.initialize" in html


def test_notes_reach_the_speaker_unfolded(deck: Path) -> None:
    notes = re.findall(r'<aside class="notes">(.*?)</aside>', deck.read_text("utf-8"), re.DOTALL)
    assert notes and all("For the instructor." in note for note in notes)
    assert not any("<details" in note or "<summary" in note for note in notes)


@pytest.mark.everything
def test_shows_without_a_network(deck: Path, offline: Chrome) -> None:
    offline.get(deck.as_uri())
    ready = "return Boolean(window.Reveal && Reveal.isReady())"
    WebDriverWait(offline, READY_SECONDS).until(lambda page: page.execute_script(ready))

    assert offline.execute_script("return Reveal.getHorizontalSlides().length") == 3
    assert offline.execute_script("return Reveal.getTotalSlides()") > 20
    assert offline.execute_script("return document.querySelectorAll('aside.notes').length") > 0
    assert offline.execute_script(SHOWN_NOTES) == 0
    assert offline.execute_script(CUT_OFF) == []
    assert [entry["message"] for entry in offline.get_log("browser")] == []
