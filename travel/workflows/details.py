"""The current details of a trip: Markdown for whoever opens it in the Web UI."""

from __future__ import annotations

from collections.abc import Iterator

from travel.models import StuckUndo, TripProgress


def details_of(confirmation_code: str, progress: TripProgress) -> str:
    """What was done, what is left, what it waits for since when, and what can be done."""
    return "\n".join(_lines(confirmation_code, progress))


def _lines(code: str, progress: TripProgress) -> Iterator[str]:
    yield f"**{progress.status}**"
    if progress.failure:
        yield f"\nWhy: {progress.failure}"
    if progress.cancel_reason:
        yield f"\nCancelled because: {progress.cancel_reason}"
    yield f"\nDone: {_names(progress.done)}"
    if progress.to_undo:
        yield f"\nTo undo, newest first: {_names(progress.to_undo)}"
    for settled in progress.settled:
        yield (
            f"\nSettled by hand: `{settled.undo}` by {settled.settled_by}, "
            f"{settled.settled_at}: {settled.reason}"
        )
    if progress.waiting:
        yield "\n| waits | since | last answer | and then |"
        yield "|---|---|---|---|"
        yield from map(_row, progress.waiting)
        yield "\nWhat you can do:"
        for stuck in progress.waiting:
            yield f"- `python -m travel.desk retry {code} {stuck.undo}`"
            yield f"- `python -m travel.desk settle {code} {stuck.undo} --by NAME --because TEXT`"


def _row(stuck: StuckUndo) -> str:
    then = "a person must decide" if stuck.refused else "it is asked again"
    reason = stuck.reason.replace("|", "\\|")
    return f"| `{stuck.undo}` | {stuck.since} | {reason} | {then} |"


def _names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "nothing"
