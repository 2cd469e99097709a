"""What each channel is worth to a network: what is lost without it, what it gives alone, and its share of the score.

The drop without a channel does not distinguish a redundant channel from an unused one: it is zero for both. So the
network is shown every subset of the channels, the others being 0, 'not known'. The share is the Shapley value, the
mean over all orders of what a channel adds to those before it (Shapley 1953, A Value for n-Person Games; of a network's
inputs: Lundberg and Lee 2017, A Unified Approach to Interpreting Model Predictions). It is exact, and the shares add up
to the score with all channels less that with none. Every figure is a mean over sessions, so each has an interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial
from typing import Literal

import numpy as np
import numpy.typing as npt

from finnex.data.calendar import Days
from finnex.evaluation.interval import Interval, mean_estimate

MOST_CHANNELS = 4
"""Of which all subsets are shown; of more, none of two or more but all but one."""
MARGIN = 0.05
"""Differences of accuracy whose interval lies within this are as good as none."""
Use = Literal["needed", "needed, partly redundant", "redundant", "not used", "open"]
Subset = frozenset[str]
Values = npt.NDArray[np.float64]


def subsets(channels: Sequence[str]) -> list[Subset]:
    """Return the subsets of channels that are shown, from all of them to none, as the figures below need them."""
    count = len(channels)
    sizes = range(count, -1, -1) if count <= MOST_CHANNELS else sorted({count, count - 1, 1, 0}, reverse=True)
    return [frozenset(some) for size in sizes for some in combinations(channels, size)]


def shapley(values: Mapping[Subset, Values], channels: Sequence[str]) -> dict[str, Values]:
    """Return each channel's share (session,) of `values` of all less `values` of none, given those of every subset."""
    count = len(channels)
    found = {}
    for channel in channels:
        others = [one for one in channels if one != channel]
        share = np.zeros_like(values[frozenset()])
        for size in range(count):
            weight = factorial(size) * factorial(count - size - 1) / factorial(count)
            for some in combinations(others, size):
                share = share + weight * (values[frozenset({*some, channel})] - values[frozenset(some)])
        found[channel] = share
    return found


@dataclass(frozen=True)
class Credit:
    """A channel's worth in accuracy.

    Attributes
    ----------
    drop
        All channels less all but this one.
    gain
        This one alone less none.
    share
        Its Shapley value; None where not every subset was shown.
    shared
        `gain` less `drop`: above 0, other channels give a part of what it gives.
    most_changed
        Upper bound, of 95 %, of the share of sessions whose answered class depends on it in any subset.
    unchanged
        Whether no probability of any session depends on it in any subset.
    """

    drop: Interval
    gain: Interval
    share: Interval | None
    shared: Interval
    most_changed: float
    unchanged: bool

    @property
    def use(self) -> Use:
        """What the intervals, of 95 % each, support; `open` where they support nothing.

        A figure without an interval supports nothing.
        """
        if self.unchanged:
            return "not used"
        partly = _low(self.gain) > 0 and _low(self.shared) > 0
        if _low(self.drop) > 0:
            return "needed, partly redundant" if partly else "needed"
        if partly:
            return "redundant"
        return "not used" if self.most_changed < MARGIN or all(map(_nothing, self._figures)) else "open"

    def words(self) -> str:
        """Say it in a sentence."""
        if self.unchanged:
            return "not used: no answer depends on it"
        reasons = [one.reason for one in self._figures if one.low is None]
        if self.use == "open" and len(reasons) == len(self._figures):
            return f"open: {reasons[0]}"
        return {
            "needed": "needed: accuracy is lost without it",
            "needed, partly redundant": "needed, partly redundant: accuracy is lost without it, but less than it gives "
            "alone",
            "redundant": "redundant: it gives accuracy alone, and more than is lost without it",
            "not used": f"not used: with it or without, accuracy differs by less than {MARGIN:g}",
            "open": "open: the intervals do not decide whether it is needed, redundant or not used",
        }[self.use]

    @property
    def _figures(self) -> list[Interval]:
        return [self.drop, self.gain, self.shared, *([] if self.share is None else [self.share])]


def credits_of(
    probabilities: Mapping[Subset, Values], labels: npt.NDArray[np.integer], channels: Sequence[str], days: Days,
    horizon: int,
) -> dict[str, Credit]:  # fmt: skip
    """Return what each channel is worth.

    Parameters
    ----------
    probabilities
        (session, class) of each of `subsets`.
    labels
        (session,) classes.
    channels
        Names of the channels.
    days
        (session,) `datetime64[D]`.
    horizon
        Sessions that a label looks ahead.

    Returns
    -------
    dict
        Channel to its credit, with 95 % intervals.
    """

    def interval(values: Values) -> Interval:
        return mean_estimate(values, days, horizon).interval()

    right = {some: (said.argmax(axis=1) == labels).astype(np.float64) for some, said in probabilities.items()}
    every, none = frozenset(channels), frozenset[str]()
    shares = shapley(right, channels) if len(channels) <= MOST_CHANNELS else {}
    found = {}
    for channel in channels:
        drop = right[every] - right[every - {channel}]
        gain = right[frozenset({channel})] - right[none]
        pairs = [(some, some - {channel}) for some in probabilities if channel in some]
        shown = [(probabilities[one], probabilities[other]) for one, other in pairs if other in probabilities]
        changed = np.any([one.argmax(axis=1) != other.argmax(axis=1) for one, other in shown], axis=0)
        found[channel] = Credit(
            drop=interval(drop),
            gain=interval(gain),
            share=interval(shares[channel]) if channel in shares else None,
            shared=interval(gain - drop),
            most_changed=_most(changed, days, horizon),
            unchanged=all(np.array_equal(one, other) for one, other in shown),
        )
    return found


def _most(changed: npt.NDArray[np.bool_], days: Days, horizon: int) -> float:
    """Return the upper bound of a share; of none in n, 3 / n (Hanley and Lippman-Hand 1983), labels counted once."""
    if not changed.any():
        return min(1.0, 3 * horizon / len(np.unique(days)))
    high = mean_estimate(changed.astype(np.float64), days, horizon, share=True).interval().high
    return 1.0 if high is None else float(high)


def _low(one: Interval) -> float:
    return -np.inf if one.low is None else float(one.low)


def _nothing(one: Interval) -> bool:
    return one.low is not None and one.high is not None and one.low > -MARGIN and one.high < MARGIN
