"""A saga as it was recorded: a lane an Activity, time from left to right."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.showing.history import RUNNING, History, Step, in_words
from lab.showing.picture import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    RED,
    Picture,
    canvas,
    shortened,
)

LANE = 0.44
"""Inches a lane is high."""

MOST_LANES = 30

MOST_ATTEMPTS = 6
"""Attempts that are drawn one by one."""

LAST_ATTEMPT = 0.22
"""The least width of the attempt that decided, if others went before it."""

LETTER = 0.09
"""The width that a letter inside a bar needs."""

TITLE_WIDTH = 88
"""Letters in a line of the title."""

HEADER = -0.8
"""Where the words above the first lane stand, counted in lanes."""

SHORTEST = 0.8
"""The least width of a stretch of time in which an Activity ran."""


@dataclass(frozen=True)
class Look:
    """How a turn is drawn: marker and hatching say it as well as the colour does."""

    colour: str
    marker: str
    hatch: str
    word: str


LOOKS = {
    "done": Look(GREEN, "check", "", "done"),
    "failed": Look(RED, "X", "xx", "failed"),
    "undone": Look(BLUE, "<", "//", "undone"),
    "stuck": Look(ORANGE, "X", "..", "undo failed, waits, comes again"),
    "email": Look(PURPLE, "check", "", "sent"),
    "canceled": Look(GREY, "X", "--", "canceled"),
    RUNNING: Look(GREY, ">", "", "running"),
}


@dataclass(frozen=True)
class Lane:
    """All turns of one Activity."""

    activity: str
    role: str
    turns: list[Step]

    @property
    def last(self) -> Step:
        """The turn that decided."""
        return self.turns[-1]

    @property
    def attempts(self) -> int:
        """Attempts of all turns."""
        return sum(turn.attempts for turn in self.turns)


def timeline(history: History) -> Picture:
    """The saga from its Event History; the longer a gap, the more it is compressed."""
    lanes = _lanes(history)
    axis = _Axis(history, lanes)
    with canvas(_height(history, lanes)) as (figure, axes):
        _draw_compensation(axes, axis, history)
        for number, lane in enumerate(lanes):
            _draw_lane(axes, axis, number, lane)
        _draw_cancels(axes, axis, history, bottom=len(lanes) - 0.4)
        _finish(figure, axes, axis, history, lanes)
    return Picture(figure, _alt(history, lanes))


def _lanes(history: History) -> list[Lane]:
    """A lane for each Activity in the order of their first turns."""
    names = list(dict.fromkeys(step.activity for step in history.steps))
    lanes = []
    for name in names:
        turns = [step for step in history.steps if step.activity == name]
        lanes.append(Lane(name, turns[0].role, turns))
    return lanes[:MOST_LANES]


class _Axis:
    """Maps seconds to the picture: gaps shrink to their logarithm, none disappears."""

    def __init__(self, history: History, lanes: Sequence[Lane]) -> None:
        self.end = max([history.seconds, *history.cancel_requested])
        spans = [(lane.turns[0].scheduled, _closed(lane.last, self.end)) for lane in lanes]
        moments = {0.0, self.end, *history.cancel_requested}
        self.moments = sorted(moments.union(*spans) if spans else moments)
        self._places = [0.0]
        for begin, end in zip(self.moments, self.moments[1:], strict=False):
            busy = any(first <= begin and end <= last for first, last in spans)
            self._places.append(self._places[-1] + _width(end - begin, busy))

    @property
    def length(self) -> float:
        return self._places[-1] or 1.0

    def place(self, seconds: float) -> float:
        """Exact at the moments, in proportion between them."""
        for index, end in enumerate(self.moments[1:], start=1):
            if seconds <= end:
                begin = self.moments[index - 1]
                share = (seconds - begin) / (end - begin)
                width = self._places[index] - self._places[index - 1]
                return self._places[index - 1] + share * width
        return self._places[-1]

    def ticks(self) -> list[float]:
        """Begin and end, and between them the ends of the longest waits, where there is room."""
        room = self.length / 6
        gaps = sorted(
            zip(self.moments, self.moments[1:], strict=False),
            key=lambda gap: gap[0] - gap[1],
        )
        chosen = [0.0, self.end]
        for _, moment in gaps:
            far = all(abs(self.place(moment) - self.place(other)) > room for other in chosen)
            if far and in_words(moment) not in map(in_words, chosen):
                chosen.append(moment)
        return sorted(set(chosen))


def _width(seconds: float, busy: bool) -> float:
    return (SHORTEST if busy else 0.12) + math.log10(1 + seconds / 0.2)


def _closed(step: Step, end: float) -> float:
    return end if step.closed is None else step.closed


def _look(step: Step) -> Look:
    if step.outcome == "canceled":
        return LOOKS["canceled"]
    if step.outcome == RUNNING:
        return LOOKS[RUNNING]
    if step.outcome == "completed":
        return LOOKS[{"undo": "undone", "email": "email"}.get(step.role, "done")]
    return LOOKS["stuck" if step.role == "undo" else "failed"]


def _draw_lane(axes: Axes, axis: _Axis, number: int, lane: Lane) -> None:
    first, look = lane.turns[0], _look(lane.last)
    begin = axis.place(first.scheduled)
    end = axis.place(_closed(lane.last, axis.end))
    if len(lane.turns) > 1:
        # Turns that failed, then the one that counts.
        split = max(begin, min(axis.place(lane.last.scheduled), end - 0.3))
        _draw_bar(axes, number, begin, split, LOOKS["stuck"])
        _write_in_bar(axes, number, begin, split, "fails, waits, comes again")
        begin = split
    if 1 < lane.last.attempts <= MOST_ATTEMPTS and lane.last.earlier:
        begin = _draw_attempts(axes, axis, number, lane.last)
    _draw_bar(axes, number, begin, end, look)
    _draw_marker(axes, number, end, look)
    axes.annotate(
        _label(lane),
        (1.02, number),
        xycoords=axes.get_yaxis_transform(),
        va="center",
        color=look.colour if look.colour not in (ORANGE, GREY) else INK,
        annotation_clip=False,
    )


def _draw_attempts(axes: Axes, axis: _Axis, number: int, step: Step) -> float:
    """Each attempt that failed, and a line for the pause after it; where the last one begins."""
    last = axis.place(step.started if step.started is not None else step.scheduled)
    first = axis.place(step.scheduled)
    axes.plot([first, last], [number, number], color=GREY, linewidth=1.6, linestyle=(0, (1, 1.5)))
    for begin, end in step.earlier:
        left, right = axis.place(begin), axis.place(end)
        # As wide as its cross at least, but not into the next one.
        right = max(right, left + min(0.1, (last - first) / (2 * len(step.earlier))))
        _draw_bar(axes, number, left, right, LOOKS["failed"])
        _write_in_bar(axes, number, left, right, in_words(end - begin))
        axes.scatter([right], [number], s=55, marker="X", color=RED, zorder=3, linewidth=0)
    return min(last, axis.place(_closed(step, axis.end)) - LAST_ATTEMPT)


def _write_in_bar(axes: Axes, number: int, left: float, right: float, words: str) -> None:
    if right - left < LETTER * len(words):
        return
    axes.text(
        (left + right) / 2,
        number,
        words,
        ha="center",
        va="center",
        fontsize=10,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.9},
    )


def _draw_bar(axes: Axes, number: int, begin: float, end: float, look: Look) -> None:
    axes.barh(
        number,
        end - begin,
        left=begin,
        height=0.5,
        color=look.colour + "55",
        edgecolor=look.colour,
        hatch=look.hatch,
        linewidth=1.4,
    )


def _draw_marker(axes: Axes, number: int, x: float, look: Look) -> None:
    axes.scatter(
        [x],
        [number],
        s=190,
        marker="o" if look.marker == "check" else look.marker,
        color=look.colour,
        edgecolor="white",
        linewidth=1,
        zorder=3,
        clip_on=False,
    )
    if look.marker == "check":
        axes.annotate(
            "✓",
            (x, number),
            ha="center",
            va="center_baseline",
            color="white",
            fontsize=11,
            fontweight="bold",
            zorder=4,
        )


def _label(lane: Lane) -> str:
    """What became of it, in words."""
    look, last = _look(lane.last), lane.last
    parts = [look.word]
    if len(lane.turns) > 1:
        parts.append(f"{len(lane.turns)} turns")
    # How far an Activity came that nobody waits for is chance.
    if lane.attempts > 1 and last.outcome not in ("canceled", RUNNING):
        first = f" (first: {_kind(last.earlier_failure)})" if lane.attempts == 2 else ""
        parts.append(f"{lane.attempts} attempts{first if last.earlier_failure else ''}")
    if last.failure and last.outcome != "canceled":
        parts[0] += f" ({_kind(last.failure)})"
    return ", ".join(parts)


def _kind(failure: str) -> str:
    kinds = {"Rejected": "rejected", "Unavailable": "no answer", "Timeout": "timeout"}
    return kinds.get(failure, failure)


def _draw_compensation(axes: Axes, axis: _Axis, history: History) -> None:
    """A pale background from the first undo to the end."""
    undos = [step.scheduled for step in history.steps if step.role == "undo"]
    if not undos:
        return
    begin = axis.place(min(undos)) - 0.06
    axes.axvspan(begin, axis.length, color=BLUE, alpha=0.07, linewidth=0)
    # Above the words of a cancel request, whose line it would stand in.
    height = 2 * HEADER if history.cancel_requested else HEADER
    axes.annotate("undoing", (begin + 0.1, height), color=BLUE, fontweight="bold", va="center")


def _draw_cancels(axes: Axes, axis: _Axis, history: History, bottom: float) -> None:
    for index, moment in enumerate(history.cancel_requested):
        place = axis.place(moment)
        dashes = (0, (4, 2))
        axes.plot([place] * 2, [HEADER, bottom], color=INK, linestyle=dashes, linewidth=1.8)
        if index == 0:
            count = len(history.cancel_requested)
            text = "cancel requested" + (f" ({count}×)" if count > 1 else "")
            axes.annotate(
                text,
                (place, HEADER),
                ha=_side(place / axis.length),
                va="center",
                fontweight="bold",
                bbox={"facecolor": "white", "edgecolor": INK, "boxstyle": "round,pad=0.25"},
                annotation_clip=False,
            )


def _side(share: float) -> str:
    """Where words stand at a point this far from left to right, so that they stay inside."""
    return "left" if share < 0.12 else "right" if share > 0.88 else "center"


def _finish(
    figure: Figure, axes: Axes, axis: _Axis, history: History, lanes: Sequence[Lane]
) -> None:
    axes.axvline(axis.length, color=_end_colour(history), linewidth=3)
    axes.annotate(
        history.status,
        (1.02, HEADER),
        xycoords=axes.get_yaxis_transform(),
        va="center",
        color=_end_colour(history),
        fontweight="bold",
        annotation_clip=False,
    )
    axes.set_xlim(-0.015 * axis.length, axis.length)
    axes.set_ylim(max(len(lanes), 1) - 0.4, _top(history))
    axes.set_yticks(range(len(lanes)), [lane.activity for lane in lanes])
    axes.tick_params(axis="y", length=0)
    ticks = axis.ticks()
    axes.set_xticks([axis.place(tick) for tick in ticks], [in_words(tick) for tick in ticks])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(
        "time since the start, not to scale: the longer, the more compressed", fontsize=11
    )
    figure.suptitle(
        "\n".join(_title(history)),
        x=0.01,
        ha="left",
        color=_end_colour(history),
        fontweight="bold",
        fontsize=14,
    )


def _top(history: History) -> float:
    """Room above the lanes: for one line of words, for two with a cancel request."""
    return (2.5 if history.cancel_requested else 1.6) * HEADER


def _height(history: History, lanes: Sequence[Lane]) -> float:
    title = 0.25 * (len(_title(history)) - 1)
    return 1.2 + title + LANE * (max(len(lanes), 1) - 0.5 - _top(history))


def _end_colour(history: History) -> str:
    return {"completed": GREEN, RUNNING: GREY}.get(history.status, RED)


def _title(history: History) -> list[str]:
    """How it ended, in two lines at most."""
    return textwrap.wrap(shortened(_end_words(history), 2 * TITLE_WIDTH - 10), TITLE_WIDTH)


def _end_words(history: History) -> str:
    told = history.reason and not history.reason.startswith("Workflow ")
    return f"{history.workflow_type} {history.status}" + (f": {history.reason}" if told else "")


def _alt(history: History, lanes: Iterable[Lane]) -> str:
    told = "; ".join(f"{lane.activity} {_label(lane)}" for lane in lanes)
    cancels = len(history.cancel_requested)
    requests = f" Cancel requests: {cancels}." if cancels else ""
    return f"Timeline of {history.workflow_id}. {told or 'No Activity ran'}.{requests} " + (
        f"In the end: {_end_words(history).rstrip('.')}."
    )
