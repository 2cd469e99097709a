"""Trials of one test part are compared on the decisions that all of them made, and the others are counted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from finnex.data.session_prices import SessionPrices
from finnex.evaluation.overfitting import probability_of_overfitting
from finnex.evaluation.trading import Decisions, trade
from finnex.evaluation.trial_returns import trial_returns
from tests.helpers.trades import FREE, market

SESSIONS, COMPANIES, HORIZON = 300, 3, 5


@pytest.fixture(scope="module")
def prices() -> SessionPrices:
    return market(5, SESSIONS, COMPANIES, 0.01)


def answers(prices: SessionPrices, seed: int, sessions: slice, model: str = "cnn", seeds: int = 1) -> pd.DataFrame:
    """Random answers of a model for some sessions of every company."""
    days = prices.days[sessions]
    tables = []
    for own in range(seeds):
        said = np.random.default_rng([seed, own]).dirichlet(np.ones(3), (len(days), COMPANIES)).reshape(-1, 3)
        tables.append(
            pd.DataFrame(
                {
                    "decision_date": np.repeat(days, COMPANIES), "symbol": np.tile(prices.symbols, len(days)),
                    "split": "test", "model": model, "seed": own, "horizon": HORIZON,
                    **dict(zip(("p_sell", "p_hold", "p_buy"), said.T, strict=True)),
                }
            )
        )  # fmt: skip
    return pd.concat(tables, ignore_index=True)


ALL = slice(0, SESSIONS - HORIZON)


def test_ratios_and_returns_are_those_of_each_trial_on_the_common_decisions(prices: SessionPrices) -> None:
    own, other = answers(prices, 1, ALL, seeds=2), answers(prices, 2, slice(10, SESSIONS - HORIZON))
    found = trial_returns(own, {4: other}, prices, FREE)
    assert (found.rows, found.apart) == ((SESSIONS - HORIZON - 10) * COMPANIES, ())
    for place, table in enumerate((own[own["decision_date"] >= prices.days[10]], other)):
        alone = trade(Decisions.of(table), prices, FREE)
        np.testing.assert_array_equal(found.returns[:, place], alone.course.returns)
        assert found.ratios[place] == pytest.approx(alone.performance.sharpe_ratio.value, abs=1e-12)


def test_a_trial_of_other_sessions_is_counted_and_not_compared(prices: SessionPrices) -> None:
    own, other = answers(prices, 1, ALL), answers(prices, 2, slice(100, SESSIONS - HORIZON))
    found = trial_returns(own, {2: other, 7: answers(prices, 3, ALL)}, prices, FREE)
    assert found.apart == (2,)
    assert found.ratios[1] is None
    assert found.ratios[2] is not None
    assert found.returns.shape[1] == 2


def test_baselines_are_no_trials_and_one_that_never_trades_has_no_ratio(prices: SessionPrices) -> None:
    own = pd.concat([answers(prices, 1, ALL), answers(prices, 2, ALL, "majority")])
    idle = answers(prices, 3, ALL).assign(p_sell=0.1, p_hold=0.8, p_buy=0.1)
    found = trial_returns(own, {2: idle}, prices, FREE)
    np.testing.assert_array_equal(
        found.returns, trial_returns(answers(prices, 1, ALL), {2: idle}, prices, FREE).returns
    )
    assert found.ratios[1] is None
    assert (found.returns[:, 1] == 0).all()


def test_the_best_of_random_trials_is_overfitted_about_as_often_as_not(prices: SessionPrices) -> None:
    shares = []
    for market_seed in range(8):
        walk = market(100 + market_seed, SESSIONS, COMPANIES, 0.01)
        others = {number: answers(walk, number, ALL) for number in range(2, 9)}
        found = trial_returns(answers(walk, 1, ALL), others, walk, FREE)
        shares.append(probability_of_overfitting(found.returns, blocks=4).value)
    assert 0.25 < np.mean([share for share in shares if share is not None]) < 0.75
