"""Find annual and year-to-date values among what should be single quarters, by their sizes and their changes.

A table of fundamentals without `period_start` does not say which period a figure is of.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from finnex.data.point_in_time import Floats

Mask = npt.NDArray[np.bool_]
Pattern = Literal["year", "year to date"]
QUARTER_DAYS: Final = 365.25 / 4
LEAST_YEARS = 2
OF_ONE_SIGN = 0.75
"""Least share of years whose four figures have one sign; the others are not looked at."""
MOST_YEARS_OFF = 0.2
"""Share of those years that may not show the pattern: a year of a crisis, a sale."""
RESET = 0.6
"""The next first quarter over the last figure of a year is below this."""
OF_THE_OTHERS: Final = (1.2, 2.0)
"""An annual value over the sum of the year's other three: 4/3, more where the fourth quarter is the largest."""
CALM = 2.0
"""The other three differ by less than this factor."""
GROWN: Final = (0.5, 4.0)
"""What each further quarter adds to a year-to-date value, over the first quarter's."""
SEASON = 0.35
"""Standard deviation of a quarter's usual size, in logs: a reading with a stronger season is the less likely."""
LEAST_SCALE = 0.01
"""Of changes from year to year, so that figures without noise give no infinite evidence."""
EVIDENCE: Final = (12.0, 4.0)
"""Least log-likelihood ratio at which figures are of longer periods; the second where their sizes are as usual."""


def on_quarters(ends: npt.NDArray[np.int64], values: Floats) -> Floats:
    """Return values on a grid of quarters from the first end on, NaN where none; `ends` in days, ascending."""
    number = np.rint((ends - ends[0]) / QUARTER_DAYS).astype(np.int64)
    grid = np.full(int(number[-1]) + 1, np.nan)
    grid[number] = values
    return grid


def longer_periods(grid: Floats) -> Pattern | None:
    """Return whether a series of quarters looks like one whose fourth is the year, or which grows to the year.

    Parameters
    ----------
    grid
        (quarters,) float64, NaN where missing.

    Notes
    -----
    Each of the four quarters may be the fiscal year's last. Both readings of the figures, as quarters and as longer
    periods made single, are held against one model of quarters: in logs a season (normal, `SEASON`), a trend, and
    changes from year to year that follow Student's t of five degrees with the reading's own scale. Less evidence is
    asked for where the last figure is 1.2 to 2 times the sum of the others, or each adds about what the first had.
    In any case the next year begins anew. Years with gains and losses have no logs and are not looked at.
    """
    for last in range(4):
        first = (last + 1) % 4
        years = grid[first : first + (len(grid) - first) // 4 * 4].reshape(-1, 4)
        years = years * np.sign(years[:, 3:])
        whole, positive = _throughout(~np.isnan(years)), _throughout(years > 0)
        least = max(LEAST_YEARS, (1 - MOST_YEARS_OFF) * positive.sum())
        if positive.sum() < max(LEAST_YEARS, OF_ONE_SIGN * whole.sum()):
            continue
        follows = positive[:-1] & positive[1:]
        if follows.any() and (years[1:, 0] < RESET * years[:-1, 3])[follows].mean() < 1 - MOST_YEARS_OFF:
            continue
        annual = np.column_stack([years[:, :3], years[:, 3] - years[:, :3].sum(axis=1)])
        to_date = np.diff(years, axis=1, prepend=0.0)
        readings: dict[Pattern, tuple[Floats, Mask]] = {
            "year": (annual, _as_a_year(years)),
            "year to date": (to_date, _as_to_date(to_date)),
        }
        for pattern, (reading, usual) in readings.items():
            usable = positive & _throughout(reading > 0)
            if usable.sum() < least:
                continue
            one, other = (np.where(usable[:, None], table, np.nan) for table in (years, reading))
            if _likelihood(other) - _likelihood(one) > EVIDENCE[int((usual & positive).sum() >= least)]:
                return pattern
    return None


def _throughout(quarters: Mask) -> Mask:
    return np.asarray(quarters.all(axis=1), dtype=np.bool_)


def _as_a_year(years: Floats) -> Mask:
    others = years[:, :3]
    total = others.sum(axis=1)
    calm = others.max(axis=1) < CALM * others.min(axis=1)
    within = (years[:, 3] >= OF_THE_OTHERS[0] * total) & (years[:, 3] <= OF_THE_OTHERS[1] * total)
    return np.asarray(calm & within, dtype=np.bool_)


def _as_to_date(single: Floats) -> Mask:
    least, most = (bound * single[:, :1] for bound in GROWN)
    return _throughout((single[:, 1:] >= least) & (single[:, 1:] <= most))


def _likelihood(years: Floats) -> float:
    """Return the log-likelihood of positive quarters, (years, 4), NaN in years that do not count; up to a constant."""
    logs = np.log(years)
    changes = np.diff(logs, axis=0)
    changes = changes[~np.isnan(changes).any(axis=1)]
    growth = float(changes.mean()) if len(changes) else 0.0
    season = np.nanmean(logs, axis=0) - growth / 4 * np.arange(4)
    season -= season.mean()
    return -float(np.nansum(logs)) - 0.5 * float((season**2).sum()) / SEASON**2 + _log_t(changes - growth)


def _log_t(changes: Floats) -> float:
    if not len(changes):
        return 0.0
    scale = max(1.4826 * float(np.median(np.abs(changes))), LEAST_SCALE)
    return float((-np.log(scale) - 3.0 * np.log1p((changes / scale) ** 2 / 5.0)).sum())
