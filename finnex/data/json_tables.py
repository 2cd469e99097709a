"""JSON documents that are tables: EDGAR's facts, FRED's observations, Alpha Vantage's time series, lists of records."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from finnex.data import edgar_facts
from finnex.data.file_kind import opened
from finnex.data.table_file import check_columns, refused

MOST_BYTES = 512 << 20
"""Unpacked. companyfacts of the largest filers have 10 MB."""
NUMBERED = re.compile(r"\d+[.:] ")
"""Before Alpha Vantage's names: `1. open`."""
KINDS = "EDGAR's companyfacts or companyconcept, FRED's observations, Alpha Vantage's time series, or a list of records"


def read_json(path: Path, ignore: Iterable[str] = ()) -> pd.DataFrame:
    """Return a JSON document's rows as cells of text, '' where a row has no value.

    Parameters
    ----------
    path
        File.
    ignore
        Names that are not to be read, without regard to case, and so may hold lists and objects. They are empty.

    Raises
    ------
    InputError
        It is no JSON, too large, no table, or one without names of columns.
    OSError
        It cannot be read.
    """
    with opened(path) as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise refused(path, f"has more than {MOST_BYTES >> 20} MB of JSON", "Write it as CSV or Parquet.")
    try:
        frame = frame_of(json.loads(content), ignore)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        said = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise refused(path, f"is no JSON: {said}", "Download it again, whole.") from None
    except ValueError as error:
        raise refused(path, f"is JSON, and no table: {error}", f"Give {KINDS}; or CSV or Parquet.") from None
    check_columns(path, [name.strip() for name in frame.columns])
    return frame


def frame_of(document: Any, ignore: Iterable[str] = ()) -> pd.DataFrame:
    """Return a document's rows as cells of text; columns that are to be ignored are empty.

    Raises
    ------
    ValueError
        It is none of the documents that are tables.

    Examples
    --------
    >>> frame_of([{"symbol": "ACME", "date": "2024-03-08", "close": 10.5}]).to_numpy().tolist()
    [['ACME', '2024-03-08', '10.5']]
    """
    if isinstance(document, list):
        return _records(document, ignore)
    if not isinstance(document, Mapping):
        raise ValueError("it is neither an object nor a list")
    if "facts" in document or "units" in document:
        return edgar_facts.flattened(document)
    if isinstance(document.get("observations"), list):
        return _records(document["observations"], ignore)
    series = next((one for name, one in document.items() if "Time Series" in str(name)), None)
    if isinstance(series, Mapping):
        return _time_series(document, series)
    said = next((one for one in document.values() if isinstance(one, str) and len(document) == 1), None)
    raise ValueError(f"the source answered: {said}" if said else "none of its keys is that of a table")


def _records(rows: list[Any], ignore: Iterable[str] = ()) -> pd.DataFrame:
    if not all(isinstance(row, Mapping) for row in rows):
        raise ValueError("not every entry of its list is an object")
    names = list(dict.fromkeys(str(name) for row in rows for name in row))
    unread = {name.casefold() for name in ignore}
    cells = {
        name: [""] * len(rows) if name.casefold() in unread else [_text(name, row.get(name)) for row in rows]
        for name in names
    }
    return pd.DataFrame(cells, dtype="str")


def _text(name: str, value: object) -> str:
    if isinstance(value, Mapping | list):
        raise ValueError(f"'{name}' holds a list or an object; ignore = [{json.dumps(name)}] leaves it out")
    return "" if value is None else str(value)


def _time_series(document: Mapping[str, Any], series: Mapping[str, Any]) -> pd.DataFrame:
    about = next((one for name, one in document.items() if "Meta" in str(name) and isinstance(one, Mapping)), {})
    symbols = [value for name, value in about.items() if "Symbol" in str(name)]
    of_symbol = {"symbol": symbols[0]} if symbols else {}
    rows = [{"timestamp": day, **of_symbol, **_plainly(day, bar)} for day, bar in series.items()]
    return _records(rows)


def _plainly(day: str, bar: Any) -> dict[str, Any]:
    """Return a bar under the names that the CSV of the same source has: `5. adjusted close` is adjusted_close."""
    if not isinstance(bar, Mapping):
        raise ValueError(f"the bar of {day} is no object")
    return {NUMBERED.sub("", str(name)).replace(" ", "_"): value for name, value in bar.items()}
