"""Opinions that go with what is new in the next filing, against permutations of the filings."""

from __future__ import annotations

from collections.abc import Mapping
from math import factorial

import numpy as np
import pandas as pd

from finnex.audit.equal_figures import KnownFiling
from finnex.audit.filed_figures import Figures
from finnex.audit.innovations import Floats, normal_scores

HONEST_OPINION = 0.4
"""Correlation with what is new in a figure that an honest opinion may have when the quarter ends."""
OF_TWO_VALUES = 0.8
"""Share of a correlation that a series keeps of which only the sign is left: the root of 2 / pi."""
LEAST_ERRORS = 3.3
"""Standard errors by which a correlation must exceed that of an honest opinion."""
PERMUTATIONS = 999
MOST_REACHED = 1
"""Permutations that may reach a correlation that counts: p <= 0.002 over all series and metrics."""
LEAST_HISTORY = 12
TAKEN = 4
"""Quarters less, of which Fisher's z of a correlation given one regressor has the standard error."""


def least_filings(pairs: int) -> int:
    """Return the filings with which perfect agreement in rank, of any of so many pairs, could be significant."""
    needed = 4
    while 2 * pairs / factorial(needed) > (1 + MOST_REACHED) / (1 + PERMUTATIONS):
        needed += 1
    return needed + 2  # of which the constant and the return take two


def associated_figures(
    opinions: Mapping[str, Floats],
    figures: Figures,
    news: Floats,
    close: Floats,
    needed: int,
    origins: int,
    seed: int,
) -> list[KnownFiling]:
    """Return the opinions whose mean over a quarter is correlated with the news in its figures.

    Parameters
    ----------
    opinions
        Name to (sessions,) float64, NaN where there is none. The mean is from the filing before to the quarter's end.
    figures
        Figures of one origin, a row for each quarter.
    news
        What is new in each metric (asked filings, metrics).
    close
        Closes (sessions,): what the return up to the quarter's end explains of both is left out.
    needed
        Filings that a series and a metric must have in common.
    origins
        Number of origins asked: they share the permutations that may reach a correlation.
    seed
        Seed of the permutations.

    Returns
    -------
    list of KnownFiling
        One for each opinion that reaches the threshold; empty below `needed` filings.
    """
    rows = np.flatnonzero(figures.asked >= 0)
    if len(rows) < needed:
        return []
    spans = [slice(figures.since[row], figures.asked[row] + 1) for row in rows]
    logs = pd.Series(np.log(close)).ffill().to_numpy(dtype=np.float64)
    moves = np.nan_to_num([logs[span][-1] - logs[span][0] for span in spans])
    past = np.column_stack([np.ones(len(rows)), normal_scores(moves[:, None])])
    left = np.stack([_score(column, past) for column in news.T], axis=1)
    names = list(opinions)
    means = [np.array([_mean(opinions[name][span]) for span in spans]) for name in names]
    two = [len(np.unique(one[~np.isnan(one)])) <= 2 for one in means]
    own = np.stack([_score(one, past) for one in means], axis=1)
    z, correlation = _z(own, left, needed)
    rng, largest = np.random.default_rng([seed, 11]), []
    for _ in range(PERMUTATIONS):
        moved, _ = _z(own, left[rng.permutation(len(rows))], needed)
        largest.append(float(np.abs(moved).max()))
    threshold = np.sort(largest)[::-1][MOST_REACHED // origins]
    found = []
    for number, name in enumerate(names):
        both = ((own[:, number] != 0)[:, None] & (left != 0)).sum(axis=0)
        honest = HONEST_OPINION * (OF_TWO_VALUES if two[number] else 1.0)
        beyond = np.abs(z[number]) - np.arctanh(honest) * np.sqrt(np.maximum(both - TAKEN, 0))
        above = (np.abs(z[number]) > threshold) & (beyond > LEAST_ERRORS)
        if above.any():
            best = int(np.where(above, beyond, -np.inf).argmax())
            text = (
                f"up to the end of a quarter knows what is new in the {figures.metrics[best]} of the next filing: "
                f"partial rank correlation {correlation[number, best]:+.2f} over {both[best]} quarters, "
                f"{beyond[best]:.1f} standard errors above the {honest:.2f} of an honest opinion, reached by at most "
                f"{MOST_REACHED // origins} of {PERMUTATIONS} permutations of the filings in any series and metric"
            )
            found.append(KnownFiling(name, text))
    return found


def news_of(figures: Figures) -> Floats:
    """Return what is new in each metric at the quarters that are asked, (asked filings, metrics)."""
    rows = figures.asked >= 0
    return np.stack([news_of_metric(figures, number)[rows] for number in range(len(figures.metrics))], axis=1)


def news_of_metric(figures: Figures, number: int) -> Floats:
    """Return what a regression on earlier filings leaves of a metric's change (filings,), over its size in a year."""
    value = figures.amounts[:, number]
    size = np.mean([np.abs(figures.before(value, quarters)) for quarters in (1, 2, 3, 4)], axis=0)
    with np.errstate(all="ignore"):
        change = (value - figures.before(value, 1)) / size
        same = (figures.before(value, 4) - figures.before(value, 5)) / size
        year = (figures.before(value, 1) - figures.before(value, 5)) / size
    known = np.isfinite(change) & np.isfinite(same) & np.isfinite(year)
    left = np.full(len(value), np.nan)
    if known.sum() >= LEAST_HISTORY:
        regressors = np.column_stack([np.ones(int(known.sum())), same[known], year[known]])
        fitted, *_ = np.linalg.lstsq(regressors, change[known], rcond=None)
        left[known] = change[known] - regressors @ fitted
    return left


def _score(values: Floats, past: Floats) -> Floats:
    """Return normal scores of what the past (filings, regressors) leaves of values; 0 where not known."""
    known, found = ~np.isnan(values), np.zeros(len(values))
    if known.sum() > past.shape[1] + 1 and np.ptp(values[known]) > 0:
        scores = normal_scores(values[known][:, None])[:, 0]
        fitted, *_ = np.linalg.lstsq(past[known], scores, rcond=None)
        found[known] = scores - past[known] @ fitted
    return found


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _z(own: Floats, left: Floats, needed: int) -> tuple[Floats, Floats]:
    """Return Fisher's z and the correlation of each series with each metric, 0 where too few filings have both."""
    mine, theirs = (own != 0).astype(float), (left != 0).astype(float)
    both = mine.T @ theirs
    size = np.sqrt(((own**2).T @ theirs) * (mine.T @ left**2))
    correlation = np.divide(own.T @ left, size, out=np.zeros_like(size), where=(size > 0) & (both >= needed))
    clipped = np.clip(correlation, -1 + 1e-12, 1 - 1e-12)
    return np.arctanh(clipped) * np.sqrt(np.maximum(both - TAKEN, 0)), correlation
