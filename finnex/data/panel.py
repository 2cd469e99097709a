"""The point-in-time panel of one symbol: everything an image of any of its sessions can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.config import Config
from finnex.data.calendar import SessionCalendar
from finnex.data.features import compute, make_context
from finnex.data.features.price_basis import PRICE_STEP, levels
from finnex.data.normalize import STEPS, FeatureSpec, normalize_columns
from finnex.data.tables import Tables
from finnex.errors import InputError, Problem, first_of, nearest

BAR_COLUMNS = ("open", "high", "low", "close", "volume", "moving_average")
VOLUME_SCALE = 4.0  # a bar of the volume chart is full at four times the trailing mean
VOLUME_WINDOW = 63
MOVING_AVERAGE = 20  # sessions of the line in the price chart
CHART_STEP = 23 * PRICE_STEP
"""Of a logarithm, 0.6 basis points: less than a cent of a share of 160. No whole number of price steps lies in the
middle of an odd one."""


@dataclass(frozen=True, eq=False)
class Panel:
    """Features and bars of one symbol on its sessions; row t uses nothing later than session t.

    Attributes
    ----------
    original
        (sessions, features) float64 in each feature's unit, NaN where not known.
    normalized
        (sessions, features) float32 in [0.02, 1], NaN where not known.
    location, scale
        (sessions, features) float64: each session's own normaliser, `original = location + scale * x`.
    bars
        (sessions, 6) float32: log of open, high, low and close over the close before, in steps of `CHART_STEP`; volume
        over four times its trailing mean, in 256 steps from 0 to 1; log of the mean of the last 20 closes over the
        close before, NaN until there are 20. Free of scale, so that a split changes no picture. NaN without a bar.
    """

    symbol: str
    calendar: SessionCalendar
    features: tuple[str, ...]
    original: npt.NDArray[np.float64]
    normalized: npt.NDArray[np.float32]
    location: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    bars: npt.NDArray[np.float32]

    @property
    def traded(self) -> npt.NDArray[np.bool_]:
        """Sessions on which the symbol has a bar."""
        return ~np.isnan(self.bars[:, 3])

    @cached_property
    def rows(self) -> npt.NDArray[np.float32]:
        """(sessions, features + 6) float32: `normalized` and `bars` side by side, all that an image is drawn from."""
        return np.concatenate([self.normalized, self.bars], axis=1)

    def row_digests(self) -> npt.NDArray[np.uint8]:
        """Return 16 bytes per session that change exactly when what the session contributes to images changes."""
        digests = [blake2b(row, digest_size=16).digest() for row in self.rows]
        return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(len(self.calendar), 16)


def make_panel(tables: Tables, config: Config, symbol: str, specs: Sequence[FeatureSpec]) -> Panel:
    """Compute Stage 1 of a symbol from its first row on, and normalise it.

    Columns of the `enhanced` table are used as they are in place of the computed feature of that name.

    Parameters
    ----------
    tables
        Input tables.
    config
        Configuration: exchange, inputs and symbols.
    symbol
        Symbol whose panel is computed.
    specs
        Normaliser of each feature, in the order of the panel's columns.

    Returns
    -------
    Panel
        Original and normalised values (sessions, features), and the bars (sessions, 6).

    Raises
    ------
    InputError
        The enhanced table has a column that the catalogue does not know.
    """
    context = make_context(tables, config, symbol)
    found = compute(context, [spec.name for spec in specs])
    if tables.enhanced is not None:
        found |= _enhanced(
            tables,
            symbol,
            context.calendar,
            [spec.name for spec in specs],
            config.inputs.place_of("enhanced"),
        )
    every = normalize_columns(np.stack([found[spec.name] for spec in specs], axis=1), specs)
    return Panel(
        symbol=symbol,
        calendar=context.calendar,
        features=tuple(spec.name for spec in specs),
        original=every.original,
        normalized=every.brightness,
        location=every.location,
        scale=every.scale,
        bars=price_bars(context.bars, context.calendar),
    )


def price_bars(bars: pd.DataFrame, calendar: SessionCalendar) -> npt.NDArray[np.float32]:
    """Return what the price chart is drawn from: see `Panel.bars`.

    Parameters
    ----------
    bars
        open, high, low, close and volume, in any unit, indexed by session position.
    calendar
        Sessions.

    Returns
    -------
    numpy.ndarray
        (sessions, 6) float32, NaN without a bar.
    """
    close = bars["close"].to_numpy(dtype="float64")
    average = np.full(len(bars), np.nan)
    if len(bars) >= MOVING_AVERAGE:
        # Each mean is a sum of its own 20 closes: a running sum would carry the rounding of all closes before.
        average[MOVING_AVERAGE - 1 :] = np.lib.stride_tricks.sliding_window_view(close, MOVING_AVERAGE).mean(axis=1)
    priced = np.column_stack([bars[["open", "high", "low", "close"]].to_numpy(dtype="float64"), average])
    days = calendar.days[bars.index.to_numpy()]
    # Levels, and not changes, are rounded: a chart that adds up rounded changes would drift.
    level = levels(priced, days, close, CHART_STEP)
    moved = (level - np.concatenate([level[:1, 3], level[:-1, 3]])[:, None]) * CHART_STEP
    mean = bars["volume"].rolling(VOLUME_WINDOW, min_periods=1).mean()
    share = (bars["volume"] / (VOLUME_SCALE * mean.where(mean > 0))).fillna(0.0).clip(0.0, 1.0).to_numpy()
    placed = np.full((len(calendar), len(BAR_COLUMNS)), np.nan)
    placed[bars.index.to_numpy()] = np.column_stack([moved[:, :4], np.rint(share * STEPS) / STEPS, moved[:, 4]])
    # One pattern of bits for every NaN and for zero: equal pictures have equal bytes.
    return np.where(np.isnan(placed), np.float32(np.nan), placed + 0.0).astype(np.float32)


def _enhanced(
    tables: Tables, symbol: str, calendar: SessionCalendar, known: Sequence[str], path: str
) -> dict[str, npt.NDArray[np.float64]]:
    rows = tables.of("enhanced", symbol)
    columns = [name for name in rows.columns if name not in {"symbol", "date"}]
    strange = [name for name in columns if name not in known]
    if strange:
        what = "the catalogue has no feature of this name"
        raise InputError(
            [
                Problem(path, what, nearest(name, known), column=name, further=further)
                for name, further in first_of(strange)
            ]
        )
    position = calendar.index_of(rows["date"].to_numpy().astype("datetime64[D]"))
    found = {}
    for name in columns:
        values = np.full(len(calendar), np.nan)
        values[position[position >= 0]] = rows[name].to_numpy(dtype="float64")[position >= 0]
        found[name] = values
    return found
