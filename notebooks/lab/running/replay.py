"""What the SDK's Replayer says, in one line."""

from __future__ import annotations

import re


def replay_in_words(failure: BaseException | None) -> str:
    """``"replays"``, or the SDK's words without numbers of events, which differ between runs."""
    if failure is None:
        return "replays"
    told = re.search(r'message: "(.*?)", source: ', str(failure))
    words = told.group(1) if told else str(failure)
    return re.sub(r"HistoryEvent\(id: \d+, (\w+)\)", r"\1", words)
