"""One session: what its image is drawn from, the image, and its three channels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.errors import BuildError, ConfigError, nearest
from finnex.layout import Layout
from finnex.pipeline import Block, draw_block
from finnex.store import DraftTarget

Image = npt.NDArray[np.float32]

DAILY_KEYS: Mapping[str, str] = {
    "macro_sentiment": "fear_greed", "news": "news", "social": "social", "historical": "historical",
    "analyst_sentiment": "analyst", "macro_technical": "market", "ohlcv": "price_chart", "volume": "price_chart",
    "technical": "technical", "momentum_indicators": "technical", "fundamental_growth": "fundamentals",
    "economic_indicators": "economy", "fed_policy": "economy", "cross_asset": "economy", "options": "options",
    "volatility": "volatility", "fundamentals": "fundamentals", "competitive": "competitive",
}  # fmt: skip
"""The specification's keys of `daily_data` to regions of the default layout."""


@dataclass(frozen=True)
class _Kept(DraftTarget):
    """A target that keeps the image in memory: a day is then drawn by the very code that fills a store."""

    images: list[Image] = field(default_factory=list)

    def write(self, index: int, image: Image) -> tuple[str, int]:
        """Keep a copy: the canvas is drawn over."""
        self.images.append(image.copy())
        return "", 0


@dataclass(frozen=True, eq=False)
class DailyFeatures(Mapping[str, pd.DataFrame]):
    """What one session's image is drawn from: the window of every region, oldest session first.

    Indexing by a region's name, or by one of the specification's keys (`DAILY_KEYS`), gives a frame of original
    values, sessions x features, NaN where not known; the price chart's holds open, high, low, close and volume.
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
        kept = _Kept(**vars(self.block.target))
        receipt = draw_block(replace(self.block, target=kept))[0]
        if receipt.error:
            raise BuildError(f"the image of {self.symbol} for {self.date.date()} could not be drawn: {receipt.error}.")
        return kept.images[0], dict(zip(self, receipt.coverage, strict=True))

    @property
    def image(self) -> Image:
        """(512, 512, 3) float32 in [0, 1], 0 where not known."""
        return self._drawn[0]

    @property
    def coverage(self) -> dict[str, float]:
        """Share of known pixels of each region."""
        return self._drawn[1]

    def channel(self, name: str) -> Image:
        """Return one channel of the image, (y, x)."""
        if name not in self.layout.channels:
            raise ConfigError(
                f"layout '{self.layout.name}' has no channel '{name}'. {nearest(name, self.layout.channels)}"
            )
        return self.image[:, :, self.layout.channels.index(name)]


def read_days(given: Any, name: str) -> pd.DatetimeIndex:
    """Return one day, or an iterable of days, in order, each once; times of day and zones are left out.

    Raises
    ------
    ConfigError
        One is no date.
    """
    values = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    days, wrong = [], []
    for value in values:
        try:
            day = pd.Timestamp(value)
        except (TypeError, ValueError):
            wrong.append(repr(value))
            continue
        if isinstance(value, Real) or pd.isna(day):  # a bare number would be nanoseconds since 1970
            wrong.append(repr(value))
        else:
            days.append(day.tz_localize(None).normalize())
    if wrong:
        words = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        raise ConfigError(f"{name}: {words} is no date. Give dates such as '2015-03-31'.")
    return pd.DatetimeIndex(days).unique().sort_values()


def construct_sentiment_channel(daily_data: DailyFeatures) -> Image:
    """Return the red channel of a session, (512, 512): sentiment and behaviour."""
    return daily_data.channel("red")


def construct_technical_channel(daily_data: DailyFeatures) -> Image:
    """Return the green channel of a session, (512, 512): price action and technical indicators."""
    return daily_data.channel("green")


def construct_macro_fundamental_channel(daily_data: DailyFeatures) -> Image:
    """Return the blue channel of a session, (512, 512): macro economy and fundamentals."""
    return daily_data.channel("blue")
