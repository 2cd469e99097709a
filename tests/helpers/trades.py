"""Prices that walk at random, and decisions over them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from finnex.config import TradingSettings
from finnex.data.session_prices import SessionPrices
from finnex.evaluation.trading import Decisions, TradingPerformance, trade

Floats = npt.NDArray[np.float64]


def prices_of(opens: Floats, closes: Floats) -> SessionPrices:
    days = np.datetime64("2020-01-01") + np.arange(len(closes))
    return SessionPrices(days, tuple(f"C{n}" for n in range(closes.shape[1])), opens, closes)


def market(seed: int, sessions: int, companies: int, spread: float, missing: float = 0.0) -> SessionPrices:
    """Prices that walk at random; a share of the bars is missing."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(0, spread, (2 * sessions, companies)).cumsum(axis=0)
    path = 100 * np.exp(np.clip(moves, -40, 40))
    opens, closes = path[::2].copy(), path[1::2].copy()
    gone = rng.random((sessions, companies)) < missing
    opens[gone] = closes[gone] = np.nan
    return prices_of(opens, closes)


FREE = TradingSettings(cost_bps=0, borrow_fee_per_year=0)


def decisions(prices: SessionPrices, positions: Floats, horizon: int) -> Decisions:
    """Every position that is not NaN."""
    session, company = np.nonzero(~np.isnan(positions))
    names = np.array(prices.symbols)[company]
    return Decisions(prices.days[session], names, positions[session, company], horizon)


def until(positions: Floats, last: int) -> Floats:
    """Positions up to a session, nothing decided after it."""
    return np.where(np.arange(len(positions))[:, None] <= last, positions, np.nan)


def performance(
    prices: SessionPrices, positions: Floats, horizon: int, settings: TradingSettings = FREE
) -> TradingPerformance:
    return trade(decisions(prices, positions, horizon), prices, settings).performance
