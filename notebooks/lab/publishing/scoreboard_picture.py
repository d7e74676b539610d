"""Draws the recorded scoreboard, whole, for the README.

python -m lab.publishing.scoreboard_picture        (in the folder notebooks)
"""

from __future__ import annotations

from pathlib import Path

from lab.breaking.crashes import WORKER_CRASH
from lab.breaking.scenarios import KINDS
from lab.breaking.scorekeeping import recorded
from lab.breaking.terminations import TERMINATED
from lab.showing import Picture, scoreboard

FILE = Path(__file__).resolve().parents[2] / "images" / "scoreboard.png"


def whole_scoreboard() -> Picture:
    """Every row and every column of the record."""
    return scoreboard(recorded(kinds=(*KINDS, WORKER_CRASH, TERMINATED)))


if __name__ == "__main__":
    whole_scoreboard().save(FILE)
    print(f"{FILE}: {FILE.stat().st_size // 1024} kB")
