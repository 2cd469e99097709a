"""The test of a Sharpe ratio against a reference, with the standard error of the project's interval.

The formulas of `finnex.evaluation.sharpe_tests` take sessions for independent. Where a row is what a decision earned
over the h sessions after it, neighbours share most of these sessions, and the formulas find skill in noise. The daily
marks of a portfolio share no session, but may be correlated for other reasons. So the standard error is that of
`finnex.evaluation.interval.ratio_estimate`: the long-run variance of Lo's influence (The Statistics of Sharpe Ratios,
2002) by a few cosines, with Student's t distribution. Of independent sessions that variance is the formula's own:
1 - g R + (k - 1) / 4 R^2 is the variance of z - R / 2 (z^2 - 1). By the convention `reference`,
the probabilistic ratio against 0 is 1 minus the p value of the interval's own test.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit
from scipy.stats import kurtosis, skew

from finnex.evaluation.interval import LEVEL, Estimate, cosines, least_sessions
from finnex.evaluation.sharpe_tests import Convention, probabilistic_sharpe


@dataclass(frozen=True)
class SharpeTest:
    """A ratio per session, and its tests against references.

    Attributes
    ----------
    estimate
        Of `ratio_estimate`; without a reason, except for the moments.
    returns
        (sessions,) that it is of.
    horizon
        Sessions that a position is held.
    convention
        Where the standard error is taken: see `finnex.evaluation.sharpe_tests`.
    """

    estimate: Estimate
    returns: npt.NDArray[np.float64]
    horizon: int
    convention: Convention

    @property
    def skew(self) -> float:
        """Skewness of the returns, by moments over n."""
        return float(skew(self.returns))

    @property
    def kurtosis(self) -> float:
        """Kurtosis of the returns, by moments over n; not excess."""
        return float(kurtosis(self.returns, fisher=False))

    @property
    def effective_sessions(self) -> float:
        """Independent sessions that have the same standard error where the true ratio is 0."""
        return 1 / self.estimate.variance[0]

    def variance_of_one(self, reference: float) -> float:
        """Return the long-run variance: the number of sessions times the squared standard error."""
        at = reference if self.convention == "reference" else self.estimate.value
        a, b, c = self.estimate.variance
        return len(self.returns) * (a + b * at + c * at**2)

    def below(self, reference: float) -> float:
        """Return how often a true ratio of `reference` shows less."""
        count = len(self.returns) - (self.convention == "estimate")
        statistic = (self.estimate.value - reference) * math.sqrt(count / self.variance_of_one(reference))
        return float(stdtr(self.estimate.freedom, statistic))

    def below_independent(self, reference: float) -> float:
        """Return it by the formula for independent sessions."""
        return probabilistic_sharpe(
            self.estimate.value, len(self.returns), reference=reference, skew=self.skew,
            kurtosis=self.kurtosis, convention=self.convention,
        )  # fmt: skip

    def track_record(self) -> int:
        """Return the smallest number of sessions at which this ratio, above 0, has a probabilistic ratio of `LEVEL`."""
        needed = self.variance_of_one(0.0) / self.estimate.value**2

        def enough(sessions: int) -> bool:
            count = sessions - (self.convention == "estimate")
            return count >= needed * float(stdtrit(cosines(sessions, self.horizon), LEVEL)) ** 2

        low = high = least_sessions(self.horizon)
        while not enough(high):
            low, high = high, 2 * high
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if enough(middle) else (middle + 1, high)
        return low
