"""Characteristics that look only back, the regression on the market, and the capital that volumes allow."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import linregress, spearmanr

from finnex.data.session_prices import SessionPrices
from finnex.errors import TrainingError
from finnex.evaluation.characteristics import characteristics, market_returns
from finnex.evaluation.cross_section import cross_section
from finnex.evaluation.exposures import exposures_of_scores, memory_sessions
from finnex.evaluation.interval import cosines
from finnex.evaluation.market_regression import regression
from finnex.evaluation.portfolio import simulate
from finnex.evaluation.quantile_capacity import capacity, trades
from finnex.evaluation.quantile_portfolio import positions
from finnex.evaluation.score_panel import ScorePanel
from tests.helpers.scores import held_still, market_of, panel_of, predictions_of
from tests.helpers.trades import prices_of


def volumes(prices: SessionPrices, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.exp(rng.normal(0, 1, prices.close.shape[1]) + rng.normal(0, 0.3, prices.close.shape)) * prices.close


def test_characteristics_by_hand() -> None:
    prices = market_of(np.random.default_rng(0), 320, 12)
    traded = volumes(prices)
    found, at = characteristics(prices, traded), 300
    close = prices.close
    np.testing.assert_allclose(found["momentum"][at], close[at - 21] / close[at - 252] - 1, atol=1e-9)
    np.testing.assert_allclose(found["dollar volume"][at], np.log(traded[at - 62 : at + 1].mean(axis=0)), atol=1e-9)
    moves = close[1:] / close[:-1] - 1
    window = moves[at - 252 : at]
    slopes = [linregress(window.mean(axis=1), own).slope for own in window.T]
    np.testing.assert_allclose(found["market beta"][at], slopes, atol=1e-9)
    np.testing.assert_allclose(market_returns(prices)[1:], moves.mean(axis=1), atol=1e-12)


def test_the_future_of_the_bars_changes_no_characteristic() -> None:
    prices = market_of(np.random.default_rng(1), 400, 11)
    opens, closes = prices.open.copy(), prices.close.copy()
    gone = np.random.default_rng(2).random(closes.shape) < 0.02
    opens[gone] = closes[gone] = np.nan
    whole = SessionPrices(prices.days, prices.symbols, opens, closes)
    traded = np.where(gone, np.nan, volumes(prices))
    found = characteristics(whole, traded)
    for end in (253, 300, 399):
        cut = SessionPrices(prices.days[:end], prices.symbols, opens[:end], closes[:end])
        for name, values in characteristics(cut, traded[:end]).items():
            assert not np.isnan(values[-1]).all(), name
            np.testing.assert_array_equal(values, found[name][:end], err_msg=name)


def test_exposures_are_mean_rank_correlations_with_what_was_known_at_the_decision() -> None:
    panel = panel_of(np.random.default_rng(3), 100, 12, 5, before=260)
    traded = volumes(panel.prices)
    found, known = exposures_of_scores(panel, traded), characteristics(panel.prices, traded)
    for name, one in found.items():
        rows = [spearmanr(panel.scores[at], known[name][at]).statistic for at in range(260, 360)]
        assert one.value == pytest.approx(np.mean(rows), abs=1e-9)
    momentum = ScorePanel("cnn", "test", 5, panel.prices, np.where(np.isnan(panel.scores), np.nan, known["momentum"]))
    tilted = exposures_of_scores(momentum, traded)["momentum"]
    assert tilted.value == pytest.approx(1, abs=1e-12)
    assert tilted.low is None


def test_without_volume_or_history_an_exposure_says_why() -> None:
    panel = panel_of(np.random.default_rng(4), 80, 12, 5)
    found = exposures_of_scores(panel)
    assert "no dollar volume was given" in found["dollar volume"].reason
    assert "no session has momentum" in found["momentum"].reason
    assert np.isnan(found["momentum"].value)


def test_a_volume_of_zero_or_of_another_shape() -> None:
    prices = prices_of(held_still(70, 2), held_still(70, 2))
    traded = np.ones((70, 2)) * [[0.0, 1.0]]
    size = characteristics(prices, traded)["dollar volume"][-1]
    assert np.isnan(size[0])
    assert size[1] == 0
    assert np.isnan(characteristics(prices, traded)["market beta"]).all()  # nothing varies
    with pytest.raises(TrainingError, match=r"shape \(69, 2\) is not"):
        characteristics(prices, traded[1:])
    with pytest.raises(TrainingError, match="of C1 on 2020-01-01 is -1"):
        characteristics(prices, -traded)


def test_scores_that_hardly_change_have_an_exposure_without_an_interval() -> None:
    rng = np.random.default_rng(5)
    slow, fast = (panel_of(rng, 200, 15, 1, memory=memory, before=260) for memory in (0.999, 0.3))
    assert memory_sessions(slow.scores) is None
    assert memory_sessions(fast.scores) in (1, 2)
    assert "hardly changes" in exposures_of_scores(slow)["momentum"].reason
    assert exposures_of_scores(fast)["momentum"].low is not None


def test_the_regression_is_that_of_least_squares_with_the_cosines_errors() -> None:
    rng = np.random.default_rng(6)
    market = rng.normal(0, 0.01, 200)
    returns = 0.001 + 0.4 * market + rng.normal(0, 0.005, 200) * (1 + 50 * np.abs(market))
    alpha, beta = regression(returns, market, 5)
    line = linregress(market, returns)
    assert alpha.value == pytest.approx(line.intercept, abs=1e-12)
    assert beta.value == pytest.approx(line.slope, abs=1e-12)
    # Coefficients' long-run variance (X'X)^-1 S (X'X)^-1, S by cosines, in plain matrices.
    x = np.column_stack([np.ones(200), market])
    moments = x * (returns - line.intercept - line.slope * market)[:, None]
    count, total = cosines(200, 5), np.zeros((2, 2))
    seen = np.mean([np.sinc(5 * j / 200) ** 2 for j in range(1, count + 1)])
    for j in range(1, count + 1):
        wave = np.sqrt(2 / 200) * np.cos(np.pi * j * (np.arange(200) + 0.5) / 200)
        total += np.outer(wave @ moments, wave @ moments) / count / seen
    inverse = np.linalg.inv(x.T @ x / 200)
    expected = inverse @ total @ inverse / 200
    assert alpha.variance[0] == pytest.approx(expected[0, 0], rel=1e-9)
    assert beta.variance[0] == pytest.approx(expected[1, 1], rel=1e-9)
    assert beta.freedom == count


def test_a_market_that_stays_still_or_explains_everything_has_no_beta_interval() -> None:
    market = np.random.default_rng(7).normal(size=100)
    flat = regression(market, np.zeros(100), 1)[1]
    assert np.isnan(flat.value)
    assert "does not vary in 100 sessions" in flat.reason
    exact = regression(0.5 * market, market, 1)[1]
    assert exact.value == pytest.approx(0.5, abs=1e-12)
    assert "explains all 100 sessions" in exact.reason
    assert "does not vary in 0" in regression(np.array([np.nan]), np.array([1.0]), 1)[0].reason


@pytest.mark.parametrize(("horizon", "decided"), [(1, 40), (5, 40), (5, 3), (20, 30)])
def test_where_prices_stay_still_what_is_traded_is_the_simulations(horizon: int, decided: int) -> None:
    sessions, rng = 70, np.random.default_rng(horizon + decided)
    prices = prices_of(held_still(sessions, 13), held_still(sessions, 13))
    held = positions(rng.normal(size=(sessions, 13)))
    held[(np.arange(sessions) < 4) | (np.arange(sessions) >= 4 + decided)] = np.nan
    held[10:12] = np.nan
    if decided > 20:
        held[20:23] = held[18]  # kept, not traded again
    course = simulate(prices, held, horizon=horizon, cost_bps=0, borrow_fee_per_year=0, sessions_per_year=252)
    first = int(np.searchsorted(prices.days, course.days[0]))
    found = trades(prices, held, horizon).sum(axis=1)
    np.testing.assert_allclose(found[first : first + len(course.days)], course.traded, atol=1e-12)
    assert found[:first].sum() == 0


def test_capacity_by_hand() -> None:
    """One decision held a session: a quarter of the wealth bought or sold in four companies, twice in the session."""
    prices = prices_of(held_still(70, 10), held_still(70, 10))
    held = np.full((70, 10), np.nan)
    held[64] = held[66] = positions(np.arange(10.0)[None])[0]
    traded = np.full((70, 10), 1000.0)
    traded[:, 9] = 500.0
    traded[:, 4] = 1.0  # not traded
    traded[65:, 8] = 0.0  # one session of 63 does not move a median, and the session of the trade is not known before
    found = capacity(prices, held, 1, traded)
    assert found.tightest == pytest.approx(0.01 * 500 / 0.5, abs=1e-12)
    assert found.median == pytest.approx(10, abs=1e-12)
    assert (found.tightest_day, found.tightest_symbol, found.sessions) == ("2020-03-06", "C9", 2)
    assert capacity(prices, held, 1, traded, 0.1).tightest == pytest.approx(100, abs=1e-12)
    traded[30:, 0] = 0.0
    assert capacity(prices, held, 1, traded).tightest == 0  # hardly ever traded
    assert capacity(prices, np.roll(held, -50, axis=0), 1, traded).reason.startswith("no session with trades has a")
    assert capacity(prices, np.full((70, 10), np.nan), 1, traded).reason == "no trades"
    assert "no dollar volume was given" in capacity(prices, held, 1, None).words()[0]
    with pytest.raises(TrainingError, match="share 0 of volume"):
        capacity(prices, held, 1, traded, 0)


def test_the_cross_section_is_plain_values_and_sentences() -> None:
    panel = panel_of(np.random.default_rng(8), 120, 12, 5, known=1.0, before=260)
    traded = volumes(panel.prices)
    found = cross_section(predictions_of(panel), panel.prices, dollar_volume=traded)
    record = json.loads(json.dumps(found.record(), allow_nan=False))
    assert record["judged_sessions"] == 120
    assert record["information"]["verdict"] == "beats"
    assert record["portfolio"]["net"]["sharpe_ratio"] > 1
    assert abs(record["exposures"]["beta"]["value"]) < 0.5
    assert record["capacity"]["tightest"] <= record["capacity"]["median"]
    words = found.words()
    assert words[1] == "The scores carry information: their order agrees with that of the returns (95 %)."
    assert any(one.startswith("Capacity of the long-short portfolio at 1% of") for one in words)
    assert not [one for one in words if "nan" in one]


def test_nine_companies_have_no_cross_section_and_ten_have() -> None:
    rng = np.random.default_rng(9)
    for companies in (1, 9):
        panel = panel_of(rng, 80, companies, 5)
        found = cross_section(predictions_of(panel), panel.prices)
        assert found.words() == [f"No cross-section of cnn: no session has 10 companies, the most is {companies}."]
        record = found.record()
        assert record["information"] is None
        assert record["reason"] == f"no session has 10 companies, the most is {companies}"
    ten = panel_of(rng, 80, 10, 5)
    assert cross_section(predictions_of(ten), ten.prices).information is not None


def test_constant_predictions_and_few_sessions_are_said_and_not_guessed() -> None:
    panel = panel_of(np.random.default_rng(10), 30, 12, 5)
    short = cross_section(predictions_of(panel), panel.prices)
    assert short.information.word() == "open"
    assert short.record()["information"]["rank"]["low"] is None
    assert "30 sessions, at least 60 are needed" in short.words()[0]
    flat = cross_section(predictions_of(panel).assign(p_sell=0.3, p_hold=0.4, p_buy=0.3), panel.prices)
    json.dumps(flat.record(), allow_nan=False)
    words = flat.words()
    assert words[0].startswith("No information coefficient")
    assert words[2] == "No long-short portfolio: no session has five fifths by score."
    assert not [one for one in words if "nan" in one]
