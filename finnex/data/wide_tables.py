"""Tables with a column for each ticker and field, or for each vintage of a series: to one table for each of them."""

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
"""Names of a level of fields; what is in the other level is a ticker."""
BARS = frozenset(("open", "high", "low", "close"))
QUOTED = r"(?:'[^']*'|\"[^\"]*\")"
WRITTEN_TUPLE = re.compile(rf"\({QUOTED}, ?{QUOTED}\)")
"""A column's name of two levels as pandas writes it to Parquet."""
FIELD = "Adj Close|Open|High|Low|Close|Volume|Dividends|Stock Splits|Capital Gains"
FLAT = re.compile(rf"(?P<field>{FIELD})[_ |.-](?P<ticker>\S+)|(?P<before>\S+?)[_ |.-](?P<after>{FIELD})", re.IGNORECASE)
"""A name of two levels in one: Close_ACME or ACME_Close."""
NUMBER = re.compile(r"[-+]?[\d.,]*(?:[eE][-+]?\d+)?")
VINTAGE = re.compile(r"(.+)_(\d{4})(\d{2})(\d{2})")
"""A column of ALFRED: the series as it was published on a day."""
NO_NAME = re.compile(r"Unnamed: \d+(?:_level_\d+)?")
"""What pandas, and FinNeX, call a column without a name."""
DAY_NAMES = ("date", "datetime")
Levels = list[list[str]]


@dataclass(frozen=True)
class TickerTable:
    """One ticker's part of a wide table.

    Attributes
    ----------
    ticker
        As the header has it; '' where it has none.
    frame
        `Date` and the ticker's fields; rows in which all of these are empty are left out.
    file_names
        Name in `frame` to the file's own.
    left_out
        How many rows were empty.
    """

    ticker: str
    frame: pd.DataFrame
    file_names: dict[str, str]
    left_out: int


def tuple_levels(frame: pd.DataFrame) -> tuple[pd.DataFrame, Levels]:
    """Return a frame with its day first, and both levels of names that are written as tuples; [] where none are."""
    pairs = {name: ast.literal_eval(name) for name in map(str, frame.columns) if WRITTEN_TUPLE.fullmatch(name)}
    return _day_first(frame, pairs)


def flat_levels(frame: pd.DataFrame) -> tuple[pd.DataFrame, Levels]:
    """Return a frame with its day first, and fields and tickers of names such as Close_ACME; [] where none are."""
    pairs: dict[str, tuple[str, str]] = {}
    of_ticker: dict[str, set[str]] = {}
    for name in map(str, frame.columns):
        if (found := FLAT.fullmatch(name)) is None:
            continue
        field, ticker = found["field"] or found["after"], found["ticker"] or found["before"]
        pairs[name] = field, ticker
        of_ticker.setdefault(ticker, set()).add(plain(field))
    if not pairs or not all(fields >= BARS for fields in of_ticker.values()):
        return frame, []
    return _day_first(frame, pairs)


def level_in_rows(frame: pd.DataFrame) -> tuple[pd.DataFrame, Levels]:
    """Return a frame with its day first, and the level of tickers that its first row holds; [] where it is a bar.

    pandas writes a header of two levels without a row for the day's name where the day is a column, or has no name.
    """
    if frame.empty:
        return frame, []
    names = [str(name) for name in frame.columns]
    first = ["" if pd.isna(cell) else str(cell).strip() for cell in frame.iloc[0]]
    fields = [number for number, name in enumerate(names) if plain(name) in FIELDS]
    days = [number for number, name in enumerate(names) if plain(name) in DAY_NAMES and not first[number]]
    if not days and names and NO_NAME.fullmatch(names[0] or "Unnamed: 0") and not first[0]:
        days = [0]
    if not days or not {plain(names[number]) for number in fields} >= BARS:
        return frame, []
    if not all(first[number] and NUMBER.fullmatch(first[number]) is None for number in fields):
        return frame, []
    of_word: dict[str, set[str]] = {}  # a ticker is above each field of a bar; 79,10 EUR is an amount above one
    for number in fields:
        of_word.setdefault(first[number], set()).add(plain(names[number]))
    if not all(found >= BARS for found in of_word.values()):
        return frame, []
    tickers = [first[number] for number in fields]
    return frame.iloc[1:, [days[0], *fields]], [[names[number] for number in fields], tickers]


def _day_first(frame: pd.DataFrame, pairs: dict[str, tuple[str, str]]) -> tuple[pd.DataFrame, Levels]:
    rest = [name for name in map(str, frame.columns) if name not in pairs]
    if not pairs or len(rest) > 1:
        return frame, []
    if not rest:  # reset_index() gives the day a name of two levels too: ('Date', '')
        rest = [name for name, pair in pairs.items() if "" in pair][:1]
    if not rest:
        return frame, []
    names = [name for name in pairs if name not in rest]
    return frame[[*rest, *names]], [[pairs[name][level] for name in names] for level in (0, 1)]


def by_ticker(frame: pd.DataFrame, levels: Sequence[Sequence[str]]) -> Iterator[TickerTable]:
    """Yield one table for each ticker of a frame whose first column is the day.

    Parameters
    ----------
    frame
        Its names are the first level where `levels` has one level alone.
    levels
        Levels of names: for each column, '' for the day's, which is anywhere; or from the second column on, the first
        being the day's. Which level is that of fields, its names say.
    """
    at = _day_at(frame, levels)
    frame = frame.iloc[:, [at, *(number for number in range(frame.shape[1]) if number != at)]]
    rows = [
        _filled([name for number, name in enumerate(level) if number != at or len(level) < frame.shape[1]])
        for level in levels
    ]
    upper, lower = (_filled([str(name) for name in frame.columns[1:]]), rows[0]) if len(rows) == 1 else rows[:2]
    # A ticker may be called OPEN or LOW: the level with more names of fields is that of fields.
    of_fields = [sum(plain(name) in FIELDS for name in level) for level in (upper, lower)]
    fields, tickers = (upper, lower) if of_fields[0] >= of_fields[1] else (lower, upper)
    day = str(frame.columns[0])
    columns_of: dict[str, list[int]] = {}
    for number, ticker in enumerate(tickers):
        columns_of.setdefault(ticker, []).append(number)
    for ticker, columns in columns_of.items():
        names = [fields[number] for number in columns]
        own = frame.iloc[:, [number + 1 for number in columns]].set_axis(names, axis="columns")
        bare = np.logical_and.reduce([empty(own.iloc[:, number]) for number in range(len(names))])
        whole = pd.concat([frame.iloc[:, 0].rename("Date"), own], axis="columns")[~bare]
        written = {name: f"{name}, {ticker}" if ticker else name for name in names} | {"Date": day}
        yield TickerTable(ticker, whole, written, int(np.count_nonzero(bare)))


def _day_at(frame: pd.DataFrame, levels: Sequence[Sequence[str]]) -> int:
    """Return the position of the day's column: without a name in the levels, and called a day where several are."""
    if any(len(level) < frame.shape[1] for level in levels):
        return 0
    bare = [at for at in range(frame.shape[1]) if not any(level[at].strip() for level in levels)]
    called = [at for at in bare if plain(str(frame.columns[at])) in DAY_NAMES]
    return (called or bare or [0])[0]


def _filled(level: Sequence[str]) -> list[str]:
    """Return the names of a level, an empty one as the one before it: spreadsheets merge equal cells."""
    found: list[str] = []
    for name in level:
        bare = not name.strip() or NO_NAME.fullmatch(name)
        found.append(found[-1] if bare and found else name)
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
