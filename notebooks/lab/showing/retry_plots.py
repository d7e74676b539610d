"""How many attempts a step needs, drawn: success of a trip against the rate of blips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab.showing.picture import BLUE, GREEN, INK, ORANGE, PURPLE, Picture, canvas

COLOURS = {1: ORANGE, 2: PURPLE, 3: BLUE, 5: GREEN}
MARKERS = {1: "o", 2: "^", 3: "s", 5: "D"}


def expected(rate: float, attempts: int, steps: int = 4) -> float:
    """The chance of a trip whose every step may have so many attempts."""
    return float((1 - rate**attempts) ** steps)


def success_against_blips(
    observed: Mapping[int, Sequence[tuple[float, float]]], steps: int = 4
) -> Picture:
    """Curves are expected, marks are observed; both by the attempts a step has.

    ``observed`` maps attempts to pairs of (rate of blips, share of trips booked).
    """
    rates = [n / 100 for n in range(81)]
    with canvas(4.6) as (figure, axes):
        for attempts, points in observed.items():
            colour = COLOURS.get(attempts, INK)
            chances = [expected(rate, attempts, steps) for rate in rates]
            axes.plot(rates, chances, color=colour, linewidth=2.2)
            axes.scatter(
                *zip(*points, strict=True),
                s=70,
                color=colour,
                marker=MARKERS.get(attempts, "o"),
                edgecolor="white",
                zorder=3,
            )
            # Between two curves there is room for a figure alone.
            alone = attempts not in (min(observed), max(observed))
            words = f"{attempts}" if alone else f"{attempts} attempt{'s' * (attempts > 1)}"
            axes.annotate(
                words,
                _label_place(rates, chances),
                xytext=(10, 2),
                textcoords="offset points",
                color=colour,
                fontweight="bold",
                va="center",
                annotation_clip=False,
            )
        axes.set_xlim(0, 0.8)
        axes.set_ylim(0, 1.03)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.set_xlabel("chance that an attempt fails")
        axes.set_ylabel("trips booked")
        title = "Retries turn a bad provider into a good trip"
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=14)
    return Picture(figure, _alt(observed, steps))


def _label_place(rates: Sequence[float], chances: Sequence[float]) -> tuple[float, float]:
    """Half-way down, where the curves are far apart."""
    return next(place for place in zip(rates, chances, strict=True) if place[1] < 0.65)


def _alt(observed: Mapping[int, Sequence[tuple[float, float]]], steps: int) -> str:
    told = [
        f"{attempts} attempt{'' if attempts == 1 else 's'}: "
        + ", ".join(
            f"{rate:.0%} blips {share:.0%} booked ({expected(rate, attempts, steps):.0%} expected)"
            for rate, share in points
        )
        for attempts, points in observed.items()
    ]
    return f"Share of trips booked against the rate of blips. {'; '.join(told)}."
