"""One session of a company: the window that its image is drawn from, and the image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.errors import ConfigError, nearest
from finnex.layout import Layout
from finnex.pipeline.drawing import Block
from finnex.pipeline.in_memory import draw_in_memory

Image = npt.NDArray[np.float32]

DAILY_KEYS: Mapping[str, str] = {
    "macro_sentiment": "fear_greed", "news": "news", "social": "social", "historical": "historical",
    "analyst_sentiment": "analyst", "macro_technical": "market", "ohlcv": "price_chart", "volume": "price_chart",
    "technical": "technical", "momentum_indicators": "technical", "fundamental_growth": "fundamentals",
    "economic_indicators": "economy", "fed_policy": "economy", "cross_asset": "economy", "options": "options",
    "volatility": "volatility", "fundamentals": "fundamentals", "competitive": "competitive",
}  # fmt: skip
"""The specification's keys of `daily_data` to regions of the default layout."""


@dataclass(frozen=True, eq=False)
class DailyFeatures(Mapping[str, pd.DataFrame]):
    """What one session's image is drawn from: the window of every region, oldest session first.

    Indexing by a region's name, or by one of the specification's keys (`DAILY_KEYS`), gives a frame of original
    values, sessions x features, NaN where not known; the price chart's holds open, high, low, close and volume.

    Attributes
    ----------
    symbol
        The company.
    date
        The session.
    layout
        Layout of the image.
    block
        What the image is drawn from: normalised values and bars.
    original
        Original values of the window, sessions by feature, in the units of the catalogue; NaN where not known.
    bars
        Open, high, low, close and volume of the window; NaN where there is no bar.

    Examples
    --------
    >>> from finnex.mega_image_generation import FinNeXMegaImageGenerator
    >>> generator = FinNeXMegaImageGenerator("enhanced.csv", None, None, symbol="NVDA")
    >>> features = generator.extract_daily_features("2015-03-31")
    >>> features["ohlcv"].shape, features.image.shape, features.channel("red").shape
    ((56, 5), (512, 512, 3), (512, 512))
    >>> features.coverage["price_chart"]
    1.0
    """

    symbol: str
    date: pd.Timestamp
    layout: Layout
    block: Block
    original: pd.DataFrame
    bars: pd.DataFrame

    def __getitem__(self, name: str) -> pd.DataFrame:
        wanted = DAILY_KEYS.get(name, name)
        for region in self.layout.regions:
            if region.name == wanted:
                return self.original[list(region.features)] if region.features else self.bars
        raise KeyError(f"no region '{name}'. {nearest(name, {*self, *DAILY_KEYS})}")

    def __iter__(self) -> Iterator[str]:
        return (region.name for region in self.layout.regions)

    def __len__(self) -> int:
        return len(self.layout.regions)

    @cached_property
    def _drawn(self) -> tuple[Image, dict[str, float]]:
        image, coverage = draw_in_memory(self.block, f"{self.symbol} for {self.date.date()}")
        return image, dict(zip(self, coverage, strict=True))

    @property
    def image(self) -> Image:
        """(512, 512, 3) float32 in [0, 1], 0 where not known."""
        return self._drawn[0]

    @property
    def coverage(self) -> dict[str, float]:
        """Share of known pixels of each region."""
        return self._drawn[1]

    def channel(self, name: str) -> Image:
        """Return one channel of the image, (y, x).

        Parameters
        ----------
        name
            `red`, `green` or `blue`, as the layout names them.

        Returns
        -------
        numpy.ndarray
            float32 in [0, 1], 0 where not known.

        Raises
        ------
        ConfigError
            The layout has no such channel.
        """
        if name not in self.layout.channels:
            raise ConfigError(
                f"layout '{self.layout.name}' has no channel '{name}'. {nearest(name, self.layout.channels)}"
            )
        return self.image[:, :, self.layout.channels.index(name)]
