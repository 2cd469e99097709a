"""A study in MLflow: a parent run, a child for every fold and seed, curves while they grow.

    with recording(config, store, uri) as recorder:
        result = train(config, store, observers=[recorder])
        tracked = recorder.finish(result, report.html, pictures)

However the block ends, no run says RUNNING any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from finnex.config import Config
from finnex.datasets.samples import CLASSES
from finnex.evaluation import classification_scores, scorecard, trading_card
from finnex.evaluation.metrics import averaged_classes
from finnex.evaluation.scorecard import PROBABILITIES
from finnex.evaluation.universe_words import universe_words
from finnex.store import ImageStore, study_companies
from finnex.tracking.entries import (
    Metric,
    environment,
    git_commit,
    log_dataset,
    log_files,
    log_model,
    log_values,
    of_card,
    of_epoch,
    of_trading,
)
from finnex.tracking.key import key_file, make_key
from finnex.tracking.registry import register
from finnex.tracking.server import connected
from finnex.tracking.versions import PREDICTIONS
from finnex.training import EpochReport, Member, MemberResult, Observer, Study, TrainingResult

if TYPE_CHECKING:
    from mlflow import MlflowClient

PARENT = "mlflow.parentRunId"
FLOW_RUN = "prefect.flow_run_id"
MACRO_AVERAGES = "macro_averages"
"""Tag of a run: which classes its balanced accuracy, precision, recall and F1 average."""


@dataclass(frozen=True)
class TrackedRun:
    """Where a training is recorded.

    Attributes
    ----------
    url
        Page of the parent run in the MLflow UI.
    model_uri
        MLflow's address of the model.
    version
        Of the registered model; the challenger until `finnex promote` changes it.
    """

    run_id: str
    url: str
    model_uri: str
    version: int


class StudyRecorder(Observer):
    """Writes a study into MLflow while it runs; made by `recording`.

    An outage of the server does not stop a training: what could not be logged is logged with the next epoch.
    """

    def __init__(
        self, config: Config, store: ImageStore, uri: str, client: MlflowClient, tags: Mapping[str, str]
    ) -> None:
        self._config, self._store, self._uri, self._client = config, store, uri, client
        self._tags = dict(tags)
        self._experiment = _experiment(client, config.mlflow.experiment)
        self._open: list[str] = []
        self._unsent: list[tuple[str, list[Metric]]] = []
        self._parent = self._child = ""

    def _start(self, name: str, tags: Mapping[str, str]) -> str:
        run = self._client.create_run(self._experiment, run_name=name, tags={**self._tags, **tags})
        self._open.append(str(run.info.run_id))
        return self._open[-1]

    def _end(self, run_id: str, status: str) -> None:
        self._client.set_terminated(run_id, status)
        self._open.remove(run_id)

    def end_what_is_open(self, status: str) -> None:
        """Give every run that is not ended a status; what the server does not take stays with it."""
        for run_id in list(reversed(self._open)):
            with suppress(Exception):
                self._end(run_id, status)

    def on_study_start(self, study: Study) -> None:
        """Open the parent run: what was set, on which data, with which code."""
        labels, model = self._config.labels, self._config.model
        tags = {
            "fingerprint": study.fingerprint,
            "layout_hash": study.layout_hash,
            "synthetic_tables": " ".join(self._store.attrs["synthetic_tables"]) or "none",
            "universe": universe_words(self._store, study_companies(self._config, self._store)),
            "resumed": str(study.resumed).lower(),
        }
        if commit := git_commit():
            tags["mlflow.source.git.commit"] = commit
        self._parent = self._start(f"{model.architecture} {labels.kind} {labels.horizon}", tags)
        log_values(self._client, self._parent, study.parameters)
        log_dataset(self._client, self._parent, self._store, study.fingerprint)
        log_files(self._client, self._parent, {"environment.txt": environment()}, {})

    def on_member_start(self, member: Member) -> None:
        """Open a child run: one network on one fold with one seed."""
        name = f"{member.model} fold {member.fold} seed {member.seed}"
        self._child = self._start(name, {PARENT: self._parent})
        sizes = {
            f"{part}.{key}": value
            for part, about in member.parts.items()
            for key, value in (("samples", about.samples), ("sessions", about.sessions), ("first", about.first),
                               ("last", about.last))
        }  # fmt: skip
        about = {"model": member.model, "fold": member.fold, "seed": member.seed, "purged": member.purged}
        log_values(self._client, self._child, {**about, **sizes})

    def on_epoch(self, member: Member, report: EpochReport) -> None:
        """Add an epoch to the curves."""
        self._unsent.append((self._child, of_epoch(report)))
        with suppress(Exception):  # the server is unreachable: the next epoch sends this one too
            self._send()

    def _send(self) -> None:
        while self._unsent:
            run_id, metrics = self._unsent[0]
            log_values(self._client, run_id, metrics=metrics)
            self._unsent.pop(0)

    def on_member_end(self, result: MemberResult) -> None:
        """Close the child run with what its best epoch answers on its own test part."""
        table = result.predictions
        test = table[table["split"] == "test"]
        scores = classification_scores(test["label"].to_numpy(), test[PROBABILITIES].to_numpy())
        found = [(f"test.{name}", float(value), 0) for name, value in vars(scores).items() if isinstance(value, float)]
        found += [("best_epoch", float(result.best.epoch), 0), ("seconds", result.seconds, 0)]
        self._unsent.append((self._child, found))
        self._send()
        self._client.set_tag(self._child, MACRO_AVERAGES, averaged_classes(scores.classes, CLASSES))
        self._end(self._child, "FINISHED")

    def finish(self, result: TrainingResult, report_html: str, pictures: Mapping[str, bytes]) -> TrackedRun:
        """Record the whole: scores, report, pictures, predictions, the model as a new version; close the parent run."""
        card = scorecard(result.predictions)
        metrics = [metric for report in result.history for metric in of_epoch(report)]
        log_values(self._client, self._parent, metrics=metrics)
        files = {f"figures/{name}.png": png for name, png in pictures.items()}
        files[PREDICTIONS] = result.predictions.to_parquet(index=False)
        written = log_files(self._client, self._parent, {"report.html": report_html}, files)
        logged = log_model(self._client, self._parent, result, CLASSES)
        trading = trading_card(result.predictions, self._store, self._config.trading)
        scores = [*of_card(card), *of_trading(trading), ("best_epoch", float(result.best_epoch), 0)]
        scores += [("seconds", result.seconds, 0)]
        log_values(self._client, self._parent, metrics=scores, model_id=logged.model_id)
        predictions, verdict = written[PREDICTIONS], card.verdict()
        version = register(self._client, self._config, self._parent, logged, predictions, result, verdict)
        parent = self._parent
        self._client.set_tag(parent, "verdict", verdict)
        self._client.set_tag(parent, MACRO_AVERAGES, card.averaged())
        self._end(parent, "FINISHED")
        url = f"{self._uri.rstrip('/')}/#/experiments/{self._experiment}/runs/{parent}"
        return TrackedRun(parent, url, logged.uri, version)


@contextmanager
def recording(
    config: Config, store: ImageStore, uri: str, *, flow_run_id: str | None = None
) -> Iterator[StudyRecorder]:
    """Yield what records a study in the MLflow server at `uri`.

    Parameters
    ----------
    config
        Configuration of the study.
    store
        Store that is trained on.
    uri
        Address of the MLflow server.
    flow_run_id
        The Prefect flow run that trains, for the record.

    Yields
    ------
    StudyRecorder
        Records the study, its trainings and their epochs.

    Raises
    ------
    ServiceError
        No server answers, or it refuses; runs that were opened are then marked FAILED. Or the key that the model is
        to be sealed with cannot be used.
    """
    make_key(key_file(config))  # after hours of training is no time to miss it
    with connected(uri) as client:
        recorder = StudyRecorder(config, store, uri, client, {FLOW_RUN: flow_run_id} if flow_run_id else {})
        try:
            yield recorder
        except Exception:
            recorder.end_what_is_open("FAILED")
            raise
        except BaseException:  # Ctrl-C, or a flow that is cancelled
            recorder.end_what_is_open("KILLED")
            raise
        recorder.end_what_is_open("FAILED")  # `finish` was not called


def _experiment(client: MlflowClient, name: str) -> str:
    known = client.get_experiment_by_name(name)
    if known is not None:
        return str(known.experiment_id)
    # MLflow opens an experiment of unknown kind in its view for language models.
    return str(client.create_experiment(name, tags={"mlflow.experimentKind": "custom_model_development"}))
