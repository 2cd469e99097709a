"""Images as batches for torch: read once per epoch or held in memory, shuffled by (seed, epoch), never copied to disk.

A whole image is one chunk of the store, so shuffling images is shuffling blocks. Images travel as float16: half
the memory and bandwidth, exact zeros for 'not known', and the same bits whether a batch comes from memory or
from the store. A batch is always the next one of a sequence that (seed, epoch) alone decides.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import psutil
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from finnex.errors import TrainingError
from finnex.store import ImageStore
from finnex.training.samples import Samples

T = TypeVar("T")
MEMORY_SHARE = 3  # images may take a third of what is free: the model and the reader's cache need room as well


@dataclass(frozen=True)
class Batch:
    """Images (B, C, H, W) float16 in [0, 1], labels (B,) int64, and the samples' row numbers (B,)."""

    images: Tensor
    labels: Tensor
    rows: npt.NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.rows)


class PinnedStore:
    """A store as it was when training began: reads images by sample and notices when the data moved."""

    def __init__(self, store: ImageStore, samples: Samples) -> None:
        self._store, self.samples = store, samples
        self.fingerprint = store.fingerprint()
        self._arrays = [store.image_array(name) for name in samples.symbols]
        self._memory: Tensor | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        height, width, channels = self._arrays[0].shape[1:]
        return height, width, channels

    def check(self) -> None:
        """Raise where the store is no longer what it was.

        Raises
        ------
        TrainingError
            Images or labels were written since training began.
        """
        found = self._store.fingerprint()
        if found != self.fingerprint:
            raise TrainingError(
                f"{self._store.path} changed while a model was trained on it: "
                f"fingerprint {self.fingerprint} became {found}. "
                "Train again when no build is running."
            )

    def read(self, row: int) -> Tensor:
        """Return the image of a sample as float16 (y, x, channel)."""
        if self._memory is not None:
            return self._memory[row]
        sample = self.samples
        image = np.asarray(self._arrays[int(sample.symbol[row])][int(sample.index[row])], dtype=np.float32)
        return torch.from_numpy(image).half()

    def hold_in_memory(self, limit_bytes: int | None = None, on_read: Callable[[int, int], None] | None = None) -> bool:
        """Read every image once and keep it, when all fit; return whether they do.

        Parameters
        ----------
        limit_bytes
            What images may take; by default a third of the memory that is free now.
        on_read
            Called with images read and images in all.
        """
        height, width, channels = self.image_shape
        needed = len(self.samples) * height * width * channels * 2
        limit = psutil.virtual_memory().available // MEMORY_SHARE if limit_bytes is None else limit_bytes
        if needed > limit:
            return False
        memory = torch.empty((len(self.samples), height, width, channels), dtype=torch.float16)
        for row in range(len(self.samples)):
            memory[row] = self.read(row)
            if on_read is not None:
                on_read(row + 1, len(self.samples))
        self._memory = memory
        self.check()
        return True


class ImageBatches(IterableDataset[Batch]):
    """Batches of whole images over some rows of the samples; give it to a `DataLoader` with `batch_size=None`.

    Parameters
    ----------
    rows
        Samples to use; each comes exactly once per epoch.
    shuffle
        Permute by (seed, epoch); otherwise keep the order of `rows`.
    rank, world_size
        This process' share when several train together: every `world_size`-th batch.
    """

    def __init__(
        self, pinned: PinnedStore, rows: npt.NDArray[np.intp], batch_size: int, *,
        shuffle: bool = False, seed: int = 0, rank: int = 0, world_size: int = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        self._pinned, self._rows, self._batch_size = pinned, np.asarray(rows, dtype=np.intp), batch_size
        self._shuffle, self._seed, self._rank, self._world = shuffle, seed, rank, world_size
        self._epoch = 0

    def __len__(self) -> int:
        batches = -(-len(self._rows) // self._batch_size)
        return len(range(self._rank, batches, self._world))

    def set_epoch(self, epoch: int) -> None:
        """Choose the permutation of the next pass."""
        self._epoch = epoch

    def order(self) -> npt.NDArray[np.intp]:
        """Return the samples of this epoch in the order in which they come, over all processes."""
        if not self._shuffle:
            return self._rows
        return np.random.default_rng([self._seed, self._epoch]).permutation(self._rows)

    def __iter__(self) -> Iterator[Batch]:
        order = self.order()
        worker = get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        starts = range(0, len(order), self._batch_size)[self._rank :: self._world][first::step]
        for start in starts:
            rows = order[start : start + self._batch_size]
            images = torch.stack([self._pinned.read(int(row)) for row in rows])  # (B, H, W, C)
            labels = torch.from_numpy(self._pinned.samples.label[rows])
            yield Batch(images.permute(0, 3, 1, 2), labels, rows)


def prefetch(items: Callable[[], Iterator[T]], depth: int = 2) -> Iterator[T]:
    """Run an iterator in one thread, a few items ahead; errors of the thread are raised here.

    Leaving the loop early stops the thread.
    """
    ready: queue.Queue[T | BaseException | None] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def offer(item: T | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def run() -> None:
        try:
            for item in items():
                if not offer(item):
                    return
        except BaseException as error:
            offer(error)
        else:
            offer(None)

    thread = threading.Thread(target=run, name="finnex-prefetch", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
