"""Price charts with volume, as traders use them.

`ohlc` after Jiang, Kelly and Xiu, (Re-)Imag(in)ing Price Trends (2023): the open as a tick to the left, high to low as
a line, the close as a tick to the right; their moving average as a line, their volume below. `candle` fills open to
close as a body, as in Kusuma et al., Using Deep Learning Neural Networks and Candlestick Chart Representation to
Predict Stock Market (2019). Volume is relative to its own trailing mean, not to the window's maximum: that keeps its
level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from finnex.data.normalize import FLOOR
from finnex.encoders.origin import NONE, Origin, of_rows
from finnex.encoders.tile import Encoder, Tile

PAPER = FLOOR
Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Candlestick(Encoder):
    """Prices of the window between its own low and high, volume below.

    Attributes
    ----------
    volume_share
        Share of the height that the volume chart takes, in [0, 0.5].
    style
        `ohlc`: ticks for open and close. `candle`: a body between them.
    rising, falling
        Brightness of sessions that close at or above their open, and below it, in [0.02, 1]; 0.02 hides them.
    moving_average
        Brightness of the line of the 20-session moving average, in [0.02, 1]; 0 draws none.
    dot_px
        Side of a drawn dot: the chart is drawn this many times smaller and enlarged.
    """

    volume_share: float = 0.25
    style: Literal["ohlc", "candle"] = "ohlc"
    rising: float = 1.0
    falling: float = 0.5
    moving_average: float = 0.0
    dot_px: int = 1

    def mistakes(self) -> list[str]:
        """Refuse a session too narrow for its strokes, and unknown styles and shades."""
        found = super().mistakes()
        if self.style not in ("ohlc", "candle"):
            found.append(f"style '{self.style}' is no price chart. Use 'ohlc' or 'candle'.")
        if not 0 <= self.volume_share <= 0.5:
            found.append(f"volume_share {self.volume_share} is outside 0 to 0.5. Give the share of the height.")
        for name, shade in (("rising", self.rising), ("falling", self.falling)):
            if not FLOOR <= shade <= 1:
                found.append(f"{name} {shade} is outside 0.02 to 1. Give a brightness.")
        if self.moving_average != 0 and not FLOOR <= self.moving_average <= 1:
            found.append(f"moving_average {self.moving_average} is neither 0 nor in 0.02 to 1. Give a brightness.")
        if self.dot_px < 1 or self.session_px % self.dot_px:
            found.append(f"dot_px {self.dot_px} does not divide session_px {self.session_px}. Give a divisor.")
        needed = self.dot_px * (5 if self.style == "candle" else 3)
        if self.session_px < needed:
            found.append(f"session_px {self.session_px} is too narrow for its strokes. Give {needed} or more.")
        return found

    def accepts(self, features: int) -> str:
        """Draws bars, no features."""
        return "" if features == 0 else "a candlestick chart draws the price bars and takes no features"

    def draw(self, values: npt.NDArray[np.float32], bars: npt.NDArray[np.float32], height: int) -> Tile:
        """Return the chart; sessions without a bar are NaN from top to bottom."""
        known = ~np.isnan(bars[:, 3])
        sessions, px, rows = len(bars), self.session_px // self.dot_px, -(-height // self.dot_px)
        tile = np.full((rows, sessions, px), PAPER, dtype=np.float32)
        if known.any():
            volume_rows = round(rows * self.volume_share)
            chart_rows = rows - volume_rows
            self._prices(tile[:chart_rows], np.where(known[:, None], bars, 0.0).astype(np.float64), bars[:, 5:], known)
            if volume_rows:
                filled = np.where(known, bars[:, 4], 0.0) * (volume_rows - 1)
                above = np.arange(volume_rows - 1, -1, -1)[:, None]
                tile[chart_rows:, :, : px - 1] = np.where(above <= filled, self._shade(bars), PAPER)[:, :, None]
        tile[:, ~known] = np.nan
        drawn = tile.reshape(rows, sessions * px)
        if self.dot_px == 1:
            return drawn
        return np.repeat(drawn[np.arange(height) * rows // height], self.dot_px, axis=1)

    def origin(self, sessions: int, features: int, height: int) -> Origin:
        """Bars, one session a column; the scale follows from the whole window."""
        return of_rows(np.full(height, NONE, dtype=np.intp), sessions, self.session_px, whole_window=True)

    def _shade(self, bars: npt.NDArray[np.floating]) -> Pixels:
        return np.where(bars[:, 3] >= bars[:, 0], self.rising, self.falling).astype(np.float32)

    def _prices(self, tile: Pixels, bars: Floats, average: Pixels, known: npt.NDArray[np.bool_]) -> None:
        """Draw into (rows, sessions, px): log prices from the window's low (bottom row) to its high (top row)."""
        rows, sessions, px = tile.shape
        before = np.concatenate([[0.0], np.cumsum(bars[:-1, 3])])  # the close before each session
        level = before[:, None] + bars[:, :4]
        low, high = level[known, 2].min(), level[known, 1].max()
        span = high - low if high > low else 1.0
        row = np.round((high - level) / span * (rows - 1)).astype(np.intp)  # open, high, low, close
        row = row.clip(0, rows - 1)  # one that is not known may lie anywhere, and is taken out afterwards
        shade = self._shade(bars)
        here = np.arange(rows)[:, None]
        centre = px // 2
        if self.moving_average and average.shape[1]:
            line = (high - before - average[:, 0]) / span * (rows - 1)
            _line(tile.reshape(rows, sessions * px), np.where(known, line, np.nan), centre, self.moving_average)
        tile[:, :, centre] = np.where((here >= row[:, 1]) & (here <= row[:, 2]), shade, tile[:, :, centre])
        if self.style == "candle":
            top, bottom = np.minimum(row[:, 0], row[:, 3]), np.maximum(row[:, 0], row[:, 3])
            body = ((here >= top) & (here <= bottom))[:, :, None]
            # As wide to the left of the wick as to its right, with room between candles.
            inner = tile[:, :, 1:] if px % 2 == 0 else tile[:, :, 1 : px - 1]
            inner[:] = np.where(body, shade[:, None], inner)
            return
        session = np.arange(sessions)
        for column in range(centre):
            tile[row[:, 0], session, column] = shade
        for column in range(centre + 1, px):
            tile[row[:, 3], session, column] = shade


def _line(tile: Pixels, row: Floats, centre: int, brightness: float) -> None:
    """Draw a line through one row number a session, straight between sessions, broken where one is not known.

    Rows outside the tile are cut off: a moving average can leave the range of the window's prices.
    """
    rows, columns = tile.shape
    px = columns // len(row)
    at = np.arange(len(row)) * px + centre
    column = np.arange(at[0], at[-1] + 1)
    y = np.interp(column, at, np.where(np.isnan(row), 0.0, row))
    gap = np.interp(column, at, np.isnan(row)) > 0
    before = np.concatenate([y[:1], y[:-1]])
    top, bottom = np.round(np.minimum(before, y)), np.round(np.maximum(before, y))
    here = np.arange(rows)[:, None]
    lit = (here >= top) & (here <= bottom) & ~gap
    tile[:, column] = np.where(lit, np.float32(brightness), tile[:, column])
