"""What is written into an MLflow run: values in batches, the data set, files, the model."""

from __future__ import annotations

import json
import platform
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from finnex.evaluation import Scorecard
from finnex.images.patches import PATCH_PX
from finnex.models.serving import PatchVotes, Probabilities
from finnex.reporting.tracking.server import aimed_at
from finnex.store import ImageStore
from finnex.training import EpochReport, TrainingResult

if TYPE_CHECKING:
    from mlflow import MlflowClient

PARAMETERS_A_CALL, METRICS_A_CALL = 100, 1000  # what the server takes at once
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


def log_values(
    client: MlflowClient, run_id: str, parameters: Mapping[str, object] | None = None, metrics: Sequence[Metric] = ()
) -> None:
    """Write parameters and metrics, as many in a call as the server takes."""
    from mlflow import entities  # noqa: PLC0415

    given = [entities.Param(key, str(value)) for key, value in (parameters or {}).items()]
    for first in range(0, len(given), PARAMETERS_A_CALL):
        client.log_batch(run_id, params=given[first : first + PARAMETERS_A_CALL])
    now = int(time.time() * 1000)
    told = [entities.Metric(key, value, now, step) for key, value, step in metrics]
    for first in range(0, len(told), METRICS_A_CALL):
        client.log_batch(run_id, metrics=told[first : first + METRICS_A_CALL])


def log_dataset(client: MlflowClient, run_id: str, store: ImageStore, fingerprint: str) -> None:
    """Enter the store as the run's data set: a name and a digest, never the images."""
    from mlflow.entities import Dataset, DatasetInput, InputTag  # noqa: PLC0415

    source = json.dumps({"uri": str(store.path), "layout_hash": store.attrs["layout_hash"]})
    entry = Dataset(name=store.path.name, digest=fingerprint[:36], source_type="finnex_store", source=source)
    client.log_inputs(run_id, [DatasetInput(entry, [InputTag("mlflow.data.context", "training")])])


def log_files(client: MlflowClient, run_id: str, texts: Mapping[str, str], others: Mapping[str, bytes]) -> None:
    """Write files, by name; a name may have a folder."""
    with tempfile.TemporaryDirectory(prefix="finnex-") as folder:
        for name, content in {**{name: text.encode() for name, text in texts.items()}, **others}.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        client.log_artifacts(run_id, folder)


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


def log_model(uri: str, run_id: str, result: TrainingResult, classes: Iterable[str]) -> str:
    """Log the chosen network as an exported graph with its signature; nothing in it is a pickle. Return its URI.

    The example of two images makes the batch dimension free. It is given as a tensor, which MLflow does not
    write into the artifact: as JSON it would weigh more than the network.
    """
    import mlflow  # noqa: PLC0415
    from mlflow.models import ModelSignature  # noqa: PLC0415
    from mlflow.types import Schema, TensorSpec  # noqa: PLC0415

    network = result.model.cpu()
    on_patches = result.study.parameters["training.input"] == "patches"
    answering = PatchVotes(network, PATCH_PX) if on_patches else Probabilities(network)
    channels, pixels = result.image_shape[2], result.image_shape[:2]
    kind = np.dtype(np.float32)
    signature = ModelSignature(
        inputs=Schema([TensorSpec(kind, (-1, channels, *pixels), "images")]),
        outputs=Schema([TensorSpec(kind, (-1, len(tuple(classes))), "probabilities")]),
    )
    with aimed_at(uri), mlflow.start_run(run_id=run_id):
        info = mlflow.pytorch.log_model(
            answering, name="model", signature=signature,
            input_example=torch.zeros((2, channels, *pixels)), serialization_format="pt2",
            pip_requirements=[f"torch=={torch.__version__.split('+')[0]}"],
        )  # fmt: skip
    return str(info.model_uri)
