"""Which samples an epoch draws where it does not draw all: a walk through all of them that no epoch begins anew.

Groups are walked in passes: each group once a pass, in an order of its own. A group is a sample; or, for balance, a
date or a company, whose samples are walked in the same way whenever its turn comes. So at every moment the groups
were drawn from equally often, but for one; within an epoch too; and a sample is drawn again only when all others of
its group were. Everything follows from seed and epoch, so any epoch can be had again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from finnex.errors import TrainingError

Integers = npt.NDArray[np.intp]
Hashes = npt.NDArray[np.uint64]
GROUPS, MEMBERS = 1, 2
"""What an order is of: part of the hash that makes it."""


def _hash(*parts: int | npt.NDArray[np.integer]) -> Hashes:
    """Return 64 evenly spread bits for whole numbers, broadcast: SplitMix64 (Steele, Lea, Flood 2014) over each."""
    found: Hashes = np.zeros(1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for part in parts:
            found = found + np.asarray(part).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
            found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            found = found ^ (found >> np.uint64(31))
    return found


@dataclass(frozen=True)
class EpochDraw:
    """Draws of a training, epoch by epoch.

    Attributes
    ----------
    count
        Samples to draw from, numbered from 0.
    samples
        Draws of an epoch, over all processes.
    seed
        Of all orders.
    group
        Group of each sample, 0, 1, ... without gap; None where each is its own.
    first_epoch
        Epoch with which the walk begins.

    Examples
    --------
    >>> draw = EpochDraw(count=4, samples=2, seed=7)
    >>> sorted([*draw.rows(0).tolist(), *draw.rows(1).tolist()])
    [0, 1, 2, 3]
    """

    count: int
    samples: int
    seed: int
    group: Integers | None = None
    first_epoch: int = 0
    _passes: dict[int, Integers] = field(default_factory=dict, compare=False, repr=False)
    """The passes that were needed last: the next epoch continues from them."""

    @cached_property
    def groups(self) -> int:
        """How many groups there are."""
        return self.count if self.group is None else int(self.group.max()) + 1

    def rows(self, epoch: int) -> Integers:
        """Return the numbers of an epoch's samples in the order in which they come.

        Raises
        ------
        TrainingError
            The walk begins with a later epoch.
        """
        if epoch < self.first_epoch:
            raise TrainingError(f"there is no epoch {epoch}: the draws begin with epoch {self.first_epoch}.")
        begin = (epoch - self.first_epoch) * self.samples
        number, skipped = divmod(begin, self.groups)
        opened = self._pass(number)
        slots = self._slots(begin, opened[skipped:])
        if self.group is None:
            return slots
        before = np.full(self.groups, number, dtype=np.intp)
        before[opened[:skipped]] += 1
        return _members(self.group, self.seed, slots, before)

    def _slots(self, begin: int, rest: Integers) -> Integers:
        """Return the groups of an epoch's draws, from the draw `begin` of the walk on; `rest` is left of its pass."""
        first, last = begin // self.groups, (begin + self.samples - 1) // self.groups
        opened = rest[: self.samples]
        if first == last:
            return opened
        between = np.arange(first + 1, last)[:, None]
        whole = np.argsort(_hash(self.seed, GROUPS, between, np.arange(self.groups)), axis=1, kind="stable").ravel()
        return np.concatenate([opened, whole, self._pass(last)[: self.samples - len(opened) - len(whole)]])

    def _pass(self, number: int) -> Integers:
        """Return the order of a pass.

        What an epoch has drawn of one pass comes last in the pass that it leaves unfinished: it draws from no group
        two times more than from another. That order depends on the one before, back to the beginning of the walk.
        """
        known, chain = dict(self._passes), [number]
        while chain[-1] not in known and (earlier := self._begun_with(chain[-1])) is not None:
            chain.append(earlier)
        for one in reversed(chain):
            if one in known:
                continue
            order = np.argsort(_hash(self.seed, GROUPS, one, np.arange(self.groups)), kind="stable")
            if (earlier := self._begun_with(one)) is not None:
                drawn = np.zeros(self.groups, dtype=bool)
                drawn[known.pop(earlier)[self._epoch_begin(one) % self.groups :]] = True
                order = np.concatenate([order[~drawn[order]], order[drawn[order]]])
            known[one] = order
        self._passes.clear()
        self._passes[number] = known[number]
        return known[number]

    def _epoch_begin(self, number: int) -> int:
        """Return the draw with which the epoch begins in which a pass does."""
        return number * self.groups // self.samples * self.samples

    def _begun_with(self, number: int) -> int | None:
        """Return the pass whose end opens the epoch that a pass begins in and does not end in, where there is one."""
        begin, here = self._epoch_begin(number), number * self.groups
        if begin == here or begin % self.groups == 0 or here + self.groups <= begin + self.samples:
            return None
        return begin // self.groups

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what can be computed again."""
        return {**vars(self), "_passes": {}}


def _members(group: Integers, seed: int, slots: Integers, before: Integers) -> Integers:
    """Return a sample for every slot: the next of its group's own walk.

    Parameters
    ----------
    group
        Group of each sample.
    seed
        Of the orders.
    slots
        Group of each draw.
    before
        Draws of each group before these.

    Returns
    -------
    numpy.ndarray
        (slots,) samples.
    """
    size, draws = np.bincount(group), np.bincount(slots, minlength=len(before))
    first = before // size
    passes = np.where(draws > 0, (before + draws - 1) // size - first + 1, 0)
    # One block for each pass of each group that is needed, group by group, pass by pass; in it the group's samples.
    of = np.repeat(np.arange(len(size)), passes)
    number = first[of] + np.arange(len(of)) - np.repeat(np.cumsum(passes) - passes, passes)
    lengths = size[of]
    block = np.repeat(np.arange(len(of)), lengths)
    within = np.arange(len(block)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    members, starts = np.argsort(group, kind="stable"), np.cumsum(size) - size
    sample = members[starts[of][block] + within]
    walked = sample[np.lexsort((_hash(seed, MEMBERS, number[block], sample), block))]
    # Where a group's first draw of the epoch lies in that walk, and how many draws of its group each draw follows.
    at = np.cumsum(passes * size) - passes * size + before - first * size
    turn = np.empty(len(slots), dtype=np.intp)
    by_group = np.argsort(slots, kind="stable")
    turn[by_group] = np.arange(len(slots)) - np.repeat(np.cumsum(draws) - draws, draws)
    found: Integers = walked[at[slots] + turn]
    return found
