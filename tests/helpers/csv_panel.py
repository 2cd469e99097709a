"""A panel whose tables are CSV files: what a test of bad companies spoils."""

from __future__ import annotations

from collections.abc import Sequence


def csv_config(symbols: Sequence[str], *lines: str) -> str:
    """Return a configuration of companies, with further lines at its top."""
    more = "\n".join(lines)
    return f"""\
symbols = {list(symbols)}
sectors = []
{more}
[inputs]
prices = "prices.csv"
fundamentals = "filings.csv"
sentiment = "sentiment.csv"
macro = "macro.csv"
[store]
path = "images.zarr"
"""
