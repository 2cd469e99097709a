"""A flow is killed, cancelled, queued, or loses its server: the store stays whole and the next run completes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from datetime import date
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.states import Cancelling

from finnex.config import load_config
from finnex.store import ImageStore
from flows.prefect_api.requests import BackfillRequest, NightlyRequest
from flows.prefect_api.runs import FlowRuns
from flows.servers.stack import Stack
from tests.helpers.flow_runs import (
    BACKFILL,
    calm_fingerprint,
    completes,
    draws,
    ends,
    ignore,
    nothing_left_running,
    other_project,
    process_of,
    published,
    state_of,
    until,
)

pytest_plugins = ("tests.helpers.servers",)
pytestmark = pytest.mark.integration


@pytest.fixture
def project(served_project: Path, tmp_path: Path) -> Path:
    """Two symbols over 150 sessions, more images than are published together, with a store of their own."""
    return other_project(served_project, tmp_path)


@pytest.mark.accept
def test_a_flow_process_that_is_killed_is_told_crashed_and_the_next_run_completes(
    runs: FlowRuns, project: Path, tmp_path: Path
) -> None:
    run = runs.start(BACKFILL, BackfillRequest(config=str(project)))
    until(lambda: draws(project))
    process = process_of(run)
    assert process is not None
    process.suspend()  # it hands out no more dates while its workers are gathered
    for child in process.children(recursive=True):
        child.kill()
    process.kill()
    state = ends(runs, run)
    assert state.type == StateType.CRASHED
    assert state.message
    before = published(project)
    assert 0 < len(before) < 2 * 149
    completes(runs, project, tmp_path, before)


@pytest.mark.accept
def test_a_run_that_is_cancelled_stops_and_leaves_whole_images_only(
    runs: FlowRuns, project: Path, tmp_path: Path
) -> None:
    run = runs.start(BACKFILL, BackfillRequest(config=str(project)))
    until(lambda: draws(project))
    with SyncPrefectClient(f"{runs.address}/api") as client:
        client.set_flow_run_state(run, Cancelling())
    assert ends(runs, run).type == StateType.CANCELLED
    until(lambda: process_of(run) is None)
    before = published(project)
    time.sleep(1)
    assert set(published(project)) == set(before), "something went on drawing"
    completes(runs, project, tmp_path, before)


@pytest.mark.accept
def test_two_backfills_and_a_night_over_overlapping_ranges_wait_for_each_other(
    runs: FlowRuns, project: Path, tmp_path: Path
) -> None:
    where = str(project)
    started = [
        runs.start(BACKFILL, BackfillRequest(config=where, end=date(2015, 5, 1))),
        runs.start("finnex-nightly/nightly", NightlyRequest(config=where, wait_minutes=0)),
        runs.start(BACKFILL, BackfillRequest(config=where, start=date(2015, 4, 1), symbols=["AAPL"])),
    ]
    for run in started:
        runs.follow(run, ignore)
    built = sum(runs.table(run, "build-result")[0]["built"] for run in started)
    config = load_config(project)
    assert built == sum(len(ImageStore.open(config.store.path).open_images(name)["date"]) for name in config.symbols)
    assert ImageStore.open(config.store.path).fingerprint() == calm_fingerprint(project, tmp_path)


@pytest.mark.accept
def test_a_server_that_restarts_in_mid_flow_costs_the_run_nothing(served_project: Path, tmp_path: Path) -> None:
    project = other_project(served_project, tmp_path)
    with Stack(tmp_path / "state", prefect_port=0, mlflow_port=0) as stack:
        runs = FlowRuns(stack.prefect_address)
        run = runs.start(BACKFILL, BackfillRequest(config=str(project)))
        until(lambda: draws(project))
        service, process = next(one for one in stack._running if one[0].name == "Prefect server")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(4)
        assert state_of(runs, run) is None, "the server is down"
        with service.log.open("ab") as log:
            again = subprocess.Popen(
                service.command, env=service.environment, cwd=stack.state, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        stack._running[stack._running.index((service, process))] = (service, again)
        until(service.ready)
        state = until(lambda: (found := state_of(runs, run)) is not None and found.is_final() and found, 180)
        assert state.is_completed(), state.message
        until(lambda: nothing_left_running(runs, run))
        assert runs.table(run, "build-result")[0]["failed"] == 0
    config = load_config(project)
    assert ImageStore.open(config.store.path).fingerprint() == calm_fingerprint(project, tmp_path)
