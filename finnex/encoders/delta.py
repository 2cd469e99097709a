"""Delta channels: how far each feature has moved over the last sessions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finnex.encoders.heatmap import bands, feature_of_row
from finnex.encoders.origin import Origin, of_rows
from finnex.encoders.tile import Encoder, Tile, to_brightness, to_unit


@dataclass(frozen=True)
class Delta(Encoder):
    """A heat map of changes of brightness: 0.51 is no change, brighter a rise, darker a fall.

    The first `lag_sessions` sessions of a window have nothing to compare with and are not known.

    Attributes
    ----------
    lag_sessions
        Sessions between the two values: 1, 5 or 20.
    gain
        Steepness, 1 to 16: a change of 1 / gain of the whole scale is drawn fully bright or dark.
    """

    lag_sessions: int = 5
    gain: float = 1.0

    def mistakes(self) -> list[str]:
        """Refuse spans and gains outside their range."""
        found = super().mistakes()
        if self.lag_sessions not in (1, 5, 20):
            found.append(f"lag_sessions {self.lag_sessions} is no delta. Use 1, 5 or 20.")
        if not 1 <= self.gain <= 16:
            found.append(f"gain {self.gain} is outside 1 to 16. Give how often the change is enlarged.")
        return found

    def accepts(self, features: int) -> str:
        """Any number of features, at least one."""
        return "" if features else "a delta map needs at least one feature"

    def draw(self, values: npt.NDArray[np.float32], bars: npt.NDArray[np.float32], height: int) -> Tile:
        """Return the change of each feature as a band; bands differ by at most one row in height."""
        moved = changes(to_unit(values), self.lag_sessions, self.gain)
        drawn = to_brightness((1 + moved) / 2)
        return bands(drawn, self.session_px, height)

    def origin(self, sessions: int, features: int, height: int) -> Origin:
        """One feature a row; the newer session of a pair by column, and the older one `lag_sessions` before it."""
        return of_rows(feature_of_row(features, height), sessions, self.session_px, apart=self.lag_sessions)


def changes(x: npt.NDArray[np.float64], lag_sessions: int, gain: float = 1.0) -> npt.NDArray[np.float64]:
    """Return gain * (x_t - x_(t - lag)) cut to [-1, 1], (sessions, features); NaN in, NaN out."""
    moved = np.full_like(x, np.nan)
    moved[lag_sessions:] = np.clip(gain * (x[lag_sessions:] - x[: len(x) - lag_sessions]), -1.0, 1.0)
    return moved
