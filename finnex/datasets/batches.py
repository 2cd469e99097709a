"""Batches of whole images: a sequence that (seed, epoch) decides, read from memory or from the store."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from finnex.datasets.epoch_order import ImagePlan, PatchPlan, Rows
from finnex.datasets.pinned import PinnedStore
from finnex.errors import TrainingError

Read = Callable[[Rows, Tensor | None], Tensor]
"""Gives the images of some rows, as `PinnedStore.read` does; asked in the order of a plan's groups."""


@dataclass(frozen=True)
class Batch:
    """The images and labels of one forward pass.

    Attributes
    ----------
    images
        (B, C, H, W) float16 in [0, 1], 0 where not known: whole images, or patches of them.
    labels
        (B,) int64.
    rows
        Samples that the images belong to, (B,).
    patches
        Number of each patch in its image, (B,) int64, row by row from the top left; None for whole images.

    Examples
    --------
    >>> batch = Batch(torch.zeros(2, 3, 32, 32), torch.tensor([0, 2]), np.arange(2))
    >>> len(batch)
    2
    """

    images: Tensor
    labels: Tensor
    rows: npt.NDArray[np.intp]
    patches: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)


class BatchSequence(IterableDataset[Batch]):
    """Batches in an order of their own; `finnex.datasets.loader.load` reads them ahead.

    Images are read in groups, in the order of the plan; batches are put together from what was read. So
    processes can share the reading and the batches stay the same.

    Parameters
    ----------
    pinned
        Images to read.
    plan
        Order of the samples in an epoch.

    Examples
    --------
    >>> from finnex.config import LabelSettings
    >>> from finnex.datasets import labelled_samples
    >>> from finnex.store import ImageStore
    >>> store = ImageStore.open("images.zarr")
    >>> pinned = PinnedStore(store, labelled_samples(store, LabelSettings()))
    >>> batches = ImageBatches(pinned, np.arange(4), batch_size=2, shuffle=True, seed=1)
    >>> batches.set_epoch(3)
    >>> sorted(batches.order().tolist()), len(list(batches.assemble(pinned.read)))
    ([0, 1, 2, 3], 2)
    """

    def __init__(self, pinned: PinnedStore, plan: ImagePlan | PatchPlan) -> None:
        super().__init__()
        if len(plan.rows) and not 0 <= plan.rows.min() <= plan.rows.max() < len(pinned.samples):
            raise TrainingError(
                f"rows reach from {plan.rows.min()} to {plan.rows.max()}; samples are numbered from 0 to "
                f"{len(pinned.samples) - 1}."
            )
        self.pinned, self.plan = pinned, plan
        self.position = (0, 0)
        """Epoch, and batch of this process with which a pass begins."""

    def __len__(self) -> int:
        """Return the batches of this process in an epoch."""
        return len(self.plan)

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None:
        """Choose the sequence of the passes to come, and the batch with which they begin.

        Parameters
        ----------
        epoch
            Number of the epoch, from 0.
        first_batch
            Batch of this process with which the next pass begins, from 0.

        Raises
        ------
        TrainingError
            An epoch has fewer batches.
        """
        if epoch < 0 or not 0 <= first_batch <= len(self):
            raise TrainingError(
                f"there is no batch {first_batch} in epoch {epoch}: epochs count from 0 and have {len(self)} batches. "
                "A checkpoint that says otherwise is of another training."
            )
        self.position = (epoch, first_batch)

    def order(self) -> Rows:
        """Return the samples of this epoch in the order in which they come, over all processes.

        Returns
        -------
        numpy.ndarray
            (samples,) positions of the samples.
        """
        return self.plan.order(self.position[0])

    @abstractmethod
    def assemble(self, read: Read) -> Iterator[Batch]:
        """Make the batches from the position on; `read` is asked for images in the order of `plan.groups`.

        Parameters
        ----------
        read
            Gives the images of some rows, as `PinnedStore.read` does.

        Returns
        -------
        Iterator of Batch
            The batches of this process.
        """

    def __iter__(self) -> Iterator[Batch]:
        """Read and yield in this process; within a `DataLoader`'s worker, every so-many-th batch."""
        worker = get_worker_info()
        if worker is not None:
            return self._every(worker.id, worker.num_workers)
        return self.assemble(self.pinned.read)

    def _every(self, first: int, step: int) -> Iterator[Batch]:
        return islice(self.assemble(self.pinned.read), first, None, step)


class ImageBatches(BatchSequence):
    """Batches of whole images over some rows of the samples.

    Parameters
    ----------
    pinned
        Images to read.
    rows
        Samples to use; each comes exactly once an epoch, where neither `samples` nor `group` is given.
    batch_size
        The most a batch holds; sizes differ by at most one.
    shuffle
        Permute by (seed, epoch); otherwise keep the order of `rows`.
    seed
        Of the permutation.
    rank, world_size
        This process' share when several train together: every `world_size`-th batch, as many in each.
    samples
        Draws of an epoch; None for as many as there are rows.
    group
        (rows,) whole numbers: date or company of each row, all of which are drawn from equally often. None: no balance.
    first_epoch
        Epoch with which the draws begin, where `samples` or `group` is given.

    Attributes
    ----------
    plan
        Order of the samples in an epoch.

    Examples
    --------
    >>> from finnex.config import LabelSettings
    >>> from finnex.datasets import labelled_samples
    >>> from finnex.store import ImageStore
    >>> store = ImageStore.open("images.zarr")
    >>> batches = ImageBatches(PinnedStore(store, labelled_samples(store, LabelSettings())), np.arange(4), batch_size=3)
    >>> [tuple(batch.images.shape) for batch in batches]
    [(2, 3, 512, 512), (2, 3, 512, 512)]
    """

    plan: ImagePlan

    def __init__(
        self, pinned: PinnedStore, rows: Rows, batch_size: int, *,
        shuffle: bool = False, seed: int = 0, rank: int = 0, world_size: int = 1,
        samples: int | None = None, group: npt.NDArray[np.integer] | None = None, first_epoch: int = 0,
    ) -> None:  # fmt: skip
        rows = np.asarray(rows, dtype=np.intp)
        plan = ImagePlan(
            rows, batch_size, shuffle, seed, rank, world_size, samples=samples, group=group, first_epoch=first_epoch
        )
        super().__init__(pinned, plan)

    def assemble(self, read: Read) -> Iterator[Batch]:
        """Give each group of images its labels.

        Parameters
        ----------
        read
            Gives the images of some rows, as `PinnedStore.read` does.

        Returns
        -------
        Iterator of Batch
            Images (B, C, H, W) float16 and their labels.

        """
        return self._batches(self.plan.groups(*self.position), read)

    def _every(self, first: int, step: int) -> Iterator[Batch]:
        return self._batches(self.plan.groups(*self.position)[first::step], self.pinned.read)

    def _batches(self, groups: list[Rows], read: Read) -> Iterator[Batch]:
        for rows in groups:
            yield Batch(read(rows, None), torch.from_numpy(self.pinned.samples.label[rows]), rows)
