"""Published sessions of a store as a finished network is run on them: read, checked, and rounded as in training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from finnex.datasets.epoch_order import Rows
from finnex.models.exported import Exported
from finnex.store import ImageStore
from finnex.training.running import pool, run_network

BATCH_IMAGES = 16


@dataclass(frozen=True)
class _Sessions:
    """A few sessions, or all patches of them; `rows` says which of the sessions each image or patch is of."""

    images: Tensor
    patches: Tensor | None
    rows: Rows


def ask_about(model: Exported, store: ImageStore, symbol: str, indexes: Sequence[int]) -> npt.NDArray[np.float64]:
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
    state = store.state(symbol)

    def sessions() -> Iterator[_Sessions]:
        for first in range(0, len(indexes), BATCH_IMAGES):
            some = indexes[first : first + BATCH_IMAGES]
            images = np.empty((len(some), channels, height, width), dtype=np.float32)
            for place, index in enumerate(some):
                store.read_planes(symbol, int(index), images[place], int(state.image_crc[index]))
            samples, patches = model.samples(torch.from_numpy(images).half().float())
            rows = np.repeat(np.arange(first, first + len(some)), len(samples) // len(some))
            yield _Sessions(samples, patches, rows)

    def describe(some: _Sessions) -> str:
        days = state.days[np.asarray(indexes)[np.unique(some.rows)]]
        return f"{symbol}, {len(days)} sessions from {days[0]} to {days[-1]}"

    found = [(said.batch.rows, said.probabilities) for said in run_network(model.network, sessions(), describe)]
    if not found:
        return np.empty((0, 3))
    rows, votes = (np.concatenate(part) for part in zip(*found, strict=True))
    return pool(rows, votes)[1]
