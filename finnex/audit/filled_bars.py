"""Bars that were filled in backwards: a session without trades that shows the price of a later one."""

from __future__ import annotations

import numpy as np
import pandas as pd

from finnex.audit.declarations import Declared
from finnex.audit.report import Finding

LEAST_BARS = 3


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
    rows = np.zeros(len(prices), dtype=bool)
    rows[own[backwards]] = True
    first = bars.iloc[int(np.flatnonzero(backwards)[0])]
    evidence = (
        f"{symbol}: {int(backwards.sum())} bars without movement show the price of the next session that moved and not "
        f"that of the one before ({int(forwards.sum())} show the one before), such as {first['date'].date()} at "
        f"{first['close']:g}."
    )
    remedy = "Remove bars of sessions without a trade: such a session has no image; a price must not be filled back."
    return [Declared(Finding("bars_filled_backwards", "prices", (), evidence, remedy, symbol), rows)]
