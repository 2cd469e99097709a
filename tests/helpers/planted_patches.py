"""Images of noise in which a rule is planted that anybody can check by eye."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from finnex.cnn_training import FinNeXCNNTrainer
from finnex.data.session_prices import SessionPrices
from finnex.datasets.image_source import MegaImages
from finnex.layout import load_layout
from finnex.patches.grid import patch_grid

MEGA = load_layout("mega")


def planted_prices(days: npt.NDArray[np.datetime64], label: npt.NDArray[np.integer]) -> SessionPrices:
    """Closes that walk at random; opens from which five sessions gain 1 % after 'buy' and lose 1 % after 'sell'."""
    closes = 100 * np.exp(np.random.default_rng(1).normal(0, 0.01, len(days)).cumsum())
    opens = closes.copy()
    opens[1 : len(label) + 1] = closes[5 : len(label) + 5] / (1 + 0.01 * (label - 1))
    return SessionPrices(days, ("A",), opens[:, None], closes[:, None])


def planted(sessions: int, seed: int = 0, px: int = 32) -> FinNeXCNNTrainer:
    """Images of noise whose red channel, in the macro section, is brighter the higher the label."""
    days = np.busday_offset("2015-01-02", np.arange(sessions + 5), roll="forward").astype("datetime64[D]")
    label = np.random.default_rng(seed).integers(0, 3, sessions)
    noise = np.random.default_rng(seed).uniform(0.3, 0.7, (512, 512 + sessions, 3)).astype(np.float32)

    def read(position: int) -> npt.NDArray[np.float32]:
        image = noise[:, position : position + 512].copy()
        image[:160, :, 0] += 0.1 * (label[position] - 1)
        return image

    trainer = FinNeXCNNTrainer.__new__(FinNeXCNNTrainer)
    trainer.images = MegaImages(
        "planted", "A", "XNYS", read, (sessions, 512, 512, 3), days[:sessions], label.astype(np.int64), days[5:],
        (0.01 * (label - 1)).astype(np.float32), "price_movement", 5, MEGA,
        prices_source=lambda: planted_prices(days, label),
    )  # fmt: skip
    trainer.mega_images, trainer.patch_size, trainer.grid = "planted", px, patch_grid(MEGA, px)
    trainer.patches_per_image, trainer.labels, trainer.history = len(trainer.grid), trainer.images.label, ()
    return trainer
