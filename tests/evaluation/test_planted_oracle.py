from __future__ import annotations

import numpy as np
import pytest

from finnex.config import TradingSettings
from finnex.evaluation.planted_oracle import planted_performance
from finnex.exam.planted_market import planted_market

MARKET = planted_market(0, 8, 1_000)


def test_the_oracle_earns_steadily_and_costs_make_it_less() -> None:
    found, free = planted_performance(MARKET), planted_performance(MARKET, settings=TradingSettings(cost_bps=0))
    assert 3 < found.sharpe_ratio.value < free.sharpe_ratio.value < 5.3  # one session in ten is invested
    assert found.max_drawdown < 0.15
    assert found.volatility < 0.20
    assert found.win_rate > 0.9
    assert found.decisions == len(MARKET.answers)


def test_wrong_answers_lose_and_answers_at_random_earn_nothing() -> None:
    rule = MARKET.answers["answer"].to_numpy()
    assert planted_performance(MARKET, 2 - rule).sharpe_ratio.value < -3
    free = TradingSettings(cost_bps=0, borrow_fee_per_year=0)
    guesses = [
        planted_performance(MARKET, np.random.default_rng(seed).permutation(rule), free).sharpe_ratio.value
        for seed in range(8)
    ]
    assert abs(np.mean(guesses)) < 4 * np.std(guesses) / np.sqrt(len(guesses))


def test_a_later_beginning_leaves_decisions_out() -> None:
    day = MARKET.answers["date"].iloc[100].to_datetime64().astype("datetime64[D]")
    later = planted_performance(MARKET, since=day)
    assert later.decisions == int((MARKET.answers["date"] >= day).sum()) < len(MARKET.answers)


def test_answers_of_another_number_are_refused() -> None:
    with pytest.raises(ValueError, match="not one for each of"):
        planted_performance(MARKET, np.zeros(3, dtype=np.int64))
