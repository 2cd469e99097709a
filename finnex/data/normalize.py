"""Causal normalisers: a feature's own past decides how bright today is.

A session's value is normalised with the parameters of that session (rows up to it, never after), so it looks the
same in every image that shows it. Known values lie in [0.02, 1]; NaN means not known and is drawn as 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.data.align import Floats, carry_forward
from finnex.errors import LayoutError

FLOOR = 0.02
"""Smallest value of anything known: 0 is kept for what is not."""
QUANTUM = 2.0**-20
"""Normalised values are multiples of this: the last bits of a rolling sum then never decide what is drawn."""
LEAST = 63  # sessions of a feature's own past before it can be normalised

NormalizerName = Literal["zscore", "bounded"]
NORMALIZERS: tuple[NormalizerName, ...] = ("zscore", "bounded")


@dataclass(frozen=True)
class FeatureSpec:
    """How one feature becomes brightness.

    Attributes
    ----------
    normalizer
        `bounded`: `low` and `high` in the feature's unit become dark and bright. `zscore`: standard deviations
        from the mean of the trailing `window_sessions`, `low` to `high`.
    max_age_sessions
        How long a value may be carried over sessions that have none.
    orientation
        1: more is brighter; -1: more is darker.
    """

    name: str
    normalizer: NormalizerName
    low: float
    high: float
    window_sessions: int
    max_age_sessions: int
    orientation: int

    def __post_init__(self) -> None:
        """Check what a table cannot."""
        if not self.low < self.high:
            raise LayoutError(
                f"feature '{self.name}': low {self.low} is not below high {self.high}. Correct the catalogue."
            )
        if self.orientation not in (1, -1):
            raise LayoutError(
                f"feature '{self.name}': orientation {self.orientation} is neither 1 nor -1. Correct the catalogue."
            )
        if self.normalizer == "zscore" and not LEAST <= self.window_sessions <= 504:
            raise LayoutError(
                f"feature '{self.name}': window_sessions {self.window_sessions} is outside {LEAST} to 504. "
                "Correct the catalogue."
            )


def normalize(values: Floats, spec: FeatureSpec) -> npt.NDArray[np.float32]:
    """Return brightness in [0.02, 1] per session, NaN where the value or its scale is not known.

    Parameters
    ----------
    values
        (sessions,) in the feature's unit.
    """
    carried = carry_forward(values, spec.max_age_sessions)
    if spec.normalizer == "bounded":
        scaled = carried
    else:
        rolling = pd.Series(carried).rolling(spec.window_sessions, min_periods=LEAST)
        mean, spread = rolling.mean().to_numpy(), rolling.std().to_numpy()
        flat = spread <= 1e-9 * np.abs(mean) + 1e-15  # a value that never moved stands at its own mean
        scaled = np.where(flat, 0.0, (carried - mean) / np.where(flat, 1.0, spread))
        scaled = np.where(np.isnan(carried) | np.isnan(spread), np.nan, scaled)
    unit = np.clip((scaled - spec.low) / (spec.high - spec.low), 0.0, 1.0)
    if spec.orientation < 0:
        unit = 1.0 - unit
    brightness = np.round((FLOOR + (1.0 - FLOOR) * unit) / QUANTUM) * QUANTUM
    # One pattern of bits for every NaN: the hash of a window must not depend on how a NaN came about.
    return np.where(np.isnan(brightness), np.float32(np.nan), np.maximum(brightness, FLOOR)).astype(np.float32)
