"""How much a Sharpe ratio can be believed, by the formulas of Bailey and Lopez de Prado: ratios per session.

All of them take sessions for independent. Where positions are held over several sessions, or returns are correlated for
another reason, `finnex.evaluation.sharpe_evidence` takes the standard error from the project's interval instead.

There are two conventions of the standard error of a ratio S over T sessions, whose returns have skewness g and kurtosis
k (3 where they are normal), in a test against a reference R:

`estimate`
    sqrt((1 - g S + (k - 1) / 4 S^2) / (T - 1)): where the ratio is S (Bailey and Lopez de Prado, The Sharpe Ratio
    Efficient Frontier, 2012; The Deflated Sharpe Ratio, 2014). It is the default, and what FinNeX prints.
`reference`
    sqrt((1 - g R + (k - 1) / 4 R^2) / T): where it is R (Lopez de Prado, Lipton and Zoonekynd, How to Use the Sharpe
    Ratio, 2025), as in the project's interval.

The second one is what a test of 'the true ratio is R' asks for, but against 0 it does not know of skewness. Of returns
with rare crashes it finds skill in noise more often than it says, and of returns with rare gains less often; the first
one keeps the level of both. `tests/evaluation/test_sharpe_levels.py` simulates it, and is why it is the default.

The paper of 2025 also reduces the error of the best of N trials to that of the maximum of N independent numbers. It is
not done here: trials of one study share their sessions, and of trials that move together the best varies as much as
one. The same file simulates that too.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from scipy.special import ndtr, ndtri

from finnex.errors import TrainingError, shown

Convention = Literal["estimate", "reference"]
"""Where the variance of a ratio is taken: at its estimate (2012, 2014), or at what it is tested against (2025)."""


def expected_maximum(trials: int) -> float:
    """Return the expected maximum of N independent standard normal numbers, by the approximation of the paper of 2014.

    It is (1 - c) q(1 - 1/N) + c q(1 - 1/(N e)) with Euler's constant c and the quantile q of the normal distribution
    (Bailey and Lopez de Prado, The Deflated Sharpe Ratio, 2014), and exactly 0 for one number.

    Parameters
    ----------
    trials
        N, 1 or more.

    Returns
    -------
    float
        0.044 below the exact value for two trials, and up to 0.036 above it for more.

    Raises
    ------
    TrainingError
        `trials` is no whole number above 0.

    Examples
    --------
    >>> round(expected_maximum(100), 12)
    2.530602893202
    """
    if not whole(trials) or trials < 1:
        raise TrainingError(f"trials: {shown(trials)} is no number of trials. Give a whole number, 1 or more.")
    if trials == 1:
        return 0.0
    return float(-(1 - np.euler_gamma) * ndtri(1 / trials) - np.euler_gamma * ndtri(1 / (trials * math.e)))


def deflated_reference(trials: int, trials_variance: float) -> float:
    """Return what the best of N trials without skill shows on average: the reference of the deflated Sharpe ratio.

    Parameters
    ----------
    trials
        N, 1 or more.
    trials_variance
        Variance of the ratios of the trials, in squared ratios per session; 0 or more.

    Returns
    -------
    float
        A ratio per session; 0 for one trial.

    Raises
    ------
    TrainingError
        An argument outside its range.

    Examples
    --------
    >>> round(deflated_reference(100, 0.5 / 250), 4)
    0.1132
    """
    if not math.isfinite(trials_variance) or trials_variance < 0:
        raise TrainingError(
            f"trials_variance: {shown(trials_variance)} is no variance. Give one of ratios per session, 0 or more."
        )
    return math.sqrt(trials_variance) * expected_maximum(trials)


def probabilistic_sharpe(
    ratio: float,
    sessions: float,
    *,
    reference: float = 0.0,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    convention: Convention = "estimate",
) -> float:
    """Return the probabilistic Sharpe ratio: how often a true ratio of `reference` shows less than `ratio`.

    Parameters
    ----------
    ratio
        Mean over standard deviation of the returns, per session.
    sessions
        Number of returns, above 1; they are taken for independent.
    reference
        Ratio per session that it is tested against.
    skew, kurtosis
        Of the returns; kurtosis is not excess: 3 where they are normal.
    convention
        Where the standard error is taken: see the module.

    Returns
    -------
    float
        In [0, 1]: 1 minus the one-sided p value.

    Raises
    ------
    TrainingError
        An argument that is not finite or outside its range; a kurtosis that no returns of this skewness have.

    Examples
    --------
    >>> round(probabilistic_sharpe(1.585 / 12**0.5, 24, skew=-2.448, kurtosis=10.164), 6)
    0.913234
    >>> round(probabilistic_sharpe(0.036 / 0.079, 24, skew=-2.448, kurtosis=10.164, convention="reference"), 4)
    0.9872
    """
    if not math.isfinite(sessions) or sessions <= 1:
        raise TrainingError(f"sessions: {shown(sessions)} are too few for a standard error. Give more than 1.")
    variance = variance_of_one(ratio, reference, skew, kurtosis, convention)
    count = sessions if convention == "reference" else sessions - 1
    return float(ndtr((ratio - reference) * math.sqrt(count / variance)))


def deflated_sharpe(
    ratio: float,
    sessions: float,
    *,
    trials: int,
    trials_variance: float,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    convention: Convention = "estimate",
) -> float:
    """Return the deflated Sharpe ratio: the probabilistic one against the best of N trials without skill.

    Parameters
    ----------
    ratio
        Mean over standard deviation of the returns, per session.
    sessions
        Number of returns, above 1; they are taken for independent.
    trials
        Trials of which this is the best, itself counted; 1 or more.
    trials_variance
        Variance of their ratios per session.
    skew, kurtosis
        Of the returns; kurtosis is not excess: 3 where they are normal.
    convention
        Where the standard error is taken: see the module.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    TrainingError
        As `deflated_reference` and `probabilistic_sharpe`.

    Examples
    --------
    >>> many = {"trials": 100, "trials_variance": 0.5 / 250, "skew": -3, "kurtosis": 10}
    >>> round(deflated_sharpe(2.5 / 250**0.5, 1250, **many), 6)
    0.900397
    """
    against = deflated_reference(trials, trials_variance)
    return probabilistic_sharpe(ratio, sessions, reference=against, skew=skew, kurtosis=kurtosis, convention=convention)


def variance_of_one(ratio: float, reference: float, skew: float, kurtosis: float, convention: str) -> float:
    """Return the variance of a ratio over one session: its squared standard error is that over T or T - 1.

    Parameters
    ----------
    ratio, reference
        Per session: what is found, and what it is tested against.
    skew, kurtosis
        Of the returns; kurtosis is not excess.
    convention
        At which of the two ratios the variance is taken.

    Returns
    -------
    float
        Above 0.

    Raises
    ------
    TrainingError
        An argument that is not finite, a kurtosis that no returns of this skewness have, a variance of 0.
    """
    if convention not in {"reference", "estimate"}:
        raise TrainingError(f"convention: {shown(convention)} is not known. Give 'estimate' or 'reference'.")
    for name, value in (("ratio", ratio), ("reference", reference), ("skew", skew), ("kurtosis", kurtosis)):
        if not math.isfinite(value):
            raise TrainingError(f"{name}: {shown(value)} is not finite. Leave out sessions without a return.")
    if kurtosis < (1 + skew**2) * (1 - 1e-9):
        raise TrainingError(
            f"kurtosis: {shown(kurtosis)} is too small for the skewness {shown(skew)}: at least 1 + its square. Give "
            "the kurtosis, which is 3 of normal returns, not the excess over 3."
        )
    at = reference if convention == "reference" else ratio
    variance = 1 - skew * at + (kurtosis - 1) / 4 * at**2
    if variance <= 1e-12:
        raise TrainingError(
            f"kurtosis: with {shown(kurtosis)} and the skewness {shown(skew)} a ratio of {shown(at)} has no standard "
            "error: the returns take two values only. Give more sessions."
        )
    return variance


def whole(number: object) -> bool:
    """Return whether it is a whole number, of Python or numpy."""
    return isinstance(number, int | np.integer) and not isinstance(number, bool)
