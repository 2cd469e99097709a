"""Values that are written in the code and not in the tables: sessions where no change of any table moves a feature.

A feature that is 1 in 'the crisis of 2020' because its code says so agrees with itself however the tables are cut. In
tables whose returns and values are shuffled over the whole history, past included, such sessions keep their value.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.audit.audit_report import Finding
from finnex.audit.clock import CLOCKS

SHUFFLES, CONFIRMING = 6, 12
"""Shuffles of every audit, and those that follow where a run agrees in all of them."""
LEAST_RUN_SESSIONS = 5
WARM_UP_SESSIONS = 63
"""Sessions from a feature's first value in which a run is no evidence: recursions start from a fixed value."""
MOST_FROZEN = 0.3
"""Share of sessions that keep their value above which the feature depends on dates alone, as days since a filing do."""
BY_CHANCE = 1e-3
"""Probability, over all sessions and features, of such a run in tables that are shuffled independently."""
JITTER = 0.1
RECORDS = ("sentiment", "events")
THINNED_DAYS, LEAST_KEPT = 7, 0.02
PRICES = ["open", "high", "low", "close"]


def shuffled(table: str, frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return a table of the same dates and names with its values in another order; of prices, the daily moves.

    The dates of records and events decide some features alone, as do closures, after which a session has the records of
    many days: they are turned round the history by a random time, and thinned by another share in each span of days.
    """
    if table in RECORDS:
        frame = _turned(table, frame, rng)
    keys = [name for name in CLOCKS[table].words if name in frame.columns]
    numbers = list(frame.select_dtypes("number").columns)
    other = frame.copy()
    if not numbers:
        return other
    other[numbers] = other[numbers].astype(np.float64)
    values = other[numbers].to_numpy().copy()
    groups = frame.groupby(keys, sort=False).indices.values() if keys else [np.arange(len(frame))]
    for rows in groups:
        order = rng.permutation(len(rows))
        if table == "prices":
            values[rows] = _moves(frame.iloc[rows][[*numbers]], order, numbers)
        else:
            values[rows] = values[rows][order] * np.exp(rng.normal(0, JITTER, (len(rows), len(numbers))))
    other[numbers] = values
    if "score" in other.columns:
        other["score"] = other["score"].clip(-1, 1)
    if "repost" in other.columns:
        other["repost"] = frame["repost"]
    return other


def _turned(table: str, frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    clock = CLOCKS[table]
    known = frame[clock.dated]
    first, span = known.min(), known.max() - known.min() + pd.Timedelta(days=1)
    later = first + (known - first + pd.Timedelta(days=int(rng.integers(span.days)))) % span
    other = frame.assign(**{clock.dated: later})
    if clock.about is not None:
        other[clock.about] = frame[clock.about] + (later - known)
    block = ((later - first).dt.days // THINNED_DAYS).to_numpy()
    share = np.exp(rng.uniform(np.log(LEAST_KEPT), 0, block.max() + 1))
    kept: pd.DataFrame = other[rng.random(len(other)) < share[block]]
    return kept.sort_values(list(clock.order), ignore_index=True, kind="stable")


def _moves(bars: pd.DataFrame, order: npt.NDArray[np.intp], numbers: Sequence[str]) -> npt.NDArray[np.float64]:
    close = bars["close"].to_numpy(dtype=np.float64)
    before = np.concatenate([close[:1], close[:-1]])
    relative = bars[PRICES].to_numpy(dtype=np.float64) / before[:, None]
    moved = relative[order]
    steps = np.where(np.isnan(moved[:, 3]), 1.0, moved[:, 3])
    level = close[np.flatnonzero(~np.isnan(close))[0]] * np.concatenate([[1.0], np.cumprod(steps)[:-1]])
    found = bars.to_numpy(dtype=np.float64).copy()
    for number, name in enumerate(PRICES):
        found[:, numbers.index(name)] = moved[:, number] * level
    for name in numbers:
        if name not in PRICES:
            found[:, numbers.index(name)] = bars[name].to_numpy(dtype=np.float64)[order]
    return found


@dataclass(frozen=True)
class Frozen:
    """A run of sessions at which a feature keeps its value in every shuffle."""

    feature: str
    first: int
    sessions: int
    value: float


def frozen_runs(
    original: npt.NDArray[np.float64],
    others: Sequence[npt.NDArray[np.float64]],
    features: Sequence[str],
    unmoved: Collection[str] = (),
) -> list[Frozen]:
    """Find runs of sessions whose value no shuffle moves, in features that shuffles move elsewhere.

    Parameters
    ----------
    original, others
        (sessions, features) float64 of the tables as they are and of each shuffle; NaN where not known.
    features
        Names of the columns of `original`.
    unmoved
        Features that no change of any table moved, dates included: where they vary, their values come from code alone.

    Returns
    -------
    list of Frozen
        One run of a feature at most; its value is NaN where the values of an unmoved feature vary.
    """
    known = ~np.isnan(original)
    kept = known & np.all([other == original for other in others], axis=0)
    started = known.argmax(axis=0)
    found = []
    for column in np.flatnonzero(kept.any(axis=0)):
        rows = kept[:, column]
        if rows.sum() == known[:, column].sum() and features[int(column)] in unmoved:
            values = original[rows, column]
            if len(np.unique(values)) > 1:
                found.append(Frozen(features[int(column)], int(np.flatnonzero(rows)[0]), len(values), float("nan")))
            continue
        if rows.sum() > MOST_FROZEN * known[:, column].sum():
            continue
        edges = np.flatnonzero(np.diff(np.concatenate([[0], rows.astype(np.int8), [0]])))
        for first, stop in zip(edges[::2], edges[1::2], strict=True):
            values = original[first:stop, column]
            if stop - first < LEAST_RUN_SESSIONS or first < started[column] + WARM_UP_SESSIONS:
                continue
            ends = stop == len(rows) or not known[stop, column]
            if ends or not original[first:stop, column].any():  # no new rows: a change of 0, a value carried to the end
                continue
            usual = max(_share_of_runs(others, int(column), LEAST_RUN_SESSIONS, value) for value in np.unique(values))
            if original.size * usual ** len(others) < BY_CHANCE:
                found.append(Frozen(features[int(column)], int(first), int(stop - first), float(values[0])))
                break
    return found


def _share_of_runs(others: Sequence[npt.NDArray[np.float64]], column: int, sessions: int, value: float) -> float:
    """Return the share of windows of some sessions in which shuffled tables give one value throughout, never 0."""
    count = total = 0
    for other in others:
        same = np.concatenate([[0], np.cumsum(other[:, column] == value)])
        count += int((same[sessions:] - same[:-sessions] == sessions).sum())
        total += len(other) - sessions + 1
    return (count + 1) / (total + 1)


def _said(one: Frozen, days: npt.NDArray[np.datetime64], symbol: str, shuffles: int) -> str:
    since = f"from {days[one.first]} on for {one.sessions} sessions however all tables are shuffled ({shuffles} times)"
    if np.isnan(one.value):
        return f"{symbol}: {one.feature} keeps its values, which vary, {since}: it is computed from no table."
    return f"{symbol}: {one.feature} is {one.value:g} {since}, and moves with them elsewhere: its code contains dates."


def as_findings(
    found: Sequence[Frozen], days: npt.NDArray[np.datetime64], symbol: str, tables: dict[str, str], shuffles: int
) -> list[Finding]:
    """Return one finding a feature.

    Parameters
    ----------
    found
        Runs that `frozen_runs` found.
    days
        (sessions,) dates of the sessions that runs count in.
    symbol
        Symbol of the panel.
    tables
        Feature to the table that it is computed from.
    shuffles
        How many times the tables were shuffled; the evidence says so.

    Returns
    -------
    list of Finding
        Findings of the kind `constant_in_code`, in the order of `found`.
    """
    return [
        Finding(
            "constant_in_code",
            tables[one.feature],
            (one.feature,),
            _said(one, days, symbol, shuffles),
            "Compute the feature from the tables at every session: what is known of those days now was not known then.",
            symbol,
            days[one.first].item(),
        )
        for one in found
    ]
