"""Train on what the store holds, judge the model on unseen sessions, write the report, record it all in MLflow.

Everything runs in the flow's own process: a Dask worker could not start the children a training may need.
"""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow
from prefect.runtime import flow_run
from prefect.utilities.annotations import quote

from finnex.config import Config
from finnex.store import ImageStore
from finnex.training import Progress
from flows.learning import Learned, Report, learn, progress_words, record, report
from flows.progress import ProgressArtifact, publish_table
from flows.recording import recording_server
from flows.requests import TrainRequest


def _end_its_mlflow_run(_: Flow[..., Any], run: FlowRun, __: State[Any]) -> None:
    """Let no MLflow run say RUNNING for ever after its flow run has ended."""
    from finnex.reporting.tracking import end_runs  # noqa: PLC0415  mlflow takes seconds to import

    config = TrainRequest.model_validate(run.parameters["request"]).load()
    with recording_server(config) as uri:
        end_runs(uri, flow_run_id=str(run.id))


@flow(name="finnex-train", on_cancellation=[_end_its_mlflow_run], on_crashed=[_end_its_mlflow_run])
def train_model(request: TrainRequest) -> None:
    """Train the configured model and its baselines, and record scores, pictures and report in MLflow."""
    config = request.load()
    store = ImageStore.open(config.store.path)
    progress = ProgressArtifact("training", "Reading images")
    with recording_server(config) as uri:  # told now if it does not answer, not after an hour of training
        learned = learn_step(quote(config), quote(store), quote(progress))
        progress.show(0.92, 1, "Checking quality and writing the report")
        written = report_step(quote(config), quote(store), quote(learned))
        run_id = record_step(quote(config), quote(store), quote(learned), quote(written), uri)
    publish_table("scores", written.score_rows(), written.card.verdict())
    publish_table("training-result", [{"run_id": run_id, "report": written.path, "mlflow": uri}], "Where to look")
    get_run_logger().info("%s The report is at %s", written.card.verdict(), written.path)
    progress.finish(written.card.verdict())


once = task(cache_policy=NO_CACHE, persist_result=False)
