"""The SDK's runtime, told to be quiet."""

from __future__ import annotations

import functools

from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

ERRORS_ONLY = LoggingConfig(filter=TelemetryFilter(core_level="ERROR", other_level="ERROR"))
"""Without the SDK's warnings on standard error."""


@functools.cache
def quiet_runtime() -> Runtime:
    """The SDK's runtime without its warnings on standard error; one for the whole process."""
    return Runtime(telemetry=TelemetryConfig(logging=ERRORS_ONLY))
