"""What is odd about tables that passed every check: built all the same, and said aloud."""

from __future__ import annotations

import numpy as np
import pandas as pd

from finnex.config import Config
from finnex.data.features import symbol_calendar
from finnex.data.tables import Tables

FALL, RISE = 0.6, 1.7
"""A close at most or at least this share of the close before is nearly always a split that the prices still show."""
SHOWN = 3


def doubts(tables: Tables, config: Config) -> list[str]:
    """Return one sentence for each kind of oddity of each symbol, with its first cases and what to do."""
    found = []
    for symbol in config.symbols:
        bars = tables.prices[tables.prices["symbol"] == symbol]
        calendar = symbol_calendar(tables, config, symbol)
        days = bars["date"].to_numpy().astype("datetime64[D]")
        step = bars["close"].to_numpy()[1:] / bars["close"].to_numpy()[:-1]
        jump = np.flatnonzero((step <= FALL) | (step >= RISE))
        if len(jump):
            found.append(
                f"prices of {symbol}: a close of {step[jump[0]]:.3g} times the close before on {_some(days[jump + 1])} "
                "looks like a split; give prices that are split-adjusted over their whole history."
            )
        strange = days[calendar.index_of(days) < 0]
        if len(strange):
            found.append(
                f"prices of {symbol}: {_some(strange)} is no session of {config.exchange}; the bar is left out. "
                "Remove it, or set the exchange."
            )
        absent = calendar.days[~np.isin(calendar.days, days)]
        if len(absent):
            found.append(
                f"prices of {symbol}: no bar on {len(absent)} of {len(calendar)} sessions ({_some(absent)}); "
                "they have no image."
            )
        found += _repeats(tables.sentiment, symbol)
    return found


def _repeats(sentiment: pd.DataFrame | None, symbol: str) -> list[str]:
    if sentiment is None:
        return []
    own = sentiment[sentiment["symbol"] == symbol]
    again = int(own.duplicated(["timestamp", "source", "provider", "score"]).sum())
    if not again:
        return []
    return [
        f"sentiment of {symbol}: {again} of {len(own)} rows repeat an earlier record (time, source, provider, score); "
        "each counts, so attention may be overstated. Remove copies, or mark reposts."
    ]


def _some(days: np.ndarray) -> str:
    shown = ", ".join(str(day) for day in days[:SHOWN])
    return shown if len(days) <= SHOWN else f"{shown} and {len(days) - SHOWN} more"
