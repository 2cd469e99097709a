"""Batches of patches: an image is read once an epoch, cut in memory, and shuffled within a block of images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from finnex.datasets.batches import Batch, BatchSequence, Read
from finnex.datasets.epoch_order import READ_TOGETHER, PatchPlan, Rows
from finnex.datasets.pinned import PinnedStore
from finnex.errors import TrainingError
from finnex.patches.grid import PATCH_PX

BLOCK_IMAGES = 128
"""Images whose patches are shuffled among each other. All patches of an image share its label, so a batch of B patches
out of K images says as much of the labels as `1 / (1/B + 1/K)` patches drawn from everywhere; two blocks are in memory,
0.4 GB of 512 x 512 x 3 images."""


class PatchBatches(BatchSequence):
    """Batches of patches over some rows of the samples; every patch comes exactly once an epoch.

    Give it to `finnex.datasets.loader.load`. Within a `DataLoader` of your own every worker would read all images to
    make its batches: the same batches, no faster.

    Parameters
    ----------
    pinned
        Images to read.
    rows
        Samples to use.
    batch_size
        The most patches in a batch; sizes differ by at most one within a block.
    patch_px
        Side of a patch; it divides the image's height and width.
    block_images
        About how many images are shuffled among each other.
    shuffle
        Permute images, then the patches of each block of images, by (seed, epoch); otherwise image by image.
    seed
        Of the permutation.
    rank, world_size
        This process' share when several train together: every `world_size`-th image, as many batches in each.
    samples
        Draws of an epoch; None for as many as there are rows.
    group
        (rows,) whole numbers: date or company of each row, all of which are drawn from equally often. None: no balance.
    first_epoch
        Epoch with which the draws begin, where `samples` or `group` is given.

    Attributes
    ----------
    plan
        Order of the samples and patches in an epoch.

    Raises
    ------
    TrainingError
        Patches of that size do not tile the image.

    Examples
    --------
    >>> from finnex.config import LabelSettings
    >>> from finnex.datasets import labelled_samples
    >>> from finnex.store import ImageStore
    >>> store = ImageStore.open("images.zarr")
    >>> pinned = PinnedStore(store, labelled_samples(store, LabelSettings()))
    >>> batches = PatchBatches(pinned, np.arange(2), batch_size=256)
    >>> [tuple(batch.images.shape) for batch in batches]
    [(256, 3, 32, 32), (256, 3, 32, 32)]
    """

    plan: PatchPlan

    def __init__(
        self, pinned: PinnedStore, rows: Rows, batch_size: int, *,
        patch_px: int = PATCH_PX, block_images: int = BLOCK_IMAGES,
        shuffle: bool = False, seed: int = 0, rank: int = 0, world_size: int = 1,
        samples: int | None = None, group: npt.NDArray[np.integer] | None = None, first_epoch: int = 0,
    ) -> None:  # fmt: skip
        channels, height, width = pinned.reader.shape
        if patch_px < 1 or height % patch_px or width % patch_px:
            raise TrainingError(
                f"patches of {patch_px} pixels do not tile images of {height} x {width}. "
                "Choose a side that divides both."
            )
        # Places of a patch (row, column, channel, y, x), an image's patches one after the other.
        self._cut = (height // patch_px, width // patch_px, channels, patch_px, patch_px)
        patches = self._cut[0] * self._cut[1]
        rows = np.asarray(rows, dtype=np.intp)
        block = block_images if shuffle else max(READ_TOGETHER, -(-batch_size // patches))
        plan = PatchPlan(
            rows, batch_size, shuffle, seed, rank, world_size, patches, block,
            samples=samples, group=group, first_epoch=first_epoch,
        )  # fmt: skip
        super().__init__(pinned, plan)

    def assemble(self, read: Read) -> Iterator[Batch]:
        """Deal out one block of patches while the next is read.

        Parameters
        ----------
        read
            Gives the images of some rows, as `PinnedStore.read` does.

        Yields
        ------
        Batch
            Patches (B, C, patch_px, patch_px) float16, their labels and their numbers.
        """
        epoch, first_batch = self.position
        number, done = self.plan.begin(first_batch)
        blocks = self.plan.images(epoch)[number:]
        if not blocks:
            return
        for rows, block in zip(blocks, self._read_blocks(blocks, read), strict=True):
            for places in self.plan.batches(epoch, number, len(rows))[done:]:
                yield self._batch(block, rows, places)
            number, done = number + 1, 0

    def _read_blocks(self, blocks: list[Rows], read: Read) -> Iterator[Tensor]:
        """Yield each block's patches (image, row, column, C, y, x), good until the next is asked for."""
        largest, room = self.plan.largest_block, self.pinned.reader.room
        halves = [room.take(largest).view(largest, *self._cut) for _ in range(2)]
        with ThreadPoolExecutor(1, "finnex-block") as thread:

            def fetch(number: int) -> Future[Tensor]:
                rows = blocks[number]
                # An image's patches, viewed as the image: (image, C, row, y, column, x).
                return thread.submit(read, rows, halves[number % 2][: len(rows)].permute(0, 3, 1, 4, 2, 5))

            coming = fetch(0)
            for number in range(len(blocks)):
                coming.result()
                if number + 1 < len(blocks):
                    coming = fetch(number + 1)
                yield halves[number % 2]

    def _batch(self, block: Tensor, rows: Rows, places: Rows) -> Batch:
        image, patch = np.divmod(places, self.plan.patches)
        shape = self._cut[2:]  # (C, y, x)
        found = torch.index_select(block.view(-1, math.prod(shape)), 0, torch.from_numpy(places))
        mine = rows[image]
        labels = torch.from_numpy(self.pinned.samples.label[mine])
        return Batch(found.view(-1, *shape), labels, mine, torch.from_numpy(patch.astype(np.int64)))
