"""Seen from outside: the numbers of a Worker, and alerts that fire and clear."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from temporal import Providers, Switch, a_new_trip, run, until
from temporalio.client import WorkflowHandle
from temporalio.testing import TimeSkipper
from temporalio.worker import Replayer

from tests.sampling import few
from travel.booking import result_of, start_trip
from travel.errors import Rejected
from travel.models import Decision
from travel.store.address import sqlite_url
from travel.store.database import Database
from travel.temporal.connection import connect
from travel.temporal.metrics import runtime_with_metrics
from travel.worker import running_worker
from travel.workflows.book_trip import BookTrip

ALERTS = Path(__file__).parents[1] / "travel" / "alerts.yml"
PATIENCE = 60.0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def numbers(port: int) -> dict[str, float]:
    """What the Worker serves, by name and the labels that matter."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=120) as page:
        lines = page.read().decode().splitlines()
    found: dict[str, float] = {}
    for line in lines:
        if not line.startswith("travel_"):
            continue
        name, _, value = line.rpartition(" ")
        labels = re.findall(r'\b(undo|le)="([^"]*)"', name)
        short = name.partition("{")[0] + "".join(f"/{value}" for _, value in labels)
        found[short] = found.get(short, 0) + float(value)
    return found


async def stuck_for_an_hour(handle: WorkflowHandle[Any, Any], port: int) -> None:
    def noted() -> bool:
        found = numbers(port)
        count = found.get("travel_undo_stuck_seconds_count/cancel_hotel", 0)
        return count > found.get("travel_undo_stuck_seconds_bucket/cancel_hotel/3600", 0)

    await until(lambda: asyncio.to_thread(noted), PATIENCE)


# --- the numbers ---------------------------------------------------------------------------


def test_a_stuck_undo_is_seen_and_how_long_and_when_it_is_over(
    temporal_address: str, sqlite_database: Database
) -> None:
    switch = Switch("cancel_hotel")
    port = free_port()

    async def test() -> None:
        client = TimeSkipper(
            await connect(temporal_address, runtime=runtime_with_metrics(port))
        ).client
        trip, calm = (
            a_new_trip(car_type="limousine"),
            a_new_trip(departure_date="2025-01-24", return_date="2025-01-25"),
        )
        async with running_worker(client, sqlite_database, faults=switch, queue="metrics"):
            await result_of(await start_trip(client, calm, queue="metrics"), calm, sqlite_database)
            assert not numbers(port)  # a trip that goes well is no saga's trouble
            handle = await start_trip(client, trip, queue="metrics")
            await stuck_for_an_hour(handle, port)
            found = numbers(port)
            assert found["travel_sagas_compensating_total"] == 1
            assert "travel_saga_undoing_seconds_count" not in found
            assert "travel_undo_stuck_seconds_count/cancel_flight" not in found
            assert found["travel_undo_attempts_failed_total/cancel_hotel"] > 10
            switch.down.clear()
            await result_of(handle, trip, sqlite_database)
            found = numbers(port)
            assert found["travel_sagas_compensating_total"] == 1
            assert found["travel_saga_undoing_seconds_count"] == 1
            assert found["travel_saga_undoing_seconds_sum"] > 3600
            # A replay tells no more numbers than there were.
            replayer = Replayer(workflows=[BookTrip], runtime=client.service_client.config.runtime)
            await replayer.replay_workflow(await handle.fetch_history())
            assert numbers(port) == found

    run(test())


@pytest.mark.everything
def test_the_attempt_number_never_gets_far(
    temporal_address: str, sqlite_database: Database
) -> None:
    """Why "attempt > 10" is no alert: each turn counts from 1, and none gets that far."""
    switch = Switch("cancel_hotel")
    seen: list[int] = []
    draw = switch.draw

    def noting(step: str, code: str, attempt: int) -> Any:
        if step == "cancel_hotel":
            seen.append(attempt)
            if len(seen) == 100:
                switch.down.clear()
        return draw(step, code, attempt)

    switch.draw = noting  # type: ignore[method-assign]

    async def test() -> None:
        client = TimeSkipper(await connect(temporal_address)).client
        trip = a_new_trip(car_type="limousine")
        async with running_worker(client, sqlite_database, faults=switch, queue="attempts"):
            await result_of(await start_trip(client, trip, queue="attempts"), trip, sqlite_database)

    run(test())
    assert len(seen) == 100
    assert max(seen) < 10


def test_a_refused_undo_is_counted_once_however_often_it_is_asked(
    temporal_address: str, sqlite_database: Database
) -> None:
    port = free_port()
    refused = "travel_undos_refused_total/cancel_hotel"

    async def test() -> None:
        client = await connect(temporal_address, runtime=runtime_with_metrics(port))
        trip = a_new_trip(car_type="limousine")
        hotel = Providers(cancel_hotel=(Rejected("This rate cannot be cancelled."), 2))

        async def waits_for_a_person(handle: WorkflowHandle[Any, Any], again: int) -> None:
            async def waits() -> bool:
                progress = await handle.query(BookTrip.progress)
                left = hotel.answers["cancel_hotel"][1]
                return left == again and progress.status.startswith("waiting for a dec")

            await until(waits, PATIENCE)

        options: dict[str, Any] = {"queue": "refused", "interceptors": [hotel]}
        async with running_worker(client, sqlite_database, **options):
            handle = await start_trip(client, trip, queue="refused")
            for again in (1, 0):
                await waits_for_a_person(handle, again)
                assert numbers(port)[refused] == 1
                await handle.execute_update(BookTrip.decide, Decision("cancel_hotel"))
            await result_of(handle, trip, sqlite_database)
            assert numbers(port)[refused] == 1

    run(test())


# --- the command ---------------------------------------------------------------------------


def worker_command(port: str, address: str, database: Path) -> tuple[list[str], dict[str, str]]:
    environment = {
        **os.environ,
        "TEMPORAL_ADDRESS": address,
        "TRAVEL_DATABASE_URL": sqlite_url(database),
        "TRAVEL_TASK_QUEUE": "metrics-command",
    }
    return [sys.executable, "-m", "travel.worker", "--metrics", port], environment


def test_the_worker_serves_them_on_the_loopback_address(
    temporal_address: str, tmp_path: Path
) -> None:
    port = free_port()
    command, environment = worker_command(str(port), temporal_address, tmp_path / "db.sqlite")
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        try:
            assert any("Worker started" in line for line in worker.stdout)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=120) as page:
                assert b"temporal_" in page.read()
            with socket.socket() as everywhere:
                everywhere.bind(("127.0.0.2", port))  # so it does not listen on all addresses
        finally:
            worker.terminate()
            worker.wait(20)


@pytest.mark.parametrize("port", few(["65536", "0", "-1"]))
def test_what_is_no_port_is_one_sentence(port: str, temporal_address: str, tmp_path: Path) -> None:
    command, environment = worker_command(port, temporal_address, tmp_path / "db.sqlite")
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 2
    assert ended.stderr == f"The port for metrics is {port}; expected 1 to 65535.\n"


def test_a_port_that_is_taken_is_one_sentence(temporal_address: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command, environment = worker_command(port, temporal_address, tmp_path / "db.sqlite")
        ended = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=240
        )
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"Metrics cannot be served on port {port} (")
    assert ended.stderr.endswith("expected a free port.\n")


# --- the alerts ----------------------------------------------------------------------------


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed here (Debian: apt-get install prometheus)")
    return found


def test_the_alerts_keep_their_times() -> None:
    """By promtool, which lets hours pass at once."""
    rules = Path(__file__).with_name("alerts_test.yml")
    command = [tool("promtool"), "test", "rules", rules.name]
    ended = subprocess.run(command, cwd=rules.parent, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@contextmanager
def prometheus(folder: Path, target: int) -> Iterator[int]:
    """A Prometheus that scrapes the Worker every second; yields its port.

    The alerts' windows are shortened, so that clearing takes seconds and not hours.
    """
    rules = ALERTS.read_text().replace("[5m]", "[8s]").replace("[2h]", "[8s]")
    (folder / "alerts.yml").write_text(rules.replace("for: 1m", "for: 0s"))
    job = {"job_name": "travel", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["alerts.yml"],
        "scrape_configs": [job],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    port = free_port()
    command = [
        tool("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    with subprocess.Popen(command, cwd=folder) as process:
        try:
            yield port
        finally:
            process.terminate()
            process.wait(20)


def firing(port: int) -> set[str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/alerts", timeout=120) as page:
            alerts = json.load(page)["data"]["alerts"]
    except (urllib.error.URLError, ConnectionError):
        return set()  # it is still starting
    return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}


@pytest.mark.everything
def test_prometheus_fires_while_a_provider_is_down_and_clears_after(
    temporal_address: str, sqlite_database: Database, tmp_path: Path
) -> None:
    switch = Switch("cancel_hotel")
    target = free_port()
    tool("prometheus")

    async def alerts(port: int, expected: set[str]) -> None:
        async def reached() -> bool:
            return await asyncio.to_thread(firing, port) == expected

        await until(reached, PATIENCE)

    async def test() -> None:
        runtime = runtime_with_metrics(target)
        client = TimeSkipper(await connect(temporal_address, runtime=runtime)).client
        trips = [
            a_new_trip(
                f"ALERT-{n}",
                car_type="limousine",
                departure_date=f"2025-02-{n + 1:02}",
                return_date=f"2025-02-{n + 2:02}",
            )
            for n in range(0, 9)
        ]
        with prometheus(tmp_path, target) as port:
            async with running_worker(client, sqlite_database, faults=switch, queue="alerts"):
                calm = a_new_trip(departure_date="2025-03-01", return_date="2025-03-02")
                handle = await start_trip(client, calm, queue="alerts")
                await result_of(handle, calm, sqlite_database)
                await alerts(port, set())
                handles = [await start_trip(client, trip, queue="alerts") for trip in trips]
                await alerts(port, {"UndosFail", "UndoStuck"})
                switch.down.clear()
                for handle, trip in zip(handles, trips, strict=True):
                    await result_of(handle, trip, sqlite_database)
                await alerts(port, set())

    run(test())
