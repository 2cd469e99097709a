"""The Sharpe ratio of a portfolio's daily returns, with its interval: the one place that chooses the interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from finnex.evaluation.bootstrap import block_length, drawn_dates

LEAST_SESSIONS, LEAST_HORIZONS = 60, 12
"""Sessions, and holding periods, below which there is no interval."""


@dataclass(frozen=True)
class Sharpe:
    """A ratio a year, with its 95 % interval.

    Attributes
    ----------
    value
        NaN where the returns do not vary.
    low, high
        None where there is no interval.
    no_interval
        Why there is none, in words; empty where there is one.
    """

    value: float
    low: float | None
    high: float | None
    no_interval: str = ""

    def words(self) -> str:
        """Return it as text."""
        if self.low is None or self.high is None:
            return f"{self.value:.2f} (no interval: {self.no_interval})"
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def sharpe_ratio(
    returns: npt.NDArray[np.float64], *, horizon: int, sessions_per_year: float, draws: int = 2000, seed: int = 0
) -> Sharpe:
    """Return mean over standard deviation of daily returns, times the root of the sessions a year (Sharpe 1994).

    The rate without risk is taken as 0. The interval is Student's t with one degree of freedom less than there are
    blocks, around the ratio, with the standard deviation of a circular block bootstrap (Politis and Romano 1992).

    Parameters
    ----------
    returns
        (sessions,) simple returns of the portfolio.
    horizon
        Sessions that a position is held, which the blocks' length follows.
    """
    n, scale = len(returns), float(np.sqrt(sessions_per_year))
    spread = float(returns.std(ddof=1)) if n > 1 else 0.0
    if spread <= 1e-12:
        return Sharpe(float("nan"), None, None, "the daily returns do not vary")
    value = float(returns.mean()) / spread * scale
    least = max(LEAST_SESSIONS, LEAST_HORIZONS * horizon)
    if n < least:
        return Sharpe(value, None, None, f"{n} sessions, at least {least} are needed at horizon {horizon}")
    length = block_length(horizon)
    sample = returns[drawn_dates(n, length, draws, seed)]
    each = sample.std(axis=1, ddof=1)
    varied = each > 1e-12
    if varied.mean() < 1 - 1e-3:
        return Sharpe(value, None, None, "the portfolio was invested in too few sessions")
    drawn = sample[varied].mean(axis=1) / each[varied] * scale
    blocks = n / length
    reach = float(stdtrit(blocks - 1, 0.975) * np.sqrt(blocks / (blocks - 1)) * drawn.std(ddof=1))
    return Sharpe(value, value - reach, value + reach)
