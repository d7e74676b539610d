"""Start and stop things: servers, systems, Workers, databases."""

from lab.lazily import exported

__getattr__ = exported(
    __name__,
    {
        "activities_by_worker": "shares",
        "build_of": "deployments",
        "Downtime": "downtime",
        "Refusal": "downtime",
        "histories": "many",
        "move_once": "deployments",
        "Pause": "pause",
        "postgres_urls": "postgres",
        "Progress": "many",
        "reconcile": "reconciling",
        "replay_in_words": "replay",
        "set_current": "deployments",
        "slow_down": "latency",
        "start_persistent": "persistent",
        "start_without_worker": "worker_process",
        "start_worker": "worker_process",
        "start_workers": "worker_process",
        "work_until": "workers",
    },
)
