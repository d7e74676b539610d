"""Two drawings on the board: who talks to whom, and a reply that gets lost."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from lab.showing.picture import BLUE, GREEN, INK, ORANGE, PURPLE, RED, Picture, canvas

Place = tuple[float, float]


def system_sketch() -> Picture:
    """Client, server with its Task Queue and Event History, Workers, providers."""
    with canvas(4.4, width=11) as (figure, axes):
        _box(axes, (0, 1.35), (1.8, 1.3), "Client", "your website, or\nthis notebook", PURPLE)
        _box(axes, (3.3, 0), (3.1, 4), "Temporal server", "", BLUE)
        _box(axes, (3.55, 0.8), (2.6, 1.2), "Task Queue", "what is to be done", BLUE)
        _box(axes, (3.55, 2.4), (2.6, 1.2), "Event History", "what was done", BLUE)
        _box(axes, (8.1, 0.35), (2.4, 1.3), "Worker", "Workflow + Activities\n(your code)", GREEN)
        _box(axes, (8.1, 2.35), (2.4, 1.3), "Worker", "the same code,\nanother process", GREEN)
        _box(
            axes,
            (11.9, 0.9),
            (1.9, 2.2),
            "Providers",
            "airline, hotel,\ncar rental,\npayment",
            ORANGE,
        )
        _arrow(axes, (1.8, 2.0), (3.3, 2.0), "start")
        _arrow(axes, (8.1, 1.0), (6.4, 1.4), "fetch a task")
        _arrow(axes, (8.1, 2.9), (6.4, 2.8), "report results")
        _arrow(axes, (10.5, 1.2), (11.9, 1.5), "call")
        _arrow(axes, (10.5, 2.8), (11.9, 2.5), "call")
        _bare(axes, (-0.05, 13.85), (4.1, -0.15))
        title = (
            "The server keeps the record and never runs your code; Workers come and ask for work"
        )
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=14)
    return Picture(
        figure,
        "Sketch of the system. A client starts a Workflow on the Temporal server, which holds a "
        "Task Queue and the Event History. Two Workers with your code fetch tasks from the queue, "
        "report results to the server, and call the providers: airline, hotel, rental, payment.",
    )


def lost_reply() -> Picture:
    """Three calls that look alike to the caller, or nearly: refused, not reached, done."""
    with canvas(4.6, width=11) as (figure, axes):
        for column, (head, colour) in enumerate(
            (("rejected", GREEN), ("never arrived", ORANGE), ("reply lost", RED))
        ):
            left = column * 4.6
            axes.text(
                left + 1.6, -0.75, head, ha="center", fontsize=13, fontweight="bold", color=colour
            )
            _lifeline(axes, left, "Worker")
            _lifeline(axes, left + 3.2, "hotel")
        _arrow(axes, (0, 0.6), (3.2, 0.9), "book")
        _note(axes, 3.2, 1.4, "no room left", GREEN)
        _arrow(axes, (3.2, 1.9), (0, 2.2), "no")
        _arrow(axes, (4.6, 0.6), (6.2, 0.75), "book")
        _cross(axes, (6.3, 0.76))
        _arrow(axes, (9.2, 0.6), (12.4, 0.9), "book")
        _note(axes, 12.4, 1.4, "room taken", RED)
        _arrow(axes, (12.4, 1.9), (10.9, 2.04), "yes")
        _cross(axes, (10.8, 2.05))
        for left, words in (
            (0.0, "knows: not done.\nNothing to undo."),
            (4.6, "hears nothing.\nDone, or not?"),
            (9.2, "hears nothing.\nDone, or not?"),
        ):
            axes.text(left - 0.1, 3.45, words, va="center", fontsize=12, color=INK)
        _bare(axes, (-0.7, 13.4), (3.9, -1.0))
        title = "No answer is not a no: the second and the third look the same to the Worker"
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=14)
    return Picture(
        figure,
        "Three calls of a Worker to a hotel. Rejected: the hotel has no room and says no, so "
        "nothing is to be undone. Never arrived: the call is lost on its way, the Worker hears "
        "nothing. Reply lost: the hotel takes the room, its yes is lost, the Worker hears nothing. "
        "The last two look the same to the Worker.",
    )


def _box(axes: Axes, corner: Place, size: Place, head: str, words: str, colour: str) -> None:
    box = FancyBboxPatch(
        corner,
        *size,
        boxstyle="round,pad=0,rounding_size=0.12",
        facecolor=colour + "18",
        edgecolor=colour,
        linewidth=2,
    )
    axes.add_patch(box)
    middle = corner[0] + size[0] / 2
    axes.text(
        middle, corner[1] + 0.3, head, ha="center", va="center", fontweight="bold", fontsize=13
    )
    axes.text(middle, corner[1] + (size[1] + 0.5) / 2, words, ha="center", va="center", fontsize=11)


def _arrow(axes: Axes, begin: Place, end: Place, words: str) -> None:
    arrow = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.8, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, xytext=begin, arrowprops=arrow)
    middle = ((begin[0] + end[0]) / 2, (begin[1] + end[1]) / 2 - 0.22)
    axes.text(*middle, words, ha="center", va="center", fontsize=11)


def _lifeline(axes: Axes, x: float, head: str) -> None:
    axes.plot([x, x], [0.15, 3.0], color=INK, linewidth=1.2)
    axes.text(x, -0.1, head, ha="center", va="center", fontsize=12)


def _note(axes: Axes, x: float, y: float, words: str, colour: str) -> None:
    box = {"facecolor": "white", "edgecolor": colour, "boxstyle": "round,pad=0.3", "linewidth": 1.8}
    axes.text(x, y, words, ha="center", va="center", fontsize=11, bbox=box)


def _cross(axes: Axes, place: Place) -> None:
    axes.scatter(*place, s=150, marker="X", color=RED, zorder=4)


def _bare(axes: Axes, across: Place, down: Place) -> None:
    axes.set_xlim(*across)
    axes.set_ylim(*down)
    axes.axis("off")
