"""OHLC chart with volume: the picture a trader looks at.

Each session is three strokes after Jiang, Kelly and Xiu, (Re-)Imag(in)ing Price Trends (2023): the open as a tick
to the left, high to low as a line, the close as a tick to the right. Rising sessions are drawn bright, falling ones
half as bright. Below stands the volume against its own trailing mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finnex.encoders.tile import FLOOR, Encoder, Tile
from finnex.errors import LayoutError

RISING, FALLING, PAPER = 1.0, 0.5, FLOOR


@dataclass(frozen=True)
class Candlestick(Encoder):
    """Prices of the window between its own low and high, volume below.

    Attributes
    ----------
    volume_share
        Share of the height that the volume chart takes, in [0, 0.5].
    """

    volume_share: float = 0.25

    def __post_init__(self) -> None:
        """Refuse a session too narrow for three strokes."""
        super().__post_init__()
        if self.session_px < 3:
            raise LayoutError(f"session_px {self.session_px} is too narrow for open, line and close. Give 3 or more.")
        if not 0 <= self.volume_share <= 0.5:
            raise LayoutError(f"volume_share {self.volume_share} is outside 0 to 0.5. Give the share of the height.")

    def accepts(self, features: int) -> str:
        """Draws bars, no features."""
        return "" if features == 0 else "a candlestick chart draws the price bars and takes no features"

    def draw(self, values: npt.NDArray[np.float32], bars: npt.NDArray[np.float32], height: int) -> Tile:
        """Return the chart; sessions without a bar are NaN from top to bottom."""
        known = ~np.isnan(bars[:, 3])
        sessions, px = len(bars), self.session_px
        tile = np.full((height, sessions, px), PAPER, dtype=np.float32)
        if known.any():
            volume_rows = round(height * self.volume_share)
            chart_rows = height - volume_rows
            self._prices(tile[:chart_rows], np.where(known[:, None], bars, 0.0).astype(np.float64), known)
            if volume_rows:
                filled = np.where(known, bars[:, 4], 0.0) * (volume_rows - 1)
                above = np.arange(volume_rows - 1, -1, -1)[:, None]
                shade = np.where(bars[:, 3] >= bars[:, 0], RISING, FALLING)
                tile[chart_rows:, :, : px - 1] = np.where(above <= filled, shade, PAPER)[:, :, None]
        tile[:, ~known] = np.nan
        return tile.reshape(height, sessions * px)

    def _prices(
        self, tile: npt.NDArray[np.float32], bars: npt.NDArray[np.float64], known: npt.NDArray[np.bool_]
    ) -> None:
        """Draw into (rows, sessions, px): log prices from the window's low (bottom row) to its high (top row)."""
        rows, px = len(tile), self.session_px
        before = np.concatenate([[0.0], np.cumsum(bars[:-1, 3])])  # the close before each session
        level = before[:, None] + bars[:, :4]
        low, high = level[known, 2].min(), level[known, 1].max()
        span = high - low if high > low else 1.0
        row = np.round((high - level) / span * (rows - 1)).astype(np.intp)  # open, high, low, close
        shade = np.where(bars[:, 3] >= bars[:, 0], RISING, FALLING).astype(np.float32)
        here = np.arange(rows)[:, None]
        centre = px // 2
        tile[:, :, centre] = np.where((here >= row[:, 1]) & (here <= row[:, 2]), shade, tile[:, :, centre])
        session = np.arange(len(bars))
        for column in range(centre):
            tile[row[:, 0], session, column] = shade
        for column in range(centre + 1, px):
            tile[row[:, 3], session, column] = shade
