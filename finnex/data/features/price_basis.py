"""Prices and volumes in a unit of their own: neither the first row of a file nor a split or dividend decides a bit.

A level is the logarithm of a value, in whole steps of `PRICE_STEP`, from the first bar of its calendar quarter;
quarters are joined by the step from one such bar to the next. Differences of levels are then whole numbers that follow
from the rows since the beginning of the earlier one's quarter: a file that begins earlier or later shifts all levels by
one number, a split or dividend that rescales what came before it shifts none.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from finnex.data.calendar import Days
from finnex.data.point_in_time import Floats

PRICE_STEP = math.sqrt(2) * 2.0**-19
"""Of a logarithm, 2.7e-6. Coarser than a vendor's rounding in the seventh digit, so that prices that are equal stay
equal (was it a doji?), and finer than a cent of a share of 3,000. Irrational, as the bounds of features are decimal:
a whole number of steps then never lies in the middle of a step of brightness, where the last bit decides."""
MONTHS = 3


def levels(values: Floats, days: Days, reference: Floats | None = None, step: float = PRICE_STEP) -> Floats:
    """Return logarithms as whole numbers of steps, up to one whole number that is added to all of them.

    Parameters
    ----------
    values
        (rows,) or (rows, columns) float64; NaN, and what is not above zero, has no level.
    days
        (rows,) `datetime64[D]`, ascending.
    reference
        (rows,) float64: the first that is above zero in a calendar quarter is what levels of that quarter are counted
        from; absent, `values`.
    step
        Logarithm that one step is.

    Returns
    -------
    numpy.ndarray
        Whole numbers as float64, of the shape of `values`; NaN where there is no level.
    """
    measure = np.asarray(values if reference is None else reference, dtype=np.float64)
    table = np.asarray(values, dtype=np.float64).reshape(len(days), -1)
    found = np.full(table.shape, np.nan)
    positive = np.flatnonzero(measure > 0)
    if len(positive) == 0:
        return found.reshape(np.shape(values))
    quarter = days.astype("datetime64[M]").astype(np.int64) // MONTHS
    _, first = np.unique(quarter[positive], return_index=True)
    anchors = positive[first]
    price = measure[anchors]
    joined = np.concatenate([[0.0], np.cumsum(np.rint(np.log(price[1:] / price[:-1]) / step))])
    # A row before the first anchor of its quarter is measured from the quarter before.
    own = np.searchsorted(anchors, np.arange(len(days)), side="right") - 1
    known = (table > 0) & (own >= 0)[:, None]
    ratio = np.where(known, table / price[np.maximum(own, 0)][:, None], 1.0)
    found[known] = (joined[np.maximum(own, 0)][:, None] + np.rint(np.log(ratio) / step))[known]
    return found.reshape(np.shape(values))


def scale_free(values: pd.Series[float], days: Days, reference: pd.Series[float] | None = None) -> pd.Series[float]:
    """Return values relative to an early one, rounded to `PRICE_STEP` of their logarithm.

    Parameters
    ----------
    values
        (rows,) not negative; zero stays zero, NaN stays NaN.
    days
        (rows,) `datetime64[D]`, ascending.
    reference
        (rows,) what quarters are measured by, see `levels`; absent, the values.

    Returns
    -------
    pandas.Series
        float64, of the index of `values`; free of any unit.
    """
    array = values.to_numpy(dtype="float64")
    level = levels(array, days, None if reference is None else reference.to_numpy(dtype="float64"))
    return pd.Series(np.where(array == 0, 0.0, np.exp(level * PRICE_STEP)), index=values.index)
