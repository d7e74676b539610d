"""Links within the repository lead somewhere. Those into the world: ``python -m tests.links``."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from links import ROOT, is_outside, links, problem_inside, problem_outside, texts

INSIDE = [
    (page, link) for page, text in texts() for link in sorted(links(text)) if not is_outside(link)
]
README = ROOT / "README.md"


def test_there_are_some() -> None:
    assert {page.suffix for page, _ in INSIDE} == {".md", ".ipynb"}


@pytest.mark.parametrize(("page", "link"), INSIDE, ids=lambda value: getattr(value, "name", value))
def test_leads_somewhere(page: Path, link: str) -> None:
    assert problem_inside(page, link) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[a](b.md) and [c](<d.md>)", {"b.md", "d.md"}),
        ('![x](y.png "title")', {"y.png"}),
        ('<a href="z">', {"z"}),
        ("see https://example.org/a.", {"https://example.org/a"}),
        ("`[a](b)` and\n```\n[c](d)\n```", set()),
    ],
)
def test_is_found(text: str, found: set[str]) -> None:
    assert links(text) == found


@pytest.mark.parametrize(
    "link", ["no-such-file.md", "README.md#no-such-heading", "#no-such-heading"]
)
def test_a_wrong_one_is_seen(link: str) -> None:
    assert problem_inside(README, link) is not None


@pytest.fixture
def server() -> Iterator[str]:
    """Answers with the status that the path names."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(self.path[1:]))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "gone"),
    [(200, False), (403, False), (429, False), (404, True), (410, True), (503, True)],
)
def test_an_address_that_is_gone(server: str, status: int, gone: bool) -> None:
    assert (problem_outside(f"{server}/{status}") is not None) == gone
