"""The table of companies: sector and industry, and from when to when a company is a member of the universe."""

from __future__ import annotations

from typing import Any

import pandas as pd

from finnex.data import checks, parse
from finnex.data.cells import empty
from finnex.data.remarks import remark, unread_columns
from finnex.data.rows import Where, place_of
from finnex.data.table_reader import Part, TableReader, in_order
from finnex.data.universe import DATED, first_overlap
from finnex.errors import Problem, first_of

WORDS = ("sector", "industry")
OVERLAPS = "two periods of one company overlap"


def _companies(part: Part, problems: list[Problem]) -> pd.DataFrame:
    cells, where = part.cells, part.where
    frame = pd.DataFrame({"symbol": parse.word(cells["symbol"], where, problems)})
    for name in WORDS:
        frame[name] = parse.text_of(cells[name]) if name in cells.columns else ""
    for name in DATED:
        frame[name] = _day(cells[name], part, problems) if name in cells.columns else pd.NaT
        frame[name] = frame[name].astype("datetime64[ns]")
    early = frame["to"] < frame["from"]
    what, remedy = "a membership ends before it begins", "Correct one of the two days; both are included."
    problems += checks.refuse(frame, early, where, "to", what, remedy, than="from")
    return remark(frame, unread_columns("companies", cells.columns, tuple(frame.columns)))


def _day(cells: pd.Series[Any], part: Part, problems: list[Problem]) -> pd.Series[pd.Timestamp]:
    """Return midnights, NaT where a cell is empty."""
    given = ~empty(cells)
    found = pd.Series(pd.NaT, index=cells.index, dtype="datetime64[ns]")
    if given.any():
        found[given] = parse.day(cells[given], part.where, problems, part.reading.zone)
    return found


def _whole(frame: pd.DataFrame, where: Where, problems: list[Problem]) -> pd.DataFrame:
    rows = frame.reset_index(names="row")
    rows = rows.sort_values(["symbol", "from"], na_position="first", kind="stable")
    found = []
    for _, own in rows.groupby("symbol", sort=False):
        first, last = (own[name].to_numpy().astype("datetime64[D]") for name in DATED)
        if len(own) > 1 and (number := first_overlap(first, last)) is not None:
            found.append(own.iloc[number])
    for number, (row, further) in enumerate(first_of(found)):
        whose = tuple(str(each["symbol"]) for each in found[number : number + 1 + further])
        file, line = place_of(where, int(row["row"]))
        remedy = "End one the day before the other begins: an empty from or to is open."
        value = f"{row['symbol']}, {_shown(row['from'])} to {_shown(row['to'])}"
        problems.append(
            Problem(
                file, OVERLAPS, remedy, row=line, column="from", value=value, further=further, companies=whose
            )
        )  # fmt: skip
    return in_order(frame, ["symbol", "from"])


def _shown(day: Any) -> str:
    return "open" if pd.isna(day) else str(day.date())


read_companies = TableReader("companies", ("symbol",), _companies, _whole)
"""Companies: symbol; optional sector, industry, from and to (first and last day, both included; empty is open).

A company may have several rows, whose periods do not overlap: it left and came back, or changed its industry."""
