"""Estimators over trailing windows of (sessions, patches): every one a pure function, causal, NaN where undefined.

Sums run from the oldest to the newest session of a window, value by value. So the bits of a window do not
depend on the sessions before or after it, as those of a running sum would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finnex.data.point_in_time import Floats


def ratio(above: Floats, below: Floats, where: npt.NDArray[np.bool_]) -> Floats:
    """Return `above / below` where it may be said, NaN elsewhere."""
    found: Floats = np.divide(above, below, out=np.full(above.shape, np.nan), where=where)
    return found


def trailing(values: Floats, window: int) -> Iterator[Floats]:
    """Yield, for each place of a window from the oldest to the newest, every session's value of it."""
    for age in range(window - 1, -1, -1):
        yield shift(values, age)


def shift(values: Floats, sessions: int) -> Floats:
    """Return the values of so many sessions ago, NaN before the first."""
    moved = np.full(values.shape, np.nan)
    if sessions < len(values):
        moved[sessions:] = values[: len(values) - sessions]
    return moved


def mean(values: Floats, window: int, least: int) -> Floats:
    """Return the mean of the known values of a window; NaN below `least` of them."""
    total, count = np.zeros(values.shape), np.zeros(values.shape)
    for part in trailing(values, window):
        known = ~np.isnan(part)
        total += np.where(known, part, 0.0)
        count += known
    return ratio(total, count, count >= max(1, least))


def spread(values: Floats, window: int, least: int) -> Floats:
    """Return the standard deviation of a window about its mean, divisor n - 1."""
    centre = mean(values, window, least)
    total, count = np.zeros(values.shape), np.zeros(values.shape)
    for part in trailing(values, window):
        known = ~np.isnan(part)
        total += np.where(known, (part - centre) ** 2, 0.0)
        count += known
    return np.asarray(np.sqrt(ratio(total, count - 1, count >= max(2, least))))


def correlation(first: Floats, second: Floats, window: int, least: int) -> Floats:
    """Return Pearson's correlation over the sessions of a window on which both are known, in [-1, 1].

    NaN below `least` such sessions, or where one of them did not move.

    Parameters
    ----------
    first, second
        (sessions, ...) float64 of one shape; NaN where not known.
    window
        Sessions that each value looks back on, its own among them.
    least
        Sessions on which both must be known.

    Returns
    -------
    numpy.ndarray
        float64 of the shape of `first`.
    """
    both = ~np.isnan(first) & ~np.isnan(second)
    a, b = np.where(both, first, np.nan), np.where(both, second, np.nan)
    centre_a, centre_b = mean(a, window, least), mean(b, window, least)
    ab, aa, bb = (np.zeros(a.shape) for _ in range(3))
    for x, y in zip(trailing(a, window), trailing(b, window), strict=True):
        known = ~np.isnan(x)
        dx, dy = np.where(known, x - centre_a, 0.0), np.where(known, y - centre_b, 0.0)
        ab += dx * dy
        aa += dx * dx
        bb += dy * dy
    # Rounding leaves a hair of variance in a window of equal values.
    moved = (aa > 1e-18) & (bb > 1e-18)
    return np.asarray(np.clip(ratio(ab, np.sqrt(aa * bb), moved), -1.0, 1.0))


def trend(values: Floats, window: int, least: int) -> Floats:
    """Return the correlation of the values with time over a window, in [-1, 1]; 0 where they did not move."""
    # Time counts back from the window's own end, so that a session's bits do not depend on where the data begins.
    known, total = np.zeros(values.shape), np.zeros(values.shape)
    for age, part in zip(range(window - 1, -1, -1), trailing(values, window), strict=True):
        here = ~np.isnan(part)
        known += here
        total -= age * here
    centre = ratio(total, known, known >= max(2, least))
    level = mean(values, window, least)
    xy, xx, yy = (np.zeros(values.shape) for _ in range(3))
    for age, part in zip(range(window - 1, -1, -1), trailing(values, window), strict=True):
        here = ~np.isnan(part)
        dx, dy = np.where(here, -age - centre, 0.0), np.where(here, part - level, 0.0)
        xy += dx * dy
        xx += dx * dx
        yy += dy * dy
    enough, moved = ~np.isnan(centre), yy > 1e-18
    found = np.where(moved, np.clip(ratio(xy, np.sqrt(xx * yy), moved), -1.0, 1.0), 0.0)
    return np.where(enough, found, np.nan)


def autoregression(values: Floats, window: int, least: int) -> tuple[Floats, Floats]:
    """Return the mean of a window and its first-order autoregressive coefficient, in [0, 1].

    Least squares about the window's mean, corrected for its bias (Marriott and Pope 1954, Kendall 1954). The
    coefficient is NaN below `least` pairs of sessions, or where nothing moved.
    """
    level = mean(values, window, least)
    before = shift(values, 1)
    xy, xx, count = (np.zeros(values.shape) for _ in range(3))
    for old, new in zip(trailing(before, window), trailing(values, window), strict=True):
        pair = ~np.isnan(old) & ~np.isnan(new)
        dx = np.where(pair, old - level, 0.0)
        xy += dx * np.where(pair, new - level, 0.0)
        xx += dx * dx
        count += pair
    fitted = ratio(xy, xx, (count >= max(4, least)) & (xx > 1e-18))
    return level, np.asarray(np.clip((count * fitted + 1) / np.maximum(count - 3, 1), 0.0, 1.0))


def reversion(values: Floats, window: int, least: int, ahead: int) -> Floats:
    """Return the change to expect over the next `ahead` sessions if the window's autoregression holds.

    `(mean - value) * (1 - coefficient ** ahead)`: a series without a pull gives 0.

    Parameters
    ----------
    values
        (sessions, ...) float64; NaN where not known.
    window
        Sessions that the autoregression is fitted on.
    least
        Sessions that must be known in it.
    ahead
        Sessions ahead.

    Returns
    -------
    numpy.ndarray
        Expected change, in the unit of `values` and of their shape; NaN where the autoregression is not known.
    """
    level, coefficient = autoregression(values, window, least)
    return np.asarray((level - values) * (1 - coefficient**ahead))


@dataclass(frozen=True)
class Simulation:
    """How the past is replayed.

    Attributes
    ----------
    window, least
        Sessions whose range or size counts, and how many of them must be known.
    ahead
        Sessions to look ahead.
    memory, least_paths
        How many past paths are replayed at most and at least.
    decay
        How much a path weighs less for every session it is older (Boudoukh, Richardson and Whitelaw 1998).
    """

    window: int
    least: int
    ahead: int
    memory: int
    least_paths: int
    decay: float


def breakout(values: Floats, how: Simulation, coefficient: Floats) -> Floats:
    """Return the probability that the values leave their window's range within the sessions ahead.

    Filtered historical simulation (Barone-Adesi, Giannopoulos and Vosper 1999) with fading weights: every past path
    is replayed from today's value, its distance to today's fading by the autoregressive coefficient. With c the
    coefficient, s the values and u the path's start, step k of it reads `s[u + k] + c**k * (s[t] - s[u])`. The
    probability is the weighted share of paths that come above the highest or below the lowest of the window.

    Parameters
    ----------
    coefficient
        In [0, 1], as `autoregression` gives it; where it is NaN a path keeps its distance.

    Returns
    -------
    numpy.ndarray
        In [0, 1]; NaN where the value is unknown or fewer than `least` values or `least_paths` paths are known.
    """
    high, low = np.full(values.shape, -np.inf), np.full(values.shape, np.inf)
    count = np.zeros(values.shape)
    for part in trailing(values, how.window):
        known = ~np.isnan(part)
        high = np.where(known, np.maximum(high, part), high)
        low = np.where(known, np.minimum(low, part), low)
        count += known
    sure = (count >= how.least) & ~np.isnan(values)
    kept = np.where(np.isnan(coefficient), 1.0, coefficient)
    fades = [kept**step for step in range(1, how.ahead + 1)]

    def left_range(age: int) -> Floats:
        start = shift(values, age + how.ahead)
        apart = values - start
        out, known = np.zeros(values.shape, dtype=bool), np.zeros(values.shape, dtype=bool)
        for step, fade in enumerate(fades, start=1):
            path = shift(values, age + how.ahead - step) + fade * apart  # NaN, and no breakout, where not known
            out |= (path > high) | (path < low)
            known |= ~np.isnan(path)
        return np.where(known, out, np.nan)

    return np.where(sure, _faded_share(left_range, values.shape, how), np.nan)


def expansion(values: Floats, how: Simulation) -> Floats:
    """Return the probability that the changes ahead are larger, in mean square, than those of the window.

    Historical simulation with fading weights: the share of past stretches of `ahead` sessions whose mean square
    change exceeds that of the window. NaN as in `breakout`.
    """
    square = (values - shift(values, 1)) ** 2
    recent, stretch = mean(square, how.window, how.least), mean(square, how.ahead, how.ahead)

    def larger(age: int) -> Floats:
        then = shift(stretch, age)
        return np.where(np.isnan(then), np.nan, then > recent)

    return np.where(np.isnan(recent), np.nan, _faded_share(larger, values.shape, how))


def _faded_share(happened: Callable[[int], Floats], shape: tuple[int, ...], how: Simulation) -> Floats:
    """Return the weighted share of past sessions on which something happened."""
    total, weights, count = (np.zeros(shape) for _ in range(3))
    for age in range(how.memory - 1, -1, -1):
        found = happened(age)
        known = ~np.isnan(found)
        total += np.where(known, found, 0.0) * how.decay**age
        weights += known * how.decay**age
        count += known
    return ratio(total, weights, count >= max(1, how.least_paths))
