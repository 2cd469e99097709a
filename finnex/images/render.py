"""Render one session: a window of the panel in, one image out. A pure function of its arguments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from finnex.encoders import Heatmap
from finnex.encoders.heatmap import feature_of_row
from finnex.images.modulation import apply
from finnex.layout import Layout

RENDERER_VERSION = "1"
"""Part of every input hash: raise it when a change of code changes a picture, and every image is drawn again."""

Image = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Renderer:
    """Draws images of one layout."""

    layout: Layout

    @cached_property
    def _columns(self) -> dict[str, npt.NDArray[np.intp]]:
        position = self.layout.catalogue.position
        return {
            region.name: np.array([position[name] for name in region.features], dtype=np.intp)
            for region in self.layout.regions
        }

    def draw(
        self,
        values: npt.NDArray[np.float32],
        bars: npt.NDArray[np.float32],
        weights: npt.NDArray[np.float32] | None = None,
        out: Image | None = None,
    ) -> tuple[Image, tuple[float, ...]]:
        """Draw the last session of a window.

        Parameters
        ----------
        values
            (lookback, features) in [0.02, 1], NaN where not known; columns as in the catalogue.
        bars
            (lookback, 6): see `finnex.data.panel.Panel`.
        weights
            (regions,) in [0.5, 1]: see `finnex.images.modulation`; absent, 1 everywhere.
        out
            An image that an earlier call returned, to be drawn over. Fresh memory for every image costs more
            than drawing it.

        Returns
        -------
        image
            (height, width, channel) float32: 0 where not known or margin, [0.02, 1] elsewhere.
        coverage
            Share of known pixels of each region, margins left out, in the layout's order.
        """
        layout = self.layout
        image = np.zeros((layout.height, layout.width, len(layout.channels)), dtype=np.float32) if out is None else out
        coverage = []
        for number, region in enumerate(layout.regions):
            weight = 1.0 if weights is None else float(weights[number])
            shown = values[:, self._columns[region.name]]
            if isinstance(region.encoder, Heatmap):
                # NaN is 0 before the few values are repeated over many pixels, and the pixels are counted likewise.
                rows = np.bincount(feature_of_row(shown.shape[1], region.height), minlength=shown.shape[1])
                coverage.append(float((~np.isnan(shown)).sum(axis=0) @ rows) / (region.height * len(shown)))
                tile = region.encoder.draw(np.nan_to_num(apply(shown, weight), nan=0.0), bars, region.height)
            else:
                tile = apply(region.encoder.draw(shown, bars, region.height), weight)
                missing = np.isnan(tile)
                coverage.append(float(1 - missing.mean()))
                tile[missing] = 0.0
            left, (top, bottom) = region.columns[0], region.rows
            # Every pixel but the margins is written each time, so an image drawn over keeps nothing of the last.
            image[top:bottom, left : left + tile.shape[1], layout.channels.index(region.channel)] = tile
        return image, tuple(coverage)
