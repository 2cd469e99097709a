"""Volatility features: how much the price moves, by several estimators, and how that changes.

Range estimators use the high and the low of a bar and so need fewer sessions for the same precision; all are
annualised standard deviations (square root of 252 sessions a year).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import talib

from finnex.data.features.arithmetic import YEAR, log, trailing_rank
from finnex.data.features.context import Context, Features

ANNUAL = np.sqrt(float(YEAR))


def volatility(context: Context) -> Features:
    """Return volatility features on all sessions; NaN until a window is full."""
    bars = context.bars
    o, h, l, c = (pd.Series(np.log(bars[name].to_numpy(dtype="float64"))) for name in ("open", "high", "low", "close"))
    returns = c.diff()
    overnight, up, down, body = o - c.shift(1), h - o, l - o, c - o

    def rms(squares: pd.Series[float], window: int) -> pd.Series[float]:
        # Rounding in a rolling sum can leave a window of zeros a hair below zero.
        annual: pd.Series[float] = squares.rolling(window).mean().clip(lower=0.0) ** 0.5 * ANNUAL
        return annual

    close_to_close = {n: returns.rolling(n).std() * ANNUAL for n in (5, 10, 20, 60, 120)}
    # Parkinson, The Extreme Value Method for Estimating the Variance of the Rate of Return (1980).
    parkinson = (h - l) ** 2 / (4 * np.log(2))
    # Garman and Klass, On the Estimation of Security Price Volatilities from Historical Data (1980), eq. 20.
    garman_klass = 0.5 * (h - l) ** 2 - (2 * np.log(2) - 1) * body**2
    # Rogers and Satchell, Estimating Variance from High, Low and Closing Prices (1991): holds under drift.
    rogers_satchell = up * (up - body) + down * (down - body)
    # Yang and Zhang, Drift-Independent Volatility Estimation (2000): overnight, open-to-close and range parts.
    window = 20
    k = 0.34 / (1.34 + (window + 1) / (window - 1))
    yang_zhang = (
        overnight.rolling(window).var()
        + k * body.rolling(window).var()
        + (1 - k) * rogers_satchell.rolling(window).mean()
    )
    v20, v60 = close_to_close[20], close_to_close[60]
    downside, upside = rms(returns.clip(upper=0.0) ** 2, window), rms(returns.clip(lower=0.0) ** 2, window)
    spread = (h - l).rolling(window).mean()
    peak = c.rolling(60, min_periods=20).max()
    high, low, close = (bars[name].to_numpy(dtype="float64") for name in ("high", "low", "close"))
    found = {f"volatility_{n}": values for n, values in close_to_close.items()} | {
        "parkinson_10": rms(parkinson, 10),
        "parkinson_20": rms(parkinson, 20),
        "garman_klass_20": rms(garman_klass, 20),
        "rogers_satchell_20": rms(rogers_satchell, 20),
        "yang_zhang_20": np.sqrt(yang_zhang.clip(lower=0.0)) * ANNUAL,
        "atr_14": pd.Series(talib.NATR(high, low, close, 14)),
        "range_expansion_5": np.log((h - l).rolling(5).mean() / spread.where(spread > 0)),
        "volatility_ratio_5_20": np.log(close_to_close[5] / v20.where(v20 > 0)),
        "volatility_ratio_20_60": np.log(v20 / v60.where(v60 > 0)),
        "volatility_of_volatility_60": v20.rolling(60).std(),
        "volatility_rank_252": trailing_rank(v20),
        "volatility_change_5": v20 - v20.shift(5),
        "volatility_change_20": v20 - v20.shift(20),
        "downside_volatility_20": downside,
        "upside_volatility_20": upside,
        "volatility_skew_20": (downside - upside) / (downside + upside).where(downside + upside > 0),
        "overnight_share_20": overnight.rolling(window).var()
        / (overnight.rolling(window).var() + body.rolling(window).var()),
        "largest_move_20": returns.abs().rolling(window).max(),
        "ulcer_60": np.sqrt(((c - peak) ** 2).rolling(60).mean().clip(lower=0.0)),
    }
    on_sessions = {name: context.on_sessions(values) for name, values in found.items()}
    vix = context.section.series("VIX", max_age=5)
    own = pd.Series(on_sessions["volatility_20"])
    on_sessions["implied_to_realized"] = log(vix / 100 / own.where(own > 0)).to_numpy()
    return {name: np.where(np.isfinite(values), values, np.nan) for name, values in on_sessions.items()}
