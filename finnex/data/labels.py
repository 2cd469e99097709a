"""Labels: what happened after the decision. The only place that looks forward.

A decision at the close of session t enters at the open of t+1 and leaves at the close of t+h. `label_end` is the
session on which the outcome is known: a split in time purges by it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.config import HORIZONS, LabelSettings
from finnex.config.images import LEAST_VOLATILITY_SESSIONS
from finnex.data.point_in_time import Floats

SELL, HOLD, BUY, UNKNOWN = 0, 1, 2, -1
KINDS = ("price_movement", "triple_barrier")


@dataclass(frozen=True)
class Labels:
    """Labels of one kind, (sessions, horizons).

    Attributes
    ----------
    label
        int8: 0 sell, 1 hold, 2 buy, -1 where the outcome is not known yet.
    outcome
        float32: simple return from entry to exit; NaN where not known.
    end
        `datetime64[D]`: the session on which the outcome is known; NaT where it is not.
    """

    label: npt.NDArray[np.int8]
    outcome: npt.NDArray[np.float32]
    end: npt.NDArray[np.datetime64]


def make_labels(bars: pd.DataFrame, days: npt.NDArray[np.datetime64], settings: LabelSettings) -> dict[str, Labels]:
    """Return both kinds of labels for all horizons.

    Parameters
    ----------
    bars
        Traded sessions (open, high, low, close), indexed by session position.
    days
        All session dates.

    Notes
    -----
    Thresholds scale with trailing volatility: the standard deviation of daily log returns up to and including
    session t, times the square root of the horizon. A session whose outcome spans a missing bar has no label.
    """
    sessions = len(days)
    o, h, l, c = (_spread(bars[name], sessions) for name in ("open", "high", "low", "close"))
    volatility = (
        pd.Series(np.log(c))
        .diff()
        .rolling(settings.volatility_sessions, min_periods=LEAST_VOLATILITY_SESSIONS)
        .std()
        .to_numpy()
    )
    columns: dict[str, list[tuple[npt.NDArray[np.int8], Floats, npt.NDArray[np.intp]]]] = {kind: [] for kind in KINDS}
    for horizon in HORIZONS:
        scale = volatility * np.sqrt(float(horizon))
        columns["price_movement"].append(_price_movement(o, c, horizon, settings.threshold_volatility * scale))
        columns["triple_barrier"].append(_triple_barrier(o, h, l, c, horizon, settings.barrier_volatility * scale))
    found = {}
    for kind, parts in columns.items():
        end = np.stack([part[2] for part in parts], axis=1)
        found[kind] = Labels(
            label=np.stack([part[0] for part in parts], axis=1),
            outcome=np.stack([part[1] for part in parts], axis=1).astype(np.float32),
            end=np.where(end >= 0, days[np.maximum(end, 0)], np.datetime64("NaT")),
        )
    return found


def _spread(column: pd.Series[float], sessions: int) -> Floats:
    values = np.full(sessions, np.nan)
    values[column.index.to_numpy()] = column.to_numpy(dtype="float64")
    return values


def _ahead(values: Floats, sessions: int) -> Floats:
    moved = np.full(len(values), np.nan)
    moved[: max(0, len(values) - sessions)] = values[sessions:]
    return moved


def _price_movement(
    o: Floats, c: Floats, horizon: int, threshold: Floats
) -> tuple[npt.NDArray[np.int8], Floats, npt.NDArray[np.intp]]:
    outcome = _ahead(c, horizon) / _ahead(o, 1) - 1
    gaps = np.cumsum(np.isnan(c))
    whole = _ahead(gaps.astype(np.float64), horizon) == gaps
    known = whole & ~np.isnan(outcome) & ~np.isnan(threshold)
    label = np.where(outcome > threshold, BUY, np.where(outcome < -threshold, SELL, HOLD))
    end = np.arange(len(c)) + horizon
    return (
        np.where(known, label, UNKNOWN).astype(np.int8),
        np.where(known, outcome, np.nan),
        np.where(known, end, -1),
    )


def _triple_barrier(
    o: Floats,
    h: Floats,
    l: Floats,
    c: Floats,
    horizon: int,
    width: Floats,
) -> tuple[npt.NDArray[np.int8], Floats, npt.NDArray[np.intp]]:
    """Lopez de Prado, Advances in Financial Machine Learning (2018), 3.4, on daily bars.

    A bar that touches both barriers counts as the stop: which came first cannot be seen. A bar that opens beyond
    a barrier is left at its open.
    """
    here = np.arange(len(c))
    entry = _ahead(o, 1)
    upper, lower = entry * (1 + width), entry * (1 - width)
    label = np.full(len(c), HOLD)
    outcome = _ahead(c, horizon) / entry - 1
    end = here + horizon
    open_still = np.ones(len(c), dtype=bool)
    complete = ~np.isnan(entry) & ~np.isnan(width)
    for step in range(1, horizon + 1):
        bar_open, high, low = _ahead(o, step), _ahead(h, step), _ahead(l, step)
        complete &= ~(open_still & np.isnan(high))  # a missing bar before the outcome: unknown
        stopped = open_still & (low <= lower)
        taken = open_still & ~stopped & (high >= upper)
        outcome = np.where(stopped, np.minimum(lower, bar_open) / entry - 1, outcome)
        outcome = np.where(taken, np.maximum(upper, bar_open) / entry - 1, outcome)
        label = np.where(stopped, SELL, np.where(taken, BUY, label))
        end = np.where(stopped | taken, here + step, end)
        open_still &= ~(stopped | taken)
    known = complete & ~np.isnan(outcome)
    return (
        np.where(known, label, UNKNOWN).astype(np.int8),
        np.where(known, outcome, np.nan),
        np.where(known, end, -1),
    )
