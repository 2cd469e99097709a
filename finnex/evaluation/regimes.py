"""The regime of a market at each session, from bars up to it: its trend, and whether it is turbulent.

Nothing is smoothed: the regime of a session is that of a rule on the bars that were known at its close, and later bars
change none of it. Trend: whether the sum of the last 63 sessions' mean log returns, a quarter of a year's, is above or
below 0 (time series momentum: Moskowitz, Ooi and Pedersen 2012). Turbulence: whether the standard deviation of the last
21 of them, a month's, is above the median of all such deviations so far.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.data.calendar import Days
from finnex.data.session_prices import SessionPrices
from finnex.errors import TrainingError

TREND_SESSIONS, VOLATILITY_SESSIONS = 63, 21
LEAST_VOLATILITIES = 252
"""Volatilities up to a session from which on their median is used."""
UNKNOWN = "unknown"
REGIMES = ("up, calm", "up, turbulent", "down, calm", "down, turbulent", UNKNOWN)
Floats = npt.NDArray[np.float64]


def market_log_returns(prices: SessionPrices) -> Floats:
    """Return the mean log return of the companies at each session, close to close, all with the same weight.

    Parameters
    ----------
    prices
        Bars of companies. One without a bar at a session or at the one before is left out of its mean.

    Returns
    -------
    numpy.ndarray
        (sessions,) float64; NaN at the first session, and where no company has both bars.

    Examples
    --------
    >>> close = np.array([[1.0, 2.0], [np.e, 2.0], [1.0, np.nan]])
    >>> days = np.datetime64("2015-03-02") + np.arange(3)
    >>> market_log_returns(SessionPrices(days, ("A", "B"), close, close)).tolist()
    [nan, 0.5, -1.0]
    """
    found = np.full(len(prices.days), np.nan)
    changes = np.diff(np.log(prices.close), axis=0)
    known = ~np.isnan(changes)
    some = known.any(axis=1)
    found[1:][some] = np.where(known, changes, 0.0)[some].sum(axis=1) / known[some].sum(axis=1)
    return found


def regimes(prices: SessionPrices) -> npt.NDArray[np.str_]:
    """Return the regime of each session, one of `REGIMES`, from its bars and those before.

    Parameters
    ----------
    prices
        Bars of the companies that make the market.

    Returns
    -------
    numpy.ndarray
        (sessions,) str. `unknown` with fewer than 252 volatilities, where one of the last 63 mean returns is not known,
        and where the prices did not move at all. A volatility that equals the median is calm.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> close = np.exp(np.cumsum(rng.normal(0.005, 0.01, (300, 4)), axis=0))
    >>> days = np.datetime64("2015-03-02") + np.arange(300)
    >>> found = regimes(SessionPrices(days, ("A", "B", "C", "D"), close, close))
    >>> found[[271, 272]].tolist()  # the first of 252 volatilities is that of the 21 returns up to session 21
    ['unknown', 'up, turbulent']
    """
    if not len(prices.days):
        return np.empty(0, dtype=np.str_)
    returns = market_log_returns(prices)
    trend = _over(returns, TREND_SESSIONS).sum(axis=1)
    volatility = _over(returns, VOLATILITY_SESSIONS).std(axis=1, ddof=1)
    usual = pd.Series(volatility).expanding(min_periods=LEAST_VOLATILITIES).median().to_numpy()
    known = ~np.isnan(trend) & (trend != 0) & ~np.isnan(volatility) & ~np.isnan(usual)
    direction = np.where(trend > 0, "up", "down")
    state = np.where(volatility > usual, "turbulent", "calm")
    return np.where(known, np.char.add(np.char.add(direction, ", "), state), UNKNOWN)


def regimes_of(days: Days, prices: SessionPrices) -> npt.NDArray[np.str_]:
    """Return the regime of each decision date.

    Parameters
    ----------
    days
        (rows,) `datetime64[D]`, in any order.
    prices
        Bars of the companies that make the market.

    Returns
    -------
    numpy.ndarray
        (rows,) str; `unknown` for a date that is no session of the prices.

    Raises
    ------
    TrainingError
        No date is a session of the prices.
    """
    if not len(prices.days) or not np.isin(days, prices.days).any():
        span = f"from {prices.days[0]} to {prices.days[-1]}" if len(prices.days) else "of no session"
        raise TrainingError(
            f"regimes need bars of the decision dates; these are from {days.min()} to {days.max()}, and prices are "
            f"{span}. Give the bars that the predictions were made from."
        )
    place = np.minimum(np.searchsorted(prices.days, days), len(prices.days) - 1)
    return np.where(prices.days[place] == days, regimes(prices)[place], UNKNOWN)


def _over(values: Floats, sessions: int) -> Floats:
    """Return the last values up to each session, (sessions, `sessions`), NaN before the first."""
    padded = np.concatenate([np.full(sessions - 1, np.nan), values])
    return np.lib.stride_tricks.sliding_window_view(padded, sessions)
