"""Read one table each: parse its cells, then check ranges, keys and relations between columns.

A table that passes is a plain frame with `symbol`/`series`, `date` (midnight, `datetime64[ns]`), numbers as float64
and, where rows have their own time, `available` (UTC) with `available_is_date`.
"""

from __future__ import annotations

import pandas as pd

from finnex.data import checks, parse
from finnex.data.companies_reader import read_companies
from finnex.data.filings import read_fundamentals
from finnex.data.lexicon import with_scores
from finnex.data.market_readers import (
    by_symbol_and_date,
    read_events,
    read_macro,
    read_options,
    read_splits,
    symbol_and_date,
)
from finnex.data.own_columns import PRICE_COLUMNS
from finnex.data.price_reader import COLUMNS, bars_from, read_prices, whole_prices
from finnex.data.remarks import remark, unread_columns
from finnex.data.rows import Where
from finnex.data.table_reader import Part, TableReader, in_order, unique_in_order
from finnex.errors import Problem

SENTIMENT_SOURCES = ("news", "social", "historical", "analyst", "management")
ORIGIN_PRECEDENCE = ("sec", "synthetic", "yahoo", "income_statement", "")
"""Where two origins report one quarter, the earlier in this list is believed; others rank last, by name."""


def _with_numbers(frame: pd.DataFrame, part: Part, known: set[str], problems: list[Problem]) -> pd.DataFrame:
    """Return a frame with every other column of a table as numbers; in one step, since each insertion copies."""
    names = [column for column in part.cells.columns if column not in known]
    if taken := [column for column in names if column in frame.columns]:
        file = str(part.where.files[0][0])
        problems += [Problem(file, "the column has a name that FinNeX uses", "Rename it.", column=taken[0])]
        return frame
    return pd.concat([frame, parse.numbers(part.cells[names], part.where, problems)], axis=1)


def _sentiment(part: Part, problems: list[Problem]) -> pd.DataFrame:
    cells, where, reading = part.cells, part.where, part.reading
    cells, provider = with_scores(cells, where, problems, reading.lexicon)
    if missing := checks.require_columns(cells, ("score",), where.files[0][0]):
        problems += missing
        return pd.DataFrame({"symbol": parse.text_of(cells["symbol"])})
    frame = pd.DataFrame(
        {
            "symbol": parse.word(cells["symbol"], where, problems),
            "timestamp": parse.stamp(cells["timestamp"], where, problems, reading.zone),
            "source": parse.word(cells["source"], where, problems, SENTIMENT_SOURCES),
            "provider": provider,
            "score": parse.number(cells["score"], where, problems, optional="text" in cells.columns),
        }
    )
    wide = frame["score"].abs() > 1
    what, remedy = "a score lies outside [-1, 1]", "Rescale the provider's scores."
    problems += checks.refuse(frame, wide, where, "score", what, remedy)
    for column, default in (("confidence", 1.0), ("documents", 1.0), ("engagement", 0.0), ("repost", 0.0)):
        if column in cells.columns:
            frame[column] = parse.number(cells[column], where, problems, optional=True).fillna(default)
            what = f"{column} must not be negative"
            problems += checks.refuse(frame, frame[column] < 0, where, column, what, "Correct the cell.")
        else:
            frame[column] = default
    return remark(frame, unread_columns("sentiment", cells.columns, (*frame.columns, "text")))


def _in_time(frame: pd.DataFrame, where: Where, problems: list[Problem]) -> pd.DataFrame:
    return frame if problems else in_order(frame, ["symbol", "timestamp"])


read_sentiment = TableReader("sentiment", ("symbol", "timestamp", "source"), _sentiment, _in_time, reads=("text",))
"""Records: symbol, timestamp (UTC), source, score in [-1, 1] or text; optional weights and flags.

A timestamp that is a date, or exactly midnight, is used from the first session after that date."""


def _competitive(part: Part, problems: list[Problem]) -> pd.DataFrame:
    frame = pd.DataFrame(
        symbol_and_date(part, problems) | {"peer": parse.word(part.cells["peer"], part.where, problems)}
    )
    return _with_numbers(frame, part, set(frame.columns), problems)


def _whole_competitive(frame: pd.DataFrame, where: Where, problems: list[Problem]) -> pd.DataFrame:
    return unique_in_order(frame, ["symbol", "date", "peer"], where, problems)


read_competitive = TableReader("competitive", ("symbol", "date", "peer"), _competitive, _whole_competitive)
"""Comparisons: symbol, date, peer, any numeric metrics; a row is usable from the next session on."""


def _enhanced(part: Part, problems: list[Problem]) -> pd.DataFrame:
    others = [column for column in part.cells.columns if column not in {"symbol", "date", *PRICE_COLUMNS}]
    features = parse.numbers(part.cells[others], part.where, problems)
    return pd.concat([pd.DataFrame(symbol_and_date(part, problems)), features], axis=1)


read_enhanced = TableReader("enhanced", ("symbol", "date"), _enhanced, by_symbol_and_date)
"""Ready-made Stage 1 features: symbol, date, numeric columns known at that session's close.

Open, high, low, close and volume are prices and no features; `read_bars_of_enhanced` reads them."""
read_bars_of_enhanced = TableReader("enhanced", COLUMNS, bars_from, whole_prices)
"""The prices of an enhanced file, with the checks of a table of prices."""


READERS: dict[str, TableReader] = {
    "companies": read_companies,
    "prices": read_prices,
    "macro": read_macro,
    "fundamentals": read_fundamentals,
    "sentiment": read_sentiment,
    "competitive": read_competitive,
    "events": read_events,
    "options": read_options,
    "splits": read_splits,
    "enhanced": read_enhanced,
}
"""Table name to its reader."""
