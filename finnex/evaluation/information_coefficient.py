"""The information coefficient: how far the order of the scores agrees with the order of what companies earned.

One correlation over companies a session (Grinold and Kahn, Active Portfolio Management, 2000, chapter 6), as alphalens'
`factor_information_coefficient` and qlib's `calc_ic` have it; its mean is judged by sessions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from finnex.evaluation.interval import Estimate, Interval, ratio_estimate
from finnex.evaluation.score_panel import LEAST_COMPANIES, ScorePanel, before, correlations, forward_returns
from finnex.evaluation.session_means import bounds, mean_over, plain, said, session_mean, t_value, with_test
from finnex.evaluation.verdict import Word, verdicts

DECAY_HORIZONS = (1, 2, 5, 10, 20)


@dataclass(frozen=True)
class InformationCoefficient:
    """Correlations of a session's scores with what its companies earned, and how sure their mean is.

    Attributes
    ----------
    horizon
        Sessions that returns look ahead.
    sessions
        Sessions with a rank correlation.
    too_few, constant
        Sessions with scores that have none: fewer than ten companies whose return is known, or all scores (or all
        returns) equal.
    companies
        Mean number of companies of a session that has one.
    rank, pearson
        Mean over sessions, in [-1, 1].
    ratio
        Information ratio: mean over standard deviation of the sessions' rank correlations, per session.
    sessions_per_year
        By whose root `ratio_per_year` is larger. Where labels overlap, so do the correlations, and such a ratio of a
        year is larger than that of the yearly means; its interval counts the overlap.
    above_zero
        Share of sessions whose rank correlation is above 0.
    decay
        Mean rank correlation by the number of sessions that returns look ahead, from the same entry.
    stability
        Mean rank correlation of scores with those of some sessions before, by the number of sessions: a description
        without an interval. NaN where no two sessions are so far apart.
    """

    horizon: int
    sessions: int
    too_few: int
    constant: int
    companies: float
    rank: Estimate
    pearson: Estimate
    ratio: Interval
    sessions_per_year: int
    above_zero: Interval
    decay: Mapping[int, Interval]
    stability: Mapping[int, float]

    @property
    def ratio_per_year(self) -> Interval:
        """Return the information ratio times the root of the sessions a year."""
        return self.ratio.scaled(float(np.sqrt(self.sessions_per_year)))

    def word(self) -> Word:
        """Return whether the order of scores beats chance, is worse, or neither, by a test at 5 %: half for each."""
        return verdicts({"rank": self.rank})["rank"]

    def record(self) -> dict[str, Any]:
        """Return plain values; None where there is none."""
        return {
            "horizon": self.horizon, "sessions": self.sessions, "sessions_too_few": self.too_few,
            "sessions_constant": self.constant, "companies": self.companies if self.sessions else None,
            "rank": with_test(self.rank), "pearson": with_test(self.pearson), "ratio": bounds(self.ratio),
            "ratio_per_year": bounds(self.ratio_per_year), "above_zero": bounds(self.above_zero),
            "decay": {str(horizon): bounds(one) for horizon, one in self.decay.items()},
            "stability": {str(lag): plain(one) for lag, one in self.stability.items()}, "verdict": self.word(),
        }  # fmt: skip

    def words(self) -> list[str]:
        """Say what the order of the scores is worth."""
        if not self.sessions:
            return [f"No information coefficient: {self.rank.reason}{self._left_out()}."]
        found = f"Rank information coefficient {said(self.rank)} over {self.horizon} sessions"
        where = f"on {self.sessions} sessions with {self.companies:.1f} companies on average"
        t = "" if (t := t_value(self.rank)) is None else f", t {t:.2f} with {self.rank.freedom} degrees of freedom"
        word = {
            "beats": "The scores carry information: their order agrees with that of the returns (95 %).",
            "worse": "The scores carry information of the wrong sign: their order is opposed to the returns' (95 %).",
            "open": "That the scores carry information is not shown.",
        }[self.word()]
        decay = ", ".join(f"{horizon} sessions {one.value:.3f}" for horizon, one in self.decay.items())
        stable = ", ".join(f"{one:.2f} after {lag}" for lag, one in self.stability.items() if not np.isnan(one))
        return [
            f"{found} {where}{t}{self._left_out()}.",
            word,
            f"Rank information coefficient by horizon: {decay}; rank correlation of scores with earlier ones: "
            f"{stable or 'no two predictions are so close'}.",
        ]

    def _left_out(self) -> str:
        reasons = (
            (self.too_few, f"fewer than {LEAST_COMPANIES} companies with a known return"),
            (self.constant, "equal scores or returns of all companies"),
        )
        return "".join(f"; {count} sessions are left out, with {reason}" for count, reason in reasons if count)


def information_coefficient(panel: ScorePanel) -> InformationCoefficient:
    """Return the information coefficient of scores.

    Parameters
    ----------
    panel
        Scores by session and company.

    Returns
    -------
    InformationCoefficient
        Figures; NaN with a reason where no session has ten companies.

    Notes
    -----
    A correlation at h sessions is known h sessions later and overlaps with its neighbours: every interval is that of
    `finnex.evaluation.interval` at its own horizon.

    Examples
    --------
    >>> from finnex.data.session_prices import SessionPrices
    >>> days, names = np.arange("2020-01-01", "2020-01-04", dtype="datetime64[D]"), tuple("ABCDEFGHIJ")
    >>> bars = np.vstack([np.ones((2, 10)), np.arange(1.0, 11.0)])
    >>> scores = np.vstack([np.arange(10) / 10, np.full((2, 10), np.nan)])
    >>> found = information_coefficient(ScorePanel("cnn", "test", 2, SessionPrices(days, names, bars, bars), scores))
    >>> found.rank.value, found.rank.reason
    (1.0, 'no interval: 1 sessions, at least 60 are needed at horizon 2')
    """
    days, scores, horizon = panel.prices.days, panel.scores, panel.horizon
    earned = forward_returns(panel.prices, horizon)
    rank, pearson = (correlations(scores, earned, ranks=ranks) for ranks in (True, False))
    pairs = (~np.isnan(scores) & ~np.isnan(earned)).sum(axis=1)
    known, predicted = ~np.isnan(rank), (~np.isnan(scores)).any(axis=1)
    nothing = f"no session has {LEAST_COMPANIES} companies with different scores and known returns"
    lags = sorted({1, horizon})
    no_ratio = Interval(float("nan"), None, None, nothing)
    ratio = ratio_estimate(rank[known], horizon).interval() if known.any() else no_ratio
    return InformationCoefficient(
        horizon=horizon,
        sessions=int(known.sum()),
        too_few=int((predicted & (pairs < LEAST_COMPANIES)).sum()),
        constant=int((predicted & (pairs >= LEAST_COMPANIES) & ~known).sum()),
        companies=float(pairs[known].mean()) if known.any() else float("nan"),
        rank=mean_over(rank, days, horizon, nothing=nothing),
        pearson=mean_over(pearson, days, horizon, nothing=nothing),
        ratio=ratio,
        sessions_per_year=panel.prices.sessions_per_year,
        above_zero=mean_over(
            np.where(known, rank > 0, np.nan), days, horizon, share=True, nothing=nothing
        ).interval(),
        decay={
            ahead: mean_over(
                correlations(scores, forward_returns(panel.prices, ahead), ranks=True), days, ahead, nothing=nothing
            ).interval()
            for ahead in sorted({*DECAY_HORIZONS, horizon})
        },
        stability={lag: session_mean(correlations(scores, before(scores, lag), ranks=True)) for lag in lags},
    )  # fmt: skip
