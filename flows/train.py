"""Train on what the store holds, judge the model on unseen sessions, write the report, record it all in MLflow.

Everything runs in the flow's own process: a Dask worker could not start the children a training may need.
"""

from __future__ import annotations

from typing import Any

from prefect import Flow, flow, get_run_logger, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun, State

from finnex.config import Config
from finnex.reporting.report import Report
from finnex.store import ImageStore
from finnex.store_path import StorePath
from finnex.tracking import StudyRecorder, TrackedRun, champion_words, recording
from finnex.training import Progress, TrainingResult, train, until_recorded
from flows.clusters.arguments import untouched
from flows.learning import progress_words, score_rows, trading_rows, write_report
from flows.prefect_api.progress import ProgressArtifact, publish_table
from flows.prefect_api.requests import TrainRequest
from flows.prefect_api.settling import settle_tasks
from flows.recording import end_open_runs, recording_server


@task(name="train", task_run_name="train", cache_policy=NO_CACHE, persist_result=False)
def train_network(
    config: Config, store: ImageStore, progress: ProgressArtifact, recorder: StudyRecorder
) -> TrainingResult:
    """Train every fold and seed and the baselines, predict the unseen sessions, and record the progress in MLflow.

    Parameters
    ----------
    config
        Training, model, labels and symbols.
    store
        Store to train on.
    progress
        Artifact that shows the progress.
    recorder
        Records the study in MLflow.

    Returns
    -------
    TrainingResult
        As of `finnex.training.train`.
    """

    def show(at: Progress) -> None:
        done, text = progress_words(at)
        progress.show(done, 1.1, text)  # the steps after the training take the rest
        if at.report is not None:
            get_run_logger().info(text)

    return train(config, store, observers=[recorder], on_progress=show)


@task(name="check and report", task_run_name="check and report", cache_policy=NO_CACHE, persist_result=False)
def check_and_report(
    config: Config, store: ImageStore, result: TrainingResult, champion: str
) -> tuple[Report, StorePath]:
    """Check the store's quality, judge the model, and write the report.

    Parameters
    ----------
    config
        Configuration; the report lies next to its store.
    store
        Store to look at.
    result
        The training.
    champion
        Which version is the champion and how it became one.

    Returns
    -------
    tuple
        The report, and the path of its HTML.
    """
    report, path = write_report(config, store, result, champion=champion)
    for check in report.failed:
        get_run_logger().warning("quality: %s is %s, wanted %s", check.name, check.value, check.limit)
    return report, path


@task(
    name="record in MLflow",
    task_run_name="record in MLflow",
    retries=2,
    retry_delay_seconds=[2, 10],
    cache_policy=NO_CACHE,
    persist_result=False,
)
def record(recorder: StudyRecorder, result: TrainingResult, report: Report) -> TrackedRun:
    """Record scores, report, pictures and the model, which becomes the challenger."""
    return recorder.finish(result, report.html, {picture.name: picture.png for picture in report.pictures})


def end_its_mlflow_run(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """End the MLflow run of a killed flow: it would keep the status RUNNING for ever."""
    config = TrainRequest.model_validate(flow_run.parameters["request"]).load()
    with recording_server(config) as uri:
        end_open_runs(uri, config.mlflow.experiment, str(flow_run.id))


@flow(
    name="finnex-train",
    on_completion=[settle_tasks],
    on_failure=[settle_tasks],
    on_cancellation=[settle_tasks, end_its_mlflow_run],
    on_crashed=[settle_tasks, end_its_mlflow_run],
)
def train_model(request: TrainRequest) -> None:
    """Train the configured model and its baselines, and record scores, pictures and report in MLflow."""
    config = request.load()
    store = ImageStore.open(config.store.path)
    progress = ProgressArtifact("training", "Reading images")
    flow_run = str(runtime.flow_run.id)
    with (
        recording_server(config) as uri,  # a server that does not answer fails the run now, not after the training
        recording(config, store, uri, flow_run_id=flow_run) as recorder,
    ):
        result = train_network(untouched(config), untouched(store), untouched(progress), untouched(recorder))
        progress.show(1, 1.1, "Checking quality, writing the report")
        with until_recorded(result.study.folder):
            champion = champion_words(config, uri)
            report, path = check_and_report(untouched(config), untouched(store), untouched(result), champion)
            tracked = record(untouched(recorder), untouched(result), untouched(report))
    assert report.card is not None  # there was a training
    assert report.trading is not None
    verdict = report.card.verdict()
    publish_table("scores", score_rows(report.card), verdict)
    publish_table("trading", trading_rows(report.trading), " ".join(report.trading.words()))
    where = {"verdict": verdict, "mlflow_url": tracked.url, "report": path, "model_version": tracked.version}
    publish_table("training-result", [where], "Where to look")
    get_run_logger().info("%s Report: %s", verdict, path)
    progress.finish(verdict)
