"""The table of signals: the store's predictions, each with its part of the training, and tradable when it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from finnex.config import MlflowSettings
from finnex.data.calendar import next_opens
from finnex.store import ImageStore, StoreWriter
from finnex.tracking import promote
from finnex.tracking.nightly_predictions import predict_newest
from finnex.tracking.signal_table import SCHEMA, SIGNALS, predicted_by, signal_tables
from finnex.tracking.version_parts import VersionParts, version_parts
from tests.helpers.registered import Registry, Trained, log_training
from tests.helpers.stores import blank, make_store, sessions

pytest_plugins = ("tests.helpers.registry",)
GIVEN = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1], [0.4, 0.2, 0.4], [0.1, 0.8, 0.1]])


def days_of(*text: str) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
    return np.array(text, dtype="datetime64[D]")


PARTS = VersionParts(*days_of("2015-01-06", "2015-01-07", "2015-01-08"))


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    """Two companies of eight weekdays; predictions of four sessions of one and of one of the other."""
    labels = {"AAA": np.arange(8) % 3, "BBB": np.arange(8) % 3}
    made = make_store(tmp_path / "images.zarr", sessions(8, "2015-01-05"), lambda *_: blank(), labels)
    writer = StoreWriter.reopen(made.path)
    writer.record_predictions("AAA", [0, 1, 2, 4], GIVEN, 1)
    writer.record_predictions("BBB", [7], GIVEN[:1], 2)
    return ImageStore.open(made.path)


def frame(store: ImageStore, parts: dict[int, VersionParts]) -> pd.DataFrame:
    return pa.concat_tables(signal_tables(store, ["AAA", "BBB"], parts)).to_pandas()


def test_probabilities_are_the_stores_bit_for_bit_and_the_score_is_buy_less_sell(store: ImageStore) -> None:
    found = frame(store, {})
    stored = np.concatenate([store.open_sessions(name)["prediction"].to_numpy() for name in ("AAA", "BBB")])
    stored = stored[~np.isnan(stored).any(axis=1)]
    np.testing.assert_array_equal(found[["p_sell", "p_hold", "p_buy"]].to_numpy(), stored)
    exact = stored.astype(np.float64)
    np.testing.assert_array_equal(found["score"].to_numpy(), exact @ [-1.0, 0.0, 1.0])
    assert found["score"].between(-1, 1).all()
    assert found["class"].tolist() == ["buy", "sell", "sell", "hold", "buy"], "of equal ones the first"
    assert found["model_version"].tolist() == [1, 1, 1, 1, 2]
    seconds = store.open_sessions("AAA")["predicted_at"].to_numpy()[[0, 1, 2, 4]].astype("datetime64[s]")
    np.testing.assert_array_equal(found["made_at"].dt.tz_localize(None).to_numpy()[:4].astype("datetime64[s]"), seconds)
    assert abs(pd.Timestamp.now("UTC") - found["made_at"]).max() < pd.Timedelta(minutes=5)


def test_the_columns_are_those_that_are_declared_for_a_company_without_predictions_too(store: ImageStore) -> None:
    assert tuple(SCHEMA.names) == SIGNALS.first_columns
    StoreWriter.reopen(store.path).remove("BBB")
    assert predicted_by(store, ["AAA"]) == [1]
    for table in signal_tables(store, ["AAA"], {}):
        assert table.schema.equals(SCHEMA)


def test_a_set_is_known_by_date_and_of_unknown_versions_missing(store: ImageStore) -> None:
    assert predicted_by(store, ["AAA", "BBB"]) == [1, 2]
    found = frame(store, {1: PARTS})
    assert found["set"].tolist()[:4] == ["train", "validation", "test", "later"], "it was made years after"
    assert found["set"].isna().tolist() == [False] * 4 + [True]
    assert frame(store, {})["set"].isna().all()


def test_a_prediction_after_the_test_part_is_live_only_if_it_was_made_before_the_next_open() -> None:
    day = days_of("2015-01-09", "2015-01-09", "2015-01-09", "2015-01-09")
    _, opens = next_opens("XNYS", day)
    made = opens + np.array([-1, 0, 1, 0]).astype("timedelta64[s]")
    opens[3] = np.datetime64("NaT")
    assert PARTS.sets(day, made, opens).tolist() == ["live", "later", "later", None]


def test_a_signal_is_tradable_from_the_next_session_whatever_lies_between(store: ImageStore) -> None:
    following, opens = next_opens("XNYS", days_of("2015-01-16", "2015-07-02", "2014-12-31", "2019-12-31"))
    assert following.astype(str).tolist() == ["2015-01-20", "2015-07-06", "2015-01-02", "2020-01-02"]
    assert opens.astype("datetime64[m]").astype(str).tolist() == [
        "2015-01-20T14:30", "2015-07-06T13:30", "2015-01-02T14:30", "2020-01-02T14:30"
    ]  # fmt: skip
    found = frame(store, {})
    wanted = next_opens("XNYS", found["date"].to_numpy().astype("datetime64[D]"))[0]
    np.testing.assert_array_equal(found["tradable_from"].to_numpy().astype("datetime64[D]"), wanted)
    assert (found["tradable_from"] > found["date"]).all()


@pytest.mark.slow
def test_the_registry_says_the_parts_of_a_version_and_why_others_are_not_known(
    registry: Registry, own_study: Trained
) -> None:
    config, store, result = own_study
    config = config.model_copy(update={"mlflow": MlflowSettings(experiment="signals", model="signals")})
    log_training(config, store, result, "r", {}, registry.address)
    promote(config, store, registry.address, force=True)
    said = predict_newest(config, registry.address, 200)
    parts, unknown = version_parts(config, store, registry.address, [1, 9])
    assert "has no version 9" in unknown[9]
    assert list(parts) == [1]
    found = pa.concat_tables(signal_tables(store, config.symbols, parts)).to_pandas()
    by_day = {str(day)[:10]: name for day, name in zip(found["date"], found["set"], strict=True)}
    table = result.predictions[result.predictions["model"] == "multiscale_cnn"]
    for part in ("validation", "test"):
        judged = {str(day)[:10] for day in table.loc[table["split"] == part, "decision_date"]}
        assert judged
        assert {by_day[day] for day in judged & set(by_day)} == {part}
    trained = {day for day, name in by_day.items() if name == "train"}
    assert max(trained) < min(str(day)[:10] for day in table["decision_date"])
    last = max(str(day)[:10] for day in table["decision_date"])
    assert {name for day, name in by_day.items() if day > last} == {"later"}
    for one, row in zip(said, found.tail(len(said)).itertuples(), strict=True):
        assert str(one.session) == str(row.date)[:10]
        np.testing.assert_array_equal(
            np.float32(one.probabilities), np.array([row.p_sell, row.p_hold, row.p_buy], dtype=np.float32)
        )
