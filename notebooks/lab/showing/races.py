"""Several trips on one scale of time, one above the other."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes

from lab.showing.history import History, Step
from lab.showing.picture import BLUE, GREEN, INK, PURPLE, Picture, canvas

LANE = 0.34
"""Inches a lane is high."""

LOOKS = {"step": (GREEN, ""), "undo": (BLUE, "//"), "email": (PURPLE, "")}
"""Colour and hatching of a bar."""


def race(trips: Mapping[str, History]) -> Picture:
    """When each Activity of each trip began and ended, in seconds from its trip's start."""
    lanes = sum(len(history.steps) for history in trips.values())
    with canvas(1.3 + LANE * (lanes + 1.6 * len(trips))) as (figure, axes):
        names: dict[float, str] = {}
        place = 0.0
        for title, history in trips.items():
            _draw_title(axes, place, title, history)
            for number, step in enumerate(history.steps, start=1):
                _draw_step(axes, place + number, step, history.seconds)
                names[place + number] = step.activity
            place += len(history.steps) + 1.6
        axes.set_ylim(place - 0.8, -0.8)
        axes.set_xlim(left=0)
        axes.set_yticks(list(names), list(names.values()))
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("seconds since the start of the trip")
        axes.spines["left"].set_visible(False)
    return Picture(figure, _alt(trips))


def _draw_title(axes: Axes, place: float, title: str, history: History) -> None:
    axes.annotate(title, (0, place), va="center", fontweight="bold", color=INK)
    bottom = place + len(history.steps) + 0.5
    axes.plot([history.seconds] * 2, [place + 0.5, bottom], color=INK, linewidth=2.5)
    axes.annotate(
        f" {history.seconds:.1f} s",
        (history.seconds, (place + bottom) / 2),
        va="center",
        fontweight="bold",
        annotation_clip=False,
    )


def _draw_step(axes: Axes, place: float, step: Step, end: float) -> None:
    colour, hatch = LOOKS.get(step.role, LOOKS["step"])
    closed = end if step.closed is None else step.closed
    axes.barh(
        place,
        max(closed - step.scheduled, 0.01),
        left=step.scheduled,
        height=0.62,
        color=colour + "66",
        edgecolor=colour,
        hatch=hatch,
        linewidth=1.4,
    )


def _alt(trips: Mapping[str, History]) -> str:
    told = ". ".join(
        f"{title}: {', '.join(step.activity for step in history.steps)}"
        for title, history in trips.items()
    )
    return f"Bars on one scale of time, a lane an Activity. {told}."
