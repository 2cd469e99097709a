"""The training face: one data set from three origins, parts cut between sessions, a plan of which nothing is left."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from finnex.cnn_training import (
    FinNeXCNNTrainer,
    PatchPart,
    RandomSplitWarning,
    generate_enhanced_patch_features,
    read_training_config,
    training_config,
)
from finnex.config import Config, LabelSettings, parse_config
from finnex.datasets.exported_folder import ABOUT, DATES, FEATURES, IMAGES, LABEL_ENDS, LABELS
from finnex.datasets.part_batches import BLOCK_SESSIONS, PartBatches
from finnex.datasets.parts import sessions_of, split_parts
from finnex.datasets.patch_data import KEYS, Patches, PatchMetadata
from finnex.errors import ConfigError, ExportError, LayoutError, StoreError, TrainingError
from finnex.layout import load_layout
from finnex.patches.describe import ENHANCED_FIELDS, METADATA_FIELDS
from finnex.patches.grid import extract_patches
from finnex.pipeline import build
from finnex.sample import SYNTHETIC_TABLES
from finnex.store import ImageStore
from tests.helpers.planted_patches import planted

MEGA = load_layout("mega")


@pytest.fixture(scope="module")
def built(sample_inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Twelve sessions of two companies in a store."""
    root = tmp_path_factory.mktemp("built")
    document = {
        "inputs": {name: str(path) for name, path in sample_inputs.items()} | {"synthetic": list(SYNTHETIC_TABLES)},
        "symbols": ["NVDA", "AAPL"],
        "start": date(2015, 3, 2),
        "end": date(2015, 3, 17),
        "store": {"path": str(root / "images.zarr")},
        "dask": {"workers": 0},
    }
    config = parse_config(document, root / "finnex.toml")
    build(config)
    return config


@pytest.fixture(scope="module")
def trainer(built: Config) -> FinNeXCNNTrainer:
    return FinNeXCNNTrainer(built.store.path, symbol="NVDA")


@pytest.fixture(scope="module")
def exported(trainer: FinNeXCNNTrainer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trainer.export(tmp_path_factory.mktemp("exported") / "folder")


def array_of(config: Config) -> xr.DataArray:
    """The store's images as `create_mega_image_batch` returns them."""
    data = ImageStore.open(config.store.path).open_images("NVDA").sel(horizon=5)
    images = data["image"].drop_vars([name for name in data["image"].coords if name not in {"date", "channel"}])
    named = {"label": "label", "label_end": "label_end", "forward_return": "return"}
    images = images.assign_coords(
        {ours: ("date", data[f"{stored}_price_movement"].to_numpy()) for ours, stored in named.items()}
    )
    images.attrs |= {
        "symbol": "NVDA", "label_kind": "price_movement", "label_horizon_sessions": 5,
        "layout_hash": MEGA.hash, "store": str(config.store.path),
    }  # fmt: skip
    return images


# ---- one data set from three origins ------------------------------------------------------------------------


def same(one: FinNeXCNNTrainer, other: FinNeXCNNTrainer) -> None:
    patches, labels, metadata = one.create_patch_dataset()
    others, other_labels, other_metadata = other.create_patch_dataset()
    np.testing.assert_array_equal(labels, other_labels)
    np.testing.assert_array_equal(patches[700:900:7], others[700:900:7])
    for name in KEYS:
        np.testing.assert_array_equal(metadata.column(name), other_metadata.column(name))


@pytest.mark.accept
def test_an_array_and_an_exported_folder_give_the_stores_data_set(
    trainer: FinNeXCNNTrainer, exported: Path, built: Config
) -> None:
    same(trainer, FinNeXCNNTrainer(array_of(built)))
    same(trainer, FinNeXCNNTrainer(str(exported)))
    assert np.load(exported / IMAGES, mmap_mode="r").shape == (12, 512, 512, 3)
    assert json.loads((exported / ABOUT).read_text())["symbol"] == "NVDA"


def test_images_without_their_store_or_panel_tell_their_features_themselves(
    trainer: FinNeXCNNTrainer, exported: Path, built: Config, tmp_path: Path
) -> None:
    images = array_of(built)
    del images.attrs["store"]
    _, _, metadata = trainer.create_patch_dataset()
    bare = tmp_path / "bare"
    bare.mkdir()
    for path in exported.iterdir():
        if path.name != FEATURES:
            (bare / path.name).symlink_to(path)
    for other in (FinNeXCNNTrainer(images), FinNeXCNNTrainer(bare)):
        _, _, decoded = other.create_patch_dataset()
        for name in ("aggregated_sentiment", "momentum_signals", "behavioral_rational_divergence", "spatial_neighbors"):
            np.testing.assert_allclose(decoded.column(name), metadata.column(name), atol=1e-6)
        newest = np.isin(decoded.column("spatial_coordinates")[:, 1], [14, 15])
        for name in ("sentiment_momentum", "momentum_divergence_signals", "fundamental_technical_convergence"):
            np.testing.assert_allclose(decoded.column(name)[newest], metadata.column(name)[newest], atol=1e-6)


def test_a_store_is_asked_for_the_company_and_the_label(built: Config) -> None:
    with pytest.raises(TrainingError, match=r"holds AAPL, NVDA. Name one with symbol="):
        FinNeXCNNTrainer(built.store.path)
    with pytest.raises(StoreError, match=r"has no symbol 'NVDIA'. Did you mean 'NVDA'"):
        FinNeXCNNTrainer(built.store.path, symbol="NVDIA")
    other = FinNeXCNNTrainer(built.store.path, symbol="NVDA", labels=LabelSettings(kind="triple_barrier", horizon=1))
    assert other.images.horizon == 1
    assert other.images.version == ImageStore.open(built.store.path).fingerprint()
    assert (other.images.label_end[:3] == other.images.days[1:4]).all()  # type: ignore[index]


def test_what_is_no_set_of_images_is_refused_with_what_to_give(built: Config, tmp_path: Path) -> None:
    images = array_of(built)
    with pytest.raises(TrainingError, match="mega_images is a ndarray, which carries neither dates nor labels"):
        FinNeXCNNTrainer(np.zeros((2, 512, 512, 3)))  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match="carries no coordinate label"):
        FinNeXCNNTrainer(images.drop_vars("label"))
    with pytest.raises(TrainingError, match=r"dimensions .* must be"):
        FinNeXCNNTrainer(images.transpose("date", "channel", "y", "x"))
    with pytest.raises(TrainingError, match="images are 256 x 512 x 3, layout 'mega' is 512 x 512 x 3"):
        FinNeXCNNTrainer(images[:, :256])
    with pytest.raises(TrainingError, match="label 7 is none of 0 sell"):
        FinNeXCNNTrainer(images.assign_coords(label=("date", np.full(12, 7))))
    with pytest.raises(TrainingError, match="dates are not ascending"):
        FinNeXCNNTrainer(images[::-1])
    with pytest.raises(TrainingError, match=r"the label of 2015-03-02 ends on 2015-03-02, which is not after it"):
        FinNeXCNNTrainer(images.assign_coords(label_end=("date", images["date"].to_numpy())))
    with pytest.raises(LayoutError, match="does not say which layout it was drawn with"):
        FinNeXCNNTrainer(images.assign_attrs(layout_hash="other", store=None))
    with pytest.raises(LayoutError, match="patches of 33 pixels do not tile"):
        FinNeXCNNTrainer(images, patch_size=33)
    with pytest.raises(TrainingError, match="neither an image store nor a folder"):
        FinNeXCNNTrainer(tmp_path / "absent")
    bright = images.copy(data=np.full(images.shape, 1.5, dtype=np.float32))
    with pytest.raises(TrainingError, match=r"the image of 2015-03-02 has pixels from 1.5 to 1.5"):
        FinNeXCNNTrainer(bright).create_patch_dataset()[0][0]


def test_images_are_not_exported_to_an_address_that_is_no_folder(trainer: FinNeXCNNTrainer) -> None:
    with pytest.raises(ExportError, match="lies in a bucket or another service"):
        trainer.export("gs://bucket/folder")


def test_a_folder_that_lacks_something_is_refused_with_all_that_it_lacks(exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / IMAGES).symlink_to(exported / IMAGES)
    with pytest.raises(TrainingError) as refused:
        FinNeXCNNTrainer(folder)
    for name in (DATES, LABELS, LABEL_ENDS, ABOUT):
        assert f"has no {name}" in str(refused.value)
    assert "layout='mega'" in str(refused.value)
    for name in (DATES, LABELS, LABEL_ENDS):
        (folder / name).symlink_to(exported / name)
    assert len(FinNeXCNNTrainer(folder, layout="mega").images) == 12
    with pytest.raises(ExportError, match="exists and is not overwritten"):
        FinNeXCNNTrainer(folder, layout="mega").export(folder)
    (folder / LABELS).unlink()
    np.save(folder / LABELS, np.zeros(5, dtype=np.int64))
    with pytest.raises(TrainingError, match="12 images and 5 labels"):
        FinNeXCNNTrainer(folder, layout="mega")
    np.save(folder / LABELS, np.array(["buy"] * 12))
    with pytest.raises(TrainingError, match=r"has shape .* and type <U3"):
        FinNeXCNNTrainer(folder, layout="mega")
    (folder / LABELS).write_bytes(b"torn")
    with pytest.raises(TrainingError, match="cannot be read"):
        FinNeXCNNTrainer(folder, layout="mega")


# ---- patches and metadata ----------------------------------------------------------------------------------


def test_patches_are_read_when_asked_and_are_the_images_squares(trainer: FinNeXCNNTrainer) -> None:
    patches, labels, _ = trainer.create_patch_dataset()
    assert patches.shape == (12 * 256, 32, 32, 3)
    assert len(labels) == len(patches) == 12 * trainer.patches_per_image
    image = trainer.images.image(4)
    np.testing.assert_array_equal(patches[4 * 256 : 5 * 256], extract_patches(image))
    np.testing.assert_array_equal(trainer.extract_patches(image), extract_patches(image))
    wanted = np.array([2000, 3, 1029, 1024])
    np.testing.assert_array_equal(patches[wanted], np.stack([patches[int(one)] for one in wanted]))
    np.testing.assert_array_equal(patches.take(wanted)[2], patches[1029])
    np.testing.assert_array_equal(patches[-1], extract_patches(trainer.images.image(11))[-1])
    assert np.asarray(patches).shape == patches.shape
    assert np.asarray(patches.take(wanted), dtype=np.float64).dtype == np.float64


def test_metadata_is_a_list_of_dictionaries_and_columns(trainer: FinNeXCNNTrainer) -> None:
    _, _, metadata = trainer.create_patch_dataset()
    one = metadata[5 * 256 + 70]
    assert list(one) == list(KEYS)
    assert set(METADATA_FIELDS) | set(ENHANCED_FIELDS) <= set(one)
    assert one["spatial_coordinates"] == divmod(70, 16)
    assert one["patch_section"] == "macro_economic"
    assert one["regime_context"] in {"calm", "normal", "stressed"}
    assert one["date"] == trainer.images.days[5].item()
    assert one["symbol"] == "NVDA"
    assert isinstance(one["breakout_probability"], float)
    assert metadata[-1]["patch"] == 255
    assert len(metadata[10:20]) == 10
    assert metadata[10:20][3] == metadata[13]
    with pytest.raises(IndexError):
        metadata[len(metadata)]
    frame = metadata.to_frame()
    assert len(frame) == len(metadata)
    assert frame["breakout_probability"].iloc[5 * 256 + 70] == pytest.approx(one["breakout_probability"])
    assert [entry["patch"] for entry in metadata[:300]] == [*range(256), *range(44)]


def test_one_patchs_features_are_those_of_the_data_set(trainer: FinNeXCNNTrainer) -> None:
    patches, _, metadata = trainer.create_patch_dataset()
    for position in (0, 1500, 3071):
        entry = metadata[position]
        found = generate_enhanced_patch_features(patches[position], entry, trainer.market_context(position // 256))
        for name in ENHANCED_FIELDS:
            assert found[name] == pytest.approx(entry[name], nan_ok=True), name


def test_the_specifications_helpers_say_what_the_metadata_says(trainer: FinNeXCNNTrainer) -> None:
    sections = [trainer.identify_patch_section(row, column) for row in range(16) for column in range(16)]
    assert sections == [patch.section for patch in trainer.grid.patches]
    image_patches = trainer.extract_patches(trainer.images.image(3))
    found = trainer.generate_patch_features(image_patches, 3)
    _, _, metadata = trainer.create_patch_dataset()
    own = metadata[3 * 256 : 4 * 256]
    np.testing.assert_array_equal(found["sentiment_score"], own.column("aggregated_sentiment"))
    np.testing.assert_array_equal(found["technical_momentum"], own.column("momentum_signals"))
    assert found["market_regime"] == own.column("regime_context").tolist()
    with pytest.raises(LayoutError, match="not the patches of image 4"):
        trainer.generate_patch_features(image_patches, 4)


# ---- parts -------------------------------------------------------------------------------------------------


def made(sessions: int, horizon: int = 5, unknown: int = 0, patches: int = 4, seed: int = 0) -> tuple[Any, ...]:
    """Patches, labels and plain dictionaries of some weekdays."""
    days = np.busday_offset("2015-01-02", np.arange(sessions + horizon), roll="forward").astype("datetime64[D]")
    label = np.random.default_rng(seed).integers(0, 3, sessions)
    label[sessions - unknown :] = -1
    metadata = [
        {
            "date": days[i], "label_end": days[i + horizon], "symbol": "A", "forward_return": 0.01,
            "spatial_coordinates": (p // 2, p % 2),
        }
        for i in range(sessions)
        for p in range(patches)
    ]  # fmt: skip
    values = np.arange(sessions * patches, dtype=np.float32)[:, None, None, None] * np.ones((1, 2, 2, 3), np.float32)
    return values, np.repeat(label, patches), metadata


def cut(data: tuple[Any, ...], **changes: Any) -> tuple[PatchPart, PatchPart, PatchPart]:
    given = {"train_ratio": 0.8, "val_ratio": 0.1, "test_ratio": 0.1}
    given |= {"temporal_split": True, "embargo_sessions": 5, "seed": 0}
    return split_parts(*data, **given | changes)


def days_of(part: PatchPart) -> npt.NDArray[np.datetime64]:
    return np.unique(np.array([entry["date"] for entry in part.metadata]))


@settings(max_examples=30, deadline=None)
@given(st.integers(30, 160), st.sampled_from([1, 5, 20]), st.integers(0, 6), st.integers(0, 12))
def test_parts_share_no_date_and_no_label_reaches_into_the_next(
    sessions: int, horizon: int, embargo: int, unknown: int
) -> None:
    data = made(sessions, horizon, unknown)
    try:
        train, validation, test = cut(data, embargo_sessions=embargo)
    except TrainingError as error:
        assert "no session is left" in str(error)  # noqa: PT017  a refusal is an answer too
        return
    parts = [days_of(part) for part in (train, validation, test)]
    assert parts[0][-1] < parts[1][0] <= parts[1][-1] < parts[2][0]
    every = np.unique([entry["date"] for entry in data[2]])
    for earlier, later in ((train, parts[1][0]), (validation, parts[2][0])):
        last_end = max(entry["label_end"] for entry in earlier.metadata)
        assert np.searchsorted(every, last_end) <= np.searchsorted(every, later) - embargo
    for part in (train, validation, test):
        assert (part.labels >= 0).all()
        assert len(part.labels) == len(part.patches) == len(part.metadata) == 4 * len(days_of(part))
        np.testing.assert_array_equal(
            part.patches[:, 0, 0, 0] // 4, np.searchsorted(every, [e["date"] for e in part.metadata])
        )


def test_a_real_data_set_is_cut_as_a_plain_one_is(trainer: FinNeXCNNTrainer) -> None:
    data = trainer.create_patch_dataset()
    ratios = {"train_ratio": 0.5, "val_ratio": 0.25, "test_ratio": 0.25, "embargo_sessions": 0}
    with pytest.raises(TrainingError, match="no session is left for validation"):
        trainer.create_train_val_test_split(*data, **ratios)  # type: ignore[arg-type]
    short = FinNeXCNNTrainer(trainer.mega_images, symbol="NVDA", labels=LabelSettings(horizon=1))
    data = short.create_patch_dataset()
    lazy = short.create_train_val_test_split(*data, **ratios)  # type: ignore[arg-type]
    plain = short.create_train_val_test_split(np.asarray(data[0]), data[1], list(data[2]), **ratios)  # type: ignore[arg-type]
    for one, other in zip(lazy, plain, strict=True):
        patches, labels, metadata = one
        assert isinstance(patches, Patches)
        assert isinstance(metadata, PatchMetadata)
        np.testing.assert_array_equal(np.asarray(patches), other.patches)
        np.testing.assert_array_equal(labels, other.labels)
        assert [entry["date"] for entry in metadata] == [entry["date"] for entry in other.metadata]
    assert lazy[2].metadata.temporal is True  # type: ignore[attr-defined]
    np.testing.assert_allclose(lazy[2].metadata.train_frequencies.sum(), 1)  # type: ignore[attr-defined]


def test_random_dates_are_cut_by_date_and_say_what_they_break() -> None:
    data = made(60)
    with pytest.warns(RandomSplitWarning, match=r"share all but one session.*No score of such a split is evidence"):
        parts = cut(data, temporal_split=False)
    days = [set(days_of(part).tolist()) for part in parts]
    assert all(not days[a] & days[b] for a, b in ((0, 1), (0, 2), (1, 2)))
    assert sum(map(len, days)) == 60
    assert min(days[0]) < min(days[2]) < max(days[0])
    with pytest.warns(RandomSplitWarning):
        again = cut(data, temporal_split=False)
    assert days_of(again[2]).tolist() == days_of(parts[2]).tolist()


def test_a_split_that_makes_no_sense_is_refused() -> None:
    data = made(60)
    with pytest.raises(TrainingError, match=r"train_ratio 0.8, val_ratio 0.1, test_ratio 0.2 must .* add up to 1"):
        cut(data, test_ratio=0.2)
    with pytest.raises(TrainingError, match="must be above 0"):
        cut(data, train_ratio=1.0, val_ratio=0.0, test_ratio=0.0)
    with pytest.raises(TrainingError, match="240 patches and 60 labels"):
        cut((data[0], data[1][::4], data[2]))
    with pytest.raises(TrainingError, match="5 sessions with a known label are too few"):
        cut(made(5))
    with pytest.raises(TrainingError, match=r"patch_metadata\[0\] has no 'date'"):
        cut((data[0], data[1], [{"spatial_coordinates": (0, 0)}] * 240))
    with pytest.raises(TrainingError, match="the end of the label of 2015-01-02 is not given"):
        cut((data[0], data[1], [{**entry, "label_end": np.datetime64("NaT")} for entry in data[2]]))
    odd = data[1].copy()
    odd[0] = (odd[0] + 1) % 3
    with pytest.raises(TrainingError, match="patches of A 2015-01-02 have different labels"):
        cut((data[0], odd, data[2]))


# ---- training_config ---------------------------------------------------------------------------------------

SPECIFICATION = {
    "model_architecture": "FinNeXMultiScaleCNN",
    "input_shape": (3, 512, 512),
    "patch_size": 32,
    "num_classes": 3,
    "training_params": {
        "batch_size": 16, "learning_rate": 1e-4, "weight_decay": 1e-5, "epochs": 100, "warmup_epochs": 10,
        "scheduler": "cosine_annealing",
    },
    "data_augmentation": {
        "random_horizontal_flip": 0.5, "random_vertical_flip": 0.3, "color_jitter": (0.1, 0.1, 0.1, 0.05),
        "gaussian_noise": 0.02, "mixup_alpha": 0.2,
    },
    "evaluation_metrics": [
        "accuracy", "precision", "recall", "f1_score", "sharpe_ratio", "max_drawdown", "win_rate", "confusion_matrix",
        "classification_report",
    ],
}  # fmt: skip


def test_the_specifications_dictionary_is_understood_key_by_key() -> None:
    assert training_config == SPECIFICATION
    plan = read_training_config(training_config)
    assert read_training_config() == plan
    assert (plan.model_architecture, plan.input_shape, plan.patch_size, plan.num_classes) == (
        "FinNeXMultiScaleCNN", (3, 512, 512), 32, 3,
    )  # fmt: skip
    for name in ("batch_size", "learning_rate", "weight_decay", "epochs", "warmup_epochs"):
        assert getattr(plan.settings, name) == SPECIFICATION["training_params"][name]  # type: ignore[index]
    for name, value in SPECIFICATION["data_augmentation"].items():  # type: ignore[attr-defined]
        assert getattr(plan.augmentation, name) == value
    assert list(plan.evaluation_metrics) == SPECIFICATION["evaluation_metrics"]
    assert plan.settings.label_smoothing == 0
    assert plan.settings.patience_epochs == 100


def test_a_dictionary_says_only_what_it_changes_and_changes_nothing_shared() -> None:
    before = copy.deepcopy(training_config)
    plan = read_training_config(
        {"training_params": {"epochs": 3, "seed": 11}, "data_augmentation": {"mixup_alpha": 0.0}, "patch_size": 16}
    )
    assert (plan.settings.epochs, plan.settings.seed, plan.settings.batch_size) == (3, 11, 16)
    assert (plan.augmentation.mixup_alpha, plan.augmentation.gaussian_noise) == (0.0, 0.02)
    assert plan.patch_size == 16
    assert training_config == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"modle_architecture": "x"}, "unknown key 'modle_architecture'. Did you mean 'model_architecture'"),
        ({"training_params": {"epoch": 3}}, "unknown key 'training_params.epoch'. Did you mean 'epochs'"),
        ({"data_augmentation": {"mixup": 1}}, "unknown key 'data_augmentation.mixup'. Did you mean 'mixup_alpha'"),
        ({"training_params": {"scheduler": "cosine"}}, "Did you mean 'cosine_annealing'"),
        ({"training_params": {"epochs": 0}}, r"training_params.epochs: .*greater than or equal to 1.*\(value: 0\)"),
        ({"training_params": {"learning_rate": "fast"}}, r"training_params.learning_rate: .*\(value: 'fast'\)"),
        ({"training_params": 5}, "training_params is 5; it must be a dictionary"),
        ({"data_augmentation": {"random_horizontal_flip": 1.5}}, "random_horizontal_flip: .*less than or equal to 1"),
        (
            {"evaluation_metrics": ["accuracy", "f1score"]},
            "evaluation_metrics: 'f1score' is unknown. Did you mean 'f1_score'",
        ),
        ({"evaluation_metrics": "accuracy"}, "evaluation_metrics is 'accuracy'; it must be a list"),
        ({"patch_size": "32"}, "patch_size is '32'; it must be a whole number"),
        ({"input_shape": (512, 512)}, r"input_shape is \(512, 512\); it must be \(channels, height, width\)"),
        ({"training_params": {"patches_per_session": 0}}, "patches_per_session is 0"),
    ],
)
def test_what_a_dictionary_cannot_mean_is_refused_with_the_nearest_that_it_can(
    change: Mapping[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        read_training_config(change)


def test_every_problem_of_a_dictionary_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        read_training_config({"a": 1, "training_params": {"epochs": -1, "b": 2}, "evaluation_metrics": ["c"]})
    assert len(str(refused.value).splitlines()) == 4


# ---- batches -----------------------------------------------------------------------------------------------


def batches_of(trainer: FinNeXCNNTrainer, size: int = 100, **options: Any) -> PartBatches:
    part = PatchPart(*trainer.create_patch_dataset())
    return PartBatches(part, sessions_of(part.labels, part.metadata), size, **options)


def test_every_patch_comes_once_an_epoch_with_its_label_number_and_pixels() -> None:
    trainer = planted(BLOCK_SESSIONS + 3, px=128)
    patches, labels, _ = trainer.create_patch_dataset()
    batches = batches_of(trainer, shuffle=True, seed=3, first_session=1000)
    batches.set_epoch(2)
    seen = []
    for batch in batches:
        assert batch.images.shape[1:] == (3, 128, 128)
        assert batch.patches is not None
        positions = (batch.rows - 1000) * 16 + batch.patches.numpy()
        np.testing.assert_array_equal(batch.labels.numpy(), labels[positions])
        np.testing.assert_array_equal(
            batch.images[:3].permute(0, 2, 3, 1).numpy(), patches[positions[:3]].astype(np.float16)
        )
        seen += positions.tolist()
    assert sorted(seen) == list(range(len(labels)))
    assert len(list(batches)) == len(batches)
    first = np.array(seen[: 5 * 100]) // 16
    assert len(np.unique(first)) > 20, "patches of many sessions mix"


def sequence(batches: PartBatches) -> list[tuple[int, int]]:
    return [
        (int(row), int(patch))
        for batch in batches
        for row, patch in zip(batch.rows, batch.patches, strict=True)  # type: ignore[arg-type]
    ]


def test_the_order_follows_from_seed_and_epoch_and_goes_on_where_it_stopped() -> None:
    trainer = planted(40, px=128)
    batches = batches_of(trainer, shuffle=True, seed=1)
    batches.set_epoch(1)
    one = sequence(batches)
    batches.set_epoch(2)
    assert sequence(batches) != one
    again = batches_of(trainer, shuffle=True, seed=1, memory_limit_bytes=0)
    assert not again.in_memory
    again.set_epoch(1, 3)
    assert sequence(again) == one[300:]
    assert sequence(batches_of(trainer, shuffle=True, seed=2)) != one
    shares = []
    for rank in range(2):
        share = batches_of(trainer, shuffle=True, seed=1, rank=rank, world_size=2)
        share.set_epoch(1)
        shares += sequence(share)
    assert sorted(shares) == sorted(one)
    assert sequence(batches_of(trainer)) == sorted(one)


def test_an_epoch_may_use_a_few_patches_of_each_session_other_ones_each_time() -> None:
    batches = batches_of(planted(5, px=128), shuffle=True, patches_per_session=4)
    batches.set_epoch(1)
    one = sequence(batches)
    assert np.bincount([row for row, _ in one]).tolist() == [4] * 5
    batches.set_epoch(2)
    assert set(sequence(batches)) != set(one)


def test_a_network_of_whole_images_is_fed_the_images() -> None:
    trainer = planted(5, px=64)
    found = list(batches_of(trainer, 2, whole_images=True))
    assert [len(batch) for batch in found] == [2, 2, 1]
    assert all(batch.patches is None for batch in found)
    image = found[1].images[1].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(image, trainer.images.image(3).astype(np.float16))
    patches, labels, metadata = trainer.create_patch_dataset()
    part = PatchPart(patches.take(np.arange(100)), labels[:100], metadata[:100])
    with pytest.raises(TrainingError, match=r"sessions of this part have \[36, 64\] patches"):
        PartBatches(part, sessions_of(part.labels, part.metadata), 2, whole_images=True)


# ---- training ----------------------------------------------------------------------------------------------


class Told(nn.Module):
    """A network that reads mean brightness by channel and is told which patch it sees."""

    def __init__(self, patches: int) -> None:
        super().__init__()
        self.weigh = nn.Embedding(patches, 3)
        self.linear = nn.Linear(3, 3)
        self.numbers: set[int] = set()

    def forward(self, x: Tensor, patch: Tensor | None = None) -> tuple[Tensor, Tensor]:
        assert patch is not None
        self.numbers |= set(patch.tolist())
        mean = (x.float().mean(dim=(2, 3)) - 0.5) * 10 * self.weigh(patch)
        return self.linear(mean), mean[:, None]


PLAN = {
    "model_architecture": "Told", "patch_size": 128,
    "training_params": {"epochs": 6, "warmup_epochs": 0, "batch_size": 32, "learning_rate": 0.03, "weight_decay": 0.0},
    "data_augmentation": {
        "random_horizontal_flip": 0.0, "random_vertical_flip": 0.0, "color_jitter": (0, 0, 0, 0), "gaussian_noise": 0.0,
        "mixup_alpha": 0.0,
    },
}  # fmt: skip


def test_a_network_learns_from_patches_that_it_is_told_apart(tmp_path: Path) -> None:
    trainer = planted(80, px=128)
    train, validation, test = trainer.create_train_val_test_split(*trainer.create_patch_dataset(), embargo_sessions=0)
    torch.manual_seed(0)
    model, told = Told(16), []
    trained = trainer.train_model(model, train, validation, PLAN, folder=tmp_path, on_epoch=told.append)
    assert trained is model
    assert not trained.training
    assert model.numbers == set(range(16))
    assert [report.epoch for report in told] == [report.epoch for report in trainer.history]
    assert told[-1].validation_accuracy == 1.0
    known = sessions_of(test.labels, test.metadata)
    pixels = torch.from_numpy(np.moveaxis(np.asarray(test.patches), -1, 1).copy())
    votes = model(pixels, torch.from_numpy(known.patch))[0].softmax(-1).detach().numpy()
    pooled = np.stack([votes[known.session == one].mean(axis=0) for one in range(len(known.day))])
    assert (pooled.argmax(axis=1) == known.label).mean() == 1.0


def test_a_broken_off_training_goes_on_with_what_it_was_begun_with_and_nothing_else(tmp_path: Path) -> None:
    trainer = planted(80, px=128)
    train, validation, _ = trainer.create_train_val_test_split(*trainer.create_patch_dataset(), embargo_sessions=0)

    class Gone(BaseException):
        pass

    def stop(_: object) -> None:
        raise Gone

    def weights(folder: Path | None, part: PatchPart = train, **given: Any) -> Tensor:
        torch.manual_seed(0)
        model = Told(16)
        trainer.train_model(model, part, validation, PLAN, folder=folder, on_epoch=given.get("on_epoch"))
        return torch.cat([weight.detach().flatten() for weight in model.parameters()])

    with pytest.raises(Gone):
        weights(tmp_path, on_epoch=stop)
    turned = PatchPart(train.patches, (2 - train.labels), train.metadata)
    dimmed = PatchPart(np.asarray(train.patches) * np.float32(0.5), train.labels, train.metadata)
    for other in (turned, dimmed):
        with pytest.raises(TrainingError, match=r"training data: \w+ then, \w+ now"):
            weights(tmp_path, other)
    assert torch.equal(weights(tmp_path), weights(None))


def test_an_outcome_that_is_not_known_yet_is_not_learned_from() -> None:
    trainer = planted(80, px=128)
    train, validation, _ = trainer.create_train_val_test_split(*trainer.create_patch_dataset(), embargo_sessions=0)
    unknown = train.labels.copy()
    unknown[-32:] = -1
    part = PatchPart(train.patches, unknown, train.metadata)
    day = np.unique(train.metadata.column("date"))[-2]  # type: ignore[attr-defined]
    with pytest.raises(TrainingError, match=rf"2 of \d+ sessions have no known label yet, such as {day}"):
        trainer.train_model(Told(16), part, validation, PLAN, on_epoch=None)


def test_a_patch_keeps_its_number_where_columns_of_the_image_were_dropped() -> None:
    trainer = planted(70, px=128)
    patches, labels, metadata = trainer.create_patch_dataset()
    right = np.flatnonzero(metadata.column("spatial_coordinates")[:, 1] >= 2)
    told = {name: metadata.column(name)[right] for name in ("date", "symbol", "spatial_coordinates", "patch")}
    entries = [dict(zip(told, values, strict=True)) for values in zip(*told.values(), strict=True)]
    some = sessions_of(labels[right], entries)
    assert set(some.patch.tolist()) == {2, 3, 6, 7, 10, 11, 14, 15}
    assert len(patches) == 16 * len(some.day)


@pytest.mark.slow
def test_two_trainings_with_one_seed_agree() -> None:
    trainer = planted(70, px=128)
    parts = trainer.create_train_val_test_split(*trainer.create_patch_dataset(), embargo_sessions=0)
    plan = PLAN | {"data_augmentation": {}}  # the specification's: everything random is on
    found = []
    for _ in range(2):
        torch.manual_seed(0)
        model = Told(16)
        trainer.train_model(model, parts[0], parts[1], {**plan, "training_params": {"epochs": 1}}, on_epoch=None)
        found.append(torch.cat([weight.detach().flatten() for weight in model.parameters()]))
    assert torch.equal(found[0], found[1])


class Whole(nn.Module):
    """A network that takes whole images only, and says so."""

    def __init__(self) -> None:
        super().__init__()
        self.image_size = 512
        self.linear = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        assert x.shape[1:] == (3, 512, 512)
        mean = (x.float()[:, :, :160].mean(dim=(2, 3)) - 0.5) * 30
        return self.linear(mean), mean[:, None]


def test_a_network_that_takes_whole_images_learns_from_whole_images() -> None:
    trainer = planted(110, px=128)
    train, validation, _ = trainer.create_train_val_test_split(*trainer.create_patch_dataset())
    plan = {**PLAN, "model_architecture": "Whole"}
    plan["training_params"] = {**PLAN["training_params"], "epochs": 10, "batch_size": 8}  # type: ignore[dict-item]
    trainer.train_model(Whole(), train, validation, plan, on_epoch=None)
    assert trainer.history[-1].validation_accuracy > 0.9


def test_a_plan_for_other_images_or_another_network_is_refused(trainer: FinNeXCNNTrainer) -> None:
    part = PatchPart(*trainer.create_patch_dataset())
    wrong = {"patch_size": 16, "input_shape": (3, 256, 256), "num_classes": 2}
    with pytest.raises(ConfigError) as refused:
        trainer.train_model(Told(256), part, part, wrong)
    for words in (
        "model_architecture is 'FinNeXMultiScaleCNN', the model has 'Told'",
        "input_shape is (3, 256, 256), the images has (3, 512, 512)",
        "patch_size is 16, the trainer has 32",
        "num_classes is 2, the labels has 3",
    ):
        assert words in str(refused.value)
    one_class = PatchPart(part.patches, np.ones(len(part.labels), dtype=np.int64), part.metadata)
    with pytest.raises(TrainingError, match="all training patches are of the class 'hold'"):
        trainer.train_model(Told(256), one_class, part, {"model_architecture": "Told"})


def test_a_store_that_changes_under_a_training_stops_it() -> None:
    trainer = planted(80, px=128)
    version = ["one"]
    trainer.images = replace(trainer.images, version_source=lambda: version[0])
    train, validation, _ = trainer.create_train_val_test_split(*trainer.create_patch_dataset(), embargo_sessions=0)

    def change(_: object) -> None:
        version[0] = "another"

    with pytest.raises(TrainingError, match="planted changed while a network was trained on it: version one became"):
        trainer.train_model(Told(16), train, validation, PLAN, on_epoch=change)


def test_nothing_is_printed_or_warned_of_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    trainer = planted(110, px=128)
    train, validation, _ = trainer.create_train_val_test_split(*trainer.create_patch_dataset())
    plan = {**PLAN, "training_params": {**PLAN["training_params"], "epochs": 1}}  # type: ignore[dict-item]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer.train_model(Told(16), train, validation, plan, on_epoch=None)
    assert capsys.readouterr().out == ""
    trainer.train_model(Told(16), train, validation, plan)
    assert "epoch 1: loss" in capsys.readouterr().out
    assert isinstance(pd.DataFrame([vars(report) for report in trainer.history]), pd.DataFrame)
