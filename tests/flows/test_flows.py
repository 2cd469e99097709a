"""Flows on a real Prefect server, with real Dask workers and a real MLflow server."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import numpy as np
import pytest
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import State, StateType
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import ValidationError

from finnex.config import Config, StoreSettings, load_config
from finnex.data.freshness import expected_session
from finnex.datasets.samples import CLASSES
from finnex.errors import BuildError, FinnexError, InputsLate, ServiceError
from finnex.pipeline import Block, Drawn, build, draw_here, open_for_writing, prepare_symbol, read_run
from finnex.store import READY, ImageStore, writing
from finnex.store.scrub import SCRUB
from finnex.tracking import load_champion, promote
from finnex.training.baselines import BASELINES
from finnex.training.published_sessions import ask_about
from flows.batch import Batch
from flows.deploy.deployments import DEPLOYMENTS
from flows.nightly import nightly
from flows.predict import predict
from flows.prefect_api.patience import if_there, patiently
from flows.prefect_api.requests import BackfillRequest, NightlyRequest, PredictRequest, TrainRequest
from flows.prefect_api.runs import FlowRuns
from flows.prefect_api.settling import settle_tasks
from flows.recording import end_open_runs
from flows.servers.stack import Stack
from tests.helpers.flow_runs import (
    ends,
    ignore,
    nothing_left_running,
    other_project,
    prices_until,
    published,
    says,
    until,
)

pytest_plugins = ("tests.helpers.servers",)

FIRST, LAST = date(2015, 3, 2), date(2015, 3, 31)


def image_bytes(store: ImageStore, symbol: str) -> dict[int, bytes]:
    """Return the stored bytes of every published image by position."""
    ready = np.flatnonzero(store.state(symbol).status == READY)
    return {int(i): (store.path / symbol / "image" / f"c.{i}.0.0.0").read_bytes() for i in ready}


@pytest.mark.integration
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


@pytest.mark.integration
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


@pytest.mark.integration
def test_a_run_says_that_it_waits_for_another_writer_and_then_reads_the_inputs_of_then(
    runs: FlowRuns, served_project: Path, tmp_path: Path
) -> None:
    prices = tmp_path / "prices.csv"
    config = other_project(served_project, tmp_path, prices_until("2015-03-06", served_project, prices))
    request = BackfillRequest(config=str(config), symbols=["NVDA"], end=date(2015, 3, 13))
    said = set[str]()
    with ExitStack() as other:
        other.enter_context(writing(tmp_path / "images.zarr"))

        def watch(_: int, text: str) -> None:
            said.add(text)
            if text.startswith("Waiting for another process"):
                prices_until("2023-09-21", served_project, prices)  # the week after arrives meanwhile
                other.close()

        run = runs.start("finnex-backfill/backfill", request)
        runs.follow(run, watch)
    assert any(text.startswith("Waiting for another process") for text in said)
    assert runs.table(run, "build-result")[0]["built"] == 10


@pytest.mark.integration
def test_a_task_whose_end_the_server_did_not_hear_of_takes_the_end_of_its_flow(
    runs: FlowRuns, served_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs.start("finnex-nightly/nightly", NightlyRequest(config=str(served_project)))
    runs.follow(run, ignore)
    wanted = FlowRunFilter(id=FlowRunFilterId(any_=[run]))

    def states() -> set[StateType]:
        return {task.state.type for task in client.read_task_runs(flow_run_filter=wanted) if task.state is not None}

    monkeypatch.setattr("flows.prefect_api.settling.SETTLE_SECONDS", 0.0)
    with runs.client() as client, temporary_settings({PREFECT_API_URL: f"{runs.address}/api"}):
        deadline = time.monotonic() + 60
        while states() != {StateType.COMPLETED}:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        lost = client.read_task_runs(flow_run_filter=wanted)[0]
        client.set_task_run_state(lost.id, State(type=StateType.RUNNING), force=True)
        assert StateType.RUNNING in states()
        settle_tasks(nightly, client.read_flow_run(run), State(type=StateType.COMPLETED))
        assert states() == {StateType.COMPLETED}


@pytest.mark.integration
def test_tasks_that_a_dead_machine_left_under_way_are_ended_by_the_end_of_any_other_run(
    runs: FlowRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    with runs.client() as client, temporary_settings({PREFECT_API_URL: f"{runs.address}/api"}):
        deployment = client.read_deployment_by_name("finnex-backfill/backfill")

        def a_run(tags: list[str], *then: State) -> UUID:
            body = {"flow_id": str(deployment.flow_id), "state": {"type": "PENDING"}, "tags": tags}
            run = UUID(client.request("POST", "/flow_runs/", json=body).json()["id"])
            for state in (State(type=StateType.RUNNING), *then):
                client.set_flow_run_state(run, state, force=True)
            return run

        def with_a_task(tags: list[str], task_state: State, *then: State) -> UUID:
            run = a_run(tags, *then)
            one = {"flow_run_id": str(run), "task_key": "draw", "dynamic_key": "0"}
            task = UUID(client.request("POST", "/task_runs/", json=one).json()["id"])
            client.set_task_run_state(task, task_state, force=True)
            return task

        running, retrying = State(type=StateType.RUNNING), State(type=StateType.SCHEDULED, name="AwaitingRetry")
        crashed = State(type=StateType.CRASHED, message="The run's process sent no sign of life.")
        left = [with_a_task(["finnex"], one, crashed) for one in (running, retrying)]
        spared = [with_a_task(["finnex"], running), with_a_task(["another"], running, crashed)]
        completed = State(type=StateType.COMPLETED)
        other = client.read_flow_run(a_run(["finnex"], completed))
        settle_tasks(nightly, other, completed)
        states = [client.read_task_run(task).state.type for task in left]  # type: ignore[union-attr]
        assert states == [StateType.RUNNING, StateType.SCHEDULED], "a run that has just ended may still be reporting"
        monkeypatch.setattr("flows.prefect_api.settling.LONG_AGO", timedelta(0))
        settle_tasks(nightly, other, completed)
        assert {client.read_task_run(task).state.type for task in left} == {StateType.CRASHED}  # type: ignore[union-attr]
        assert {client.read_task_run(task).state.type for task in spared} == {StateType.RUNNING}  # type: ignore[union-attr]


@pytest.mark.integration
def test_a_flow_that_fails_says_why_in_the_words_of_the_error(runs: FlowRuns, tmp_path: Path) -> None:
    run = runs.start("finnex-nightly/nightly", NightlyRequest(config=str(tmp_path / "nowhere.toml")))
    with pytest.raises(ServiceError, match=r"^\S+nowhere\.toml: cannot be read"):
        runs.follow(run, ignore)


def mlflow_runs(address: str, flow_run_id: object) -> list[dict[str, Any]]:
    """Return the MLflow runs of a flow run, without the children: one a fold and seed."""
    wanted = {"experiment_ids": ["0", "1"], "filter": f"tags.`prefect.flow_run_id` = '{flow_run_id}'"}
    request = urllib.request.Request(
        f"{address}/api/2.0/mlflow/runs/search", json.dumps(wanted).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as reply:
        found: list[dict[str, Any]] = json.load(reply).get("runs", [])
    return [run for run in found if all(tag["key"] != "mlflow.parentRunId" for tag in run["data"]["tags"])]


@pytest.mark.integration
def test_a_training_is_judged_on_unseen_sessions_and_recorded_with_its_report(
    runs: FlowRuns, trained: UUID, stack: Stack, served_project: Path
) -> None:
    scores = runs.table(trained, "scores")
    assert [row["model"] for row in scores] == ["multiscale_cnn", *BASELINES]
    few = all(row["test_sessions"] < 60 for row in scores)  # then there is no interval
    assert all(few if row["low"] == "none" else row["low"] <= row["accuracy"] <= row["high"] for row in scores)
    assert len({row["test_sessions"] for row in scores}) == 1
    report = served_project.parent / "report" / "report.html"
    assert runs.table(trained, "training-result")[0]["report"] == str(report)
    assert "synthetic" in report.read_text().lower()
    [recorded] = mlflow_runs(stack.mlflow_address, trained)
    assert recorded["info"]["status"] == "FINISHED"
    tags = {tag["key"]: tag["value"] for tag in recorded["data"]["tags"]}
    config = load_config(served_project)
    assert tags["fingerprint"] == ImageStore.open(config.store.path).fingerprint()


def run_of(runs: FlowRuns, state: State[Any]) -> UUID:
    """Return the run of a flow that was called here and has ended, once all its tasks have."""
    found = state.state_details.flow_run_id
    assert found is not None
    until(lambda: nothing_left_running(runs, found))
    return found


@pytest.mark.integration
@pytest.mark.usefixtures("trained")
def test_a_night_of_predictions_draws_and_asks_the_champion_once_for_each_session(
    runs: FlowRuns, stack: Stack, served_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINNEX_HOME", str(stack.state))  # with the key that the stack's training sealed its model with
    config = load_config(served_project)
    _, champion = promote(config, ImageStore.open(config.store.path), stack.mlflow_address, force=True)
    assert champion is not None
    project = other_project(served_project, tmp_path, ("end = 2015-09-30", "end = 2015-03-13"))
    request = PredictRequest(config=str(project), sessions=3)
    config = load_config(project)

    first = runs.start("finnex-predict/predict", request)
    assert ends(runs, first).is_completed()
    assert says(runs, first, "6 predictions") == f"6 predictions by version {champion.version}"
    rows, kept = runs.table(first, "predictions"), {}
    store = ImageStore.open(config.store.path)
    model = load_champion(config, store, stack.mlflow_address).model
    for symbol in config.symbols:
        ready, drawn = store.open_images(symbol), np.flatnonzero(store.state(symbol).status == READY)
        assert len(drawn) == 10
        assert np.isnan(ready["prediction"].to_numpy()[:-3]).all()
        wanted = ask_about(model, store, symbol, drawn[-3:].tolist())
        np.testing.assert_allclose(ready["prediction"].to_numpy()[-3:], wanted, atol=1e-6)
        own = [row for row in rows if row["symbol"] == symbol]
        assert [row["session"] for row in own] == ["2015-03-11", "2015-03-12", "2015-03-13"]
        np.testing.assert_allclose([[row[word] for word in CLASSES] for row in own], wanted, atol=1e-4)
        assert {row["model version"] for row in own} == {champion.version}
        kept[symbol] = ready[["prediction", "predicted_at", "prediction_version"]].load()

    monkeypatch.setenv("MLFLOW_TRACKING_URI", stack.mlflow_address)
    with temporary_settings({PREFECT_API_URL: f"{runs.address}/api"}):
        state = predict(request, return_state=True)
    assert state.is_completed(), state.message
    again = run_of(runs, state)
    says(runs, again, "0 predictions")
    assert runs.table(again, "predictions") == []
    for symbol in config.symbols:
        assert store.open_images(symbol)[list(kept[symbol])].load().equals(kept[symbol])


@pytest.mark.integration
def test_without_a_champion_the_night_is_drawn_and_the_run_says_how_to_get_one(
    runs: FlowRuns, served_project: Path, tmp_path: Path
) -> None:
    project = other_project(
        served_project, tmp_path, ("end = 2015-09-30", "end = 2015-03-06"), ("[mlflow]", '[mlflow]\nmodel = "nobody"')
    )
    state = ends(runs, runs.start("finnex-predict/predict", PredictRequest(config=str(project))))
    assert state.type == StateType.FAILED
    assert "'nobody'" in str(state.message)
    assert "has no champion. Train with `finnex train`, then run `finnex promote`." in str(state.message)
    assert len(published(project)) == 10


@pytest.mark.integration
def test_a_night_on_a_holiday_finds_nothing_to_do_and_the_next_one_misses_its_bars(
    runs: FlowRuns, served_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = other_project(
        served_project, tmp_path, prices_until("2015-07-02", served_project, tmp_path / "prices.csv"),
        ("start = 2015-03-02", "start = 2015-06-22"), ("end = 2015-09-30", "# no end"),
    )  # fmt: skip
    path = load_config(project).store.path

    def night(evening: str) -> State[Any]:
        now = np.datetime64(f"{evening}T22:30")  # half past six in New York
        monkeypatch.setattr("flows.nightly.expected_session", lambda config, _: expected_session(config, now))
        with temporary_settings({PREFECT_API_URL: f"{runs.address}/api"}):
            return nightly(NightlyRequest(config=str(project), wait_minutes=0), return_state=True)

    thursday = night("2015-07-02")
    assert thursday.is_completed(), thursday.message
    assert runs.table(run_of(runs, thursday), "build-result")[0]["built"] == 18

    def written() -> dict[Path, int]:
        notes = path / SCRUB  # the first build of a day reads a share of the images
        return {file: file.stat().st_mtime_ns for file in path.rglob("*") if file.is_file() and file != notes}

    before = written()
    holiday = night("2015-07-03")
    assert holiday.is_completed(), holiday.message
    told = runs.table(run_of(runs, holiday), "build-result")[0]
    assert (told["built"], told["skipped"], told["failed"]) == (0, 18, 0)
    for symbol in ("NVDA", "AAPL"):
        assert says(runs, run_of(runs, holiday), f"{symbol}: 0 sessions to draw, 9 up to date")
    assert written() == before

    monday = night("2015-07-06")
    assert isinstance(monday.result(raise_on_failure=False), InputsLate)
    assert "the session of 2015-07-06 has closed" in str(monday.message)


@pytest.mark.integration
def test_a_training_of_an_empty_store_says_what_to_do(runs: FlowRuns, served_project: Path, tmp_path: Path) -> None:
    other = tmp_path / "finnex.toml"
    other.write_text(served_project.read_text().replace('path = "images.zarr"', f'path = "{tmp_path / "none.zarr"}"'))
    run = runs.start("finnex-train/train", TrainRequest(config=str(other)))
    with pytest.raises(ServiceError, match=r"holds no image store.*finnex build"):
        runs.follow(run, ignore)


@pytest.mark.integration
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


@pytest.mark.integration
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
        with suppress(TimeoutError), urllib.request.urlopen(request, timeout=20) as reply:  # a busy machine
            found = json.load(reply)
        time.sleep(1)
    assert len(found) >= 3, (stack.state / "logs" / "prefect.log").read_text()[-2000:]
    new_york = ZoneInfo("America/New_York")
    for run in found:
        start = datetime.fromisoformat(run["expected_start_time"]).astimezone(new_york)
        assert (start.hour, start.minute) == (18, 30)
        assert start.weekday() < 5


@pytest.mark.accept
@pytest.mark.integration
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


Flaky = Callable[[Sequence[Block]], Iterator[Drawn]]


def fails_once(position: int) -> Flaky:
    """Draw as usual, but fail one session the first time."""
    failed = []

    def draw(blocks: Sequence[Block]) -> Iterator[Drawn]:
        for symbol, receipts in draw_here(blocks):
            if receipts[0].index == position and not failed:
                failed.append(position)
                yield symbol, [replace(receipts[0], error="the disk was full")]
            else:
                yield symbol, receipts

    return draw


def test_a_retried_batch_draws_only_the_sessions_that_failed(sample_config: Callable[..., Config]) -> None:
    config = sample_config()
    run = read_run(config)
    drawn: list[int] = []
    with writing(config.store.path):
        work = prepare_symbol(run, open_for_writing(run).store, "NVDA")
        broken = fails_once(int(work.on_axis[work.positions[3]]))
        batch = Batch([work.portion()], broken, 1, lambda _, count: drawn.append(count))
        with pytest.raises(
            BuildError, match="1 sessions could not be drawn, the first is NVDA 2015-03-05: the disk was full"
        ):
            batch.run()
        assert list(batch.failed) == [("NVDA", date(2015, 3, 5))]
        assert batch.built == 21
        batch.run()
        assert not batch.failed
        assert batch.built == 22
    assert sum(drawn) == 23
    assert (ImageStore.open(config.store.path).state("NVDA").status == READY).sum() == 22


def test_a_batch_that_is_given_up_says_what_stopped_it(sample_config: Callable[..., Config]) -> None:
    def full(blocks: Sequence[Block]) -> Iterator[Drawn]:
        yield next(iter(draw_here(blocks)))
        raise OSError(28, "No space left on device")

    config = sample_config()
    run = read_run(config)
    with writing(config.store.path):
        work = prepare_symbol(run, open_for_writing(run).store, "NVDA")
        batch = Batch([work.portion()], full, 1, lambda _, __: None)
        with pytest.raises(OSError, match="No space left"):
            batch.run()
        assert set(batch.failed) == {("NVDA", day) for day in work.portion().days()}
        assert set(batch.failed.values()) == {"not drawn: OSError: [Errno 28] No space left on device"}


@pytest.mark.parametrize("error", [InputsLate("of NVDA have not arrived"), BuildError("1 of 2 could not be drawn")])
def test_a_prediction_is_made_for_what_there_is_and_the_run_still_says_what_is_not(
    sample_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, error: FinnexError
) -> None:
    asked: list[int] = []

    def incomplete(*_: object) -> None:
        raise error

    monkeypatch.setattr("flows.predict.draw_tonight", incomplete)
    monkeypatch.setattr("flows.predict._ask", lambda config, sessions: asked.append(sessions) or [])
    monkeypatch.setattr("flows.predict.publish_table", ignore)
    monkeypatch.setattr("flows.predict.get_run_logger", lambda: logging.getLogger("test"))
    monkeypatch.setattr(PredictRequest, "load", lambda self: sample_config())
    with pytest.raises(type(error), match=str(error)):
        predict.fn(PredictRequest(config="finnex.toml", sessions=3))
    assert asked == [3]


def test_no_run_may_wait_longer_than_its_deployment_lets_it_live() -> None:
    hours = {line.name: line.longest_hours for line in DEPLOYMENTS}
    longest = min(hours["nightly"], hours["predict"]) * 60
    for minutes in (longest, longest - 59):
        with pytest.raises(ValidationError, match="less than or equal to 300"):
            NightlyRequest(config="finnex.toml", wait_minutes=minutes)


@pytest.mark.parametrize("error", [httpx.ConnectError("away"), 500, 503])
def test_a_fault_of_the_server_costs_neither_a_call_nor_a_run(
    error: httpx.HTTPError | int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.prefect_api.patience.EVERY_SECONDS", 0.01)
    left = [1, 1]

    def call() -> str:
        if left:
            left.pop()
            raise error if isinstance(error, httpx.HTTPError) else answered(error)
        return "done"

    if_there(call)
    assert patiently(call) == "done"
    assert not left


def answered(status: int) -> httpx.HTTPStatusError:
    request = httpx.Request("POST", "http://127.0.0.1/api")
    return httpx.HTTPStatusError(str(status), request=request, response=httpx.Response(status, request=request))


def test_a_fault_of_ours_is_not_asked_again() -> None:
    asked: list[int] = []

    def call() -> None:
        asked.append(1)
        raise answered(422)

    for ask in (if_there, patiently):
        with pytest.raises(httpx.HTTPStatusError, match="422"):
            ask(call)
    assert len(asked) == 2
