"""The tables of markets and calendars: macro series, options, splits, events. Prices: `price_reader`.

Each parses its cells, then checks ranges, keys and relations between columns; see `readers`.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from finnex.data import checks, parse
from finnex.data.names import OPTION_COLUMNS, SERIES_ALIASES
from finnex.data.remarks import empty_series, remark
from finnex.data.rows import Where
from finnex.data.table_reader import Part, TableReader, in_order, unique_in_order
from finnex.errors import Problem, first_of, nearest


def _macro(part: Part, problems: list[Problem]) -> pd.DataFrame:
    cells, where, zone = part.cells, part.where, part.reading.zone
    available, only_date = parse.moment(cells["available_date"], where, problems, zone)
    frame = pd.DataFrame(
        {
            "series": parse.word(cells["series"], where, problems).replace(SERIES_ALIASES),
            "date": parse.day(cells["date"], where, problems, zone),
            "available": available,
            "available_is_date": only_date,
            "value": parse.number(cells["value"], where, problems, optional=True),
        }
    )
    early = frame["available"] < frame["date"]
    what = "a value is available before its observation date"
    problems += checks.refuse(frame, early, where, "available", what, "Give the release date.", than="date")
    return frame


def _whole_macro(frame: pd.DataFrame, where: Where, problems: list[Problem]) -> pd.DataFrame:
    problems += checks.duplicates(frame, ["series", "date", "available"], where)
    return remark(in_order(frame.dropna(subset=["value"]), ["series", "available", "date"]), empty_series(frame))


read_macro = TableReader("macro", ("series", "date", "available_date", "value"), _macro, _whole_macro)
"""Series: series, date (observation), available_date (when it could be known), value.

FRED's own names of series are aliases: `finnex.data.names.SERIES_ALIASES`."""


def by_symbol_and_date(frame: pd.DataFrame, where: Where, problems: list[Problem]) -> pd.DataFrame:
    """Refuse two rows of one symbol and date; return the rows in that order."""
    return unique_in_order(frame, ["symbol", "date"], where, problems)


def symbol_and_date(part: Part, problems: list[Problem]) -> dict[str, pd.Series[Any]]:
    """Return the columns `symbol` and `date`."""
    return {
        "symbol": parse.word(part.cells["symbol"], part.where, problems),
        "date": parse.day(part.cells["date"], part.where, problems, part.reading.zone),
    }


def _options(part: Part, problems: list[Problem]) -> pd.DataFrame:
    cells, where = part.cells, part.where
    frame = pd.DataFrame(symbol_and_date(part, problems))
    for column in OPTION_COLUMNS:
        if column in cells.columns:
            frame[column] = parse.number(cells[column], where, problems, optional=True)
    strange = [column for column in cells.columns if column not in {"symbol", "date", *OPTION_COLUMNS}]
    file = str(where.files[0][0])
    problems += [
        Problem(file, "the column is unknown", nearest(name, OPTION_COLUMNS), column=name, further=further)
        for name, further in first_of(strange)
    ]
    for column in ("implied_volatility", "implied_volatility_90", "put_call", "put_call_open_interest"):
        if column in frame.columns:
            low = frame[column] < 0
            problems += checks.refuse(frame, low, where, column, f"{column} must not be negative", "Correct the cell.")
    return frame


read_options = TableReader("options", ("symbol", "date"), _options, by_symbol_and_date)
"""Daily options figures: symbol, date, any of `OPTION_COLUMNS`; usable from the next session on."""


def _splits(part: Part, problems: list[Problem]) -> pd.DataFrame:
    frame = pd.DataFrame(
        symbol_and_date(part, problems)
        | {"ratio": parse.number(part.cells["ratio"], part.where, problems, optional=False)}
    )
    what, remedy = "a split's ratio must be above zero", "Write new shares for an old one: 4 for 4:1, 0.1 for 1:10."
    problems += checks.refuse(frame, frame["ratio"] <= 0, part.where, "ratio", what, remedy)
    return frame


read_splits = TableReader("splits", ("symbol", "date", "ratio"), _splits, by_symbol_and_date)
"""Stock splits: symbol, date (first day at the new price), ratio (new shares for an old one; 0.1 is 1:10)."""


def _events(part: Part, problems: list[Problem]) -> pd.DataFrame:
    cells, where, zone = part.cells, part.where, part.reading.zone
    frame = pd.DataFrame(
        {
            "name": parse.word(cells["name"], where, problems),
            "date": parse.day(cells["date"], where, problems, zone),
            "announced": parse.day(cells["announced"], where, problems, zone),
        }
    )
    late = frame["announced"] > frame["date"]
    what, remedy = "an event is announced after it happened", "Give the date of the announcement."
    problems += checks.refuse(frame, late, where, "announced", what, remedy, than="date")
    return frame


def _whole_events(frame: pd.DataFrame, where: Where, problems: list[Problem]) -> pd.DataFrame:
    return unique_in_order(frame, ["name", "date"], where, problems)


read_events = TableReader("events", ("name", "date", "announced"), _events, _whole_events)
"""Scheduled events: name, date, announced (when the schedule became public)."""
