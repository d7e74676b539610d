"""Codespaces and Binder install what everybody installs, by the README's own command."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DEVCONTAINER = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
BINDER = ROOT / ".binder"
WORKFLOW = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")


def test_a_codespace_is_set_up_by_the_command_that_ci_runs() -> None:
    course = re.search(r"^<!-- ci: course -->\n```bash\n(.*)\n```$", README, re.MULTILINE)
    assert course is not None
    assert course[1].startswith(f"{DEVCONTAINER['postCreateCommand']} && .venv/bin/jupyter lab ")


def test_a_codespace_opens_the_first_notebook() -> None:
    customizations = DEVCONTAINER["customizations"]
    assert customizations["codespaces"]["openFiles"] == ["notebooks/00_start_here.ipynb"]
    python = customizations["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert python == "${containerWorkspaceFolder}/.venv/bin/python"


def test_binder_installs_the_learner_s_list() -> None:
    requirements = (BINDER / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in requirements if line[0] != "#"] == ["-r ../requirements.txt"]


def test_what_binder_runs_is_satisfied_by_what_ci_installed() -> None:
    """Nothing is left to install, so pip needs no network to say so."""
    pip = [sys.executable, "-m", "pip", "--isolated", "install", "--dry-run", "--no-index"]
    run = subprocess.run(
        [*pip, "-r", ".binder/requirements.txt"], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert "Would install" not in run.stdout


@pytest.mark.parametrize(
    "version",
    [
        (BINDER / "runtime.txt").read_text(encoding="utf-8").strip().removeprefix("python-"),
        DEVCONTAINER["image"].rpartition(":")[2],
    ],
    ids=["Binder", "Codespaces"],
)
def test_on_a_python_that_ci_tries(version: str) -> None:
    matrix = re.search(r"python: (\[.*\])", WORKFLOW)
    assert matrix is not None
    assert version in json.loads(matrix[1])


@pytest.mark.parametrize("place", ["../../codespaces", "https://mybinder.org"])
def test_the_readme_launches(place: str) -> None:
    assert re.search(rf"\[!\[.+?\]\(https://.+?\)\]\({re.escape(place)}\)", README)
