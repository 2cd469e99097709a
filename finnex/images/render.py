"""Render one session: a window of the panel in, one image out. A pure function of its arguments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from finnex.encoders import Heatmap
from finnex.encoders.heatmap import feature_of_row
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

    def draw(self, values: npt.NDArray[np.float32], bars: npt.NDArray[np.float32]) -> tuple[Image, tuple[float, ...]]:
        """Draw the last session of a window.

        Parameters
        ----------
        values
            (lookback, features) in [0.02, 1], NaN where not known; columns as in the catalogue.
        bars
            (lookback, 5): see `finnex.data.panel.Panel`.

        Returns
        -------
        image
            (height, width, channel) float32: 0 where not known or margin, [0.02, 1] elsewhere.
        coverage
            Share of known pixels of each region, margins left out, in the layout's order.
        """
        layout = self.layout
        canvas = np.zeros((len(layout.channels), layout.height, layout.width), dtype=np.float32)
        coverage = []
        for region in layout.regions:
            shown = values[:, self._columns[region.name]]
            tile = region.encoder.draw(shown, bars, region.height)
            if isinstance(region.encoder, Heatmap):
                # The same share as of the tile's pixels, counted on the few values they repeat.
                rows = np.bincount(feature_of_row(shown.shape[1], region.height), minlength=shown.shape[1])
                known = float((~np.isnan(shown)).sum(axis=0) @ rows) / (region.height * len(shown))
            else:
                known = float(1 - np.isnan(tile).mean())
            coverage.append(known)
            left, (top, bottom) = region.columns[0], region.rows
            target = canvas[layout.channels.index(region.channel), top:bottom, left : left + tile.shape[1]]
            np.copyto(target, tile, where=~np.isnan(tile))
        return np.ascontiguousarray(canvas.transpose(1, 2, 0)), tuple(coverage)
