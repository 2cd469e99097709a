from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import fields
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finnex.data.calendar import session_calendar
from finnex.data.labels import make_labels
from finnex.data.panel import make_panel
from finnex.data.tables import Tables, read_tables
from finnex.exam import plants_enhanced
from finnex.exam.hidden_paths import SYMBOL
from finnex.exam.kinds import ALL, HONEST, LEAKS
from finnex.exam.plant import Planted, returns_ahead
from finnex.exam.random_market import Market, random_market, write_market

SESSIONS = 260
NEW_YORK = "America/New_York"


@lru_cache
def market(exchange: str = "XNYS", enhanced: bool = False) -> Market:
    return random_market(SESSIONS, 0, exchange, enhanced=enhanced)


@cache
def planted(name: str) -> Planted:
    one = ALL[name]
    return one.plant(market(one.exchange, one.enhanced), np.random.default_rng(0))


def changed(name: str) -> set[str]:
    one = planted(name)
    before = market(ALL[name].exchange, ALL[name].enhanced)
    return {
        field.name
        for field in fields(Tables)
        if getattr(one.tables, field.name) is not None
        and not getattr(one.tables, field.name).equals(getattr(before.tables, field.name))
    }


def test_the_exam_has_enough_kinds_and_says_of_each_what_is_wrong() -> None:
    assert len(LEAKS) >= 46
    assert sum(one.listed for one in LEAKS.values()) >= 31
    assert set(HONEST) >= {"daily_score_at_midnight_after_its_day", "daily_score_at_the_end_of_its_day",
                           "bars_filled_from_the_close_before", "filings_always_after_45_days",
                           "monthly_series_with_a_careful_lag"}  # fmt: skip
    for one in ALL.values():
        assert one.about.endswith(".")
        assert one.honest or one.tables or one.features
        assert not (one.honest and (one.tables or one.features or one.unknowable))
    assert len({one.about for one in ALL.values()}) == len(ALL)
    assert sum(bool(one.unknowable) for one in LEAKS.values()) <= 6


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_changes_something_and_only_what_it_says(name: str) -> None:
    one, kind = planted(name), LEAKS[name]
    before = market(kind.exchange, kind.enhanced)
    assert changed(name) <= set(kind.tables)
    settings = one.settings != before.settings
    code = one.make is not make_panel
    labels = one.labels is not make_labels
    # One way a kind: a table or how it is read, or code, or labels, or the store.
    assert [bool(changed(name)) or (settings and one.store is None), code, labels, one.store is not None].count(
        True
    ) == 1


@pytest.mark.parametrize("name", [name for name in LEAKS if LEAKS[name].tables == ("enhanced",)])
def test_columns_beside_the_one_that_leaks_are_honest(name: str) -> None:
    ours, theirs = planted(name).tables.enhanced, market(enhanced=True).tables.enhanced
    others = ["date", "return_5", "volatility_20", "close_to_sma_20"]
    pd.testing.assert_frame_equal(ours[others], theirs[others].iloc[: len(ours)])
    assert ours[plants_enhanced.COLUMN].notna().mean() > 0.85


def sentiment_of(name: str, provider: str) -> pd.DataFrame:
    rows = planted(name).tables.sentiment
    return rows[rows["provider"] == provider].reset_index(drop=True)


def moved_stamps(name: str) -> set[float]:
    rows, before = planted(name).tables.sentiment, market().tables.sentiment
    key = ["source", "provider", "score", "engagement", "confidence"]
    both = before.merge(rows, on=key, suffixes=("", "_told"))
    hours = ((both["timestamp"] - both["timestamp_told"]).dt.total_seconds() / 3600).round(2)
    return set(hours.value_counts().loc[lambda count: count > 100].index)


def clock_of(name: str, zone: str) -> set[str]:
    stamps = sentiment_of(name, "archive")["timestamp"].dt.tz_localize("UTC").dt.tz_convert(zone)
    return set(stamps.dt.strftime("%H:%M"))


def lag_of(name: str, series: str) -> pd.Series:
    rows = planted(name).tables.macro
    rows = rows[rows["series"] == series]
    return (rows["available"] - rows["date"]).dt.days


def macro_value(one: Tables, series: str) -> pd.Series:
    return one.macro[one.macro["series"] == series].set_index("date")["value"]


def same_as_ahead(name: str, series: str, lag: int) -> bool:
    told, true = macro_value(planted(name).tables, series), macro_value(market().tables, series)
    return bool((told == true.shift(-lag).reindex(told.index)).all())


def closes_of(one: Tables) -> pd.Series:
    own = one.prices[one.prices["symbol"] == SYMBOL]
    return own.set_index("date")["close"]


def column(name: str) -> pd.Series:
    return planted(name).tables.enhanced.set_index("date")[plants_enhanced.COLUMN]


def filing_lags(name: str) -> set[int]:
    filings = planted(name).tables.fundamentals
    return set((filings["available"] - filings["period_end"]).dt.days)


def flat(name: str, side: int) -> bool:
    """Whether each filled bar holds the close before (-1) or after it (1)."""
    own = planted(name).tables.prices.query("symbol == @SYMBOL and volume == 0").set_index("date")["close"]
    told = closes_of(planted(name).tables)
    return len(own) > 10 and bool((own == told.shift(-side).reindex(own.index)).all())


def spans_of_filings() -> list[tuple[pd.Timestamp, pd.Timestamp, pd.Series]]:
    """The day after a filing, the day of the next one, and what that says: where all of it lies within the market."""
    own = market().tables.fundamentals.query("symbol == @SYMBOL").sort_values("period_end")
    own = own.assign(growth=own["revenue"] / own["revenue"].shift(4) - 1)
    rows = [row for _, row in own.iterrows()]
    found = [(one["available"] + pd.Timedelta(days=1), other["available"], other)
             for one, other in itertools.pairwise(rows)
             if one["available"] >= closes_of(market().tables).index[20]]  # fmt: skip
    assert len(found) >= 2
    return found


def same_but_for(name: str, provider: str) -> bool:
    before = market().tables.sentiment.query("provider == @provider")["score"].to_numpy()
    return bool(np.array_equal(sentiment_of(name, provider)["score"], before))


PROMISES: dict[str, Callable[[], bool]] = {
    "scores_of_tomorrow": lambda: np.allclose(
        sentiment_of("scores_of_tomorrow", "wire")["score"],
        np.tanh(40 * returns_ahead(market(), 1).dropna()), atol=1e-4,
    ),
    "scores_leaning_to_tomorrow": lambda: abs(
        (planted("scores_leaning_to_tomorrow").tables.sentiment["score"] - market().tables.sentiment["score"]).mean()
    ) < 0.1,
    "wall_time_labelled_utc": lambda: moved_stamps("wall_time_labelled_utc") == {4.0, 5.0},
    "daily_score_at_five_utc": lambda: clock_of("daily_score_at_five_utc", "UTC") == {"05:00"},
    "daily_score_at_the_opening": lambda: clock_of("daily_score_at_the_opening", NEW_YORK) == {"09:30"},
    "daily_score_at_noon": lambda: clock_of("daily_score_at_noon", NEW_YORK) == {"12:00"},
    "daily_score_at_midnight_after_its_day": lambda: (
        clock_of("daily_score_at_midnight_after_its_day", "UTC") == {"00:00"}
        and moved_stamps("daily_score_at_midnight_after_its_day") >= {0.0}
    ),
    "records_stamped_by_day": lambda: clock_of("records_stamped_by_day", "UTC") == {"00:00"},
    "records_stamped_by_local_day": lambda: clock_of("records_stamped_by_local_day", NEW_YORK) == {"00:00"},
    "half_of_the_records_stamped_by_day": lambda: 0.45 < (
        planted("half_of_the_records_stamped_by_day").tables.sentiment["timestamp"]
        .dt.tz_localize("UTC").dt.tz_convert(NEW_YORK).dt.strftime("%H:%M:%S") == "00:00:00"
    ).mean() < 0.55,
    "macro_series_is_the_close_of_tomorrow": lambda: np.allclose(
        macro_value(planted("macro_series_is_the_close_of_tomorrow").tables, "WTI"),
        closes_of(market().tables).shift(-1).dropna(), atol=0.01,
    ),
    "vix_a_day_early": lambda: same_as_ahead("vix_a_day_early", "VIX", 1),
    "vix_two_days_early": lambda: same_as_ahead("vix_two_days_early", "VIX", 2),
    "index_of_tomorrow": lambda: same_as_ahead("index_of_tomorrow", "SP500", 1),
    "monthly_series_before_their_month_is_over": lambda: set(
        lag_of("monthly_series_before_their_month_is_over", "UNRATE")) == {20},
    "monthly_series_out_on_the_first_day_after": lambda: set(
        lag_of("monthly_series_out_on_the_first_day_after", "CPILFESL")) <= {28, 29, 30, 31},
    "macro_dated_by_observation": lambda: set(lag_of("macro_dated_by_observation", "BAA")) == {0},
    "weekly_claims_on_their_saturday": lambda: set(lag_of("weekly_claims_on_their_saturday", "ICSA")) == {0},
    "monthly_series_with_a_careful_lag": lambda: set(
        lag_of("monthly_series_with_a_careful_lag", "CPILFESL")) == {47},
    "filings_at_midnight_of_their_day": lambda: set(
        planted("filings_at_midnight_of_their_day").tables.fundamentals["available"].dt.strftime("%H:%M")
    ) == {"04:00", "05:00"},
    "filings_nine_days_after_the_period": lambda: filing_lags("filings_nine_days_after_the_period") == {9},
    "filings_always_after_45_days": lambda: filing_lags("filings_always_after_45_days") == {45},
    "filings_on_the_last_day_of_the_period": lambda: filing_lags("filings_on_the_last_day_of_the_period") == {0},
    "filings_hold_the_next_quarter": lambda: np.array_equal(
        planted("filings_hold_the_next_quarter").tables.fundamentals.query("symbol == @SYMBOL")["revenue"],
        market().tables.fundamentals.query("symbol == @SYMBOL")["revenue"][1:],
    ),
    "bars_filled_from_a_later_close": lambda: flat("bars_filled_from_a_later_close", 1),
    "bars_filled_from_the_close_before": lambda: flat("bars_filled_from_the_close_before", -1),
    "all_bars_one_session_late": lambda: closes_of(planted("all_bars_one_session_late").tables).equals(
        closes_of(market().tables).shift(1).dropna()),
    "all_bars_one_session_early": lambda: closes_of(planted("all_bars_one_session_early").tables).equals(
        closes_of(market().tables).shift(-1).dropna()),
    "options_of_two_sessions_ahead": lambda: np.corrcoef(
        planted("options_of_two_sessions_ahead").tables.options["net_flow"][:-2],
        returns_ahead(market(), 2)[:-2])[0, 1] > 0.6,
    "noisy_return_of_tomorrow": lambda: 0.55 < column("noisy_return_of_tomorrow").corr(
        returns_ahead(market(enhanced=True), 1)) < 0.85,
    "sign_of_tomorrow": lambda: 0.78 < (
        np.sign(returns_ahead(market(enhanced=True), 1)).reindex(column("sign_of_tomorrow").index)
        == column("sign_of_tomorrow")).mean() < 0.92,
    "return_to_come": lambda: np.allclose(
        column("return_to_come").dropna(),
        (closes_of(market().tables).shift(-5) / closes_of(market().tables) - 1).reindex(
            column("return_to_come").dropna().index), atol=1e-7),
    "revenue_of_the_next_filing": lambda: all(
        (column("revenue_of_the_next_filing")[before:after] == one["revenue"]).all()
        for before, after, one in spans_of_filings()),
    "growth_from_the_end_of_its_quarter": lambda: all(
        np.isclose(column("growth_from_the_end_of_its_quarter")[one["period_end"]:after].iloc[0], one["growth"])
        for _, after, one in spans_of_filings()),
    "scores_of_the_next_surprise": lambda: all(
        same_but_for("scores_of_the_next_surprise", provider) == (provider != "wire")
        for provider in ("wire", "desk", "forum", "archive")),
    "estimates_of_the_next_filing": lambda: all(
        0 < abs(column("estimates_of_the_next_filing")[before:after] / one["revenue"] - 1).max() < 0.05
        for before, after, one in spans_of_filings()),
    "growth_as_filed": lambda: all(
        np.isclose(column("growth_as_filed")[after + pd.Timedelta(days=1):].iloc[0], one["growth"])
        and not np.isclose(column("growth_as_filed")[before:after], one["growth"]).any()
        for before, after, one in spans_of_filings()),
    "return_of_the_week_on_all_its_days": lambda: np.allclose(
        column("return_of_the_week_on_all_its_days")[-30:-10].groupby(pd.Grouper(freq="W")).nunique(), 1),
    "documents_of_tomorrow": lambda: planted("documents_of_tomorrow").tables.sentiment["documents"].nunique() > 100,
    "hours_stamped_by_their_beginning": lambda: moved_stamps("hours_stamped_by_their_beginning") <= set(
        np.arange(0, 1.01, 0.01).round(2)),
    "hours_stamped_by_their_end": lambda: set(
        sentiment_of("hours_stamped_by_their_end", "wire")["timestamp"].dt.minute) == {0},
    "open_taken_from_the_close_before": lambda: np.array_equal(
        planted("open_taken_from_the_close_before").tables.prices.query("symbol == @SYMBOL")["open"][1:],
        closes_of(market().tables)[:-1]),
    "close_taken_after_hours": lambda: np.array_equal(
        planted("close_taken_after_hours").tables.prices.query("symbol == @SYMBOL")["close"][:-1],
        market().tables.prices.query("symbol == @SYMBOL")["open"][1:]),
    "rank_in_the_whole_file": lambda: sorted(column("rank_in_the_whole_file").rank(pct=True)) == pytest.approx(
        sorted(column("rank_in_the_whole_file")), abs=1e-7),
    "normal_score_in_the_whole_file": lambda: abs(column("normal_score_in_the_whole_file").mean()) < 1e-6,
    "robust_scale_of_the_whole_file": lambda: np.allclose(
        column("robust_scale_of_the_whole_file").quantile([0.25, 0.5, 0.75]).diff()[1:].sum(), 1, atol=1e-6),
    "share_of_the_largest_of_the_whole_file": lambda: column("share_of_the_largest_of_the_whole_file").max() == 1,
    "own_feature_one_session_early": lambda: np.allclose(
        column("own_feature_one_session_early")[20:-1],
        market(enhanced=True).tables.enhanced["rsi_14"][21:]),
}  # fmt: skip


@pytest.mark.parametrize("name", PROMISES)
def test_a_kind_is_what_its_sentence_says(name: str) -> None:
    assert PROMISES[name]()


@pytest.mark.parametrize("name", ["noisy_return_of_tomorrow_with_a_vintage", "honest_columns_with_a_vintage"])
def test_a_vintage_agrees_with_what_was_published_and_goes_on(name: str) -> None:
    one = planted(name)
    published = one.tables.enhanced
    assert len(one.vintage) > len(published) > 200
    pd.testing.assert_frame_equal(one.vintage.iloc[: len(published)], published)


def test_a_vintage_whose_values_move_differs_near_the_end_only() -> None:
    one = planted("published_values_that_move")
    ours = one.tables.enhanced[plants_enhanced.COLUMN]
    moved = ~np.isclose(ours, one.vintage[plants_enhanced.COLUMN].iloc[: len(ours)])
    assert moved.sum() == 10
    assert moved[-10:].all()


def test_a_wrong_zone_shows_in_what_is_read_of_the_file(tmp_path: Path) -> None:
    one = planted("wrong_timestamp_zone")
    read = read_tables(write_market(tmp_path, one.tables, one.settings, one.zone)).sentiment
    early = market().tables.sentiment["timestamp"].sort_values().to_numpy() - read["timestamp"].to_numpy()
    assert set(np.unique(early.astype("timedelta64[h]").astype(int))) <= {5, 6}


def test_in_tokyo_new_york_closes_fourteen_hours_later() -> None:
    leak, honest = (planted(f"new_york_quotes_{how}_in_tokyo") for how in ("of_the_same_date", "after_their_close"))
    days = leak.tables.prices["date"]
    tokyo = session_calendar("XTKS", days.min().date(), days.max().date())
    york = session_calendar("XNYS", days.min().date(), days.max().date())
    both = np.intersect1d(tokyo.days, york.days)
    gap = (york.decision_time[york.index_of(both)] - tokyo.decision_time[tokyo.index_of(both)]) / np.timedelta64(1, "m")
    assert gap.min() > 10 * 60  # half days too
    assert (gap > leak.settings["inputs"]["quote_delay_minutes"]["SP500"]).all()
    assert (gap <= honest.settings["inputs"]["quote_delay_minutes"]["SP500"]).all()
