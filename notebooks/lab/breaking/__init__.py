"""Break things, and count what is left: scenarios, crashes, the switchboard, the scoreboard."""

from lab.lazily import exported

__getattr__ = exported(
    __name__,
    {
        "CancelAt": "scenarios",
        "compare": "comparison",
        "KINDS": "scenarios",
        "new_database": "scripts",
        "recorded": "scorekeeping",
        "run_until_killed": "scripts",
        "Scenario": "scenarios",
        "score": "scorekeeping",
        "score_crashes": "crashes",
        "score_script": "scripts",
        "score_terminated": "terminations",
        "fault_at": "scenarios",
        "STEPS": "scenarios",
        "switchboard": "switchboards",
        "terminate_before": "terminations",
        "TERMINATED": "terminations",
        "WORKER_CRASH": "crashes",
        "WORKFLOWS": "scorekeeping",
    },
)
