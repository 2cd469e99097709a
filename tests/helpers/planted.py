"""Small things to train on: images that carry a rule, and batches of a few pixels for a network of a few weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from benchmarks.markets import DrawnBatches
from finnex.datasets.samples import Samples
from finnex.store import ImageStore
from tests.helpers.stores import blank, make_store, paint, sessions

SYMBOLS = ("AAA", "BBB")


def plant(symbol: str, index: int, label: int) -> npt.NDArray[np.float32]:
    """Noise in all nine cells; the last ten sessions of three rows in one cell carry the label."""
    rng = np.random.default_rng([index, SYMBOLS.index(symbol)])
    image = blank()
    for section in ("macro", "behavioral", "fundamental"):
        for channel in range(3):
            values = rng.normal(0.5, 0.12, (12, 56))
            if (section, channel) == ("fundamental", 1):
                values[3:6, -10:] += (label - 1) * 0.3
            paint(image, section, channel, values.clip(0, 1))
    return image


def planted_store(path: Path, days: int, symbols: tuple[str, ...] = SYMBOLS) -> ImageStore:
    """Return a store of images that carry their labels."""
    labels = {name: np.random.default_rng(n).integers(0, 3, days) for n, name in enumerate(symbols)}
    return make_store(path, sessions(days), lambda name, i: plant(name, i, int(labels[name][i])), labels)


def grey_store(path: Path, n: int, labels: npt.NDArray[np.integer]) -> ImageStore:
    """Return a store of one symbol whose images show nothing but their place in time."""
    return make_store(
        path, sessions(n), lambda _, i: np.full((512, 512, 3), 0.02 + i / n / 2, dtype=np.float32), {"AAA": labels}
    )


class TinyNetwork(nn.Module):
    """A network of the usual face, small enough for hundreds of steps a second; with dropout, so that it draws."""

    def __init__(self, side_px: int = 8) -> None:
        super().__init__()
        self.embed = nn.Linear(3 * side_px * side_px, 16)
        self.dropout = nn.Dropout(0.2)
        self.classify = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.dropout(torch.tanh(self.embed(x.float().flatten(1))))
        return self.classify(features), features[:, None].repeat(1, 2, 1)


class CoarseNetwork(TinyNetwork):
    """The same for whole images, of which it sees 8 x 8 areas: for what a study does, whatever the network is."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(nn.functional.adaptive_avg_pool2d(x.float(), 8))


def tiny_samples(n: int, seed: int = 0) -> Samples:
    """Return one symbol's samples; the return follows the label."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, n)
    days = sessions(n + 6)
    return Samples(
        symbols=("AAA",), symbol=np.zeros(n, dtype=np.intp), index=np.arange(n), decision=days[:n],
        entry=days[1 : n + 1], label_end=days[5 : n + 5], label=label,
        outcome=((label - 1) * 0.02 + rng.normal(0, 0.005, n)).astype(np.float32),
        panels=(rng.uniform(0.02, 1, (n, 4)).astype(np.float32),),
    )  # fmt: skip


def noise_images(n: int, seed: int = 1) -> Tensor:
    """Return images (n, 3, 512, 512) that show nothing."""
    return torch.from_numpy(np.random.default_rng(seed).uniform(0.02, 1, (n, 3, 512, 512)).astype(np.float32))


class TinyBatches(DrawnBatches):
    """Images of 8 x 8 pixels that carry their label."""

    def __init__(
        self, samples: Samples, rows: npt.NDArray[np.intp], batch_size: int = 8, *, shuffle: bool = True
    ) -> None:
        rng = np.random.default_rng(len(samples))
        images = rng.uniform(0.1, 0.9, (len(samples), 3, 8, 8)).astype(np.float32)
        images[:, 0, :2] = (0.2 + 0.3 * samples.label)[:, None, None]
        images[:, 2, 6:] = 0
        self.images = torch.from_numpy(images).half()
        super().__init__(lambda own: self.images[own], samples.label, rows, batch_size, seed=3 if shuffle else None)
