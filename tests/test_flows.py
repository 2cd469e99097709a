"""Flows on a real Prefect server, with real Dask workers and a real MLflow server."""

from __future__ import annotations

import json
import os
import sqlite3
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import distributed
import numpy as np
import pytest
from prefect.utilities.callables import parameter_schema

from finnex.build import Block, build, draw_here, open_for_writing, prepare_symbol, read_run
from finnex.config import Config, DaskSettings, StoreSettings, load_config
from finnex.errors import BuildError, ServiceError
from finnex.store import READY, ImageStore, Receipt, writing
from flows.backfill import backfill
from flows.build import Batch
from flows.cluster import cluster_client, local_cluster
from flows.nightly import nightly
from flows.recording import end_open_runs
from flows.requests import BackfillRequest, NightlyRequest, TrainRequest
from flows.runs import FlowRuns
from flows.stack import Stack
from flows.train import train_model

pytest_plugins = ("servers",)

FIRST, LAST = date(2015, 3, 2), date(2015, 3, 31)


def image_bytes(store: ImageStore, symbol: str) -> dict[int, bytes]:
    """Return the stored bytes of every published image by position."""
    ready = np.flatnonzero(store.state(symbol).status == READY)
    return {int(i): (store.path / symbol / "image" / "c" / str(i) / "0" / "0" / "0").read_bytes() for i in ready}


def ignore(*_: object) -> None:
    """Show nothing."""


@pytest.mark.slow
def test_the_flow_stores_the_same_bytes_as_the_build_in_this_process(
    runs: FlowRuns, served_project: Path, tmp_path: Path
) -> None:
    config = load_config(served_project)
    request = BackfillRequest(config=str(served_project), start=FIRST, end=LAST)
    shown: list[float] = []
    run = runs.start("finnex-backfill/backfill", request)
    runs.follow(run, lambda percent, _: shown.append(percent))
    assert shown[-1] == 100.0
    told = runs.table(run, "build-result")[0]
    assert (told["built"], told["failed"]) == (44, 0)

    here = config.model_copy(update={"store": StoreSettings(path=tmp_path / "images.zarr")})
    result = build(here, start=FIRST, end=LAST)
    assert result.built == 44
    assert told["fingerprint"] == result.fingerprint
    ours, theirs = ImageStore.open(here.store.path), ImageStore.open(config.store.path)
    for symbol in config.symbols:
        assert image_bytes(ours, symbol) == image_bytes(theirs, symbol)
        for name in ("feature_normalized", "coverage", "label_price_movement"):
            mine, other = (store.open_images(symbol)[name].to_numpy() for store in (ours, theirs))
            assert np.array_equal(mine, other, equal_nan=True)


@pytest.mark.slow
def test_the_nightly_flow_fills_what_is_missing_and_then_has_nothing_to_do(
    runs: FlowRuns, served_project: Path
) -> None:
    built = []
    for _ in range(2):
        run = runs.start("finnex-nightly/nightly", NightlyRequest(config=str(served_project)))
        runs.follow(run, ignore)
        built.append(runs.table(run, "build-result")[0])
    assert built[0]["built"] + built[0]["skipped"] == built[1]["skipped"]
    assert (built[1]["built"], built[1]["failed"]) == (0, 0)
    config = load_config(served_project)
    for symbol in config.symbols:
        days = ImageStore.open(config.store.path).open_images(symbol)["date"].to_numpy().astype("datetime64[D]")
        assert (days[0], days[-1]) == (np.datetime64(config.start, "D"), np.datetime64(config.end, "D"))


@pytest.mark.slow
def test_a_flow_that_fails_says_why_in_the_words_of_the_error(runs: FlowRuns, tmp_path: Path) -> None:
    run = runs.start("finnex-nightly/nightly", NightlyRequest(config=str(tmp_path / "nowhere.toml")))
    with pytest.raises(ServiceError, match=r"^\S+nowhere\.toml: cannot be read"):
        runs.follow(run, ignore)


def mlflow_runs(address: str, flow_run_id: object) -> list[dict[str, Any]]:
    """Return the MLflow runs of a flow run."""
    wanted = {"experiment_ids": ["0", "1"], "filter": f"tags.`prefect.flow_run_id` = '{flow_run_id}'"}
    request = urllib.request.Request(
        f"{address}/api/2.0/mlflow/runs/search", json.dumps(wanted).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as reply:
        found: list[dict[str, Any]] = json.load(reply).get("runs", [])
    return found


@pytest.mark.slow
def test_a_training_is_judged_on_unseen_sessions_and_recorded_with_its_report(
    runs: FlowRuns, trained: UUID, stack: Stack, served_project: Path
) -> None:
    scores = runs.table(trained, "scores")
    assert [row["model"] for row in scores] == ["multiscale_cnn", "majority", "logistic_regression"]
    assert all(row["low"] <= row["accuracy"] <= row["high"] for row in scores)
    assert len({row["test_sessions"] for row in scores}) == 1
    report = served_project.parent / "report" / "report.html"
    assert runs.table(trained, "training-result")[0]["report"] == str(report)
    assert "synthetic" in report.read_text().lower()
    [recorded] = mlflow_runs(stack.mlflow_address, trained)
    assert recorded["info"]["status"] == "FINISHED"
    tags = {tag["key"]: tag["value"] for tag in recorded["data"]["tags"]}
    config = load_config(served_project)
    assert tags["fingerprint"] == ImageStore.open(config.store.path).fingerprint()


@pytest.mark.slow
def test_a_training_of_an_empty_store_says_what_to_do(runs: FlowRuns, served_project: Path, tmp_path: Path) -> None:
    other = tmp_path / "finnex.toml"
    other.write_text(served_project.read_text().replace('path = "images.zarr"', f'path = "{tmp_path / "none.zarr"}"'))
    run = runs.start("finnex-train/train", TrainRequest(config=str(other)))
    with pytest.raises(ServiceError, match=r"holds no image store.*finnex build"):
        runs.follow(run, ignore)


@pytest.mark.slow
def test_an_mlflow_run_is_ended_when_its_flow_run_was_killed(stack: Stack) -> None:
    address = stack.mlflow_address

    def ask(path: str, body: dict[str, object]) -> dict[str, Any]:
        data, kind = json.dumps(body).encode(), {"Content-Type": "application/json"}
        with urllib.request.urlopen(
            urllib.request.Request(f"{address}/api/2.0/mlflow/{path}", data, kind), timeout=10
        ) as reply:
            found: dict[str, Any] = json.load(reply)
        return found

    experiment = ask("experiments/create", {"name": "killed"})["experiment_id"]
    tags = [{"key": "prefect.flow_run_id", "value": "a-flow-run"}]
    run = ask("runs/create", {"experiment_id": experiment, "tags": tags})["run"]["info"]["run_id"]
    assert end_open_runs(address, "killed", "another-flow-run") == 0
    assert end_open_runs(address, "killed", "a-flow-run") == 1
    assert end_open_runs(address, "killed", "a-flow-run") == 0
    with urllib.request.urlopen(f"{address}/api/2.0/mlflow/runs/get?run_id={run}", timeout=10) as reply:
        assert json.load(reply)["run"]["info"]["status"] == "KILLED"


@pytest.mark.slow
def test_the_nightly_schedule_really_creates_runs(stack: Stack) -> None:
    """With SQLAlchemy 2.1 Prefect's scheduler fails, in its log only, and no night is ever run."""
    wanted = {"deployments": {"name": {"any_": ["nightly"]}}, "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    deadline = time.monotonic() + 60
    found: list[dict[str, Any]] = []
    while len(found) < 3 and time.monotonic() < deadline:
        request = urllib.request.Request(
            f"{stack.prefect_address}/api/flow_runs/filter",
            json.dumps(wanted).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            found = json.load(reply)
        time.sleep(1)
    assert len(found) >= 3, (stack.state / "logs" / "prefect.log").read_text()[-2000:]
    new_york = ZoneInfo("America/New_York")
    for run in found:
        start = datetime.fromisoformat(run["expected_start_time"]).astimezone(new_york)
        assert (start.hour, start.minute) == (18, 30)
        assert start.weekday() < 5


@pytest.mark.slow
def test_a_stopped_stack_cancels_what_runs_and_leaves_alone_what_has_ended(
    served_project: Path, tmp_path: Path
) -> None:
    other = tmp_path / "finnex.toml"
    other.write_text(served_project.read_text())
    progress: list[float] = []

    def until_it_draws() -> None:
        if progress and progress[-1] > 0:
            raise InterruptedError

    with Stack(tmp_path / "state", prefect_port=0, mlflow_port=0) as own:
        runs = FlowRuns(own.prefect_address)
        short = BackfillRequest(config=str(other), symbols=["NVDA"], start=FIRST, end=FIRST)
        ended = runs.start("finnex-backfill/backfill", short)
        runs.follow(ended, ignore)
        last = runs.start("finnex-nightly/nightly", NightlyRequest(config=str(tmp_path / "nowhere.toml")))
        with pytest.raises(ServiceError):
            runs.follow(last, ignore)
        # Several thousand sessions: far from done when the stack stops, which is at once.
        years = BackfillRequest(config=str(other), start=date(2013, 6, 3), end=date(2023, 9, 20))
        running = runs.start("finnex-backfill/backfill", years)
        with pytest.raises(InterruptedError):
            runs.follow(running, lambda percent, _: progress.append(percent), until_it_draws)
    with sqlite3.connect(tmp_path / "state" / "prefect" / "prefect.db") as database:
        found = dict(database.execute("SELECT id, state_name FROM flow_run"))
    assert [found[str(run)] for run in (ended, running, last)] == ["Completed", "Cancelled", "Failed"]
    store = ImageStore.open(load_config(other).store.path)
    assert (store.state("NVDA").status == READY).sum() >= 1
    assert all(len(store.damaged(symbol)) == 0 for symbol in store.symbols)


Flaky = Callable[[Sequence[Block]], Iterator[list[Receipt]]]


def fails_once(position: int) -> Flaky:
    """Draw as usual, but fail one session the first time."""
    failed = []

    def draw(blocks: Sequence[Block]) -> Iterator[list[Receipt]]:
        for receipts in draw_here(blocks):
            if receipts[0].index == position and not failed:
                failed.append(position)
                yield [replace(receipts[0], error="the disk was full")]
            else:
                yield receipts

    return draw


def test_a_retried_batch_draws_only_the_sessions_that_failed(sample_config: Callable[..., Config]) -> None:
    config = sample_config()
    run = read_run(config)
    drawn: list[int] = []
    with writing(config.store.path):
        work = prepare_symbol(run, open_for_writing(run), "NVDA")
        [positions] = work.batches(100)
        batch = Batch(work, positions, fails_once(positions[3] + work.offset), 1, drawn.append)
        with pytest.raises(
            BuildError, match="1 sessions could not be drawn, the first is 2015-03-05: the disk was full"
        ):
            batch.run()
        assert list(batch.failed) == [date(2015, 3, 5)]
        assert batch.built == 21
        batch.run()
        assert not batch.failed
        assert batch.built == 22
    assert sum(drawn) == 23
    assert (ImageStore.open(config.store.path).state("NVDA").status == READY).sum() == 22


@pytest.mark.slow
def test_local_workers_are_processes_without_dasks_malloc_setting() -> None:
    os.environ["MALLOC_TRIM_THRESHOLD_"] = "65536"  # as an earlier cluster in this process leaves it
    with local_cluster(2, "1GiB") as client:
        pids = set(client.run(os.getpid).values())
        assert len(pids) == 2
        assert os.getpid() not in pids
        assert set(client.run(os.environ.get, "MALLOC_TRIM_THRESHOLD_").values()) == {None}
        assert set(client.run(os.environ.get, "OMP_NUM_THREADS").values()) == {"1"}
        with pytest.raises(ValueError, match="No global client found"):
            distributed.get_client()


@pytest.mark.slow
def test_an_existing_scheduler_is_used_by_address(sample_config: Callable[..., Config]) -> None:
    with local_cluster(1, "1GiB") as theirs:
        config = sample_config(end=date(2015, 3, 6), dask={"address": theirs.scheduler.address})
        with cluster_client(config) as client:
            assert client is not None
            assert build(config, client=client).built == 5
        assert len(theirs.scheduler_info()["workers"]) == 1  # it is theirs: it stays when we go


@pytest.mark.slow
def test_a_scheduler_without_workers_is_an_error(
    sample_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.cluster.CONNECT_SECONDS", 1)
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as cluster:
        config = sample_config(dask={"address": cluster.scheduler_address})
        with pytest.raises(ServiceError, match="has no workers"), cluster_client(config):
            pass


@pytest.mark.slow
def test_workers_with_other_packages_are_refused(
    sample_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    def skewed(self: distributed.Client, packages: Sequence[str]) -> dict[str, Any]:
        return {
            "client": {"packages": {"python": "3.11.9.final.0", "numpy": "2.3.0"}},
            "workers": {"tcp://w:1": {"packages": {"python": "3.11.2.final.0", "numpy": "2.1.0"}}},
        }

    with local_cluster(1, "1GiB") as theirs:
        monkeypatch.setattr(distributed.Client, "get_versions", skewed)
        config = sample_config(dask={"address": theirs.scheduler.address})
        with (
            pytest.raises(ServiceError, match=r"tcp://w:1 has numpy 2\.1\.0, this process 2\.3\.0"),
            cluster_client(config),
        ):
            pass


def test_no_workers_means_this_process(sample_config: Callable[..., Config]) -> None:
    config = sample_config().model_copy(update={"dask": DaskSettings(workers=0)})
    with cluster_client(config) as client:
        assert client is None


@pytest.mark.parametrize("flow", [backfill, nightly, train_model])
def test_parameters_render_as_a_form(flow: Any) -> None:
    """The UI's form breaks on unions of models or of several types, and orders fields by position."""
    schema = parameter_schema(flow).model_dump()
    assert list(schema["properties"]) == ["request"]
    [model] = schema["definitions"].values()
    positions = []
    for name, field in model["properties"].items():
        assert "oneOf" not in field, name
        kinds = [option.get("type") for option in field.get("anyOf", [])]
        assert len(kinds) <= 2, name
        assert not kinds or "null" in kinds, name
        assert field["title"], name
        assert field["description"], name
        positions.append(field["position"])
    assert sorted(positions) == list(range(len(positions)))
