"""Patches of an image: where each one lies, what it shows, how images are cut into patches and joined again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from finnex.errors import LayoutError
from finnex.images.decode import FeatureMap, feature_map
from finnex.layout import Layout

PATCH_PX = 32
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class Patch:
    """A square of an image, all channels.

    Attributes
    ----------
    number
        Row by row from the top left corner, 0 first.
    row, column
        Place in the grid of patches.
    rows, columns
        Pixels, half-open.
    section
        The section that holds most of its rows; of two that hold as many, the upper one.
    regions
        Channel to the regions of which it shows pixels, in the layout's order.
    features
        What it shows, in the catalogue's order; price bars are no feature.
    lags
        Newest and oldest session that it shows, in sessions before the image's own; None where it is all margin.
    """

    number: int
    row: int
    column: int
    rows: tuple[int, int]
    columns: tuple[int, int]
    section: str
    regions: Mapping[str, tuple[str, ...]]
    features: tuple[str, ...]
    lags: tuple[int, int] | None


@dataclass(frozen=True)
class PatchGrid:
    """All patches of a layout, and the map of pixels they were found on."""

    layout: Layout
    patch_px: int
    rows: int
    columns: int
    patches: tuple[Patch, ...]
    pixels: FeatureMap

    def __len__(self) -> int:
        return len(self.patches)

    def at(self, row: int, column: int) -> Patch:
        """Return the patch of a place in the grid.

        Raises
        ------
        LayoutError
            The place lies outside the grid.
        """
        if not (0 <= row < self.rows and 0 <= column < self.columns):
            raise LayoutError(
                f"patch row {row}, column {column} lies outside the grid; rows run from 0 to {self.rows - 1}, "
                f"columns from 0 to {self.columns - 1}."
            )
        return self.patches[row * self.columns + column]

    @property
    def section_of(self) -> npt.NDArray[np.intp]:
        """Position in `layout.sections` of each patch, (patches,)."""
        names = [section.name for section in self.layout.sections]
        return np.array([names.index(patch.section) for patch in self.patches], dtype=np.intp)


def patch_grid(layout: Layout, patch_px: int = PATCH_PX) -> PatchGrid:
    """Return the patches of a layout.

    Raises
    ------
    LayoutError
        Patches of this size do not tile the image.
    """
    _check_size(layout.height, layout.width, patch_px)
    rows, columns = layout.height // patch_px, layout.width // patch_px
    pixels = feature_map(layout)
    section_of_row = [_section(layout, row * patch_px, (row + 1) * patch_px) for row in range(rows)]
    patches = tuple(
        _patch(layout, pixels, patch_px, row * columns + column, row, column, section_of_row[row])
        for row in range(rows)
        for column in range(columns)
    )
    return PatchGrid(layout, patch_px, rows, columns, patches, pixels)


def _section(layout: Layout, top: int, bottom: int) -> str:
    held = [min(bottom, section.rows[1]) - max(top, section.rows[0]) for section in layout.sections]
    return layout.sections[int(np.argmax(held))].name


def _patch(
    layout: Layout, pixels: FeatureMap, patch_px: int, number: int, row: int, column: int, section: str
) -> Patch:
    rows, columns = (row * patch_px, (row + 1) * patch_px), (column * patch_px, (column + 1) * patch_px)
    place = (slice(*rows), slice(*columns))
    lag = pixels.lag[place]
    region, feature = pixels.region[place], pixels.feature[place]
    shown = lag >= 0
    return Patch(
        number, row, column, rows, columns, section,
        {
            name: tuple(layout.regions[found].name for found in np.unique(region[:, :, channel]))
            for channel, name in enumerate(layout.channels)
        },
        tuple(layout.catalogue.names[found] for found in np.unique(feature[shown & (feature >= 0)])),
        (int(lag[shown].min()), int(lag[shown].max())) if shown.any() else None,
    )  # fmt: skip


def _check_size(height: int, width: int, patch_px: int) -> None:
    if patch_px < 1 or height % patch_px or width % patch_px:
        fitting = [px for px in range(8, min(height, width) + 1) if height % px == 0 and width % px == 0]
        raise LayoutError(
            f"patches of {patch_px} pixels do not tile an image of {height} x {width}. "
            f"Choose a side that divides both: {', '.join(map(str, fitting)) or 'none above 7 does'}."
        )


def extract_patches(images: npt.NDArray[Scalar], patch_px: int = PATCH_PX) -> npt.NDArray[Scalar]:
    """Cut images into patches, row by row from the top left corner.

    Parameters
    ----------
    images
        (..., height, width, channel).

    Returns
    -------
    numpy.ndarray
        (..., patch, patch_px, patch_px, channel), the same values; one copy.

    Raises
    ------
    LayoutError
        Patches of this size do not tile the images.
    """
    *lead, height, width, channels = images.shape
    _check_size(height, width, patch_px)
    rows, columns = height // patch_px, width // patch_px
    cut = images.reshape(*lead, rows, patch_px, columns, patch_px, channels).swapaxes(-4, -3)
    return cut.reshape(*lead, rows * columns, patch_px, patch_px, channels)


def join_patches(patches: npt.NDArray[Scalar], columns: int | None = None) -> npt.NDArray[Scalar]:
    """Put patches together again: the inverse of `extract_patches`.

    Parameters
    ----------
    patches
        (..., patch, patch_px, patch_px, channel).
    columns
        Patches in a row; if absent, as many as in a column.

    Raises
    ------
    LayoutError
        The patches do not fill a rectangle of so many columns.
    """
    *lead, count, patch_px, _, channels = patches.shape
    across = round(count**0.5) if columns is None else columns
    if across < 1 or count % across or (columns is None and across**2 != count):
        raise LayoutError(f"{count} patches do not fill a rectangle {across} patches wide. Give all of an image.")
    grid = patches.reshape(*lead, count // across, across, patch_px, patch_px, channels).swapaxes(-4, -3)
    return grid.reshape(*lead, count // across * patch_px, across * patch_px, channels)


# ---- the specification's table of patches ------------------------------------------------------------------

KEYS = {"macro_economic": "macro_patches"}
"""Section to its key where that is not the section's name and `_patches`."""
CONTEXTS = {
    "macro": "market environment and regime", "events": "scheduled events", "calendar": "the exchange's calendar",
    "sentiment": "investor psychology", "prices": "price action and momentum", "options": "what options expect",
    "fundamentals": "company health", "competitive": "competitive position",
}  # fmt: skip
"""What a table of the catalogue is about."""
LEAST_SHARE = 0.05
"""A table that fills less of a section's pixels than this does not make its theme."""


def patch_intelligence_mapping(layout: Layout, patch_px: int = PATCH_PX) -> dict[str, dict[str, Any]]:
    """Return, by section, which patches it has and what they show: the specification's table, read off the layout.

    Parameters
    ----------
    layout
        Layout of the images.
    patch_px
        Side of a patch in pixels.

    Returns
    -------
    dict
        `macro_patches`, `behavioral_technical_patches` and `fundamental_competitive_patches` for a layout of the
        default sections, otherwise `SECTION_patches`; each with patch_range, financial_context, features_encoded,
        cnn_learning_target and interpretation. A section too thin to hold most of any patch has no entry.

    Examples
    --------
    >>> from finnex.layout import load_layout
    >>> patch_intelligence_mapping(load_layout("mega"))["macro_patches"]["patch_range"]
    'rows 0-4 (patches 0-79)'
    """
    grid = patch_grid(layout, patch_px)
    found = {}
    for section in layout.sections:
        own = [patch for patch in grid.patches if patch.section == section.name]
        if not own:
            continue
        themes = _themes(grid, own)
        features = {name for patch in own for name in patch.features}
        drawn = [region for region in layout.regions if region.section == section.name]
        encoders = ", ".join(dict.fromkeys(region.encoder_name for region in drawn))
        leading = " and ".join(list(themes)[:2])
        found[KEYS.get(section.name, f"{section.name}_patches")] = {
            "patch_range": f"rows {own[0].row}-{own[-1].row} (patches {own[0].number}-{own[-1].number})",
            "financial_context": ", ".join(f"{theme} {share:.0%}" for theme, share in themes.items()),
            "features_encoded": [name for name in layout.catalogue.names if name in features],
            "cnn_learning_target": f"patterns of {layout.lookback} sessions in "
            f"{', '.join(region.name for region in drawn)} ({encoders})",
            "interpretation": f"a vote of these patches is evidence from {leading}",
        }
    return found


def _themes(grid: PatchGrid, patches: list[Patch]) -> dict[str, float]:
    """Return theme to its share of the patches' pixels that show something, largest first."""
    entries = grid.layout.catalogue.entries
    of_feature = [CONTEXTS.get(entry.table, f"table {entry.table}") for entry in entries]
    of_feature.append(CONTEXTS["prices"])  # feature -1: price bars
    count: dict[str, int] = {}
    for patch in patches:
        place = (slice(*patch.rows), slice(*patch.columns))
        features = grid.pixels.feature[place][grid.pixels.lag[place] >= 0]
        for feature, pixels in zip(*np.unique(features, return_counts=True), strict=True):
            count[of_feature[feature]] = count.get(of_feature[feature], 0) + int(pixels)
    shares = {theme: pixels / sum(count.values()) for theme, pixels in sorted(count.items(), key=lambda i: -i[1])}
    return {theme: share for theme, share in shares.items() if share >= LEAST_SHARE}
