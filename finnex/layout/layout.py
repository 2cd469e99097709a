"""The layout: place, channel, encoder and features of every region."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np

from finnex.encoders import Encoder
from finnex.errors import LayoutError, nearest
from finnex.layout.catalogue import Catalogue
from finnex.layout.direction import drawn_text

BLENDS = (
    "news_agreement", "social_agreement", "archive_agreement", "technical_regime", "macro_transition",
    "fundamental_momentum",
)  # fmt: skip
"""Names a region may give for its weight; `finnex.images.blending` computes them."""


@dataclass(frozen=True)
class Section:
    """A band of rows with one theme; half-open bounds."""

    name: str
    rows: tuple[int, int]


@dataclass(frozen=True)
class Region:
    """A rectangle of one channel; half-open bounds, features in drawing order."""

    name: str
    section: str
    channel: str
    rows: tuple[int, int]
    columns: tuple[int, int]
    encoder_name: str
    encoder: Encoder
    features: tuple[str, ...]
    blend: str = ""
    """Name of the blend that sets its weight (`finnex.images.blending`), where blending is on."""

    @property
    def height(self) -> int:
        """Rows."""
        return self.rows[1] - self.rows[0]

    @property
    def width(self) -> int:
        """Columns, with the margin that no session fills."""
        return self.columns[1] - self.columns[0]

    def margin(self, lookback: int) -> int:
        """Return the columns at the right that no session fills."""
        return self.width - lookback * self.encoder.session_px

    def rows_per_value(self, lookback: int) -> tuple[int, int]:
        """Return the fewest and most rows that a feature takes, or a session of a square plot, or a chart."""
        origin = self.encoder.origin(lookback, len(self.features), self.height)
        of_row = origin.feature[:, 0] if len(self.features) != 1 else origin.lag_other[:, 0]
        counts = np.bincount(of_row - of_row.min())
        return int(counts[counts > 0].min()), int(counts.max())


@dataclass(frozen=True)
class Layout:
    """A whole image, as data. `text` is the file as it was read; the store keeps it."""

    name: str
    height: int
    width: int
    channels: tuple[str, ...]
    lookback: int
    sections: tuple[Section, ...]
    regions: tuple[Region, ...]
    catalogue: Catalogue
    text: str
    blending: bool = False

    @cached_property
    def hash(self) -> str:
        """Hash of everything that decides what is drawn: layout, catalogue without its directions, window."""
        return hash_of_texts(self.text, self.catalogue.text, self.lookback, blending=self.blending)

    @cached_property
    def rows(self) -> dict[str, Region]:
        """Feature name to the heat map whose row it is; features without a row are not among the keys."""
        return {name: region for region in self.regions if region.encoder_name == "heatmap" for name in region.features}

    def region(self, name: str) -> Region:
        """Return a region by name."""
        for region in self.regions:
            if region.name == name:
                return region
        raise LayoutError(
            f"layout '{self.name}' has no region '{name}'. {nearest(name, [region.name for region in self.regions])}"
        )


def hash_of_texts(layout: str, catalogue: str, lookback: int, *, blending: bool) -> str:
    """Return the hash of a layout from the texts that it is read from: the texts need not be valid.

    Parameters
    ----------
    layout
        Text of the layout.
    catalogue
        Text of the catalogue.
    lookback
        Sessions shown.
    blending
        Whether regions are drawn with their blend's weight.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    digest = blake2b(digest_size=16)
    for part in (layout, drawn_text(catalogue), f"{lookback} {blending}"):
        digest.update(len(part).to_bytes(8, "little") + part.encode())
    return digest.hexdigest()
