"""Gramian angular field of one feature: how each session relates to every other one.

Wang and Oates, Imaging Time-Series to Improve Classification and Imputation (2015). The paper rescales each window
to [-1, 1] by its own extremes, which loses the level; here the causal brightness is the scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from finnex.encoders.origin import Origin, of_pairs
from finnex.encoders.tile import Encoder, Tile, square, to_brightness, to_unit


@dataclass(frozen=True)
class Gramian(Encoder):
    """Summation field cos(a + b) or difference field sin(a - b) of the angles a = arccos x.

    Attributes
    ----------
    method
        `summation` or `difference`.
    """

    method: Literal["summation", "difference"] = "summation"

    def mistakes(self) -> list[str]:
        """Refuse an unknown field."""
        found = super().mistakes()
        if self.method not in ("summation", "difference"):
            found.append(f"method '{self.method}' is no Gramian field. Use 'summation' or 'difference'.")
        return found

    def accepts(self, features: int) -> str:
        """Exactly one feature."""
        return "" if features == 1 else "a Gramian field draws exactly one feature"

    def draw(self, values: npt.NDArray[np.float32], bars: npt.NDArray[np.float32], height: int) -> Tile:
        """Return the field, oldest session top left, newest bottom right."""
        return square(
            to_brightness((field(2 * to_unit(values[:, 0]) - 1, self.method) + 1) / 2),
            self.session_px,
            height,
        )

    def origin(self, sessions: int, features: int, height: int) -> Origin:
        """Two sessions of the one feature."""
        return of_pairs(sessions, self.session_px, height)


def field(x: npt.NDArray[np.float64], method: str) -> npt.NDArray[np.float64]:
    """Return the (n, n) Gramian field of x in [-1, 1]; NaN in, NaN out."""
    x = np.clip(x, -1.0, 1.0)
    y = np.sqrt(1 - x**2)
    if method == "summation":
        same: npt.NDArray[np.float64] = np.outer(x, x) - np.outer(y, y)
        return same
    turned: npt.NDArray[np.float64] = np.outer(y, x) - np.outer(x, y)
    return turned
