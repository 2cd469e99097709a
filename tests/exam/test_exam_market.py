from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finnex.config import load_config
from finnex.data.calendar import session_calendar
from finnex.data.tables import Tables, read_tables
from finnex.exam.hidden_paths import SYMBOL
from finnex.exam.random_market import Market, random_market
from finnex.pipeline import read_run

KNOWN = {"prices": "date", "macro": "available", "fundamentals": "available", "sentiment": "timestamp",
         "competitive": "date", "events": "announced", "options": "date", "splits": "date",
         "enhanced": "date"}  # fmt: skip


@lru_cache
def market(sessions: int = 420, seed: int = 0, exchange: str = "XNYS") -> Market:
    return random_market(sessions, seed, exchange, enhanced=True)


def frames(tables: Tables) -> dict[str, pd.DataFrame]:
    given = {field.name: getattr(tables, field.name) for field in fields(Tables)}
    return {name: frame for name, frame in given.items() if frame is not None}


@pytest.mark.parametrize("exchange", ["XNYS", "XTKS"])
@pytest.mark.parametrize("seed", [0, 1])
def test_what_comes_later_changes_nothing_before_it(seed: int, exchange: str) -> None:
    short, long = frames(market(420, seed, exchange).tables), frames(market(480, seed, exchange).tables)
    last = short["prices"]["date"].max()
    assert set(short) == set(KNOWN)
    for name, frame in short.items():
        # The last session up to an hour before its close; of filings and schedules a market has the days before it.
        until = last + pd.Timedelta(hours=0 if name in {"fundamentals", "events"} else 5 if exchange == "XTKS" else 16)
        kept, same = (one[one[KNOWN[name]] < until].reset_index(drop=True) for one in (frame, long[name]))
        pd.testing.assert_frame_equal(kept, same, obj=name)
        assert len(long[name]) > len(frame) or name in {"splits", "events"}


def next_return(one: Market) -> pd.Series:
    own = one.tables.prices[one.tables.prices["symbol"] == SYMBOL].set_index("date")
    return np.log(own["close"]).diff().shift(-1)


def of_macro(series: str) -> Callable[[Market], pd.Series]:
    def read(one: Market) -> pd.Series:
        rows = one.tables.macro
        return rows[rows["series"] == series].set_index("date")["value"].pct_change()

    return read


def daily_score(one: Market) -> pd.Series:
    """The mean score up to each close, of everything said since the close before."""
    rows = one.tables.sentiment
    days = one.tables.prices["date"].unique()
    calendar = session_calendar("XNYS", days[0].date(), days[-1].date())
    at = calendar.first_session_knowing(rows["timestamp"].to_numpy())
    inside = at < len(calendar)
    return rows["score"][inside].groupby(pd.DatetimeIndex(calendar.days[at[inside]].astype("datetime64[ns]"))).mean()


SERIES = {
    "sentiment": daily_score,
    "VIX": of_macro("VIX"),
    "DGS10": of_macro("DGS10"),
    "WTI": of_macro("WTI"),
    "options": lambda one: one.tables.options.set_index("date")["net_flow"],
    "volume": lambda one: np.log(one.tables.prices.query("symbol == @SYMBOL").set_index("date")["volume"]),
    "enhanced": lambda one: one.tables.enhanced.set_index("date")["rsi_14"],
}


@pytest.mark.parametrize("name", SERIES)
def test_nothing_is_associated_with_the_next_return(name: str) -> None:
    correlations = []
    for seed in range(12):
        one = market(420, seed)
        pair = pd.concat([SERIES[name](one), next_return(one)], axis=1, join="inner").dropna()
        assert len(pair) > 380
        correlations.append(pair.corr(method="spearman").iloc[0, 1])
    # The mean of 12 has a standard error of about 1 / sqrt(12 * 400) = 0.014.
    assert abs(np.mean(correlations)) < 0.05


def test_what_the_market_promises_of_itself_is_there() -> None:
    """VIX against the factor, sentiment after returns, clustered volatility, busy days: else a plant could hide."""
    figures = []
    for seed in range(12):
        one = market(420, seed)
        now = next_return(one).shift(1)
        score, vix = daily_score(one), of_macro("VIX")(one)
        memory = np.mean([now.abs().autocorr(lag) for lag in range(1, 6)])
        figures.append(
            [now.corr(vix), now.corr(score), now.shift(1).corr(score), now.abs().corr(SERIES["volume"](one)), memory]
        )
    against, same_day, day_before, busy, memory = np.mean(figures, axis=0)
    assert against < -0.2
    assert same_day > 0.15
    assert day_before > 0.1
    assert busy > 0.15
    assert memory > 0.03  # constant volatility: 0, with a standard error of 0.007


@pytest.mark.parametrize("exchange", ["XNYS", "XTKS"])
def test_files_say_what_the_tables_say(exchange: str, tmp_path: Path) -> None:
    one = market(420, 3, exchange)
    config = one.write(tmp_path)
    read = frames(read_tables(config))
    for name, frame in frames(one.tables).items():
        assert set(read[name].columns) == set(frame.columns), "in the order of our own names, not of the file"
        pd.testing.assert_frame_equal(read[name][list(frame.columns)], frame, obj=name, check_exact=True)
    assert load_config(tmp_path / "finnex.toml") == config
    assert [warning for warning in read_run(config).warnings if "looks like a split" not in warning] == []


def test_a_stamp_of_local_time_is_read_back_in_its_zone(tmp_path: Path) -> None:
    one = market(300, 4)
    settings = {**one.settings, "inputs": {"timestamp_zone": "America/New_York"}}
    read = read_tables(replace(one, settings=settings).write(tmp_path))
    moved = read.sentiment["timestamp"].to_numpy() != one.tables.sentiment["timestamp"].to_numpy()
    assert moved.mean() < 0.001  # an hour that autumn repeats counts as the later one


def test_dates_vary_with_the_seed_and_hold_what_is_rare() -> None:
    starts = {market(300, seed).tables.prices["date"].min() for seed in range(8)}
    assert len(starts) == 8
    assert all(pd.Timestamp("2012-01-01") <= start < pd.Timestamp("2022-01-01") for start in starts)
    for seed in range(8):
        days = market(300, seed).tables.prices["date"]
        calendar = session_calendar("XNYS", days.min().date(), days.max().date())
        closes = pd.DatetimeIndex(calendar.decision_time).strftime("%H:%M")
        assert {"20:00", "21:00"} <= set(closes)  # both sides of daylight saving
        assert {"18:00", "17:00"} & set(closes)  # half days


def test_releases_are_honest() -> None:
    one = market(420, 2)
    macro = one.tables.macro
    lag = (macro["available"] - macro["date"]).dt.total_seconds() / 86400
    ends = (macro["date"] + pd.offsets.MonthEnd(0)).where(macro["series"].isin(["UNRATE", "CPILFESL", "AAA"]))
    assert (macro["available"] > ends)[ends.notna()].all()
    assert (lag[macro["series"].isin(["VIX", "SP500"])] == 0).all()
    assert (lag[macro["series"] == "DGS10"] >= 1).all()
    filings = one.tables.fundamentals
    days = (filings["available"] - filings["period_end"]).dt.days
    assert days.between(25, 60).all()
    assert days.nunique() > 8
    assert (one.tables.events["announced"] < one.tables.events["date"]).all()
    score = one.tables.sentiment.query("provider == 'archive'")["timestamp"].dt.tz_localize("UTC")
    assert set(score.dt.tz_convert("America/New_York").dt.strftime("%H:%M:%S")) == {"23:59:00"}
    hours = one.tables.sentiment.query("provider == 'wire'")["timestamp"].dt.tz_localize("UTC")
    local = hours.dt.tz_convert("America/New_York").dt.hour
    assert local.between(8, 18).mean() > 0.6  # people write by day


@pytest.mark.parametrize(("sessions", "exchange"), [(40, "XNYS"), (2_000, "XNYS"), (420, "XPAR")])
def test_a_market_that_cannot_be_is_refused(sessions: int, exchange: str) -> None:
    with pytest.raises(ValueError, match="60 to 1000 sessions"):
        random_market(sessions, 0, exchange)


def test_what_is_said_in_the_evening_opens_the_next_session() -> None:
    """So a daily score that is stamped before its evening leads the price, and one that is not does not."""
    early = []
    for seed in range(8):
        one = market(420, seed)
        rows = one.tables.sentiment.query("provider == 'archive'")
        day = (rows["timestamp"].dt.tz_localize("UTC").dt.tz_convert("America/New_York")).dt.tz_localize(None)
        score = pd.Series(rows["score"].to_numpy(), index=day.dt.normalize())
        early.append(score.corr(next_return(one), method="spearman"))
    assert np.mean(early) > 0.06  # with a standard error of 0.017
