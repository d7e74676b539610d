"""A Worker's numbers for Prometheus: ``python -m travel.worker --metrics PORT``.

They are served on the loopback address, at ``http://127.0.0.1:PORT/metrics``: the SDK's own
(https://docs.temporal.io/references/sdk-metrics) and those of ``travel.workflows.metrics``.
"""

from __future__ import annotations

from typing import Any

from temporalio import activity
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from travel.errors import InvalidInput
from travel.temporal.runtime import ERRORS_ONLY, never_freed

HOUR = 3600.0
BUCKETS = [1.0, 10.0, 60.0, 600.0, HOUR, 6 * HOUR, 24 * HOUR, 7 * 24 * HOUR, 30 * 24 * HOUR]
"""In seconds. An undo may be stuck for a month."""

UNDOS = ("cancel_", "refund_")


def runtime_with_metrics(port: int) -> Runtime:
    """The SDK's runtime, as quiet as ``quiet_runtime``, serving metrics on this port.

    Raises ``InvalidInput`` if the port is none, or taken.
    """
    if not 1 <= port <= 65535:
        raise InvalidInput(f"The port for metrics is {port}; expected 1 to 65535.")
    prometheus = PrometheusConfig(
        bind_address=f"127.0.0.1:{port}",
        counters_total_suffix=True,
        unit_suffix=True,
        durations_as_seconds=True,
        histogram_bucket_overrides={"travel_undo_stuck": BUCKETS, "travel_saga_undoing": BUCKETS},
    )
    try:
        return never_freed(
            Runtime(telemetry=TelemetryConfig(logging=ERRORS_ONLY, metrics=prometheus))
        )
    except ValueError as error:
        raise InvalidInput(
            f"Metrics cannot be served on port {port} ({error}); expected a free port."
        ) from None


class CountFailedUndos(Interceptor):
    """Counts each attempt of an undo that fails, at once, whether or not its saga hears of it."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See ``temporalio.worker.Interceptor``."""
        return _Counted(next)


class _Counted(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        name = activity.info().activity_type
        try:
            return await self.next.execute_activity(input)
        except Exception:
            if name.startswith(UNDOS):
                counter = activity.metric_meter().create_counter("travel_undo_attempts_failed")
                counter.add(1, {"undo": name})
            raise
