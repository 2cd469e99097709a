from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finnex.config import Config, parse_config
from finnex.data.features import FAMILIES, compute, make_context
from finnex.data.features.arithmetic import row_mean, row_rank, slope, trailing_z
from finnex.data.features.fundamental import on_prices_basis, split_free, views
from finnex.data.features.price_basis import PRICE_STEP
from finnex.data.features.technical import technical
from finnex.data.features.volatility import volatility
from finnex.data.normalize import FLOOR, STEPS, FeatureSpec, denormalize, normalize
from finnex.data.panel import Panel, make_panel
from finnex.data.tables import Tables, read_tables
from finnex.errors import InputError, LayoutError
from finnex.layout import load_layout

LAYOUT = load_layout("mega")
AVAILABLE = ("available", "timestamp", "announced", "date")


@pytest.fixture(scope="module")
def config(sample_inputs: dict[str, Path]) -> Config:
    return parse_config(
        {
            "inputs": {name: str(path) for name, path in sample_inputs.items()},
            "symbols": ["NVDA"],
            "store": {"path": "unused"},
        },
        Path("finnex.toml"),
    )


@pytest.fixture(scope="module")
def tables(config: Config) -> Tables:
    return read_tables(config)


@pytest.fixture(scope="module")
def panel(tables: Tables, config: Config) -> Panel:
    return make_panel(tables, config, "NVDA", LAYOUT.catalogue.entries)


def tables_without_the_future(tables: Tables, day: str, close: str) -> Iterator[tuple[str, Tables]]:
    """Tables cut after a session, and tables whose rows after it are scrambled."""
    cut, scrambled = {}, {}
    rng = np.random.default_rng(3)
    for field in fields(tables):
        frame = getattr(tables, field.name)
        if frame is None:
            continue
        column = next(name for name in AVAILABLE if name in frame.columns)
        later = (frame[column] > pd.Timestamp(close if column == "timestamp" else day)).to_numpy()
        assert later.any(), f"{field.name} has no row after {day}: the test would show nothing"
        cut[field.name] = frame[~later].reset_index(drop=True)
        other = frame.copy()
        for name in frame.select_dtypes("float64").columns:
            values = frame[name].to_numpy().copy()
            values[later] = (
                rng.uniform(-1, 1, later.sum()) if name == "score" else values[later] * rng.uniform(0.5, 2, later.sum())
            )
            other[name] = values
        if "high" in other.columns:
            four = other[["open", "high", "low", "close"]]
            other["high"], other["low"] = four.max(axis=1), four.min(axis=1)
        scrambled[field.name] = other
    yield "cut", Tables(**cut)
    yield "scrambled", Tables(**scrambled)


@pytest.mark.parametrize(
    ("day", "close"),
    [
        ("2014-11-28", "2014-11-28T18:00"),
        ("2015-08-24", "2015-08-24T20:00"),
        ("2016-02-11", "2016-02-11T21:00"),
    ],
)
def test_no_feature_of_a_session_knows_a_later_row(
    day: str, close: str, tables: Tables, config: Config, panel: Panel
) -> None:
    sessions = int(np.searchsorted(panel.calendar.days, np.datetime64(day), side="right"))
    for how, other in tables_without_the_future(tables, day, close):
        blind = make_panel(other, config, "NVDA", LAYOUT.catalogue.entries)
        for name, full, seen in (
            ("original", panel.original, blind.original),
            ("normalized", panel.normalized, blind.normalized),
        ):
            leaks = [
                feature
                for column, feature in enumerate(panel.features)
                if full[:sessions, column].tobytes() != seen[:sessions, column].tobytes()
            ]
            assert leaks == [], f"{how}: {name} values differ"
        assert panel.bars[:sessions].tobytes() == blind.bars[:sessions].tobytes()


def test_the_catalogue_names_exactly_what_stage_1_computes(tables: Tables, config: Config) -> None:
    found = compute(make_context(tables, config, "NVDA"))
    assert set(found) == set(LAYOUT.catalogue.names)
    assert len(found) >= 270


def test_no_two_families_compute_one_feature(tables: Tables, config: Config) -> None:
    context = make_context(tables, config, "NVDA")
    assert sum(len(family(context)) for family in FAMILIES.values()) == len(compute(context))


def test_no_feature_is_infinite_and_nearly_all_are_known_in_the_sample(panel: Panel) -> None:
    assert not np.isinf(panel.original).any()
    drawn = (panel.calendar.days >= np.datetime64("2015-07-01")) & (panel.calendar.days <= np.datetime64("2016-06-30"))
    dead = [name for column, name in enumerate(panel.features) if np.isnan(panel.normalized[drawn, column]).all()]
    # What the sample's tables do not hold; each is masked, none invented.
    absent = (
        "unemployment", "payrolls_", "fed_funds", "claims", "balance_sheet", "mortgage", "financial_stress",
        "dollar_return",
        "consumer_mood", "building_permits", "durable_orders", "sessions_to_cpi", "competitive_rank", "option_",
        "sector_xli", "sector_xlp", "sector_xlv", "sector_xly",
    )  # fmt: skip
    assert [name for name in dead if not name.startswith(absent)] == []


def test_brightness_is_above_the_floor_or_not_known(panel: Panel) -> None:
    known = panel.normalized[~np.isnan(panel.normalized)]
    assert known.min() >= FLOOR
    assert known.max() <= 1


def test_a_split_that_rescales_history_changes_no_technical_feature(tables: Tables, config: Config) -> None:
    context = make_context(tables, config, "NVDA")
    scale = context.bars.assign(
        **{name: context.bars[name] / 4 for name in ("open", "high", "low", "close")},
        volume=context.bars["volume"] * 4,
    )
    moved = replace(context, bars=scale)
    spec = {entry.name: entry for entry in LAYOUT.catalogue.entries}
    for family in (technical, volatility):
        before, after = family(context), family(moved)
        for name in before:
            a, b = normalize(before[name], spec[name]).brightness, normalize(after[name], spec[name]).brightness
            np.testing.assert_array_equal(a, b, err_msg=name)


@pytest.mark.parametrize("day", ["2015-03-02", "2015-04-01"])
def test_a_changed_row_is_forgotten_after_a_bounded_time(
    day: str, tables: Tables, config: Config, panel: Panel
) -> None:
    """The first bar of a quarter too, from which the levels of the quarter are counted."""
    prices = tables.prices.copy()
    row = prices.index[(prices["symbol"] == "NVDA") & (prices["date"] == day)][0]
    prices.loc[row, "close"] = prices.loc[row, ["low", "high"]].mean()
    other = make_panel(replace(tables, prices=prices), config, "NVDA", LAYOUT.catalogue.entries)
    changed = np.flatnonzero((panel.row_digests() != other.row_digests()).any(axis=1))
    here = int(np.searchsorted(panel.calendar.days, np.datetime64(day)))
    assert changed[0] == here
    assert changed[-1] <= here + 504 + 252
    assert changed[-1] < len(panel.calendar) - 1


def test_a_late_news_record_does_not_change_yesterdays_features(tables: Tables, config: Config, panel: Panel) -> None:
    sentiment = tables.sentiment
    assert sentiment is not None
    late = (
        sentiment[sentiment["symbol"] == "NVDA"]
        .iloc[[0]]
        .assign(timestamp=pd.Timestamp("2015-03-05T21:00:01"), source="news", score=-1.0)
    )
    more = replace(
        tables,
        sentiment=pd.concat([sentiment, late]).sort_values(["symbol", "timestamp"], ignore_index=True, kind="stable"),
    )
    other = make_panel(more, config, "NVDA", LAYOUT.catalogue.entries)
    changed = np.flatnonzero((panel.row_digests() != other.row_digests()).any(axis=1))
    assert panel.calendar.days[changed[0]] == np.datetime64("2015-03-06")


def test_a_missing_bar_is_a_gap_and_not_the_end_of_an_indicator(tables: Tables, config: Config) -> None:
    prices = tables.prices
    hole = prices[~((prices["symbol"] == "NVDA") & (prices["date"] == "2015-03-02"))].reset_index(drop=True)
    other = make_panel(replace(tables, prices=hole), config, "NVDA", LAYOUT.catalogue.entries)
    here = int(np.searchsorted(other.calendar.days, np.datetime64("2015-03-02")))
    column = other.features.index("rsi_14")
    assert not other.traded[here]
    assert np.isnan(other.original[here, column])
    assert not np.isnan(other.original[here + 1 :, column]).any()


def test_an_enhanced_column_is_used_as_it_is_and_an_unknown_one_is_refused(tables: Tables, config: Config) -> None:
    days = pd.to_datetime(["2015-03-02", "2015-03-03"])
    given = pd.DataFrame({"symbol": "NVDA", "date": days, "rsi_14": [11.0, 12.0]})
    other = make_panel(replace(tables, enhanced=given), config, "NVDA", LAYOUT.catalogue.entries)
    here = int(np.searchsorted(other.calendar.days, np.datetime64("2015-03-02")))
    assert other.original[here : here + 2, other.features.index("rsi_14")].tolist() == [11.0, 12.0]
    with pytest.raises(InputError, match="rsi_14"):
        make_panel(
            replace(tables, enhanced=given.rename(columns={"rsi_14": "rsi_41"})),
            config,
            "NVDA",
            LAYOUT.catalogue.entries,
        )


def filings(**columns: list[object]) -> pd.DataFrame:
    frame = pd.DataFrame({"symbol": "A", "available_is_date": True, "origin": "sec"} | columns)
    frame["period_end"], frame["available"] = (
        pd.to_datetime(frame["period_end"]),
        pd.to_datetime(frame["available"]),
    )
    return frame


def test_a_restatement_counts_from_its_own_filing_and_a_lesser_origin_never_overrides(
    tables: Tables, config: Config
) -> None:
    calendar = make_context(tables, config, "NVDA").calendar
    table = filings(
        period_end=["2014-03-31", "2014-03-31", "2014-03-31"],
        available=["2014-05-01", "2014-05-10", "2014-06-02"],
        origin=["sec", "yahoo", "sec"],
        revenue=[100.0, 500.0, 200.0],
        gross_profit=[50.0, 50.0, 50.0],
    )
    known, figures = views(table, calendar)
    assert figures["gross_margin"].tolist() == [0.5, 0.5, 0.25]
    assert calendar.days[known.astype(int)].astype(str).tolist() == ["2014-05-02", "2014-05-12", "2014-06-03"]


def test_share_counts_are_matched_to_the_prices_by_the_table_of_splits() -> None:
    filed = np.array(["2014-02-01", "2014-05-01", "2014-08-01", "2014-11-01", "2015-02-01"], dtype="datetime64[D]")
    splits = pd.DataFrame({"date": pd.to_datetime(["2014-06-09", "2020-08-31"]), "ratio": [7.0, 4.0]})
    as_filed = np.array([10.0, 10.0, 70.0, 71.0, 70.0])
    assert on_prices_basis(as_filed, filed, splits).tolist() == [280.0, 280.0, 280.0, 284.0, 280.0]
    already = np.array([10.0, 10.0, 280.0, 284.0, 280.0])  # a provider that restates, from the third filing on
    assert on_prices_basis(already, filed, splits).tolist() == [280.0, 280.0, 280.0, 284.0, 280.0]
    odd = np.array([10.0, 10.0, 500.0, 500.0, 500.0])
    assert on_prices_basis(odd, filed, splits).tolist()[:2] == [280.0, 280.0]
    assert np.isnan(on_prices_basis(odd, filed, splits)).tolist() == [False, False, True, False, False]


@pytest.mark.parametrize("days", [0, 10, 29])
def test_a_filing_shortly_after_a_split_may_count_the_shares_before_it(days: int) -> None:
    filed = np.array(["2014-01-15", "2014-04-29", "2014-07-30", "2015-04-28", "2015-08-04"], dtype="datetime64[D]")
    splits = pd.DataFrame({"date": pd.to_datetime([filed[1] - days, filed[3] + 1]), "ratio": [4.0, 2.0]})
    shares = np.array([100.0, 101.0, 404.0, 408.0, 820.0])
    assert on_prices_basis(shares, filed, splits).tolist() == [800.0, 808.0, 808.0, 816.0, 820.0]
    later = pd.concat([splits, pd.DataFrame({"date": [pd.Timestamp("2015-11-19")], "ratio": [3.0]})])
    assert on_prices_basis(shares, filed, later).tolist() == [2400.0, 2424.0, 2424.0, 2448.0, 2460.0]


def test_with_a_table_of_splits_market_value_is_that_of_the_day(tables: Tables, config: Config) -> None:
    """Whatever split comes later: prices and the table then tell the same of every earlier day."""
    splits = pd.DataFrame({"symbol": ["NVDA"], "date": pd.to_datetime(["2024-06-10"]), "ratio": [10.0]})
    prices = tables.prices.copy()
    own = prices["symbol"] == "NVDA"
    prices.loc[own, ["open", "high", "low", "close"]] /= 10
    before = compute(make_context(replace(tables, splits=splits[:0]), config, "NVDA"))
    after = compute(make_context(replace(tables, splits=splits, prices=prices), config, "NVDA"))
    for name in ("sales_to_price", "earnings_to_price", "book_to_price", "cash_to_price"):
        assert np.isfinite(before[name]).sum() > 500
        np.testing.assert_allclose(before[name], after[name], rtol=1e-9)


def test_valuation_is_compared_with_the_peers_by_its_course(tables: Tables, config: Config) -> None:
    context = make_context(tables, config, "NVDA")
    value = compute(context)["peer_relative_valuation_change_60"]
    assert np.isfinite(value).sum() > 500
    dearer = tables.prices.copy()
    own = (dearer["symbol"] == "NVDA") & (dearer["date"] >= "2016-03-01")
    dearer.loc[own, ["open", "high", "low", "close"]] *= 1.2
    moved = compute(make_context(replace(tables, prices=dearer), config, "NVDA"))["peer_relative_valuation_change_60"]
    here = int(np.searchsorted(context.calendar.days, np.datetime64("2016-03-01")))
    np.testing.assert_allclose(moved[here : here + 60] - value[here : here + 60], np.log(1.2), atol=2 * PRICE_STEP)
    np.testing.assert_allclose(moved[here + 60 : here + 100], value[here + 60 : here + 100], atol=2 * PRICE_STEP)


def test_a_split_in_the_share_count_is_carried_through() -> None:
    assert split_free(np.array([100.0, 102.0, 1020.0, 1010.0])).round(4).tolist() == [1.0, 1.02, 1.02, 1.01]


def test_a_column_that_comes_or_goes_changes_no_mean_of_the_others() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(50, 9)), columns=list("abcdefghi"))
    wider = frame.assign(aa=np.nan)[["a", "aa", *"bcdefghi"]]
    assert row_mean(frame).tobytes() == row_mean(wider).tobytes()
    assert row_rank(frame, frame["a"]).tobytes() == row_rank(wider, frame["a"]).tobytes()


def spec(**changes: object) -> FeatureSpec:
    base: dict[str, object] = {
        "name": "x",
        "normalizer": "bounded",
        "low": 0.0,
        "high": 1.0,
        "window_sessions": 0,
        "max_age_sessions": 0,
        "orientation": 1,
    }
    return FeatureSpec(**(base | changes))  # type: ignore[arg-type]


def test_bounded_values_span_the_scale_and_orientation_turns_it() -> None:
    values = np.array([0.0, 0.5, 1.0, 2.0, np.nan])
    np.testing.assert_allclose(normalize(values, spec()).brightness, [0.02, 0.51, 1.0, 1.0, np.nan], atol=1e-6)
    np.testing.assert_allclose(
        normalize(values, spec(orientation=-1)).brightness, [1.0, 0.51, 0.02, 0.02, np.nan], atol=1e-6
    )


def test_a_zscore_uses_the_past_only_and_a_flat_past_is_neutral() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=400)
    z = spec(normalizer="zscore", low=-3.0, high=3.0, window_sessions=252)
    full = normalize(values, z).brightness
    assert np.isnan(full[:62]).all()
    assert not np.isnan(full[62:]).any()
    assert full[:300].tobytes() == normalize(values[:300], z).brightness.tobytes()
    assert np.allclose(normalize(np.full(100, 7.0), z).brightness[63:], 0.51, atol=1e-6)


def test_a_value_is_carried_for_its_age_and_no_longer() -> None:
    values = np.array([0.5, np.nan, np.nan, np.nan])
    original = normalize(values, spec(max_age_sessions=2)).original  # what is shown is what is told
    assert (original == 0.5).tolist() == [True, True, True, False]
    assert np.isnan(normalize(values, spec(max_age_sessions=2)).brightness).tolist() == [False, False, False, True]


@pytest.mark.parametrize("orientation", [1, -1])
@pytest.mark.parametrize("kind", [{}, {"normalizer": "zscore", "low": -3.0, "high": 3.0, "window_sessions": 252}])
def test_a_value_that_was_not_clipped_comes_back(kind: dict[str, object], orientation: int) -> None:
    one = spec(orientation=orientation, **kind)
    values = np.random.default_rng(2).uniform(-0.2, 1.2, 300)
    found = normalize(values, one)
    back = denormalize(found.brightness, one, found.location, found.scale)
    known = ~np.isnan(back)
    assert known.mean() > 0.6
    tolerance = (one.high - one.low) * found.scale[known] / (2 * STEPS) * (1 + 1e-4)  # half a step; pixels are float32
    assert (np.abs(back[known] - values[known]) <= tolerance).all()
    assert np.isnan(back[(values < 0) | (values > 1)]).all() or kind


@pytest.mark.parametrize("change", [{"low": 1.0}, {"orientation": 0}, {"normalizer": "zscore", "window_sessions": 5}])
def test_a_specification_that_cannot_be_drawn_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(LayoutError, match="'x'"):
        spec(**change)


def test_real_tables_leave_no_trace_of_the_future(real_data: Path) -> None:
    inputs = {name: str(real_data / f"{name}.csv.gz") for name in ("prices", "macro", "fundamentals", "sentiment")}
    real = parse_config({"inputs": inputs, "symbols": ["TSLA"], "store": {"path": "unused"}}, Path("finnex.toml"))
    tables = read_tables(real)
    full = make_panel(tables, real, "TSLA", LAYOUT.catalogue.entries)
    day = "2019-08-30"
    sessions = int(np.searchsorted(full.calendar.days, np.datetime64(day), side="right"))
    for how, other in tables_without_the_future(tables, day, "2019-08-30T20:00"):
        blind = make_panel(other, real, "TSLA", LAYOUT.catalogue.entries)
        assert full.normalized[:sessions].tobytes() == blind.normalized[:sessions].tobytes(), how


def test_an_event_that_is_not_announced_yet_neither_counts_nor_hides_a_later_one(
    tables: Tables, config: Config
) -> None:
    events = pd.DataFrame(
        {"name": "FOMC", "date": ["2015-03-18", "2015-03-25"], "announced": ["2015-03-18", "2015-01-02"]}
    ).assign(
        date=lambda frame: pd.to_datetime(frame["date"]), announced=lambda frame: pd.to_datetime(frame["announced"])
    )
    context = make_context(replace(tables, events=events), config, "NVDA")
    found = FAMILIES["calendar_events"](context)
    here = int(np.searchsorted(context.calendar.days, np.datetime64("2015-03-18")))
    # An emergency meeting, announced by date only on its own day: known from the next session on.
    assert found["sessions_to_fomc"][here - 1 : here + 2].tolist() == [6.0, 5.0, 4.0]
    assert np.isnan(found["sessions_since_fomc"][here])
    assert found["sessions_since_fomc"][here + 1] == 1.0


@pytest.mark.parametrize("seed", range(12))
def test_values_that_have_stopped_to_move_have_no_deviation_and_no_slope(seed: int) -> None:
    rng = np.random.default_rng(seed)  # with every fourth, rolling variances keep a remainder of what moved before
    stopped = pd.Series(np.concatenate([np.log1p(rng.poisson(rng.integers(20, 400), 600)), np.full(300, 3.0)]))
    moving = pd.Series(rng.normal(size=900))
    for values in (trailing_z(stopped, 60, 20), slope(moving, stopped, 60)):
        assert np.isfinite(values.to_numpy()[60:659]).all()
        assert np.isnan(values.to_numpy()[659:]).all()
