"""The record of a training in a real MLflow server: complete, silent, and never left running."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import finnex
from finnex.config import MlflowSettings
from finnex.config.state import state_folder
from finnex.errors import ServiceError, TrainingError
from finnex.evaluation import scorecard, trading_card
from finnex.evaluation.promotion_rule import Decision
from finnex.evaluation.trading import FIGURES
from finnex.tracking import (
    TrackedRun,
    champion_words,
    load_champion,
    models,
    promote,
    recording,
)
from finnex.tracking.entries import log_files
from finnex.tracking.key import KEY_FILE, make_key
from finnex.tracking.nightly_predictions import predict_newest
from finnex.tracking.promotion_records import FORCED, NOT_RECORDED, record_promotion
from finnex.tracking.seal import STATEMENT, Statement, check_seal, sealed
from finnex.tracking.versions import PREDICTIONS, baseline_answers, own_answers, predictions_of
from finnex.training import EpochReport, Member, Observer, train
from tests.helpers.registered import Registry, Trained, free_port, log_training

pytest_plugins = ("tests.helpers.registry",)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(registry: Registry) -> str:
    return registry.address


@pytest.fixture(scope="module")
def trained(small_study: Trained) -> Trained:
    return small_study


@pytest.fixture(scope="module")
def logged(server: str, trained: Trained) -> TrackedRun:
    config, store, result = trained
    return log_training(config, store, result, "<p>report</p>", {"scores": b"\x89PNG"}, server, "f-1")


def test_an_address_without_a_server_fails_at_once_with_the_remedy(trained: Trained) -> None:
    began = time.monotonic()
    with pytest.raises(ServiceError, match=r"no MLflow server answers at .*finnex up"):
        log_training(*trained, "", {}, f"http://127.0.0.1:{free_port()}")
    assert time.monotonic() - began < 5


def test_a_key_that_cannot_be_used_is_missed_before_the_training(
    server: str, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.key").write_text("no key")
    (tmp_path / "model.key").chmod(0o600)
    monkeypatch.setenv("FINNEX_HOME", str(tmp_path))
    with (
        pytest.raises(ServiceError, match=r"model\.key holds no key"),
        recording(trained[0], trained[1], server),
    ):
        pytest.fail("a training began")


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
    for name in ("test.accuracy", "test.log_loss", "test.majority.accuracy", "test.logistic_regression.gap"):
        assert name in run.data.metrics
    trading = trading_card(result.predictions, store, config.trading)
    for model, prefix in (
        (trading.model, "test"),
        ("majority", "test.majority"),
        ("buy_and_hold", "test.buy_and_hold"),
    ):
        for name in FIGURES:
            value = getattr(trading.lines[model], name)
            assert np.isnan(value) or run.data.metrics[f"{prefix}.{name}"] == pytest.approx(value)
    assert not [
        name for name in run.data.metrics if name.endswith(("_low", "_high"))
    ]  # too few sessions, and it says so
    assert "sessions, at least 60 are needed at horizon 5" in run.data.tags["verdict"]
    assert run.data.tags["macro_averages"] == scorecard(result.predictions).averaged()
    children = client.search_runs([run.info.experiment_id], f"tags.mlflow.parentRunId = '{logged.run_id}'")
    assert all("F1 are means over" in child.data.tags["macro_averages"] for child in children)
    assert children
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
def test_other_programs_load_the_model_through_mlflow_without_unpickling(
    server: str, logged: TrackedRun, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    loaded = mlflow.pyfunc.load_model(logged.model_uri)
    signature = loaded.metadata.signature
    assert signature.inputs.inputs[0].shape == (-1, 3, 512, 512)
    images = torch.rand(3, 3, 512, 512, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = trained[2].model.eval()(images)[0].softmax(-1).numpy()
    np.testing.assert_allclose(loaded.predict({"images": images.numpy()}), expected, atol=1e-6)
    np.testing.assert_allclose(loaded.predict({"images": images[:1].numpy()}), expected[:1], atol=1e-6)


def test_a_models_page_shows_its_parameters_and_scores(client: Any, logged: TrackedRun, trained: Trained) -> None:
    model = client.get_logged_model(logged.model_uri.removeprefix("models:/"))
    assert (model.status.value, model.source_run_id) == ("READY", logged.run_id)
    assert model.params["training.seed"] == str(trained[0].training.seed)
    assert {"test.accuracy", "test.majority.accuracy"} <= {metric.key for metric in model.metrics}
    [output] = client.get_run(logged.run_id).outputs.model_outputs
    assert output.model_id == model.model_id


def test_recording_is_silent_and_leaves_the_environment_as_it_was(
    server: str, trained: Trained, capfd: pytest.CaptureFixture[str]
) -> None:
    before = dict(os.environ)
    config, store, result = trained
    log_training(config, store, result, "r", {}, server)
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")
    assert dict(os.environ) == before


def test_recording_is_silent_too_where_it_imports_mlflow() -> None:
    code = (
        "import logging\n"
        "from finnex.tracking.server import silence\n"
        "with silence():\n"
        "    import mlflow.store.model_registry.abstract_store as store\n"
        "    store._logger.info('heard')\n"
        "    store._logger.warning('heard')\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (said.stdout, said.stderr) == ("", "")


def reseal(client: Any, name: str, version: str, **changes: object) -> None:
    """Let a version say something else, under a seal that holds."""
    said = Statement.model_validate_json(client.get_model_version(name, version).tags[STATEMENT])
    for key, value in sealed(said.model_copy(update=changes), make_key(state_folder(Path.cwd()) / KEY_FILE)).items():
        client.set_model_version_tag(name, version, key, value)


def test_a_version_is_judged_by_what_its_own_seed_said(server: str, client: Any, trained: Trained) -> None:
    config, store, result = trained
    tracked = log_training(
        config.model_copy(update={"mlflow": MlflowSettings(model="seeds")}), store, result, "r", {}, server
    )
    chosen = result.chosen.member
    entry = client.get_model_version("seeds", "1")
    assert (entry.tags["seed"], entry.tags["fold"]) == (str(chosen.seed), str(chosen.fold))
    said = pd.concat([result.predictions, result.predictions.assign(seed=chosen.seed + 1)])
    written = log_files(client, tracked.run_id, {}, {PREDICTIONS: said.to_parquet()})
    reseal(client, "seeds", "1", predictions=written[PREDICTIONS])
    version = check_seal(client.get_model_version("seeds", "1"), state_folder(Path.cwd()) / KEY_FILE, "")
    table = predictions_of(client, server, version, "")
    found = own_answers(table, version)
    assert set(baseline_answers(table, version)) == set(result.predictions["model"]) - {chosen.model}
    assert set(found["seed"]) == {chosen.seed}
    assert set(found["split"]) == {"test"}


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
    ended = {run.info.run_name: run.info.status for run in client.search_runs([experiment.experiment_id])}
    assert ended == {
        "multiscale_cnn price_movement 5": status, "multiscale_cnn fold 0 seed 7": "FINISHED",
    }  # fmt: skip


def test_a_refusal_of_the_server_is_told_as_one_sentence(server: str, client: Any, trained: Trained) -> None:
    config, store, result = trained
    client.delete_experiment(client.create_experiment("closed"))
    closed = config.model_copy(update={"mlflow": MlflowSettings(experiment="closed")})
    with pytest.raises(ServiceError, match=r"MLflow at http://127.0.0.1:\d+ refused: .*deleted"):
        log_training(closed, store, result, "r", {}, server)


def test_every_fold_and_seed_is_a_child_whose_curves_grow_while_it_runs(
    server: str, client: Any, trained: Trained, tmp_path: Path
) -> None:
    config, store, _ = trained
    training = config.training.model_copy(update={"seeds": 2, "epochs": 2})
    config = config.model_copy(
        update={"training": training, "mlflow": MlflowSettings(experiment="children", model="children")}
    )
    seen: list[tuple[str, int, str]] = []

    class Watching(Observer):
        def on_epoch(self, member: Member, report: EpochReport) -> None:
            [run] = [
                one
                for one in client.search_runs([client.get_experiment_by_name("children").experiment_id])
                if one.info.run_name == f"multiscale_cnn fold 0 seed {member.seed}"
            ]
            told = client.get_metric_history(run.info.run_id, "validation_loss")
            seen.append((run.info.run_name, len(told), run.info.status))

    with recording(config, store, server) as recorder:
        result = train(config, store, observers=[recorder, Watching()], folder=tmp_path / "study")
        tracked = recorder.finish(result, "r", {})
    assert seen == [
        ("multiscale_cnn fold 0 seed 7", 1, "RUNNING"), ("multiscale_cnn fold 0 seed 7", 2, "RUNNING"),
        ("multiscale_cnn fold 0 seed 8", 1, "RUNNING"), ("multiscale_cnn fold 0 seed 8", 2, "RUNNING"),
    ]  # fmt: skip
    runs = client.search_runs([client.get_experiment_by_name("children").experiment_id])
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == tracked.run_id]
    assert {run.data.params["seed"] for run in children} == {"7", "8"}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert all("test.log_loss" in run.data.metrics for run in children)
    environment = Path(client.download_artifacts(tracked.run_id, "environment.txt", str(tmp_path))).read_text()
    assert f"torch=={torch.__version__.split('+')[0]}" in environment


def test_a_server_that_is_away_for_an_epoch_costs_no_curve(server: str, client: Any, trained: Trained) -> None:
    config, store, result = trained
    config = config.model_copy(update={"mlflow": MlflowSettings(experiment="away", model="away")})
    [member] = result.members
    with recording(config, store, server) as recorder:
        recorder.on_study_start(result.study)
        recorder.on_member_start(member.member)
        real, recorder._client = recorder._client, None  # type: ignore[assignment]
        recorder.on_epoch(member.member, member.history[0])
        recorder._client = real
        recorder.on_epoch(member.member, member.history[1])
        recorder.on_member_end(member)
        recorder.finish(result, "r", {})
    [child] = [
        run
        for run in client.search_runs([client.get_experiment_by_name("away").experiment_id])
        if run.info.run_name == "multiscale_cnn fold 0 seed 7"
    ]
    assert [metric.step for metric in client.get_metric_history(child.info.run_id, "loss")] == [1, 2]


def test_a_notebooks_prediction_without_a_champion_says_how_to_get_one(server: str, trained: Trained) -> None:
    config = trained[0].model_copy(update={"mlflow": MlflowSettings(uri=server, model="nobody")})
    with pytest.raises(TrainingError, match=r"'nobody'.* has no champion\. Train with `finnex train`"):
        finnex.predict(config)


@pytest.mark.filterwarnings("ignore")
def test_the_first_model_is_promoted_and_a_later_one_only_if_it_is_better(
    server: str, client: Any, trained: Trained
) -> None:
    config, store, result = trained
    config = config.model_copy(update={"mlflow": MlflowSettings(experiment="registry", model="registry")})
    with pytest.raises(TrainingError, match="has no challenger"):
        promote(config, store, server)
    with pytest.raises(TrainingError, match=r"no champion.*finnex promote"):
        load_champion(config, store, server)
    log_training(config, store, result, "r", {}, server)
    challenger = client.get_model_version_by_alias("registry", "challenger")
    assert (challenger.version, challenger.tags["layout_hash"]) == ("1", "0123abcd")
    seen = result.predictions[result.predictions["split"] == "validation"]["label_end"].max()
    assert challenger.tags["trained_until"] == str(seen.date())
    decision, champion = promote(config, store, server)
    assert (decision.promoted, champion) == (False, None)
    assert "it does not beat the majority class, as a champion must" in decision.reason
    assert "at least 60 are needed at horizon 5" in decision.reason
    decision, champion = promote(config, store, server, force=True)
    assert champion is not None
    assert (decision.promoted, decision.forced, champion.version) == (True, True, 1)
    log_training(config, store, result, "r", {}, server)
    decision, champion = promote(config, store, server)
    assert champion is not None
    assert (decision.promoted, decision.trial, champion.version) == (False, 2, 1)
    again = client.get_model_version_by_alias("registry", "challenger")
    assert (again.version, again.tags["trial"]) == ("2", "2")
    assert again.tags["decision"] == decision.reason
    fewer = config.model_copy(update={"symbols": ("BBB",)})
    assert promote(fewer, store, server)[0] == decision  # what is asked about is the challenger's, not the file's
    other = config.model_copy(update={"labels": config.labels.model_copy(update={"horizon": 10})})
    with pytest.raises(TrainingError, match=r"answers horizon 5, \[labels\] now asks for 10"):
        load_champion(other, store, server)


@pytest.mark.filterwarnings("ignore")
def test_a_champion_that_was_forced_is_said_to_be_for_ever(server: str, client: Any, trained: Trained) -> None:
    config, store, result = trained
    config = config.model_copy(update={"mlflow": MlflowSettings(experiment="forced", model="forced")})
    assert champion_words(config, server) == "none"
    tracked = log_training(config, store, result, "r", {}, server)
    client.set_registered_model_alias("forced", "champion", "1")  # by hand, as MLflow's page offers it
    assert load_champion(config, store, server).about == f"{NOT_RECORDED} {scorecard(result.predictions).verdict()}"
    client.delete_registered_model_alias("forced", "champion")
    promote(config, store, server, force=True)
    assert client.get_model_version("forced", "1").tags["promotion"] == "forced"
    assert client.get_run(tracked.run_id).data.tags["promotion"] == FORCED
    client.set_model_version_tag("forced", "1", "promotion", "earned")  # a note for people
    (row,) = (one.row() for one in models(config, server))
    assert (row["titles"], row["promotion"], row["trial"]) == ("champion, challenger", FORCED, 1)
    assert champion_words(config, server) == f"version 1. {FORCED}"
    assert load_champion(config, store, server).about.startswith(FORCED)
    better = Decision(True, "better", 500, 500, trial=1, level=0.02)
    key = state_folder(Path.cwd()) / KEY_FILE
    record_promotion(client, client.get_model_version("forced", "1"), better, key)  # on its merits, later
    assert load_champion(config, store, server).about.startswith(FORCED)
    log_training(config, store, result, "r", {}, server)
    for tag in ("finnex.promotion", "finnex.promotion_seal"):  # a record of another version is none
        client.set_model_version_tag("forced", "2", tag, client.get_model_version("forced", "1").tags[tag])
    client.set_registered_model_alias("forced", "champion", "2")
    assert champion_words(config, server) == f"version 2. {NOT_RECORDED}"


@pytest.mark.filterwarnings("ignore")
def test_every_version_judged_on_a_test_part_is_a_trial_of_it_a_deleted_one_too(
    server: str, client: Any, trained: Trained
) -> None:
    config, store, result = trained
    config = config.model_copy(update={"mlflow": MlflowSettings(experiment="trials", model="trials")})
    for _ in range(3):
        log_training(config, store, result, "r", {}, server)
    test = result.predictions[result.predictions["split"] == "test"]
    part = f"{test['decision_date'].min().date()} to {test['label_end'].max().date()}"
    assert [(one.version, one.test_part, one.trial) for one in models(config, server)] == [
        (1, part, 1), (2, part, 2), (3, part, 3),
    ]  # fmt: skip
    assert promote(config, store, server)[0].trial == 3
    client.delete_model_version("trials", "2")
    assert promote(config, store, server)[0].trial == 3
    reseal(client, "trials", "1", test_first=date(2001, 1, 2), test_last=date(2001, 6, 29))
    assert promote(config, store, server)[0].trial == 2
    client.set_model_version_tag("trials", "1", "finnex.seal", "0" * 64)  # what is not known may have been a trial
    decision, champion = promote(config, store, server)
    assert (decision.trial, decision.promoted, champion) == (3, False, None)
    assert [one.trial for one in models(config, server)] == [None, 3]


@pytest.mark.filterwarnings("ignore")
def test_a_prediction_is_made_once_and_kept_with_its_version_and_its_time(
    server: str, own_study: Trained, tmp_path: Path
) -> None:
    config, store, result = own_study
    config = config.model_copy(update={"mlflow": MlflowSettings(experiment="predict", model="predict")})
    log_training(config, store, result, "r", {}, server)
    promote(config, store, server, force=True)
    before = store.fingerprint()
    said = predict_newest(config, server, 3)
    ready = store.open_images("AAA")
    assert [str(one.session) for one in said] == [
        str(day) for day in ready["date"].to_numpy()[-3:].astype("datetime64[D]")
    ]
    assert all(one.version == 1 and abs(sum(one.probabilities) - 1) < 1e-6 for one in said)
    kept = ready["prediction"].to_numpy()[-3:]
    np.testing.assert_allclose(kept, [one.probabilities for one in said], atol=1e-6)
    assert np.isnan(ready["prediction"].to_numpy()[:-3]).all()
    assert ready["prediction_version"].to_numpy()[-3:].tolist() == [1, 1, 1]
    images = torch.from_numpy(ready["image"].to_numpy()[-3:]).permute(0, 3, 1, 2).half().float()
    with torch.no_grad():
        expected = result.model.eval()(images)[0].softmax(-1).numpy()
    np.testing.assert_allclose(kept, expected, atol=1e-4)
    assert predict_newest(config, server, 3) == []
    assert [str(one.session) for one in predict_newest(config, server, 4)] == [
        str(ready["date"].to_numpy()[-4].astype("datetime64[D]"))
    ]
    np.testing.assert_array_equal(store.open_images("AAA")["prediction"].to_numpy()[-3:], kept)
    assert store.fingerprint() == before, "predictions are no part of the data that is learned from"
