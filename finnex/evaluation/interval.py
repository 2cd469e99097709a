"""The one interval of a figure over sessions: heteroskedasticity and autocorrelation robust, by a few cosines.

Labels over h sessions overlap and the companies of one day move together. So values are added up by session, and
the long-run variance of the sessions is estimated by the equal-weighted mean of the squared weights of the first
cosines (Müller, HAC Corrections for Strongly Autocorrelated Time Series, 2014; Lazarus, Lewis, Stock and Watson, HAR
Inference: Recommendations for Practice, 2018). With B cosines the statistic has Student's t distribution with B degrees
of freedom, however strong the dependence, as long as it fades within the period of the last cosine. The interval holds
all values that the test does not reject, each with the variance that it would bring along: a share's is then Wilson's
(1927) for as many independent observations as have that variance. `benchmarks/coverage.py` simulates how often it holds
the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtr, stdtrit

LEVEL = 0.95
LEAST_SESSIONS, LEAST_LABELS = 60, 12
"""Sessions, and lengths of the label, below which there is no interval: simulated, `benchmarks/coverage.py`."""
LEAST_VARYING = 5
"""Effective number of sessions that vary, or the label's length: below it there is none either."""
SHORTEST_PERIOD_LABELS = 6
"""Lengths of the label in the period of the fastest cosine."""


@dataclass(frozen=True)
class Interval:
    """A figure with the bounds of its 95 % interval.

    Attributes
    ----------
    low, high
        None where there is no interval.
    reason
        Why there is none, in words; empty where there is one.
    """

    value: float
    low: float | None
    high: float | None
    reason: str = ""

    def scaled(self, factor: float) -> Interval:
        """Return it in another unit."""
        if self.low is None or self.high is None:
            return Interval(self.value * factor, None, None, self.reason)
        return Interval(self.value * factor, self.low * factor, self.high * factor)

    def words(self, form: str = ".3f") -> str:
        """Return it as text, in a format such as `.3f`."""
        if self.low is None or self.high is None:
            return f"{self.value:{form}} ({self.reason})"
        return f"{self.value:{form}} ({self.low:{form}} to {self.high:{form}})"


@dataclass(frozen=True)
class Estimate:
    """A figure with what its interval and its tests are made of.

    Attributes
    ----------
    variance
        (a, b, c): its squared standard error is a + b x + c x^2 where its true value is x. Of a mean, (a, 0, 0).
    freedom
        Degrees of freedom of Student's t.
    reason
        Why there can be no interval and no test, in words; empty where there can.
    """

    value: float
    variance: tuple[float, float, float]
    freedom: int
    reason: str = ""

    def interval(self, level: float = LEVEL) -> Interval:
        """Return the two-sided interval: all x that a two-sided test of 'its true value is x' does not reject."""
        if self.reason:
            return Interval(self.value, None, None, self.reason)
        (a, b, c), reach = self.variance, float(stdtrit(self.freedom, (1 + level) / 2)) ** 2
        # (value - x)^2 <= reach (a + b x + c x^2), solved for x
        square, middle = 1 - reach * c, self.value + reach * b / 2
        if square <= 0:
            return Interval(self.value, None, None, "no interval: it varies so much that it has no bounds")
        half = np.sqrt(max(0.0, middle**2 - square * (self.value**2 - reach * a)))
        return Interval(self.value, float((middle - half) / square), float((middle + half) / square))

    def p_above(self) -> float:
        """Return the one-sided p value of 'it is above 0' against 'it is 0 or below'; 1 where there is no test."""
        return 1.0 if self.reason else float(stdtr(self.freedom, -self.value / np.sqrt(self.variance[0])))

    def p_below(self) -> float:
        """Return the one-sided p value of 'it is below 0'; 1 where there is no test."""
        return 1.0 if self.reason else float(stdtr(self.freedom, self.value / np.sqrt(self.variance[0])))


def least_sessions(horizon: int) -> int:
    """Return how many sessions an interval needs for labels over `horizon` sessions."""
    return max(LEAST_SESSIONS, LEAST_LABELS * horizon)


def cosines(sessions: int, horizon: int) -> int:
    """Return how many cosines the variance is estimated from, which is also the degrees of freedom.

    0.4 n^(2/3) is Lazarus et al.'s choice; fewer where the label is long, so that the overlap of labels, which fades
    within two lengths, looks the same to all of them.
    """
    return max(1, min(int(0.4 * sessions ** (2 / 3)), 2 * sessions // (SHORTEST_PERIOD_LABELS * horizon)))


def objection(value: float, influence: npt.NDArray[np.floating], horizon: int) -> str:
    """Return why a figure has no interval, in words; empty where it has one.

    Parameters
    ----------
    influence
        (sessions,) in order of time, with mean 0: n times what the figure would change by without the session.
    horizon
        Sessions a label looks ahead.
    """
    n, least, needed = len(influence), least_sessions(horizon), max(LEAST_VARYING, horizon)
    if n < least:
        return f"no interval: {n} sessions, at least {least} are needed at horizon {horizon}"
    square = influence**2
    if not np.isfinite(value) or square.max() <= 1e-18 * max(1.0, value**2):
        return f"no interval: the same in all {n} sessions"
    varying = float(square.sum() ** 2 / (square**2).sum())  # Kish's effective number, of the squares
    if varying < needed:
        return (
            f"no interval: so few of {n} sessions make the difference that they count as {int(varying)}, at least "
            f"{needed} are needed at horizon {horizon}"
        )
    return ""


def cosine_weights(influence: npt.NDArray[np.floating], horizon: int) -> npt.NDArray[np.float64]:
    """Return the weights of the first cosines in influences (..., sessions): (..., cosines).

    The mean of their squares is the long-run variance, n times the squared standard error (Lazarus et al. 2018), made
    larger by what is missed of the overlap of labels.
    """
    n = influence.shape[-1]
    return np.asarray(influence @ _waves(n, cosines(n, horizon), horizon).T)


@lru_cache(maxsize=16)
def _waves(sessions: int, count: int, horizon: int) -> npt.NDArray[np.float64]:
    number = np.arange(1, count + 1)
    waves = np.sqrt(2 / sessions) * np.cos(np.pi * np.outer(number, (np.arange(sessions) + 0.5) / sessions))
    # The share of the long-run variance that they see of values that overlap over two labels, as the gap to the newest
    # known label does: such a moving sum has the spectrum sinc^2 (Priestley, Spectral Analysis and Time Series, 1981).
    seen = np.mean(np.sinc(horizon * number / sessions) ** 2)
    return np.asarray(waves / np.sqrt(seen))


def mean_estimate(
    values: npt.NDArray[np.floating], dates: npt.NDArray[np.datetime64], horizon: int, *, share: bool = False
) -> Estimate:
    """Return the estimate of a mean over rows, of which several may be of one session.

    Parameters
    ----------
    values
        One number a row, such as 1 where the answer was right.
    dates
        Decision date of each row.
    horizon
        Sessions that a label looks ahead: answers of sessions so close are correlated.
    share
        Whether the mean is a share, in [0, 1].

    Returns
    -------
    Estimate
        The mean and its standard error; with the reason where no error can be given.
    """
    place, days = pd.factorize(dates.astype(np.int64), sort=True)
    n, value = len(days), float(values.mean())
    # The mean over rows is a ratio of sums over sessions; this is its linear part by session.
    influence = np.bincount(place, weights=values - value, minlength=n) * (n / len(values))
    if reason := objection(value, influence, horizon):
        return Estimate(value, (np.nan, 0.0, 0.0), 0, reason)
    weights = cosine_weights(influence, horizon)
    error = float(np.mean(weights**2)) / n
    if not share:
        return Estimate(value, (error, 0.0, 0.0), len(weights))
    # As many independent observations as have this standard error; their variance is x (1 - x) over their number.
    each = error / (value * (1 - value))
    return Estimate(value, (0.0, each, -each), len(weights))


def ratio_estimate(by_session: npt.NDArray[np.float64], horizon: int) -> Estimate:
    """Return the estimate of mean over standard deviation of one number a session; NaN where nothing varies.

    Where the true ratio is x, a session z standard deviations from the mean has influence z - x / 2 (z^2 - 1): the
    delta method (Lo, The Statistics of Sharpe Ratios, 2002), with x in place of its estimate.
    """
    n = len(by_session)
    spread = float(by_session.std(ddof=1)) if n > 1 else 0.0
    value = float(by_session.mean()) / spread if spread > 1e-12 else float("nan")
    z = (by_session - by_session.mean()) / spread if spread > 1e-12 else np.zeros(n)
    if reason := objection(value, z, horizon):
        return Estimate(value, (np.nan, 0.0, 0.0), 0, reason)
    first, second = cosine_weights(np.stack([z, (z**2 - np.mean(z**2)) / 2]), horizon)
    variance = float(np.mean(first**2)) / n, -2 * float(np.mean(first * second)) / n, float(np.mean(second**2)) / n
    return Estimate(value, variance, len(first))
