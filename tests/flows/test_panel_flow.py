"""A flow over a panel: few tasks, features from the Dask workers, one bad company, and the store of one process."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

from benchmarks.panel import symbols_of, write_tables
from finnex.config import StoreSettings, load_config
from finnex.pipeline import build
from finnex.pipeline.workers import FEW_COMPANIES
from finnex.store import READY, ImageStore
from finnex.store.states import DRAFTED
from flows.prefect_api.requests import BackfillRequest, NightlyRequest, QaRequest
from flows.prefect_api.runs import FlowRuns
from flows.warned import LEFT_OUT, WITH_WARNINGS
from tests.helpers.csv_panel import csv_config
from tests.helpers.flow_runs import BACKFILL, draws, ends, log_of, other_project, process_of, says, until

pytest_plugins = ("tests.helpers.servers",)
pytestmark = pytest.mark.integration
SYMBOLS = ("NVDA", "AAPL", "AMZN", "GOOG", "META", "NFLX")
FIRST, LAST = date(2015, 3, 2), date(2015, 3, 3)
COMPANIES, SESSIONS, BAD = 12, 100, "C0003"
NIGHTLY = "finnex-nightly/nightly"


def test_a_flow_over_many_companies_has_their_features_from_workers_and_the_store_of_one_process(
    runs: FlowRuns, served_project: Path, tmp_path: Path
) -> None:
    assert len(SYMBOLS) > FEW_COMPANIES
    names = ", ".join(f'"{symbol}"' for symbol in SYMBOLS)
    project = other_project(served_project, tmp_path, ('symbols = ["NVDA", "AAPL"]', f"symbols = [{names}]"))
    run = runs.start(BACKFILL, BackfillRequest(config=str(project), start=FIRST, end=LAST))
    assert ends(runs, run).is_completed()
    assert says(runs, run, f"The features of {len(SYMBOLS)} companies are computed on Dask workers")
    assert runs.table(run, "build-result")[0]["built"] == 2 * len(SYMBOLS)
    assert not [line for line in log_of(runs, run) if "is computed in this process" in line]
    config = load_config(project)
    here = config.model_copy(update={"store": StoreSettings(path=tmp_path / "here.zarr")})
    assert build(here, start=FIRST, end=LAST).fingerprint == ImageStore.open(config.store.path).fingerprint()


@pytest.fixture
def panel(tmp_path: Path) -> Path:
    """The configuration of a panel of twelve companies, none drawn yet."""
    write_tables(tmp_path, COMPANIES, SESSIONS)
    for name in ("prices", "filings", "sentiment", "macro"):
        frame = pd.read_parquet(tmp_path / f"{name}.parquet").rename(columns={"filed": "available_date"})
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    prices = pd.read_csv(tmp_path / "prices.csv")
    days = sorted(prices["date"].unique())
    path = tmp_path / "finnex.toml"
    lines = (f"start = {days[-2]}", f"end = {days[-1]}", 'on_bad_company = "leave out"')
    path.write_text(csv_config(symbols_of(COMPANIES), *lines))
    return path


def task_names(runs: FlowRuns, run: UUID) -> list[str]:
    """Return the names of the tasks of a run that has drawn; the server learns of them by events, which may be late."""

    def names() -> list[str]:
        with runs.client() as client:
            found = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run])))
        return [task.name for task in found]

    until(lambda: any("images" in name for name in names()))
    return names()


def events(runs: FlowRuns, run: UUID) -> set[str]:
    day = {"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
    wanted = {"resource": {"id": [f"prefect.flow-run.{run}"]}, "occurred": day}
    with runs.client() as client:
        answer = client.request("POST", "/events/filter", json={"filter": wanted, "limit": 50}).json()["events"]
    return {event["event"] for event in answer}


def progress_of(runs: FlowRuns, run: UUID) -> Iterator[dict[str, Any]]:
    with runs.client() as client:
        for artifact in runs._artifacts(client, run, "progress"):
            yield json.loads(artifact.model_dump_json())


def test_a_night_with_one_bad_company_is_few_tasks_and_ends_with_a_warning_that_an_automation_sees(
    runs: FlowRuns, panel: Path, tmp_path: Path
) -> None:
    sound = (tmp_path / "prices.csv").read_text()
    prices = pd.read_csv(tmp_path / "prices.csv", dtype=str)
    prices.loc[prices.index[prices["symbol"] == BAD][-1], "close"] = "x"
    prices.to_csv(tmp_path / "prices.csv", index=False)
    request = NightlyRequest(config=str(panel), wait_minutes=0)

    run = runs.start(NIGHTLY, request)
    state = ends(runs, run)
    assert (state.name, state.is_completed()) == (WITH_WARNINGS, True), state.message
    assert str(state.message).startswith(f"1 company is left out ({BAD})")
    until(lambda: f"prefect.flow-run.{WITH_WARNINGS}" in events(runs, run))
    [row] = runs.table(run, LEFT_OUT)
    assert row["company"] == BAD
    assert "column 'close'" in row["problem"]
    assert row["remedy"]
    drawn = 2 * (COMPANIES - 1)
    assert runs.table(run, "build-result")[0]["built"] == drawn
    names = [name for name in task_names(runs, run) if not name.startswith("read inputs")]
    assert len(names) == 1
    assert names[0].startswith(f"{COMPANIES - 1} companies, ")
    assert names[0].endswith(f", {drawn} images")
    [progress] = progress_of(runs, run)
    assert "1 company is left out" in progress["description"]
    assert BAD not in ImageStore.open(load_config(panel).store.path).symbols

    checked = runs.start("finnex-qa/qa", QaRequest(config=str(panel)))
    ends(runs, checked)
    assert [one["company"] for one in runs.table(checked, LEFT_OUT)] == [BAD]

    (tmp_path / "prices.csv").write_text(sound)
    healed = runs.start(NIGHTLY, request)
    assert ends(runs, healed).name == "Completed"
    config = load_config(panel)
    calm = config.model_copy(update={"store": StoreSettings(path=tmp_path / "calm.zarr")})
    assert ImageStore.open(config.store.path).fingerprint() == build(calm).fingerprint


def test_a_night_in_which_all_are_bad_fails(runs: FlowRuns, panel: Path, tmp_path: Path) -> None:
    prices = pd.read_csv(tmp_path / "prices.csv", dtype=str)
    prices["close"] = "x"
    prices.to_csv(tmp_path / "prices.csv", index=False)
    run = runs.start(NIGHTLY, NightlyRequest(config=str(panel), wait_minutes=0))
    state = ends(runs, run)
    assert state.is_failed()
    assert "column 'close'" in str(state.message)


def test_a_backfill_of_a_panel_that_is_killed_goes_on_where_it_was(runs: FlowRuns, panel: Path, tmp_path: Path) -> None:
    days = sorted(pd.read_csv(tmp_path / "prices.csv")["date"].unique())
    request = BackfillRequest(config=str(panel), start=date.fromisoformat(days[-40]))
    store = tmp_path / "images.zarr"
    run = runs.start(BACKFILL, request)
    until(lambda: draws(panel), 300)
    process = process_of(run)
    assert process is not None
    children = process.children(recursive=True)
    process.send_signal(signal.SIGKILL)
    for child in children:
        with suppress(Exception):
            child.kill()
    until(lambda: process_of(run) is None)
    ends(runs, run)

    reader = ImageStore.open(store)
    # What the journal names is published when the next build takes it up.
    done = sum(int(np.isin(reader.state(symbol).status, (READY, DRAFTED)).sum()) for symbol in reader.symbols)
    total = COMPANIES * 40
    assert 0 < done < total
    before = {path: path.stat().st_mtime_ns for path in store.glob("*/image/c.*")}

    again = runs.start(BACKFILL, request)
    assert ends(runs, again).name == "Completed"
    [result] = runs.table(again, "build-result")
    assert (result["built"], result["skipped"]) == (total - done, done)
    ready = {path: when for path, when in before.items() if path.stat().st_mtime_ns == when}
    assert len(ready) == len(before)
    assert len([name for name in task_names(runs, again) if "images" in name]) == 1
