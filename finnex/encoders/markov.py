"""Markov transition field of one feature: how usual it is to go from one session's level to another's.

Wang and Oates, Imaging Time-Series to Improve Classification and Imputation (2015). The paper cuts each window at its
own quantiles, which loses the level; here the bins cut the causal brightness scale, so that a bin means the same in
every image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finnex.encoders.origin import Origin, of_pairs
from finnex.encoders.tile import Encoder, Tile, square, to_brightness, to_unit


@dataclass(frozen=True)
class Markov(Encoder):
    """Share of the window's steps out of the row session's bin that lead into the column session's bin.

    Attributes
    ----------
    n_bins
        Equal bins of the brightness scale, 2 to 32. A window of 56 sessions fills few more than 8.
    """

    n_bins: int = 8

    def mistakes(self) -> list[str]:
        """Refuse a number of bins that says nothing."""
        found = super().mistakes()
        if not 2 <= self.n_bins <= 32:
            found.append(f"n_bins {self.n_bins} is outside 2 to 32. Give the number of bins of the scale.")
        return found

    def accepts(self, features: int) -> str:
        """Exactly one feature."""
        return "" if features == 1 else "a Markov transition field draws exactly one feature"

    def draw(self, values: npt.NDArray[np.float32], bars: npt.NDArray[np.float32], height: int) -> Tile:
        """Return the field, oldest session top left, newest bottom right."""
        return square(to_brightness(transitions(to_unit(values[:, 0]), self.n_bins)), self.session_px, height)

    def origin(self, sessions: int, features: int, height: int) -> Origin:
        """Two sessions of the one feature; the counts follow from the whole window."""
        return of_pairs(sessions, self.session_px, height, whole_window=True)


def transitions(x: npt.NDArray[np.float64], n_bins: int) -> npt.NDArray[np.float64]:
    """Return the (n, n) Markov transition field of x in [0, 1]; NaN in, NaN out.

    Entry (i, j) is the share of steps from the bin of x_i that end in the bin of x_j, steps being those between
    neighbouring known sessions. It is 0 where no step leaves the bin of x_i.
    """
    known = ~np.isnan(x)
    level = np.clip(np.floor(np.where(known, x, 0.0) * n_bins), 0, n_bins - 1).astype(np.intp)
    step = known[:-1] & known[1:]
    counts = np.bincount((level[:-1] * n_bins + level[1:])[step], minlength=n_bins**2).reshape(n_bins, n_bins)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    field: npt.NDArray[np.float64] = shares[level[:, None], level[None, :]]
    if not known.all():
        field[~known] = np.nan
        field[:, ~known] = np.nan
    return field
