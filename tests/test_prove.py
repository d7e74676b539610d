"""``prove`` finds the steps of sagas that it has never seen, and names what they lose."""

from __future__ import annotations

import os
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
    ByUpdate,
    Careless,
    Forgetful,
    InChildren,
    Market,
    Masking,
    NothingToDo,
    Order,
    PivotInTheMiddle,
    SideBySide,
    Sleepless,
    Stall,
)

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


@pytest.mark.parametrize("workflow", [SideBySide, PivotInTheMiddle])
def test_other_shapes_hold(workflow: type) -> None:
    proof = proven(workflow)
    assert proof.holds, proof
    assert proof.chart.undo_of["take_apples"] == "return_apples"


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
    return home


def run_pytest(python: Path | str, home: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ran = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.timeout(600)
@pytest.mark.everything
def test_it_can_be_taken_home(taken_home: Path) -> None:
    assert "2 passed" in run_pytest(sys.executable, taken_home)


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
    assert "2 passed" in run_pytest(python, taken_home)
