"""Heat map: one row a feature, one column a session."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from finnex.encoders.origin import Origin, of_rows
from finnex.encoders.tile import Encoder, Tile


@dataclass(frozen=True)
class Heatmap(Encoder):
    """Brightness of each feature on each session, features from top to bottom, sessions from left to right."""

    def accepts(self, features: int) -> str:
        """Any number of features, at least one."""
        return "" if features else "a heat map needs at least one feature"

    def draw(self, values: npt.NDArray[np.float32], bars: npt.NDArray[np.float32], height: int) -> Tile:
        """Return each feature as a band; bands differ by at most one row in height."""
        return bands(values, self.session_px, height)

    def origin(self, sessions: int, features: int, height: int) -> Origin:
        """One feature a row, one session a column."""
        return of_rows(feature_of_row(features, height), sessions, self.session_px)


def feature_of_row(features: int, height: int) -> npt.NDArray[np.intp]:
    """Return which feature each of `height` rows shows; every feature has a row when `height >= features`."""
    return np.arange(height) * features // height


@lru_cache(maxsize=256)
def rows_of_feature(features: int, height: int) -> npt.NDArray[np.intp]:
    """Return how many of `height` rows each feature has, (features,)."""
    counts = np.bincount(feature_of_row(features, height), minlength=features)
    counts.flags.writeable = False
    return counts


def bands(values: npt.NDArray[np.float32], session_px: int, height: int) -> Tile:
    """Return (sessions, features) as bands. Widened first, repeated over rows last: whole rows are copied fastest."""
    wide = np.repeat(values.T, session_px, axis=1)
    return np.repeat(wide, rows_of_feature(values.shape[1], height), axis=0)
