"""Labels must begin after the picture ends: nothing that a window shows may decide what is asked of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from finnex.audit.audit_report import Finding
from finnex.config import HORIZONS
from finnex.data.labels import Labels

DECIDED = 0.9
"""Share of labels that one comparison inside the window gets right. Kusuma's label reaches 0.92; honest labels over 20
sessions stay near 0.7, since windows overlap and stocks drift."""
BY_CHANCE = 1e-4
"""Probability, over all comparisons of a window, below which such a share is not chance."""
LEAST_LABELS = 60
NEARLY_ALL = 0.95
REMEDY = (
    "Let labels begin after the decision: entry at the next open, exit and label_end later than the last bar shown."
)


def audit_labels(
    labels: Mapping[str, Labels] | Labels,
    bars: pd.DataFrame,
    lookback: int,
    days: npt.NDArray[np.datetime64] | None = None,
    horizons: tuple[int, ...] = HORIZONS,
    symbol: str | None = None,
) -> list[Finding]:
    """Find labels and returns that overlap the input window.

    Parameters
    ----------
    labels
        One kind of labels, or several by name; (sessions, horizons).
    bars
        Traded sessions (open, close), indexed by session position.
    lookback
        Sessions that a window shows.
    days
        All session dates; without them `label_end` is not looked at.
    horizons
        Horizons of the columns, in sessions.
    symbol
        Named in the findings, where it is given.

    Returns
    -------
    list of Finding
        One for each kind and horizon whose label a comparison of two shown closes decides, whose return starts at a
        shown close, or whose outcome is said to be known by the decision.
    """
    kinds = {"label": labels} if isinstance(labels, Labels) else labels
    sessions = next(iter(kinds.values())).label.shape[0]
    close, opened = (np.full(sessions, np.nan) for _ in range(2))
    inside = bars.index.to_numpy()
    close[inside], opened[inside] = bars["close"].to_numpy(dtype="float64"), bars["open"].to_numpy(dtype="float64")
    found = []
    for kind, one in kinds.items():
        for column in range(one.label.shape[1]):
            horizon = horizons[column] if one.label.shape[1] == len(horizons) else column
            for evidence in (
                _decided(one.label[:, column], close, lookback, max(1, horizon)),
                _overlaps(one.outcome[:, column], close, opened, lookback),
                "" if days is None else known_already(one.end[:, column], one.label[:, column], days),
            ):
                if evidence:
                    name = (f"label_{kind}[{horizon}]",)
                    text = f"{kind} over {horizon} sessions: {evidence}."
                    found.append(Finding("label_inside_the_window", "prices", name, text, REMEDY, symbol=symbol))
    return found


def _decided(label: npt.NDArray[np.int8], close: npt.NDArray[np.float64], lookback: int, horizon: int) -> str:
    """Look for one comparison of two shown closes that gives the label more often than chance does.

    Labels of h sessions hold at most n / h independent outcomes, and no more than there are runs of equal labels.
    """
    middle = 0.5 if label.max(initial=0) <= 1 else 1.0
    asked = np.flatnonzero((label >= 0) & (label != middle))
    asked = asked[asked >= lookback - 1]
    side = np.sign(label[asked] - middle)
    if len(asked) < LEAST_LABELS or not 0.05 < (side > 0).mean() < 0.95:
        return ""
    shown = close[asked[:, None] - np.arange(lookback)]  # the last shown close first
    best, which = 0.0, (0, 1)
    for last in range(lookback - 1):
        right = (np.sign(shown[:, [last]] - shown[:, last + 1 :]) == side[:, None]).mean(axis=0)
        right = np.maximum(right, 1 - right)
        if right.max() > best:
            best, which = float(right.max()), (last, last + 1 + int(right.argmax()))
    independent = min(len(asked) // horizon, 1 + int((side[1:] != side[:-1]).sum()))
    often = max((side > 0).mean(), (side < 0).mean())
    chance = lookback**2 / 2 * stats.binom.sf(np.ceil(best * independent) - 1, independent, often)
    if best < DECIDED or chance > BY_CHANCE:
        return ""
    return (
        f"decided inside the window: 'the close {_lag(which[0])} is above the close {_lag(which[1])}' alone is right "
        f"in {best:.1%} of {len(asked)} labels"
    )


def _lag(sessions: int) -> str:
    return "of the session itself" if sessions == 0 else f"{sessions} sessions before"


def _overlaps(
    outcome: npt.NDArray[np.float32], close: npt.NDArray[np.float64], opened: npt.NDArray[np.float64], lookback: int
) -> str:
    known = np.flatnonzero(~np.isnan(outcome))
    known = known[(known >= lookback - 1) & (known < len(close) - 21)]
    if len(known) < LEAST_LABELS:
        return ""
    for ahead in range(21):
        exit_ = close[known + ahead]
        if ahead and _same(outcome[known], exit_ / opened[known + 1] - 1):
            return ""  # entry at the next open, as it should be
        for back in range(lookback):
            for price, shown in (("close", close), ("open", opened)):
                if (ahead or back) and _same(outcome[known], exit_ / shown[known - back] - 1):
                    return f"its return starts at the {price} {_lag(back)}, which the window shows"
    return ""


def _same(ours: npt.NDArray[np.floating], theirs: npt.NDArray[np.floating]) -> bool:
    return bool(np.isclose(ours, theirs, rtol=1e-4, atol=1e-6).mean() >= NEARLY_ALL)


def known_already(
    end: npt.NDArray[np.datetime64], label: npt.NDArray[np.int8], days: npt.NDArray[np.datetime64]
) -> str:
    """Return, in words, which labels claim to be known by their own decision; empty where none does."""
    early = (label >= 0) & ~np.isnat(end) & (end <= days)
    if not early.any():
        return ""
    first = int(np.flatnonzero(early)[0])
    return f"{int(early.sum())} labels end by their own decision, such as {days[first]}, label_end {end[first]}"


def changed_before_their_end(
    full: Mapping[str, Labels], seen: Mapping[str, Labels], days: npt.NDArray[np.datetime64], position: int
) -> list[str]:
    """Return kinds whose labels say they were known by session `position`, and change when what follows it is cut.

    Parameters
    ----------
    full
        Labels of all bars by kind, each (sessions, horizons).
    seen
        Labels of the bars up to `position`, of the same shapes.
    days
        (sessions,) all session dates.
    position
        Last session whose bar `seen` was made from.

    Returns
    -------
    list of str
        `KIND[HORIZON]` of each that changes.
    """
    day, found = days[position], []
    for kind, one in full.items():
        other = seen[kind]
        for column in range(one.label.shape[1]):
            sessions = position + 1
            ended = one.end[:sessions, column] <= day
            ours, theirs = one.label[:sessions, column], other.label[:sessions, column]
            if (ours[ended] != theirs[ended]).any():
                found.append(f"{kind}[{HORIZONS[column]}]")
    return found
