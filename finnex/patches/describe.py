"""Metadata of patches, in addition to their pixels: of the patches of many images together, or of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from finnex.data.calendar import Days
from finnex.errors import LayoutError
from finnex.patches.features import ENHANCED, HISTORY
from finnex.patches.grid import PatchGrid, extract_patches
from finnex.patches.neighbors import spatial_neighbors
from finnex.patches.patch_metadata import METADATA, REGIMES, regime
from finnex.patches.patch_panel import PatchPanel
from finnex.patches.patch_signals import Signals

UNKNOWN_REGIME = "unknown"
METADATA_FIELDS = (*METADATA, "regime_context", "patch_section", "spatial_coordinates")
"""The nine fields of the specification's patch metadata."""
ENHANCED_FIELDS = ("patch_section", "spatial_neighbors", *ENHANCED)
"""The thirteen features of the specification's patch feature engineering."""


@dataclass(frozen=True, eq=False)
class PatchDescription:
    """What the panel contains about the patches of some images.

    Attributes
    ----------
    columns
        The names of `METADATA` and `ENHANCED`, each (images, patches) float32, NaN where not known.
    regime
        (images, patches), counting into `REGIMES`, -1 where not known.
    """

    columns: Mapping[str, npt.NDArray[np.float32]]
    regime: npt.NDArray[np.int8]


def describe(grid: PatchGrid, panel: PatchPanel, days: Days, only: int | None = None) -> PatchDescription:
    """Describe the patches of the images of some sessions; nothing later than an image's session is looked at.

    Parameters
    ----------
    grid
        Patches of the layout.
    panel
        Normalised features by session.
    days
        (images,) sessions of the images.
    only
        One patch instead of all.

    Returns
    -------
    PatchDescription
        The patches' numbers, each (images, patches), NaN where not known; one patch where `only` is given.

    Raises
    ------
    LayoutError
        A day is not among the panel's sessions.
    """
    at = panel.rows(days)
    first = max(0, int(at.min()) - HISTORY)
    signals = Signals(grid, panel, np.arange(first, int(at.max()) + 1), only)
    here = at - first
    columns = {name: one.compute(signals)[here].astype(np.float32) for name, one in {**METADATA, **ENHANCED}.items()}
    return PatchDescription(columns, regime(signals)[here])


def regime_word(code: int) -> str:
    """Return the word of a regime's code."""
    return REGIMES[code] if code >= 0 else UNKNOWN_REGIME


@dataclass(frozen=True, eq=False)
class MarketContext:
    """The session in which a patch is described: its image, and the panel up to it.

    Attributes
    ----------
    image
        (height, width, channel) float32.
    grid
        Patches of the layout.
    panel
        Normalised features by session.
    day
        Session of the image.

    Examples
    --------
    >>> from finnex.cnn_training import FinNeXCNNTrainer
    >>> context = FinNeXCNNTrainer("images.zarr").market_context(0)
    >>> str(context.day), context.image.shape
    ('2015-03-02', (512, 512, 3))
    """

    grid: PatchGrid
    panel: PatchPanel
    day: np.datetime64
    image: npt.NDArray[np.float32]


def generate_enhanced_patch_features(
    patch: npt.NDArray[np.float32], patch_metadata: Mapping[str, Any], market_context: MarketContext
) -> dict[str, Any]:
    """Return the thirteen enhanced features of one patch: the numbers that a whole data set gets.

    Parameters
    ----------
    patch
        (patch_px, patch_px, channel), of the context's image.
    patch_metadata
        Its `coordinates` (row, column), or `spatial_coordinates`.
    market_context
        Its market context; `FinNeXCNNTrainer.market_context` makes one.

    Returns
    -------
    dict
        The names of `ENHANCED_FIELDS`; NaN where not known.

    Raises
    ------
    LayoutError
        The coordinates are missing or outside the grid, or the patch is not the image's patch at them.

    Examples
    --------
    >>> from finnex.cnn_training import FinNeXCNNTrainer
    >>> trainer = FinNeXCNNTrainer("images.zarr")
    >>> context = trainer.market_context(0)
    >>> patch = trainer.extract_patches(context.image)[17]
    >>> found = generate_enhanced_patch_features(patch, {"coordinates": (1, 1)}, context)
    >>> found["patch_section"], len(found)
    ('macro_economic', 13)
    """
    place = patch_metadata.get("coordinates", patch_metadata.get("spatial_coordinates"))
    if place is None:
        raise LayoutError("patch_metadata has neither 'coordinates' nor 'spatial_coordinates'. Give (row, column).")
    grid, image = market_context.grid, market_context.image
    own = grid.at(*place)
    if not np.array_equal(extract_patches(image, grid.patch_px)[own.number], patch):
        raise LayoutError(
            f"the patch is not the one at row {own.row}, column {own.column} of the image of {market_context.day}. "
            "Give the patch, its coordinates and the context of one session."
        )
    found = describe(grid, market_context.panel, np.array([market_context.day]), only=own.number)
    return {
        "patch_section": own.section,
        "spatial_neighbors": float(spatial_neighbors(image[None], grid.patch_px)[0, own.number]),
        **{name: float(found.columns[name][0, 0]) for name in ENHANCED},
    }
