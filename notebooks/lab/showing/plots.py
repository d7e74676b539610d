"""What the designs leave behind, and what is at risk while a trip is under way."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import MultipleLocator

from lab.showing.history import in_words
from lab.showing.picture import BLUE, GREEN, GREY, INK, RED, Picture, canvas
from lab.showing.scoreboards import Cell, Row, Scoreboard

FEWEST = 5
"""Columns that there is room for at least, so that one cell alone is not a wall."""

ROW = 0.62
"""Inches a row of the scoreboard is high."""


def scoreboard(board: Scoreboard) -> Picture:
    """Designs and kinds of fault: of how many trips the audit found something left.

    The darker a cell, the larger the share. What the board got last is framed: the new
    row, and in it what is not as in the row above; or the new column.
    """
    columns = len(board.kinds)
    height = 1.85 + ROW * max(len(board.rows), 1)
    with canvas(height, width=2.3 + 0.94 * max(columns, FEWEST)) as (figure, axes):
        for y, row in enumerate(board.rows):
            if _all_clean(row):
                _draw_band(axes, y, columns, GREEN)
            elif row.design == board.fresh:
                _draw_band(axes, y, columns, BLUE)
            for x, kind in enumerate(board.kinds):
                _draw_cell(axes, x, y, row.cells.get(kind))
                if board.is_fresh(row, kind):
                    _draw_frame(axes, x, y)
        _draw_board_labels(figure, axes, board)
    return Picture(figure, _board_alt(board))


def _all_clean(row: Row) -> bool:
    return bool(row.cells) and all(cell.clean for cell in row.cells.values())


def _draw_band(axes: Axes, y: int, columns: int, colour: str) -> None:
    box = FancyBboxPatch(
        (-0.49, y - 0.46),
        columns - 0.02,
        0.92,
        boxstyle="round,pad=0,rounding_size=0.1",
        facecolor=colour + "16",
        edgecolor=colour,
        linewidth=2,
    )
    axes.add_patch(box)


def _draw_cell(axes: Axes, x: int, y: int, cell: Cell | None) -> None:
    if cell is None or cell.clean:
        text, colour = ("–", GREY) if cell is None else ("0", GREEN)
        axes.text(x, y, text, ha="center", va="center", color=colour, fontsize=13)
        return
    # The larger the share, the darker. Black letters can be read on the darkest of them too.
    box = FancyBboxPatch(
        (x - 0.44, y - 0.39),
        0.88,
        0.78,
        boxstyle="round,pad=0,rounding_size=0.08",
        facecolor=RED,
        alpha=0.15 + 0.75 * cell.share,
        linewidth=0,
    )
    axes.add_patch(box)
    axes.text(
        x,
        y,
        str(cell).replace(", ", "\n"),
        ha="center",
        va="center",
        color="black",
        fontsize=12,
        fontweight="bold",
        linespacing=1.25,
    )


def _draw_frame(axes: Axes, x: int, y: int) -> None:
    box = FancyBboxPatch(
        (x - 0.44, y - 0.39),
        0.88,
        0.78,
        boxstyle="round,pad=0,rounding_size=0.08",
        facecolor="none",
        edgecolor=INK,
        linewidth=2.2,
    )
    axes.add_patch(box)


def _draw_board_labels(figure: Figure, axes: Axes, board: Scoreboard) -> None:
    rows, kinds = board.rows, board.kinds
    axes.set_xlim(-0.55, max(len(kinds), FEWEST) - 0.45)
    axes.set_ylim(max(len(rows), 1) - 0.45, -0.55)
    axes.xaxis.tick_top()
    wrapped = [textwrap.fill(kind, 9, break_long_words=False) for kind in kinds]
    axes.set_xticks(range(len(kinds)), wrapped, fontsize=_size_that_fits(wrapped))
    axes.set_yticks(range(len(rows)), [_in_lines(row.design) for row in rows], fontsize=12)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row.design == board.fresh or _all_clean(row) else "normal")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.suptitle(board.title, x=0.01, ha="left", fontweight="bold", fontsize=14)
    figure.supxlabel(_board_key(board), x=0.01, ha="left", fontsize=11)


def _in_lines(design: str, letters: int = 20) -> str:
    """The name in lines of so many letters; that of a class breaks before a capital."""
    if len(design) <= letters or " " in design:
        return textwrap.fill(design, letters)
    return textwrap.fill(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", design), letters).replace(" ", "")


def _size_that_fits(labels: Sequence[str]) -> float:
    """Of the widest line, in a column for nine letters."""
    letters = max((len(line) for label in labels for line in label.splitlines()), default=0)
    return 12 if letters <= 9 else 12 * 8 / letters


def _board_key(board: Scoreboard) -> str:
    told = "Darker: a larger share."
    cells = [cell for row in board.rows for cell in row.cells.values()]
    if any(cell.money_kept_cents for cell in cells):
        told += " Dollars: customers' money kept."
    if len(cells) < len(board.rows) * len(board.kinds):
        told += " –: not tried."
    if not any(board.is_fresh(row, kind) for row in board.rows for kind in board.kinds):
        return told
    framed = "new" if board.fresh in board.kinds else "not as in the row above"
    return f"{told}\nFramed in black: {framed}."


def _board_alt(board: Scoreboard) -> str:
    if not board.rows:
        return "Scoreboard without a design yet."
    told = [
        f"{row.design}: " + ", ".join(f"{kind} {cell}" for kind, cell in row.cells.items())
        for row in board.rows
    ]
    return f"Scoreboard, {board.things} that left something of those tried. {'; '.join(told)}."


def money_at_risk(points: Sequence[tuple[float, int]]) -> Picture:
    """Money charged or held for trips that do not stand (yet), over time.

    ``points`` are (seconds, cents), each in force until the next.
    """
    points = sorted(points) or [(0.0, 0)]
    seconds, dollars = [point[0] for point in points], [point[1] / 100 for point in points]
    peak = max(dollars)
    with canvas(3.6) as (figure, axes):
        axes.step(seconds, dollars, where="post", color=RED, linewidth=2.5)
        axes.fill_between(seconds, dollars, step="post", color=RED, alpha=0.2, linewidth=0)
        _draw_peak(axes, seconds[dollars.index(peak)], peak)
        axes.set_ylim(0, peak * 1.3 or 1)
        axes.margins(x=0.02)
        axes.yaxis.set_major_formatter(lambda value, _: f"${value:,.0f}")
        axes.xaxis.set_major_formatter(lambda value, _: in_words(max(value, 0)))
        axes.xaxis.set_major_locator(MultipleLocator(_step(seconds[-1])))
        axes.locator_params(axis="y", nbins=4)
        axes.set_xlabel("time since the start")
        figure.suptitle(_risk_title(dollars), x=0.01, ha="left", fontweight="bold", fontsize=14)
    return Picture(figure, f"Money at risk over time. {_risk_title(dollars)}")


def _draw_peak(axes: Axes, second: float, peak: float) -> None:
    if not peak:
        return
    axes.plot([second], [peak], "o", color=RED, markersize=9)
    axes.annotate(
        f"peak: ${peak:,.0f}",
        (second, peak),
        xytext=(6, 8),
        textcoords="offset points",
        fontweight="bold",
        color=INK,
    )


def _step(seconds: float) -> float:
    """A round number of seconds, minutes, hours or days, six or so of them in all."""
    rounds = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400]
    if seconds <= 1:
        return 0.01 if seconds < 0.08 else 0.05 if seconds < 0.4 else 0.2
    return next(
        (size for size in rounds if seconds / size <= 8), math.ceil(seconds / 604800) * 86400
    )


def _risk_title(dollars: Sequence[float]) -> str:
    if not any(dollars):
        return "No money was ever at risk"
    last = f"${dollars[-1]:,.0f} at the end" if dollars[-1] else "nothing at the end"
    return f"Money at risk: ${max(dollars):,.0f} at the peak, {last}"
