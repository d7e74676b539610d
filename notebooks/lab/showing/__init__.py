"""Show what happened: tables, timelines, plots and source code, for the last line of a cell."""

from lab.lazily import exported

__getattr__ = exported(
    __name__,
    {
        "activity_table": "tables",
        "audit_table": "tables",
        "course_map": "course_maps",
        "designs_so_far": "family_trees",
        "distribution": "outcome_plots",
        "event_table": "tables",
        "held_table": "tables",
        "lost_reply": "sketches",
        "money_at_risk": "plots",
        "outcomes": "outcome_plots",
        "Picture": "picture",
        "proof_table": "tables",
        "race": "races",
        "Scoreboard": "scoreboards",
        "scoreboard": "plots",
        "show_diff": "source",
        "show_source": "source",
        "success_against_blips": "retry_plots",
        "system_sketch": "sketches",
        "timeline": "timelines",
        "trips_table": "tables",
    },
)
