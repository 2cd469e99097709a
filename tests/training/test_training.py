"""Training: splits that do not leak, data that does not move, runs that repeat."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch

from finnex.config import Config, LabelSettings
from finnex.config.training import AugmentationSettings
from finnex.datasets.samples import labelled_samples
from finnex.errors import TrainingError
from finnex.evaluation import scorecard
from finnex.evaluation.scorecard import PROBABILITIES
from finnex.models.exported import Probabilities
from finnex.pipeline import build, read_run
from finnex.store import READY, ImageStore, StoreWriter
from finnex.training import (
    EpochReport,
    Member,
    MemberResult,
    Observer,
    Progress,
    Study,
    TrainingResult,
    load_network,
    train,
    unfinished_study,
    until_recorded,
)
from finnex.training.baselines import BASELINES
from finnex.training.checkpoint import load_checkpoint
from finnex.training.devices import arithmetic_threads
from finnex.training.network import ARCHITECTURES
from finnex.training.study_folder import working_in
from flows.learning import progress_words, write_report
from tests.helpers.planted import SYMBOLS, CoarseNetwork, grey_store, planted_store
from tests.helpers.stores import LABEL_SETTINGS, blank, make_config, make_store, sessions, template

DAYS = 150
Trained = tuple[TrainingResult, list[Progress], Path]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> ImageStore:
    return planted_store(tmp_path_factory.mktemp("planted") / "images.zarr", DAYS)


@pytest.fixture(scope="module")
def trained(planted: ImageStore, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    told: list[Progress] = []
    config = make_config(planted, folder, epochs=2)
    result = train(config, planted, on_progress=told.append, folder=folder / "study")
    return result, told, folder / "study"


def coarse_network(*_: object) -> CoarseNetwork:
    return CoarseNetwork()


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that takes no time: what a study does is the same with every network."""
    monkeypatch.setitem(ARCHITECTURES, "multiscale_cnn", coarse_network)


# ---- data --------------------------------------------------------------------------------------------------------


def test_sessions_without_a_known_outcome_or_image_are_no_samples(tmp_path: Path) -> None:
    labels = np.array([0, 1, 2, -1, 1, 0, 2, 1, 0, 1, 2, 0])
    store = make_store(tmp_path / "s.zarr", sessions(12), lambda *_: blank(), {"AAA": labels}, horizon=1, unpublished=2)
    samples = labelled_samples(store, LabelSettings(horizon=1))
    assert samples.index.tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    np.testing.assert_array_equal(samples.label, labels[samples.index])
    np.testing.assert_array_equal(samples.entry, sessions(12)[samples.index + 1])
    np.testing.assert_array_equal(samples.label_end, sessions(12)[samples.index + 1])


def test_a_store_that_moved_during_training_is_noticed(coarse: None, tmp_path: Path) -> None:
    store = grey_store(tmp_path / "s.zarr", 120, np.arange(120) % 3)
    writer = StoreWriter.prepare(store.path, template())

    def move(progress: Progress) -> None:
        if progress.stage == "epoch" and progress.done == 1:
            writer.write_rows("AAA", "label_price_movement", 0, np.full((1, 5), 2, dtype=np.int8))

    config = make_config(store, tmp_path, validation_fraction=0.2)
    with pytest.raises(TrainingError, match=r"changed while a model was trained on it: fingerprint \w+ became \w+"):
        train(config, store, on_progress=move)


# ---- what cannot be trained on -----------------------------------------------------------------------------------


def test_one_class_only_is_refused_by_name(tmp_path: Path) -> None:
    store = grey_store(tmp_path / "s.zarr", 120, np.full(120, 2))
    with pytest.raises(TrainingError, match="training samples of fold 0 are of the class 'buy'"):
        train(make_config(store, tmp_path, validation_fraction=0.2), store)


def test_a_store_without_labels_is_refused_with_what_it_has(tmp_path: Path) -> None:
    store = grey_store(tmp_path / "s.zarr", 30, np.full(30, -1))
    with pytest.raises(TrainingError, match=r"30 published sessions and no known label 'price_movement' over 5"):
        train(make_config(store, tmp_path), store)


def test_labels_made_with_other_thresholds_are_refused(planted: ImageStore, tmp_path: Path) -> None:
    config = make_config(planted, tmp_path)
    other = config.model_copy(update={"labels": LabelSettings(threshold_volatility=2.0)})
    assert LABEL_SETTINGS["threshold_volatility"] != 2.0
    with pytest.raises(TrainingError, match=r"labelled with threshold_volatility = 0.5"):
        train(other, planted)


def test_a_pixel_that_is_no_number_stops_training_and_names_the_batch(tmp_path: Path) -> None:
    def image(_: str, index: int) -> npt.NDArray[np.float32]:
        return np.full((512, 512, 3), np.nan if index == 10 else 0.5, dtype=np.float32)

    store = make_store(tmp_path / "s.zarr", sessions(120), image, {"AAA": np.arange(120) % 3})
    with pytest.raises(TrainingError, match=r"(?s)of \d+ pixels are no finite .*epoch 1, batch \d of \d .*AAA 2015-"):
        train(make_config(store, tmp_path, validation_fraction=0.2), store)


# ---- one training ------------------------------------------------------------------------------------------------


@pytest.mark.accept
def test_a_rule_of_one_region_is_learned_on_unseen_dates_above_95_percent(planted: ImageStore, tmp_path: Path) -> None:
    table = train(make_config(planted, tmp_path, epochs=6, patience_epochs=6), planted).predictions
    own = table[(table["model"] == "multiscale_cnn") & (table["split"] == "test")]
    right = own[PROBABILITIES].to_numpy().argmax(axis=1) == own["label"].to_numpy()
    assert len(own) >= 50
    assert right.mean() > 0.95


def test_model_and_baselines_answer_for_the_same_sessions(trained: Trained) -> None:
    table = trained[0].predictions
    rows = {
        name: part[["symbol", "decision_date", "split", "label"]].to_numpy().tolist()
        for name, part in table.groupby("model")
    }
    assert set(rows) == {"multiscale_cnn", *BASELINES}
    assert all(own == rows["multiscale_cnn"] for own in rows.values())
    np.testing.assert_allclose(table[PROBABILITIES].sum(axis=1), 1, atol=1e-6)
    assert (table["entry"] > table["decision_date"]).all()
    assert (table["label_end"] >= table["entry"]).all()
    assert set(table["split"]) == {"validation", "test"}
    assert table["predicted_return"].isna().all()


def test_progress_tells_of_images_batches_epochs_and_baselines(trained: Trained) -> None:
    result, told, _ = trained
    epochs = [item for item in told if item.stage == "epoch"]
    assert [item.report for item in epochs] == list(result.history)
    batches = [item for item in told if item.stage == "train" and item.epoch == 1]
    assert [item.done for item in batches] == list(range(1, batches[0].total + 1))
    assert all(0 <= report.waiting_share < 1 for report in result.history)
    assert all(report.images_per_second > 0 for report in result.history)
    assert [item for item in told if item.stage == "read"][-1].done == len(SYMBOLS) * (DAYS - 5)
    assert [item.done for item in told if item.stage == "baselines"] == list(range(len(BASELINES)))
    done = [progress_words(item)[0] for item in told]
    assert done == sorted(done)
    assert done[0] > 0
    assert done[-1] <= 1


def test_the_model_has_the_weights_of_its_best_epoch_and_the_checkpoint_too(trained: Trained) -> None:
    result, _, folder = trained
    checkpoint = folder / "multiscale_cnn-fold0-seed7" / "best.safetensors"
    assert result.chosen.checkpoint == checkpoint
    held = load_checkpoint(checkpoint)
    assert held["report"]["epoch"] == result.best_epoch
    assert held["about"]["fingerprint"] == result.fingerprint
    assert min(result.history, key=lambda report: report.validation_loss).epoch == result.best_epoch
    images = torch.rand(2, 3, 512, 512, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(result.model(images)[0], load_network(checkpoint)(images)[0])
    held_names = {path.name for path in checkpoint.parent.iterdir()}
    assert held_names == {"best.safetensors", "member.json", "predictions.parquet"}


@pytest.mark.accept
@pytest.mark.integration
def test_two_runs_with_one_seed_give_identical_metrics_streamed_or_held(planted: ImageStore, tmp_path: Path) -> None:
    config = make_config(
        planted, tmp_path, epochs=2, train_fraction=0.3, validation_fraction=0.2, baselines=("boosted_trees",)
    )
    first = train(config, planted)
    second = train(config, planted, memory_limit_bytes=0)
    assert (first.in_memory, second.in_memory) == (True, False)
    by_processes = config.model_copy(update={"training": config.training.model_copy(update={"readers": 1})})
    third = train(by_processes, planted, memory_limit_bytes=0)
    pd.testing.assert_frame_equal(first.predictions, third.predictions)
    assert first.study.folder != second.study.folder
    for one, other in zip(first.history, second.history, strict=True):
        assert (one.loss, one.validation_loss) == (other.loss, other.validation_loss)
    pd.testing.assert_frame_equal(first.predictions, second.predictions)


# ---- studies -----------------------------------------------------------------------------------------------------

FEW: dict[str, Any] = {
    "epochs": 1, "train_fraction": 0.3, "validation_fraction": 0.1, "folds": 2, "seeds": 2,
    "baselines": ("majority", "persistence"), "batch_size": 24,
}  # fmt: skip


class Diary(Observer):
    """Writes down what it is told."""

    def __init__(self, stop_after: int = 99) -> None:
        self.lines: list[str] = []
        self.stop_after = stop_after
        self.study: Study | None = None

    def on_study_start(self, study: Study) -> None:
        self.study = study
        self.lines.append(f"study of {len(study.members)}")

    def on_member_start(self, member: Member) -> None:
        self.lines.append(f"start {member.number} of {member.of}: fold {member.fold} seed {member.seed}")

    def on_epoch(self, member: Member, report: EpochReport) -> None:
        self.lines.append(f"epoch {report.epoch} of {member.number}")

    def on_member_end(self, result: MemberResult) -> None:
        self.lines.append(f"end {result.member.number}")
        if result.member.number == self.stop_after:
            raise KeyboardInterrupt

    def on_study_end(self, result: TrainingResult) -> None:
        self.lines.append(f"all {len(result.members)}")


@pytest.fixture(scope="module")
def study(
    planted: ImageStore, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Config, TrainingResult, Diary, list[Progress]]:
    root = tmp_path_factory.mktemp("study")
    config, diary, told = make_config(planted, root, **FEW), Diary(), list[Progress]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, "multiscale_cnn", coarse_network)
        result = train(config, planted, folder=root / "whole", observers=[diary], on_progress=told.append)
    return config, result, diary, told


def test_a_study_is_folds_times_seeds_told_in_order(
    study: tuple[Config, TrainingResult, Diary, list[Progress]], planted: ImageStore
) -> None:
    config, result, diary, told = study
    assert diary.lines == [
        "study of 4",
        *(
            line
            for number, (fold, seed) in enumerate(product((0, 1), (7, 8)), start=1)
            for line in (f"start {number} of 4: fold {fold} seed {seed}", f"epoch 1 of {number}", f"end {number}")
        ),
        "all 4",
    ]
    assert diary.study is result.study
    assert {(item.member, item.members) for item in told if item.stage == "train"} == {(n, 4) for n in (1, 2, 3, 4)}
    assert result.chosen.member.fold == 1
    seeds = [r for r in result.members if r.member.fold == 1]
    assert result.chosen.best.validation_loss == min(r.best.validation_loss for r in seeds)
    assert result.parts == seeds[0].member.parts
    # A report of a training reads no table.
    assert not [one for name, _ in config.inputs.tables() for one in config.inputs.files_of(name) if one.exists()]
    report, path = write_report(config, planted, result)
    assert "4 trainings (2 folds, 2 seeds)" in report.html == path.read_text(encoding="utf-8")


def test_the_predictions_of_a_study_count_every_session_once_a_seed_and_once_a_baseline(
    study: tuple[Config, TrainingResult, Diary, list[Progress]],
) -> None:
    table = study[1].predictions
    tested = table[table["split"] == "test"]
    own, majority = tested[tested["model"] == "multiscale_cnn"], tested[tested["model"] == "majority"]
    assert own.groupby(["symbol", "decision_date"]).size().unique().tolist() == [2]
    assert majority.groupby(["symbol", "decision_date"]).size().unique().tolist() == [1]
    assert len(own) == 2 * len(majority)
    first, later = (own[own["fold"] == fold]["decision_date"] for fold in (0, 1))
    assert first.max() < later.min()
    card = scorecard(table)
    assert (card.rows, card.sessions) == (len(majority), majority["decision_date"].nunique())
    right = own[PROBABILITIES].to_numpy().argmax(axis=1) == own["label"].to_numpy()
    assert card.lines[0].accuracy.value == pytest.approx(right.mean())


def test_seeds_differ_in_their_first_weights_and_folds_in_what_they_learn_from(
    study: tuple[Config, TrainingResult, Diary, list[Progress]],
) -> None:
    _, result, _, _ = study
    losses = [member.history[0].loss for member in result.members]
    assert len(set(losses)) == 4
    first, later = result.members[0].member.parts, result.members[2].member.parts
    assert later["train"].samples > first["train"].samples
    assert later["test"].first > first["test"].last


def test_an_interrupted_study_goes_on_to_the_same_predictions_and_trains_nothing_twice(
    study: tuple[Config, TrainingResult, Diary, list[Progress]], planted: ImageStore, coarse: None, tmp_path: Path
) -> None:
    config, whole, diary, _ = study
    folder = tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt):
        train(config, planted, folder=folder, observers=[Diary(stop_after=3)])
    told: list[Progress] = []
    again = Diary()
    result = train(config, planted, folder=folder, resume=True, observers=[again], on_progress=told.append)
    assert {item.member for item in told if item.stage == "train"} == {4}
    assert again.lines == diary.lines  # a record that begins anew is complete
    assert again.study is not None
    assert again.study.resumed
    pd.testing.assert_frame_equal(result.predictions, whole.predictions)
    with pytest.raises(TrainingError, match="is done; there is nothing to resume"):
        train(config, planted, folder=folder, resume=True)
    with pytest.raises(OSError, match="the report"), until_recorded(folder):
        raise OSError("the report could not be written")
    told.clear()
    again = train(config, planted, folder=folder, resume=True, on_progress=told.append)
    assert "train" not in {item.stage for item in told}
    pd.testing.assert_frame_equal(again.predictions, whole.predictions)


@pytest.mark.accept
def test_only_what_changes_no_number_may_change_before_a_study_is_resumed(
    study: tuple[Config, TrainingResult, Diary, list[Progress]], planted: ImageStore, coarse: None, tmp_path: Path
) -> None:
    config = study[0]
    with pytest.raises(KeyboardInterrupt):
        train(config, planted, folder=tmp_path / "s", observers=[Diary(stop_after=4)])
    before = {path: path.read_bytes() for path in (tmp_path / "s").rglob("*") if path.is_file()}

    def changed(**given: Any) -> Config:
        return config.model_copy(update={"training": config.training.model_copy(update=given)})

    with pytest.raises(TrainingError) as refused:
        train(changed(learning_rate=0.5, seeds=3), planted, folder=tmp_path / "s", resume=True)
    assert "training.learning_rate: 0.002 then, 0.5 now" in str(refused.value)
    assert "training.seeds: 2 then, 3 now" in str(refused.value)
    threads = arithmetic_threads(config.training)
    with pytest.raises(TrainingError, match=f"training.threads: {threads} then, {threads + 1} now"):
        train(changed(threads=threads + 1), planted, folder=tmp_path / "s", resume=True)
    with pytest.raises(TrainingError, match="holds a study already"):
        train(config, planted, folder=tmp_path / "s")
    assert {path: path.read_bytes() for path in (tmp_path / "s").rglob("*") if path.is_file()} == before
    assert len(train(changed(checkpoint_minutes=1.0), planted, folder=tmp_path / "s", resume=True).members) == 4


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("study.json", b"{", r"study.json cannot be used .*remove its folder"),
        ("study.json", b"[]", r"study.json cannot be used \(it lacks identity, finished\)"),
        ("multiscale_cnn-fold0-seed7/member.json", b'{"history": []}', r"it lacks seconds, in_memory"),
        ("multiscale_cnn-fold0-seed7/member.json", None, r"written by another version .*epochs"),
        ("multiscale_cnn-fold0-seed7/predictions.parquet", b"PAR1", r"predictions.parquet cannot be read"),
        ("multiscale_cnn-fold0-seed7/best.safetensors", b"PK", r"best.safetensors cannot be used"),
    ],
)
def test_a_damaged_study_is_refused_with_the_file_and_what_to_do(
    study: tuple[Config, TrainingResult, Diary, list[Progress]], planted: ImageStore, coarse: None, tmp_path: Path,
    file: str, content: bytes | None, told: str,
) -> None:  # fmt: skip
    config, whole = study[0], study[1]
    folder = tmp_path / "s"
    shutil.copytree(whole.study.folder, folder)
    with pytest.raises(OSError), until_recorded(folder):  # noqa: PT011
        raise OSError
    held = (folder / file).read_bytes()
    (folder / file).write_bytes(held.replace(b'"epoch"', b'"epochs"') if content is None else content)
    with pytest.raises(TrainingError, match=told):
        train(config, planted, folder=folder, resume=True)
    if file != "study.json":
        shutil.rmtree((folder / file).parent)  # as it is told
    else:
        (folder / file).write_bytes(held)
    pd.testing.assert_frame_equal(train(config, planted, folder=folder, resume=True).predictions, whole.predictions)


def test_a_study_cannot_lie_in_a_file(planted: ImageStore, coarse: None, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(TrainingError, match=r"notes.txt cannot be the folder of a study"):
        train(make_config(planted, tmp_path), planted, folder=tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_damaged_baseline_is_refused_and_made_again_once_it_is_removed(
    study: tuple[Config, TrainingResult, Diary, list[Progress]], planted: ImageStore, coarse: None, tmp_path: Path
) -> None:
    config, whole = study[0], study[1]
    folder = tmp_path / "s"
    shutil.copytree(whole.study.folder, folder)
    with pytest.raises(OSError), until_recorded(folder):  # noqa: PT011
        raise OSError
    damaged = sorted((folder / "baselines").iterdir())[0]
    damaged.write_bytes(b"PAR1")
    with pytest.raises(TrainingError, match=rf"{damaged.name} cannot be read .*remove its folder"):
        train(config, planted, folder=folder, resume=True)
    shutil.rmtree(folder / "baselines")
    pd.testing.assert_frame_equal(train(config, planted, folder=folder, resume=True).predictions, whole.predictions)


@pytest.mark.accept
def test_the_configured_augmentation_alters_what_is_learned_from(
    planted: ImageStore, coarse: None, tmp_path: Path
) -> None:
    config = make_config(planted, tmp_path, epochs=1, baselines=("majority",))
    losses = []
    for noise in (0.0, 0.0, 0.05):
        given = config.model_copy(update={"augmentation": AugmentationSettings(gaussian_noise=noise)})
        losses.append(train(given, planted).members[0].history[0].loss)
    assert losses[0] == losses[1] != losses[2]


def test_a_store_that_moved_since_a_study_was_interrupted_is_refused(coarse: None, tmp_path: Path) -> None:
    store = grey_store(tmp_path / "s.zarr", 120, np.arange(120) % 3)
    config = make_config(store, tmp_path, validation_fraction=0.2, epochs=1, baselines=("majority",))
    with pytest.raises(KeyboardInterrupt):
        train(config, store, observers=[Diary(stop_after=1)])
    folder = unfinished_study(config)
    before = store.fingerprint()
    writer = StoreWriter.prepare(store.path, template())
    writer.write_rows("AAA", "label_price_movement", 0, np.full((1, 5), 2, dtype=np.int8))
    with pytest.raises(TrainingError, match=rf"data of multiscale_cnn: {before} then, \w+ now"):
        train(config, store, folder=folder, resume=True)


def test_the_newest_unfinished_study_that_nobody_works_on_is_the_one_to_resume(coarse: None, tmp_path: Path) -> None:
    store = grey_store(tmp_path / "s.zarr", 120, np.arange(120) % 3)
    config = make_config(store, tmp_path, validation_fraction=0.2, epochs=1, baselines=("majority",))
    with pytest.raises(TrainingError, match="there is no interrupted training"):
        unfinished_study(config)
    found = []
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(config, store, observers=[Diary(stop_after=1)])
        found.append(unfinished_study(config))
    assert found[0] < found[1]
    with working_in(found[1]):
        assert unfinished_study(config) == found[0]
        with pytest.raises(TrainingError, match="another process trains in"):
            train(config, store, folder=found[1], resume=True)
    train(config, store, folder=found[1], resume=True)
    assert unfinished_study(config) == found[0]


def test_a_return_is_predicted_beside_the_class_where_it_is_asked_for(
    planted: ImageStore, coarse: None, tmp_path: Path
) -> None:
    config = make_config(planted, tmp_path, epochs=4, task="class_and_return", baselines=("majority",))
    result = train(config, planted)
    table = result.predictions
    own = table[(table["model"] == "multiscale_cnn") & (table["split"] == "test")]
    assert own["predicted_return"].abs().max() < 0.05  # in returns, not in standard deviations
    assert np.corrcoef(own["predicted_return"], own["return"])[0, 1] > 0.5
    assert table[table["model"] == "majority"]["predicted_return"].isna().all()
    images = torch.zeros(1, 3, 512, 512)
    with torch.no_grad():
        assert len(result.model(images)) == 3
        assert Probabilities(result.model)(images).shape == (1, 3)


# ---- the same sessions drawn another way ---------------------------------------------------------------------------


@pytest.mark.accept
def test_the_same_network_on_other_layouts_stands_beside_the_model_on_the_same_sessions(
    sample_config: Callable[..., Config], coarse: None
) -> None:
    asked = {
        "epochs": 1, "train_fraction": 0.5, "validation_fraction": 0.2, "embargo_sessions": 0, "compare": ["chart"],
        "baselines": ["majority"],
    }  # fmt: skip
    config = sample_config(end=date(2015, 6, 30), training=asked, labels={"horizon": 1})
    build(config)
    store = ImageStore.open(config.store.path)
    result = train(config, store)
    sibling = ImageStore.open(config.store.path.with_name("images.chart.zarr"))
    assert sibling.attrs["layout_name"] == "chart"
    table = result.predictions
    rows = {
        name: part[["symbol", "decision_date", "label"]].to_numpy().tolist() for name, part in table.groupby("model")
    }
    assert list(table["model"].unique()) == ["multiscale_cnn", "chart", "majority"]
    assert rows["chart"] == rows["multiscale_cnn"] == rows["majority"]
    assert set(table[table["model"] == "chart"]["fingerprint"]) == {sibling.fingerprint()}
    assert scorecard(table).model == "multiscale_cnn"
    assert [result.chosen.member.model] == ["multiscale_cnn"]

    writer = StoreWriter.prepare(store.path, read_run(config).template)
    first = int(np.flatnonzero(store.state("NVDA").status == READY)[0])
    old = store.open_sessions("NVDA")["label_price_movement"].to_numpy()[first : first + 1]
    writer.write_rows("NVDA", "label_price_movement", first, (2 - old).astype(np.int8))
    with pytest.raises(TrainingError, match=r"lacks 0 of the \d+ labelled sessions and labels 1 differently"):
        train(config, store)
