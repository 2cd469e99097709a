"""What the patches show: which features on which sessions, over how many pixels, and means over it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from finnex.data.point_in_time import Floats
from finnex.patches.estimators import ratio
from finnex.patches.grid import PatchGrid

Mask = npt.NDArray[np.bool_]
GATHERED = 2_000_000
"""Values looked up together: 16 MB, for any number of sessions."""
PRICE_BARS = "channel_position_55"
"""What a pixel of a price chart counts as: the position of the close between the lowest low and the highest high."""


@dataclass(frozen=True, eq=False)
class Shown:
    """Which feature of which session each patch shows, over how many pixels; entries in order of patches.

    Attributes
    ----------
    patch, feature, lag, pixels
        (entries,) patch number, column of the values, sessions before the image's own, pixels.
    patches
        How many patches there are; one that shows nothing has no entry.
    """

    patch: npt.NDArray[np.intp]
    feature: npt.NDArray[np.intp]
    lag: npt.NDArray[np.intp]
    pixels: npt.NDArray[np.intp]
    patches: int

    def of(self, features: Mask) -> Shown:
        """Return what is shown of some features."""
        kept = features[self.feature]
        return Shown(self.patch[kept], self.feature[kept], self.lag[kept], self.pixels[kept], self.patches)

    @cached_property
    def newest(self) -> Shown:
        """Each feature on the newest session of it that the patch shows, with all its pixels."""
        order = np.lexsort((self.lag, self.feature, self.patch))
        return _merge(self, order, self.patch[order], self.feature[order])

    @cached_property
    def sessions(self) -> Shown:
        """Only which sessions are shown, as feature 0: a session's own figure is then read where the patch looks."""
        order = np.lexsort((self.lag, self.patch))
        merged = _merge(self, order, self.patch[order], self.lag[order])
        return Shown(merged.patch, np.zeros_like(merged.feature), merged.lag, merged.pixels, self.patches)

    def only(self, patch: int) -> Shown:
        """Return what one patch shows, as patch 0 of 1."""
        own = self.patch == patch
        return Shown(np.zeros_like(self.patch[own]), self.feature[own], self.lag[own], self.pixels[own], 1)

    def mean(self, values: Floats, rows: npt.NDArray[np.intp]) -> Floats:
        """Return the mean of what each patch shows, over its known pixels.

        Parameters
        ----------
        values
            (sessions,) or (sessions, features).
        rows
            Sessions of the images; what they show lies before.

        Returns
        -------
        numpy.ndarray
            (rows, patches), NaN where nothing that is shown is known.
        """
        values = values.reshape(len(values), -1)
        result = np.full((len(rows), self.patches), np.nan)
        if len(self.patch) == 0:
            return result
        present, first = np.unique(self.patch, return_index=True)
        step = max(1, GATHERED // len(self.patch))
        for begin in range(0, len(rows), step):
            at = rows[begin : begin + step, None] - self.lag
            found = np.where(at < 0, np.nan, values[np.maximum(at, 0), self.feature])
            known = ~np.isnan(found)
            total = np.add.reduceat(np.where(known, found, 0.0) * self.pixels, first, axis=1)
            count = np.add.reduceat(known * self.pixels, first, axis=1)
            result[begin : begin + step, present] = ratio(total, count, count > 0)
        return result


def shown(grid: PatchGrid) -> Shown:
    """Return what the patches of a layout show; price bars count as `PRICE_BARS`, margins not at all."""
    pixels, layout = grid.pixels, grid.layout
    height, width, channels = pixels.lag.shape
    bars = layout.catalogue.position.get(PRICE_BARS, -1)
    feature = np.where(pixels.feature >= 0, pixels.feature, bars)
    row, column = np.arange(height) // grid.patch_px, np.arange(width) // grid.patch_px
    patch = np.repeat((row[:, None] * grid.columns + column)[:, :, None], channels, axis=2)
    drawn = (pixels.lag >= 0) & (feature >= 0)
    features, lags = max(1, len(layout.catalogue.entries)), layout.lookback
    key = (patch[drawn].astype(np.int64) * features + feature[drawn]) * lags + pixels.lag[drawn]
    found, count = np.unique(key, return_counts=True)
    return Shown(
        found // (features * lags), found // lags % features, found % lags, count.astype(np.intp), len(grid)
    )  # fmt: skip


def _merge(what: Shown, order: npt.NDArray[np.intp], *same: npt.NDArray[np.intp]) -> Shown:
    """Return the first entry of each run in which all of `same` agree, with the pixels of the whole run."""
    if len(order) == 0:
        return what
    starts = np.append(True, np.any([np.diff(values) != 0 for values in same], axis=0))
    first = np.flatnonzero(starts)
    kept = order[first]
    pixels = np.add.reduceat(what.pixels[order], first)
    return Shown(what.patch[kept], what.feature[kept], what.lag[kept], pixels, what.patches)
