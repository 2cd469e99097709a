"""Read the tables of markets and calendars: prices, macro series, options, splits, events.

Each reader parses its table's cells, then checks ranges, keys and relations between columns; see `readers`.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from finnex.data import parse
from finnex.data.mapping import PRICE_COLUMNS, Reading
from finnex.data.names import OPTION_COLUMNS, SERIES_ALIASES
from finnex.data.remarks import empty_series, remark, unread_columns
from finnex.errors import Problem, first_of, nearest

LEAST = 1e-12
"""Of a price, and of a volume that is not zero."""
ROUNDING = 1e-6
"""Relative slack for high and low: vendors round adjusted prices column by column."""


def read_prices(path: Path, problems: list[Problem], reading: Reading | None = None) -> pd.DataFrame:
    """Read daily bars: symbol, date, open, high, low, close (currency, split-adjusted), volume (shares)."""
    text = (reading or Reading()).read(path, problems)
    frame = bars_from(text, path, problems)
    return remark(frame, unread_columns("prices", text.columns, ("symbol", "date", *PRICE_COLUMNS)))


def bars_from(text: pd.DataFrame, path: Path, problems: list[Problem]) -> pd.DataFrame:
    """Return the bars in a file's text."""
    columns = ("symbol", "date", *PRICE_COLUMNS)
    if missing := parse.require_columns(text, columns, path):
        problems += missing
        return text
    frame = pd.DataFrame(
        {
            "symbol": parse.word(text["symbol"], path, problems),
            "date": parse.day(text["date"], path, problems),
        }
    )
    for column in columns[2:]:
        frame[column] = parse.number(text[column], path, problems, optional=False)
    for column in columns[2:6]:
        problems += parse.refuse(
            frame,
            frame[column] <= 0,
            path,
            column,
            "a price must be above zero",
            "Correct the price or remove the row.",
        )
    for column in columns[2:]:
        tiny = (frame[column] > 0) & (frame[column] < LEAST)
        what, remedy = f"a price or volume lies between 0 and {LEAST}", "Correct the cell, or give another unit."
        problems += parse.refuse(frame, tiny, path, column, what, remedy)
    problems += parse.refuse(
        frame,
        frame["volume"] < 0,
        path,
        "volume",
        "a volume must not be negative",
        "Correct the volume; 0 means no trade.",
    )
    problems += parse.refuse(
        frame,
        frame["high"] < frame["low"],
        path,
        "high",
        "high is below low",
        "Check whether the two columns are swapped.",
    )
    inside = (frame["high"] >= frame["low"]) & (frame[["open", "high", "low", "close"]] > 0).all(axis=1)
    over = inside & (frame[["open", "close"]].max(axis=1) > frame["high"] * (1 + ROUNDING))
    under = inside & (frame[["open", "close"]].min(axis=1) < frame["low"] * (1 - ROUNDING))
    problems += parse.refuse(frame, over, path, "high", "high is below open or close", "Correct the bar.")
    problems += parse.refuse(frame, under, path, "low", "low is above open or close", "Correct the bar.")
    problems += parse.duplicates(frame, ["symbol", "date"], path)
    return frame.sort_values(["symbol", "date"], ignore_index=True)


def read_macro(path: Path, problems: list[Problem], reading: Reading | None = None) -> pd.DataFrame:
    """Read series: series, date (observation), available_date (when it could be known), value.

    FRED's own names of series are aliases: `finnex.data.names.SERIES_ALIASES`.
    """
    reading = reading or Reading()
    text = reading.read(path, problems)
    if missing := parse.require_columns(text, ("series", "date", "available_date", "value"), path):
        problems += missing
        return text
    available, only_date = parse.moment(text["available_date"], path, problems, reading.zone)
    frame = pd.DataFrame(
        {
            "series": parse.word(text["series"], path, problems).replace(SERIES_ALIASES),
            "date": parse.day(text["date"], path, problems),
            "available": available,
            "available_is_date": only_date,
            "value": parse.number(text["value"], path, problems, optional=True),
        }
    )
    early = frame["available"] < frame["date"]
    problems += parse.refuse(
        frame,
        early,
        path,
        "available",
        "a value is available before its observation date",
        "Give the release date.",
    )
    problems += parse.duplicates(frame, ["series", "date", "available"], path)
    known = frame.dropna(subset=["value"]).sort_values(["series", "available", "date"], ignore_index=True)
    return remark(known, empty_series(frame))


def read_options(path: Path, problems: list[Problem], reading: Reading | None = None) -> pd.DataFrame:
    """Read daily options figures: symbol, date, any of `OPTION_COLUMNS`; usable from the next session on."""
    text = (reading or Reading()).read(path, problems)
    if missing := parse.require_columns(text, ("symbol", "date"), path):
        problems += missing
        return text
    frame = pd.DataFrame(
        {"symbol": parse.word(text["symbol"], path, problems), "date": parse.day(text["date"], path, problems)}
    )
    for column in OPTION_COLUMNS:
        if column in text.columns:
            frame[column] = parse.number(text[column], path, problems, optional=True)
    strange = [column for column in text.columns if column not in {"symbol", "date", *OPTION_COLUMNS}]
    problems += [
        Problem(str(path), "the column is unknown", nearest(name, OPTION_COLUMNS), column=name, further=further)
        for name, further in first_of(strange)
    ]
    for column in ("implied_volatility", "implied_volatility_90", "put_call", "put_call_open_interest"):
        if column in frame.columns:
            low = frame[column] < 0
            problems += parse.refuse(frame, low, path, column, f"{column} must not be negative", "Correct the cell.")
    problems += parse.duplicates(frame, ["symbol", "date"], path)
    return frame.sort_values(["symbol", "date"], ignore_index=True)


def read_splits(path: Path, problems: list[Problem], reading: Reading | None = None) -> pd.DataFrame:
    """Read stock splits: symbol, date (first day at the new price), ratio (new shares for an old one; 0.1 is 1:10)."""
    text = (reading or Reading()).read(path, problems)
    if missing := parse.require_columns(text, ("symbol", "date", "ratio"), path):
        problems += missing
        return text
    frame = pd.DataFrame(
        {
            "symbol": parse.word(text["symbol"], path, problems),
            "date": parse.day(text["date"], path, problems),
            "ratio": parse.number(text["ratio"], path, problems, optional=False),
        }
    )
    what, remedy = "a split's ratio must be above zero", "Write new shares for an old one: 4 for 4:1, 0.1 for 1:10."
    problems += parse.refuse(frame, frame["ratio"] <= 0, path, "ratio", what, remedy)
    problems += parse.duplicates(frame, ["symbol", "date"], path)
    return frame.sort_values(["symbol", "date"], ignore_index=True)


def read_events(path: Path, problems: list[Problem], reading: Reading | None = None) -> pd.DataFrame:
    """Read scheduled events: name, date, announced (when the schedule became public)."""
    text = (reading or Reading()).read(path, problems)
    if missing := parse.require_columns(text, ("name", "date", "announced"), path):
        problems += missing
        return text
    frame = pd.DataFrame(
        {
            "name": parse.word(text["name"], path, problems),
            "date": parse.day(text["date"], path, problems),
            "announced": parse.day(text["announced"], path, problems),
        }
    )
    late = frame["announced"] > frame["date"]
    problems += parse.refuse(
        frame,
        late,
        path,
        "announced",
        "an event is announced after it happened",
        "Give the date of the announcement.",
    )
    problems += parse.duplicates(frame, ["name", "date"], path)
    return frame.sort_values(["name", "date"], ignore_index=True)
