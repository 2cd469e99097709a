"""Vendors' files as text, to what they are arranged to: as rows of plain values."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pandas as pd

from finnex.config.table_source import TableSource
from finnex.data.arrange import SAID, arranged
from finnex.data.own_columns import DAYS
from finnex.data.preset import preset_of
from finnex.errors import Problem

Levels = tuple[tuple[str, ...], ...]


def cells_of(text: str, levels: int = 1, delimiter: str = ",") -> tuple[pd.DataFrame, Levels]:
    """Return a CSV's cells as text, and the levels of its header after the first; its last row names the day."""
    rows = list(csv.reader(io.StringIO(text.strip()), delimiter=delimiter))
    header, rest = rows[:levels], rows[levels:]
    names = [name.strip() or f"Unnamed: {number}" for number, name in enumerate(header[0])]
    frame = pd.DataFrame(rest, dtype="str")
    frame.columns = pd.Index([header[-1][0], *names[1:]] if levels > 1 else names, dtype="str")
    return frame, tuple(("", *row[1:]) for row in header[1 : levels - 1])


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return columns of numbers as float64 and the others as categories, as a typed reader gives them."""
    found = {}
    for number in range(frame.shape[1]):
        column = frame.iloc[:, number]
        values = pd.to_numeric(column.mask(column == ""), errors="coerce")
        is_number = bool((values.notna() | (column == "")).all()) and "date" not in str(frame.columns[number]).lower()
        found[number] = values.astype("float64") if is_number else column.astype("category")
    result = pd.DataFrame(found)
    result.columns = frame.columns
    return result


def parts_of(
    text: str | pd.DataFrame,
    table: str,
    preset: str | None,
    name: str = "file.csv",
    levels: int = 1,
    **given: Any,
) -> list[pd.DataFrame]:
    """Return what a file is arranged to, from text and from typed cells alike; no problem is expected."""
    frame, further = (text, ()) if isinstance(text, pd.DataFrame) else cells_of(text, levels)
    source = TableSource(path=name, preset=preset, **given)
    found = []
    for one in [frame] if isinstance(text, pd.DataFrame) else [frame, typed(frame)]:
        problems: list[Problem] = []
        parts = arranged(one, further, table, preset_of(preset, table, Path()), source, Path(name), problems)
        assert not problems, problems
        found.append(parts)
    for as_text, as_typed in zip(found[0], found[-1], strict=True):
        assert rows_of(as_text) == rows_of(as_typed)
    return found[0]


def refused(text: str, table: str, preset: str | None, name: str = "file.csv", **given: Any) -> list[Problem]:
    """Return the problems of a file."""
    source = TableSource(path=name, preset=preset, **given)
    problems: list[Problem] = []
    frame, levels = cells_of(text)
    arranged(frame, levels, table, preset_of(preset, table, Path()), source, Path(name), problems)
    assert problems
    return problems


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as plain values: numbers as float, days as ISO text, words as text."""
    return [{str(name): plainly(value, str(name)) for name, value in row.items()} for row in frame.to_dict("records")]


def plainly(value: Any, name: str) -> Any:
    if name in DAYS and str(value).isdigit():
        return str(pd.Timestamp(str(value)).date())
    if isinstance(value, pd.Timestamp):
        return str(value) if value != value.normalize() or value.tz is not None else str(value.date())
    if pd.isna(value):
        return ""
    try:
        return float(value)
    except (TypeError, ValueError):
        return str(value)


def bar(date: str, *values: float, symbol: str = "ACME") -> dict[str, Any]:
    return {
        "symbol": symbol,
        "date": date,
        **dict(zip(("open", "high", "low", "close", "volume"), values, strict=True)),
    }


def said(frame: pd.DataFrame) -> str:
    return "; ".join(frame.attrs[SAID])
