"""Render one session: a window of the panel in, one image out. A pure function of its arguments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from finnex.encoders import Heatmap
from finnex.encoders.heatmap import rows_of_feature
from finnex.images.blending import apply
from finnex.layout import Layout, Region

RENDERER_VERSION = "2"
"""Part of every input hash: raise it when a change of code changes a picture, and every image is drawn again.

1 drew brightness to 2^-20, from prices relative to the first row of the file; 2 draws it in 256 steps, from prices
relative to their quarter."""

WHAT_IS_NEW = "which draws brightness in 256 steps, from prices relative to their quarter"
"""What the version draws otherwise than the one before it, as part of a sentence."""

Image = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Plan:
    """What is the same of a region in every image.

    Attributes
    ----------
    columns
        Positions of its features in the catalogue.
    repeats
        Pixel rows of each feature, in a heat map; empty elsewhere.
    """

    region: Region
    number: int
    channel: int
    columns: npt.NDArray[np.intp]
    repeats: npt.NDArray[np.intp]


@dataclass(frozen=True)
class Renderer:
    """Draws images of one layout."""

    layout: Layout

    @cached_property
    def _plans(self) -> list[_Plan]:
        layout, position = self.layout, self.layout.catalogue.position
        plans = []
        for number, region in enumerate(layout.regions):
            columns = np.array([position[name] for name in region.features], dtype=np.intp)
            is_map = isinstance(region.encoder, Heatmap)
            repeats = rows_of_feature(len(columns), region.height) if is_map else columns[:0]
            plans.append(_Plan(region, number, layout.channels.index(region.channel), columns, repeats))
        return plans

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
            (regions,) in [0.5, 1]: see `finnex.images.blending`; absent, 1 everywhere.
        out
            An image that an earlier call returned, to be drawn over. Fresh memory for every image costs more
            than drawing it.

        Returns
        -------
        image
            (height, width, channel) float32: 0 where not known or margin, [0.02, 1] elsewhere. Its memory is laid
            out channel by channel, as a chunk of the store is.
        coverage
            Share of known pixels of each region, margins left out, in the layout's order.
        """
        layout = self.layout
        if out is None:
            out = np.zeros((len(layout.channels), layout.height, layout.width), dtype=np.float32).transpose(1, 2, 0)
        planes = out.transpose(2, 0, 1)
        known = ~np.isnan(values)
        sessions_known = known.sum(axis=0)
        filled = np.where(known, values, np.float32(0))
        coverage = []
        for plan in self._plans:
            region = plan.region
            weight = 1.0 if weights is None else float(weights[plan.number])
            if len(plan.repeats):
                shown = filled[:, plan.columns]
                if weight != 1:
                    shown = np.where(known[:, plan.columns], apply(shown, weight), np.float32(0))
                tile = region.encoder.draw(shown, bars, region.height)
                coverage.append(float(sessions_known[plan.columns] @ plan.repeats) / (region.height * len(values)))
            else:
                tile = apply(region.encoder.draw(values[:, plan.columns], bars, region.height), weight)
                missing = np.isnan(tile)
                coverage.append(float(1 - missing.mean()))
                tile[missing] = 0.0
            left, (top, bottom) = region.columns[0], region.rows
            # Every pixel but the margins is written each time, so an image drawn over keeps nothing of the last.
            planes[plan.channel, top:bottom, left : left + tile.shape[1]] = tile
        return out, tuple(coverage)
