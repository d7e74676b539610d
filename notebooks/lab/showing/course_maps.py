"""The map of the course: its notebooks, the idea that each adds, and two paths through them."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from lab.showing.picture import BLUE, GREEN, INK, PLUM, RED, Picture, canvas

PARTS = ("From a mess to a saga", "A saga that holds", "A saga in production", "Yours")
COLOURS = (BLUE, RED, GREEN, PLUM)


@dataclass(frozen=True)
class Notebook:
    """One stop on the map; ``minutes`` include its exercises."""

    part: int
    title: str
    idea: str
    minutes: int
    core: bool = False


NOTEBOOKS = (
    Notebook(0, "Start here", "server, Worker, one trip", 20, core=True),
    Notebook(0, "The messy version", "feel the loss", 25, core=True),
    Notebook(0, "A durable Workflow", "durable is not consistent", 35, core=True),
    Notebook(0, "The saga", "undo what was done, newest first", 35, core=True),
    Notebook(0, "Forty-four trips", "which failure undoes what", 25, core=True),
    Notebook(1, "Retry before you compensate", "a blip is no failure", 30, core=True),
    Notebook(1, "What not to compensate", "the pivot: no way back", 35, core=True),
    Notebook(1, "The lost acknowledgement", "register the undo first", 40, core=True),
    Notebook(1, "Providers that are not yours", "no key, no tombstone, a refusal", 30),
    Notebook(2, "Kill the Worker", "replay brings it back", 25),
    Notebook(2, "Change it under running trips", "version first, patch second", 25),
    Notebook(2, "Book in parallel", "settle what is in flight", 25),
    Notebook(2, "When an undo is stuck", "a person who decides", 25),
    Notebook(2, "What a saga cannot promise", "a clean audit and a lost sale", 25),
    Notebook(2, "Beyond one machine", "who cleans up?", 25),
    Notebook(3, "Capstone", "a step of your own, proven", 40),
    Notebook(3, "Your own saga", "from an empty file", 55, core=True),
)
"""In their order: the number of a notebook is its place."""

COLUMNS = 6
CARD_WIDTH, CARD_HEIGHT = 1.92, 1.5
COLUMN, LINE = 2.1, 2.05


def course_map() -> Picture:
    """A card a notebook, a line a part; the core path has the strong frames."""
    with canvas(7.2, width=13) as (figure, axes):
        for line, (part, colour) in enumerate(zip(PARTS, COLOURS, strict=True)):
            axes.text(0, line * LINE - 0.2, part, color=colour, fontsize=15, fontweight="bold")
        for number, notebook in enumerate(NOTEBOOKS):
            _draw_card(axes, number, notebook)
        _draw_key(axes)
        axes.set_xlim(-0.05, (COLUMNS - 1) * COLUMN + CARD_WIDTH + 0.05)
        axes.set_ylim((len(PARTS) - 1) * LINE + CARD_HEIGHT + 0.05, -0.55)
        axes.axis("off")
    return Picture(figure, _alt())


def hours(notebooks: list[Notebook]) -> str:
    """Their time together: ``"4 h 55"``, ``"5 h"``."""
    whole, minutes = divmod(sum(notebook.minutes for notebook in notebooks), 60)
    return f"{whole} h {minutes:02}" if minutes else f"{whole} h"


def core_path() -> list[Notebook]:
    """What leads to a saga of one's own, and leaves production for later."""
    return [notebook for notebook in NOTEBOOKS if notebook.core]


def _draw_card(axes: Axes, number: int, notebook: Notebook) -> None:
    column = number - next(n for n, other in enumerate(NOTEBOOKS) if other.part == notebook.part)
    left, top, colour = column * COLUMN, notebook.part * LINE, COLOURS[notebook.part]
    box = FancyBboxPatch(
        (left, top),
        CARD_WIDTH,
        CARD_HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.12",
        facecolor=colour + ("22" if notebook.core else "08"),
        edgecolor=colour,
        linewidth=2.6 if notebook.core else 1.2,
        linestyle="solid" if notebook.core else (0, (4, 2)),
    )
    axes.add_patch(box)
    head = {"color": colour, "fontsize": 15, "fontweight": "bold", "va": "center"}
    axes.text(left + 0.1, top + 0.22, f"{number:02}", **head)  # type: ignore[arg-type]
    minutes = f"{notebook.minutes} min"
    axes.text(left + CARD_WIDTH - 0.1, top + 0.22, minutes, fontsize=11, va="center", ha="right")
    axes.text(
        left + 0.1,
        top + 0.68,
        textwrap.fill(notebook.title, 17),
        fontsize=12,
        fontweight="bold",
        va="center",
        linespacing=1.1,
    )
    axes.text(left + 0.1, top + 1.2, textwrap.fill(notebook.idea, 21), fontsize=11, va="center")


def _draw_key(axes: Axes) -> None:
    left, top = 2.3 * COLUMN, 3 * LINE
    words = (
        f"Strong frame: the core path, {hours(core_path())}.\n"
        f"Dashed frame: the way to production.\n"
        f"All of it: {hours(list(NOTEBOOKS))}, exercises included."
    )
    axes.text(left, top + CARD_HEIGHT / 2, words, va="center", fontsize=13, color=INK)


def _alt() -> str:
    told = []
    for part, name in enumerate(PARTS):
        cards = "; ".join(
            f"{number:02} {notebook.title}, {notebook.minutes} min: {notebook.idea}"
            for number, notebook in enumerate(NOTEBOOKS)
            if notebook.part == part
        )
        told.append(f"{name}: {cards}.")
    numbers = [f"{n:02}" for n, notebook in enumerate(NOTEBOOKS) if notebook.core]
    core = f"The core path is {', '.join(numbers)}: {hours(core_path())}."
    return f"Map of the course. {' '.join(told)} {core} All of it: {hours(list(NOTEBOOKS))}."
