"""What a scaling leaves in a column when it was fitted on the whole file: figures that hold of all rows exactly.

A fit on the past leaves them at most by chance: each must hold of the whole, and not of the first half. Columns that
are bounded by their nature, such as a relative strength index, reach their bounds too; so a bound counts only where it
is reached once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.floating[Any]]
LEAST_ROWS = 30
MEAN_TOLERANCE, SPREAD_TOLERANCE = 1e-4, 1e-3
QUANTILE_TOLERANCE = 1e-4
"""Of a median of 0 and an interquartile range of 1: columns are written with four digits or more."""
OFF = 10
"""Tolerances by which the first half must miss what the whole meets."""
LEAST_DISTINCT = 0.5
"""Share of values that must differ: counts, ranks in a short window and calendars repeat theirs."""
RANK_TOLERANCE = 0.25
"""Ranks by which a value may miss the one that it represents. Of the largest of 100 values the standard error is 1."""
TRANSFORMER_END = 5.199337582
"""Normal quantile of 1e-7, where scikit-learn's QuantileTransformer ends."""
SMALLEST_OF_MAXIMUM = 0.05
"""A column of one sign that was divided by its maximum stays above it. Bounded oscillators come near zero as they come
near one."""


def fit_signature(values: Floats) -> str:
    """Return what shows that a column was scaled by a fit on all of its rows, in words; '' where nothing does.

    Parameters
    ----------
    values
        (rows,) in order of time, without NaN.
    """
    distinct = len(np.unique(values))
    if len(values) < LEAST_ROWS or distinct <= 10:
        return ""
    half = values[: len(values) // 2]
    if found := _standardised(values, half):
        return found
    if distinct <= LEAST_DISTINCT * len(values):
        return ""
    return _robust(values, half) or _ranked(values, half) or _ranged(values, half)


def _standardised(values: Floats, half: Floats) -> str:
    for degrees in (0, 1):
        spread, half_spread = values.std(ddof=degrees), half.std(ddof=degrees)
        off = abs(half.mean()) > OFF * MEAN_TOLERANCE or abs(half_spread - 1) > OFF * SPREAD_TOLERANCE
        if abs(values.mean()) < MEAN_TOLERANCE and abs(spread - 1) < SPREAD_TOLERANCE and off:
            return "mean 0 and standard deviation 1"
    return ""


def _robust(values: Floats, half: Floats) -> str:
    def distances(some: Floats) -> tuple[float, float]:
        low, middle, high = np.quantile(some, (0.25, 0.5, 0.75))
        return abs(float(middle)), abs(float(high - low) - 1)

    if max(distances(values)) < QUANTILE_TOLERANCE and max(distances(half)) > OFF * QUANTILE_TOLERANCE:
        return "median 0 and interquartile range 1"
    return ""


def _ranked(values: Floats, half: Floats) -> str:
    forms = [(values, half, "equal steps from rank to rank")]
    if values.min() < 0 < values.max():
        forms.append((stats.norm.cdf(values), stats.norm.cdf(half), "the normal scores of its ranks"))
    for whole, first, name in forms:
        if _even(whole) and not _even(first):
            return name
    ends = values.min(), values.max()
    ended = np.allclose(ends, (-TRANSFORMER_END, TRANSFORMER_END), rtol=0, atol=QUANTILE_TOLERANCE)
    if ended and (half.min() > ends[0] or half.max() < ends[1]):
        return f"the ends -{TRANSFORMER_END:.4f} and {TRANSFORMER_END:.4f} of a quantile transformer"
    return ""


def _even(values: Floats) -> bool:
    """Return whether values are the same linear function of their ranks, up to a quarter of a rank."""
    for method in ("average", "min", "max"):
        ranks = stats.rankdata(values, method=method)
        slope, level = np.polyfit(ranks, values, 1)
        if np.abs(values - level - slope * ranks).max() < RANK_TOLERANCE * slope:
            return True
    return False


def _ranged(values: Floats, half: Floats) -> str:
    low, high = float(values.min()), float(values.max())
    once = int((values == low).sum()) == 1 == int((values == high).sum())
    if once and (low, high) in ((0.0, 1.0), (-1.0, 1.0)) and (half.min() > low or half.max() < high):
        return f"minimum {low:g} and maximum {high:g}, each reached once,"
    largest = np.abs(values).max()
    alone = int((np.abs(values) == largest).sum()) == 1 and np.abs(values).min() > SMALLEST_OF_MAXIMUM
    if alone and largest == 1.0 and low * high > 0 and np.abs(half).max() < 1:
        return "one sign and a largest size of exactly 1, reached once,"
    return ""
