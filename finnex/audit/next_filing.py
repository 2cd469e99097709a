"""Whether a series knows what the company files next, asked when the quarter ends: by equality, and by association.

Estimates are honest and good: association with the next figure alone says nothing of a column that may hold them. What
no estimate does is agree exactly. Of opinions (sentiment, options) less is known honestly; of them a high correlation
with what is new in the figures is asked for too, against permutations of the filings.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from finnex.audit.equal_figures import LEAST_EQUAL, KnownFiling, equal_figures
from finnex.audit.filed_figures import Figures
from finnex.audit.filing_news import associated_figures, least_filings, news_of
from finnex.audit.innovations import Floats

OPINIONS = ("sentiment", "options")
"""Tables of which no series holds estimates of a figure."""


@dataclass(frozen=True)
class FilingSearch:
    """What was found, and in one sentence what was asked of how many filings."""

    found: list[KnownFiling]
    said: str


def knowing_the_next_filing(
    series: Mapping[str, Floats],
    opinions: Collection[str],
    origins: Sequence[Figures],
    close: Floats,
    seed: int = 0,
) -> FilingSearch:
    """Find the series that know figures of the next filing when their quarter ends.

    Parameters
    ----------
    series
        Name to (sessions,) float64, NaN where not known.
    opinions
        Names of those that hold no estimates: they are asked for association too.
    origins
        Figures of each origin of filings.
    close
        Closes (sessions,), NaN where the symbol did not trade.
    seed
        Seed of the permutations.

    Returns
    -------
    FilingSearch
        What was found, and a sentence on what was tested or why it was not.
    """
    if not origins:
        return FilingSearch([], "not tested: the fundamentals table has no figures of it")
    filings = max(int((figures.asked >= 0).sum()) for figures in origins)
    if filings < LEAST_EQUAL:
        return FilingSearch([], f"not tested: {filings} filings, {LEAST_EQUAL} are needed")
    carried = {name: pd.Series(values).ffill().to_numpy(dtype=np.float64) for name, values in series.items()}
    found = {one.name: one for one in equal_figures(carried, origins)}
    said = f"{len(series)} series asked at the end of up to {filings} quarters for equality ({LEAST_EQUAL} are needed)"
    chosen = {name: series[name] for name in series if name in opinions}
    metrics = max(len(figures.metrics) for figures in origins)
    needed = least_filings(len(chosen) * metrics * len(origins))
    if not chosen:
        return FilingSearch([*found.values()], f"{said}; there are no opinions to ask for association")
    news = [news_of(figures) for figures in origins]
    comparable = max(int((~np.isnan(one)).sum(axis=0).max(initial=0)) for one in news)
    if comparable < needed:
        said += (
            f"; of opinions association was not tested: {comparable} quarters with figures of earlier years, "
            f"{needed} are needed"
        )
        return FilingSearch([*found.values()], said)
    for figures, new in zip(origins, news, strict=True):
        for one in associated_figures(chosen, figures, new, close, needed, len(origins), seed):
            found.setdefault(one.name, one)
    said += f", and {len(chosen)} of opinions for association ({needed} are needed)"
    return FilingSearch([*found.values()], said)
