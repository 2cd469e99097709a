"""Series that change from week to week or from month to month: each value is held against the return of its period.

A value that was filled back over its week is given from the first session of the week on and knows the rest of it.
There are too few changes to ask single sessions, so each change is one observation: its value, less what the value and
the return before it and the return of its own session explain, against the return from that session to the next change
and to the session before it. The statistic is Fisher's transform of the partial rank correlation over its standard
error (Fisher 1924), which few observations keep near a normal distribution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from finnex.audit.innovations import LEAST_SESSIONS, Floats, normal_scores, orthonormal_basis, residual

LEAST_PERIODS = 30
LEAST_SPAN, SHORT_SHARE = 3, 0.1
"""Sessions of a period, and the share of periods that may be shorter: a countdown steps by the session."""
LEAST_CORRELATION = 0.4
"""Above what a scheduled release may know of the weeks after it."""
WHATS = ("the return to its next change", "the return to the session before its next change")


@dataclass(frozen=True)
class Periods:
    """Periods of one series: remainders of its values and of the returns on the same past.

    Attributes
    ----------
    value
        (periods,) float64.
    outcome
        (periods, 2) float64, as `WHATS` names them.
    regressors
        Number of regressors that were taken out.
    sessions
        Length of each period, (periods,).
    """

    value: Floats
    outcome: Floats
    regressors: int
    sessions: Floats

    @property
    def correlation(self) -> Floats:
        """Partial rank correlation with each outcome, (2,)."""
        return _correlation(self.value, self.outcome)

    def statistic(self, correlation: Floats) -> Floats:
        """Return correlations in standard errors."""
        turned = np.arctanh(np.clip(correlation, -1 + 1e-12, 1 - 1e-12))
        return np.asarray(turned * np.sqrt(len(self.value) - self.regressors - 2))

    @property
    def lead(self) -> int:
        """Sessions of the median period."""
        return int(np.median(self.sessions))

    def by_chance(self, rng: np.random.Generator) -> float:
        """Return the largest statistic when periods are permuted."""
        moved = self.outcome[rng.permutation(len(self.value))]
        return float(np.abs(self.statistic(_correlation(self.value, moved))).max())


def periods_of(values: Floats, close: Floats) -> Periods | str:
    """Return the periods of a series, from change to change, or why there are too few.

    Parameters
    ----------
    values
        (sessions,) float64, NaN where not known.
    close
        (sessions,) prices, NaN where there is none.
    """
    carried = pd.Series(values).ffill().to_numpy()
    price = np.log(pd.Series(close).ffill().to_numpy())
    changed = np.flatnonzero(np.r_[False, carried[1:] != carried[:-1]] & ~np.isnan(carried))
    spans, starts = np.diff(changed), changed[1:-1]
    if not LEAST_PERIODS <= len(starts) < LEAST_SESSIONS:
        return f"changes in {len(changed)} sessions, {LEAST_PERIODS + 2} to {LEAST_SESSIONS + 1} are needed"
    before, after = changed[:-2], changed[2:]
    if (spans < LEAST_SPAN).mean() > SHORT_SHARE:
        return f"changes in {len(changed)} sessions, many of them less than {LEAST_SPAN} apart"
    past = np.column_stack(
        [carried[before], price[starts] - price[before], price[starts] - price[starts - 1], spans[:-1]]
    )
    outcome = np.column_stack([price[after] - price[starts], price[after - 1] - price[starts]])
    rows = ~(np.isnan(past).any(axis=1) | np.isnan(outcome).any(axis=1))
    if rows.sum() < LEAST_PERIODS:
        return f"changes in {int(rows.sum())} sessions with prices, {LEAST_PERIODS} are needed"
    basis = orthonormal_basis(normal_scores(past[rows]))
    value = residual(normal_scores(carried[starts][rows][:, None]), basis)
    if not value.std() > 1e-6:
        return "follows exactly from its past and the bars up to the session"
    outcome = residual(normal_scores(outcome[rows]), basis)
    return Periods(value[:, 0], outcome, basis.shape[1], spans[1:][rows])


def _correlation(value: Floats, outcome: Floats) -> Floats:
    size = np.sqrt((value @ value) * (outcome**2).sum(axis=0))
    return np.asarray(np.divide(value @ outcome, size, out=np.zeros(outcome.shape[1]), where=size > 0))
