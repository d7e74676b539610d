"""What holds so far: kept in one file, shown, and handed in as a code."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from string import ascii_uppercase

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab import progress
from lab.checking import record
from lab.exercises import ALL, self_test
from lab.exercises.progress import NoSuchCode, Progress, notebooks, read_code
from lab.publishing import hand_in

ROOT = Path(__file__).resolve().parents[1]
NAMES = st.text(min_size=1, max_size=30).map(lambda name: " ".join(name.replace(":", " ").split()))
SOME = st.sets(st.sampled_from(list(ALL))).map(lambda held: tuple(n for n in ALL if n in held))


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COURSE_PROGRESS_FILE", str(tmp_path / "progress.json"))
    return tmp_path / "progress.json"


def check(answers: str) -> None:
    asyncio.run(self_test.check(answers))


def test_what_passes_is_kept_and_what_fails_is_not(kept: Path) -> None:
    check("a" * 10)
    assert not kept.exists()
    right = self_test.solution_code.split('"')[1]
    check(right)
    check("a" * 10)  # tried once more for fun: it did hold
    assert progress().held == ("self_test",)
    assert repr(progress()).startswith(f"1 of {len(ALL)} exercises hold.\n")
    assert "  16  holds Self-test\n" in repr(progress())
    assert list(kept.parent.iterdir()) == [kept]


@pytest.mark.parametrize("content", ["", "{", "3", '{"a": 1}', "[1, null]", "\x00"])
def test_a_file_that_cannot_be_read_is_no_progress(kept: Path, content: str) -> None:
    kept.write_text(content)
    assert progress().held == ()
    record.remember("self_test")
    assert progress().held == ("self_test",)


def test_a_folder_that_cannot_be_written_to_fails_no_check(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COURSE_PROGRESS_FILE", str(kept / "no" / "such" / "folder.json"))
    record.remember("self_test")
    assert progress().held == ()


def test_what_the_course_no_longer_has_is_not_counted(kept: Path) -> None:
    record.remember("an exercise of long ago")
    assert progress().held == ()


@given(NAMES.filter(bool), SOME)
def test_a_code_says_what_holds(name: str, held: tuple[str, ...]) -> None:
    handed_in = Progress(held, name).code
    assert read_code(handed_in) == Progress(held, name)
    letters = handed_in.rpartition(":")[2]
    assert read_code(f"{name}:{letters.lower().replace('-', ' ')}").held == held


@given(SOME, st.data())
def test_a_slip_or_a_borrowed_code_is_found(held: tuple[str, ...], data: st.DataObject) -> None:
    name, letters = Progress(held, "Ada").code.split(": ")
    places = [place for place, letter in enumerate(letters) if letter != "-"]
    place = data.draw(st.sampled_from(places))
    other = data.draw(st.sampled_from(sorted({*ascii_uppercase, *"234567"} - {letters[place]})))
    for wrong in (f"{name}: {letters[:place]}{other}{letters[place + 1 :]}", f"Bob: {letters}"):
        with pytest.raises(NoSuchCode):
            read_code(wrong)


@pytest.mark.parametrize("code", ["", "Ada", "Ada:", ": ", "Ada: 189", "Ada: A", "Ada: ÄÖÜ"])
def test_what_is_no_code_gets_a_sentence(code: str) -> None:
    with pytest.raises(NoSuchCode, match="is no code of this course for"):
        read_code(code)


def test_codes_are_read_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    good = Progress(("the_pivot",), "Ada Lovelace").code
    assert hand_in.main([good]) == 0
    assert capsys.readouterr().out.startswith(f"1 of {len(ALL)} exercises hold.")
    assert hand_in.main([good, "Bob: ABCDE"]) == 1
    assert capsys.readouterr().err == "'Bob: ABCDE' is no code of this course for 'Bob'.\n"
    assert hand_in.main([]) == 2


def test_they_are_in_the_order_of_the_course() -> None:
    """Each is checked in one notebook, the one whose number it bears."""
    found = [
        (name, int(file.name[:2]))
        for file in sorted((ROOT / "notebooks").glob("*.ipynb"))
        for cell in nbformat.read(file, as_version=4).cells
        for name in re.findall(r"^await exercises\.(\w+)\.check\(", cell.source, re.MULTILINE)
    ]
    assert found == [(name, notebooks()[name]) for name in ALL]
