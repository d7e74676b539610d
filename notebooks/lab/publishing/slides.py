"""Makes one deck of slides from all notebooks of the course, which needs no network.

    python -m lab.publishing.slides [--output FILE.html]        (in the folder notebooks)

nbconvert turns the notebooks into slides of reveal.js, notes for the speaker included.
Here they are put into one, a column of slides for each notebook behind a slide with the
contents. ``slides_template/`` holds the page, its style, and the script that cuts what is
too long for one slide into several. Everything the page needs is inside the one file.
"""

from __future__ import annotations

import argparse
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import SlidesExporter
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_notebook, new_output

FOLDER = Path(__file__).resolve().parent
NOTEBOOKS = FOLDER.parents[1]
TEMPLATE = FOLDER / "slides_template"
DEFAULT_OUTPUT = NOTEBOOKS / "slides.html"

TITLE = "The saga pattern with Temporal"
KEYS = "*Keys: → next notebook, ↓ or space next slide, S speaker view, O overview, F full screen.*"
WIDGET = "application/vnd.jupyter.widget-view+json"
INSTEAD_OF_WIDGET = "*Buttons and live tables: run this cell in the notebook.*"


def main() -> None:
    """Write the deck, and say where it is."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.publishing.slides", description="Makes the slides."
    )
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT, metavar="FILE.html")
    output = parser.parse_args().output
    try:
        output.write_text(make_deck(course()), encoding="utf-8")
    except OSError as error:
        sys.exit(f"Cannot write the slides: {error}")
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB")


def course() -> list[Path]:
    """The notebooks, in their order."""
    return sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def make_deck(notebooks: list[Path]) -> str:
    """The HTML of a deck with these notebooks."""
    exporter = SlidesExporter(
        extra_template_basedirs=[str(FOLDER)],
        template_name=TEMPLATE.name,
        embed_images=True,
        exclude_anchor_links=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    resources = {"metadata": {"path": str(NOTEBOOKS), "name": TITLE}, "deck": _page_parts()}
    html, _ = exporter.from_notebook_node(_merge(notebooks), resources)
    return str(html)


def _merge(notebooks: list[Path]) -> NotebookNode:
    """One notebook of all: a slide begins a column, the slides below it are subslides."""
    columns = {path.name: column for column, path in enumerate(notebooks, start=1)}
    read = [nbformat.read(path, as_version=4) for path in notebooks]
    chapters = [f"{path.name[:2]} {_title(nb)}" for path, nb in zip(notebooks, read, strict=True)]
    merged = new_notebook(metadata={"title": TITLE, **read[0].metadata})
    merged.cells = [_contents(chapters)]
    for nb, chapter in zip(read, chapters, strict=True):
        for index, cell in enumerate(nb.cells):
            _prepare(cell, chapter, columns)
            _place(cell, first=index == 0)
        merged.cells += nb.cells
    return merged


def _title(nb: NotebookNode) -> str:
    """The notebook's first heading."""
    return str(nb.cells[0].source.splitlines()[0].lstrip("# "))


def _contents(chapters: list[str]) -> NotebookNode:
    """The first slide: a link to each notebook."""
    links = (f"- [{chapter}](#/{column})" for column, chapter in enumerate(chapters, start=1))
    text = "\n".join([f"# {TITLE}", "", *links, "", KEYS])
    slideshow = {"slide_type": "slide", "data": {"chapter": TITLE}}
    return new_markdown_cell(text, id="contents", metadata={"slideshow": slideshow})


def _prepare(cell: NotebookNode, chapter: str, columns: dict[str, int]) -> None:
    """Name its notebook, lead its links to slides, replace what only a kernel can show."""
    cell.metadata.setdefault("slideshow", NotebookNode()).data = NotebookNode(chapter=chapter)
    if cell.cell_type == "markdown":
        cell.source = _unfolded(cell.source)
        for name, column in columns.items():
            cell.source = cell.source.replace(f"]({name})", f"](#/{column})")
    for index, output in enumerate(cell.get("outputs", [])):
        if WIDGET in output.get("data", {}):
            data = {"text/markdown": INSTEAD_OF_WIDGET}
            cell.outputs[index] = new_output("display_data", data)


def _unfolded(text: str) -> str:
    """Notes that a page folds away: the speaker view is to show them."""
    text = re.sub(r"<summary>(.*?)</summary>", r"**\1.**", text)
    return re.sub(r"</?details>\n*", "", text)


def _place(cell: NotebookNode, *, first: bool) -> None:
    """The first cell of a notebook begins a column; its other slides stand below."""
    slideshow = cell.metadata.slideshow
    if first:
        slideshow.slide_type = "slide"
    elif slideshow.get("slide_type") == "slide":
        slideshow.slide_type = "subslide"


def _page_parts() -> dict[str, Any]:
    """What the template puts into the page: styles and scripts, reveal.js first."""
    package = find_spec("pyreveal")
    if package is None or not package.submodule_search_locations:
        sys.exit("The slides need pyreveal: python -m pip install -r tests/requirements.txt")
    reveal = Path(package.submodule_search_locations[0]) / "revealjs" / "dist"
    styles = [reveal / "reset.css", reveal / "reveal.css", TEMPLATE / "deck.css"]
    scripts = [reveal / "reveal.js", reveal / "plugin" / "notes.js", TEMPLATE / "deck.js"]
    return {
        "styles": [path.read_text(encoding="utf-8") for path in styles],
        "scripts": [path.read_text(encoding="utf-8") for path in scripts],
    }


if __name__ == "__main__":
    main()
