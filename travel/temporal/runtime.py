"""The SDK's runtime, told to be quiet."""

from __future__ import annotations

import functools

from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter


@functools.cache
def quiet_runtime() -> Runtime:
    """The SDK's runtime without its warnings on standard error; one for the whole process."""
    errors_only = TelemetryFilter(core_level="ERROR", other_level="ERROR")
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=errors_only)))
