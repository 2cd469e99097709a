"""Training: splits that do not leak, data that does not move, runs that repeat."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import LABEL_SETTINGS, blank, make_config, make_store, paint, sessions, template

from finnex.config import LabelSettings
from finnex.errors import TrainingError
from finnex.models import FinNeXMultiScaleCNN
from finnex.store import ImageStore
from finnex.training import Progress, TrainingResult, train
from finnex.training.baselines import logistic_regression, majority
from finnex.training.dataset import ImageBatches, PinnedStore, prefetch
from finnex.training.loop import class_weights, fit, load_checkpoint, save_checkpoint, warmup_cosine
from finnex.training.samples import labelled_samples
from finnex.training.splits import cut, split_by_time

DAYS, SYMBOLS = 150, ("AAA", "BBB")


def plant(symbol: str, index: int, label: int) -> npt.NDArray[np.float32]:
    """Noise in all nine cells; the last ten sessions of three rows in one cell carry the label."""
    rng = np.random.default_rng([index, SYMBOLS.index(symbol)])
    image = blank()
    for section in ("macro", "behavioral", "fundamental"):
        for channel in range(3):
            values = rng.normal(0.5, 0.12, (12, 56))
            if (section, channel) == ("fundamental", 1):
                values[3:6, -10:] += (label - 1) * 0.3
            paint(image, section, channel, values.clip(0, 1))
    return image


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> ImageStore:
    labels = {name: np.random.default_rng(n).integers(0, 3, DAYS) for n, name in enumerate(SYMBOLS)}
    path = tmp_path_factory.mktemp("planted") / "images.zarr"
    return make_store(path, sessions(DAYS), lambda name, i: plant(name, i, int(labels[name][i])), labels)


@pytest.fixture(scope="module")
def trained(
    planted: ImageStore, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainingResult, list[Progress], Path]:
    root = tmp_path_factory.mktemp("trained")
    told: list[Progress] = []
    config = make_config(planted, root, epochs=6, patience_epochs=6)
    result = train(config, planted, on_progress=told.append, checkpoint=root / "best.pt")
    return result, told, root / "best.pt"


def grey_store(path: Path, n: int, labels: npt.NDArray[np.integer]) -> ImageStore:
    return make_store(
        path, sessions(n), lambda _, i: np.full((512, 512, 3), 0.02 + i / n / 2, dtype=np.float32), {"AAA": labels}
    )


# ---- splits ------------------------------------------------------------------------------------------------------


@st.composite
def labelled_days(
    draw: st.DrawFn,
) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[np.datetime64], npt.NDArray[np.datetime64]]:
    """Samples of up to three symbols with holes, and label ends up to twenty sessions later."""
    n = draw(st.integers(40, 160))
    axis = sessions(n + 30)
    decision, end = [], []
    for _ in range(draw(st.integers(1, 3))):
        kept = draw(st.lists(st.booleans(), min_size=n, max_size=n))
        for day, keep in enumerate(kept):
            if keep:
                decision.append(axis[day])
                end.append(axis[day + draw(st.integers(1, 20))])
    order = draw(st.permutations(range(len(decision))))
    return axis, np.array(decision)[list(order)], np.array(end)[list(order)]


@settings(max_examples=60, deadline=None)
@given(
    data=labelled_days(), embargo=st.integers(0, 8), fractions=st.sampled_from([(0.7, 0.1), (0.8, 0.1), (0.5, 0.25)])
)
def test_no_training_label_ends_after_the_first_later_decision_minus_the_embargo(
    data: tuple[npt.NDArray[np.datetime64], ...], embargo: int, fractions: tuple[float, float]
) -> None:
    _, decision, end = data
    try:
        split = split_by_time(
            decision, end, train_fraction=fractions[0], validation_fraction=fractions[1], embargo_sessions=embargo
        )
    except TrainingError:
        return  # too little left: refused, which is right
    days = np.unique(decision)
    for earlier, later in ((split.train, split.validation), (split.train, split.test), (split.validation, split.test)):
        limit = days[np.searchsorted(days, decision[later].min()) - embargo]
        assert (end[earlier] <= limit).all()
        assert decision[earlier].max() < decision[later].min()
    rows = np.concatenate([split.train, split.validation, split.test])
    assert len(np.unique(rows)) == len(rows)
    assert len(rows) + split.purged == len(decision)
    assert len(split.test) == np.count_nonzero(decision >= split.test_start)


def test_a_date_is_never_in_two_parts_whatever_the_symbols() -> None:
    axis = sessions(120)
    decision = np.concatenate([axis[:100], axis[20:100]])
    end = np.concatenate([axis[5:105], axis[25:105]])
    split = split_by_time(decision, end, train_fraction=0.7, validation_fraction=0.1, embargo_sessions=5)
    parts = [set(decision[rows].tolist()) for rows in split.parts().values()]
    assert not parts[0] & parts[1]
    assert not parts[1] & parts[2]
    assert not parts[0] & parts[2]


def test_only_what_overlaps_is_purged() -> None:
    axis = sessions(110)
    split = split_by_time(axis[:100], axis[5:105], train_fraction=0.7, validation_fraction=0.1, embargo_sessions=0)
    assert split.train.max() == 65  # its label ends on session 70, the first validation decision
    assert split.validation.min() == 70
    assert split.validation.max() == 75
    assert split.test.min() == 80
    assert split.purged == 8


def test_a_rolling_fold_is_the_same_cut_with_other_bounds() -> None:
    axis = sessions(110)
    fold = cut(axis[:100], axis[5:105], axis[:100], 60, 70, 2, train_from=20, test_until=80, fold=3)
    assert (fold.fold, fold.train.min(), fold.test.min(), fold.test.max()) == (3, 20, 70, 79)
    assert (axis[5:105][fold.train] <= axis[58]).all()


def test_too_few_sessions_say_how_many_there_are(tmp_path: Path) -> None:
    store = grey_store(tmp_path / "s.zarr", 20, np.arange(20) % 3)
    with pytest.raises(TrainingError, match=r"labelled.*(Build more sessions|change the fractions)"):
        train(make_config(store, tmp_path), store)


# ---- data --------------------------------------------------------------------------------------------------------


def test_each_sample_comes_once_an_epoch_in_an_order_that_seed_and_epoch_decide(planted: ImageStore) -> None:
    samples = labelled_samples(planted, LabelSettings())
    pinned = PinnedStore(planted, samples)
    rows = np.arange(3, 45)

    def order(seed: int, epoch: int) -> list[int]:
        batches = ImageBatches(pinned, rows, 8, shuffle=True, seed=seed)
        batches.set_epoch(epoch)
        return [int(row) for batch in batches for row in batch.rows]

    first = order(1, 0)
    assert sorted(first) == rows.tolist()
    assert first == order(1, 0)
    assert first != order(1, 1)
    assert first != order(2, 0)


def test_batches_hold_the_stored_pixels_and_labels_from_memory_and_from_the_store_alike(planted: ImageStore) -> None:
    samples = labelled_samples(planted, LabelSettings())
    streamed, held = PinnedStore(planted, samples), PinnedStore(planted, replace(samples))
    assert held.hold_in_memory()
    assert not streamed.hold_in_memory(limit_bytes=10_000_000)
    rows = np.array([0, 17, 101])
    (one,), (other,) = ImageBatches(streamed, rows, 8), ImageBatches(held, rows, 8)
    assert torch.equal(one.images, other.images)
    for k, row in enumerate(rows):
        image = planted.image(samples.symbols[samples.symbol[row]], samples.decision[row])
        np.testing.assert_array_equal(one.images[k].permute(1, 2, 0).numpy(), image.astype(np.float16))
        assert int(one.labels[k]) == samples.label[row]


def test_processes_share_an_epoch_without_overlap(planted: ImageStore) -> None:
    pinned = PinnedStore(planted, labelled_samples(planted, LabelSettings()))
    rows = np.arange(40)
    shares = [ImageBatches(pinned, rows, 8, shuffle=True, seed=3, rank=rank, world_size=2) for rank in range(2)]
    seen = [int(row) for share in shares for batch in share for row in batch.rows]
    assert sorted(seen) == rows.tolist()


@pytest.mark.slow
def test_worker_processes_share_an_epoch_without_overlap(planted: ImageStore) -> None:
    pinned = PinnedStore(planted, labelled_samples(planted, LabelSettings()))
    rows = np.arange(16)
    loaded = torch.utils.data.DataLoader(
        ImageBatches(pinned, rows, 4), batch_size=None, num_workers=2, multiprocessing_context="forkserver"
    )
    assert sorted(int(row) for batch in loaded for row in batch.rows) == rows.tolist()


def test_sessions_without_a_known_outcome_or_image_are_no_samples(tmp_path: Path) -> None:
    labels = np.array([0, 1, 2, -1, 1, 0, 2, 1, 0, 1, 2, 0])
    store = make_store(tmp_path / "s.zarr", sessions(12), lambda *_: blank(), {"AAA": labels}, horizon=1, unpublished=2)
    samples = labelled_samples(store, LabelSettings(horizon=1))
    assert samples.index.tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    np.testing.assert_array_equal(samples.label, labels[samples.index])
    np.testing.assert_array_equal(samples.entry, sessions(12)[samples.index + 1])
    np.testing.assert_array_equal(samples.label_end, sessions(12)[samples.index + 1])


def test_an_error_of_the_prefetch_thread_reaches_the_reader() -> None:
    def items() -> object:
        yield 1
        raise ValueError("the chunk is gone")

    ahead = prefetch(items)  # type: ignore[arg-type]
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="the chunk is gone"):
        next(ahead)


def test_a_store_that_moved_during_training_is_noticed(tmp_path: Path) -> None:
    store = grey_store(tmp_path / "s.zarr", 120, np.arange(120) % 3)
    writer = ImageStore.prepare(store.path, template())

    def move(progress: Progress) -> None:
        if progress.stage == "epoch" and progress.done == 1:
            writer.write_rows("AAA", "label_price_movement", 0, np.full((1, 5), 2, dtype=np.int8))

    config = make_config(store, tmp_path, validation_fraction=0.2)
    with pytest.raises(TrainingError, match=r"changed while a model was trained on it: fingerprint \w+ became \w+"):
        train(config, store, on_progress=move)


# ---- what cannot be trained on -----------------------------------------------------------------------------------


def test_one_class_only_is_refused_by_name(tmp_path: Path) -> None:
    store = grey_store(tmp_path / "s.zarr", 120, np.full(120, 2))
    with pytest.raises(TrainingError, match="training samples are of the class 'buy'"):
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


def test_a_loss_that_is_not_a_number_stops_training_and_names_the_batch(tmp_path: Path) -> None:
    def image(_: str, index: int) -> npt.NDArray[np.float32]:
        return np.full((512, 512, 3), np.nan if index == 10 else 0.5, dtype=np.float32)

    store = make_store(tmp_path / "s.zarr", sessions(120), image, {"AAA": np.arange(120) % 3})
    with pytest.raises(TrainingError, match=r"the loss became nan in epoch 1, batch \d of \d .*AAA 2015-"):
        train(make_config(store, tmp_path, validation_fraction=0.2), store)


# ---- the loop ----------------------------------------------------------------------------------------------------


def test_the_learning_rate_climbs_then_falls_to_nought() -> None:
    factor = warmup_cosine(10, 110)
    rates = [factor(step) for step in range(110)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1.0
    assert rates[60] == pytest.approx(0.5)
    assert all(later <= earlier for earlier, later in pairwise(rates[10:]))
    assert rates[-1] < 0.001


def test_balanced_weights_give_each_class_the_same_pull() -> None:
    labels = np.array([0] * 6 + [1] * 3 + [2])
    weights = class_weights(labels, 3).numpy()
    np.testing.assert_allclose(weights * np.bincount(labels), [10 / 3] * 3, rtol=1e-6)
    assert class_weights(np.array([0, 2, 2]), 3)[1] == 0


def test_a_rule_of_one_region_is_learned_on_unseen_dates_above_95_percent(
    trained: tuple[TrainingResult, list[Progress], Path],
) -> None:
    table = trained[0].predictions
    own = table[(table["model"] == "multiscale_cnn") & (table["split"] == "test")]
    right = own[["p_sell", "p_hold", "p_buy"]].to_numpy().argmax(axis=1) == own["label"].to_numpy()
    assert len(own) >= 50
    assert right.mean() > 0.95


def test_model_and_baselines_answer_for_the_same_sessions(trained: tuple[TrainingResult, list[Progress], Path]) -> None:
    table = trained[0].predictions
    rows = {
        name: part[["symbol", "decision_date", "split", "label"]].to_numpy().tolist()
        for name, part in table.groupby("model")
    }
    assert set(rows) == {"multiscale_cnn", "majority", "logistic_regression"}
    assert rows["majority"] == rows["multiscale_cnn"] == rows["logistic_regression"]
    np.testing.assert_allclose(table[["p_sell", "p_hold", "p_buy"]].sum(axis=1), 1, atol=1e-6)
    assert (table["entry"] > table["decision_date"]).all()
    assert (table["label_end"] >= table["entry"]).all()
    assert set(table["split"]) == {"validation", "test"}


def test_progress_tells_of_images_batches_and_epochs(trained: tuple[TrainingResult, list[Progress], Path]) -> None:
    result, told, _ = trained
    epochs = [item for item in told if item.stage == "epoch"]
    assert [item.report for item in epochs] == list(result.history)
    batches = [item for item in told if item.stage == "train" and item.epoch == 1]
    assert [item.done for item in batches] == list(range(1, batches[0].total + 1))
    assert all(0 <= report.waiting_share < 1 for report in result.history)
    assert all(report.images_per_second > 0 for report in result.history)
    assert [item for item in told if item.stage == "read"][-1].done == len(SYMBOLS) * (DAYS - 5)


def test_the_model_has_the_weights_of_its_best_epoch_and_the_checkpoint_too(
    trained: tuple[TrainingResult, list[Progress], Path],
) -> None:
    result, _, checkpoint = trained
    again = FinNeXMultiScaleCNN()
    about = load_checkpoint(checkpoint, again)
    assert about["epoch"] == result.best_epoch
    assert about["fingerprint"] == result.fingerprint
    best = min(result.history, key=lambda report: report.validation_loss)
    assert best.epoch == result.best_epoch
    for mine, kept in zip(result.model.parameters(), again.parameters(), strict=True):
        assert torch.equal(mine, kept)


def test_two_runs_with_one_seed_give_identical_metrics_streamed_or_held(planted: ImageStore, tmp_path: Path) -> None:
    config = make_config(planted, tmp_path, epochs=2, train_fraction=0.3, validation_fraction=0.2)
    first = train(config, planted)
    second = train(config, planted, memory_limit_bytes=0)
    assert (first.in_memory, second.in_memory) == (True, False)
    for one, other in zip(first.history, second.history, strict=True):
        assert (one.loss, one.validation_loss) == (other.loss, other.validation_loss)
    pd.testing.assert_frame_equal(first.predictions, second.predictions)


def test_training_stops_early_when_validation_no_longer_improves(planted: ImageStore, tmp_path: Path) -> None:
    samples = labelled_samples(planted, LabelSettings())
    pinned = PinnedStore(planted, samples)
    settings = make_config(planted, tmp_path, epochs=20, patience_epochs=2, learning_rate=1e-9).training
    model = FinNeXMultiScaleCNN()
    # Training on one label and validating on others cannot get better for long.
    train_rows = np.flatnonzero(samples.label == 0)[:16]
    validation_rows = np.flatnonzero(samples.label == 2)[:16]
    faster = settings.model_copy(update={"learning_rate": 1e-3})
    history = fit(
        model,
        ImageBatches(pinned, train_rows, 8),
        ImageBatches(pinned, validation_rows, 8),
        samples.label,
        faster,
        tmp_path / "b.pt",
    )
    assert len(history) < 20
    assert not any(report.best for report in history[-2:])


def test_a_damaged_checkpoint_is_refused_and_another_networks_too(tmp_path: Path) -> None:
    model = FinNeXMultiScaleCNN()
    path = tmp_path / "best.pt"
    save_checkpoint(path, model, {"epoch": 1, "score": math.pi})
    assert load_checkpoint(path, FinNeXMultiScaleCNN()) == {"epoch": 1, "score": math.pi}
    with pytest.raises(TrainingError, match="cannot be used"):
        load_checkpoint(path, FinNeXMultiScaleCNN(num_classes=2))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(TrainingError, match="cannot be used"):
        load_checkpoint(path, model)
    with pytest.raises(TrainingError, match="there is no checkpoint"):
        load_checkpoint(tmp_path / "none.pt", model)


# ---- baselines ---------------------------------------------------------------------------------------------------


def test_baselines_know_nothing_of_test_values(tmp_path: Path) -> None:
    n = 120
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, n)
    features = rng.uniform(0.02, 1, (n, 4))
    features[:, 0] = (labels + 0.5) / 3
    features[:, 1] = np.nan
    features[::7, 2] = np.nan
    store = make_store(
        tmp_path / "s.zarr", sessions(n), lambda *_: blank(), {"AAA": labels}, features={"AAA": features}
    )
    samples = labelled_samples(store, LabelSettings())
    split = split_by_time(
        samples.decision, samples.label_end, train_fraction=0.6, validation_fraction=0.2, embargo_sessions=2
    )
    answer = logistic_regression(samples, split, split.test)
    assert (answer.argmax(axis=1) == samples.label[split.test]).mean() > 0.9
    frequencies = np.bincount(samples.label[split.train], minlength=3) / len(split.train)
    np.testing.assert_allclose(majority(samples, split, split.test), np.tile(frequencies, (len(split.test), 1)))

    scrambled = samples.features.copy()
    scrambled[split.test[1:]] = rng.uniform(0, 1, (len(split.test) - 1, 4))
    relabelled = samples.label.copy()
    relabelled[split.test] = 0
    changed = replace(samples, features=scrambled, label=relabelled)
    np.testing.assert_array_equal(logistic_regression(changed, split, split.test[:1]), answer[:1])
    np.testing.assert_array_equal(majority(changed, split, split.test), majority(samples, split, split.test))
