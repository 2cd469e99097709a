"""Arithmetic of features: returns, ratios, statistics across columns and over trailing windows, all causal."""

from __future__ import annotations

import numpy as np
import pandas as pd

from finnex.data.point_in_time import Floats

YEAR = 252  # sessions
QUARTER = 63
STILL = 1e-9
"""Range of values, relative to their size, below which they do not move."""
TIE_DIGITS = 10
"""Decimals to which values are ranked. Prices are levels of a grid, so equal moves are common, and the last bits, in
which the logarithms of two processors differ, must not part them: a rank would jump by the share of a company."""


def log_returns(close: pd.Series[float], sessions: int = 1) -> pd.Series[float]:
    """Return log(close / close `sessions` before)."""
    logarithm = log(close)
    return logarithm - logarithm.shift(sessions)


def log(values: pd.Series[float]) -> pd.Series[float]:
    """Return the natural logarithm; NaN stays NaN."""
    return pd.Series(np.log(values.to_numpy(dtype="float64")), index=values.index)


def over(top: Floats, bottom: Floats) -> Floats:
    """Return top / bottom where bottom is above zero, NaN elsewhere."""
    result: Floats = np.divide(top, bottom, out=np.full(len(bottom), np.nan), where=bottom > 0)
    return result


def row_mean(frame: pd.DataFrame) -> Floats:
    """Return the mean of the known values of each row, NaN where none is known.

    Columns are added one after another: a symbol that enters or leaves the inputs then changes no bit of the
    rows it has no value in, as a pairwise sum would.
    """
    total, count = np.zeros(len(frame)), np.zeros(len(frame))
    for name in frame.columns:
        column = frame[name].to_numpy(dtype="float64")
        known = ~np.isnan(column)
        total += np.where(known, column, 0.0)
        count += known
    return over(total, count)


def row_std(frame: pd.DataFrame) -> Floats:
    """Return the standard deviation across the known values of each row; NaN below two."""
    mean = row_mean(frame)
    squared = pd.DataFrame(
        {name: (frame[name].to_numpy(dtype="float64") - mean) ** 2 for name in frame.columns}, index=range(len(frame))
    )
    variance = row_mean(squared)
    count = frame.notna().sum(axis=1).to_numpy() if frame.shape[1] else np.zeros(len(frame))
    return np.where(count >= 2, np.sqrt(variance), np.nan)


def row_rank(frame: pd.DataFrame, own: pd.Series[float]) -> Floats:
    """Return the share of the known columns below `own` in each row, ties half; in [0, 1]."""
    below, count = np.zeros(len(frame)), np.zeros(len(frame))
    mine = np.round(own.to_numpy(dtype="float64"), TIE_DIGITS)
    for name in frame.columns:
        column = np.round(frame[name].to_numpy(dtype="float64"), TIE_DIGITS)
        known = ~np.isnan(column) & ~np.isnan(mine)
        below += np.where(known, (column < mine) + 0.5 * (column == mine), 0.0)
        count += known
    return over(below, count)


def moves(values: pd.Series[float], window: int, least: int | None = None) -> pd.Series[bool]:
    """Return whether the known values of a trailing window differ from each other.

    A deviation does not say it: where nothing moves any more, rolling sums keep a remainder of rounding from what did
    before, of which a quotient makes a number at random.
    """
    rolling = values.rolling(window, min_periods=least)
    low, high = rolling.min(), rolling.max()
    return high - low > STILL * (high.abs() + low.abs())


def slope(own: pd.Series[float], other: pd.Series[float], window: int) -> pd.Series[float]:
    """Return the slope of a regression on another series over a trailing window; NaN where that does not move."""
    return own.rolling(window).cov(other) / other.rolling(window).var().where(moves(other, window))


def trailing_z(values: pd.Series[float], window: int = YEAR, least: int = QUARTER) -> pd.Series[float]:
    """Return (value - trailing mean) / trailing standard deviation; NaN before `least` values or without spread."""
    rolling = values.rolling(window, min_periods=least)
    return (values - rolling.mean()) / rolling.std().where(moves(values, window, least))


def trailing_rank(values: pd.Series[float], window: int = YEAR, least: int = QUARTER) -> pd.Series[float]:
    """Return the percentile of the value among the trailing `window`, in (0, 1]."""
    return values.round(TIE_DIGITS).rolling(window, min_periods=least).rank(pct=True)
