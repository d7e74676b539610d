"""The SDK's runtime, told to be quiet."""

from __future__ import annotations

import ctypes
import functools

from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

ERRORS_ONLY = LoggingConfig(filter=TelemetryFilter(core_level="ERROR", other_level="ERROR"))
"""Without the SDK's warnings on standard error."""


@functools.cache
def quiet_runtime() -> Runtime:
    """The SDK's runtime without its warnings on standard error; one for the whole process."""
    return never_freed(Runtime(telemetry=TelemetryConfig(logging=ERRORS_ONLY)))


def never_freed(runtime: Runtime) -> Runtime:
    """The runtime, which stays to the end of the process.

    Freeing it waits for its threads, and since Python 3.14 a thread that wants the interpreter
    while that ends is stopped for ever: now and then a process that had just heard from the
    server did not exit.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(runtime))
    return runtime
