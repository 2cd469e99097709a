"""Fifths of companies by score within each session, and what each of them earned: alphalens' quantile returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from finnex.evaluation.interval import Interval
from finnex.evaluation.portfolio import Floats
from finnex.evaluation.score_panel import LEAST_COMPANIES, ScorePanel, before, correlations, forward_returns
from finnex.evaluation.session_means import bounds, mean_over, plain, said, session_mean

FIFTHS = 5


@dataclass(frozen=True)
class QuantileReturns:
    """What fifths of the companies earned over the label's horizon, 1 the lowest scores and 5 the highest.

    Attributes
    ----------
    horizon
        Sessions that returns look ahead.
    sessions
        Sessions with five fifths.
    tied
        Sessions with ten companies or more whose equal scores leave a fifth empty, so that they have no fifths.
    raw, demeaned
        By fifth, the mean over sessions of its companies' mean return, and of that less the mean of all companies.
    spread
        Mean over sessions of the highest fifth's return less the lowest's.
    monotonicity
        Spearman's correlation of the number of the fifth with its demeaned mean return, in [-1, 1]; NaN where there is
        none. Of five numbers: chance alone gives 1 one time in 120, so no test is made of it.
    replaced
        Share of a fifth's companies that were not in it h sessions before, of the lowest and of the highest: a
        description without an interval, NaN where there are no such sessions.
    """

    horizon: int
    sessions: int
    tied: int
    raw: tuple[Interval, ...]
    demeaned: tuple[Interval, ...]
    spread: Interval
    monotonicity: float
    replaced: tuple[float, float]

    def record(self) -> dict[str, Any]:
        """Return plain values; None where there is none."""
        return {
            "horizon": self.horizon, "sessions": self.sessions, "sessions_tied": self.tied,
            "raw": [bounds(one) for one in self.raw], "demeaned": [bounds(one) for one in self.demeaned],
            "spread": bounds(self.spread), "monotonicity": plain(self.monotonicity),
            "replaced_lowest": plain(self.replaced[0]), "replaced_highest": plain(self.replaced[1]),
        }  # fmt: skip

    def words(self) -> list[str]:
        """Say what the fifths earned."""
        ties = (
            f" {self.tied} sessions have none: equal scores, such as fewer than five different ones, leave one empty."
            if self.tied
            else ""
        )
        if not self.sessions:
            return [f"No fifths by score: {self.spread.reason}.{ties}"]
        each = ", ".join(f"{one.value:.2%}" for one in self.demeaned)
        order = "" if np.isnan(self.monotonicity) else f", monotonicity {self.monotonicity:.1f}"
        return [
            f"Return over {self.horizon} sessions by fifth of the score, lowest first, less the mean of all: {each}"
            f"{order}; highest less lowest {said(self.spread, '.2%')} on {self.sessions} sessions.{ties}"
        ]


def fifths(scores: Floats) -> Floats:
    """Return the fifth that each company's score is in, within its session.

    Parameters
    ----------
    scores
        (sessions, companies), NaN where not known.

    Returns
    -------
    ndarray
        (sessions, companies) float64, 1 the lowest to 5 the highest. NaN where there is no score, in sessions with
        fewer than ten, and in those where equal scores leave a fifth empty.

    Notes
    -----
    Fifth k holds the ranks r with (k - 1) (n - 1) < 5 (r - 1) <= k (n - 1), the lowest rank in the first: of different
    scores exactly the fifths of `pandas.qcut`, which alphalens uses. Equal scores have the mean of their ranks, so that
    they are never parted, in any order of the companies.

    Examples
    --------
    >>> fifths(np.arange(10.0)[None]).tolist()
    [[1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 5.0, 5.0]]
    """
    known = ~np.isnan(scores)
    count = known.sum(axis=1, keepdims=True)
    rank = pd.DataFrame(scores).rank(axis=1).to_numpy()
    found = np.maximum(1.0, np.ceil(FIFTHS * (rank - 1) / np.maximum(count - 1, 1)))
    full = np.all([(found == number).any(axis=1) for number in range(1, FIFTHS + 1)], axis=0)
    return np.where((full & (count[:, 0] >= LEAST_COMPANIES))[:, None], found, np.nan)


def quantile_returns(panel: ScorePanel) -> QuantileReturns:
    """Return what fifths of the companies earned.

    Parameters
    ----------
    panel
        Scores by session and company.

    Returns
    -------
    QuantileReturns
        Figures; NaN with a reason where no session has five fifths.

    Notes
    -----
    Fifths are made of all companies with a score, whether or not their return is known later. Every session counts the
    same; one where no company of a fifth has a known return does not count for that fifth.

    Examples
    --------
    >>> from finnex.data.session_prices import SessionPrices
    >>> days, names = np.arange("2020-01-01", "2020-01-04", dtype="datetime64[D]"), tuple("ABCDEFGHIJ")
    >>> bars = np.vstack([np.ones((2, 10)), np.arange(1.0, 11.0)])
    >>> scores = np.vstack([np.arange(10) / 10, np.full((2, 10), np.nan)])
    >>> found = quantile_returns(ScorePanel("cnn", "test", 2, SessionPrices(days, names, bars, bars), scores))
    >>> [one.value for one in found.raw], found.spread.value, found.monotonicity
    ([0.5, 2.5, 4.5, 6.5, 8.5], 8.0, 1.0)
    """
    days, horizon, number = panel.prices.days, panel.horizon, fifths(panel.scores)
    earned = np.where(np.isnan(number), np.nan, forward_returns(panel.prices, horizon))
    by_fifth = np.stack([_mean(np.where(number == one, earned, np.nan)) for one in range(1, FIFTHS + 1)])
    whole = ~np.isnan(number).all(axis=1)
    enough = (~np.isnan(panel.scores)).sum(axis=1) >= LEAST_COMPANIES
    nothing = f"no session has {LEAST_COMPANIES} companies whose scores fill five fifths and whose returns are known"

    def mean(values: Floats) -> Interval:
        return mean_over(values, days, horizon, nothing=nothing).interval()

    demeaned = tuple(mean(one - _mean(earned)) for one in by_fifth)
    values = np.array([one.value for one in demeaned])
    one_row = correlations(np.arange(1.0, FIFTHS + 1)[None], values[None], ranks=True, least=FIFTHS)
    return QuantileReturns(
        horizon=horizon,
        sessions=int((~np.isnan(by_fifth[-1] - by_fifth[0])).sum()),
        tied=int((enough & ~whole).sum()),
        raw=tuple(mean(one) for one in by_fifth),
        demeaned=demeaned,
        spread=mean(by_fifth[-1] - by_fifth[0]),
        monotonicity=float(one_row[0]),
        replaced=(session_mean(_replaced(number, 1, horizon)), session_mean(_replaced(number, FIFTHS, horizon))),
    )


def _mean(values: Floats) -> Floats:
    """Return the mean over companies in each session; NaN where none is known."""
    count = (~np.isnan(values)).sum(axis=1)
    return np.asarray(np.where(count > 0, np.nansum(values, axis=1) / np.maximum(count, 1), np.nan))


def _replaced(number: Floats, fifth: int, lag: int) -> Floats:
    """Return the share of a fifth's companies that were not in it `lag` sessions before: (sessions,)."""
    now, then = number == fifth, before(number, lag)
    known = ~np.isnan(number).all(axis=1) & ~np.isnan(then).all(axis=1)
    return np.where(known, (now & (then != fifth)).sum(axis=1) / np.maximum(now.sum(axis=1), 1), np.nan)
