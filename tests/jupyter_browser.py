"""A real JupyterLab on a copy of the course, and a Chromium without a window to use it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from processes import ROOT, clean_environment
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

START_SECONDS = 120
CELLS_SECONDS = 240

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1400",
)

# JupyterLab offers its application to the page when it is started with --expose-app-in-browser.
RESTART_AND_RUN_ALL = """
const done = arguments[arguments.length - 1];
const panel = window.jupyterapp.shell.currentWidget;
(async () => {
  await panel.revealed;
  await panel.sessionContext.ready;
  // As a person would. A kernel that is restarted while it starts may never answer again.
  while (panel.sessionContext.session?.kernel?.status !== "idle")
    await new Promise(resolve => setTimeout(resolve, 50));
  await panel.sessionContext.restartKernel();
  await window.jupyterapp.commands.execute("notebook:run-all-cells");
  done("ran");
})().catch(error => done(String(error)));
"""

CELLS = """
const panel = window.jupyterapp?.shell.currentWidget;
if (!panel || !panel.content || !panel.content.model) return null;
return Array.from(panel.content.model.cells).map(cell => cell.toJSON());
"""

SHOW_CELL = """
const done = arguments[arguments.length - 1];
const notebook = window.jupyterapp.shell.currentWidget.content;
notebook.activeCellIndex = arguments[0];
notebook.scrollToItem(arguments[0], "center").then(() => setTimeout(done, 500));
"""


def missing_parts() -> list[str]:
    """What this machine lacks to open a page."""
    chromium = any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return [
        *([] if chromium else ["chromium"]),
        *([] if shutil.which("chromedriver") else ["chromedriver"]),
    ]


def copy_course(folder: Path) -> Path:
    """A copy that may be changed: JupyterLab saves what it runs."""
    for part in ("notebooks", "travel", "seed"):
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    return folder / "notebooks"


@contextmanager
def jupyterlab(notebooks: Path, **further_settings: str) -> Iterator[str]:
    """Serve a folder of notebooks; yields the address, ends the server and its kernels."""
    port = free_port()
    base_url = further_settings.get("ServerApp.base_url", "")
    address = f"http://127.0.0.1:{port}{base_url.rstrip('/')}"
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    settings = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": str(port),
        "ServerApp.port_retries": "0",
        "IdentityProvider.token": "",
        "ServerApp.root_dir": str(notebooks),
        "LabApp.expose_app_in_browser": "True",
        "LabApp.news_url": "None",
        **further_settings,
    }
    private = notebooks.parent / "jupyter"
    environment = clean_environment(
        **{f"JUPYTER_{kind}_DIR": str(private) for kind in ("CONFIG", "DATA", "RUNTIME")},
        JUPYTERLAB_SETTINGS_DIR=str(private),
        JUPYTERLAB_WORKSPACES_DIR=str(private),
        IPYTHONDIR=str(private),
        COURSE_PROGRESS_FILE=str(notebooks.parent / "progress.json"),
    )
    server = subprocess.Popen(
        [*command, *(f"--{name}={value}" for name, value in settings.items())],
        cwd=notebooks,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(f"{address}/api", server)
        yield address
    finally:
        end_server(server)


@contextmanager
def chromium(profile: Path) -> Iterator[Chrome]:
    """A browser with an empty profile."""
    options = ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    driver = Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        driver.set_script_timeout(CELLS_SECONDS)
        yield driver
    finally:
        driver.quit()


def open_notebook(driver: Chrome, address: str, name: str) -> None:
    """Open a notebook and wait until its cells are there."""
    driver.get(f"{address}/lab/tree/{name}?reset")
    WebDriverWait(driver, START_SECONDS).until(lambda _: driver.execute_script(CELLS))


def restart_and_run_all(driver: Chrome) -> list[dict[str, Any]]:
    """What the menu's "Restart Kernel and Run All Cells" does; returns the cells afterwards."""
    outcome = driver.execute_async_script(RESTART_AND_RUN_ALL)
    assert outcome == "ran", outcome
    cells: list[dict[str, Any]] = driver.execute_script(CELLS)
    return cells


def photograph_picture(driver: Chrome, cells: list[dict[str, Any]], path: Path) -> bool:
    """A screenshot with the first picture of the notebook in sight."""
    drawn = [any("image/png" in o.get("data", {}) for o in c.get("outputs", [])) for c in cells]
    driver.execute_async_script(SHOW_CELL, drawn.index(True) if any(drawn) else 0)
    return bool(driver.save_screenshot(str(path)))


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until ``url`` answers with JSON."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert server.poll() is None, "JupyterLab ended as soon as it had started."
        try:
            with urllib.request.urlopen(url, timeout=5) as reply:
                json.load(reply)
                return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"JupyterLab did not answer at {url} within {START_SECONDS} s.")


def end_server(server: subprocess.Popen[bytes]) -> None:
    """End a server and all that it started."""
    kernels = psutil.Process(server.pid).children(recursive=True) if server.poll() is None else []
    server.terminate()
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    _, alive = psutil.wait_procs(kernels, timeout=10)
    for kernel in alive:
        kernel.kill()
