"""Our own names of columns by table: which a reader asks for, which hold dates, and which a table cannot do without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from finnex.data.names import METRICS, OPTION_COLUMNS

PRICE_COLUMNS: Final = ("open", "high", "low", "close", "volume")
OWN_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "companies": ("symbol", "sector", "industry", "from", "to"),
    "prices": ("symbol", "date", *PRICE_COLUMNS),
    "macro": ("series", "date", "available_date", "value"),
    "fundamentals": ("symbol", "period_start", "period_end", "available_date", "origin", *METRICS),
    "sentiment": (
        *("symbol", "timestamp", "source", "provider", "score", "text"),
        *("confidence", "documents", "engagement", "repost"),
    ),
    "competitive": ("symbol", "date", "peer"),
    "events": ("name", "date", "announced"),
    "options": ("symbol", "date", *OPTION_COLUMNS),
    "splits": ("symbol", "date", "ratio"),
    "enhanced": ("symbol", "date", *PRICE_COLUMNS),
}
"""Columns that a reader asks for: found whatever their case, with spaces and hyphens as underscores."""
DAYS: Final = ("date", "period_start", "period_end", "announced", "from", "to")
"""Columns of days, in any table."""
MOMENTS: Final = ("timestamp", "available_date")
"""Columns of times or days: midnight is a day."""
KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "companies": (),
    "prices": ("date", "open", "high", "low", "close"),
    "macro": ("date", "value"),
    "fundamentals": ("period_end", "available_date"),
    "sentiment": ("timestamp",),
    "competitive": ("peer",),
    "events": ("name", "date", "announced"),
    "options": ("date",),
    "splits": ("date", "ratio"),
    "enhanced": ("date",),
}
"""Columns without which a file is not of its preset. Symbols and volumes are asked for by the readers."""
AMOUNTS: Final = (*PRICE_COLUMNS, "value", "ratio", "score", "confidence", "documents", "engagement", "repost")
"""Columns of numbers, besides metrics and options figures."""
SCALED: Final = (*PRICE_COLUMNS[:4], "value")
"""What a scale without a column's name multiplies: prices and values."""
