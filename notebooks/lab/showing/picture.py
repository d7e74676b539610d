"""A picture in a cell: shown once, sharp, and with a sentence for who cannot see it."""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from PIL.PngImagePlugin import PngInfo

# Okabe and Ito's colours, which colour-blind people can tell apart
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, RED, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, PALE, INK = "#8A8A8A", "#EDEDED", "#222222"
PLUM = "#8F4A78"

# The same, dark enough for words on white
OF_WORDS = {
    ORANGE: "#8A5A00",
    SKY: "#1F6E9E",
    GREEN: "#00704F",
    BLUE: "#00659E",
    RED: "#A84300",
    PURPLE: PLUM,
    GREY: "#5F5F5F",
}

WIDTH = 10.0
DOTS_PER_INCH = 160
COLOURS = 96
SHOWN_PER_INCH = 96
"""At this many pixels an inch, 11 pt in the picture are 11 pt on the page."""

STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 12,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 14,
    "axes.titleweight": "bold",
    "hatch.linewidth": 1.2,
    "text.parse_math": False,  # a dollar sign is a dollar sign
}


class Picture:
    """A figure and what it shows, in words. Display it as the last line of a cell."""

    def __init__(self, figure: Figure, alt: str) -> None:
        for words in figure.findobj(Text):
            colour = to_hex(words.get_color()).upper()  # type: ignore[attr-defined]
            words.set_color(OF_WORDS.get(colour, colour))  # type: ignore[attr-defined]
        self.figure = figure
        self.alt = " ".join(alt.split())

    def png(self) -> bytes:
        """The picture as a PNG file's content; its words are in there as well."""
        file = io.BytesIO()
        with rc_context(STYLE):
            self.figure.savefig(file, format="png", dpi=DOTS_PER_INCH, facecolor="white")
        return _fewer_colours(file.getvalue(), self.alt)

    def save(self, path: str | Path) -> None:
        """Write a PNG file."""
        Path(path).write_bytes(self.png())

    def __repr__(self) -> str:
        """What the picture shows, in words."""
        return textwrap.fill(self.alt, 100)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
        encoded = base64.b64encode(self.png()).decode()
        width = round(self.figure.get_figwidth() * SHOWN_PER_INCH)
        data = {"image/png": encoded, "text/plain": repr(self)}
        return data, {"image/png": {"width": width, "alt": self.alt}}


def _fewer_colours(png: bytes, words: str) -> bytes:
    """The same picture in a third of the bytes: it is stored in a notebook."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    info = PngInfo()
    info.add_itxt("Description", words)
    file = io.BytesIO()
    fewer = picture.quantize(COLOURS, dither=Image.Dither.NONE)
    fewer.save(file, format="png", optimize=True, pnginfo=info)
    return file.getvalue()


@contextmanager
def canvas(height: float, width: float = WIDTH) -> Iterator[tuple[Figure, Axes]]:
    """A figure in the course's style; not pyplot's, which would show it a second time."""
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def shortened(text: str, length: int) -> str:
    """The text, cut at a word if it is longer."""
    return textwrap.shorten(text, length, placeholder=" …") if len(text) > length else text
