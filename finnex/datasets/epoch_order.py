"""The order of samples in an epoch, from sample numbers alone. Nothing here reads an image.

A sequence follows from (seed, epoch) and the settings of its plan, so any part of it can be found again: the share
of one process among several, the share of a worker, or all that comes after batch 17 of epoch 3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from finnex.datasets.epoch_draw import EpochDraw
from finnex.errors import TrainingError

Rows = npt.NDArray[np.intp]
"""Positions of samples."""
READ_TOGETHER = 8  # images that travel together between processes: 12 MB of shared memory


@dataclass(frozen=True)
class Plan:
    """What all sequences have in common.

    Attributes
    ----------
    rows
        Sample numbers; each comes exactly once an epoch, where `samples` and `group` are not given.
    batch_size
        The most a batch holds. Sizes differ by at most one, so that no odd few samples weigh as much as a full batch.
    shuffle
        Permute by (seed, epoch); otherwise keep the order of `rows`.
    rank, world_size
        This process and how many train together: all get the same number of batches, so that none waits indefinitely.
    samples
        Draws of an epoch, over all processes, as `EpochDraw` makes them; None for as many as there are rows.
    group
        Date or company of each of `rows`, numbered in any way: all are drawn from equally often. None: no balance.
    first_epoch
        Epoch with which the draws begin, where one of the two is given.
    """

    rows: Rows
    batch_size: int
    shuffle: bool
    seed: int
    rank: int
    world_size: int
    samples: int | None = field(default=None, kw_only=True)
    group: npt.NDArray[np.integer] | None = field(default=None, kw_only=True)
    first_epoch: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        drawn = self.samples is not None or self.group is not None
        if drawn and (not self.shuffle or not 1 <= self.size <= len(self.rows)):
            raise TrainingError(
                f"samples = {self.samples} of {len(self.rows)}, shuffle = {self.shuffle}: an epoch draws at least one "
                "sample and at most all, and only where it is shuffled."
            )
        if self.group is not None and len(self.group) != len(self.rows):
            raise TrainingError(f"there are {len(self.rows)} rows and {len(self.group)} groups. Give one for each row.")
        if self.batch_size < 1 or not 0 <= self.rank < self.world_size:
            raise TrainingError(
                f"batch_size {self.batch_size}, rank {self.rank} of {self.world_size}: a batch holds at least one "
                "sample, and ranks count from 0 to one less than the number of processes."
            )
        if self.size < self.world_size:
            raise TrainingError(
                f"{self.size} samples cannot be shared by {self.world_size} processes. "
                "Start fewer processes, or build more sessions."
            )

    @property
    def size(self) -> int:
        """Samples of an epoch, over all processes."""
        return len(self.rows) if self.samples is None else self.samples

    @cached_property
    def _draw(self) -> EpochDraw | None:
        if self.samples is None and self.group is None:
            return None
        group = None if self.group is None else np.unique(self.group, return_inverse=True)[1]
        return EpochDraw(len(self.rows), self.size, self.seed, group, self.first_epoch)

    def order(self, epoch: int) -> Rows:
        """Return the samples of an epoch in the order in which they come, over all processes."""
        if self._draw is not None:
            return self.rows[self._draw.rows(epoch)]
        if not self.shuffle:
            return self.rows
        return np.random.default_rng([self.seed, epoch]).permutation(self.rows)


@dataclass(frozen=True)
class ImagePlan(Plan):
    """Batches of whole images; a process takes every `world_size`-th."""

    def __len__(self) -> int:
        """Return the batches of this process in an epoch."""
        fewest = -(-self.size // (self.batch_size * self.world_size))
        return min(fewest, self.size // self.world_size)  # one sample each, where a batch is one sample

    def batches(self, epoch: int) -> list[Rows]:
        """Return the samples of each batch of this process."""
        return np.array_split(self.order(epoch), len(self) * self.world_size)[self.rank :: self.world_size]

    def groups(self, epoch: int, first_batch: int) -> list[Rows]:
        """Return what is read together, in order, from a batch on: a batch."""
        return self.batches(epoch)[first_batch:]


@dataclass(frozen=True)
class PatchPlan(Plan):
    """Batches of patches: images are permuted, then the patches of each block of images are shuffled.

    A process reads only its own share of the images.

    Attributes
    ----------
    patches
        Patches of an image.
    block_images
        About how many images are shuffled among each other.
    """

    patches: int
    block_images: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.block_images < 1:
            raise TrainingError(f"block_images is {self.block_images}; a block holds at least one image.")
        if any((sizes * self.patches < self._batches).any() for sizes in self._sizes):
            raise TrainingError(
                f"{self.size} images of {self.patches} patches cannot be dealt to {self.world_size} processes in "
                f"batches of {self.batch_size}. Raise batch_size."
            )

    @property
    def blocks(self) -> int:
        """Blocks of this process, the same number in every process."""
        least, most = self.size // self.world_size, -(-self.size // self.world_size)
        return min(-(-most // self.block_images), least)

    @property
    def _sizes(self) -> npt.NDArray[np.intp]:
        """Images of each block, in the process that has fewest and in the one that has most: (2, blocks)."""
        least, most = self.size // self.world_size, -(-self.size // self.world_size)
        parts = [np.array_split(np.arange(images), self.blocks) for images in (least, most)]
        return np.array([[len(images) for images in blocks] for blocks in parts], dtype=np.intp)

    @property
    def largest_block(self) -> int:
        """Images of the largest block."""
        return int(self._sizes.max())

    @property
    def _batches(self) -> list[int]:
        """Batches of each block, the same in every process: by the larger of their blocks."""
        return [-(-int(most) * self.patches // self.batch_size) for most in self._sizes.max(axis=0)]

    def __len__(self) -> int:
        """Return the batches of this process in an epoch."""
        return sum(self._batches)

    def begin(self, first_batch: int) -> tuple[int, int]:
        """Return the block that a batch belongs to, and its place among the batches of that block."""
        before = np.concatenate([[0], np.cumsum(self._batches)])
        block = int(np.searchsorted(before, first_batch, side="right")) - 1
        return block, first_batch - int(before[block])

    def images(self, epoch: int) -> list[Rows]:
        """Return the samples of each block."""
        return np.array_split(self.order(epoch)[self.rank :: self.world_size], self.blocks)

    def groups(self, epoch: int, first_batch: int) -> list[Rows]:
        """Return what is read together, in order, from the block of a batch on: a few images."""
        block, _ = self.begin(first_batch)
        return [
            rows[first : first + READ_TOGETHER]
            for rows in self.images(epoch)[block:]
            for first in range(0, len(rows), READ_TOGETHER)
        ]

    def batches(self, epoch: int, block: int, images: int) -> list[npt.NDArray[np.intp]]:
        """Return the batches of a block of so many images, as places: image in the block * patches + patch number."""
        places = np.arange(images * self.patches, dtype=np.intp)
        if self.shuffle:
            places = np.random.default_rng([self.seed, epoch, 1 + self.rank, block]).permutation(places)
        return np.array_split(places, self._batches[block])
