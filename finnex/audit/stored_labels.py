"""Stored labels against the bars: outcome, class and end, written out once more and apart from `finnex.data.labels`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.audit.audit_report import Finding
from finnex.audit.section_audit import section_columns, wide_section
from finnex.audit.timing import Timing
from finnex.config import HORIZONS, LabelSettings
from finnex.config.images import ACROSS_THE_SECTION, LEAST_VOLATILITY_SESSIONS
from finnex.data.features import symbol_bars
from finnex.store import LABEL_WORDS, NOT_A_DAY, ImageStore

KINDS: Final = ("price_movement", "triple_barrier")
"""Kinds that follow from the bars of the company alone."""
UNKNOWN, SELL, HOLD, BUY = -1, 0, 1, 2
RELATIVE, ABSOLUTE = 1e-4, 1e-6  # of stored float32 outcomes
NEAR = 1e-9
"""Distance from a threshold, as a return, below which rounding decides the class: such a label is not compared."""


@dataclass(frozen=True)
class ComputedLabels:
    """Labels of one kind and horizon at some sessions, each (sessions,).

    Attributes
    ----------
    outcome
        Simple return from entry to exit, float64; NaN where it is not known.
    label
        0 sell, 1 hold, 2 buy; -1 where it is not known, or within `NEAR` of a threshold.
    end
        Position of the session on which the outcome is known; -1 where it is not.
    """

    outcome: npt.NDArray[np.float64]
    label: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelsCompared:
    """How many stored values were computed again, and what was found; values that either side lacks do not count."""

    outcomes: int
    classes: int
    ends: int
    findings: list[Finding]


def compare_labels(
    timing: Timing, store: ImageStore, rows: npt.NDArray[np.intp], position: npt.NDArray[np.intp], remedy: str
) -> LabelsCompared:
    """Compute the labels of published sessions again, with the thresholds that the store names.

    Parameters
    ----------
    timing
        The audit of one symbol: its run and its panel of all tables.
    store
        Store to look at.
    rows, position
        (sessions,) rows on the store's axis, and positions in the panel.
    remedy
        What a finding asks for.

    Returns
    -------
    LabelsCompared
        How many outcomes, classes and ends were compared, and the findings.
    """
    symbol, days = timing.symbol, timing.full.calendar.days
    bars = symbol_bars(timing.run.tables, symbol, timing.full.calendar).reindex(range(len(days)))
    settings = LabelSettings.model_validate(dict(store.attrs["label_settings"]))
    names = store.array_names(symbol)
    counts, findings = {"outcomes": 0, "classes": 0, "ends": 0}, []
    section = wide_section(timing.run.tables, timing.run.config.exchange)
    for kind in KINDS if section is None else (*KINDS, *ACROSS_THE_SECTION):
        if kind in KINDS or section is None:
            computed = [labels_of(kind, bars, position, horizon, settings) for horizon in HORIZONS]
            parts = ((one.outcome, one.label, one.end) for one in computed)
            outcome, label, end = (np.stack(columns, axis=1) for columns in zip(*parts, strict=True))
        else:
            outcome, label, end = (one[position] for one in section_columns(kind, section, symbol, days, settings))
        expected: dict[str, tuple[str, npt.NDArray[Any]]] = {
            "outcomes": ("return", outcome),
            "classes": ("label", label),
            "ends": ("label_end", np.where(end < 0, NOT_A_DAY, days[np.maximum(end, 0)].astype(np.int64))),
        }
        for part, (array, right) in expected.items():
            if f"{array}_{kind}" not in names:
                continue
            own = store.values(symbol, f"{array}_{kind}")[rows]
            own = own.astype(np.float64) if part == "outcomes" else own
            both = _known(part, own) & _known(part, right)
            same = np.isclose(own, right, rtol=RELATIVE, atol=ABSOLUTE) if part == "outcomes" else own == right
            wrong = both & ~same
            counts[part] += int(both.sum())
            if wrong.any():
                at, column = (int(number[0]) for number in np.nonzero(wrong))
                text = (
                    f"{symbol}: {int(wrong.sum())} of {int(both.sum())} stored {part} of {kind} are not those that the "
                    f"bars give, such as {days[position[at]]} over {HORIZONS[column]} "
                    f"session{'s' * (HORIZONS[column] > 1)}: {_words(part, own[at, column])}, the bars give "
                    f"{_words(part, right[at, column])}."
                )
                labels = tuple(f"label_{kind}[{HORIZONS[k]}]" for k in np.flatnonzero(wrong.any(axis=0)))
                findings.append(Finding("stored_label_differs", "store", labels, text, remedy, symbol))
    return LabelsCompared(**counts, findings=findings)


def _known(part: str, values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    if part == "outcomes":
        return np.asarray(~np.isnan(values))
    return np.asarray(values != (NOT_A_DAY if part == "ends" else UNKNOWN))


def _words(part: str, value: Any) -> str:
    if part == "ends":
        return str(np.datetime64(int(value), "D"))
    return f"{value:.6f}" if part == "outcomes" else LABEL_WORDS[int(value)]


def labels_of(
    kind: str, bars: pd.DataFrame, position: npt.NDArray[np.intp], horizon: int, settings: LabelSettings
) -> ComputedLabels:
    """Return the labels of some sessions.

    Parameters
    ----------
    kind
        `price_movement` or `triple_barrier`.
    bars
        (sessions,) open, high, low, close; NaN where there is no bar.
    position
        (labels,) positions of the sessions at whose close is decided.
    horizon
        Sessions that a label looks ahead.
    settings
        Thresholds and the length of the volatility's window.

    Returns
    -------
    ComputedLabels
        Simple returns (NaN where not known), classes and ends as positions (-1 where not known), each (labels,).

    Notes
    -----
    Entry at the open of t + 1; the unit is the standard deviation of the log returns up to t, times sqrt(h).
    `price_movement` leaves at the close of t + h, and is buy or sell beyond threshold_volatility units.
    `triple_barrier` (Lopez de Prado 2018, 3.4) leaves at the first touch of entry x (1 +- barrier_volatility units),
    the stop before the gain, at the open where the bar opens beyond; its class is the barrier.
    """
    o, h, l, c = (bars[name].to_numpy(dtype=np.float64) for name in ("open", "high", "low", "close"))
    step = pd.Series(np.diff(np.log(c), prepend=np.nan))
    deviation = step.rolling(settings.volatility_sessions, min_periods=LEAST_VOLATILITY_SESSIONS).std().to_numpy()
    outcome = np.full(len(position), np.nan)
    label, end = (np.full(len(position), UNKNOWN, dtype=np.int64) for _ in range(2))
    for number, t in enumerate(position.tolist()):
        last = t + horizon
        if last >= len(c) or np.isnan(c[t : last + 1]).any() or np.isnan(deviation[t]):
            continue
        entry, leave, day, side = o[t + 1], c[last], last, HOLD
        unit = deviation[t] * np.sqrt(horizon)
        if kind == "price_movement":
            beyond = abs(leave / entry - 1) - settings.threshold_volatility * unit
            side = UNKNOWN if abs(beyond) < NEAR else HOLD if beyond < 0 else BUY if leave > entry else SELL
        else:
            width = settings.barrier_volatility * unit
            low, high = l[t + 1 : last + 1] / entry - 1 + width, h[t + 1 : last + 1] / entry - 1 - width
            touched = np.flatnonzero((low < NEAR) | (high > -NEAR))
            if len(touched):
                first = int(touched[0])
                if min(abs(low[first]), abs(high[first])) < NEAR:
                    continue
                day, side = t + 1 + first, SELL if low[first] < 0 else BUY
                barrier = entry * (1 - width if side == SELL else 1 + width)
                leave = min(barrier, o[day]) if side == SELL else max(barrier, o[day])
        outcome[number], label[number], end[number] = leave / entry - 1, side, day
    return ComputedLabels(outcome, label, end)
