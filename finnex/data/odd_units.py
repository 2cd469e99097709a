"""Figures that are sound numbers and look as if in another unit: warned of, since an honest company may have them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.config import Config
from finnex.data.remarks import some
from finnex.data.tables import Tables

LEAST_IMPLIED, TIMES_REALIZED = 2.0, 10.0
"""A median implied volatility of more than 200 % a year, and of ten times what the closes show, is one in percent."""
LARGEST_MOVE, LEAST_MOVES = 0.4, 20
"""Logarithm of a day's move that the volatility leaves out (a split in raw prices), and moves that it needs."""
LEAST_SCORES, LEAST_VALUES = 100, 6
"""Scores of a provider that are judged, and different ones among them: of nine grades from -1 to 1, five are not
below 0."""
MIDDLE, LEAST_SIDE = (0.4, 0.6), 0.2
"""Where the mean of scores is near 0.5, and the share of them that lies on either side of it."""
JUDGED_SOURCES = ("news", "social", "historical")
"""Analysts and managements speak well of companies: a consensus may never be below 0."""
FACTORS, FROM, TO = (1e3, 1e6), 0.4, 2.5
"""Units that are mixed up, and how far growth from one quarter to the next may move the jump from such a factor."""
ALIKE = 4.0
"""Quarters on one side of a change of unit differ by no more than this factor."""
LEVELS = ("revenue", "total_assets")
"""Of the filed figures: those that do not come near zero in honest accounts and leave it."""


def odd_units(tables: Tables, config: Config) -> list[str]:
    """Return a sentence for each figure that seems to be in another unit, what it is and what to check."""
    found = [*_implied(tables, config), *_probabilities(tables, config)]
    if tables.fundamentals is not None:
        for symbol, own in _of_each(tables.fundamentals, config):
            found += _jumps(own, symbol)
    return found


def _of_each(frame: pd.DataFrame, config: Config) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each configured symbol with its rows, the table gone through once."""
    rows = frame.groupby("symbol", sort=False).indices
    for symbol in config.symbols:
        if symbol in rows:
            yield symbol, frame.iloc[rows[symbol]]


def _implied(tables: Tables, config: Config) -> Iterator[str]:
    if tables.options is None:
        return
    bars = dict(_of_each(tables.prices, config))
    for symbol, own in _of_each(tables.options, config):
        realized = _volatility(bars[symbol]["close"]) if symbol in bars else np.inf
        for column in ("implied_volatility", "implied_volatility_90"):
            if column not in own.columns or not own[column].notna().any():
                continue
            median = float(own[column].median())
            if median > LEAST_IMPLIED and median > TIMES_REALIZED * realized:
                yield (
                    f"options of {symbol}: the median of {column} is {median:.4g}, {100 * median:.4g} % a year; "
                    f"the closes moved by {realized:.0%} a year. If it is in percent, divide it by 100 (0.4 is 40 %)."
                )


def _volatility(close: pd.Series[float]) -> float:
    """Return the standard deviation of daily logarithmic moves, a year; infinite where there are too few of them."""
    moves = np.diff(np.log(close.to_numpy(dtype="float64")))
    moves = moves[np.abs(moves) <= LARGEST_MOVE]
    return float(moves.std() * np.sqrt(252.0)) if len(moves) >= LEAST_MOVES else np.inf


def _probabilities(tables: Tables, config: Config) -> Iterator[str]:
    if tables.sentiment is None:
        return
    read = tables.sentiment["symbol"].isin(config.symbols) & tables.sentiment["source"].isin(JUDGED_SOURCES)
    means = {}
    for (source, provider), rows in tables.sentiment[read].groupby(["source", "provider"], sort=True):
        score = rows["score"].dropna()
        if len(score) < LEAST_SCORES or score.min() < 0 or score.nunique() < LEAST_VALUES:
            continue
        sides = (score < 0.5).mean(), (score > 0.5).mean()
        if MIDDLE[0] <= score.mean() <= MIDDLE[1] and min(sides) >= LEAST_SIDE:
            means[str(provider or source)] = float(score.mean())
    if means:
        mean = next(iter(means.values()))
        yield (
            f"sentiment of {some(list(means))}: no score is below 0 and their mean is {mean:.2f}, as of probabilities "
            "or of a scale from 0 to 1. Scores are read as -1 (bad) to 1 (good), 0 takes no side: if 0.5 takes none, "
            "give 2 * score - 1."
        )


def _jumps(own: pd.DataFrame, symbol: str) -> list[str]:
    said = []
    for name in (name for name in LEVELS if name in own.columns):
        for _, rows in own[own[name] > 0].groupby("origin", sort=True):
            # Of a restated figure the last that was filed; the table is in the order of filings.
            last = rows.drop_duplicates("period_end", keep="last").sort_values("period_end")
            values = last[name].to_numpy(dtype="float64")
            at = np.flatnonzero(_changes_unit(values))
            if len(at):
                day, step = last["period_end"].iloc[at[0] + 1].date(), values[at[0] + 1] / values[at[0]]
                said.append(
                    f"fundamentals of {symbol}: {name} of the period to {day} is {step:.4g} times that of the period "
                    f"before ({values[at[0]]:.4g}, then {values[at[0] + 1]:.4g}). Check whether one of them is in "
                    "thousands or millions, and give all in one unit."
                )
    return said


def _changes_unit(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return after which values the unit seems to change: by about a factor, with like values on both sides of it.

    A first or last value counts as like those that are not there. One quarter alone that is a thousand times its
    neighbours is not said: a company without sales that is paid for a licence looks the same.
    """
    step = np.abs(np.diff(np.log(values)))
    jump = np.zeros(len(step), dtype=bool)
    for factor in FACTORS:
        jump |= (step >= np.log(factor * FROM)) & (step <= np.log(factor * TO))
    alike = np.concatenate([[True], step <= np.log(ALIKE), [True]])
    return np.asarray(jump & alike[:-2] & alike[2:])
