"""Find annual and year-to-date values among what should be single quarters: their size and their changes give them away.

A table of fundamentals without `period_start` does not say which period a figure is of.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from finnex.data.align import Floats

Pattern = Literal["year", "year to date"]
QUARTER_DAYS: Final = 365.25 / 4
LEAST_YEARS = 2
MOST_YEARS_OFF = 0.2
"""Share of a series' whole years that may not show the pattern: a year of a crisis, a sale."""
OF_THE_OTHERS: Final = (1.2, 1.8)
"""An annual value over the sum of the year's other three: 4/3, more where the fourth quarter is the largest."""
CALM = 2.0
"""The other three may differ by this factor: beyond it, a sum of them says little."""
GROWN: Final = (0.5, 4.0)
"""What each further quarter adds to a year-to-date value, over the first quarter's."""
RESET = 0.6
"""The next first quarter over the whole year: about a quarter."""
LEAST_CHANGES = 4
"""Years, less one, from which changes from year to year are compared."""
EVIDENCE = 8.0
"""Least log-likelihood ratio (Student's t of 5 degrees) at which changes are rather those of longer periods."""


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
    Each of the four quarters may be the fiscal year's last. Where a year's figures have one sign, their sizes are
    compared: in every year but few, the last is 1.2 to 1.8 times the sum of the others, or each further quarter adds
    about what the first had, and the next year begins anew. Elsewhere their changes from year to year are: a stable
    season cancels, and of the two readings, quarters or longer periods, the likelier is taken.
    """
    for last in range(4):
        first = (last + 1) % 4
        years = grid[first : first + (len(grid) - first) // 4 * 4].reshape(-1, 4)
        after = np.append(years[1:, 0], grid[first + years.size] if first + years.size < len(grid) else np.nan)
        whole = ~np.isnan(years).any(axis=1)
        if whole.sum() < LEAST_YEARS:
            continue
        signed = years[whole] * np.sign(years[whole][:, 3:])
        same = (signed > 0).all(axis=1)
        after = (after[whole] * np.sign(years[whole][:, 3]))
        if same.mean() >= 1 - MOST_YEARS_OFF:
            for pattern, hits in (("year", _annual(signed)), ("year to date", _to_date(signed, after))):
                hits &= same
                if hits.sum() >= LEAST_YEARS and hits.mean() >= 1 - MOST_YEARS_OFF:
                    return pattern
        elif (found := _by_changes(years)) is not None:
            return found
    return None


def _annual(years: Floats) -> npt.NDArray[np.bool_]:
    with np.errstate(divide="ignore", invalid="ignore"):
        share = years[:, 3] / years[:, :3].sum(axis=1)
        calm = years[:, :3].max(axis=1) < CALM * years[:, :3].min(axis=1)
    return calm & (share >= OF_THE_OTHERS[0]) & (share <= OF_THE_OTHERS[1])


def _to_date(years: Floats, after: Floats) -> npt.NDArray[np.bool_]:
    with np.errstate(divide="ignore", invalid="ignore"):
        added = np.diff(years, axis=1) / years[:, :1]
    grown = ((added >= GROWN[0]) & (added <= GROWN[1])).all(axis=1)
    return grown & (np.isnan(after) | (after < RESET * years[:, 3]))


def _by_changes(years: Floats) -> Pattern | None:
    """Compare changes from year to year of figures of both signs, as quarters and as longer periods."""
    to_date = np.diff(years, axis=1, prepend=0.0)
    annual = np.column_stack([years[:, :3], years[:, 3] - years[:, :3].sum(axis=1)])
    for pattern, other, sound in (("year", annual, [0, 1, 2]), ("year to date", to_date, [0])):
        changes, otherwise = _changes(years), _changes(other)
        if len(changes) < LEAST_CHANGES:
            return None
        scale = np.sqrt(np.mean(changes[:, sound] ** 2))
        if scale > 0 and float((_log_t(otherwise / scale) - _log_t(changes / scale)).sum()) > EVIDENCE:
            return pattern
    return None


def _changes(years: Floats) -> Floats:
    found = np.diff(years, axis=0)
    found = found[~np.isnan(found).any(axis=1)]
    return found - found.mean(axis=0) if len(found) else found


def _log_t(values: Floats) -> Floats:
    return np.asarray(-3.0 * np.log1p(values**2 / 5.0))
