"""Where the learner's browser finds the Web UI.

Beside the kernel, on the same machine: at its own port. In a Codespace: at the host that
forwards this port. On a hub (JupyterHub, Binder, a Jupyter server with a base URL) the
browser reaches the Jupyter server alone. Its extension jupyter-server-proxy passes on
what is asked for below ``…/proxy/absolute/PORT``, path and all, so the Web UI has to be
served below that path too. Everything is found out from the kernel's environment.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from lab.showing.links import Link, NoLink

PROBE_SECONDS = 2.0
CODESPACES_DOMAIN = "app.github.dev"

NO_PROXY = (
    "The Web UI is at {address} on the kernel's machine, where your browser may not get: "
    "the Jupyter server in between lacks jupyter-server-proxy. Run "
    "%pip install jupyter-server-proxy in a cell; then restart the server "
    "(on a hub: File, Hub Control Panel, Stop My Server, Start My Server)."
)


@dataclass(frozen=True)
class JupyterServer:
    """The Jupyter server that started this kernel."""

    base_path: str
    """Where it is served, for example ``/user/ann/``."""
    public_url: str = ""
    """The same with a host, where the hub tells."""
    local_url: str = ""
    """Where the kernel reaches it; empty if that is not known."""

    @property
    def lacks_proxy(self) -> bool:
        """Whether it says that it has no jupyter-server-proxy."""
        if not self.local_url:
            return False
        # Somebody who is not logged in is turned away from what is there, and only
        # from that: 404 means that nobody serves it. (With a slash at its end every
        # address is a redirect.)
        try:
            _open(f"{self.local_url.rstrip('/')}/proxy/absolute/1")
        except urllib.error.HTTPError as answer:
            return answer.code == 404
        except OSError:
            return False
        return False


def ui_public_path() -> str:
    """Path below which the Web UI is to be served, with ``{port}`` in it; "" for none."""
    server = jupyter_server()
    return f"{server.base_path}proxy/absolute/{{port}}" if server else ""


def web_ui_page(ui_url: str, *path: str) -> Link:
    """Link to the Web UI's page below ``path``, for a server whose Web UI is at ``ui_url``."""
    page = "".join(f"/{quote(part, safe='')}" for part in path)
    address = urlsplit(ui_url)
    if host := _codespace_host(address.port):
        return Link(f"{host}{page}")
    server = jupyter_server()
    if server is None or not address.path.startswith(server.base_path):
        return Link(f"{ui_url}{page}")
    if server.lacks_proxy:
        return NoLink(NO_PROXY.format(address=f"{ui_url}{page}"))
    below = address.path.removeprefix(server.base_path)
    return Link(f"{server.public_url or server.base_path}{below}{page}")


def jupyter_server() -> JupyterServer | None:
    """The one behind a proxy that serves this kernel; ``None`` if there is none."""
    if _is_codespace():
        return None
    running = _running_server()
    base_path = os.environ.get("JUPYTERHUB_SERVICE_PREFIX") or running.get("base_url") or "/"
    if base_path == "/":
        return None
    base_path = f"/{base_path.strip('/')}/"
    public_url = os.environ.get("JUPYTERHUB_PUBLIC_URL", "")
    return JupyterServer(
        base_path,
        f"{public_url.rstrip('/')}/" if public_url else "",
        running.get("url", ""),
    )


def _running_server() -> dict[str, str]:
    """What the kernel's parent, if it is a Jupyter server, has written down of itself."""
    parent = os.environ.get("JPY_PARENT_PID")
    if not parent:
        return {}
    from jupyter_core.paths import jupyter_runtime_dir

    try:
        written = Path(jupyter_runtime_dir(), f"jpserver-{parent}.json").read_text(encoding="utf-8")
        entries = dict(json.loads(written)).items()
    except (OSError, ValueError, TypeError):
        return {}
    return {name: value for name, value in entries if isinstance(value, str)}


def _is_codespace() -> bool:
    return bool(os.environ.get("CODESPACE_NAME"))


def _codespace_host(port: int | None) -> str:
    """Where GitHub forwards a port to; "" elsewhere."""
    if not _is_codespace():
        return ""
    domain = os.environ.get("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN") or CODESPACES_DOMAIN
    return f"https://{os.environ['CODESPACE_NAME']}-{port}.{domain}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """A redirect, to the login, is an answer."""


def _open(url: str) -> None:
    """Ask for ``url``, not by way of a proxy for the world outside."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
    opener.open(url, timeout=PROBE_SECONDS).close()
