"""``prove`` finds the steps of sagas that it has never seen, and names what they lose."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

import tests.paths  # noqa: F401

# isort: split
import lab.simulation
from lab.shop import Shop, hasty
from lab.simulation import CannotProve, Proof, Schedule, Update, prove
from prove_sagas import (
    Answering,
    AsksAPerson,
    ByUpdate,
    Careless,
    Forgetful,
    InChildren,
    Market,
    Masking,
    NothingToDo,
    Order,
    PivotInTheMiddle,
    RegisteredFirst,
    SideBySide,
    Sleepless,
    Stall,
)

from tests.sampling import few

HERE = Path(__file__).parent
REPOSITORY = HERE.parent
FOLDER = HERE / "bring_your_own"


def proven(workflow: Any, **more: Any) -> Proof:
    market = Market()
    return prove(
        workflow,
        [Stall(market)],
        argument=Order("O-1"),
        left_behind=market.held,
        world=market,
        **{"random": 15, **more},
    )


# --- sagas of every shape hold -------------------------------------------------------------


@pytest.mark.parametrize("workflow", few([SideBySide, PivotInTheMiddle]))
def test_other_shapes_hold(workflow: type) -> None:
    proof = proven(workflow)
    assert proof.holds, proof
    assert proof.chart.undo_of["take_apples"] == "return_apples"


def test_an_undo_that_is_down_for_good_may_wait_for_a_person() -> None:
    proof = proven(AsksAPerson)
    assert proof.holds, proof


def test_steps_in_child_workflows() -> None:
    from prove_sagas import Fruit, UndoFruit

    proof = proven([InChildren, Fruit, UndoFruit])
    assert proof.holds, proof
    assert {"take_apples", "take_pears"} <= set(proof.chart.steps)


def test_an_update_instead_of_a_second_activity() -> None:
    proof = proven(ByUpdate, messages=[Update(0, name="approve", args=(True,))])
    assert proof.holds, proof


def test_without_the_update_it_says_what_is_missing() -> None:
    with pytest.raises(CannotProve, match=r"is open and waits.*messages"):
        proven(ByUpdate)


def test_a_saga_that_answers_its_failure() -> None:
    assert proven(Answering, stands=lambda result: result == "done").holds
    assert not proven(Answering).holds


# --- what is wrong is named -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("workflow", "mistake"),
    [
        (Forgetful, "a step without its undo"),
        (Masking, "first failure masked"),
        (Careless, "undo given up"),
        (Sleepless, "not deterministic"),
    ],
)
def test_mistakes_by_name(workflow: type, mistake: str) -> None:
    proof = proven(workflow)
    assert mistake in proof.mistakes, proof
    assert mistake in repr(proof)
    assert mistake in proof._repr_html_()


def test_what_is_often_written_down_loses_cancel_requests_alone() -> None:
    """The copy kit says so of the saga pattern in Temporal's documentation."""
    row = proven(RegisteredFirst, random=0).row
    lost = {kind for kind, tally in row.items() if tally.lost}
    assert lost == {"cancel", "cancel while undoing"}, row
    assert {"outage", "lost reply", "late commit", "crash", "undo down"} <= set(row)


def test_a_step_that_is_done_and_fails_is_missed_by_a_late_undo() -> None:
    """The parcel service books, and does not answer: no attempt was ever carried out."""
    order = hasty.Order("O-1", "lamp", 4_900, "1 Main Street")
    proof = prove(
        hasty.PlaceOrder,
        lambda shop: [hasty.Desk(shop)],
        argument=order,
        left_behind=lambda shop: shop.held(),
        world=Shop,
        rejection="Refused",
        random=0,
    )
    late = {loss.where for loss in proof.losses if loss.mistake == "undo registered after its step"}
    assert late == {"reserve_stock", "book_parcel"}
    assert "an undo that does not undo" not in proof.mistakes, proof


def test_a_loss_can_be_replayed_from_what_is_printed() -> None:
    proof = proven(Forgetful)
    loss = proof.losses[0]
    again = eval(repr(loss.schedule), vars(lab.simulation))
    assert again == loss.schedule
    assert isinstance(again, Schedule)
    assert len(again) <= 2


def test_the_row_counts_what_the_card_counts() -> None:
    proof = proven(Forgetful)
    assert proof.row["outage"].lost > 0
    assert sum(tally.tried for tally in proof.row.values()) == proof.tried
    assert str(proof.row["outage"]) == f"{proof.row['outage'].lost} of {proof.row['outage'].tried}"
    assert str(proof.row["calm"]) == "0"


def test_the_same_seed_gives_the_same_report() -> None:
    assert repr(proven(Forgetful)) == repr(proven(Forgetful))


def test_nothing_to_prove() -> None:
    with pytest.raises(CannotProve, match="without an Activity"):
        proven(NothingToDo)


# --- taken home ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def taken_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that somebody makes for a saga of their own."""
    home = tmp_path_factory.mktemp("home")
    shutil.copy(REPOSITORY / "travel" / "saga.py", home)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(lab.simulation.__file__).parent, home / "simulation", ignore=ignored)
    for path in FOLDER.glob("*concert.py"):
        shutil.copy(path, home)
    for name, text in shown().items():
        (home / name).write_text(text, encoding="utf-8")
    return home


def shown() -> dict[str, str]:
    """What the copy kit and notebook 16 show as files, by name."""
    kit = (REPOSITORY / "notebooks" / "copy_kit.md").read_text(encoding="utf-8")
    notebook = json.loads(
        (REPOSITORY / "notebooks" / "16_your_own_saga.ipynb").read_text(encoding="utf-8")
    )
    cells = "\n".join("".join(cell["source"]) for cell in notebook["cells"])
    blocks = re.findall(r"```python\n(.*?)```", kit, re.DOTALL)
    (template,) = re.findall(r"```python\n(# test_my_saga.py.*?)```", cells, re.DOTALL)
    named = {text.split()[1]: text for text in blocks if text.startswith("# ")}
    (again,) = (text for text in blocks if not text.startswith("# "))
    return {**named, "again.py": again, "test_template.py": template}


def run_at(home: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)


def run_pytest(python: Path | str, home: Path) -> str:
    ran = run_at(home, python, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.timeout(600)
@pytest.mark.everything
def test_it_can_be_taken_home(taken_home: Path) -> None:
    assert "4 passed" in run_pytest(sys.executable, taken_home)


@pytest.mark.timeout(600)
@pytest.mark.everything
def test_what_it_finds_at_home_is_read_in_full(taken_home: Path, tmp_path: Path) -> None:
    """Without its tombstones the saga of the copy kit loses something, and pytest says what."""
    home = shutil.copytree(taken_home, tmp_path / "home")
    services = (home / "services.py").read_text(encoding="utf-8")
    tombstone = '        self.answers[key] = "undone"'
    assert tombstone in services
    careless = services.replace(tombstone, "        self.answers.pop(key, None)")
    (home / "services.py").write_text(careless, encoding="utf-8")
    ran = run_at(home, sys.executable, "-m", "pytest", "-q", "test_my_saga.py")
    assert "1 failed" in ran.stdout
    assert "FAILS  each step done only after its time was up" in ran.stdout
    assert "Schedule(" in ran.stdout


def test_a_schedule_is_replayed_as_the_copy_kit_shows(taken_home: Path) -> None:
    ran = run_at(taken_home, sys.executable, "again.py")
    assert ran.stdout.split()[:2] == ["canceled", "[]"], ran.stderr
    assert "workflow_execution_cancel_requested" in ran.stdout


def test_it_needs_the_sdk_alone() -> None:
    """Relative imports, the standard library, ``temporalio`` and what that brings along."""
    allowed = {"temporalio", "google", "simulation", *sys.stdlib_module_names}
    for path in Path(lab.simulation.__file__).parent.glob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.split()
            if words[:1] in (["import"], ["from"]) and len(words) > 1 and line[0] != " ":
                top = words[1].split(".")[0]
                assert not top or top in allowed, (path.name, line)


@pytest.mark.everything
@pytest.mark.timeout(900)
def test_it_can_be_taken_home_to_a_fresh_environment(taken_home: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    pinned = [
        line.partition("#")[0].strip()
        for line in (REPOSITORY / "requirements.txt").read_text().splitlines()
        if line.startswith("temporalio")
    ]
    install = [str(python), "-m", "pip", "install", "-q", *pinned, "pytest"]
    subprocess.run(install, check=True, capture_output=True)
    assert "4 passed" in run_pytest(python, taken_home)
