"""Decisions that need no model: every company bought and held, or held in equal parts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def buy_and_hold_positions(positions: Floats, horizon: int) -> tuple[Floats, int]:
    """Return one decision that buys every company at the first entry, and how long it is held.

    Parameters
    ----------
    positions
        (sessions, companies) of a strategy, NaN where nothing was decided.
    horizon
        Sessions that the strategy holds a position.

    Returns
    -------
    tuple
        (sessions, companies) positions, 1 for each company that was decided on at any time, NaN elsewhere; and the
        sessions from that decision to the strategy's last exit.
    """
    decided = np.flatnonzero(~np.isnan(positions).all(axis=1))
    first, last = int(decided[0]), int(decided[-1])
    held = np.full(positions.shape, np.nan)
    held[first, ~np.isnan(positions).all(axis=0)] = 1.0
    return held, min(last + horizon, len(positions) - 1) - first


def equal_weight_positions(positions: Floats) -> Floats:
    """Return decisions to buy every company, at each session from the strategy's first decision to its last.

    Parameters
    ----------
    positions
        (sessions, companies) of a strategy, NaN where nothing was decided.

    Returns
    -------
    ndarray
        (sessions, companies): 1 for each company that was decided on at any time, NaN before the first and after the
        last decision.
    """
    decided = np.flatnonzero(~np.isnan(positions).all(axis=1))
    held = np.full(positions.shape, np.nan)
    held[decided[0] : decided[-1] + 1, ~np.isnan(positions).all(axis=0)] = 1.0
    return held
