"""Falls of a portfolio's wealth from its highest close before, and how long each lasted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from finnex.data.calendar import Days

ROUNDING = 1e-12
"""A fall that is no larger is one of the last digits, and none."""


@dataclass(frozen=True)
class Drawdown:
    """One fall, until the wealth is back at its high.

    Attributes
    ----------
    depth
        Largest fall, as a share of the high before it, in (0, 1].
    first, trough
        ISO dates of the first close below the high, and of the lowest.
    recovered
        ISO date of the first close at the high or above it; empty where it was not reached again.
    sessions
        Closes below the high.
    """

    depth: float
    first: str
    trough: str
    recovered: str
    sessions: int

    def record(self) -> dict[str, Any]:
        """Return plain values by name; `recovered` is None where the high was not reached again."""
        return asdict(self) | {"recovered": self.recovered or None}


def below_high(wealth: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return by how much each close is below the highest before it, as a share of that.

    Parameters
    ----------
    wealth
        (sessions,) in multiples of the capital at the start, 0 or more; that capital is the first high.

    Returns
    -------
    ndarray
        (sessions,) float64 in [0, 1].

    Examples
    --------
    >>> below_high(np.array([0.9, 1.2, 0.6])).round(3).tolist()
    [0.1, 0.0, 0.5]
    """
    fall = 1 - wealth / np.maximum(1.0, np.maximum.accumulate(wealth))
    return np.where(fall > ROUNDING, fall, 0.0)


def drawdowns(days: Days, wealth: npt.NDArray[np.float64]) -> list[Drawdown]:
    """Return every fall, the deepest first; the earlier one of two that are equally deep.

    Parameters
    ----------
    days
        (sessions,) `datetime64[D]`, ascending.
    wealth
        (sessions,) at each close, in multiples of the capital at the start.

    Returns
    -------
    list of Drawdown
        Empty where the wealth never fell.

    Examples
    --------
    >>> days = np.arange("2024-01-01", "2024-01-06", dtype="datetime64[D]")
    >>> found = drawdowns(days, np.array([1.1, 0.88, 0.99, 1.2, 1.14]))
    >>> [(round(one.depth, 2), one.first, one.trough, one.recovered, one.sessions) for one in found]
    [(0.2, '2024-01-02', '2024-01-02', '2024-01-04', 2), (0.05, '2024-01-05', '2024-01-05', '', 1)]
    """
    fall = below_high(wealth)
    edges = np.diff(np.concatenate([[0], (fall > 0).astype(np.int64), [0]]))
    found = []
    for begin, end in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        trough = begin + int(fall[begin:end].argmax())
        recovered = str(days[end]) if end < len(days) else ""
        found.append(Drawdown(float(fall[trough]), str(days[begin]), str(days[trough]), recovered, int(end - begin)))
    return sorted(found, key=lambda one: -one.depth)
