"""How the notebooks are checked: strictly, but for run ids, times of day and ports."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from nbval.plugin import get_sanitize_patterns

ROOT = Path(__file__).resolve().parents[1]
SANITIZER = (ROOT / "tests" / "nbval.cfg").read_text(encoding="utf-8")


def sanitize(text: str) -> str:
    for pattern, replacement in get_sanitize_patterns(SANITIZER):
        text = re.sub(pattern, replacement, text)
    return text


def test_no_sanitizer_pair_is_dropped() -> None:
    assert len(get_sanitize_patterns(SANITIZER)) == SANITIZER.count("\nregex: ") > 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("run 019a7b1e-0c3d-7d52-a9f1-5f0d3c2b1a00", "run 7c9e6679-7425-40de-944b-e07fc1f90ae7"),
        ("http://127.0.0.1:8233/namespaces", "http://127.0.0.1:40123/namespaces"),
        ("http://localhost:8233/namespaces/a", "/user/ann/proxy/absolute/8233/namespaces/a"),
        ("http://127.0.0.1:8233/namespaces/a", "https://a-b-8233.app.github.dev/namespaces/a"),
        ("at 2026-11-23T11:07:59.123Z", "at 2027-01-02T00:00:00Z"),
        ("at 2026-11-23 11:07:59+00:00", "at 2027-01-02 00:00:00+01:00"),
        ("at 11:07:59", "at 23:59:00.5"),
    ],
)
def test_may_differ(first: str, second: str) -> None:
    assert sanitize(first) == sanitize(second)


@pytest.mark.parametrize(
    "text",
    ["2025-01-20", "$1,225.00", "booking-Customer-001-TRIP-001", "12 of 44", "25 %", "0:3", "5432"],
)
def test_is_compared(text: str) -> None:
    assert sanitize(text) == text


@pytest.mark.everything
@pytest.mark.parametrize(
    ("stored", "outcome"),
    [(f"{sys.prefix} http://127.0.0.1:1\n", "1 passed"), ("something else\n", "1 failed")],
)
def test_notebook_runs_in_this_environment(tmp_path: Path, stored: str, outcome: str) -> None:
    cell = new_code_cell(
        "import sys\n\nprint(sys.prefix, 'http://127.0.0.1:2')",
        execution_count=1,
        outputs=[new_output("stream", name="stdout", text=stored)],
    )
    notebook = new_notebook(cells=[cell])
    # As in a notebook that was saved elsewhere: no such kernel on this machine.
    notebook.metadata["kernelspec"] = {"name": "nowhere", "display_name": "", "language": "python"}
    path = tmp_path / "notebook.ipynb"
    nbformat.write(notebook, path)
    config = ["-c", ROOT / ".pytest.ini", "-p", "no:cacheprovider", "--rootdir", tmp_path]
    config += ["-n", "0"]
    # CI's --all is an option of this folder, which that run does not look into.
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *config, path],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert outcome in run.stdout, run.stdout + run.stderr
