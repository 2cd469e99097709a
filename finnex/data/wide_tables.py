"""Tables with a column for each ticker and field, or for each series: to one table for each of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from finnex.data.cells import empty
from finnex.data.preset import plain

FIELDS = frozenset(
    ("open", "high", "low", "close", "adj_close", "volume", "dividends", "stock_splits", "capital_gains", "repaired?")
)
"""Names of a level of fields; whatever is in the other level is a ticker."""
WRITTEN_TUPLE = re.compile(r"\((?:'[^']*'|\"[^\"]*\"), ?(?:'[^']*'|\"[^\"]*\")\)")
"""A column's name of two levels as pandas writes it to Parquet."""
VINTAGE = re.compile(r"(.+)_(\d{4})(\d{2})(\d{2})")
"""A column of ALFRED: the series as it was published on a day."""


@dataclass(frozen=True)
class TickerTable:
    """One ticker's part of a wide table.

    Attributes
    ----------
    ticker
        As the header has it; '' where no level names tickers.
    frame
        The day and the ticker's fields; rows in which all of these are empty are left out.
    file_names
        Name in `frame` to the file's own.
    left_out
        How many rows were empty.
    """

    ticker: str
    frame: pd.DataFrame
    file_names: dict[str, str]
    left_out: int


def levels_in_names(frame: pd.DataFrame) -> tuple[pd.DataFrame, tuple[tuple[str, ...], ...]]:
    """Return a frame with its index columns first, and the two levels of the others' names; () where they have one."""
    pairs = {name: ast.literal_eval(name) for name in frame.columns if WRITTEN_TUPLE.fullmatch(str(name))}
    rest = [name for name in frame.columns if name not in pairs]
    if not pairs or len(rest) > 1:
        return frame, ()
    if not rest:  # reset_index() gave the day a name of two levels too: ('Date', '')
        first = next((name for name, (top, low) in pairs.items() if "" in (top, low)), None)
        if first is None:
            return frame, ()
        rest = [first]
    names = [name for name in pairs if name not in rest]
    return frame[[*rest, *names]], tuple(tuple(pairs[name][level] for name in names) for level in (0, 1))


def by_ticker(frame: pd.DataFrame, levels: Sequence[Sequence[str]]) -> Iterator[TickerTable]:
    """Yield one table for each ticker of a frame whose first column is the day.

    Parameters
    ----------
    frame
        Its names do not matter but for the first.
    levels
        Names of two levels from the second column on; the level of fields is told by its names, in either order.
    """
    upper, lower = (_filled(level) for level in levels[:2])
    of_fields = [[plain(name) in FIELDS for name in level] for level in (upper, lower)]
    # A ticker may be called OPEN or LOW: the level with more names of fields is that of fields.
    fields, tickers = (upper, lower) if sum(of_fields[0]) >= sum(of_fields[1]) else (lower, upper)
    day = str(frame.columns[0])
    for ticker in dict.fromkeys(tickers):
        at = [number + 1 for number, one in enumerate(tickers) if one == ticker]
        names = [fields[number - 1] for number in at]
        own = frame.iloc[:, at].set_axis(names, axis="columns")
        bare = np.logical_and.reduce([empty(own.iloc[:, number]) for number in range(len(names))])
        whole = pd.concat([frame.iloc[:, 0].rename("Date"), own], axis="columns")[~bare]
        written = {name: f"{name}, {ticker}" for name in names} | {"Date": day}
        yield TickerTable(ticker, whole, written, int(bare.sum()))


def _filled(level: Sequence[str]) -> list[str]:
    """Return the names of a level, an empty one as the one before it: spreadsheets merge equal cells."""
    found: list[str] = []
    for name in level:
        found.append(name if name.strip() or not found else found[-1])
    return found


def vintage_of(name: str) -> tuple[str, str] | None:
    """Return series and day (ISO) of a column of ALFRED; None where its name has no day.

    Examples
    --------
    >>> vintage_of("GDP_20240125"), vintage_of("DGS10")
    (('GDP', '2024-01-25'), None)
    """
    found = VINTAGE.fullmatch(name)
    if found is None:
        return None
    series, *day = found.groups()
    return series, "-".join(day)


def new_values(values: pd.Series[Any], before: pd.Series[Any] | None) -> pd.Series[bool]:
    """Return which values of a vintage are there and were not the same in the vintage before."""
    there = pd.Series(~empty(values), index=values.index)
    if before is None:
        return there
    return there & (values.astype(str) != before.astype(str))
