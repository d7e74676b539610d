"""Many trips at once: which failure reached which compensations, and luck."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from lab.showing.history import History
from lab.showing.picture import BLUE, GREEN, GREY, INK, ORANGE, PALE, RED, SKY, Picture, canvas

UNDOS = ["refund_payment", "cancel_car", "cancel_hotel", "cancel_flight"]
"""In the order in which a saga runs them."""

PROVIDERS = {
    "book_flight": "flight",
    "book_hotel": "hotel",
    "book_car": "car",
    "accept_payment": "payment",
}

BOOKED = "booked"

PROMISED = (15, 18)
"""What the exercise says that this course grew from."""

Group = tuple[str, tuple[str, ...]]
"""Kind of ending, and the compensations that ran."""


def outcomes(histories: Iterable[History]) -> Picture:
    """How the trips ended, and which compensations each kind of failure set off."""
    counts = Counter((ending(history), tuple(history.compensations)) for history in histories)
    groups = sorted(counts, key=_rank)
    undos = [*UNDOS, *sorted({name for _, names in groups for name in names} - set(UNDOS))]
    with canvas(1.1 + 0.5 * max(len(groups), 1), width=11) as (figure, axes):
        scale = 2.0 / max(counts.values(), default=1)
        for y, group in enumerate(groups):
            _draw_group(axes, y, group, counts[group] * scale, counts[group], undos)
        _label_groups(axes, groups, undos)
        total = counts.total()
        title = f"{total} trips: the later the failure, the more there is to undo"
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=14)
    return Picture(figure, _outcomes_alt(groups, counts))


def ending(history: History) -> str:
    """``"booked"``, ``"hotel rejected"``, ``"car outage"``, ``"payment declined"``, …

    A trip that did not fail is called by its status: ``"canceled"``, ``"terminated"``, …
    """
    if history.status == "completed":
        return BOOKED
    failed = history.failed_step
    if failed is None or history.status != "failed":
        return history.status
    provider = PROVIDERS.get(failed.activity, failed.activity)
    if failed.failure != "Rejected":
        return f"{provider} outage"
    return "payment declined" if provider == "payment" else f"{provider} rejected"


def _rank(group: Group) -> tuple[int, int, str, tuple[str, ...]]:
    """Booked first, then the earlier the failure the higher, rejections before outages."""
    kind, undone = group
    if kind == BOOKED:
        return (-1, 0, kind, undone)
    stage = next((i for i, name in enumerate(PROVIDERS.values()) if kind.startswith(name)), 9)
    return (stage, int(kind.endswith("outage")), kind, undone)


def _draw_group(
    axes: Axes, y: int, group: Group, width: float, count: int, undos: Sequence[str]
) -> None:
    kind, undone = group
    colour = GREEN if kind == BOOKED else ORANGE if kind.endswith("outage") else RED
    hatch = "" if kind == BOOKED else "//" if kind.endswith("outage") else "xx"
    axes.barh(
        y, width, height=0.6, color=colour + "77", edgecolor=colour, hatch=hatch, linewidth=1.4
    )
    axes.text(width + 0.08, y, str(count), va="center", fontweight="bold", fontsize=13)
    for column, name in enumerate(undos):
        _draw_undo(axes, column, y, undone.count(name))


def _draw_undo(axes: Axes, column: int, y: int, times: int) -> None:
    x = _column(column)
    if not times:
        axes.plot([x], [y], "o", color=GREY, markersize=4, alpha=0.6)
        return
    box = FancyBboxPatch(
        (x - 0.56, y - 0.3),
        1.12,
        0.6,
        boxstyle="round,pad=0,rounding_size=0.1",
        facecolor=BLUE,
        linewidth=0,
    )
    axes.add_patch(box)
    text = "↩ undone" if times == 1 else f"↩ {times} turns"
    axes.text(x, y, text, color="white", ha="center", va="center", fontsize=12)


def _column(number: int) -> float:
    return 3.3 + 1.3 * number


def _label_groups(axes: Axes, groups: Sequence[Group], undos: Sequence[str]) -> None:
    axes.set_xlim(0, _column(len(undos) - 1) + 0.7)
    axes.set_ylim(max(len(groups), 1) - 0.5, -1.1)
    axes.set_yticks(range(len(groups)), [kind for kind, _ in groups], fontsize=13)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.text(0, -0.8, "trips", color=INK, va="center")
    for column, name in enumerate(undos):
        axes.text(_column(column), -0.8, name, ha="center", va="center", color=BLUE)


def _outcomes_alt(groups: Sequence[Group], counts: Counter[Group]) -> str:
    if not groups:
        return "No trips yet."
    told = [
        f"{counts[kind, undone]} {kind}, compensations: {', '.join(undone) or 'none'}"
        for kind, undone in groups
    ]
    return f"How {counts.total()} trips ended. {'; '.join(told)}."


def distribution(
    successes: int | None, n: int = 30, p: float = 0.405, promised: tuple[int, int] = PROMISED
) -> Picture:
    """How likely each number of booked trips is; this run's number and the promised range marked.

    The chances are calculated, not drawn.
    """
    chances = [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
    expected, inside = n * p, sum(chances[promised[0] : promised[1] + 1])
    with canvas(4.2) as (figure, axes):
        axes.bar(range(n + 1), chances, color=PALE, edgecolor=GREY, width=0.85)
        _shade_promise(axes, chances, promised, inside)
        top = max(chances)
        axes.axvline(expected, ymax=0.8, color=INK, linestyle=(0, (4, 2)), linewidth=1.8)
        axes.text(expected, top * 1.2, f"expected\n{expected:.4g}", ha="center", va="center")
        if successes is not None:
            _mark_run(axes, chances, successes)
        axes.set_ylim(0, top * 1.32)
        axes.set_xlabel(f"booked of {n} valid trips")
        axes.set_ylabel("share of seeds")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.locator_params(axis="y", nbins=4)
        axes.set_xticks(range(0, n + 1, max(1, n // 10)))
        title = _luck(successes, expected, promised, inside)
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=14)
    return Picture(figure, f"Binomial distribution, {n} trips at {p:.1%} each. {title}.")


def _shade_promise(
    axes: Axes, chances: Sequence[float], promised: tuple[int, int], inside: float
) -> None:
    low, high = promised
    numbers = range(low, min(high, len(chances) - 1) + 1)
    axes.axvspan(low - 0.5, high + 0.5, ymax=0.8, color=SKY, alpha=0.2, linewidth=0)
    axes.bar(
        numbers,
        [chances[k] for k in numbers],
        color=SKY,
        edgecolor=BLUE,
        hatch="//",
        width=0.85,
    )
    axes.text(
        high + 0.8,
        max(chances) * 0.85,
        f"the original exercise:\n{low} to {high}, {inside:.0%} of seeds",
        color=BLUE,
        fontweight="bold",
        va="center",
    )


def _mark_run(axes: Axes, chances: Sequence[float], successes: int) -> None:
    if not 0 <= successes < len(chances):
        raise ValueError(f"{successes} of {len(chances) - 1} trips cannot have been booked.")
    top = max(chances)
    axes.bar([successes], [chances[successes]], color=RED, width=0.85)
    axes.annotate(
        f"this run: {successes}",
        (successes, chances[successes]),
        xytext=(len(chances) * 0.68, top * 0.5),
        color=RED,
        fontweight="bold",
        va="center",
        arrowprops={"arrowstyle": "-|>", "color": RED, "linewidth": 1.8},
    )


def _luck(successes: int | None, expected: float, promised: tuple[int, int], inside: float) -> str:
    range_words = f"{promised[0]} to {promised[1]} happen in {inside:.0%} of runs"
    if successes is None:
        return f"{expected:.4g} booked is what to expect; {range_words}"
    return f"{successes} booked, {expected:.4g} expected; {range_words}"
