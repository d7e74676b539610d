"""Put a plain function that books a trip through trials, without Temporal.

It gets an agency with the methods of ``Activities``. What it called is written down in
the form of an Event History, so the same judges can read it.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from temporalio.api.failure.v1 import Failure

from lab.breaking.scenarios import request_for
from lab.checking.trials import Call, Found, Trial
from lab.running.system import CountedScript
from lab.showing.history import History, Step, role_of
from lab.simulation import NeverYields
from lab.simulation.guard import guarded
from travel.activities import Activities
from travel.audit import audit
from travel.errors import TravelError, Unavailable
from travel.faults import Fault
from travel.models import TripRequest
from travel.store import booking_requests
from travel.store.address import sqlite_url
from travel.store.database import Database, open_database
from travel.store.inventory import store_seed_data
from travel.store.seed_data import load_seed_data

Script = Callable[[Any, TripRequest], object]

ENDLESS_SECONDS = 2.0
"""Of processor time for one trip of a script."""


TOO_MANY = 200
"""Calls for one trip; after that the script goes round in circles."""


class _TooMany(BaseException):
    """No ``except Exception`` keeps the script going."""


class Agency:
    """The Activities as plain methods; it notes every call, and lets the script of faults speak."""

    def __init__(self, database: Database, trial: Trial) -> None:
        self._activities = Activities(database)
        self._faults = CountedScript(trial.scenario.faults)
        self.calls: list[Step] = []
        self.errors: dict[str, Exception] = {}

    def __getattr__(self, name: str) -> Callable[[Any], Any]:
        activity = getattr(self._activities, name)

        def call(message: Any) -> Any:
            if len(self.calls) >= TOO_MANY:
                raise _TooMany
            moment = float(len(self.calls))
            step = Step(name, role_of(name), "failed", 1, moment, moment, moment + 0.5)
            try:
                result = self._call(name, activity, message)
            except Exception as error:
                self.errors[name] = error
                told = replace(step, failure=type(error).__name__, message=str(error))
                self.calls.append(told)
                raise
            self.calls.append(replace(step, outcome="completed"))
            return result

        return call

    def _call(self, name: str, activity: Callable[[Any], Any], message: Any) -> Any:
        fault = self._faults.draw(name, message.confirmation_code, 1)
        if fault in (Fault.OUTAGE, Fault.BLIP):
            raise Unavailable(f"{name}: no connection.")
        result = activity(message)
        if fault is not None:
            raise Unavailable(f"{name}: connection lost before the reply.")
        return result


async def run_script(script: Script, trials: Sequence[Trial]) -> list[Found]:
    """Call ``script`` once for each trial; what was found, in the order of the trials."""
    return await asyncio.to_thread(_run_all, script, trials)


def _run_all(script: Script, trials: Sequence[Trial]) -> list[Found]:
    """Stops at the first that never ends: each of the others would take seconds too."""
    with tempfile.TemporaryDirectory(prefix="travel-") as folder:
        database = open_database(sqlite_url(Path(folder, "travel.sqlite")))
        store_seed_data(database, load_seed_data())
        try:
            found: list[Found] = []
            for place, trial in enumerate(trials, 1):
                request = request_for(place, trial.scenario.changes)
                found.append(_run(script, trial, request, database))
                if found[-1].endless:
                    break
            return [_with_findings(one, database) for one in found]
        finally:
            database.close()


def _run(script: Script, trial: Trial, request: TripRequest, database: Database) -> Found:
    agency = Agency(database, trial)
    status, reason, failure, endless = "completed", "", Failure(), ""
    try:
        guarded(lambda: script(agency, request), "Your function", limit=ENDLESS_SECONDS)
    except NotImplementedError:
        raise
    except (NeverYields, _TooMany) as error:
        status = "stuck"
        endless = str(error) or f"it made more than {TOO_MANY} calls for one trip"
    except Exception as error:
        status, reason = "failed", str(error)
        failure = _failure(error, agency)
    if status != "stuck":
        outcome: Any = "booked" if status == "completed" else "failed"
        booking_requests.record_outcome(database, request, outcome)
    end = float(len(agency.calls))
    history = History(request.workflow_id, "script", status, reason, agency.calls, [], [], end)
    own = failure.application_failure_info.type if status == "failed" else ""
    return Found(
        trial,
        request,
        status,
        history,
        [],
        failure,
        calls=[
            Call(step.activity, 2 * place, 2 * place + 1, step.outcome)
            for place, step in enumerate(agency.calls)
        ],
        endless=endless,
        task_failed=bool(own),
    )


def _failure(error: Exception, agency: Agency) -> Failure:
    """As Temporal would tell it: whose error it was."""
    failure = Failure(message=str(error))
    blamed = [name for name, raised in agency.errors.items() if raised is error]
    if blamed:
        failure.activity_failure_info.activity_type.name = blamed[-1]
    elif error.__context__ not in agency.errors.values() and not isinstance(error, TravelError):
        failure.application_failure_info.type = type(error).__name__
    return failure


def _with_findings(found: Found, database: Database) -> Found:
    code = found.request.confirmation_code
    findings = [f for f in audit(database).findings if f.confirmation_code == code]
    return replace(found, findings=findings)
