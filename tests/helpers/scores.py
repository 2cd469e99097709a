"""Scores of companies, as panels and as predictions tables, over prices that share a market."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.coverage import persistent
from finnex.data.session_prices import SessionPrices
from finnex.evaluation.score_panel import ScorePanel, forward_returns
from tests.helpers.trades import Floats, prices_of


def market_of(rng: np.random.Generator, sessions: int, companies: int) -> SessionPrices:
    """Return prices that walk at random with a common market, each company with a beta of its own."""
    beta = rng.uniform(0.3, 1.7, companies)
    moves = rng.standard_normal((2 * sessions, 1)) * beta + 1.5 * rng.standard_normal((2 * sessions, companies))
    path = np.exp(np.cumsum(0.005 * moves, axis=0))
    return prices_of(path[::2], path[1::2])


def panel_of(
    rng: np.random.Generator, sessions: int, companies: int, horizon: int, *, memory: float = 0.0, known: float = 0.0,
    before: int = 0,
) -> ScorePanel:  # fmt: skip
    """Return scores of a number of sessions, with as many bars before as asked and those of the horizon after.

    Parameters
    ----------
    memory
        Autocorrelation of the scores from one session to the next.
    known
        Weight of the standardised future return in the scores; 0 for scores that know nothing.
    """
    prices = market_of(rng, before + sessions + horizon, companies)
    scores = np.full(prices.close.shape, np.nan)
    earned = forward_returns(prices, horizon)[before : before + sessions]
    noise = persistent(rng, sessions, companies, memory)
    scores[before : before + sessions] = np.tanh(0.3 * (noise + known * earned / earned.std()))
    return ScorePanel("cnn", "test", horizon, prices, scores)


def predictions_of(panel: ScorePanel) -> pd.DataFrame:
    """Return a predictions table whose p_buy - p_sell are the scores, which are in [-0.9, 0.9]."""
    session, company = np.nonzero(~np.isnan(panel.scores))
    score = panel.scores[session, company]
    return pd.DataFrame(
        {
            "decision_date": panel.prices.days[session],
            "symbol": np.array(panel.prices.symbols)[company],
            "split": panel.split, "model": panel.model, "horizon": panel.horizon,
            "p_sell": 0.45 - score / 2, "p_hold": 0.1, "p_buy": 0.45 + score / 2,
        }
    )  # fmt: skip


def permuted(panel: ScorePanel, order: npt.NDArray[np.intp]) -> ScorePanel:
    """Return the same panel with its companies in another order."""
    bars = panel.prices
    names = tuple(np.array(bars.symbols)[order].tolist())
    prices = SessionPrices(bars.days, names, bars.open[:, order], bars.close[:, order])
    return ScorePanel(panel.model, panel.split, panel.horizon, prices, panel.scores[:, order])


def held_still(sessions: int, companies: int) -> Floats:
    """Return prices that do not move."""
    return np.full((sessions, companies), 10.0)
