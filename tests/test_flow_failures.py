"""A flow is killed, cancelled, queued, or loses its server: the store stays whole and the next run completes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import psutil
import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, TaskRunFilter
from prefect.client.schemas.objects import StateType
from prefect.states import Cancelling
from test_arrival import ignore, other_project

from finnex.build import build
from finnex.config import StoreSettings, load_config
from finnex.store import READY, ImageStore
from flows.requests import BackfillRequest, NightlyRequest
from flows.runs import FlowRuns
from flows.stack import Stack

pytest_plugins = ("servers",)
pytestmark = pytest.mark.integration
BACKFILL = "finnex-backfill/backfill"


def until(happens: Callable[[], Any], seconds: float = 90) -> Any:
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := happens()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return found


def published(config_path: Path) -> dict[tuple[str, int], np.ndarray]:
    """Read every published image, each whole and with the bytes that were published."""
    path = load_config(config_path).store.path
    if not (path / "zarr.json").exists():
        return {}
    store, found = ImageStore.open(path), {}
    for symbol in store.symbols:
        state = store.state(symbol)
        for index in np.flatnonzero(state.status == READY):
            found[symbol, int(index)] = store.image(symbol, state.days[index])
    return found


def process_of(run: UUID) -> psutil.Process | None:
    """Return the process that runs a flow run."""
    for process in psutil.process_iter():
        try:
            if process.environ().get("PREFECT__FLOW_RUN_ID") == str(run) and "prefect" in " ".join(process.cmdline()):
                return process
        except psutil.Error:
            continue
    return None


def state_of(runs: FlowRuns, run: UUID) -> Any:
    with SyncPrefectClient(f"{runs.address}/api") as client:
        try:
            return client.read_flow_run(run).state
        except httpx.TransportError:
            return None


def nothing_left_running(runs: FlowRuns, run: UUID) -> bool:
    """Whether no task of a run says that it runs; the server records them a little later."""
    with SyncPrefectClient(f"{runs.address}/api") as client:
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=[run]))
        tasks = client.read_task_runs(flow_run_filter=wanted, task_run_filter=TaskRunFilter())
    return all(task.state is not None and task.state.is_final() for task in tasks)


def calm_fingerprint(config_path: Path, folder: Path, **range_: date) -> str:
    config = load_config(config_path)
    calm = config.model_copy(update={"store": StoreSettings(path=folder / "calm.zarr")})
    return build(calm, **range_).fingerprint  # type: ignore[arg-type]


def completes(runs: FlowRuns, config: Path, tmp_path: Path, before: dict[tuple[str, int], np.ndarray]) -> None:
    """Run a backfill to its end: nothing that was published is lost or changed, and all is there."""
    runs.follow(runs.start(BACKFILL, BackfillRequest(config=str(config))), ignore)
    now = published(config)
    assert all(np.array_equal(before[key], now[key]) for key in before)
    settings = load_config(config)
    assert ImageStore.open(settings.store.path).fingerprint() == calm_fingerprint(config, tmp_path)
    assert not list(settings.store.path.glob("*/image/.drafts/*"))


@pytest.fixture
def project(served_project: Path, tmp_path: Path) -> Path:
    """Two symbols over a quarter, with a store of their own."""
    return other_project(served_project, tmp_path, ("end = 2015-12-15", "end = 2015-05-29"))


def test_a_flow_process_that_is_killed_is_told_crashed_and_the_next_run_completes(
    runs: FlowRuns, project: Path, tmp_path: Path
) -> None:
    run = runs.start(BACKFILL, BackfillRequest(config=str(project)))
    until(lambda: published(project))
    process = process_of(run)
    assert process is not None
    for child in process.children(recursive=True):
        child.kill()
    process.kill()
    state = until(lambda: (found := state_of(runs, run)) is not None and found.is_final() and found)
    assert state.type == StateType.CRASHED
    assert state.message
    until(lambda: nothing_left_running(runs, run))
    before = published(project)
    assert 0 < len(before) < 126
    completes(runs, project, tmp_path, before)


def test_a_run_that_is_cancelled_stops_and_leaves_whole_images_only(
    runs: FlowRuns, project: Path, tmp_path: Path
) -> None:
    run = runs.start(BACKFILL, BackfillRequest(config=str(project)))
    until(lambda: published(project))
    with SyncPrefectClient(f"{runs.address}/api") as client:
        client.set_flow_run_state(run, Cancelling())
    state = until(lambda: (found := state_of(runs, run)) is not None and found.is_final() and found)
    assert state.type == StateType.CANCELLED
    until(lambda: process_of(run) is None)
    until(lambda: nothing_left_running(runs, run))
    before = published(project)
    time.sleep(1)
    assert set(published(project)) == set(before), "something went on drawing"
    completes(runs, project, tmp_path, before)


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


def test_a_server_that_restarts_in_mid_flow_costs_the_run_nothing(served_project: Path, tmp_path: Path) -> None:
    project = other_project(served_project, tmp_path)
    with Stack(tmp_path / "state", prefect_port=0, mlflow_port=0) as stack:
        runs = FlowRuns(stack.prefect_address)
        run = runs.start(BACKFILL, BackfillRequest(config=str(project)))
        until(lambda: published(project))
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
