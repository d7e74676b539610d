"""The map of the course: twelve notebooks, and the idea that each adds."""

from __future__ import annotations

import textwrap

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from lab.showing.picture import BLUE, GREEN, RED, Picture, canvas

STAGES = [
    (
        "From a mess to a saga",
        BLUE,
        [
            ("Start here", "server, Worker, one trip"),
            ("The messy version", "feel the loss"),
            ("A durable Workflow", "durable is not consistent"),
            ("The saga", "undo what was done, newest first"),
        ],
    ),
    (
        "A saga that holds",
        RED,
        [
            ("Forty-four trips", "which failure undoes what"),
            ("Retry before you compensate", "a blip is no failure"),
            ("What not to compensate", "the pivot: no way back"),
            ("The lost acknowledgement", "register the undo first"),
        ],
    ),
    (
        "A saga in production",
        GREEN,
        [
            ("Kill the Worker", "replay brings it back"),
            ("Book in parallel", "settle what is in flight"),
            ("Beyond one machine", "who cleans up?"),
            ("Capstone", "your own step, proven"),
        ],
    ),
]

CARD_WIDTH, CARD_HEIGHT = 2.6, 1.28
COLUMN, LINE = 2.85, 1.95


def course_map() -> Picture:
    """Twelve cards in three lines, read like a page."""
    with canvas(6.2, width=11.4) as (_, axes):
        for line, (stage, colour, notebooks) in enumerate(STAGES):
            top = line * LINE
            axes.text(0, top - 0.2, stage, color=colour, fontsize=15, fontweight="bold")
            for column, (title, idea) in enumerate(notebooks):
                number = 4 * line + column
                _draw_card(axes, column * COLUMN, top, colour, (number, title, idea))
                if column:
                    _draw_arrow(axes, column * COLUMN, top)
        axes.set_xlim(-0.05, 3 * COLUMN + CARD_WIDTH + 0.05)
        axes.set_ylim(2 * LINE + CARD_HEIGHT + 0.05, -0.55)
        axes.axis("off")
    return Picture(axes.figure, _alt())  # type: ignore[arg-type]


def _draw_card(
    axes: Axes, left: float, top: float, colour: str, card: tuple[int, str, str]
) -> None:
    number, title, idea = card
    box = FancyBboxPatch(
        (left, top),
        CARD_WIDTH,
        CARD_HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.12",
        facecolor=colour + "18",
        edgecolor=colour,
        linewidth=1.8,
    )
    axes.add_patch(box)
    axes.text(
        left + 0.13,
        top + 0.3,
        f"{number:02}",
        color=colour,
        fontsize=17,
        fontweight="bold",
        va="center",
    )
    axes.text(
        left + 0.58,
        top + 0.3,
        textwrap.fill(title, 17),
        fontsize=12,
        fontweight="bold",
        va="center",
        linespacing=1.1,
    )
    axes.text(left + 0.13, top + 0.92, textwrap.fill(idea, 24), fontsize=12, va="center")


def _draw_arrow(axes: Axes, right: float, top: float) -> None:
    middle = top + CARD_HEIGHT / 2
    axes.annotate(
        "",
        (right, middle),
        xytext=(right - (COLUMN - CARD_WIDTH), middle),
        arrowprops={"arrowstyle": "-|>", "color": "#555555", "linewidth": 1.6},
    )


def _alt() -> str:
    told = []
    for line, (stage, _, notebooks) in enumerate(STAGES):
        cards = "; ".join(
            f"{4 * line + column:02} {title}: {idea}"
            for column, (title, idea) in enumerate(notebooks)
        )
        told.append(f"{stage}: {cards}.")
    return "Map of the course, three lines of four notebooks. " + " ".join(told)
