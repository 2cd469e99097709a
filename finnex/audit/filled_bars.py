"""Bars that show prices of later sessions: filled backwards, interpolated, or closed by the next session's open."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.audit.audit_report import Finding
from finnex.audit.declarations import Declared

LEAST_BARS = 3
LEAST_MOVING = 60
LEAST_ON_A_LINE, SHARE_ON_A_LINE = 5, 0.02
STEPS_OF_A_MOVE = 50
"""Smallest price steps that both neighbours must lie apart: below, coarse prices lie on a line by chance."""
MOST_DECIMALS = 8
SHARE_OF_NEXT_OPENS = 0.5
STANDARD_ERRORS = 5.0
PRICES = ("open", "high", "low", "close")


def bars_filled_backwards(prices: pd.DataFrame, symbol: str) -> list[Declared]:
    """Find bars without movement whose price is that of the next moving bar, and not that of the one before.

    A feed that carries a price forward repeats the last close: such bars are honest, and count against the others.
    """
    own = np.flatnonzero((prices["symbol"] == symbol).to_numpy())
    bars = prices.iloc[own]
    o, h, l, c = (bars[name].to_numpy(dtype=np.float64) for name in ("open", "high", "low", "close"))
    still = ((o == h) & (h == l) & (l == c)) | (bars["volume"].to_numpy(dtype=np.float64) == 0)
    price_before = pd.Series(np.where(still, np.nan, c)).ffill().to_numpy()
    price_after = pd.Series(np.where(still, np.nan, c)).bfill().to_numpy()
    open_after = pd.Series(np.where(still, np.nan, o)).bfill().to_numpy()
    backwards = still & ((c == price_after) | (c == open_after)) & (c != price_before)
    forwards = still & (c == price_before) & (c != price_after)
    if backwards.sum() < LEAST_BARS or backwards.sum() <= forwards.sum():
        return []
    first = bars.iloc[int(np.flatnonzero(backwards)[0])]
    evidence = (
        f"{symbol}: {int(backwards.sum())} bars without movement show the price of the next session that moved and not "
        f"that of the one before ({int(forwards.sum())} show the one before), such as {first['date'].date()} at "
        f"{first['close']:g}."
    )
    remedy = "Remove bars of sessions without a trade: such a session has no image; a price must not be filled back."
    rows = _rows(prices, own[backwards])
    return [Declared(Finding("bars_filled_backwards", "prices", (), evidence, remedy, symbol), rows)]


def bars_on_a_line(prices: pd.DataFrame, symbol: str) -> list[Declared]:
    """Find bars all of whose prices lie on the straight line between the bars around them: interpolated.

    Only where those lie far apart: a halted stock, and a price of few cents, are on such lines by themselves.
    """
    own = np.flatnonzero((prices["symbol"] == symbol).to_numpy())
    bars = prices.iloc[own]
    values = bars[list(PRICES)].to_numpy(dtype=np.float64)
    close = values[:, 3]
    steps = np.abs(np.diff(close))
    if len(own) < LEAST_MOVING or not (steps > 0).any():
        return []
    unit = 10.0 ** -_decimals(values)
    bend = np.abs(values[:-2] - 2 * values[1:-1] + values[2:]).max(axis=1)
    apart = np.abs(close[2:] - close[:-2]) >= STEPS_OF_A_MOVE * max(unit, float(steps[steps > 0].min()))
    straight = np.r_[False, apart & (bend <= 2 * unit * (1 + 1e-6)), False]
    if straight.sum() < max(LEAST_ON_A_LINE, SHARE_ON_A_LINE * len(own)):
        return []
    evidence = (
        f"{symbol}: open, high, low and close of {int(straight.sum())} of {len(own)} bars lie exactly on the line from "
        f"the bar before to the bar after, such as {bars['date'].iloc[int(np.flatnonzero(straight)[0])].date()}: they "
        "are interpolated, and know the later of the two."
    )
    remedy = "Remove bars of sessions without a trade: such a session has no image; a price must not be interpolated."
    return [
        Declared(Finding("bars_interpolated", "prices", (), evidence, remedy, symbol), _rows(prices, own[straight]))
    ]


def close_after_hours(prices: pd.DataFrame, symbol: str) -> list[Declared]:
    """Find closes that were taken from the next session's open.

    An open that was taken from the close before looks the same, and so do coarse prices, but for the high and low:
    what was put into a bar lies at its edge more often than what belongs there.
    """
    own = np.flatnonzero((prices["symbol"] == symbol).to_numpy())
    bars = prices.iloc[own]
    o, h, l, c = (bars[name].to_numpy(dtype=np.float64) for name in PRICES)
    moving = (h > l) & (bars["volume"].to_numpy(dtype=np.float64) > 0)
    pairs = moving[:-1] & moving[1:]
    equal = pairs & (c[:-1] == o[1:])
    if pairs.sum() < LEAST_MOVING or equal.sum() <= SHARE_OF_NEXT_OPENS * pairs.sum():
        return []
    closing = ((c == h) | (c == l))[:-1] & equal
    opening = ((o == h) | (o == l))[1:] & equal
    more, fewer = int((closing & ~opening).sum()), int((opening & ~closing).sum())
    if more - fewer <= STANDARD_ERRORS * np.sqrt(more + fewer):
        return []
    evidence = (
        f"{symbol}: {int(equal.sum())} of {int(pairs.sum())} closes equal the open of the next session; {more} of them "
        f"are the high or low of their session where the open is not that of its own, {fewer} the other way round: "
        "the close was taken after hours."
    )
    remedy = "Give the official close of the session: a later price is not known at its decision."
    rows = _rows(prices, own[:-1][equal])
    return [Declared(Finding("close_after_hours", "prices", (), evidence, remedy, symbol), rows)]


def _rows(prices: pd.DataFrame, numbers: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    rows = np.zeros(len(prices), dtype=bool)
    rows[numbers] = True
    return rows


def _decimals(values: npt.NDArray[np.float64]) -> int:
    """Return with how many decimals values are written, at most eight."""
    for decimals in range(MOST_DECIMALS):
        if np.allclose(values, values.round(decimals), rtol=1e-12, atol=0):
            return decimals
    return MOST_DECIMALS
