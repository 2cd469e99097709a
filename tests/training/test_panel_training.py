"""Settings for a panel: sessions apart, samples of an epoch, balance; recorded, resumed, refused where impossible."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from finnex.config import Config, LabelSettings, load_config
from finnex.config.training import TrainingSettings
from finnex.datasets import PinnedStore, labelled_samples
from finnex.errors import ConfigError, TrainingError
from finnex.store import ImageStore
from finnex.training import Progress, train
from finnex.training.devices import make_accelerator
from finnex.training.network import ARCHITECTURES
from finnex.training.one_training import make_batches
from finnex.training.sample_table import sample_tables
from finnex.training.study_samples import study_samples
from tests.helpers.planted import CoarseNetwork, planted_store
from tests.helpers.stores import make_config, make_store, sessions

DAYS = 90
FEW: dict[str, Any] = {"epochs": 3, "baselines": ("majority",), "batch_size": 8, "validation_fraction": 0.15}
PANEL: dict[str, Any] = {"every_sessions": 2, "samples_per_epoch": 20, "balance": "date"}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> ImageStore:
    return planted_store(tmp_path_factory.mktemp("panel") / "images.zarr", DAYS)


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "multiscale_cnn", lambda *_: CoarseNetwork())


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


@pytest.mark.parametrize("balance", ["none", "company"])
def test_a_training_of_drawn_samples_that_is_killed_in_mid_epoch_has_the_same_end(
    planted: ImageStore, coarse: None, tmp_path: Path, balance: str
) -> None:
    config = make_config(planted, tmp_path, **FEW, **{**PANEL, "balance": balance}, checkpoint_minutes=0)
    told: list[Progress] = []
    whole = train(config, planted, folder=tmp_path / "whole", on_progress=told.append)
    assert {item.total for item in told if item.stage == "train"} == {3}  # 20 samples in batches of 8

    def kill(progress: Progress) -> None:
        if progress.stage == "train" and (progress.epoch, progress.done) == (2, 2):
            raise Killed

    with pytest.raises(Killed):
        train(config, planted, folder=tmp_path / "killed", on_progress=kill)
    result = train(config, planted, folder=tmp_path / "killed", resume=True)
    pd.testing.assert_frame_equal(result.predictions, whole.predictions)
    assert [report.loss for report in result.history] == [report.loss for report in whole.history]
    assert result.parameters["training.every_sessions"] == 2
    assert result.parameters["training.samples_per_epoch"] == 20
    assert result.parameters["training.balance"] == balance


def test_a_study_that_an_earlier_version_began_is_resumed_and_one_with_another_draw_refused(
    planted: ImageStore, coarse: None, tmp_path: Path
) -> None:
    config = make_config(planted, tmp_path, **FEW, checkpoint_minutes=0)

    def kill(progress: Progress) -> None:
        raise Killed

    with pytest.raises(Killed):
        train(config, planted, folder=tmp_path / "s", on_progress=kill)
    identity = json.loads((tmp_path / "s" / "study.json").read_text())["identity"]
    assert not [key for key in identity if key.split(".")[-1] in PANEL]  # as those versions wrote it
    other = config.model_copy(update={"training": config.training.model_copy(update=PANEL)})
    with pytest.raises(TrainingError) as refused:
        train(other, planted, folder=tmp_path / "s", resume=True)
    for key, value in PANEL.items():
        assert f"training.{key}: absent then, {value} now" in str(refused.value)
    assert train(config, planted, folder=tmp_path / "s", resume=True).parameters["training.balance"] == "none"


def test_validation_and_test_keep_all_sessions_and_training_its_share(planted: ImageStore, tmp_path: Path) -> None:
    samples, (whole,) = study_samples(make_config(planted, tmp_path, **FEW), planted)
    _, (thinned,) = study_samples(make_config(planted, tmp_path, **FEW, every_sessions=5), planted)
    np.testing.assert_array_equal(thinned.validation, whole.validation)
    np.testing.assert_array_equal(thinned.test, whole.test)
    days = np.unique(samples.decision[thinned.train])
    assert np.isin(thinned.train, whole.train).all()
    assert (np.diff(np.searchsorted(sessions(DAYS), days)) == 5).all()
    table = pa.concat_tables(
        sample_tables(make_config(planted, tmp_path, **FEW, every_sessions=5), planted)
    ).to_pandas()
    counts = table["set"].value_counts()
    assert counts["thinned"] == len(whole.train) - len(thinned.train) > 0
    assert (counts["train"], counts["purged"]) == (len(thinned.train), whole.purged)


@pytest.mark.parametrize("kind", ["images", "patches"])
def test_an_epoch_draws_what_the_settings_say_and_what_is_judged_comes_whole(planted: ImageStore, kind: str) -> None:
    pinned = PinnedStore(planted, labelled_samples(planted, LabelSettings()))
    samples, rows = pinned.samples, np.arange(61)
    settings = TrainingSettings(input=kind, samples_per_epoch=30, balance="company", batch_size=64)  # type: ignore[arg-type]
    accelerator = make_accelerator(settings)
    drawn = make_batches(pinned, rows, settings, accelerator, shuffle=True)
    for epoch in (1, 2, 3):
        drawn.set_epoch(epoch)
        order = drawn._batches.order()  # type: ignore[attr-defined]
        assert len(order) == 30
        assert np.ptp(np.bincount(samples.symbol[order])) <= 1
    judged = make_batches(pinned, rows, settings, accelerator)
    np.testing.assert_array_equal(judged._batches.order(), rows)  # type: ignore[attr-defined]


def refuse(store: ImageStore, root: Path, said: str, symbols: tuple[str, ...] | None = None, **given: object) -> None:
    config: Config = make_config(store, root, **{**FEW, **given})
    if symbols is not None:
        config = config.model_copy(update={"symbols": symbols})
    with pytest.raises(TrainingError, match=said):
        train(config, store, folder=root / "refused")
    assert not (root / "refused" / "study.json").exists()


def test_what_the_training_part_cannot_give_is_refused_before_a_study_begins(
    planted: ImageStore, tmp_path: Path
) -> None:
    refuse(planted, tmp_path, "samples_per_epoch is 5000, and the training part of fold 0 has", samples_per_epoch=5000)
    refuse(planted, tmp_path, "every_sessions is 80, and the training part of fold 0 has", every_sessions=80)
    refuse(
        planted, tmp_path, r"samples are too few for train .* every_sessions, which leaves out \d+", every_sessions=30
    )
    one = "balance = 'company', and the training part of fold 0 has one company"
    refuse(planted, tmp_path, one, symbols=("AAA",), balance="company", validation_fraction=0.3, train_fraction=0.4)


def test_balance_needs_a_labelled_sample_of_every_company(tmp_path: Path) -> None:
    labels = {name: np.random.default_rng(n).integers(0, 3, DAYS) for n, name in enumerate(("AAA", "BBB", "CCC"))}
    labels["CCC"][:] = -1
    grey = np.full((512, 512, 3), 0.5, dtype=np.float32)
    store = make_store(tmp_path / "images.zarr", sessions(DAYS), lambda *_: grey, labels)
    refuse(store, tmp_path, "balance = 'company', and of CCC no session is labelled", balance="company")
    study_samples(make_config(store, tmp_path, **FEW, balance="date"), store)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("every_sessions = 0", "every_sessions"),
        ("samples_per_epoch = 0", "samples_per_epoch"),
        ('balance = "sector"', "balance"),
    ],
)
def test_values_that_mean_nothing_are_refused_by_name(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "finnex.toml"
    path.write_text(f'symbols = ["AAA"]\n[inputs]\nprices = "prices.csv"\n[training]\n{line}\n')
    with pytest.raises(ConfigError, match=said):
        load_config(path)
