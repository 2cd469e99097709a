"""The one door to MLflow: a finished training becomes one run, silently, and never stays RUNNING."""

from __future__ import annotations

import logging
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import torch

from finnex.config import Config
from finnex.errors import ServiceError
from finnex.evaluation import Scorecard, scorecard
from finnex.models.serving import Probabilities
from finnex.store import ImageStore
from finnex.training import TrainingResult

if TYPE_CHECKING:
    from mlflow import MlflowClient

PARAMETERS_A_CALL, METRICS_A_CALL = 100, 1000  # what the server takes at once
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


@dataclass(frozen=True)
class TrackedRun:
    """Where a training is recorded.

    Attributes
    ----------
    url
        Page of the run in the MLflow UI.
    model_uri
        Name of the model for `mlflow.pytorch.load_model`.
    """

    run_id: str
    url: str
    model_uri: str


@contextmanager
def _silence() -> Iterator[None]:
    """Keep MLflow off the terminal; leave environment, warnings and log levels as they were."""
    before = {key: os.environ.get(key) for key in QUIET}
    os.environ.update({key: value for key, value in QUIET.items() if before[key] is None})
    loggers = [logging.getLogger(name) for name in ("mlflow", "torch.export", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)


def _reach(uri: str) -> None:
    """Fail within seconds where no server answers, instead of after MLflow's own minutes of retries."""
    if urlsplit(uri).scheme not in {"http", "https"}:
        raise ServiceError(
            f"[mlflow] uri '{uri}' is not the address of an MLflow server. Start one with `finnex up` and give http://HOST:PORT."
        )
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=10) as answer:
            answer.read()
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise ServiceError(
            f"no MLflow server answers at {uri} ({reason}). Start one with `finnex up`, or correct [mlflow] uri."
        ) from None


def _git_commit() -> str | None:
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() if found.returncode == 0 else None


@contextmanager
def _run(client: MlflowClient, experiment: str, name: str, tags: Mapping[str, str]) -> Iterator[str]:
    """Open a run; however the block ends, the run ends too."""
    known = client.get_experiment_by_name(experiment)
    # MLflow opens an experiment of unknown kind in its view for language models.
    kind = {"mlflow.experimentKind": "custom_model_development"}
    experiment_id = known.experiment_id if known is not None else client.create_experiment(experiment, tags=kind)
    run_id = str(client.create_run(experiment_id, run_name=name, tags=dict(tags)).info.run_id)
    try:
        yield run_id
    except Exception:
        client.set_terminated(run_id, "FAILED")
        raise
    except BaseException:  # Ctrl-C, or a flow that is cancelled
        client.set_terminated(run_id, "KILLED")
        raise
    client.set_terminated(run_id, "FINISHED")


def _metrics(result: TrainingResult, card: Scorecard) -> list[tuple[str, float, int]]:
    found = [
        (name, float(getattr(report, name)), report.epoch)
        for report in result.history
        for name in (
            "loss",
            "validation_loss",
            "validation_accuracy",
            "learning_rate",
            "images_per_second",
            "waiting_share",
        )
    ]
    for record in card.records():
        prefix = "test" if record["model"] == card.model else f"test.{record['model']}"
        for key, value in record.items():
            if isinstance(value, float):
                found.append((f"{prefix}.{key}", value, 0))
    found += [("test.sessions", float(card.sessions), 0), ("test.rows", float(card.rows), 0)]
    return [*found, ("best_epoch", float(result.best_epoch), 0), ("seconds", result.seconds, 0)]


def _log_values(client: MlflowClient, run_id: str, result: TrainingResult, card: Scorecard) -> None:
    from mlflow.entities import Metric, Param  # noqa: PLC0415

    parameters = [Param(key, str(value)) for key, value in result.parameters.items()]
    for first in range(0, len(parameters), PARAMETERS_A_CALL):
        client.log_batch(run_id, params=parameters[first : first + PARAMETERS_A_CALL])
    now = int(time.time() * 1000)
    metrics = [Metric(key, value, now, step) for key, value, step in _metrics(result, card)]
    for first in range(0, len(metrics), METRICS_A_CALL):
        client.log_batch(run_id, metrics=metrics[first : first + METRICS_A_CALL])


def _log_dataset(client: MlflowClient, run_id: str, store: ImageStore, fingerprint: str) -> None:
    """Enter the store as the run's data set: a name and a digest, never the images."""
    import json  # noqa: PLC0415

    from mlflow.entities import Dataset, DatasetInput, InputTag  # noqa: PLC0415

    source = json.dumps({"uri": str(store.path), "layout_hash": store.attrs["layout_hash"]})
    entry = Dataset(name=store.path.name, digest=fingerprint[:36], source_type="finnex_store", source=source)
    client.log_inputs(run_id, [DatasetInput(entry, [InputTag("mlflow.data.context", "training")])])


def _log_files(
    client: MlflowClient, run_id: str, result: TrainingResult, report_html: str, figures: Mapping[str, bytes]
) -> None:
    with tempfile.TemporaryDirectory(prefix="finnex-") as folder:
        root = Path(folder)
        (root / "report.html").write_text(report_html, encoding="utf-8")
        result.predictions.to_parquet(root / "predictions.parquet", index=False)
        (root / "figures").mkdir()
        for name, png in figures.items():
            (root / "figures" / f"{name}.png").write_bytes(png)
        client.log_artifacts(run_id, folder)


def _log_model(uri: str, run_id: str, result: TrainingResult) -> str:
    """Log the network as an exported graph with its signature; nothing in it is a pickle.

    The example of two images makes the batch dimension free. It is given as a tensor, which MLflow does not
    write into the artifact: as JSON it would weigh more than the network.
    """
    import mlflow  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415
    from mlflow.models import ModelSignature  # noqa: PLC0415
    from mlflow.types import Schema, TensorSpec  # noqa: PLC0415

    network = result.model.cpu()
    channels, pixels = result.image_shape[2], result.image_shape[:2]
    kind = np.dtype(np.float32)
    signature = ModelSignature(
        inputs=Schema([TensorSpec(kind, (-1, channels, *pixels), "images")]),
        outputs=Schema([TensorSpec(kind, (-1, 3), "probabilities")]),
    )
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        with mlflow.start_run(run_id=run_id):
            info = mlflow.pytorch.log_model(
                Probabilities(network), name="model", signature=signature,
                input_example=torch.zeros((2, channels, *pixels)), serialization_format="pt2",
                pip_requirements=[f"torch=={torch.__version__.split('+')[0]}"],
            )  # fmt: skip
    finally:
        mlflow.set_tracking_uri(before)
    return str(info.model_uri)


def log_training(
    config: Config,
    store: ImageStore,
    result: TrainingResult,
    report_html: str,
    figures: Mapping[str, bytes],
    uri: str,
    *,
    flow_run_id: str | None = None,
) -> TrackedRun:
    """Record a training in MLflow: parameters, metrics by epoch, scores, data set, report, predictions, model.

    Parameters
    ----------
    figures
        PNG bytes by name.
    uri
        Address of the MLflow server.
    flow_run_id
        The Prefect flow run that trained, for the record.

    Raises
    ------
    ServiceError
        No server answers, or it refuses; an opened run is then marked FAILED.
    """
    with _silence():
        _reach(uri)
        from mlflow import MlflowClient  # noqa: PLC0415  seconds of import, and only where a run is recorded
        from mlflow.exceptions import MlflowException  # noqa: PLC0415

        commit = _git_commit()
        tags: dict[str, Any] = {
            "fingerprint": result.fingerprint,
            "layout_hash": str(store.attrs["layout_hash"]),
            "synthetic_tables": " ".join(store.attrs["synthetic_tables"]) or "none",
            **({"mlflow.source.git.commit": commit} if commit else {}),
            **({"prefect.flow_run_id": flow_run_id} if flow_run_id else {}),
        }
        client = MlflowClient(tracking_uri=uri)
        name = f"{config.model.architecture} {config.labels.kind} {config.labels.horizon}"
        try:
            with _run(client, config.mlflow.experiment, name, tags) as run_id:
                _log_values(client, run_id, result, scorecard(result.predictions))
                _log_dataset(client, run_id, store, result.fingerprint)
                _log_files(client, run_id, result, report_html, figures)
                model_uri = _log_model(uri, run_id, result)
            experiment_id = client.get_run(run_id).info.experiment_id
        except MlflowException as error:
            raise ServiceError(
                f"MLflow at {uri} refused the run: {str(error).splitlines()[0]}. See the server's log."
            ) from None
        return TrackedRun(run_id, f"{uri.rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}", model_uri)
