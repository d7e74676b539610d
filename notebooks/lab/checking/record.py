"""Which exercises hold: one small file beside the notebooks, written when a check passes.

``COURSE_PROGRESS_FILE`` names another file; empty, nothing is kept.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

BESIDE_THE_NOTEBOOKS = Path(__file__).parents[2] / ".progress.json"


def file() -> Path | None:
    """Where it is kept."""
    name = os.environ.get("COURSE_PROGRESS_FILE")
    return BESIDE_THE_NOTEBOOKS if name is None else Path(name) if name else None


def held() -> set[str]:
    """Names of the exercises that have passed their check; none if the file cannot be read."""
    kept = file()
    if kept is None:
        return set()
    try:
        names = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()


def remember(name: str) -> None:
    """Add an exercise. A folder that cannot be written to is no reason to fail a check."""
    kept, names = file(), held()
    if kept is None or name in names:
        return
    new = kept.with_name(f"{kept.name}.{os.getpid()}")
    with suppress(OSError):
        # Replaced as a whole: another notebook may read it at this moment.
        new.write_text(json.dumps(sorted({*names, name}), indent=1), encoding="utf-8")
        os.replace(new, kept)
