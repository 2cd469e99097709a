"""Ask a finished model about sessions of a store: probabilities, outside of any training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from finnex.errors import TrainingError
from finnex.store import ImageStore

BATCH_IMAGES = 16
Model = Callable[[Tensor], Tensor]
"""Images (B, C, H, W) float32 to class probabilities (B, classes)."""


@torch.no_grad()
def ask_about(model: Model, store: ImageStore, symbol: str, indexes: Sequence[int]) -> npt.NDArray[np.float64]:
    """Return a model's class probabilities for published sessions of a symbol, (session, class).

    Images are rounded to float16 first, as in training, so that a model answers as it did there.

    Parameters
    ----------
    model
        Network with its classes.
    store
        Store to read from.
    symbol
        Symbol of the sessions.
    indexes
        Positions on the symbol's date axis.

    Returns
    -------
    numpy.ndarray
        (sessions, 3) float64: sell, hold, buy; rows sum to 1.

    Raises
    ------
    StoreCorrupt
        An image is missing, or its bytes are not those that were published.
    TrainingError
        The model cannot read these images, or its answers are no numbers.
    """
    height, width, channels = store.image_array(symbol).shape[1:]
    crc = store.state(symbol).image_crc
    found = []
    for first in range(0, len(indexes), BATCH_IMAGES):
        some = list(indexes[first : first + BATCH_IMAGES])
        images = np.empty((len(some), channels, height, width), dtype=np.float32)
        for place, index in enumerate(some):
            store.read_planes(symbol, int(index), images[place], int(crc[index]))
        try:
            found.append(model(torch.from_numpy(images).half().float()).double().numpy())
        except TrainingError as error:
            days = store.state(symbol).days[some]
            raise TrainingError(f"{symbol}, {len(some)} sessions from {days[0]} to {days[-1]}: {error}") from error
    return np.concatenate(found) if found else np.empty((0, 3))
