"""Fifths by score, and the portfolio of the highest and the lowest: by hand, and against pandas.qcut."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from finnex.config import TradingSettings
from finnex.evaluation.quantile_portfolio import long_short, positions
from finnex.evaluation.quantile_returns import fifths, quantile_returns
from finnex.evaluation.score_panel import ScorePanel, forward_returns
from tests.helpers.scores import held_still, panel_of, permuted
from tests.helpers.trades import FREE, prices_of

STEPS = np.array([-0.2, -0.2, 0.0, 0.01, 0.0, 0.02, 0.0, 0.03, 0.1, 0.3])
"""Returns of ten companies in the order of their scores; of the fifths -0.2, 0.005, 0.01, 0.015, 0.2, of all 0.006."""


def one_step(sessions: int = 3) -> ScorePanel:
    """Return ten companies that are scored once and move in the session after."""
    opens, closes = held_still(sessions, 10), held_still(sessions, 10)
    closes[1:] *= 1 + STEPS
    opens[2:] = closes[2:]
    scores = np.full((sessions, 10), np.nan)
    scores[0] = np.arange(10) / 10
    return ScorePanel("cnn", "test", 1, prices_of(opens, closes), scores)


@pytest.mark.parametrize("companies", [10, 11, 12, 13, 14, 16, 21, 24, 36, 43])
def test_fifths_of_different_scores_are_those_of_qcut(companies: int) -> None:
    scores = np.random.default_rng(companies).normal(size=(20, companies))
    expected = [pd.qcut(row, 5, labels=False) + 1 for row in scores]
    np.testing.assert_array_equal(fifths(scores), expected)


def test_equal_scores_are_in_one_fifth_in_any_order_of_the_companies() -> None:
    scores = np.array([[1, 1, 2, 3, 3, 3, 4, 5, 6, 6, 7, 7]]) / 10
    found = fifths(scores)[0]
    assert found.tolist() == [1, 1, 1, 2, 2, 2, 3, 4, 4, 4, 5, 5]
    order = np.random.default_rng(0).permutation(12)
    assert fifths(scores[:, order])[0].tolist() == found[order].tolist()


def test_a_fifth_that_stays_empty_or_nine_companies_make_no_fifths() -> None:
    four = np.tile(np.arange(4.0), 3)[None]
    top_heavy = np.array([[1.0, 2, 3, 4, 5, 5, 5, 5, 5, 5]])
    assert np.isnan(fifths(four)).all()
    assert np.isnan(fifths(top_heavy)).all()
    assert np.isnan(fifths(np.arange(9.0)[None])).all()
    assert np.isnan(fifths(np.append(np.arange(9.0), np.nan)[None])).all()
    assert not np.isnan(fifths(np.arange(10.0)[None])).any()


def test_returns_of_fifths_by_hand() -> None:
    found = quantile_returns(one_step())
    np.testing.assert_allclose([one.value for one in found.raw], [-0.2, 0.005, 0.01, 0.015, 0.2], atol=1e-12)
    np.testing.assert_allclose([one.value for one in found.demeaned], [-0.206, -0.001, 0.004, 0.009, 0.194], atol=1e-12)
    assert found.spread.value == pytest.approx(0.4, abs=1e-12)
    assert (found.sessions, found.tied, found.monotonicity) == (1, 0, 1.0)
    assert "no interval: 1 sessions" in found.spread.reason
    assert "-20.60%, -0.10%, 0.40%, 0.90%, 19.40%, monotonicity 1.0" in found.words()[0]


def test_returns_of_fifths_agree_with_pandas_over_many_sessions() -> None:
    panel = panel_of(np.random.default_rng(0), 90, 23, 5, memory=0.7, known=0.3)
    earned = pd.DataFrame(forward_returns(panel.prices, 5)[:90])
    number = pd.DataFrame([pd.qcut(row, 5, labels=False) for row in panel.scores[:90]])
    less = earned.sub(earned.mean(axis=1), axis=0)
    found = quantile_returns(panel)
    for fifth in range(5):
        assert found.raw[fifth].value == pytest.approx(earned[number == fifth].mean(axis=1).mean(), abs=1e-9)
        assert found.demeaned[fifth].value == pytest.approx(less[number == fifth].mean(axis=1).mean(), abs=1e-9)
    assert found.spread.value == pytest.approx(found.raw[4].value - found.raw[0].value, abs=1e-12)
    values = [one.value for one in found.demeaned]
    assert found.monotonicity == pytest.approx(spearmanr(range(5), values).statistic, abs=1e-12)
    # alphalens' quantile turnover: names of a fifth that were not in it h sessions before
    names = [set(np.flatnonzero(row == 4)) for row in number.to_numpy()]
    new = [len(now - then) / len(now) for now, then in zip(names[5:], names, strict=False)]
    assert found.replaced[1] == pytest.approx(np.mean(new), abs=1e-12)


def test_another_order_of_the_companies_or_a_constant_changes_nothing() -> None:
    panel = panel_of(np.random.default_rng(1), 80, 14, 5, known=0.3)
    other = permuted(panel, np.random.default_rng(2).permutation(14))
    moved = ScorePanel("cnn", "test", 5, panel.prices, panel.scores + np.arange(len(panel.scores))[:, None])
    expected = quantile_returns(panel)
    for found in (quantile_returns(other), quantile_returns(moved)):
        assert found.spread.value == pytest.approx(expected.spread.value, abs=1e-12)
        assert found.spread.low == pytest.approx(expected.spread.low, abs=1e-9)
    assert long_short(other).net.total_return == pytest.approx(long_short(panel).net.total_return, abs=1e-9)
    assert long_short(moved).net.record() == long_short(panel).net.record()


def test_scores_of_three_values_have_no_fifths_and_no_portfolio_and_say_so() -> None:
    panel = panel_of(np.random.default_rng(3), 70, 12, 1)
    three = ScorePanel("persistence", "test", 1, panel.prices, np.sign(np.round(panel.scores * 4)))
    found = quantile_returns(three)
    assert (found.sessions, found.tied) == (0, 70)
    assert found.record()["spread"]["value"] is None
    assert found.words()[0].startswith("No fifths by score: no session has 10 companies whose scores fill five fifths")
    assert "70 sessions have none" in found.words()[0]
    assert long_short(three).words() == ["No long-short portfolio: no session has five fifths by score."]


def test_the_portfolio_of_one_step_by_hand() -> None:
    """A quarter of the wealth in each of four companies: (-0.2 - 0.2) sold, 0.1 and 0.3 bought."""
    panel = one_step()
    found = long_short(panel, FREE)
    assert found.net.total_return == pytest.approx((0.4 + 0.4) / 4, abs=1e-12)
    assert found.net.total_return == pytest.approx(quantile_returns(panel).spread.value / 2, abs=1e-12)
    assert found.equal_weight.total_return == pytest.approx(0.006, abs=1e-12)
    assert (found.net.trades, found.equal_weight.trades) == (4, 10)
    costly = long_short(panel, TradingSettings(cost_bps=100, borrow_fee_per_year=0))
    invested = 1 / 1.01
    sold_and_bought_back = (0.8 + 0.8 + 1.1 + 1.3) / 4
    assert costly.net.total_return == pytest.approx(invested * (1.2 - 0.01 * sold_and_bought_back) - 1, abs=1e-12)


def test_the_same_capital_is_long_and_short_where_one_fifth_is_larger() -> None:
    found = positions(np.arange(11.0)[None])[0]
    np.testing.assert_allclose(found[:3], -2 / 3)
    np.testing.assert_allclose(found[-2:], 1)
    assert np.nansum(found) == pytest.approx(0, abs=1e-12)
    assert np.isnan(found[3:9]).all()


def test_a_market_that_moves_as_one_between_open_and_close_leaves_the_portfolio_where_it_is() -> None:
    closes = np.exp(np.random.default_rng(4).normal(0, 0.02, (100, 1)).cumsum(axis=0)) * np.ones((1, 12))
    opens = np.vstack([closes[:1], closes[:-1]])
    scores = np.random.default_rng(5).normal(size=(100, 12)) / 10
    scores[95:] = np.nan
    found = long_short(ScorePanel("cnn", "test", 1, prices_of(opens, closes), scores), FREE)
    assert abs(found.net.total_return) < 1e-12
    assert abs(found.equal_weight.total_return) > 0.01


def test_fifths_only_on_the_last_session_with_prices_are_not_traded() -> None:
    panel = panel_of(np.random.default_rng(6), 20, 12, 1)
    scores = panel.scores.copy()
    scores[:19, 2:] = 0.1
    bars = prices_of(panel.prices.open[:20], panel.prices.close[:20])
    found = long_short(ScorePanel("cnn", "test", 1, bars, scores[:20]))
    assert found.net is None
    assert found.reason.startswith("prices end on 2020-01-20")
