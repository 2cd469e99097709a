"""How long a track record must be for its Sharpe ratio, and how long a backtest for its number of trials."""

from __future__ import annotations

import math

from scipy.special import ndtri

from finnex.errors import TrainingError, shown
from finnex.evaluation.interval import LEVEL
from finnex.evaluation.sharpe_tests import Convention, expected_maximum, variance_of_one


def minimum_track_record(
    ratio: float,
    *,
    reference: float = 0.0,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    level: float = LEVEL,
    convention: Convention = "estimate",
) -> float:
    """Return from how many independent sessions on the probabilistic Sharpe ratio reaches a level.

    Parameters
    ----------
    ratio
        Mean over standard deviation of the returns, per session.
    reference
        Ratio per session that it is tested against.
    skew, kurtosis
        Of the returns; kurtosis is not excess: 3 where they are normal.
    level
        In (0.5, 1).
    convention
        Where the standard error is taken: see the module.

    Returns
    -------
    float
        Sessions; infinite where the ratio is not above the reference.

    Raises
    ------
    TrainingError
        An argument outside its range.

    Examples
    --------
    >>> round(minimum_track_record(0.036 / 0.079, skew=-2.448, kurtosis=10.164, convention="reference"), 3)
    13.029
    """
    if not 0.5 < level < 1:
        raise TrainingError(f"level: {shown(level)} is no level of a test. Give one above 0.5 and below 1, as 0.95.")
    variance = variance_of_one(ratio, reference, skew, kurtosis, convention)
    if ratio <= reference:
        return math.inf
    sessions = variance * (float(ndtri(level)) / (ratio - reference)) ** 2
    return sessions if convention == "reference" else sessions + 1


def minimum_backtest_years(trials: int, ratio_a_year: float) -> float:
    """Return below how many years the best of N trials without skill is expected to show a ratio, or a higher one.

    It is (expected maximum / ratio)^2 (Bailey, Borwein, Lopez de Prado and Zhu, Pseudo-Mathematics and Financial
    Charlatanism, 2014), for trials whose returns are independent of each other and of the sessions before.

    Parameters
    ----------
    trials
        N, 1 or more.
    ratio_a_year
        Sharpe ratio a year, above 0.

    Returns
    -------
    float
        Years; 0 for one trial, of which nothing is chosen.

    Raises
    ------
    TrainingError
        An argument outside its range.

    Examples
    --------
    >>> round(minimum_backtest_years(45, 1.0), 7)
    4.998087
    """
    if not math.isfinite(ratio_a_year) or ratio_a_year <= 0:
        raise TrainingError(
            f"ratio_a_year: {shown(ratio_a_year)} needs no luck to be shown. Give a Sharpe ratio above 0."
        )
    return (expected_maximum(trials) / ratio_a_year) ** 2
