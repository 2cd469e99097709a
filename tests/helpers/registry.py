"""A real MLflow server and a small finished study, for all modules that name this plugin."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finnex.config import MlflowSettings
from finnex.store import ImageStore
from finnex.training import train
from tests.helpers.registered import Registry, Trained, free_port
from tests.helpers.stores import blank, make_config, make_store, paint, sessions


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """An MLflow server on SQLite with proxied artifacts, in a process of its own, and a state folder."""
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
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FINNEX_HOME", str(root / "home"))
            yield Registry(address, root / "artifacts", root / "home")
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


@pytest.fixture(scope="session")
def small_study(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Two epochs on 120 sessions of noise."""
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


@pytest.fixture
def own_study(small_study: Trained, tmp_path: Path) -> Trained:
    """The small study with a store of the test's own: a prediction is made once, and would be missing for the next."""
    config, store, result = small_study
    place = tmp_path / "own" / "images.zarr"
    shutil.copytree(Path(str(store.path)), place)
    own = config.model_copy(update={"store": config.store.model_copy(update={"path": place})})
    return own, ImageStore.open(place), result


@pytest.fixture
def client(registry: Registry) -> Any:
    """MLflow's own, as any program of the machine may use it."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=registry.address)
