from __future__ import annotations

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from finnex.audit.coarse_stamps import coarse_stamps
from finnex.audit.filled_bars import bars_on_a_line, close_after_hours
from finnex.audit.foreknowledge import LEAST_Z, SUMS, TIMES_OF_SUM, Bars, _thresholds, foreknowing, targets_of
from finnex.audit.foreknown_series import _weighs
from finnex.audit.series import table_series
from finnex.audit.slow_series import LEAST_PERIODS, periods_of
from finnex.data.calendar import session_calendar
from finnex.exam.hidden_paths import SYMBOL
from finnex.exam.kinds import ALL
from finnex.exam.plant import Planted
from finnex.exam.random_market import random_market


def bars_of(returns: np.ndarray, rng: np.random.Generator) -> Bars:
    close = 50 * np.exp(np.cumsum(returns))
    opened = close * np.exp(rng.normal(0, 0.003, len(close)))
    high, low = (edge(opened, close) for edge in (np.maximum, np.minimum))
    return Bars(opened, high * 1.004, low * 0.996, close, rng.lognormal(12, 0.4, len(close)), np.zeros(len(close)))


def held(close: np.ndarray, sessions: int, lag: int) -> np.ndarray:
    """Return the return of each period of some sessions, or of the one before it, on all sessions of the period."""
    period = np.arange(len(close)) // sessions
    last = pd.Series(np.log(close)).groupby(period).last().diff().shift(lag)
    return last.reindex(period).to_numpy()


@pytest.mark.parametrize(("sessions", "days"), [(420, 5), (1000, 21)])
def test_a_return_that_is_filled_back_over_its_period_is_found_and_that_of_the_one_before_is_not(
    sessions: int, days: int
) -> None:
    rng = np.random.default_rng(3)
    bars = bars_of(rng.normal(0, 0.02, sessions), rng)
    series = {"own": held(bars.close, days, 0), "before": held(bars.close, days, 1)}
    search = foreknowing([series], bars)
    (found,) = search.found
    assert found.name == "own"
    assert found.lead == days
    assert f"{found.sessions} periods" in found.evidence
    assert "own session" not in found.evidence
    assert search.untested == {}


def test_too_few_periods_are_not_tested() -> None:
    rng = np.random.default_rng(3)
    bars = bars_of(rng.normal(0, 0.02, 420), rng)
    search = foreknowing([{"monthly": held(bars.close, 21, 0)}], bars)
    assert search.found == []
    assert list(search.untested) == ["monthly"]
    assert isinstance(periods_of(np.repeat(np.arange(10.0), 42), bars.close), str)


def test_a_countdown_to_a_release_is_not_read_as_periods() -> None:
    rng = np.random.default_rng(0)
    bars = bars_of(rng.normal(0, 0.02, 420), rng)
    countdown = np.maximum(10.0 - np.arange(420) % 63, 0.0)
    assert "less than 3 apart" in str(periods_of(countdown, bars.close))


def test_slow_noise_is_called_foreknowing_in_no_market() -> None:
    alarms = periods = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        bars = bars_of(0.02 * rng.standard_t(3, 400) * np.exp(0.5 * np.sin(np.arange(400) / 30)), rng)
        series = {f"{days} {n}": np.repeat(rng.standard_t(2, 400), days)[:400] for days in (5, 10) for n in range(10)}
        search = foreknowing([series], bars, seed)
        alarms += len(search.found)
        periods += len(series) - len(search.untested)
    assert alarms == 0
    assert periods == 40 * 20
    assert LEAST_PERIODS < 400 / 10


def test_a_return_over_ten_sessions_with_noise_is_found() -> None:
    rng = np.random.default_rng(0)
    bars = bars_of(rng.normal(0, 0.02, 420), rng)
    ahead = pd.Series(np.log(bars.close)).diff(10).shift(-10)
    noisy = (ahead + 0.5 * ahead.std() * rng.standard_normal(420)).to_numpy()
    (found,) = foreknowing([{"x": noisy}], bars).found
    assert found.what == "the return over the next 10 sessions"


def series_of(planted: Planted) -> dict[str, np.ndarray]:
    tables = planted.tables
    frames = {one.name: getattr(tables, one.name) for one in fields(tables) if getattr(tables, one.name) is not None}
    days = tables.prices["date"]
    found = table_series(frames, session_calendar("XNYS", days.min().date(), days.max().date()), SYMBOL, (), {})
    return {name: values for name, (_, values) in found.items()}


@pytest.mark.parametrize(("kind", "leaks"), [("documents_of_tomorrow", True), ("documents_of_yesterday", False)])
def test_documents_are_asked_for_the_volume_to_come(kind: str, leaks: bool) -> None:
    planted = ALL[kind].plant(random_market(420, 0), np.random.default_rng(0))
    own = planted.tables.prices.query("symbol == @SYMBOL")
    columns = {name: own[name].to_numpy(dtype="float64") for name in ("open", "high", "low", "close", "volume")}
    weights = {name: values for name, values in series_of(planted).items() if _weighs(name)}
    assert len(weights) == 12  # confidence, documents and engagement of four providers
    found = foreknowing([weights], Bars(**columns, market=np.zeros(len(own)))).found
    assert bool(found) is leaks
    assert all("documents" in one.name and "volume" in one.what for one in found)


@pytest.mark.parametrize(
    ("kind", "look"),
    [
        ("bars_interpolated", bars_on_a_line),
        ("close_taken_after_hours", close_after_hours),
        *((kind, None) for kind in ("open_taken_from_the_close_before", "penny_stock", "nothing_planted",
                                    "bars_filled_from_the_close_before", "bars_filled_from_a_later_close")),
    ],
)  # fmt: skip
def test_bars_on_a_line_and_closes_after_hours_are_found_and_honest_bars_are_not(kind: str, look: object) -> None:
    market = random_market(420, 0)
    prices = ALL[kind].plant(market, np.random.default_rng(0)).tables.prices
    for one in (bars_on_a_line, close_after_hours):
        found = one(prices, SYMBOL)
        assert bool(found) is (one is look)
        assert one(prices, "BOLT") == []
    if kind == "bars_interpolated":
        (found,) = bars_on_a_line(prices, SYMBOL)
        before = market.tables.prices
        assert (prices["close"] != before["close"])[found.rows].all()


def test_a_halted_stock_and_one_of_few_ticks_lie_on_no_line() -> None:
    rng = np.random.default_rng(1)
    days = pd.bdate_range("2020-01-01", periods=600)
    for step, start in ((0.001, 0.05), (0.01, 1.0), (0.01, 9.0)):
        close = np.maximum(start + step * np.cumsum(rng.integers(-2, 3, 600)), step).round(3)
        close[100:300] = close[100]
        bars = pd.DataFrame({"symbol": "A", "date": days, "open": close, "high": close, "low": close, "close": close})
        assert bars_on_a_line(bars.assign(volume=1.0), "A") == []
        assert close_after_hours(bars.assign(volume=1.0), "A") == []


@pytest.mark.parametrize(("grid", "said"), [("1h", "60 minutes"), ("15min", "15 minutes"), ("1min", ""), (None, "")])
def test_stamps_on_a_grid_are_named_with_it(grid: str | None, said: str) -> None:
    records = random_market(260, 0).tables.sentiment
    wire = records[records["provider"] != "archive"]
    stamps = wire["timestamp"] if grid is None else wire["timestamp"].dt.floor(grid)
    words = coarse_stamps(wire.assign(timestamp=stamps), "XNYS")
    assert words.count("multiples of") == (3 if said else 0)
    assert said in words
    assert coarse_stamps(records, "XNYS") == ""  # one time of day is a score of the day
    assert coarse_stamps(None, "XNYS") == ""


def test_long_sums_have_a_threshold_of_their_own_and_raise_no_other() -> None:
    rng = np.random.default_rng(0)
    targets = targets_of(bars_of(rng.normal(0, 0.02, 300), rng))
    long = np.array([any(f"over the next {sessions} sessions" in one.what for sessions in SUMS[3:]) for one in targets])
    assert long.sum() == 2
    needed = _thresholds(np.where(long, 9.0, 3.0), targets)
    assert set(needed[~long]) == {LEAST_Z}
    assert (needed[long] > 9.0).all()
    assert set(_thresholds(np.zeros(len(targets)), targets)[long]) == {LEAST_Z * TIMES_OF_SUM}
