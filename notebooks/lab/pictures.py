"""Every picture of the course; the last line of a cell shows it."""

from lab.course_map import course_map
from lab.outcomes import distribution, outcomes
from lab.picture import Picture
from lab.plots import money_at_risk, scoreboard
from lab.timeline import timeline

__all__ = [
    "Picture",
    "course_map",
    "distribution",
    "money_at_risk",
    "outcomes",
    "scoreboard",
    "timeline",
]
