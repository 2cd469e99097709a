"""Recurrence plot of one feature: the nearness of its values on every two sessions.

Eckmann, Kamphorst and Ruelle, Recurrence Plots of Dynamical Systems (1987), without a threshold: nearness instead
of a yes or no, so that nothing is lost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finnex.encoders.origin import Origin, of_pairs
from finnex.encoders.tile import Encoder, Tile, square, to_brightness, to_unit


@dataclass(frozen=True)
class Recurrence(Encoder):
    """Brightness 1 where two sessions have the same value, 0.02 where they are a whole scale apart."""

    def accepts(self, features: int) -> str:
        """Exactly one feature."""
        return "" if features == 1 else "a recurrence plot draws exactly one feature"

    def draw(self, values: npt.NDArray[np.float32], bars: npt.NDArray[np.float32], height: int) -> Tile:
        """Return nearness of every pair of sessions, oldest top left."""
        return square(to_brightness(1 - distances(to_unit(values[:, 0]))), self.session_px, height)

    def origin(self, sessions: int, features: int, height: int) -> Origin:
        """Two sessions of the one feature."""
        return of_pairs(sessions, self.session_px, height)


def distances(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return |x_i - x_j|; NaN in, NaN out."""
    return np.abs(x[:, None] - x[None, :])
