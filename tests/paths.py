"""Makes ``lab`` and the helpers of the tests importable in ``python -m tests.…``, as in pytest."""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent

for folder in (TESTS, TESTS.parent / "notebooks"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
