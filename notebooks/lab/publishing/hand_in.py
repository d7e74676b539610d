"""Read the codes that learners hand in: ``python -m lab.publishing.hand_in "Ada: ABCDE-…"``.

Run in ``notebooks/``; needs no network and no list of learners. Exit codes: 0 all are right,
1 one is not, 2 bad usage.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lab.exercises.progress import NoSuchCode, read_code


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what each code says."""
    codes = sys.argv[1:] if arguments is None else arguments
    if not codes:
        print('usage: python -m lab.publishing.hand_in "NAME: CODE" …', file=sys.stderr)
        return 2
    wrong = 0
    for code in codes:
        try:
            print(read_code(code), end="\n\n")
        except NoSuchCode as reason:
            print(reason, file=sys.stderr)
            wrong += 1
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
