"""A real JupyterHub on this machine, whose users each have a copy of the course."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from jupyter_browser import CELLS, START_SECONDS, copy_course, end_server, free_port, wait_for
from processes import clean_environment
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

PASSWORD = "all users of this hub have it"

CONFIGURATION = """
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.JupyterHub.db_url = "sqlite:///{folder}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{folder}/cookie_secret"
c.JupyterHub.cleanup_servers = True
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = "{password}"
c.Authenticator.allowed_users = {users}
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = "{folder}/{{username}}"
c.Spawner.cmd = ["{python}", "-m", "jupyterhub.singleuser"]
args = ["--allow-root", "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None"]
c.Spawner.args = args
c.Spawner.notebook_dir = "~/notebooks"
c.Spawner.default_url = "/lab/tree/00_start_here.ipynb"
c.Spawner.start_timeout = c.Spawner.http_timeout = {patience}
# It waits for the end of an answer, and says of a server's start only then what became of it.
c.ConfigurableHTTPProxy.command = ["{proxy}", "--proxy-timeout", "{patience}000"]
def without_the_proxy(spawner):
    if spawner.user.name in {without}:
        spawner.args = [*args, "--ServerApp.jpserver_extensions=jupyter_server_proxy=False"]
c.Spawner.pre_spawn_hook = without_the_proxy
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.ConfigurableHTTPProxy.pid_file = "{folder}/proxy.pid"
"""


def missing_hub() -> list[str]:
    """What of a hub is not installed."""
    return [name for name in ("jupyterhub", "configurable_http_proxy") if find_spec(name) is None]


@contextmanager
def jupyterhub(folder: Path, users: tuple[str, ...], without: str) -> Iterator[str]:
    """Serve the course to these users; yields the address, ends all that was started.

    The Jupyter server of the user ``without`` lacks jupyter-server-proxy.
    """
    for user in users:
        (folder / user).mkdir()
        copy_course(folder / user)
    address = f"http://127.0.0.1:{(port := free_port())}"
    configuration = folder / "jupyterhub_config.py"
    configuration.write_text(
        CONFIGURATION.format(
            port=port,
            hub_port=free_port(),
            proxy_port=free_port(),
            folder=folder,
            password=PASSWORD,
            users=set(users),
            without={without},
            python=sys.executable,
            proxy=Path(sys.executable).with_name("configurable-http-proxy"),
            patience=START_SECONDS,
        ),
        encoding="utf-8",
    )
    with (folder / "hub.log").open("wb") as log:
        hub = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "--config", str(configuration)],
            cwd=folder,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        try:
            wait_for(f"{address}/hub/api", hub)
        except (AssertionError, TimeoutError):
            print((folder / "hub.log").read_text(encoding="utf-8"))
            raise
        yield address
    finally:
        end_server(hub)


def log_in(driver: Chrome, address: str, user: str) -> None:
    """As a person would: name, password, and wait until the notebook is there."""
    driver.get(address)
    driver.find_element(By.ID, "username_input").send_keys(user)
    driver.find_element(By.ID, "password_input").send_keys(PASSWORD)
    driver.find_element(By.ID, "login_submit").click()
    WebDriverWait(driver, START_SECONDS).until(lambda page: page.execute_script(CELLS_OR_NONE))


CELLS_OR_NONE = f"if (!window.jupyterapp) return null; {CELLS}"


def follow(driver: Chrome, address: str) -> None:
    """Click the link to ``address`` in the notebook, and go to the tab that it opens."""
    before = set(driver.window_handles)
    link = driver.find_element(By.CSS_SELECTOR, f".jp-OutputArea a[href={json.dumps(address)}]")
    driver.execute_script("arguments[0].scrollIntoView(); arguments[0].click()", link)
    opened = WebDriverWait(driver, START_SECONDS).until(
        lambda page: next(iter(set(page.window_handles) - before), None)
    )
    driver.switch_to.window(opened)
