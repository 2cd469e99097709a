"""The best trial of one half of the sessions in the other half, over all ways to halve blocks of sessions."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
AT_A_TIME = 2_000_000
"""Ratios that are computed at a time: 16 MB."""
NOTHING = 1e-12
"""Variance, as a share of that over all sessions, below which a trial does not vary in a half."""


def choices(cut: Floats) -> tuple[Floats, Floats, Floats]:
    """Return of each split the best ratio of the chosen half, that trial's ratio in the other one, and its rank there.

    The sums of blocks are added up, so that no session is looked at more than once. Splits are in lexicographic order:
    the other half of one is the chosen half of the one that is as far from the end.

    Parameters
    ----------
    cut
        (blocks, sessions, trials) with a standard deviation of about 1.
    """
    blocks, size, trials = cut.shape
    middle = cut.mean(axis=(0, 1))
    sums, squares = (cut - middle).sum(axis=1), ((cut - middle) ** 2).sum(axis=1)
    halves = np.array(list(combinations(range(blocks), blocks // 2)))
    inside = np.zeros((len(halves), blocks))
    np.put_along_axis(inside, halves, 1.0, axis=1)
    chosen, after, rank = np.empty((3, len(halves)))
    step = max(1, AT_A_TIME // trials)
    for start in range(0, len(halves) // 2, step):
        these = np.arange(start, min(start + step, len(halves) // 2))
        those = len(halves) - 1 - these
        first, second = (
            _ratios(inside[rows] @ sums, inside[rows] @ squares, middle, blocks // 2 * size) for rows in (these, those)
        )
        for rows, here, there in ((these, first, second), (those, second, first)):
            best = here.argmax(axis=1)[:, None]
            chosen[rows] = np.take_along_axis(here, best, axis=1)[:, 0]
            found = np.take_along_axis(there, best, axis=1)
            equal = np.isclose(there, found, rtol=1e-9, atol=1e-12)
            after[rows] = found[:, 0]
            rank[rows] = ((there < found) & ~equal).sum(axis=1) + (equal.sum(axis=1) + 1) / 2
    return chosen, after, rank


def _ratios(sums: Floats, squares: Floats, middle: Floats, count: int) -> Floats:
    """Return mean over standard deviation of values whose sums are those of differences from `middle`."""
    variance = (squares - sums**2 / count) / (count - 1)
    mean = sums / count + middle
    still = variance <= NOTHING
    ratio = mean / np.sqrt(np.where(still, 1.0, variance))
    if not still.any():
        return np.asarray(ratio)
    return np.where(still, np.where(np.abs(mean) <= 1e-9, 0.0, np.copysign(np.inf, mean)), ratio)


def slope(chosen: Floats, after: Floats) -> float | None:
    """Return the least-squares slope of ratios in the other half on those in the half of the choice; None without one.

    Splits with a ratio that is not finite are left out.
    """
    known = np.isfinite(chosen) & np.isfinite(after)
    if not known.any() or np.ptp(chosen[known]) <= 1e-12:
        return None
    x = chosen[known] - chosen[known].mean()
    return float(x @ after[known] / (x @ x))
