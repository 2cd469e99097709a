"""The record of a training in a real MLflow server: complete, silent, and never left running."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from stores import blank, make_config, make_store, paint, sessions

from finnex.config import Config, MlflowSettings
from finnex.errors import ServiceError
from finnex.reporting.tracking import TrackedRun, log_training
from finnex.store import ImageStore
from finnex.training import TrainingResult, train

pytestmark = pytest.mark.slow

Trained = tuple[Config, ImageStore, TrainingResult]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An MLflow server on SQLite with proxied artifacts, in a process of its own."""
    root = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{root / 'mlflow.db'}", "--artifacts-destination", str(root / "artifacts"),
    ]  # fmt: skip
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | quiet, start_new_session=True)
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=2).read()
                break
            except (urllib.error.URLError, OSError):
                assert process.poll() is None, (root / "log").read_text()
                time.sleep(0.5)
        else:
            pytest.fail((root / "log").read_text())
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    root = tmp_path_factory.mktemp("trained")

    def image(_: str, index: int) -> Any:
        drawn = blank()
        paint(drawn, "macro", 0, np.random.default_rng(index).uniform(0, 1, (6, 56)))
        return drawn

    store = make_store(
        root / "images.zarr", sessions(120), image, {"AAA": np.arange(120) % 3}, synthetic=("sentiment",)
    )
    config = make_config(store, root, epochs=2, validation_fraction=0.2, batch_size=32)
    config = config.model_copy(update={"mlflow": MlflowSettings(experiment="study")})
    return config, store, train(config, store)


@pytest.fixture(scope="module")
def logged(server: str, trained: Trained) -> TrackedRun:
    config, store, result = trained
    return log_training(config, store, result, "<p>report</p>", {"scores": b"\x89PNG"}, server, flow_run_id="f-1")


@pytest.fixture
def client(server: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=server)


def test_an_address_without_a_server_fails_at_once_with_the_remedy(trained: Trained) -> None:
    began = time.monotonic()
    with pytest.raises(ServiceError, match=r"no MLflow server answers at .*finnex up"):
        log_training(*trained, "", {}, f"http://127.0.0.1:{free_port()}")
    assert time.monotonic() - began < 5


def test_a_database_is_no_address(trained: Trained) -> None:
    with pytest.raises(ServiceError, match="is not the address of an MLflow server"):
        log_training(*trained, "", {}, "sqlite:///runs.db")


def test_a_run_holds_parameters_metrics_by_epoch_tags_and_data_set(
    client: Any, logged: TrackedRun, trained: Trained
) -> None:
    config, store, result = trained
    run = client.get_run(logged.run_id)
    assert run.info.status == "FINISHED"
    assert client.get_experiment(run.info.experiment_id).name == "study"
    assert run.data.params["training.seed"] == str(config.training.seed)
    assert run.data.params["model.preset"] == "small"
    assert [metric.step for metric in client.get_metric_history(logged.run_id, "loss")] == [1, 2]
    for name in ("test.accuracy", "test.accuracy_low", "test.majority.accuracy", "test.logistic_regression.gap_low"):
        assert name in run.data.metrics
    assert run.data.metrics["test.sessions"] == result.parts["test"].sessions
    assert run.data.tags["fingerprint"] == store.fingerprint()
    assert run.data.tags["layout_hash"] == "0123abcd"
    assert run.data.tags["synthetic_tables"] == "sentiment"
    assert run.data.tags["prefect.flow_run_id"] == "f-1"
    (entry,) = run.inputs.dataset_inputs
    assert (entry.dataset.name, entry.dataset.digest) == ("images.zarr", store.fingerprint())
    assert logged.url.endswith(f"/runs/{logged.run_id}")


def test_report_pictures_and_predictions_come_back_as_they_were(
    client: Any, logged: TrackedRun, trained: Trained, tmp_path: Path
) -> None:
    root = Path(client.download_artifacts(logged.run_id, "", str(tmp_path)))
    assert (root / "report.html").read_text() == "<p>report</p>"
    assert (root / "figures" / "scores.png").read_bytes() == b"\x89PNG"
    pd.testing.assert_frame_equal(pd.read_parquet(root / "predictions.parquet"), trained[2].predictions)


@pytest.mark.filterwarnings("ignore")
def test_the_model_comes_back_without_unpickling_and_takes_any_batch(
    server: str, logged: TrackedRun, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    mlflow.set_tracking_uri(server)
    loaded = mlflow.pytorch.load_model(logged.model_uri)
    signature = mlflow.models.get_model_info(logged.model_uri).signature
    assert signature.inputs.inputs[0].shape == (-1, 3, 512, 512)
    images = torch.rand(5, 3, 512, 512, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = trained[2].model.eval()(images)[0].softmax(-1)
        torch.testing.assert_close(loaded(images), expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(loaded(images[:1]), expected[:1], atol=1e-5, rtol=1e-4)


def test_recording_is_silent_and_leaves_the_environment_as_it_was(
    server: str, trained: Trained, capfd: pytest.CaptureFixture[str]
) -> None:
    before = dict(os.environ)
    config, store, result = trained
    log_training(config, store, result, "r", {}, server)
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")
    assert dict(os.environ) == before


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "KILLED"), (OSError, "FAILED")])
def test_an_interrupted_recording_does_not_stay_running(
    server: str, client: Any, trained: Trained, error: type[BaseException], status: str, tmp_path: Path
) -> None:
    config, store, result = trained
    config = config.model_copy(update={"mlflow": MlflowSettings(experiment=f"interrupted {status}")})

    class Broken(dict[str, bytes]):
        def items(self) -> Any:
            raise error("while pictures were sent")

    with pytest.raises(error):
        log_training(config, store, result, "r", Broken(), server)
    experiment = client.get_experiment_by_name(f"interrupted {status}")
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == [status]


def test_a_refusal_of_the_server_is_told_as_one_sentence(server: str, client: Any, trained: Trained) -> None:
    config, store, result = trained
    client.delete_experiment(client.create_experiment("closed"))
    closed = config.model_copy(update={"mlflow": MlflowSettings(experiment="closed")})
    with pytest.raises(ServiceError, match=r"MLflow at http://127.0.0.1:\d+ refused the run: .*deleted"):
        log_training(closed, store, result, "r", {}, server)
