"""What is read with a screen reader, or in the dark: headings, contrast, tables, links.

By axe-core (https://github.com/dequelabs/axe-core), on what the course itself puts on the page:
text and outputs, in both themes. Prompts and the colours of code are Jupyter's. Alternative
texts are in ``test_notebooks.py``: the page made here has one for every picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_core_python.selenium import Axe
from jupyter_browser import chromium, missing_parts
from nbconvert import HTMLExporter
from nbformat import NotebookNode, read
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from processes import ROOT
from selenium.webdriver import Chrome

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
OURS = {
    "include": [[".jp-RenderedMarkdown"], [".jp-OutputArea-output"]],
    "exclude": [[".highlight"]],
}
RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "best-practice"]}
NO_NETWORK = {"mathjax_url": "", "require_js_url": "", "jquery_url": ""}

pytestmark = [
    pytest.mark.everything,
    pytest.mark.skipif(
        bool(missing_parts()), reason=f"no {' and no '.join(missing_parts())} on this machine"
    ),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


def violations(browser: Chrome, notebook: NotebookNode, theme: str, folder: Path) -> dict[str, Any]:
    """The places that break a rule, by rule. The picture is kept with ``--basetemp=FOLDER``."""
    exporter = HTMLExporter(theme=theme, embed_images=True, **NO_NETWORK)
    resources = {"metadata": {"path": str(ROOT / "notebooks")}}
    page = folder / "page.html"
    page.write_text(exporter.from_notebook_node(notebook, resources)[0], encoding="utf-8")
    browser.set_window_size(1000, 1400)
    browser.get(page.as_uri())
    found = Axe().run(browser, OURS, {"runOnly": RULES, "resultTypes": ["violations"]})
    height = browser.execute_script("return document.body.scrollHeight")
    browser.set_window_size(1000, min(height + 150, 16_000))
    browser.save_screenshot(str(folder / f"{theme}.png"))
    return {rule["id"]: [node["html"] for node in rule["nodes"]] for rule in found["violations"]}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_can_be_read(browser: Chrome, path: Path, theme: str, tmp_path: Path) -> None:
    assert violations(browser, read(path, 4), theme, tmp_path) == {}


def test_what_cannot_be_read_is_found(browser: Chrome, tmp_path: Path) -> None:
    grey = '<p style="color:#bbb;background:#fff">hardly there</p>'
    shown = [new_output("display_data", {"text/html": grey})]
    cells = [new_markdown_cell("# One\n\n### Three"), new_code_cell("show()", outputs=shown)]
    found = violations(browser, new_notebook(cells=cells), "light", tmp_path)
    assert set(found) == {"heading-order", "color-contrast"}
