"""What a label depends on, found by changing its bars: later bars must move it, bars up to the decision must not.

Multiplying all prices up to a decision by two leaves every return inside the past, and so every threshold, as it was.
An outcome that changes enters at a price that the window shows, or averages such prices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.audit.audit_report import Finding
from finnex.audit.label_audit import REMEDY, changed_before_their_end, known_already
from finnex.config import HORIZONS, LabelSettings
from finnex.data.labels import Labels

MakeLabels = Callable[[pd.DataFrame, npt.NDArray[np.datetime64], LabelSettings], dict[str, Labels]]
PRICES = ["open", "high", "low", "close"]
RELATIVE = 1e-5  # float32 outcomes
LEAST_SESSIONS = 4
"""Sessions at which a label has to stay for it to be called known."""
TREND, TREND_SESSIONS = 0.2, 30
"""Log return of a session in a future that only rises or falls, and for how many sessions it does."""


def label_inputs(
    make: MakeLabels,
    bars: pd.DataFrame,
    days: npt.NDArray[np.datetime64],
    settings: LabelSettings,
    positions: Sequence[int],
    rng: np.random.Generator,
    symbol: str | None = None,
) -> list[Finding]:
    """Find labels that depend on bars up to their decision or on none after it, or whose `label_end` is too early.

    Parameters
    ----------
    make
        What computes the labels.
    bars
        Traded sessions (open, high, low, close, volume), indexed by session position.
    days
        (sessions,) all session dates.
    settings
        Kind, horizon and thresholds of the labels.
    positions
        Sessions at whose decisions the bars are changed.
    rng
        Source of the other futures.
    symbol
        Named in the findings, where it is given.

    Returns
    -------
    list of Finding
        A finding for each label and mistake; empty where there is none.
    """
    full = make(bars, days, settings)
    findings = []
    early: dict[str, str] = {}
    entered: dict[str, str] = {}
    moved: dict[str, list[bool]] = {}
    for position in positions:
        day = str(days[position])
        for name in changed_before_their_end(full, make(_until(bars, position), days, settings), days, position):
            early.setdefault(name, day)
        for name in _outcomes_that_differ(full, make(_doubled(bars, position), days, settings), position):
            entered.setdefault(name, day)
        futures = (_other_future(bars, position, rng), trending(bars, position, 1), trending(bars, position, -1))
        others = [make(future, days, settings) for future in futures]
        for kind, one in full.items():
            for column in np.flatnonzero(one.label[position] >= 0):
                same = [
                    one.outcome[position, column] == other[kind].outcome[position, column]
                    and one.label[position, column] == other[kind].label[position, column]
                    for other in others
                ]
                moved.setdefault(f"{kind}[{_horizon(one, int(column))}]", []).append(not all(same))
    for kind, one in full.items():
        for number, (ends, labels) in enumerate(zip(one.end.T, one.label.T, strict=True)):
            if said := known_already(ends, labels, days):
                name = f"{kind}[{_horizon(one, number)}]"
                findings.append(_finding("label_inside_the_window", name, f"label_{name}: {said}.", symbol))
    for name, day in early.items():
        text = f"label_{name} says by {day} how it ended, and changes when later bars are cut."
        findings.append(_finding("label_end_too_early", name, text, symbol))
    for name, day in entered.items():
        text = (
            f"label_{name}: the outcome of {day} changes when all prices up to that session's close are doubled, as an "
            "entry after the decision does not: it is measured from prices that the window shows."
        )
        findings.append(_finding("label_inside_the_window", name, text, symbol))
    for name, changes in moved.items():
        if len(changes) >= LEAST_SESSIONS and not any(changes):
            text = f"label_{name}: no later bar changes it at {len(changes)} sessions: the window decides it."
            findings.append(_finding("label_inside_the_window", name, text, symbol))
    return findings


def _finding(kind: str, name: str, text: str, symbol: str | None) -> Finding:
    return Finding(kind, "prices", (f"label_{name}",), text, REMEDY, symbol)


def _horizon(labels: Labels, column: int) -> int:
    return HORIZONS[column] if labels.label.shape[1] == len(HORIZONS) else column


def _until(bars: pd.DataFrame, position: int) -> pd.DataFrame:
    return bars[bars.index <= position]


def _doubled(bars: pd.DataFrame, position: int) -> pd.DataFrame:
    changed = bars.copy()
    changed.loc[changed.index <= position, PRICES] *= 2.0
    return changed


def _other_future(bars: pd.DataFrame, position: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return the bars with the open and the close of every later session moved, each by a factor of its own."""
    changed = bars.copy()
    later = changed.index > position
    moved = changed.loc[later, PRICES] * np.exp(rng.normal(0, 0.2, (int(later.sum()), len(PRICES))))
    ends = moved[["open", "close"]]
    changed.loc[later, PRICES] = moved.assign(
        high=np.maximum(moved["high"], ends.max(axis=1)), low=np.minimum(moved["low"], ends.min(axis=1))
    )
    return changed


def trending(bars: pd.DataFrame, position: int, sign: int) -> pd.DataFrame:
    """Return the bars with later sessions that only rise, or only fall: a barrier that one hits the other misses.

    Noise alone may hit both barriers of a label in one bar, where the true bars may have hit one, and change nothing.
    """
    changed = bars.copy()
    later = changed.index > position
    step = TREND * sign * np.minimum(np.arange(1, int(later.sum()) + 1), TREND_SESSIONS)
    moved = changed.loc[later, PRICES]
    opened, closed = moved["open"] * np.exp(step - TREND * sign / 2), moved["close"] * np.exp(step)
    close = closed.where(sign * (closed - opened) > 0, opened)
    changed.loc[later, PRICES] = moved.assign(
        open=opened, close=close, high=np.maximum(opened, close), low=np.minimum(opened, close)
    )
    return changed


def _outcomes_that_differ(full: Mapping[str, Labels], other: Mapping[str, Labels], position: int) -> list[str]:
    found = []
    for kind, one in full.items():
        for column in np.flatnonzero(one.label[position] >= 0):
            ours, theirs = one.outcome[position, column], other[kind].outcome[position, column]
            same_label = one.label[position, column] == other[kind].label[position, column]
            if not (same_label and np.isclose(ours, theirs, rtol=RELATIVE, atol=RELATIVE)):
                found.append(f"{kind}[{_horizon(one, int(column))}]")
    return found
