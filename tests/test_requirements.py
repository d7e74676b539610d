"""Two lists of requirements: what a learner needs, and what only tests, checks and slides need."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LEARNER = ROOT / "requirements.txt"
TESTS = ROOT / "tests" / "requirements.txt"
PUBLISHING = ROOT / "notebooks" / "lab" / "publishing"  # instructors install the second list
OURS = {"travel", "lab"}

REQUIREMENT = re.compile(r"([\w.-]+)(\[\w+\])?==[\w.]+(; [^#]+?)? +# \S.*")


def lines(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith(("#", "-r "))]


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(path: Path) -> list[str]:
    return [normalized(re.split(r"[\[=;]", line)[0]) for line in lines(path)]


def with_what_they_need(distributions: Iterable[str]) -> set[str]:
    """These, and what pip installs with them."""
    found: set[str] = set()
    waiting = list(distributions)
    while waiting:
        name = normalized(waiting.pop())
        if name in found:
            continue
        found.add(name)
        try:
            needed = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # not on this platform
            continue
        waiting += [re.split(r"[^\w.-]", each)[0] for each in needed if "extra ==" not in each]
    return found


def imported(source: str) -> Iterator[str]:
    """Top-level packages that a piece of Python imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def course_sources() -> Iterator[tuple[str, str]]:
    """Name and code of each module that a learner runs, and of each cell."""
    for path in [*(ROOT / "travel").rglob("*.py"), *(ROOT / "notebooks" / "lab").rglob("*.py")]:
        if PUBLISHING not in path.parents:
            yield path.name, path.read_text(encoding="utf-8")
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "code" and not source.startswith("%%"):
                yield path.name, re.sub(r"^[%!]", "# ", source, flags=re.MULTILINE)


def test_every_requirement_is_pinned_and_says_why() -> None:
    assert [line for line in lines(LEARNER) + lines(TESTS) if not REQUIREMENT.fullmatch(line)] == []


def test_nothing_is_listed_twice() -> None:
    assert "-r ../requirements.txt" in TESTS.read_text(encoding="utf-8").splitlines()
    both = names(LEARNER) + names(TESTS)
    assert sorted(both) == sorted(set(both))


def test_the_course_imports_only_what_a_learner_installs() -> None:
    installed = with_what_they_need(names(LEARNER))
    providers = metadata.packages_distributions()
    strangers = {
        (where, package)
        for where, source in course_sources()
        for package in imported(source)
        if package not in sys.stdlib_module_names and package not in OURS
        if not installed & {normalized(name) for name in providers.get(package, [])}
    }
    assert strangers == set()


@pytest.mark.parametrize("name", ["ruff", "mypy", "selenium", "hypothesis", "jupyterhub", "sphinx"])
def test_a_learner_does_not_install(name: str) -> None:
    assert name not in with_what_they_need(names(LEARNER))


def test_nothing_else_names_a_version() -> None:
    """Workflows, containers and hubs install from the two lists."""
    listed = re.compile(
        "|".join(rf"\b{name}(\[\w+\])?==" for name in names(LEARNER) + names(TESTS))
    )
    folders = (".ci", ".github", ".devcontainer", ".binder")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    assert files
    assert [path.name for path in files if listed.search(path.read_text(encoding="utf-8"))] == []
