"""Patches of a part as batches for the training loop: sessions in blocks, patches shuffled within a block.

A part is an array of patches that a script cut, dropped from and put together; `finnex.datasets` reads stores.
An image is read once for all its patches. A part that fits into what `memory_limit` allows is held in memory as
float16; otherwise one block at a time is.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import IterableDataset

from finnex.datasets import Batch
from finnex.datasets.loader import prefetch
from finnex.datasets.parts import PatchPart, SessionsOf
from finnex.datasets.patch_data import Rows
from finnex.datasets.pinned import memory_limit
from finnex.errors import TrainingError
from finnex.patches.grid import join_patches

BLOCK_SESSIONS = 32
"""Sessions whose patches are shuffled among each other: 50 MB of patches, and as many different labels in a batch."""
HALF_BYTES = 2


def takes_whole_images(model: nn.Module) -> bool:
    """Whether a network takes whole images: it has an `image_size`."""
    return getattr(model, "image_size", None) is not None


class PartBatches(IterableDataset[Batch]):
    """Batches of patches, or of the whole images that a part's patches make up.

    Parameters
    ----------
    sessions
        Result of `sessions_of` for the part.
    first_session
        Sample number of the part's first session.
    whole_images
        Feed whole images, `batch_size` of them, instead of patches.
    shuffle
        By (seed, epoch); otherwise in the part's order.
    patches_per_session
        Use so many patches of each session only, another choice by (seed, epoch).
    memory_limit_bytes
        What may be held; by default `memory_limit()`.

    Raises
    ------
    TrainingError
        Whole images are wanted, and some of their patches are not in the part.
    """

    def __init__(
        self, part: PatchPart, sessions: SessionsOf, batch_size: int, *, first_session: int = 0,
        whole_images: bool = False, shuffle: bool = False, patches_per_session: int | None = None, seed: int = 0,
        rank: int = 0, world_size: int = 1, memory_limit_bytes: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._part, self._sessions, self._batch_size = part, sessions, batch_size
        self._first_session, self._whole, self._shuffle, self._seed = first_session, whole_images, shuffle, seed
        self._per_session, self._rank, self._world = patches_per_session, rank, world_size
        self._epoch = self._first_batch = 0
        order = np.lexsort((sessions.patch, sessions.session))
        starts = np.searchsorted(sessions.session[order], np.arange(len(sessions.day) + 1))
        self._members = [order[a:b] for a, b in pairwise(starts)]
        sizes = sorted({len(members) for members in self._members})
        if whole_images and (len(sizes) > 1 or round(sizes[0] ** 0.5) ** 2 != sizes[0]):
            raise TrainingError(
                f"whole images are wanted, and sessions of this part have {sizes} patches. "
                "Give all patches of every session."
            )
        needed = len(part.labels) * int(np.prod(part.patches.shape[1:])) * HALF_BYTES
        limit = memory_limit() if memory_limit_bytes is None else memory_limit_bytes
        self.in_memory = needed <= limit
        self._held: dict[int, npt.NDArray[np.float16]] = {}

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None:
        """Choose the order of the next pass, and the batch of this process it begins with."""
        self._epoch, self._first_batch = epoch, first_batch

    def order(self) -> npt.NDArray[np.int64]:
        """Return the sample number of every patch (or image) of this epoch, in the order in which they come."""
        plan = np.concatenate([sessions for _, sessions in self._plan()])
        return plan + self._first_session

    def _plan(self) -> list[tuple[Rows, npt.NDArray[np.int64]]]:
        """Return the batches of this epoch: positions in the part, and the session of each (of whole images one)."""
        random = np.random.default_rng([self._seed, self._epoch])
        sequence = np.arange(len(self._members))
        if self._shuffle:
            sequence = random.permutation(sequence)
        batches = []
        if self._whole:
            for begin in range(0, len(sequence), self._batch_size):
                chosen = sequence[begin : begin + self._batch_size]
                batches.append((np.concatenate([self._members[one] for one in chosen]), chosen))
            return batches
        for begin in range(0, len(sequence), BLOCK_SESSIONS):
            block = [self._members[one] for one in sequence[begin : begin + BLOCK_SESSIONS]]
            if self._per_session is not None:
                block = [random.permutation(members)[: self._per_session] for members in block]
            rows = np.concatenate(block)
            if self._shuffle:
                rows = random.permutation(rows)
            for first in range(0, len(rows), self._batch_size):
                chosen = rows[first : first + self._batch_size]
                batches.append((chosen, self._sessions.session[chosen]))
        return batches

    def __len__(self) -> int:
        return len(range(self._rank, len(self._plan()), self._world))

    def __iter__(self) -> Iterator[Batch]:
        return prefetch(self._batches)

    def _batches(self) -> Iterator[Batch]:
        for rows, sessions in self._plan()[self._rank :: self._world][self._first_batch :]:
            pixels = self._read(rows)
            labels = torch.from_numpy(self._sessions.label[sessions])
            samples = sessions + self._first_session
            if self._whole:
                cut = pixels.reshape(len(sessions), -1, *pixels.shape[1:])
                yield Batch(_channels_first(join_patches(cut)), labels, samples)
            else:
                yield Batch(_channels_first(pixels), labels, samples, torch.from_numpy(self._sessions.patch[rows]))

    def _read(self, rows: Rows) -> npt.NDArray[np.float16]:
        """Return patches (n, patch_px, patch_px, channel), reading those of one session together."""
        session = self._sessions.session[rows]
        wanted = np.unique(session)
        if not self.in_memory:
            for stale in set(self._held) - set(wanted.tolist()) if len(self._held) > 2 * BLOCK_SESSIONS else ():
                del self._held[stale]
        found = np.empty((len(rows), *self._part.patches.shape[1:]), dtype=np.float16)
        for one in wanted.tolist():
            if one not in self._held:
                self._held[one] = np.asarray(self._part.patches[self._members[one]]).astype(np.float16)
            here = np.flatnonzero(session == one)
            members = self._members[one]
            place = np.searchsorted(self._sessions.patch[members], self._sessions.patch[rows[here]])
            found[here] = self._held[one][place]
        return found


def _channels_first(pixels: npt.NDArray[np.float16]) -> Tensor:
    return torch.from_numpy(pixels).movedim(-1, 1)  # (B, C, H, W)
