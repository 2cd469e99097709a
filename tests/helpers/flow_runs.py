"""What tests of flow runs on a real server ask: how did it end, what is published, does the next run complete it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import pandas as pd
import psutil
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, LogFilter, LogFilterFlowRunId, TaskRunFilter
from prefect.client.schemas.objects import State

from finnex.config import StoreSettings, load_config
from finnex.pipeline import build
from finnex.store import READY, ImageStore
from flows.prefect_api.requests import BackfillRequest
from flows.prefect_api.runs import FlowRuns

BACKFILL = "finnex-backfill/backfill"


def ignore(*_: object) -> None:
    """Show nothing."""


def other_project(served: Path, folder: Path, *changes: tuple[str, str]) -> Path:
    """Return a copy of the served configuration, with another store and some lines changed."""
    text = served.read_text()
    for before, after in (('path = "images.zarr"', f'path = "{folder / "images.zarr"}"'), *changes):
        assert before in text
        text = text.replace(before, after)
    (folder / "finnex.toml").write_text(text)
    return folder / "finnex.toml"


def other_prices(served: Path, table: Path) -> tuple[str, str]:
    """Return the change of a configuration that reads its prices from another table."""
    line = next(line for line in served.read_text().splitlines() if line.startswith("prices"))
    return line, f'prices = "{table}"'


def prices_until(last: str, served: Path, table: Path) -> tuple[str, str]:
    """Write the bars up to a day as another table; return the change that reads it."""
    bars = pd.read_csv(load_config(served).inputs.files_of("prices")[0])
    bars[bars["date"] <= last].to_csv(table, index=False)
    return other_prices(served, table)


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


def draws(config_path: Path) -> bool:
    """Return whether an image is published; reads no image, so that a run is met early."""
    path = load_config(config_path).store.path
    if not (path / "zarr.json").exists():
        return False
    store = ImageStore.open(path)
    return any(bool((store.state(symbol).status == READY).any()) for symbol in store.symbols)


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


def completes(runs: FlowRuns, config: Path, tmp_path: Path, before: dict[tuple[str, int], np.ndarray]) -> UUID:
    """Run a backfill to its end: nothing that was published is lost or changed, and all is there."""
    run = runs.start(BACKFILL, BackfillRequest(config=str(config)))
    runs.follow(run, ignore)
    now = published(config)
    assert all(np.array_equal(before[key], now[key]) for key in before)
    settings = load_config(config)
    assert ImageStore.open(settings.store.path).fingerprint() == calm_fingerprint(config, tmp_path)
    assert not list(settings.store.path.glob(".finnex/drafts/*/*"))
    return run


def ends(runs: FlowRuns, run: UUID) -> State[Any]:
    """Wait for the end of a run and of all its tasks; return its state."""
    state = until(lambda: (found := state_of(runs, run)) is not None and found.is_final() and found)
    until(lambda: nothing_left_running(runs, run))
    return state


def log_of(runs: FlowRuns, run: UUID) -> list[str]:
    with runs.client() as client:
        return [log.message for log in client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run])))]


def says(runs: FlowRuns, run: UUID, line: str) -> str:
    """Wait for a line of a run's log that begins so, and return it: logs arrive a little later."""
    return str(until(lambda: [found for found in log_of(runs, run) if found.startswith(line)], 20)[0])
