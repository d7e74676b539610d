"""Clients of a Temporal server, wherever it runs.

The SDK's environment configuration decides: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE,
TEMPORAL_API_KEY, TEMPORAL_PROFILE, TEMPORAL_CONFIG_FILE and the TLS variables.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError, RPCStatusCode

from travel.errors import InvalidInput
from travel.temporal.encryption import data_converter
from travel.temporal.namespaces import PatientClient
from travel.temporal.runtime import quiet_runtime
from travel.temporal.search_attributes import TRIP_STATUS
from travel.temporal.server import is_embedded

DEFAULT_ADDRESS = "localhost:7233"
DEFAULT_TASK_QUEUE = "travel"
CONNECT_SECONDS = 5.0
OWN_SECONDS = 180.0
"""For a server of our own, which is there, but may share its machine with many others."""

POLL_SECONDS = 0.05

_ADDRESS = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):(\d{1,5})", re.ASCII)
_REFUSED_CREDENTIALS = (RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED)

# What the SDK says about a connection that failed, in our words.
_REASONS = {
    "dns error": "nobody knows that host name",
    "ConnectionRefused": "nothing listens there",
    "Unauthenticated": "it refuses the API key; expected a valid TEMPORAL_API_KEY",
    "PermissionDenied": "it refuses the API key; expected a valid TEMPORAL_API_KEY",
    "InvalidContentType": "it does not speak TLS, which an API key or TEMPORAL_TLS asks for",
    "PrivateKeyParseError": "the TLS certificate and key cannot be read; expected PEM files",
    "client cert and private key": "TLS needs a certificate and its key; expected both or neither",
    "ertificate": "the TLS certificates do not fit",
    "tcp connect error": "the network does not lead there",
}


async def connect(
    address: str | None = None, *, own: bool | None = None, **client_options: Any
) -> Client:
    """A client whose server answered and has its namespace, within 5 seconds.

    ``address`` is ``host:port``; without it the environment decides, then
    localhost:7233. ``client_options`` are those of ``Client.connect`` and win over
    the environment. With ``own`` the server is one that this process or its parent
    started: the environment does not count, and a slow machine has minutes to answer.
    By default it is for a server that this process started. Raises ``InvalidInput``,
    whose text never holds the API key.
    """
    if own is None:
        own = address is not None and is_embedded(address)
    configured = {} if own else _configured_options(address)
    options = {
        **configured,
        "runtime": quiet_runtime(),
        "data_converter": data_converter(),
        **client_options,
    }
    target = address or options.get("target_host") or DEFAULT_ADDRESS
    _check_address(target)
    _check_api_key(options.get("api_key"))
    options["target_host"] = target
    options["interceptors"] = [*options.get("interceptors", []), PatientClient()]
    seconds = OWN_SECONDS if own else CONNECT_SECONDS
    unreachable = _own_unreachable if own else _unreachable
    try:
        async with asyncio.timeout(seconds):
            client = await _patiently_connect(options)
            await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=client.namespace)
            )
    except TimeoutError:
        raise unreachable(target, f"no answer within {seconds:.0f} s") from None
    except RPCError as error:
        raise _namespace_problem(error, options, target, unreachable) from None
    except (RuntimeError, ValueError) as error:
        # Not "from error": the SDK's words may quote what we sent.
        raise unreachable(target, _reason(str(error))) from None
    return client


def external_server_configured() -> bool:
    """Whether the environment names a server. A profile file in the home folder does not count."""
    names = ("TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE")
    return any(os.environ.get(name) for name in names)


def task_queue() -> str:
    """Name of the Task Queue: TRAVEL_TASK_QUEUE, or ``travel``."""
    return os.environ.get("TRAVEL_TASK_QUEUE") or DEFAULT_TASK_QUEUE


async def register_search_attribute(client: Client) -> bool:
    """Make ``TripStatus`` known to the server; False where it does not let us.

    Temporal Cloud is such a server: there it is registered in the Cloud's own UI.
    """
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    service = client.operator_service
    try:
        known = await service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
        if TRIP_STATUS.name in known.custom_attributes:
            return known.custom_attributes[TRIP_STATUS.name] == keyword
        await service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=client.namespace, search_attributes={TRIP_STATUS.name: keyword}
            )
        )
    except RPCError as error:
        return error.status == RPCStatusCode.ALREADY_EXISTS
    return True


async def _patiently_connect(options: dict[str, Any]) -> Client:
    """Connect, and wait for a server that is just starting."""
    while True:
        try:
            return await Client.connect(**options)
        except RuntimeError as error:
            if "code: Unavailable" not in str(error):
                raise
        await asyncio.sleep(POLL_SECONDS)


def _configured_options(address: str | None) -> dict[str, Any]:
    """What the environment and its profile say, as arguments of ``Client.connect``."""
    _check_config_file()
    # The profile in the home folder belongs to its own address, with its own API key.
    disable_file = address is not None and not external_server_configured()
    try:
        return dict(ClientConfig.load_client_connect_config(disable_file=disable_file))
    except OSError as error:
        raise InvalidInput(
            f"The TLS file {_short(error.filename)} cannot be read ({error.strerror}); "
            "expected a PEM file."
        ) from None
    except (RuntimeError, ValueError, TypeError) as error:
        raise InvalidInput(_profile_problem(str(error))) from None


def _check_config_file() -> None:
    """The SDK takes a file that is not there for an empty one; we do not."""
    path = os.environ.get("TEMPORAL_CONFIG_FILE")
    if not path:
        return
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise InvalidInput(
            f"The TEMPORAL_CONFIG_FILE {_short(path)} cannot be read ({error.strerror}); "
            "expected a TOML file with Temporal profiles."
        ) from None


def _profile_problem(error: str) -> str:
    """One sentence without the line of the file that the SDK quotes: it may hold an API key."""
    profile = os.environ.get("TEMPORAL_PROFILE") or "default"
    file = os.environ.get("TEMPORAL_CONFIG_FILE") or "the default one"
    if "not found" in error:
        return (
            f"The TEMPORAL_PROFILE {_short(profile)} is not in the configuration file "
            f"({_short(file)}); expected one of the profiles there."
        )
    position = re.search(r"line \d+, column \d+", error)
    where = f" at {position.group()}" if position else ""
    return f"The Temporal configuration file ({_short(file)}) is not valid TOML{where}."


def _check_address(address: object) -> None:
    match = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
    if not match or not 1 <= int(match.group(1)) <= 65535:
        raise InvalidInput(
            f"The Temporal address is {_short(address)}; expected host:port, "
            f"such as {DEFAULT_ADDRESS}."
        )


def _check_api_key(api_key: object) -> None:
    """The SDK silently sends none at all when it cannot be a header."""
    if api_key is None:
        return
    if not isinstance(api_key, str) or not re.fullmatch(r"[!-~]+", api_key):
        raise InvalidInput(
            "The TEMPORAL_API_KEY is empty, or has spaces or characters that are not ASCII; "
            "expected the key as Temporal Cloud shows it."
        )


def _namespace_problem(
    error: RPCError,
    options: Mapping[str, Any],
    address: str,
    unreachable: Callable[[str, str], InvalidInput],
) -> InvalidInput:
    if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
        return InvalidInput(
            f"The Temporal server at {address} has no namespace "
            f"{_short(options.get('namespace', 'default'))}; "
            "expected TEMPORAL_NAMESPACE to name one that it has."
        )
    if error.status in _REFUSED_CREDENTIALS:
        return unreachable(address, _REASONS["PermissionDenied"])
    return unreachable(address, f"it answers {error.status.name}")


def _reason(error: str) -> str:
    found = (reason for sign, reason in _REASONS.items() if sign in error)
    return next(found, "what answers there is no Temporal server")


def _unreachable(address: str, reason: str) -> InvalidInput:
    return InvalidInput(
        f"No Temporal server can be used at {address}: {reason}. "
        "Expected a running server; TEMPORAL_ADDRESS says where, as host:port."
    )


def _own_unreachable(address: str, reason: str) -> InvalidInput:
    return InvalidInput(
        f"The Temporal server that was started here does not answer at {address}: {reason}. "
        "It may have been killed; start again to have a new one."
    )


def _short(value: object) -> str:
    """``repr`` of a value, cut to about 120 characters."""
    text = repr(value[:120] if isinstance(value, str) else value)
    return text if len(text) <= 120 else f"{text[:120]}…"
