"""Where a browser finds the Web UI, told from the kernel's environment alone."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from lab.running.web_ui_address import ui_public_path, web_ui_page
from lab.showing.links import NoLink

from travel.temporal.server import embedded_server

VARIABLES = (
    "JUPYTERHUB_SERVICE_PREFIX",
    "JUPYTERHUB_PUBLIC_URL",
    "JPY_PARENT_PID",
    "CODESPACE_NAME",
    "GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN",
)
PAGE = ("namespaces", "default", "workflows", "booking-A/B #1? 50%-T")
QUOTED = "/namespaces/default/workflows/booking-A%2FB%20%231%3F%2050%25-T"


def link(port: int = 8233) -> str:
    """Of a server that was started as the lab starts one."""
    path = ui_public_path().replace("{port}", str(port))
    return web_ui_page(f"http://127.0.0.1:{port}{path}", *PAGE)


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))


@pytest.fixture(params=[200, 302, 403, 404])
def jupyter(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """Something that answers for a Jupyter server, always in the same way: its URL and that."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param)
            self.send_header("Location", "/login")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/node/seven/", request.param
        server.shutdown()
        thread.join()


def write_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **server: str) -> None:
    """As a Jupyter server does for whoever looks for it."""
    monkeypatch.setenv("JPY_PARENT_PID", "4711")
    (tmp_path / "jpserver-4711.json").write_text(json.dumps(server), encoding="utf-8")


def test_the_server_serves_its_web_ui_below_that_path() -> None:
    async def check() -> None:
        async with embedded_server(ui_public_path="/user/b%C3%B6b/proxy/absolute/{port}") as server:
            assert server.ui_url is not None
            origin, _, path = server.ui_url.partition("/user/")
            assert path == f"b%C3%B6b/proxy/absolute/{urlsplit(origin).port}"
            with urllib.request.urlopen(server.ui_url, timeout=120) as page:
                assert f'"/user/{path}' in page.read().decode()

    asyncio.run(check())


def test_on_the_kernel_s_own_machine() -> None:
    assert ui_public_path() == ""
    assert link() == f"http://127.0.0.1:8233{QUOTED}"


def test_a_jupyter_server_without_a_base_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_down(tmp_path, monkeypatch, base_url="/", url="http://localhost:8888/")
    assert link() == f"http://127.0.0.1:8233{QUOTED}"


@pytest.mark.parametrize(
    "prefix", ["/user/ann/", "/user/ann", "/user/b%C3%B6b/course/", "/hub/u/x@y/"]
)
def test_on_a_hub(monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", prefix)
    assert link() == f"{prefix.rstrip('/')}/proxy/absolute/8233{QUOTED}"


def test_on_a_hub_that_knows_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ann/")
    monkeypatch.setenv("JUPYTERHUB_PUBLIC_URL", "https://hub.example.org/user/ann/")
    assert link(9) == f"https://hub.example.org/user/ann/proxy/absolute/9{QUOTED}"


@pytest.mark.parametrize("domain", ["", "preview.example.org"])
def test_in_a_codespace(monkeypatch: pytest.MonkeyPatch, domain: str) -> None:
    monkeypatch.setenv("CODESPACE_NAME", "humming-saga-7x")
    monkeypatch.setenv("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN", domain)
    assert ui_public_path() == ""
    assert link() == f"https://humming-saga-7x-8233.{domain or 'app.github.dev'}{QUOTED}"


def test_behind_a_base_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jupyter: tuple[str, int]
) -> None:
    url, answer = jupyter
    write_down(tmp_path, monkeypatch, base_url="/node/seven/", url=url)
    shown = link()
    if answer == 404:  # nobody serves /proxy there
        assert isinstance(shown, NoLink)
        assert f"http://127.0.0.1:8233/node/seven/proxy/absolute/8233{QUOTED}" in shown
        assert "%pip install jupyter-server-proxy" in shown._repr_html_()
        assert "<a " not in shown._repr_html_()
    else:
        assert shown == f"/node/seven/proxy/absolute/8233{QUOTED}"


@pytest.mark.parametrize("written", ["", "{", "[]", '{"base_url": 7}', '{"url": "x"}'])
def test_what_is_written_down_may_be_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("JPY_PARENT_PID", "4711")
    (tmp_path / "jpserver-4711.json").write_text(written, encoding="utf-8")
    assert link() == f"http://127.0.0.1:8233{QUOTED}"


def test_a_jupyter_server_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_down(tmp_path, monkeypatch, base_url="/node/seven/", url="http://127.0.0.1:1/node/seven/")
    assert link() == f"/node/seven/proxy/absolute/8233{QUOTED}"
