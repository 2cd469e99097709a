"""Reads images by sample number, in this process or another: checked bytes in, float16 out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from finnex.datasets.buffers import Room
from finnex.datasets.epoch_order import Rows
from finnex.datasets.samples import Samples
from finnex.store import ImageStore


class ImageReader:
    """What a process needs to read some samples' images; it travels as a path and three columns, 12 bytes a sample.

    Images become float16: half the memory and bandwidth, and 'not known' stays exactly 0.

    Parameters
    ----------
    crc
        Checksum of each sample's chunk: other bytes are refused.
    """

    def __init__(self, store: ImageStore, samples: Samples, crc: npt.NDArray[np.uint32]) -> None:
        self._path, self._store = store.path, store
        self._symbols = samples.symbols
        self.columns: dict[str, npt.NDArray[Any]] = {
            "symbol": samples.symbol.astype(np.int32), "index": samples.index.astype(np.int32), "crc": crc
        }  # fmt: skip
        height, width, channels = store.image_array(samples.symbols[0]).shape[1:]
        self.shape: tuple[int, int, int] = (channels, height, width)
        self._spare: list[npt.NDArray[np.float32]] = []  # what a chunk is decoded into; one a thread
        self.room = Room(self.shape)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_store", "_spare", "room")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _store=ImageStore.open(state["_path"]), _spare=[], room=Room(state["shape"]))

    def read(self, rows: Rows, out: Tensor | None = None) -> Tensor:
        """Return the images of some samples, (row, C, H, W) float16.

        Parameters
        ----------
        out
            Where to write them: (row, ...) float16, (C, H, W) cut up in any way, in any order in memory.

        Raises
        ------
        StoreCorrupt
            A chunk is missing, or its bytes are not those of the checksum.
        """
        images = self.room.take(len(rows)) if out is None else out
        planes = self._spare.pop() if self._spare else np.empty(self.shape, dtype=np.float32)
        decoded = torch.from_numpy(planes).view(images.shape[1:])
        symbols, indexes, crcs = (self.columns[name][rows].tolist() for name in ("symbol", "index", "crc"))
        try:
            for image, symbol, index, crc in zip(images, symbols, indexes, crcs, strict=True):
                self._store.read_planes(self._symbols[symbol], index, planes, crc)
                image.copy_(decoded)  # while it is in the processor's cache
        finally:
            self._spare.append(planes)
        return images
