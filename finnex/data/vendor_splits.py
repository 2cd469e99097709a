"""Prices as they were traded to split-adjusted ones, by the vendor's column of split ratios."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.data.own_columns import PRICE_COLUMNS


def ratios_of(cells: pd.Series[float]) -> npt.NDArray[np.float64]:
    """Return new shares for an old one on each day: 0, 1 and no value mean that no share was split."""
    found = cells.to_numpy(dtype=np.float64)
    return np.where(np.isnan(found) | (found == 0), 1.0, found)


def factors_of(
    dates: pd.Series[pd.Timestamp], ratios: npt.NDArray[np.float64], symbols: pd.Series[Any] | None
) -> npt.NDArray[np.float64]:
    """Return by what a day's shares are multiplied to be those of the file's last day: the product of later ratios.

    Parameters
    ----------
    dates
        Day of each row, in any order; the ratio holds from its own day on.
    ratios
        As `ratios_of` has them.
    symbols
        Whose row it is; None where all are of one company.

    Returns
    -------
    numpy.ndarray
        (rows,) float64: prices are divided by it, volumes multiplied.
    """
    found = np.ones(len(dates))
    days = dates.to_numpy()
    groups = (
        symbols.groupby(symbols, observed=True).indices.values() if symbols is not None else [np.arange(len(dates))]
    )
    for rows in groups:
        order = rows[np.argsort(days[rows], kind="stable")]
        later = np.cumprod(ratios[order][::-1])[::-1] / ratios[order]
        found[order] = np.where(np.isclose(later, np.rint(later), rtol=1e-12), np.rint(later), later)
    return found


def adjusted(bars: pd.DataFrame, factors: npt.NDArray[np.float64]) -> pd.DataFrame:
    """Return bars of float64 on the basis of the shares of the last day."""
    result = bars.copy()
    for name in PRICE_COLUMNS:
        if name in result.columns:
            result[name] = result[name] * factors if name == "volume" else result[name] / factors
    return result
