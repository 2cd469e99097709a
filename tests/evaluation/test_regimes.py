"""A regime is known at its session: later bars change none. Worked cases of trend and turbulence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.coverage import persistent
from finnex.data.session_prices import SessionPrices
from finnex.errors import TrainingError
from finnex.evaluation.regimes import REGIMES, market_log_returns, regimes, regimes_of
from tests.helpers.stores import sessions


def prices(returns: np.ndarray, missing: np.ndarray | None = None) -> SessionPrices:
    """Bars of companies whose log returns are given, (sessions, companies); none where missing."""
    close = np.exp(np.cumsum(returns, axis=0))
    close = close if missing is None else np.where(missing, np.nan, close)
    names = tuple(f"C{number}" for number in range(returns.shape[1]))
    return SessionPrices(sessions(len(returns)), names, close, close)


def random_prices(seed: int, n: int = 420, companies: int = 3) -> SessionPrices:
    rng = np.random.default_rng(seed)
    spread = 0.01 * np.exp(persistent(rng, n, 1, 0.95))
    return prices(spread * rng.standard_normal((n, companies)), rng.random((n, companies)) < 0.05)


@given(seed=st.integers(0, 10_000), cut=st.integers(1, 419))
@settings(max_examples=60, deadline=None)
def test_cutting_the_future_changes_no_regime(seed: int, cut: int) -> None:
    whole = random_prices(seed)
    part = SessionPrices(whole.days[:cut], whole.symbols, whole.open[:cut], whole.close[:cut])
    np.testing.assert_array_equal(regimes(part), regimes(whole)[:cut])


def test_another_future_changes_no_regime_and_another_past_does() -> None:
    whole = random_prices(1)
    known = regimes(whole)
    assert len(set(known[300:])) > 2
    later, earlier = whole.close.copy(), whole.close.copy()
    later[350:] *= np.exp(0.5 * np.arange(70))[:, None]
    earlier[:349] *= np.exp(0.5 * np.arange(349))[:, None]
    assert (regimes(SessionPrices(whole.days, whole.symbols, later, later))[:350] == known[:350]).all()
    assert (regimes(SessionPrices(whole.days, whole.symbols, later, later))[351:] != known[351:]).any()
    assert (regimes(SessionPrices(whole.days, whole.symbols, earlier, earlier))[300:350] != known[300:350]).any()


def test_a_worked_case() -> None:
    """Calm, then wild from session 300 on; up until session 350, then down."""
    wave = np.where(np.arange(500) % 2, 0.001, -0.001) * np.where(np.arange(500) < 300, 1.0 + np.arange(500) / 1e4, 20)
    drift = np.where(np.arange(500) < 350, 0.002, -0.002)
    found = regimes(prices((wave + drift)[:, None]))
    assert set(found[:272]) == {"unknown"}
    # the swings grow a little with each session until 300: each volatility is above the median of those before
    assert set(found[272:350]) == {"up, turbulent"}
    assert set(found[395:]) == {"down, turbulent"}
    falling = wave[::-1][:300] * np.linspace(1.5, 1, 300)  # wild first
    assert regimes(prices((falling + 0.002)[:, None]))[299] == "up, calm"


def test_it_is_the_rule_written_out() -> None:
    whole = random_prices(3)
    mean, found = market_log_returns(whole), regimes(whole)
    volatility = np.array([np.std(mean[max(0, t - 20) : t + 1], ddof=1) if t >= 20 else np.nan for t in range(420)])
    for t in range(272, 420):
        trend, usual = mean[t - 62 : t + 1].sum(), np.nanmedian(volatility[: t + 1])
        expected = f"{'up' if trend > 0 else 'down'}, {'turbulent' if volatility[t] > usual else 'calm'}"
        assert found[t] == expected
    assert set(found) <= set(REGIMES)


def test_companies_count_the_same_and_those_without_a_bar_not() -> None:
    whole = random_prices(4)
    changes = np.diff(np.log(whole.close), axis=0)
    np.testing.assert_allclose(market_log_returns(whole)[1:], np.nanmean(changes, axis=1), atol=1e-15)
    assert np.isnan(market_log_returns(whole)[0])
    scaled = SessionPrices(whole.days, whole.symbols, whole.open * 8, whole.close * 8)
    assert (regimes(scaled) == regimes(whole)).all()


def test_what_is_not_known_is_unknown() -> None:
    flat = prices(np.zeros((400, 2)))
    assert set(regimes(flat)) == {"unknown"}  # zero volatility
    missing = np.zeros((420, 3), dtype=bool)
    missing[300] = True
    halted = random_prices(5)
    close = np.where(missing, np.nan, halted.close)
    found = regimes(SessionPrices(halted.days, halted.symbols, close, close))
    assert set(found[300:364]) == {"unknown"}  # a return of the last 63 is not known
    assert "unknown" not in found[364:]
    assert set(regimes(random_prices(6, n=272))) == {"unknown"}
    assert len(regimes(SessionPrices(sessions(0), ("A",), np.empty((0, 1)), np.empty((0, 1))))) == 0


def test_dates_outside_of_the_bars_are_unknown_and_none_inside_is_an_error() -> None:
    whole = random_prices(7)
    days = np.array([whole.days[410], np.datetime64("2030-01-01"), whole.days[409]])
    assert regimes_of(days, whole).tolist() == [regimes(whole)[410], "unknown", regimes(whole)[409]]
    with pytest.raises(TrainingError, match="these are from 2030-01-01 to 2030-01-01, and prices are from 2015-01-02"):
        regimes_of(days[1:2], whole)
