"""Room for images in memory, reused once no array refers to what was there."""

from __future__ import annotations

import threading
import weakref

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

KEPT = 8
"""Pieces that are kept for the next who asks; as many as are on their way at once."""


def empty_images(count: int, shape: tuple[int, int, int]) -> npt.NDArray[np.float16]:
    """Return new room for images (count, C, H, W), in the huge pages that NumPy asks the system for."""
    return np.empty((count, *shape), dtype=np.float16)


class Room:
    """Gives out room for float16 images (count, C, H, W).

    A batch is some 50 MB. To be given so much by the system and to give it back costs as much as to read half of the
    images, every time; so what a batch leaves behind is kept for the next one. A piece counts as left when the last
    tensor over it, and the last view of that, is gone: a batch that somebody keeps stays what it is.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self._shape = shape
        self._free: list[npt.NDArray[np.float16]] = []
        self._taking = threading.Lock()

    def take(self, count: int) -> Tensor:
        """Return room for so many images; what is in it is anything."""
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
