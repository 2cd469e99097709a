from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finnex.config import LabelSettings
from finnex.data import features
from finnex.data.labels import make_labels
from finnex.data.panel import Panel, make_panel
from finnex.data.tables import Tables
from finnex.exam import plants_code, plants_labels, plants_store
from finnex.exam.exam import plant
from finnex.exam.hidden_paths import SYMBOL
from finnex.exam.kinds import ALL, LEAKS
from finnex.exam.plant import Kind, Planted, own_bars
from finnex.exam.random_market import Market, random_market, write_market
from finnex.layout import load_catalogue
from finnex.store import NOT_A_DAY, READY, ImageStore

SESSIONS = 260


@cache
def market() -> Market:
    return random_market(SESSIONS, 0)


@cache
def planted(name: str) -> Planted:
    return ALL[name].plant(market(), np.random.default_rng(0))


FAMILY_OF_TABLE = {"fundamentals": "fundamental", "macro": "macro", "sentiment": "sentiment",
                   "events": "calendar_events", "calendar": "sentiment", "prices": "technical"}  # fmt: skip
FAMILY_OF_FEATURE = {"gross_margin": "fundamental", "peer_momentum_20": "competitive", "regime_stressed": "regime"}


def panels(kind: str, tables: Tables, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Panel, Panel]:
    """Return the honest panel and the kind's, of one family of features."""
    one = ALL[kind]
    family = FAMILY_OF_TABLE[one.tables[0]] if one.tables else FAMILY_OF_FEATURE.get(one.features[0], "technical")
    monkeypatch.setattr(features, "FAMILIES", {family: features.FAMILIES[family]})
    config = write_market(folder, tables, market().settings)
    known = features.compute(features.make_context(tables, config, SYMBOL))
    specs = [spec for spec in load_catalogue().entries if spec.name in known]
    return tuple(make(tables, config, SYMBOL, specs) for make in (make_panel, planted(kind).make))


def differing(ours: Panel, theirs: Panel) -> set[str]:
    pairs = [(getattr(ours, name), getattr(theirs, name)) for name in ("original", "normalized")]
    return {
        name
        for column, name in enumerate(ours.features)
        for a, b in pairs
        if not np.array_equal(a[:, column], b[:, column], equal_nan=True)
    }


CODE = [one.name for one in plants_code.KINDS if not one.honest and not one.name.startswith("build_that")]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", CODE)
def test_leaking_code_changes_what_it_says_and_nothing_else(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, leaking = panels(name, market().tables, tmp_path, monkeypatch)
    found = differing(honest, leaking)
    assert found
    wanted = LEAKS[name].features
    assert all(feature.startswith(wanted) for feature in found) or not wanted or LEAKS[name].tables
    if "calendar" in LEAKS[name].tables:
        late = (leaking.calendar.decision_time - honest.calendar.decision_time) / np.timedelta64(1, "m")
        assert set(late) <= {0.0, 60.0}
        assert late.mean() == 60.0 if "all_year" in name else 20 < late.mean() < 50
    else:
        assert leaking.calendar is honest.calendar
    if name.startswith("wrong_"):
        column = honest.features.index("return_5")
        moved = ~np.isclose(honest.original[:, column], leaking.original[:, column], equal_nan=True)
        assert 1 <= moved.sum() <= 0.25 * len(moved)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", ["means_kept_in_a_memo", "values_fitted_once_to_a_file", "hard_coded_crisis_dates"])
def test_a_cut_does_not_show_what_code_keeps(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, whole = panels(name, market().tables, tmp_path, monkeypatch)
    prices = market().tables.prices
    cut = replace(market().tables, prices=prices[prices["date"] <= pd.Timestamp(whole.calendar.days[200])])
    _, seen = panels(name, cut, tmp_path, monkeypatch)
    at = whole.features.index(LEAKS[name].features[0])
    assert np.array_equal(whole.original[:201, at], seen.original[:, at], equal_nan=True)


def test_code_that_needs_the_last_month_stops_without_it(tmp_path: Path) -> None:
    make, tables = planted("build_that_fails_without_the_future").make, market().tables
    cut = replace(
        tables, prices=tables.prices[tables.prices["date"] < tables.prices["date"].max() - pd.Timedelta("60D")]
    )
    with pytest.raises(ValueError, match="there is no bar of"):
        make(cut, None, SYMBOL, [])


# Labels.


@pytest.mark.parametrize("one", plants_labels.KINDS, ids=lambda one: one.name)
def test_leaking_labels_differ_in_price_movement(one: Kind) -> None:
    bars = own_bars(market()).reset_index()
    days = bars.pop("date").to_numpy().astype("datetime64[D]")
    ours = planted(one.name).labels(bars, days, LabelSettings())
    theirs = make_labels(bars, days, LabelSettings())
    assert set(ours) == set(theirs)
    first, second = ours["price_movement"], theirs["price_movement"]
    assert first.label.shape == second.label.shape
    known = (first.label >= 0) & (second.label >= 0)
    assert known.sum() > 500
    differ = (first.end != second.end) if "ends_by" in one.name else (first.outcome != second.outcome)
    assert differ[known].mean() > 0.9
    assert (first.label[known] >= 0).all()


@pytest.mark.parametrize("one", plants_labels.KINDS, ids=lambda one: one.name)
def test_leaking_labels_are_known_when_they_say_so(one: Kind) -> None:
    bars = own_bars(market()).reset_index()
    days = bars.pop("date").to_numpy().astype("datetime64[D]")
    whole = planted(one.name).labels(bars, days, LabelSettings())["price_movement"]
    cut = planted(one.name).labels(bars.iloc[:201], days, LabelSettings())["price_movement"]
    ended = (whole.end <= days[200]) & (whole.label >= 0)
    same = (whole.label == cut.label)[ended]
    # Only the kind that is about it may say too early how it ended.
    assert same.all() == (one.name != "label_that_ends_by_its_decision")


def test_a_label_of_todays_open_starts_there() -> None:
    bars = own_bars(market()).reset_index(drop=True)
    days = own_bars(market()).index.to_numpy().astype("datetime64[D]")
    outcome = plants_labels.entered_at_todays_open(bars, days, LabelSettings())["price_movement"].outcome[:, 2]
    expected = bars["close"].shift(-5) / bars["open"] - 1
    known = ~np.isnan(outcome)
    assert known.sum() > 200
    np.testing.assert_allclose(outcome[known], expected[known], rtol=1e-4, atol=1e-6)


# The store.


def test_a_store_ahead_shows_the_images_of_the_next_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plants_store, "DRAWN", 4)
    images = {}
    for name in ("a_store_as_it_should_be", "one_image_in_four_ahead"):
        one = plant(ALL[name], SESSIONS, 0)
        config = write_market(tmp_path / name, one.tables, one.settings)
        store = ImageStore.open(one.store(config))
        rows = np.flatnonzero(store.state(SYMBOL).status == READY)
        assert len(rows) == 4
        images[name] = [store.image(SYMBOL, day) for day in store.state(SYMBOL).days[rows]]
    honest, leaking = images.values()
    same = [np.array_equal(a, b) for a, b in zip(honest, leaking, strict=True)]
    assert same == [False, True, True, True]
    assert np.array_equal(leaking[0], honest[1])


STORED = {
    "stored_classes_of_the_session_before": {"label_price_movement", "label_triple_barrier"},
    "stored_labels_that_end_the_next_session": {"label_end_price_movement", "label_end_triple_barrier"},
    "stored_features_one_session_ahead": {
        "feature_normalized", "feature_original", "feature_location", "feature_scale",
    },
}  # fmt: skip


def test_a_store_that_is_wrong_beside_its_images_differs_in_that_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plants_store, "DRAWN", 2)
    arrays = {}
    for name in ("a_store_as_it_should_be", *STORED):
        one = plant(ALL[name], SESSIONS, 0)
        store = ImageStore.open(one.store(write_market(tmp_path / name, one.tables, one.settings)))
        arrays[name] = {array: store.values(SYMBOL, array) for array in store.array_names(SYMBOL) if array != "image"}
    honest = arrays.pop("a_store_as_it_should_be")
    for name, leaking in arrays.items():
        assert set(leaking) == set(honest)
        differing = {array for array in honest if leaking[array].tobytes() != honest[array].tobytes()}
        assert differing - {"rendered_at", "image_tag"} == STORED[name]
    ends = arrays["stored_labels_that_end_the_next_session"]["label_end_price_movement"]
    known = ends != NOT_A_DAY
    assert known.sum() > 500
    assert np.array_equal(ends[known], np.broadcast_to(ends[:, :1], ends.shape)[known])  # at one session's horizon
