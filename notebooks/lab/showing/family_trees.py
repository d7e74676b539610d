"""Where the designs come from: each changes one thing in another."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from lab.showing.picture import GREEN, GREY, INK, RED, Picture, canvas


@dataclass(frozen=True)
class Design:
    """A design, the one that it changes, and the notebook that tries it.

    ``main`` ones lead on to the saga; the others are ways to get it wrong.
    """

    name: str
    notebook: int
    change: str
    parent: str = ""
    main: bool = False
    holds: bool = False


DESIGNS = (
    Design("script", 1, "try and except", main=True),
    Design("script with rollback", 1, "undoes, from memory", "script", main=True),
    Design("WithoutCompensation", 2, "durable, undoes nothing", "script with rollback", main=True),
    Design(
        "UndoWhatSucceeded", 3, "a variable a step, if hotel: …", "WithoutCompensation", main=True
    ),
    Design("UndoEverything", 3, "no state", "UndoWhatSucceeded"),
    Design("UndoNotAwaited", 3, "starts its undos, awaits none", "UndoWhatSucceeded"),
    Design("RequestNotStored", 3, "writes nothing down first", "UndoWhatSucceeded"),
    Design("RetryThenUndo", 5, "three attempts a step", "UndoWhatSucceeded", main=True),
    Design("EmailInTheSaga", 3, "undoes a paid trip for an email", "RetryThenUndo"),
    Design("ForwardOrder", 3, "the same, oldest first", "RetryThenUndo"),
    Design("OneShield", 6, "one bare asyncio.shield", "RetryThenUndo"),
    Design("UndoRegisteredLate", 6, "survives cancels; list of undos", "RetryThenUndo", main=True),
    Design("ExceptException", 7, "except Exception, plain await", "UndoRegisteredLate"),
    Design("BookTrip", 7, "undo registered first", "UndoRegisteredLate", main=True, holds=True),
    Design("CrashUnnoticed", 9, "no limit for one attempt", "BookTrip"),
    Design("CoolingOff", 10, "a change under running trips", "BookTrip"),
    Design("SiblingsLost", 11, "in parallel, nobody settles", "BookTrip"),
    Design("BookInParallel", 11, "in parallel, settled", "BookTrip", main=True, holds=True),
)

WIDTH, HEIGHT = 2.5, 0.78
COLUMN, LINE = 2.72, 1.0


def designs_so_far(notebook: int) -> Picture:
    """The designs down to the saga, with what goes wrong beside each; later ones are pale."""
    spine = [design for design in DESIGNS if design.main]
    with canvas(0.62 * (len(spine) * LINE + 0.6), width=11) as (figure, axes):
        for line, design in enumerate(spine):
            _draw_design(axes, 0, line, design, notebook)
            if line:
                _draw_arrow(axes, line)
            wrong = [other for other in DESIGNS if not other.main and other.parent == design.name]
            if wrong:
                _draw_links(axes, line, len(wrong))
            for column, other in enumerate(wrong, start=1):
                _draw_design(axes, column, line, other, notebook)
        axes.set_xlim(-0.05, 3 * COLUMN + WIDTH + 0.05)
        axes.set_ylim((len(spine) - 1) * LINE + HEIGHT + 0.05, -0.1)
        axes.axis("off")
        title = "Down: the way to the saga. To the right: one thing done wrong"
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=14)
    return Picture(figure, _alt(notebook))


def _draw_design(axes: Axes, column: int, line: int, design: Design, notebook: int) -> None:
    met = design.notebook <= notebook
    colour = GREEN if design.holds else RED
    left, top = column * COLUMN, line * LINE
    box = FancyBboxPatch(
        (left, top),
        WIDTH,
        HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.1",
        facecolor=colour + ("22" if met else "00"),
        edgecolor=colour if met else GREY,
        linewidth=2.2 if design.main else 1.2,
        linestyle="solid" if met else (0, (3, 2)),
    )
    axes.add_patch(box)
    ink = INK if met else "#5A5A5A"
    axes.text(
        left + 0.1, top + 0.22, design.name, fontsize=11, fontweight="bold", va="center", color=ink
    )
    number = f"{design.notebook:02}"
    axes.text(
        left + WIDTH - 0.1, top + 0.22, number, fontsize=11, va="center", ha="right", color=ink
    )
    words = textwrap.shorten(design.change, 40, placeholder="…")
    axes.text(left + 0.1, top + 0.56, words, fontsize=10.5, va="center", color=ink)


def _draw_arrow(axes: Axes, line: int) -> None:
    axes.annotate(
        "",
        (WIDTH / 2, line * LINE),
        xytext=(WIDTH / 2, line * LINE - (LINE - HEIGHT)),
        arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 1.6},
    )


def _draw_links(axes: Axes, line: int, columns: int) -> None:
    """From a design to each that gets one thing wrong in it: over their heads, then down."""
    top, turn = line * LINE, WIDTH + 0.11
    over = top - 0.11
    far = columns * COLUMN + WIDTH / 2
    axes.plot(
        [WIDTH, turn, turn, far], [top + HEIGHT / 2] * 2 + [over] * 2, color=RED, linewidth=1.3
    )
    for column in range(1, columns + 1):
        middle = column * COLUMN + WIDTH / 2
        axes.plot([middle] * 2, [over, top], color=RED, linewidth=1.3)


def _alt(notebook: int) -> str:
    told = [
        f"{design.name} ({design.notebook:02}, {_of(design)}{design.change})"
        for design in DESIGNS
        if design.notebook <= notebook
    ]
    later = [design.name for design in DESIGNS if design.notebook > notebook]
    coming = f" Still to come: {', '.join(later)}." if later else ""
    return f"Family tree of the designs. So far: {'; '.join(told)}.{coming}"


def _of(design: Design) -> str:
    return f"from {design.parent}: " if design.parent else ""
