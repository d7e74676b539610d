"""The scripts before Temporal lose what notebook 01 says that they lose."""

from __future__ import annotations

import asyncio
import importlib
from types import ModuleType

import pytest
from lab.breaking.scorekeeping import SCRIPTS, recorded
from lab.breaking.scripts import new_database, run_until_killed, score_script
from lab.original.providers import Providers

from travel.audit import audit
from travel.faults import ScriptedFaults
from travel.store.address import URL_VARIABLE
from travel.store.database import Database


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setenv(URL_VARIABLE, "")  # put back after the test
    return new_database()


def load(row: str) -> ModuleType:
    return importlib.import_module(f"lab.original.{SCRIPTS[row]}")


@pytest.mark.parametrize(("row", "kept_cents"), [("script", 122500), ("script with rollback", 0)])
def test_what_the_limousine_costs(database: Database, row: str, kept_cents: int) -> None:
    script = load(row)
    (trip,) = script.asked_for("Customer-001", "limousine")
    asyncio.run(script.book_and_never_crash(Providers(database, ScriptedFaults(())), trip))
    assert audit(database).money_kept_cents == kept_cents


def test_a_rollback_dies_with_its_process(database: Database) -> None:
    script = load("script with rollback").__name__
    told = run_until_killed(script, "Customer-001", "limousine", at="refund_payment")
    assert told.lines == ["The process was killed in refund_payment."]
    report = audit(database)
    assert (report.orphans, report.money_kept_cents) == (0, 122500)


@pytest.mark.parametrize("row", SCRIPTS)
def test_the_record_is_right(row: str) -> None:
    board = {entry.design: entry.cells for entry in recorded().rows}
    assert asyncio.run(score_script(load(row))) == board[row]
