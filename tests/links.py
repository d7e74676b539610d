"""The links of pages and notebooks: those within the repository, and those into the world.

    python -m tests.links        asks each address outside once, and exits with 1 if one is gone

Uses the standard library alone.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 30
TRIES = 3
GONE = {404, 410}

MARKDOWN = re.compile(r"\]\(<?([^)\s>]+)")
HTML = re.compile(r"""<(?:a|img)\b[^>]*?\s(?:href|src)=["']([^"']+)""")
BARE = re.compile(r"(?<![(\"'])\bhttps?://[^\s)>\]\"'`]+")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
HEADING = re.compile(r"^#+ +(.*?) *$", re.MULTILINE)
OURS = re.compile(r"https?://(localhost|127\.0\.0\.1)\b")


def texts() -> Iterator[tuple[Path, str]]:
    """Pages and notebooks, with the Markdown of each."""
    pages = [ROOT / "README.md", ROOT / "tests" / "PROOFS.md"]
    for path in [*pages, *sorted((ROOT / "notebooks").glob("*.md"))]:
        yield path, path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
        yield path, "\n\n".join(sources)


def links(text: str) -> set[str]:
    """Every link in a piece of Markdown, but for what stands in code."""
    prose = CODE.sub("", text)
    found = {*MARKDOWN.findall(prose), *HTML.findall(prose), *BARE.findall(prose)}
    return {link.rstrip(".,;:") for link in found}


def is_outside(link: str) -> bool:
    return re.match(r"[a-z]+:", link) is not None


def anchors(path: Path) -> set[str]:
    """What can stand behind the # of a link to a page or a notebook."""
    text = next((text for name, text in texts() if name == path), "")
    titles = HEADING.findall(CODE.sub(lambda code: code[0].strip("`"), text))
    github = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    jupyter = {title.replace(" ", "-") for title in titles}
    return github | jupyter


def problem_inside(page: Path, link: str) -> str | None:
    """Why a relative link leads nowhere, or ``None``."""
    file, _, anchor = unquote(link).partition("#")
    target = (page.parent / file).resolve() if file else page
    if not target.is_relative_to(ROOT):
        return None  # pages of the place where the repository lies, such as ../../issues
    if not target.exists():
        return f"{page.name}: {link} names no file"
    if anchor and target.suffix in {".md", ".ipynb"} and anchor not in anchors(target):
        return f"{page.name}: {link} names no heading"
    return None


def problem_outside(link: str) -> str | None:
    """What an address answers that it should not, or ``None``; a refusal of robots is none."""
    reason = ""
    for _ in range(TRIES):
        request = urllib.request.Request(link, headers={"User-Agent": "link check"})
        try:
            urllib.request.urlopen(request, timeout=PATIENCE_SECONDS).close()
            return None
        except urllib.error.HTTPError as error:
            if error.code not in GONE and error.code < 500:
                return None
            reason = str(error)
        except OSError as error:
            reason = str(error)
    return f"{link}: {reason}"


def main() -> int:
    """Print each address that is gone."""
    outside = {link for _, text in texts() for link in links(text) if link.startswith("http")}
    outside = {link for link in outside if not OURS.match(link)}
    with ThreadPoolExecutor(8) as pool:
        problems = [problem for problem in pool.map(problem_outside, sorted(outside)) if problem]
    print("\n".join([*problems, f"{len(outside)} links, {len(problems)} lead nowhere"]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
