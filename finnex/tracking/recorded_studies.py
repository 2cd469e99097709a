"""The predictions of a recorded training, and of all others that were judged on its sessions: its trials."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from finnex.config import Config
from finnex.errors import ModelRefused, TrainingError, nearest
from finnex.tracking.key import key_file
from finnex.tracking.promotion_records import trial_among, versions_of
from finnex.tracking.seal import ModelVersion, check_seal
from finnex.tracking.server import connected
from finnex.tracking.versions import predictions_of

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as Entry

PARTS = ("validation", "test")
TRAIN_AGAIN = "Train again: `finnex train` records another run."


@dataclass(frozen=True)
class RecordedStudy:
    """A training as the registry has it.

    Attributes
    ----------
    version
        The version that it was registered as.
    predictions
        Of its networks and baselines, on validation and test of all folds: columns of `finnex.training.predictions`.
    trials
        Trainings that were judged on dates of its test part, before it or after it, this one included.
    others
        Test predictions of those of the others that can be read, by version.
    unread
        Why those of the rest cannot be read, by version.
    """

    version: ModelVersion
    predictions: pd.DataFrame
    trials: int
    others: Mapping[int, pd.DataFrame]
    unread: Mapping[int, str]


def recorded_study(config: Config, uri: str, run_id: str | None = None) -> RecordedStudy:
    """Return the predictions of a training that `finnex train` recorded.

    Parameters
    ----------
    config
        Name of the registered model, and the state folder whose key sealed it.
    uri
        Address of the MLflow server.
    run_id
        Its run in MLflow; by default that of the newest version.

    Returns
    -------
    RecordedStudy
        Its table, and those of all other trials of its test part.

    Raises
    ------
    TrainingError
        Nothing was trained yet, or no version is of this run.
    ModelRefused
        `finnex train` did not record the run, or its table is not the one that was recorded.
    ServiceError
        No MLflow server answers, or the key cannot be used.
    """
    name, key = config.mlflow.model, key_file(config)
    with connected(uri) as client:
        entries = versions_of(client, name)
        version = check_seal(_chosen(entries, name, uri, run_id), key, TRAIN_AGAIN)
        predictions = predictions_of(client, uri, version, TRAIN_AGAIN, PARTS, every_fold=True)
        others: dict[int, pd.DataFrame] = {}
        unread: dict[int, str] = {}
        parts = {version.version: version.said.test_part}
        for entry in entries:
            number = int(entry.version)
            if number == version.version:
                continue
            try:
                other = check_seal(entry, key, "")
                parts[number] = other.said.test_part
                if other.said.test_part.shares(version.said.test_part):
                    others[number] = predictions_of(client, uri, other, "", every_fold=True)
            except ModelRefused as refused:
                unread[number] = refused.reason
    newest = int(entries[-1].version)
    return RecordedStudy(version, predictions, trial_among(newest, version.said.test_part, parts), others, unread)


def _chosen(entries: list[Entry], name: str, uri: str, run_id: str | None) -> Entry:
    if not entries:
        raise TrainingError(f"the registered model '{name}' at {uri} has no version. Train one: finnex train.")
    if run_id is None:
        return entries[-1]
    for entry in reversed(entries):
        if entry.run_id == run_id:
            return entry
    raise TrainingError(
        f"no version of the registered model '{name}' at {uri} is of run '{run_id}'. "
        f"{nearest(run_id, [str(entry.run_id) for entry in entries])}"
    )


def keep_evaluation(uri: str, run_id: str, record: Mapping[str, Any], page: str | None) -> None:
    """Keep an evaluation with its run: `evaluation.json`, and `tear_sheet.html` where there is one.

    Parameters
    ----------
    uri
        Address of the MLflow server.
    run_id
        Run of the training.
    record
        Plain values.
    page
        HTML of the tear sheet.

    Raises
    ------
    ServiceError
        No MLflow server answers, or it refuses.
    """
    with connected(uri) as client:
        client.log_text(run_id, json.dumps(record, indent=2, default=str), "evaluation.json")
        if page is not None:
            client.log_text(run_id, page, "tear_sheet.html")
