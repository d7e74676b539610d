"""Run, kill and score the scripts before Temporal."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from lab.breaking.scenarios import Scenario, request_for, seed_data, standard_scenarios
from lab.breaking.scorekeeping import cells
from lab.original.providers import KILL_AT, Providers
from lab.running.scratch import scratch_folder
from lab.running.system import CountedScript
from lab.showing.scoreboards import Cell
from lab.showing.tables import Lines
from travel.audit import Finding, audit
from travel.models import TripRequest
from travel.store.address import URL_VARIABLE, sqlite_url
from travel.store.database import Database, open_database
from travel.store.inventory import store_seed_data

NOTEBOOKS = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class ScriptVerdict:
    """What was found after a scenario. There is no Event History to ask."""

    scenario: Scenario
    findings: list[Finding]


def new_database() -> Database:
    """A database with the seed data in it, which scripts find from now on."""
    folder = tempfile.TemporaryDirectory(dir=scratch_folder(), ignore_cleanup_errors=True)
    database = open_database(sqlite_url(Path(folder.name, "travel.sqlite")))
    atexit.register(folder.cleanup)
    atexit.register(database.close)
    store_seed_data(database, seed_data())
    os.environ[URL_VARIABLE] = str(database)
    return database


def run_until_killed(script: str, *arguments: str, at: str) -> Lines:
    """Run ``python -m script`` as a process of its own, which is killed in its call ``at``."""
    child = subprocess.run(
        [sys.executable, "-m", script, *arguments],
        cwd=NOTEBOOKS,
        env=os.environ | {KILL_AT: at},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = [*child.stdout.splitlines(), *child.stderr.splitlines()]
    return Lines([*said, _end(child.returncode, at)])


async def score_script(script: ModuleType) -> dict[str, Cell]:
    """Put a script through the standard scenarios, except those that cancel a Workflow."""
    with tempfile.TemporaryDirectory(dir=scratch_folder(), ignore_cleanup_errors=True) as folder:
        database = open_database(sqlite_url(Path(folder, "travel.sqlite")))
        try:
            store_seed_data(database, seed_data())
            return cells(await _run(script, database))
        finally:
            database.close()


async def _run(script: ModuleType, database: Database) -> list[ScriptVerdict]:
    codes = {}
    for number, scenario in enumerate(standard_scenarios(), start=1):
        if not scenario.cancels:
            request = _request_for(number, scenario)
            providers = Providers(database, CountedScript(scenario.faults))
            await script.book_and_never_crash(providers, request)
            providers.settle()
            codes[request.confirmation_code] = scenario
    findings = audit(database).findings
    return [
        ScriptVerdict(scenario, [f for f in findings if f.confirmation_code == code])
        for code, scenario in codes.items()
    ]


def _request_for(number: int, scenario: Scenario) -> TripRequest:
    """The route of the Workflows' scenario ``number``, on a day of its own.

    A script that repeats a call books more rooms than the one that it was asked for.
    """
    routes = len(seed_data().routes)
    return request_for(number * routes + number % routes, scenario.changes)


def _end(code: int, at: str) -> str:
    if code == 0:
        return f"The process ended by itself; it never came to {at}."
    return f"The process was killed in {at}."
