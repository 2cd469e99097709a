"""What is written into an MLflow run: values in batches, the data set, files, the model."""

from __future__ import annotations

import json
import platform
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from finnex.evaluation import Scorecard, TradingCard
from finnex.store import ImageStore
from finnex.tracking.artifacts import digests
from finnex.training import EpochReport, TrainingResult, saved_network
from finnex.training.saved_network import FileDigest, save_network

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import Model

NETWORK = "network"
"""Folder of the network in the artifact, below MLflow's `data`."""
PARAMETERS_A_CALL, METRICS_A_CALL = 100, 1000  # the server's limits per request
CURVES = ("loss", "validation_loss", "validation_accuracy", "learning_rate", "images_per_second", "waiting_share")
Metric = tuple[str, float, int]
"""Name, value, step."""


def of_epoch(report: EpochReport) -> list[Metric]:
    """Return an epoch's metrics."""
    return [(name, float(getattr(report, name)), report.epoch) for name in CURVES]


def of_card(card: Scorecard) -> list[Metric]:
    """Return a scorecard's metrics: the judged model's under `test.`, a baseline's under `test.NAME.`."""
    found = []
    for record in card.records():
        prefix = "test" if record["model"] == card.model else f"test.{record['model']}"
        found += [(f"{prefix}.{key}", value, 0) for key, value in record.items() if isinstance(value, float)]
    return [*found, ("test.sessions", float(card.sessions), 0), ("test.rows", float(card.rows), 0)]


def of_trading(card: TradingCard) -> list[Metric]:
    """Return a trading card's metrics, named as `of_card` names them; what is not known is left out."""
    found = []
    for record in card.records():
        prefix = "test" if record["model"] == card.model else f"test.{record['model']}"
        known = {
            **{key: value for key, value in record.items() if isinstance(value, float) and not np.isnan(value)},
            "trades": float(record["trades"]),
            "trading_sessions": float(record["trading_sessions"]),
        }
        found += [(f"{prefix}.{key}", value, 0) for key, value in known.items()]
    return found


def log_values(
    client: MlflowClient, run_id: str, parameters: Mapping[str, object] | None = None, metrics: Sequence[Metric] = (),
    *, model_id: str | None = None,
) -> None:  # fmt: skip
    """Write parameters and metrics, as many in a call as the server takes; metrics of a model to its page too.

    Parameters
    ----------
    client
        Client of the MLflow server.
    run_id
        Run that is written to.
    parameters
        Name to value; the value is written as text.
    metrics
        Key, value and step of each.
    model_id
        Logged model that the metrics are of; None where they are of the run alone.
    """
    from mlflow import entities  # noqa: PLC0415

    given = [entities.Param(key, str(value)) for key, value in (parameters or {}).items()]
    for first in range(0, len(given), PARAMETERS_A_CALL):
        client.log_batch(run_id, params=given[first : first + PARAMETERS_A_CALL])
    now = int(time.time() * 1000)
    measured = [entities.Metric(key, value, now, step, model_id=model_id) for key, value, step in metrics]
    for first in range(0, len(measured), METRICS_A_CALL):
        client.log_batch(run_id, metrics=measured[first : first + METRICS_A_CALL])


def log_dataset(client: MlflowClient, run_id: str, store: ImageStore, fingerprint: str) -> None:
    """Enter the store as the run's data set: a name and a digest, never the images.

    Parameters
    ----------
    client
        Client of the MLflow server.
    run_id
        Run that is written to.
    store
        Store that was trained on.
    fingerprint
        Its fingerprint; 36 characters are kept.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag  # noqa: PLC0415

    source = json.dumps({"uri": str(store.path), "layout_hash": store.attrs["layout_hash"]})
    entry = Dataset(name=store.path.name, digest=fingerprint[:36], source_type="finnex_store", source=source)
    client.log_inputs(run_id, [DatasetInput(entry, [InputTag("mlflow.data.context", "training")])])


def log_files(
    client: MlflowClient, run_id: str, texts: Mapping[str, str], others: Mapping[str, bytes]
) -> dict[str, FileDigest]:
    """Write files, by name; a name may have a folder. Return what was uploaded.

    Parameters
    ----------
    client
        Client of the MLflow server.
    run_id
        Run that is written to.
    texts
        Name to text, written as UTF-8.
    others
        Name to bytes.

    Returns
    -------
    dict
        Name to size and digest of each file.
    """
    with tempfile.TemporaryDirectory(prefix="finnex-") as folder:
        for name, content in {**{name: text.encode() for name, text in texts.items()}, **others}.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        written = digests(Path(folder))
        client.log_artifacts(run_id, folder)
    return written


def environment() -> str:
    """Return what this process runs on: Python, the machine, every package with its version."""
    packages = sorted({f"{found.name}=={found.version}" for found in distributions()}, key=str.lower)
    cards = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    head = [
        f"# Python {platform.python_version()}, {platform.platform()}",
        f"# torch threads {torch.get_num_threads()}, GPUs {', '.join(cards) or 'none'}",
    ]
    return "\n".join([*head, *packages]) + "\n"


def git_commit() -> str | None:
    """Return the commit that the working folder is at; None outside of a checkout."""
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() if found.returncode == 0 else None


@dataclass(frozen=True)
class LoggedModel:
    """A model among a run's artifacts.

    Attributes
    ----------
    files
        What was uploaded.
    """

    model_id: str
    files: Mapping[str, FileDigest]

    @property
    def uri(self) -> str:
        """MLflow's address of it."""
        return f"models:/{self.model_id}"


def save_model(artifact: Path, result: TrainingResult, classes: Sequence[str], about: Model | None = None) -> None:
    """Write the chosen network as an MLflow model into a folder that does not exist yet.

    It has weights in safetensors, a description, and MLflow's `python_function` flavour, whose loader is
    `finnex.training.saved_network`. Nothing in it is a pickle.

    Parameters
    ----------
    artifact
        Folder to make.
    result
        The training; its chosen network is written.
    classes
        Names of the classes, in the order of the probabilities.
    about
        What MLflow has already recorded of it, such as its run.
    """
    from mlflow import pyfunc  # noqa: PLC0415
    from mlflow.models import ModelSignature  # noqa: PLC0415
    from mlflow.types import Schema, TensorSpec  # noqa: PLC0415

    height, width, channels = result.image_shape
    kind = np.dtype(np.float32)
    signature = ModelSignature(
        inputs=Schema([TensorSpec(kind, (-1, channels, height, width), "images")]),
        outputs=Schema([TensorSpec(kind, (-1, len(classes)), "probabilities")]),
    )
    with tempfile.TemporaryDirectory(prefix="finnex-") as folder:
        save_network(Path(folder) / NETWORK, result.chosen.checkpoint)
        # FinNeX itself is not among the requirements: an index may hold another package of its name.
        pyfunc.save_model(
            str(artifact), loader_module=saved_network.__name__, data_path=str(Path(folder) / NETWORK),
            mlflow_model=about, signature=signature,
            pip_requirements=[f"{name}=={version(name).split('+')[0]}" for name in ("torch", "safetensors", "numpy")],
        )  # fmt: skip


def log_model(client: MlflowClient, run_id: str, result: TrainingResult, classes: Iterable[str]) -> LoggedModel:
    """Log the chosen network as `save_model` writes it. It is measured before, so that it can be recognised.

    Parameters
    ----------
    client
        Client of the MLflow server.
    run_id
        Run that trained it.
    result
        The training; its chosen network is logged.
    classes
        Names of the classes, in the order of the probabilities.

    Returns
    -------
    LoggedModel
        The model's identity, and size and digest of each of its files.
    """
    from mlflow.entities import LoggedModelOutput  # noqa: PLC0415
    from mlflow.models import Model  # noqa: PLC0415

    parameters = {key: str(value) for key, value in result.parameters.items()}
    experiment = client.get_run(run_id).info.experiment_id
    made = client.create_logged_model(experiment, name="model", source_run_id=run_id, params=parameters)
    about = Model(artifact_path=made.artifact_location, run_id=run_id, model_id=made.model_id, model_uuid=made.model_id)
    with tempfile.TemporaryDirectory(prefix="finnex-") as folder:
        artifact = Path(folder) / "model"
        save_model(artifact, result, tuple(classes), about)
        files = digests(artifact)
        client.log_model_artifacts(made.model_id, str(artifact))
    client.finalize_logged_model(made.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(made.model_id, step=0)])
    return LoggedModel(str(made.model_id), files)
