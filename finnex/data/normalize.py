"""Causal normalisers: a feature's own past decides how bright today is.

A session's value is normalised with the parameters of that session (rows up to it, never after), so it looks the
same in every image that shows it. Known values lie in [0.02, 1]; NaN means not known and is drawn as 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.data.point_in_time import Floats, carry_forward
from finnex.errors import LayoutError

FLOOR = 0.02
"""Smallest value of anything known: 0 is kept for what is not."""
NEUTRAL = (1 + FLOOR) / 2
"""The middle of what a known pixel can be."""
STEPS = 256
"""Equal steps from `FLOOR` to 1 that brightness is rounded to, about as many as a PNG file shows.

Noise of a vendor's prices changes what lies next to the middle of a step, so that fewer steps redraw fewer images."""
STEP = (1 - FLOOR) / STEPS
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
        if not self.low < self.high or not np.isfinite(self.high - self.low):
            raise LayoutError(
                f"feature '{self.name}': low {self.low} is not below high {self.high}, both finite. Correct the "
                "catalogue."
            )
        if self.orientation not in (1, -1):
            raise LayoutError(
                f"feature '{self.name}': orientation {self.orientation} is neither 1 nor -1. Correct the catalogue."
            )
        if not 0 <= self.max_age_sessions <= 504:
            raise LayoutError(
                f"feature '{self.name}': max_age_sessions {self.max_age_sessions} is outside 0 to 504. Correct the "
                "catalogue."
            )
        if self.normalizer == "zscore" and not LEAST <= self.window_sessions <= 504:
            raise LayoutError(
                f"feature '{self.name}': window_sessions {self.window_sessions} is outside {LEAST} to 504. "
                "Correct the catalogue."
            )


@dataclass(frozen=True)
class Normalized:
    """Features as brightness, with what turns it back: each (sessions,), or (sessions, features) of several.

    Attributes
    ----------
    original
        float64: the value that is shown, in the feature's unit; carried forward where the catalogue allows it.
    brightness
        float32 in [0.02, 1], NaN where not known.
    location, scale
        float64: `original = location + scale * x`, x running from `low` to `high` over the brightness.
    """

    original: npt.NDArray[np.float64]
    brightness: npt.NDArray[np.float32]
    location: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]


def normalize(values: Floats, spec: FeatureSpec) -> Normalized:
    """Return brightness per session, NaN where the value or its scale is not known.

    Parameters
    ----------
    values
        (sessions,) in the feature's unit.
    """
    found = normalize_columns(np.asarray(values)[:, None], (spec,))
    return Normalized(found.original[:, 0], found.brightness[:, 0], found.location[:, 0], found.scale[:, 0])


def normalize_columns(values: Floats, specs: Sequence[FeatureSpec]) -> Normalized:
    """Return brightness of many features together, each column the bits that `normalize` gives of it alone.

    Parameters
    ----------
    values
        (sessions, features) in each feature's unit.
    specs
        Normaliser of each column.
    """
    carried = np.array(values, dtype=np.float64)
    for age in {spec.max_age_sessions for spec in specs}:
        columns = [at for at, spec in enumerate(specs) if spec.max_age_sessions == age]
        carried[:, columns] = carry_forward(carried[:, columns], age)
    location, scale, scaled = np.zeros(carried.shape), np.ones(carried.shape), carried.copy()
    for window in {spec.window_sessions for spec in specs if spec.normalizer == "zscore"}:
        columns = [at for at, spec in enumerate(specs) if (spec.normalizer, spec.window_sessions) == ("zscore", window)]
        own = carried[:, columns]
        rolling = pd.DataFrame(own).rolling(window, min_periods=LEAST)
        mean, spread = rolling.mean().to_numpy(dtype="float64"), rolling.std().to_numpy(dtype="float64")
        flat = spread <= 1e-9 * np.abs(mean) + 1e-15  # a value that never moved equals its own mean
        location[:, columns], scale[:, columns] = mean, np.where(flat, 0.0, spread)
        scaled[:, columns] = np.where(flat, 0.0, (own - mean) / np.where(flat, 1.0, spread))
    low, high = (np.array([getattr(spec, name) for spec in specs], dtype=np.float64) for name in ("low", "high"))
    unit = np.clip((scaled - low) / (high - low), 0.0, 1.0)
    unit = np.where(np.array([spec.orientation for spec in specs]) < 0, 1.0 - unit, unit)
    brightness = FLOOR + (1.0 - FLOOR) * (np.rint(unit * STEPS) / STEPS)
    # One pattern of bits for every NaN: the hash of a window must not depend on how a NaN was computed.
    bright = np.where(np.isnan(brightness), np.float32(np.nan), brightness).astype(np.float32)
    return Normalized(carried, bright, location, scale)


def denormalize(
    brightness: npt.NDArray[np.float32], spec: FeatureSpec, location: Floats, scale: Floats
) -> npt.NDArray[np.float64]:
    """Return original values from brightness: the inverse of `normalize`.

    NaN where the brightness is unknown or at an end of its scale: there the value may have been clipped.
    Exact to half a step of the scale, `(high - low) * scale / 512`.

    Parameters
    ----------
    brightness
        Brightness, float32 in [0.02, 1], of any shape; NaN where not known.
    spec
        The feature's normaliser: its bounds and orientation.
    location, scale
        What was subtracted and divided by, in the feature's unit; broadcast against `brightness`.

    Returns
    -------
    numpy.ndarray
        float64 in the feature's unit, of the shape of `brightness`.
    """
    bright = np.asarray(brightness, dtype=np.float64)
    unit = (bright - FLOOR) / (1.0 - FLOOR)
    if spec.orientation < 0:
        unit = 1.0 - unit
    clipped = (unit < 0.5 / STEPS) | (unit > 1 - 0.5 / STEPS)
    return np.where(clipped, np.nan, location + scale * (spec.low + unit * (spec.high - spec.low)))
