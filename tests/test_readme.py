"""The README and the repository say the same. That its commands run is for ``.ci/run``."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
INSTALL = "python3 -m venv .venv && .venv/bin/python -m pip install -r "
TOP_LEVEL = {"README.md", "requirements.txt", "notebooks", "travel", "seed", "tests"}

PAGES = [ROOT / "tests" / "PROOFS.md", *sorted((ROOT / "notebooks").glob("*.md"))]

blocks = re.findall(r"^```(?:bash|bat)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
commands = [line for block in blocks for line in block.splitlines()]
modules = sorted(set(re.findall(r"-m (travel\.\w+)", README)))
variables = sorted(set(re.findall(r"`((?:TRAVEL|TEST)_[A-Z_]+)`", README)))


@pytest.mark.parametrize(
    ("marker", "opens"),
    [
        ("course", "requirements.txt && .venv/bin/jupyter lab notebooks/00_start_here.ipynb"),
        ("tests", "tests/requirements.txt && .venv/bin/python -m pytest"),
    ],
)
def test_start_command_needs_nothing_but_python(marker: str, opens: str) -> None:
    marked = re.findall(rf"^<!-- ci: {marker} -->\n```bash\n(.*)\n```$", README, re.MULTILINE)
    assert marked == [INSTALL + opens]


def test_the_two_start_commands_come_first() -> None:
    assert [command.startswith(INSTALL) for command in commands[:3]] == [True, True, False]


@pytest.mark.parametrize("command", commands)
def test_command_names_files_that_exist(command: str) -> None:
    named = re.findall(r"\S+\.(?:ipynb|txt|py)\b", command.replace("\\", "/"))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("module", modules)
def test_module_can_be_run(module: str) -> None:
    source = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    assert source.exists()
    assert '__name__ == "__main__"' in source.read_text(encoding="utf-8")


@pytest.mark.parametrize("variable", variables)
def test_environment_variable_is_read_somewhere(variable: str) -> None:
    folder = ROOT / ("tests" if variable.startswith("TEST_") else "travel")
    strings = {
        node.value
        for source in folder.rglob("*.py")
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
    }
    assert variable in strings


def test_top_level_holds_nothing_else() -> None:
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listing.returncode:
        pytest.skip("not a git checkout, so what is ours cannot be told apart")
    top = {name.split("/")[0] for name in listing.stdout.split("\0") if name}
    assert {name for name in top - TOP_LEVEL if not name.startswith(".")} == set()


def test_the_copy_kit_says_what_was_proved() -> None:
    proved = (ROOT / "tests" / "PROOFS.md").read_text(encoding="utf-8")
    kit = (ROOT / "notebooks" / "copy_kit.md").read_text(encoding="utf-8")
    losses = dict(re.findall(r"^\| \**(\w+)\** \|.*\*\*(\d+)\*\* \|$", proved, re.MULTILINE))
    told = re.findall(r"\(`(\w+)`\).*\| (\d+) \|", kit)
    assert len(told) == 5 and losses["BookTrip"] == "0"
    assert all(losses[design] == lost for design, lost in told)
