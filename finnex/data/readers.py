"""Read one table each: parse its cells, then check ranges, keys and relations between columns.

A table that passes is a plain frame with `symbol`/`series`, `date` (midnight, `datetime64[ns]`), numbers as float64
and, where rows have their own time, `available` (UTC) with `available_is_date`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pandas as pd

from finnex.data import parse
from finnex.data.filings import read_fundamentals
from finnex.data.lexicon import fill_scores
from finnex.data.mapping import PRICE_COLUMNS, SOURCES, Reading
from finnex.data.market_readers import bars_from, read_events, read_macro, read_options, read_prices, read_splits
from finnex.data.remarks import remark, unread_columns
from finnex.errors import Problem

SENTIMENT_SOURCES = SOURCES
ORIGIN_PRECEDENCE = ("sec", "synthetic", "yahoo", "income_statement", "")
"""Where two origins report one quarter, the earlier in this list is believed; others rank last, by name."""


def _with_numbers(
    frame: pd.DataFrame, text: pd.DataFrame, known: set[str], path: Path, problems: list[Problem]
) -> pd.DataFrame:
    """Return a frame with every other column of a table as numbers; in one step, since each insertion copies."""
    names = [column for column in text.columns if column not in known]
    if taken := [column for column in names if column in frame.columns]:
        problems.append(Problem(str(path), "the column has a name that FinNeX uses", "Rename it.", column=taken[0]))
        return frame
    return pd.concat([frame, parse.numbers(text[names], path, problems)], axis=1)


def read_sentiment(path: Path, problems: list[Problem], reading: Reading | None = None) -> pd.DataFrame:
    """Read records: symbol, timestamp (UTC), source, score in [-1, 1] or text; optional weights and flags.

    A timestamp that is a date, or exactly midnight, is used from the first session after that date.
    """
    reading = reading or Reading()
    text = reading.read(path, problems)
    if "score" not in text.columns and "text" in text.columns:
        text["score"] = ""
    if missing := parse.require_columns(text, ("symbol", "timestamp", "source", "score"), path):
        problems += missing
        return text
    fill_scores(text, path, problems, reading.lexicon)
    frame = pd.DataFrame(
        {
            "symbol": parse.word(text["symbol"], path, problems),
            "timestamp": parse.stamp(text["timestamp"], path, problems, reading.zone),
            "source": parse.word(text["source"], path, problems, SENTIMENT_SOURCES),
            "provider": text["provider"].str.strip() if "provider" in text.columns else "",
            "score": parse.number(text["score"], path, problems, optional="text" in text.columns),
        }
    )
    problems += parse.refuse(
        frame,
        frame["score"].abs() > 1,
        path,
        "score",
        "a score lies outside [-1, 1]",
        "Rescale the provider's scores.",
    )
    for column, default in (("confidence", 1.0), ("documents", 1.0), ("engagement", 0.0), ("repost", 0.0)):
        if column in text.columns:
            frame[column] = parse.number(text[column], path, problems, optional=True).fillna(default)
            problems += parse.refuse(
                frame, frame[column] < 0, path, column, f"{column} must not be negative", "Correct the cell."
            )
        else:
            frame[column] = default
    frame = frame.sort_values(["symbol", "timestamp"], ignore_index=True, kind="stable")
    return remark(frame, unread_columns("sentiment", text.columns, (*frame.columns, "text")))


def read_competitive(path: Path, problems: list[Problem], reading: Reading | None = None) -> pd.DataFrame:
    """Read comparisons: symbol, date, peer, any numeric metrics; a row is usable from the next session on."""
    text = (reading or Reading()).read(path, problems)
    if missing := parse.require_columns(text, ("symbol", "date", "peer"), path):
        problems += missing
        return text
    frame = pd.DataFrame(
        {
            "symbol": parse.word(text["symbol"], path, problems),
            "date": parse.day(text["date"], path, problems),
            "peer": parse.word(text["peer"], path, problems),
        }
    )
    frame = _with_numbers(frame, text, set(frame.columns), path, problems)
    problems += parse.duplicates(frame, ["symbol", "peer", "date"], path)
    return frame.sort_values(["symbol", "date", "peer"], ignore_index=True)


def read_enhanced(path: Path, problems: list[Problem], reading: Reading | None = None) -> pd.DataFrame:
    """Read ready-made Stage 1 features: symbol, date, numeric columns known at that session's close.

    Open, high, low, close and volume are prices and no features; `read_bars_of_enhanced` reads them.
    """
    text = (reading or Reading()).read(path, problems)
    if missing := parse.require_columns(text, ("symbol", "date"), path):
        problems += missing
        return text
    features = parse.numbers(
        text[[column for column in text.columns if column not in {"symbol", "date", *PRICE_COLUMNS}]], path, problems
    )
    frame = pd.DataFrame(
        {
            "symbol": parse.word(text["symbol"], path, problems),
            "date": parse.day(text["date"], path, problems),
        }
    )
    frame = pd.concat([frame, features], axis=1)
    problems += parse.duplicates(frame, ["symbol", "date"], path)
    return frame.sort_values(["symbol", "date"], ignore_index=True)


def read_bars_of_enhanced(path: Path, problems: list[Problem], reading: Reading) -> pd.DataFrame:
    """Read the prices of an enhanced file, with the checks of a table of prices."""
    return bars_from(reading.read(path, problems), path, problems)


class Reader(Protocol):
    """Reads one table's file; what is wrong with it is added to `problems`."""

    def __call__(self, path: Path, problems: list[Problem], reading: Reading | None = None) -> pd.DataFrame:
        """Return the table; to be used only where there is no problem."""
        ...


READERS: dict[str, Reader] = {
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
