"""The table of samples: those of a training, in its parts, with the place of every image."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import xarray as xr

from finnex.config import Config
from finnex.errors import TrainingError
from finnex.store import ImageStore
from finnex.training.sample_table import SAMPLES, SCHEMA, sample_tables
from finnex.training.study_samples import study_samples
from tests.helpers.stores import blank, make_config, make_store, sessions

DAYS = sessions(160)


def image(symbol: str, index: int) -> Any:
    drawn = blank()
    drawn[index, ord(symbol[0]), 1] = 1.0
    return drawn


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ImageStore:
    labels = {"AAA": np.arange(160) % 3, "BBB": np.arange(160) // 2 % 3}
    return make_store(tmp_path_factory.mktemp("samples") / "images.zarr", DAYS, image, labels)


def config_of(store: ImageStore, **training: object) -> Config:
    return make_config(store, Path(str(store.path)).parent, validation_fraction=0.2, **training)


def frames(store: ImageStore, **training: object) -> pd.DataFrame:
    return pa.concat_tables(sample_tables(config_of(store, **training), store)).to_pandas()


@pytest.mark.parametrize("training", [{}, {"folds": 2}, {"folds": 2, "window": "rolling"}])
def test_the_sets_are_the_parts_that_a_training_uses_and_what_is_purged_is_said(
    store: ImageStore, training: dict[str, object]
) -> None:
    found = frames(store, **training)
    samples, splits = study_samples(config_of(store, **training), store)
    assert sorted(found["fold"].unique()) == [split.fold for split in splits]
    for split in splits:
        own = found[found["fold"] == split.fold]
        for name, rows in split.parts().items():
            wanted = samples.choose(rows)
            part = own[own["set"] == name]
            np.testing.assert_array_equal(part["date"].to_numpy().astype("datetime64[D]"), wanted.decision)
            assert part["symbol"].tolist() == [samples.symbols[number] for number in wanted.symbol]
            np.testing.assert_array_equal(part["label"], wanted.label)
            np.testing.assert_array_equal(part["return"].to_numpy(), wanted.outcome)
            np.testing.assert_array_equal(part["label_end"].to_numpy().astype("datetime64[D]"), wanted.label_end)
        assert (own["set"] == "purged").sum() == split.purged > 0
        assert set(own["set"]) == {"train", "validation", "test", "purged"}
        assert not own.duplicated(["date", "symbol"]).any()


def test_a_position_is_opened_the_session_after_and_the_class_is_the_labels_word(store: ImageStore) -> None:
    found = frames(store)
    at = np.searchsorted(DAYS, found["date"].to_numpy().astype(DAYS.dtype))
    np.testing.assert_array_equal(found["entry"].to_numpy().astype(DAYS.dtype), DAYS[at + 1])
    assert {(code, word) for code, word in zip(found["label"], found["class"], strict=True)} == {
        (0, "sell"), (1, "hold"), (2, "buy")
    }  # fmt: skip


def test_other_programs_find_every_image_where_the_table_says(store: ImageStore) -> None:
    for row in frames(store).iloc[::37].itertuples():
        symbol, name = str(row.array).split("/")
        read = xr.open_zarr(row.store, group=symbol)[name][row.index].to_numpy()
        np.testing.assert_array_equal(
            read, image(str(row.symbol), int(np.searchsorted(DAYS, np.datetime64(str(row.date)[:10]))))
        )
        chunk = Path(str(row.store)) / str(row.array) / f"c.{row.index}.0.0.0"
        assert zlib.crc32(chunk.read_bytes()) == row.image_crc


def test_the_columns_are_those_that_are_declared(store: ImageStore) -> None:
    (table,) = sample_tables(config_of(store), store)
    assert table.schema.equals(SCHEMA)
    assert tuple(table.column_names) == SAMPLES.first_columns


def test_what_training_refuses_has_no_table(store: ImageStore) -> None:
    config = config_of(store)
    other = config.model_copy(update={"labels": config.labels.model_copy(update={"kind": "triple_barrier"})})
    for wanted, why in ((other, "no known label 'triple_barrier'"), (config_of(store, folds=10), "too few")):
        with pytest.raises(TrainingError, match=why):
            list(sample_tables(wanted, store))
