"""Labelled images of a store as a torch data set: for notebooks and for training loops that are not FinNeX's own."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from finnex.config import LabelSettings
from finnex.datasets.samples import Samples, labelled_samples
from finnex.store import ImageStore


class ImageDataset(Dataset[tuple[Tensor, int]]):
    """Images with their labels, in order of session, then symbol; each is read and checked when it is asked for.

    Parameters
    ----------
    store
        Store to read from.
    labels
        Which label: kind and horizon.
    symbols
        Those to use; all of the store where none is given.

    Attributes
    ----------
    samples
        Symbol, session, end of the label and outcome of every item: split by these, never at random.

    Raises
    ------
    TrainingError
        The store holds no such label.

    Notes
    -----
    An item is `(image, label)`: float32 (channel, y, x) in [0, 1], 0 where not known; 0 sell, 1 hold, 2 buy. Asking
    for an item raises `StoreCorrupt` where its bytes are not those that were published. `finnex.datasets.load` streams
    several times faster: it reads ahead and in blocks.

    Examples
    --------
    >>> from finnex.config import LabelSettings
    >>> from finnex.store import ImageStore
    >>> data = ImageDataset(ImageStore.open("images.zarr"), LabelSettings(kind="price_movement", horizon=5))
    >>> len(data), str(data.samples.label_end[0])
    (12, '2015-03-09')
    """

    samples: Samples

    def __init__(self, store: ImageStore, labels: LabelSettings, symbols: tuple[str, ...] = ()) -> None:
        self.samples = labelled_samples(store, labels, symbols)
        self._store = store
        self._crc = [store.state(name).image_crc for name in self.samples.symbols]
        self._shape = [store.image_array(name).shape for name in self.samples.symbols]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, item: int) -> tuple[Tensor, int]:
        if not -len(self) <= item < len(self):
            raise IndexError(f"item {item} of {len(self)}")
        number, index = int(self.samples.symbol[item]), int(self.samples.index[item])
        height, width, channels = self._shape[number][1:]
        planes = np.empty((channels, height, width), dtype=np.float32)
        self._store.read_planes(self.samples.symbols[number], index, planes, int(self._crc[number][index]))
        return torch.from_numpy(planes), int(self.samples.label[item])
