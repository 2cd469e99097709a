"""What a score leans on: the market, size and momentum. A score may be no more than one of these under another name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from finnex.evaluation.characteristics import BETA, MOMENTUM, NO_VOLUME, SIZE, characteristics
from finnex.evaluation.interval import LEAST_LABELS, Interval
from finnex.evaluation.portfolio import Floats
from finnex.evaluation.score_panel import LEAST_COMPANIES, ScorePanel, before, correlations
from finnex.evaluation.session_means import bounds, mean_over, said, session_mean

FADED = 0.3
"""Rank correlation of scores with earlier ones below which their order has faded. With 1 / e, too many scores that fade
just too slowly are given an interval by chance: 0.84 of them held the truth, simulated."""


@dataclass(frozen=True)
class Exposures:
    """How a score, and the portfolio of its top and bottom fifth, lean on what is known of companies anyway.

    Attributes
    ----------
    scores
        By characteristic, mean over sessions of the rank correlation over companies of the score with it, in [-1, 1].
    beta, alpha
        Of the daily returns of the long-short portfolio, net of costs, on those of the market: slope, and intercept per
        session.
    sessions_per_year
        Of the calendar.
    """

    scores: Mapping[str, Interval]
    beta: Interval
    alpha: Interval
    sessions_per_year: int

    def record(self) -> dict[str, Any]:
        """Return plain values; None where there is none."""
        return {
            "scores": {name.replace(" ", "_"): bounds(one) for name, one in self.scores.items()},
            "beta": bounds(self.beta), "alpha": bounds(self.alpha),
            "alpha_per_year": bounds(self.alpha.scaled(self.sessions_per_year)),
        }  # fmt: skip

    def words(self) -> list[str]:
        """Say what the score leans on."""
        each = "; ".join(f"{name} {said(one, '.2f')}" for name, one in self.scores.items())
        words = [f"Mean rank correlation of the score with {each}."]
        if np.isnan(self.beta.value):
            return [*words, f"No market beta of the long-short portfolio: {self.beta.reason}."]
        return [
            *words,
            f"Of the long-short portfolio's daily returns on the market's (equal weight of all companies): beta "
            f"{said(self.beta, '.2f')}, what is left {said(self.alpha.scaled(self.sessions_per_year), '.1%')} a year.",
        ]


def memory_sessions(scores: Floats) -> int | None:
    """Return after how many predicted sessions the order of the scores has faded.

    Parameters
    ----------
    scores
        (sessions, companies), NaN where not known.

    Returns
    -------
    int or None
        The first of 1, 2, 3, 5, 8, ... sessions with a score after which the mean rank correlation with the scores
        before is below 0.3; None where it is not within a twelfth of the sessions.

    Examples
    --------
    >>> memory_sessions(np.random.default_rng(0).normal(size=(60, 10)))
    1
    """
    predicted = scores[(~np.isnan(scores)).any(axis=1)]
    lag, following = 1, 2
    while lag * LEAST_LABELS <= len(predicted):
        found = session_mean(correlations(predicted, before(predicted, lag), ranks=True))
        if not found >= FADED:  # NaN: no two sessions have enough companies
            return lag
        lag, following = following, lag + following
    return None


def exposures_of_scores(panel: ScorePanel, dollar_volume: Floats | None = None) -> dict[str, Interval]:
    """Return the mean rank correlation of the score with each characteristic.

    Parameters
    ----------
    panel
        Scores by session and company.
    dollar_volume
        As `characteristics` takes it.

    Returns
    -------
    dict
        By characteristic; NaN with the reason where it is not known.

    Notes
    -----
    Size and momentum hardly change from session to session, so correlations with them are as persistent as the scores:
    the interval's horizon is the time in which the order of the scores fades, or the label's where that is longer.
    Where scores do not fade within a twelfth of the sessions there is no interval. It is of these companies: one that
    would be drawn from others is not covered.
    """
    known, memory = characteristics(panel.prices, dollar_volume), memory_sessions(panel.scores)
    found = {}
    for name in (BETA, SIZE, MOMENTUM):
        if name not in known:
            found[name] = Interval(float("nan"), None, None, NO_VOLUME)
            continue
        each = correlations(panel.scores, known[name], ranks=True)
        nothing = f"no session has {name} and different scores of {LEAST_COMPANIES} companies"
        if memory is None and not np.isnan(each).all():
            reason = "no interval: the order of the scores hardly changes in these sessions"
            found[name] = Interval(session_mean(each), None, None, reason)
            continue
        horizon = max(memory or 1, panel.horizon)
        found[name] = mean_over(each, panel.prices.days, horizon, nothing=nothing).interval()
    return found
