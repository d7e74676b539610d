"""Restart and Run All in a real JupyterLab, as a learner would do it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_browser import (
    chromium,
    copy_course,
    jupyterlab,
    missing_parts,
    open_notebook,
    photograph_picture,
    restart_and_run_all,
)
from selenium.webdriver import Chrome

NOTEBOOKS = (
    "00_start_here.ipynb",
    "03_the_saga.ipynb",
    "07_the_lost_acknowledgement.ipynb",
)

pytestmark = [
    pytest.mark.everything,
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        bool(missing_parts()) and not os.environ.get("CI"),
        reason=f"no {' and no '.join(missing_parts())} on this machine",
    ),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Chrome, str]]:
    """JupyterLab's address, and a browser to open it in."""
    folder = tmp_path_factory.mktemp("course")
    with jupyterlab(copy_course(folder)) as address, chromium(folder / "profile") as driver:
        yield driver, address


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_restart_and_run_all(lab: tuple[Chrome, str], name: str, tmp_path: Path) -> None:
    driver, address = lab
    open_notebook(driver, address, name)

    cells = restart_and_run_all(driver)

    code = [cell for cell in cells if cell["cell_type"] == "code" and "".join(cell["source"])]
    outputs = [output for cell in code for output in cell["outputs"]]
    assert all(cell["execution_count"] for cell in code)
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    # Kept with --basetemp=FOLDER.
    assert photograph_picture(driver, cells, tmp_path / f"{name}.png")
