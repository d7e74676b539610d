"""The course's machinery: starts the parts, shows what they did, checks what you wrote.

Nothing of it is needed in production, and you never have to read it. A notebook
starts with ``from lab import start`` and ``lab = await start()``.
"""

import sys
from pathlib import Path

# The notebooks lie beside the package, not above it.
_ROOT = str(Path(__file__).resolve().parents[2])
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from lab.system import System, Trip, start  # noqa: E402

__all__ = ["System", "Trip", "start"]
