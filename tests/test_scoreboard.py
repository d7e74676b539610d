"""The scoreboard says the same everywhere: in the record and in every notebook that runs a row.

nbval runs the rows again and compares them with what the notebooks show.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from lab.breaking.scorekeeping import KINDS, WORKFLOWS, recorded
from lab.publishing.scoreboard_picture import FILE, whole_scoreboard
from PIL import Image

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
LAST_ROW = recorded().rows[-1]


def boards(notebook: Path) -> list[str]:
    """The texts of the scoreboards that a notebook shows."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    texts = ["".join(output.get("data", {}).get("text/plain", "")) for output in outputs]
    return [" ".join(text.split()) for text in texts if text.startswith("Scoreboard")]


def test_every_notebook_says_what_the_record_says() -> None:
    notebooks = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    shown = [(path.name, text) for path in notebooks for text in boards(path)]
    assert len(shown) >= 8
    for name, text in shown:
        for row in recorded().rows:
            for cells in re.findall(rf"[.;] {re.escape(row.design)}: ([^;]*)", text):
                for kind, cell in row.cells.items():
                    if f"{kind} " in cells:
                        assert f"{kind} {cell}" in cells, (name, row.design, kind)


def test_the_picture_in_the_readme_shows_the_record() -> None:
    with Image.open(FILE) as picture:
        assert picture.info["Description"] == whole_scoreboard().alt


@pytest.mark.parametrize("entry", WORKFLOWS, ids=lambda entry: entry.row)
def test_every_design_is_on_the_record(entry: object) -> None:
    rows = {row.design: row for row in recorded().rows}
    assert set(KINDS) <= set(rows[entry.row].cells)  # type: ignore[attr-defined]


def test_the_last_row_is_zero_everywhere() -> None:
    assert LAST_ROW.cells
    assert all(cell.clean for cell in LAST_ROW.cells.values())
    assert {kind for row in recorded().rows for kind in row.cells} == set(LAST_ROW.cells)
