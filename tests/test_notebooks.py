"""The form of the notebooks; nbval checks what they print."""

from __future__ import annotations

import json
import re
import statistics
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from lab.showing import course_maps
from nbconvert.filters import markdown2html

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("[0-9]*.ipynb"))
MAX_CELLS = 40
MAX_LINES = 30
MEDIAN_LINES = 10
SLIDE_TYPES = {"slide", "subslide", "fragment", "skip", "notes", "-"}
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def cells(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(request.param.read_text(encoding="utf-8"))["cells"]
    return [{**cell, "source": "".join(cell["source"])} for cell in found]


def of_type(cells: list[dict[str, Any]], cell_type: str) -> list[dict[str, Any]]:
    return [cell for cell in cells if cell["cell_type"] == cell_type]


def formulas(html: str) -> list[str]:
    """What stands between two dollars in one piece of text, and not in code."""
    return re.findall(r"\$[^<$]*\$", re.sub(r"<(code|pre)\b.*?</\1>", "", html, flags=re.DOTALL))


def test_a_notebook_is_what_the_map_has_at_its_number() -> None:
    for path in NOTEBOOKS:
        expected = course_maps.NOTEBOOKS[int(path.name[:2])]
        head = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
        assert head.splitlines()[0].removeprefix("# ").partition(":")[0] == expected.title


def test_short_enough_to_follow(cells: list[dict[str, Any]]) -> None:
    lines = [len(cell["source"].splitlines()) for cell in of_type(cells, "code")]
    assert len(cells) <= MAX_CELLS
    assert max(lines) <= MAX_LINES
    assert statistics.median(lines) <= MEDIAN_LINES


def test_outputs_are_of_one_run_from_top_to_bottom(cells: list[dict[str, Any]]) -> None:
    counts = [cell["execution_count"] for cell in of_type(cells, "code") if cell["source"]]
    assert counts == list(range(1, len(counts) + 1))


def test_every_cell_has_its_place_on_the_slides(cells: list[dict[str, Any]]) -> None:
    assert {cell["metadata"]["slideshow"]["slide_type"] for cell in cells} <= SLIDE_TYPES
    notes = [c for c in cells if c["metadata"]["slideshow"]["slide_type"] == "notes"]
    assert notes
    # Folded away on the page, where they would give away what is to be predicted.
    for note in notes:
        assert note["source"].startswith("<details>\n<summary>For the instructor</summary>\n\n")
        assert note["source"].endswith("\n\n</details>")


def test_no_dollar_starts_mathematics(cells: list[dict[str, Any]]) -> None:
    for cell in of_type(cells, "markdown"):
        assert not re.search(r"(?<!\\)\$", CODE.sub("", cell["source"])), cell["source"]
        # JupyterLab looks for formulas once more in the page, where no dollar is escaped.
        assert not formulas(markdown2html(cell["source"]))
    for cell in of_type(cells, "code"):
        for output in cell["outputs"]:
            html = "".join(output.get("data", {}).get("text/html", ""))
            assert 'class="mathjax_ignore"' in html or not formulas(html)


def test_every_picture_has_a_text(cells: list[dict[str, Any]]) -> None:
    for cell in of_type(cells, "markdown"):
        assert all(len(alt) > 20 for alt in re.findall(r"!\[(.*?)\]\(", cell["source"]))
    for cell in of_type(cells, "code"):
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                assert len(output["metadata"]["image/png"]["alt"]) > 20


def test_headings_come_in_order(cells: list[dict[str, Any]]) -> None:
    lines = [line for cell in of_type(cells, "markdown") for line in outside_code(cell["source"])]
    levels = [len(found[1]) for line in lines if (found := re.match(r"(#+) ", line))]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def outside_code(source: str) -> list[str]:
    return re.sub(r"```.*?```", "", source, flags=re.DOTALL).splitlines()


def test_nothing_went_wrong_that_was_not_meant_to(cells: list[dict[str, Any]]) -> None:
    for cell in of_type(cells, "code"):
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr"


def test_the_minutes_are_those_of_the_map() -> None:
    """The head of a notebook says what the map says; what 00 says of the paths is their sum."""
    heads = [
        json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"] for path in NOTEBOOKS
    ]
    minutes = {notebook.title: notebook.minutes for notebook in course_maps.NOTEBOOKS}
    found = 0
    for head in map("".join, heads):
        title = head.splitlines()[0].removeprefix("# ").partition(":")[0]
        told = re.search(r"\*\*Time:\*\* (\d+) minutes", head)
        if title in minutes and told:
            found += 1
            assert int(told[1]) == minutes[title], title
    assert found >= 5
    first = NOTEBOOKS[0].read_text(encoding="utf-8")
    assert f"{course_maps.hours(course_maps.core_path())} with all exercises" in first
    assert f"{course_maps.hours(list(course_maps.NOTEBOOKS))} together" in first


def test_imports_need_no_path(cells: list[dict[str, Any]]) -> None:
    sources = [cell["source"] for cell in of_type(cells, "code")]
    assert not any("sys.path" in source for source in sources)
    lines = "\n".join(sources).splitlines()
    first = next(line for line in lines if re.match(r"(from|import) (lab|travel)\b", line))
    assert re.match(r"(from|import) lab\b", first), first
