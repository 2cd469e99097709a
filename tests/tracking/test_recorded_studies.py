"""A recorded training is found with its predictions, and every other training of its sessions counts as a trial."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from finnex.config import Config, TradingSettings
from finnex.errors import ModelRefused, TrainingError
from finnex.evaluation.scorecard import scorecard
from finnex.evaluation.study_evaluation import evaluate_study
from finnex.tracking import TrackedRun, keep_evaluation, recorded_study
from tests.helpers.registered import Registry, Trained, log_training

pytest_plugins = ("tests.helpers.registry",)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config(small_study: Trained) -> Config:
    found = small_study[0]
    return found.model_copy(update={"mlflow": found.mlflow.model_copy(update={"model": "evaluated"})})


@pytest.fixture(scope="module")
def runs(registry: Registry, small_study: Trained, config: Config) -> list[TrackedRun]:
    _, store, result = small_study
    return [log_training(config, store, result, "", {}, registry.address) for _ in range(3)]


def test_the_newest_training_is_found_with_all_its_predictions_and_trials(
    registry: Registry, small_study: Trained, config: Config, runs: list[TrackedRun]
) -> None:
    found = recorded_study(config, registry.address)
    assert (found.version.said.run_id, found.trials, sorted(found.others), dict(found.unread)) == (
        runs[-1].run_id, 3, [1, 2], {},
    )  # fmt: skip
    given = small_study[2].predictions
    assert len(found.predictions) == len(given)
    assert set(found.predictions["split"]) == {"validation", "test"}
    assert all(set(table["split"]) == {"test"} for table in found.others.values())
    assert scorecard(found.predictions).records() == scorecard(given).records()


def test_a_run_is_named_by_its_id_and_later_trials_count_too(
    registry: Registry, config: Config, runs: list[TrackedRun]
) -> None:
    found = recorded_study(config, registry.address, runs[0].run_id)
    assert (found.version.version, found.trials, sorted(found.others)) == (1, 3, [2, 3])
    with pytest.raises(TrainingError, match="is of run 'f00'"):
        recorded_study(config, registry.address, "f00")
    other = config.model_copy(update={"mlflow": config.mlflow.model_copy(update={"model": "none-yet"})})
    with pytest.raises(TrainingError, match=r"has no version. Train one: finnex train\."):
        recorded_study(other, registry.address)


@pytest.mark.usefixtures("runs")
def test_a_trial_that_cannot_be_read_counts_and_one_that_is_asked_for_is_refused(
    registry: Registry, config: Config, client: Any
) -> None:
    name, tag = config.mlflow.model, "finnex.seal"
    [seal] = [value for key, value in client.get_model_version(name, "2").tags.items() if key == tag]
    client.set_model_version_tag(name, "2", tag, "0" * 64)
    try:
        found = recorded_study(config, registry.address)
        assert (found.trials, sorted(found.others)) == (3, [1])
        assert "its seal is not of this state's key" in found.unread[2]
        with pytest.raises(ModelRefused, match="version 2 of 'evaluated'"):
            recorded_study(config, registry.address, client.get_model_version(name, "2").run_id)
    finally:
        client.set_model_version_tag(name, "2", tag, seal)


def test_an_evaluation_is_kept_with_its_run(
    registry: Registry, runs: list[TrackedRun], client: Any, tmp_path: Path
) -> None:
    keep_evaluation(registry.address, runs[0].run_id, {"trials": 3}, "<p>sheet</p>")
    kept = Path(client.download_artifacts(runs[0].run_id, "evaluation.json", str(tmp_path)))
    assert json.loads(kept.read_text()) == {"trials": 3}
    page = Path(client.download_artifacts(runs[0].run_id, "tear_sheet.html", str(tmp_path)))
    assert page.read_text() == "<p>sheet</p>"


def test_predictions_of_another_store_are_refused(own_study: Trained) -> None:
    _, store, result = own_study
    given, settings = result.predictions, TradingSettings()
    assert evaluate_study(given, store, settings).card.rows
    with pytest.raises(TrainingError, match="has no BBB, of which the training has predictions"):
        evaluate_study(given.assign(symbol="BBB"), store, settings)
    moved = given.assign(decision_date=given["decision_date"] + pd.Timedelta(days=36_500))
    with pytest.raises(TrainingError, match="which the training predicted"):
        evaluate_study(moved, store, settings)
    with pytest.raises(TrainingError, match=r"the label of AAA on .* is '(sell|hold|buy)' in the predictions and"):
        evaluate_study(given.assign(label=(given["label"] + 1) % 3), store, settings)
