"""Room for images in memory, reused once no array refers to what was there."""

from __future__ import annotations

import threading
import weakref

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

KEPT = 8
"""Free buffers that are kept for reuse; as many as are in use at the same time."""


def empty_images(count: int, shape: tuple[int, int, int]) -> npt.NDArray[np.float16]:
    """Allocate room for images (count, C, H, W), in the huge pages that NumPy requests from the system."""
    return np.empty((count, *shape), dtype=np.float16)


class Room:
    """Provides buffers for float16 images (count, C, H, W), and reuses them.

    A batch is some 50 MB. Allocating that much and releasing it costs as much as reading half of the images, every
    time; so the buffer of a finished batch is reused for the next one. A buffer is free when the last tensor over it,
    and the last view of that tensor, is gone: a batch that is still referenced is not overwritten.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self._shape = shape
        self._free: list[npt.NDArray[np.float16]] = []
        self._taking = threading.Lock()

    def take(self, count: int) -> Tensor:
        """Return a buffer for `count` images; its contents are undefined."""
        piece = self._take_free(count)
        if piece is None:
            piece = empty_images(count, self._shape)
        lease = piece[:count]  # torch holds on to this very object as long as a tensor needs it
        weakref.finalize(lease, self._give_back, piece).atexit = False
        return torch.from_numpy(lease)

    def _take_free(self, count: int) -> npt.NDArray[np.float16] | None:
        with self._taking:  # giving back is one append, which needs no lock and so may happen anywhere, even here
            for place, piece in enumerate(self._free):
                if count <= len(piece) <= 2 * count:
                    return self._free.pop(place)
        return None

    def _give_back(self, piece: npt.NDArray[np.float16]) -> None:
        if len(self._free) < KEPT:
            self._free.append(piece)
