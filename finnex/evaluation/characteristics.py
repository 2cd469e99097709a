"""What is known of companies at each session's close: market beta, dollar volume and momentum; none looks ahead."""

from __future__ import annotations

import numpy as np
import pandas as pd

from finnex.data.session_prices import SessionPrices
from finnex.errors import TrainingError
from finnex.evaluation.portfolio import Floats
from finnex.evaluation.score_panel import before

BETA, SIZE, MOMENTUM = "market beta", "dollar volume", "momentum"
BETA_SESSIONS, SIZE_SESSIONS = 252, 63
MOMENTUM_FROM, MOMENTUM_UNTIL = 252, 21
LEAST_KNOWN = 2 / 3
"""Share of a window's sessions that must be known."""
NO_VOLUME = "no dollar volume was given: prices of a store are up to a factor for each company, and have no volume"


def daily_returns(prices: SessionPrices) -> Floats:
    """Return close over the close of the session before, less 1: (sessions, companies), NaN without both bars."""
    return np.asarray(prices.close / before(prices.close, 1) - 1)


def market_returns(prices: SessionPrices) -> Floats:
    """Return the equal-weighted mean of the companies' daily returns: (sessions,), NaN where none is known."""
    moves = daily_returns(prices)
    count = (~np.isnan(moves)).sum(axis=1)
    return np.where(count > 0, np.nansum(moves, axis=1) / np.maximum(count, 1), np.nan)


def characteristics(prices: SessionPrices, dollar_volume: Floats | None = None) -> dict[str, Floats]:
    """Return what is known of companies at each session's close.

    Parameters
    ----------
    prices
        Bars.
    dollar_volume
        (sessions, companies) close times shares traded, in one currency, 0 or more; NaN without a bar.

    Returns
    -------
    dict
        By name, (sessions, companies) float64; NaN where not known. Market beta: slope of 252 daily returns on the
        market's. Dollar volume, where it is given: log of its mean over 63 sessions, which ranks companies much as
        market value does but is not market value; NaN where nothing was traded. Momentum: return from 252 to 21
        sessions before (Jegadeesh and Titman, 1993; the last month is left out). Two thirds of a window must be known.

    Raises
    ------
    TrainingError
        A shape that is not that of the prices, or a volume below zero.

    Examples
    --------
    >>> days = np.arange("2020-01-01", "2020-03-04", dtype="datetime64[D]")
    >>> flat = np.ones((63, 1))
    >>> characteristics(SessionPrices(days, ("A",), flat, flat), np.e * flat)["dollar volume"][-1]
    array([1.])
    """
    moves, market = daily_returns(prices), market_returns(prices)[:, None]
    market = np.where(np.isnan(moves), np.nan, market)
    x, y, xy, xx = (_rolling(one, BETA_SESSIONS) for one in (market, moves, market * moves, market**2))
    spread = xx - x**2
    found = {BETA: np.divide(xy - x * y, spread, out=np.full(x.shape, np.nan), where=spread > 1e-15)}
    if dollar_volume is not None:
        check_volume(dollar_volume, prices)
        mean = _rolling(dollar_volume, SIZE_SESSIONS)
        found[SIZE] = np.log(np.where(mean > 0, mean, np.nan))
    found[MOMENTUM] = before(prices.close, MOMENTUM_UNTIL) / before(prices.close, MOMENTUM_FROM) - 1
    return found


def check_volume(dollar_volume: Floats, prices: SessionPrices) -> None:
    """Refuse a volume that is not one of the prices' bars, with a TrainingError."""
    if dollar_volume.shape != prices.close.shape:
        raise TrainingError(
            f"dollar volume of shape {dollar_volume.shape} is not of the prices' sessions and companies, "
            f"{prices.close.shape}. Give one value for each bar, NaN without one."
        )
    wrong = (dollar_volume < 0) | np.isinf(dollar_volume)
    if wrong.any():
        session, company = np.argwhere(wrong)[0]
        raise TrainingError(
            f"the dollar volume of {prices.symbols[company]} on {prices.days[session]} is "
            f"{dollar_volume[session, company]:g}. Give a finite one that is not below zero, NaN where it is not known."
        )


def _rolling(values: Floats, sessions: int) -> Floats:
    window = pd.DataFrame(values).rolling(sessions, min_periods=int(np.ceil(LEAST_KNOWN * sessions)))
    return window.mean().to_numpy()
