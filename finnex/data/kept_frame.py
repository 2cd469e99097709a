"""A table that was read and checked, as bytes: typed columns in Parquet, and what was said of its files in JSON."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from finnex.data.remarks import Caution, FileReport, remark, remarks, reports, with_reports

FORMAT = 1
"""Goes up with every change of what `encoded` writes."""
ABOUT = b"finnex_kept_table"
NUMBERS = ("float64", "bool", "int64")
TEXT = "str"
DAMAGED = (pa.ArrowException, ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError)
"""What a file that `encoded` did not write may raise."""


def encoded(frame: pd.DataFrame) -> bytes | None:
    """Return a table and its remarks as bytes.

    Parameters
    ----------
    frame
        As `TableReader.read` returns it.

    Returns
    -------
    bytes or None
        Parquet; None of a table with labels or columns of another kind than readers make.
    """
    kinds = [str(kind) for kind in frame.dtypes]
    index, names = frame.index, frame.columns
    plain = isinstance(index, pd.RangeIndex) and (index.start, index.step, index.name) == (0, 1, None)
    known = all(kind in (*NUMBERS, TEXT) or (kind[:11], kind[-1:]) == ("datetime64[", "]") for kind in kinds)
    naive = all("," not in kind for kind in kinds)
    if not (plain and known and naive and names.name is None and all(type(name) is str for name in names)):
        return None
    about = {
        "format": FORMAT, "rows": len(frame), "names": list(names), "names_are": str(names.dtype), "kinds": kinds,
        "sentences": [_sentence(one) for one in remarks(frame)], "reports": [_report(one) for one in reports(frame)],
    }  # fmt: skip
    texts = [str(number) for number, kind in enumerate(kinds) if kind == TEXT]
    try:
        columns = [_column(frame.iloc[:, number], kind) for number, kind in enumerate(kinds)]
        table = pa.table(columns, names=[str(number) for number in range(len(kinds))])
        table = table.replace_schema_metadata({ABOUT: json.dumps(about).encode()})
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="lz4", use_dictionary=texts, write_statistics=False)
    except (pa.ArrowException, UnicodeError):
        return None
    content: bytes = sink.getvalue().to_pybytes()
    return content


def decoded(content: bytes) -> pd.DataFrame | None:
    """Return the table with its remarks, to the bits of its values; None where `encoded` did not write the bytes."""
    try:
        table = pq.read_table(pa.BufferReader(content), use_threads=False)
        about = json.loads(table.schema.metadata[ABOUT])
        names, kinds, rows = about["names"], about["kinds"], about["rows"]
        if about["format"] != FORMAT or (table.num_rows, table.num_columns) != (rows if names else 0, len(names)):
            return None
        columns = {number: _values(table.column(number), kind) for number, kind in enumerate(kinds)}
        frame = pd.DataFrame(columns, index=pd.RangeIndex(rows), copy=False)
        frame.columns = pd.Index(names, dtype=about["names_are"])
        said = [_said(one) for one in about["sentences"]]
        return with_reports(remark(frame, said), [_report_of(one) for one in about["reports"]])
    except DAMAGED:
        return None


def _column(values: pd.Series[Any], kind: str) -> pa.Array:
    if kind == TEXT:
        found = pa.array(values)
        return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
    numbers: npt.NDArray[Any] = values.to_numpy()
    return pa.array(numbers if kind in NUMBERS else numbers.view(np.int64), from_pandas=False)


def _values(column: pa.ChunkedArray, kind: str) -> Any:
    if kind == TEXT:
        return pd.Series(pd.array(column.combine_chunks(), dtype=TEXT), copy=False)
    numbers = column.to_numpy()
    numbers = numbers if numbers.flags.writeable else numbers.copy()
    if numbers.dtype != (np.dtype(kind) if kind in NUMBERS else np.int64):
        raise TypeError(kind)
    return numbers if kind in NUMBERS else numbers.view(kind)


def _sentence(said: str) -> list[Any]:
    return [str(said), isinstance(said, Caution)]


def _said(found: list[Any]) -> str:
    text, caution = found
    return Caution(text) if caution else text


def _report(one: FileReport) -> dict[str, Any]:
    plain = {field.name: getattr(one, field.name) for field in fields(FileReport)}
    days = {name: None if (day := plain[name]) is None else day.isoformat() for name in ("first", "last")}
    return {**plain, **days, "path": str(one.path), "said": [_sentence(said) for said in one.said]}


def _report_of(found: dict[str, Any]) -> FileReport:
    plain: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in found.items()}
    days = {name: None if (day := found[name]) is None else date.fromisoformat(day) for name in ("first", "last")}
    said = tuple(_said(one) for one in found["said"])
    plain |= {**days, "path": Path(found["path"]), "said": said, "others": Counter(found["others"])}
    return FileReport(**plain)
