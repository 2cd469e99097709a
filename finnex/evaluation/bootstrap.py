"""Intervals for scores of overlapping, correlated samples: whole blocks of dates are drawn, all symbols together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Interval:
    """An estimate with the bounds of its interval."""

    value: float
    low: float
    high: float


def block_bootstrap(
    values: npt.NDArray[np.floating],
    dates: npt.NDArray[np.datetime64],
    *,
    block_sessions: int,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return the mean of `values` with its circular block-bootstrap interval over dates.

    A label over h sessions overlaps its neighbours, and the companies of one day move together. So the unit that
    is drawn is a run of `block_sessions` dates with everything on them (Politis and Romano 1992).

    Parameters
    ----------
    values
        One number per sample, such as 1 where the answer was right.
    dates
        Decision date of each sample.
    block_sessions
        Length of a run; not less than the label's horizon.
    level
        Share of the draws between the bounds (percentiles).
    """
    days, place = np.unique(dates, return_inverse=True)
    n = len(days)
    total = np.bincount(place, weights=values, minlength=n)
    count = np.bincount(place, minlength=n)
    drawn = drawn_dates(n, block_sessions, draws, seed)
    means = total[drawn].sum(axis=1) / count[drawn].sum(axis=1)
    return percentiles(float(values.mean()), means, level)


def block_length(horizon: int) -> int:
    """Return the sessions of a block for labels over `horizon` sessions: two labels long, and not less than a week."""
    return max(5, 2 * horizon)


def drawn_dates(dates: int, block_sessions: int, draws: int, seed: int) -> npt.NDArray[np.intp]:
    """Return positions of dates drawn in circular blocks, (draws, dates)."""
    length = max(1, min(block_sessions, dates))
    starts = np.random.default_rng(seed).integers(0, dates, (draws, -(-dates // length)))
    return ((starts[:, :, None] + np.arange(length)) % dates).reshape(draws, -1)[:, :dates]


def percentiles(value: float, drawn: npt.NDArray[np.floating], level: float = 0.95) -> Interval:
    """Return a value with the percentile interval of its bootstrap draws; draws that are NaN are left out."""
    known = drawn[~np.isnan(drawn)]
    if len(known) == 0:
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))
