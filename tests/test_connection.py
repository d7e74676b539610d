"""Clients: what the environment says, and one clear sentence for all that can be wrong."""

import asyncio
import gc
import os
import socket
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import RemoveSearchAttributesRequest
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

import travel.temporal.server
from travel.errors import InvalidInput
from travel.temporal import namespaces
from travel.temporal.connection import (
    connect,
    external_server_configured,
    register_search_attribute,
    task_queue,
)
from travel.temporal.namespaces import (
    CALLS,
    PatientClient,
    is_served,
    make_namespace,
    patiently,
)
from travel.temporal.runtime import quiet_runtime
from travel.temporal.search_attributes import TRIP_STATUS
from travel.temporal.server import embedded_server

SECRET = "tmprl_very-secret"


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No setting of this machine: neither variables nor a profile in the home folder."""
    for name in [name for name in os.environ if name.startswith(("TEMPORAL_", "TRAVEL_"))]:
        monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME", "APPDATA", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    yield


def refusal(address: str | None = None, **options: Any) -> str:
    """The sentence with which ``connect`` refuses, without the key."""
    with pytest.raises(InvalidInput) as caught:
        asyncio.run(connect(address, **options))
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert caught.value.__cause__ is None
    return str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "localhost",
        "localhost:",
        ":7233",
        "localhost:0",
        "localhost:65536",
        "localhost:port",
        "http://localhost:7233",
        "local host:7233",
        "localhost:7233/path",
        "localhost:7233\n",
        "bücher.example:7233",
        "::1:7233",
        "x" * 10_000_000,
    ],
)
def test_malformed_address(address: str) -> None:
    assert "expected host:port, such as localhost:7233" in refusal(address)


def test_nothing_listens() -> None:
    sentence = refusal("127.0.0.1:1")
    assert "127.0.0.1:1: nothing listens there" in sentence
    assert "TEMPORAL_ADDRESS" in sentence


def test_unknown_host() -> None:
    assert "no-such-host.invalid:7233: nobody knows that host name" in refusal(
        "no-such-host.invalid:7233"
    )


def test_server_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        assert f"{address}: no answer within 5 s" in refusal(address)


def test_server_that_is_just_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    real_connect = Client.connect
    calls = []

    async def first_unavailable(*arguments: Any, **options: Any) -> Client:
        calls.append(options)
        if len(calls) == 1:
            raise RuntimeError('Status { code: Unavailable, message: "not healthy yet" }')
        return await real_connect(*arguments, **options)

    async def check() -> None:
        async with embedded_server(ui=False) as server:
            monkeypatch.setattr(Client, "connect", first_unavailable)
            await connect(server.address)
        assert len(calls) == 2

    asyncio.run(check())


def test_something_else_answers() -> None:
    async def check() -> None:
        async with embedded_server() as server:
            web_ui = server.ui_url.removeprefix("http://")
            with pytest.raises(InvalidInput, match="what answers there is no Temporal server"):
                await connect(web_ui)

    asyncio.run(check())


def test_unknown_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        async with embedded_server(ui=False) as server:
            with pytest.raises(InvalidInput, match="has no namespace 'nowhere'"):
                await connect(server.address, namespace="nowhere")
            with pytest.raises(InvalidInput, match="has no namespace ''"):
                await connect(server.address, namespace="")
            with pytest.raises(InvalidInput, match="has no namespace") as caught:
                await connect(server.address, namespace="n" * 1_000_000)
            assert len(str(caught.value)) < 400

    asyncio.run(check())


def test_environment_names_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        async with embedded_server(ui=False) as server:
            monkeypatch.setenv("TEMPORAL_ADDRESS", server.address)
            client = await connect()
            assert client.service_client.config.target_host == server.address
            monkeypatch.setenv("TEMPORAL_NAMESPACE", "nowhere")
            with pytest.raises(InvalidInput, match="nowhere"):
                await connect()

    asyncio.run(check())


def test_profile_file_names_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "profiles.toml"
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(file))
    monkeypatch.setenv("TEMPORAL_PROFILE", "lesson")

    async def check() -> None:
        async with embedded_server(ui=False) as server:
            file.write_text(f'[profile.lesson]\naddress = "{server.address}"\n')
            client = await connect()
            assert client.service_client.config.target_host == server.address

    asyncio.run(check())


def test_environment_does_not_count_for_our_own_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "example.invalid:7233")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "production")
    monkeypatch.setenv("TEMPORAL_API_KEY", SECRET)

    async def check() -> None:
        async with embedded_server(ui=False) as server:
            client = await connect(server.address)
            assert client.namespace == "default"
            assert client.service_client.config.api_key is None

    asyncio.run(check())


def test_profile_of_the_home_folder_keeps_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "temporalio" / "temporal.toml"
    file.parent.mkdir()
    file.write_text(f'[profile.default]\naddress = "127.0.0.1:1"\napi_key = "{SECRET}"\n')
    assert not external_server_configured()
    assert "127.0.0.1:1" in refusal()

    async def check() -> None:
        async with embedded_server(ui=False) as server:
            monkeypatch.setattr(travel.temporal.server, "_embedded_addresses", set())
            client = await connect(server.address)
            assert client.service_client.config.api_key is None

    asyncio.run(check())


def test_options_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "nowhere")

    async def check() -> None:
        async with embedded_server(ui=False) as server:
            monkeypatch.setenv("TEMPORAL_ADDRESS", server.address)
            client = await connect(namespace="default", identity="a test")
            assert client.identity == "a test"

    asyncio.run(check())


def test_config_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "no.toml"))
    assert "no.toml' cannot be read (No such file or directory)" in refusal()


def test_config_file_that_is_no_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(f'[profile.default]\napi_key = "{SECRET}\n')
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(file))
    assert "bad.toml') is not valid TOML at line 2" in refusal()


def test_config_file_that_is_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bytes.toml"
    file.write_bytes(b"\xff\xfe\x00")
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(file))
    assert "bytes.toml" in refusal()


def test_profile_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_PROFILE", "zzz")
    assert "The TEMPORAL_PROFILE 'zzz' is not in the configuration file" in refusal()


def test_tls_file_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_TLS_CLIENT_CERT_PATH", "no.pem")
    assert "The TLS file 'no.pem' cannot be read" in refusal()


def test_tls_file_that_is_no_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bad.pem"
    file.write_text("no certificate")
    monkeypatch.setenv("TEMPORAL_TLS_CLIENT_CERT_PATH", str(file))
    monkeypatch.setenv("TEMPORAL_TLS_CLIENT_KEY_PATH", str(file))
    assert "TLS" in refusal()


def test_api_key_for_a_server_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_API_KEY", SECRET)

    async def check() -> None:
        async with embedded_server(ui=False) as server:
            monkeypatch.setattr(travel.temporal.server, "_embedded_addresses", set())
            with pytest.raises(InvalidInput, match="does not speak TLS") as caught:
                await connect(server.address)
            assert SECRET not in str(caught.value)

    asyncio.run(check())


@pytest.mark.parametrize("key", [f"{SECRET}\n", f"{SECRET} x", f"{SECRET}é", ""])
def test_api_key_that_is_none(key: str) -> None:
    assert "TEMPORAL_API_KEY" in refusal("127.0.0.1:1", api_key=key)


@pytest.mark.parametrize("code", ["Unauthenticated", "PermissionDenied"])
def test_api_key_refused_while_connecting(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_arguments: Any, **_options: Any) -> None:
        raise RuntimeError(f"call error: Status {{ code: {code}, message: {SECRET} }}")

    monkeypatch.setattr(Client, "connect", refuse)
    assert "it refuses the API key; expected a valid TEMPORAL_API_KEY" in refusal(api_key=SECRET)


@pytest.mark.parametrize("status", [RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED])
def test_api_key_refused_afterwards(status: RPCStatusCode, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        async with embedded_server(ui=False) as server:
            client = await connect(server.address)

            async def refuse(*_arguments: Any, **_options: Any) -> None:
                raise RPCError(f"bad key {SECRET}", status, b"")

            monkeypatch.setattr(client.workflow_service, "describe_namespace", refuse)

            async def same_client(*_arguments: Any, **_options: Any) -> Client:
                return client

            monkeypatch.setattr(Client, "connect", same_client)
            with pytest.raises(InvalidInput, match="it refuses the API key") as caught:
                await connect(server.address, api_key=SECRET)
            assert SECRET not in str(caught.value)

    asyncio.run(check())


@pytest.mark.parametrize("name", ["TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE"])
def test_external_server_configured(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not external_server_configured()
    monkeypatch.setenv(name, "")
    assert not external_server_configured()
    monkeypatch.setenv(name, "x")
    assert external_server_configured()


def test_task_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    assert task_queue() == "travel"
    monkeypatch.setenv("TRAVEL_TASK_QUEUE", "mine")
    assert task_queue() == "mine"


def test_one_quiet_runtime() -> None:
    assert quiet_runtime() is quiet_runtime()


def test_search_attribute_on_a_server_started_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = travel.temporal.server._arguments

    def without_attribute(*options: Any) -> list[str]:
        asked = arguments(*options)
        position = asked.index("--search-attribute")
        return asked[:position] + asked[position + 2 :]

    monkeypatch.setattr(travel.temporal.server, "_arguments", without_attribute)

    async def check() -> None:
        async with embedded_server(ui=False) as server:
            client = await connect(server.address)
            with pytest.raises(RPCError):
                await client.count_workflows(f"{TRIP_STATUS.name} = 'booking'")
            assert await register_search_attribute(client)
            assert await register_search_attribute(client)
            await client.count_workflows(f"{TRIP_STATUS.name} = 'booking'")

    asyncio.run(check())


def test_search_attribute_of_another_type() -> None:
    async def check() -> None:
        async with embedded_server(ui=False) as server:
            client = await connect(server.address)
            service = client.operator_service
            await service.remove_search_attributes(
                RemoveSearchAttributesRequest(
                    namespace="default", search_attributes=[TRIP_STATUS.name]
                )
            )
            await _add(client, IndexedValueType.INDEXED_VALUE_TYPE_INT)
            assert not await register_search_attribute(client)

    asyncio.run(check())


async def _add(client: Client, kind: IndexedValueType.ValueType) -> None:
    from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest

    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace="default", search_attributes={TRIP_STATUS.name: kind})
    )


def test_search_attribute_that_the_server_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        async with embedded_server(ui=False) as server:
            client = await connect(server.address)

            async def refuse(*_arguments: Any, **_options: Any) -> None:
                raise RPCError("not here", RPCStatusCode.PERMISSION_DENIED, b"")

            monkeypatch.setattr(client.operator_service, "list_search_attributes", refuse)
            assert not await register_search_attribute(client)

    asyncio.run(check())


# --- a server of our own --------------------------------------------------------------------

MEANT_FOR_A_CLOUD = {
    "TEMPORAL_ADDRESS": "cloud.invalid:7233",
    "TEMPORAL_NAMESPACE": "travel.a1b2c",
    "TEMPORAL_API_KEY": SECRET,
    "TEMPORAL_TLS": "true",
    "TEMPORAL_TLS_CLIENT_CERT_PATH": "/no/such.pem",
    "TEMPORAL_TLS_CLIENT_KEY_PATH": "/no/such.key",
    "TEMPORAL_TLS_SERVER_NAME": "cloud.invalid",
    "TEMPORAL_PROFILE": "nobody",
    "TEMPORAL_CONFIG_FILE": "/no/such.toml",
    "TEMPORAL_GRPC_META_AUTHORIZATION": SECRET,
    "TEMPORAL_CODEC_ENDPOINT": "http://127.0.0.1:1",
    "HTTPS_PROXY": "http://127.0.0.1:1",
    "https_proxy": "http://127.0.0.1:1",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "ALL_PROXY": "socks5://127.0.0.1:1",
    "grpc_proxy": "http://127.0.0.1:1",
    "no_proxy": "",
}

PROFILE = """
[profile.default]
address = "cloud.invalid:7233"
namespace = "travel.a1b2c"
api_key = "tmprl_very-secret"
[profile.default.tls]
server_name = "cloud.invalid"
"""

CONNECT_FROM_A_CHILD = """
import asyncio, sys
from travel.temporal.connection import connect
client = asyncio.run(connect(sys.argv[1], own=True))
print(client.namespace)
"""


@pytest.fixture
def shell_set_up_for_a_cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that a shell may hold for Temporal Cloud, at once, and a profile in the home folder."""
    for name, value in MEANT_FOR_A_CLOUD.items():
        monkeypatch.setenv(name, value)
    for folder in ("temporalio", ".config/temporalio"):
        file = tmp_path / folder / "temporal.toml"
        file.parent.mkdir(parents=True)
        file.write_text(PROFILE)


@pytest.mark.usefixtures("shell_set_up_for_a_cloud")
def test_own_server_is_asked_as_if_the_environment_were_empty() -> None:
    async def check() -> tuple[str, str]:
        async with embedded_server() as server:
            client = await connect(server.address)
            child = await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-c", CONNECT_FROM_A_CHILD, server.address],
                cwd=Path(__file__).parents[1],
                capture_output=True,
                text=True,
            )
            return client.namespace, child.stdout.strip() or child.stderr

    assert asyncio.run(check()) == ("default", "default")


@pytest.mark.usefixtures("shell_set_up_for_a_cloud")
def test_own_server_that_is_gone_has_nothing_to_do_with_the_environment() -> None:
    sentence = refusal("127.0.0.1:1", own=True)
    assert "was started here does not answer at 127.0.0.1:1: nothing listens there" in sentence
    assert "TEMPORAL" not in sentence.replace("Temporal", "")


def test_profile_in_the_home_folder_alone(tmp_path: Path) -> None:
    file = tmp_path / "temporalio" / "temporal.toml"
    file.parent.mkdir()
    file.write_text(PROFILE)

    async def check() -> str:
        async with embedded_server(ui=False) as server:
            return (await connect(server.address)).namespace

    assert asyncio.run(check()) == "default"


# --- namespaces -----------------------------------------------------------------------------


def test_namespace_that_is_made_when_it_is_needed() -> None:
    async def check() -> None:
        async with embedded_server(ui=False) as server:
            default = await connect(server.address)
            for number in range(5):
                new = Client(default.service_client, namespace=f"new-{number}")
                assert not await is_served(new)
                await make_namespace(new)
                await make_namespace(new)  # it is there already
                assert await is_served(new)
                client = await connect(server.address, namespace=new.namespace)
                assert await register_search_attribute(client)
                booking = TypedSearchAttributes([SearchAttributePair(TRIP_STATUS, "booking")])
                await client.start_workflow("T", id="t", task_queue="t", search_attributes=booking)

    asyncio.run(check())


@pytest.mark.parametrize("method", CALLS)
def test_whichever_call_meets_a_namespace_that_is_not_known_yet_waits(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    unknown = _unknown_namespace()

    async def not_at_first(_self: object, input: object) -> str:
        asked.append(input)
        if len(asked) < 3:
            raise unknown
        return "answer"

    monkeypatch.setattr(namespaces, "POLL_SECONDS", 0)
    inner = type("Inner", (), {method: not_at_first})()
    outbound = PatientClient().intercept_client(inner)
    assert asyncio.run(getattr(outbound, method)("question")) == "answer"
    assert asked == ["question"] * 3


def test_other_errors_are_not_waited_for() -> None:
    async def refuse() -> None:
        raise RPCError("workflow not found for ID: t", RPCStatusCode.NOT_FOUND, b"")

    with pytest.raises(RPCError, match="workflow not found"):
        asyncio.run(patiently(refuse))


def _unknown_namespace() -> RPCError:
    """What the server says, word for word, of a namespace that it does not have."""

    async def ask() -> RPCError:
        async with embedded_server(ui=False) as server:
            client = await connect(server.address)
            nowhere = Client(client.service_client, namespace="nowhere")
            with pytest.raises(RPCError, match="Namespace nowhere is not found") as caught:
                await nowhere.start_workflow("T", id="t", task_queue="t")
            return caught.value

    return asyncio.run(ask())


def test_the_runtime_stays_to_the_end_of_the_process() -> None:
    """From Python 3.14 on a process that frees it at its end may never end."""
    runtime = weakref.ref(quiet_runtime.__wrapped__())
    gc.collect()
    assert runtime() is not None
