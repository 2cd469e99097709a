"""The table of features: the very values that a build stores, known when it says they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from finnex.config import Config
from finnex.errors import ConfigError, ExportError
from finnex.layout import Catalogue
from finnex.pipeline import build, read_run
from finnex.pipeline.feature_table import FEATURES, feature_schema, feature_tables
from finnex.store import ImageStore


@pytest.fixture
def config(sample_config: Callable[..., Config]) -> Config:
    return sample_config(symbols=["NVDA", "AAPL"], start=date(2015, 3, 2), end=date(2015, 3, 4))


@pytest.mark.parametrize("normalized", [False, True])
def test_a_feature_has_the_bits_that_a_build_stores_and_is_null_where_it_is_not_known(
    config: Config, normalized: bool
) -> None:
    build(config)
    store = ImageStore.open(config.store.path)
    tables = list(feature_tables(read_run(config), config.symbols, end=date(2015, 3, 4), normalized=normalized))
    assert [table["symbol"].unique().to_pylist() for table in tables] == [["NVDA"], ["AAPL"]]
    for symbol, table in zip(config.symbols, tables, strict=True):
        days = table["date"].to_numpy().astype("datetime64[D]")
        stored = store.open_sessions(symbol)
        axis = store.state(symbol).days
        rows = np.searchsorted(axis, days)
        np.testing.assert_array_equal(axis[rows], days)
        wanted = stored["feature_normalized" if normalized else "feature_original"].to_numpy()[rows]
        names = stored["feature"].to_numpy().tolist()
        assert table.column_names == [*FEATURES.first_columns, *names]
        found = np.stack([table[name].to_numpy() for name in names], axis=1)
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)
        assert sum(table[name].null_count for name in names) == np.isnan(wanted).sum() > 0


def test_a_session_is_known_at_its_close_on_a_half_day_too(config: Config) -> None:
    (table,) = feature_tables(read_run(config), ["NVDA"], start=date(2014, 11, 26), end=date(2014, 11, 28))
    assert [str(one) for one in table["known_at"].to_pylist()] == [
        "2014-11-26 21:00:00+00:00", "2014-11-28 18:00:00+00:00"
    ]  # fmt: skip
    assert table["has_bar"].to_pylist() == [True, True]


def test_a_start_changes_no_value(config: Config) -> None:
    run = read_run(config)
    (whole,) = feature_tables(run, ["NVDA"])
    (part,) = feature_tables(run, ["NVDA"], start=date(2014, 3, 3))
    assert 0 < part.num_rows < whole.num_rows
    assert part.equals(whole.slice(whole.num_rows - part.num_rows))


def test_every_feature_says_its_unit_and_meaning(config: Config) -> None:
    run = read_run(config)
    schema = feature_schema(run, normalized=False)
    for entry in run.layout.catalogue.entries:
        assert schema.field(entry.name).metadata == {b"unit": entry.unit.encode(), b"meaning": entry.meaning.encode()}
    assert set(feature_schema(run, normalized=True).types[4:]) == {pa.float32()}


def test_a_range_without_sessions_and_a_feature_of_the_tables_own_name_are_refused(config: Config) -> None:
    run = read_run(config)
    with pytest.raises(ConfigError, match=r"no session of NVDA from 2030-01-01 to the last\. Change --start"):
        list(feature_tables(run, ["NVDA"], start=date(2030, 1, 1)))
    catalogue = run.layout.catalogue
    entries = (replace(catalogue.entries[0], name="known_at"), *catalogue.entries[1:])
    layout = replace(run.layout, catalogue=Catalogue(entries, catalogue.text))
    with pytest.raises(ExportError, match="column 'known_at' of its own"):
        feature_schema(replace(run, layout=layout), normalized=False)
