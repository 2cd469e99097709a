"""Where the header of a CSV file is: after how many rows, and in how many."""

from __future__ import annotations

import re
from collections import Counter

MOST_PREAMBLE = 20
"""Rows before the header (a title, a disclaimer)."""
FIELDS = ("open", "high", "low", "close")
DATE_WORDS = frozenset(("date", "datetime", "timestamp"))
DAY_COLUMNS = DATE_WORDS | {"observation_date", "day", "time", "trade date"}
"""First cells of a header whose rows begin with a day."""
POINT = re.compile(r"[-+]?\d+\.\d+")
Row = list[str]


def rows_before_header(rows: list[Row]) -> int:
    """Return how many rows precede the header of a table of several columns.

    They have one cell, fewer cells than all others have, or are padded to the width of the table.
    """
    if len(rows) < 3:
        return 0
    usual, times = Counter(len(row) for row in rows).most_common(1)[0]
    if usual < 2 or times < len(rows) / 2:
        return 0
    found = 0
    while found < min(MOST_PREAMBLE, len(rows) - 2) and _is_title(rows[found], usual):
        found += 1
    if found < len(rows) and len(rows[found]) < usual - 1:  # a security's name, a period, a comment with commas
        few = range(found, min(MOST_PREAMBLE + 1, len(rows)))
        header = next((at for at in few if len(rows[at]) in (usual, usual - 1)), found)
        names = not any(map(_is_number, rows[header]))
        found = header if names and all(len(row) < usual - 1 for row in rows[found:header]) else found
    return found + _as_wide_as_the_table(rows[found:])


def _is_title(row: Row, usual: int) -> bool:
    """Return whether a row has one word; of two columns, a header may name the second alone."""
    return sum(bool(cell.strip()) for cell in row) <= 1 and (len(row) < usual or usual > 2)


def _as_wide_as_the_table(rows: list[Row]) -> int:
    """Return how many rows of words about the table, as wide as it is, precede its header.

    The header has a name in each column, and the row below it has a number or a day. Rows before it end with an empty
    cell, as spreadsheets pad them, or are shorter; or the header begins with the day, the row below it with a digit.
    """
    if levels_of(rows) > 1 or tickers_below(rows):
        return 0
    for at in range(1, min(MOST_PREAMBLE + 1, len(rows) - 1)):
        header, below, before = rows[at], rows[at + 1], rows[:at]
        names = [cell.strip().casefold() for cell in header]
        if len(header) != len(below) or not all(names) or len(set(names)) < len(names) or any(map(_is_number, names)):
            continue
        padded = all(len(row) < len(header) - 1 or not row[-1].strip() for row in before)
        dated = names[0] in DAY_COLUMNS and below[0].strip()[:1].isdigit()
        if dated and not any(row[0].strip()[:1].isdigit() for row in before):
            return at
        if padded and any(cell.strip()[:1].isdigit() for cell in below):
            return at
    return 0


def _is_number(cell: str) -> bool:
    cell = cell.strip()
    return POINT.fullmatch(cell) is not None or cell.isdigit()


def levels_of(rows: list[Row]) -> int:
    """Return the rows of a header: pandas ends one of several levels with a row that names the index alone."""
    for levels in (3, 2):
        if len(rows) < levels:
            continue
        last, fields = rows[levels - 1], rows[0]
        only_index = last[0].strip().casefold() in DATE_WORDS and not any(cell.strip() for cell in last[1:])
        if only_index and len(last) > 1 and any(cell.strip() for cell in fields[1:]):
            return levels
    return 1


def tickers_below(rows: list[Row]) -> bool:
    """Return whether names come again and the second row tells them apart: fields above tickers, or below them.

    pandas writes such a header without a third row where the day is a column, or has no name.
    """
    if len(rows) < 3 or len(rows[0]) != len(rows[1]) or rows[1][0].strip():
        return False
    upper, lower = ([cell.strip().casefold() for cell in row[1:]] for row in rows[:2])
    if len(set(upper)) == len(upper) or len(set(zip(upper, lower, strict=True))) < len(upper):
        return False
    return all(upper) and all(lower) and any({*FIELDS} <= {*level} for level in (upper, lower))
