"""A Parquet file to cells, typed or as text: of types that cells can have, and of a size that a table has.

Only the columns that the file declares are read; what pandas noted about them is not, so an index is a column too.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import types

from finnex.data.columns import NeedsText, is_word_name, to_pandas
from finnex.data.table_file import check_columns, refused

MOST_CELLS = 2_000_000_000
FREE_CELLS, FREE_BYTES, MOST_RATIO = 2_000_000, 64 << 20, 100
"""Pages may hold a value a million times in a few bytes: beyond these cells, and these bytes of text, a file has at
most so many of them for each of its own bytes."""
LARGEST_CELL_BYTES = 1 << 20
UNNAMED_INDEX = re.compile(r"__index_level_\d+__")
READ = (
    types.is_integer, types.is_floating, types.is_decimal, types.is_boolean, types.is_string, types.is_large_string,
    types.is_date, types.is_timestamp, types.is_null, types.is_string_view, types.is_binary, types.is_large_binary,
    types.is_fixed_size_binary,
)  # fmt: skip
"""Kinds of columns whose values are cells."""


def read_parquet(
    path: Path, *, typed: bool = False, ignore: Iterable[str] = ()
) -> tuple[pd.DataFrame, tuple[tuple[str, ...], ...]]:
    """Return a Parquet file's cells, '' where a text has no value, and the further levels of its header.

    As text, floats are written with all their digits, dates as YYYY-MM-DD, moments as pandas writes them.

    Parameters
    ----------
    path
        File.
    typed
        Whether columns of numbers are float64 (NaN where empty), dates and moments `datetime64` (those with a zone in
        it), and others categorical. Numbers in a column named as one of words or times are words.
    ignore
        Columns that are not to be read, without regard to case, and so may hold what is no cell. They are empty.

    Raises
    ------
    InputError
        It has too many columns or cells, two columns of one name, or a column of a type that is no cell.
    NeedsText
        With `typed`: a number is infinite, so that only its text can be judged.
    OSError, ValueError
        It is no Parquet file, or damaged.
    """
    size = path.stat().st_size
    with pq.ParquetFile(path, thrift_string_size_limit=100 << 20, thrift_container_size_limit=10 << 20) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
        names = [name for name in schema.names if UNNAMED_INDEX.fullmatch(name) is None]
        check_columns(path, [name.strip() for name in names])
        unread = {name.strip().casefold() for name in ignore}
        given, names = names, [name for name in names if name.strip().casefold() not in unread]
        _check_types(path, schema, names)
        if rows * max(1, len(names)) > min(MOST_CELLS, max(FREE_CELLS, MOST_RATIO * size)):
            raise refused(
                path,
                f"has {rows} rows of {len(names)} columns, more than a table of daily data has",
                "Leave out the rows and columns that nothing reads.",
            )
    text = [name for name in names if _is_text(schema.field(name).type)]
    with pq.ParquetFile(path, read_dictionary=text) as file:  # each value once, however often it occurs
        table = file.read(columns=names, use_threads=False)
    table = _in_strings(path, table)
    table.validate(full=True)  # of damaged pages indices and texts may be none
    _check_texts(path, table, size)
    cells = {
        name: _typed(path, name, table.column(name)) if typed else _cells(path, name, table.column(name))
        for name in names
    }
    nothing = pd.Series("", index=range(rows), dtype="str")
    return with_levels(pd.DataFrame({name: cells.get(name, nothing) for name in given}))


def with_levels(frame: pd.DataFrame) -> tuple[pd.DataFrame, tuple[tuple[str, ...], ...]]:
    """Return a frame under the first level of its names, and the further levels.

    pandas writes a column of several levels under the text of their tuple: `('Close', 'ACME')`.
    """
    tuples = [_levels_of(name) for name in frame.columns]
    depth = max((len(levels) for levels in tuples if levels), default=1)
    several = [levels is not None and len(levels) == depth for levels in tuples]
    if depth == 1 or sum(several) < len(tuples) - 1:
        return frame, ()
    whole = [
        (levels if levels and any(levels[1:]) else (levels[0] if levels else name, *[""] * (depth - 1)))
        for name, levels in zip(frame.columns, tuples, strict=True)
    ]
    frame.columns = pd.Index([levels[0] for levels in whole], dtype="str")
    return frame, tuple(tuple(levels[level] for levels in whole) for level in range(1, depth))


def _levels_of(name: str) -> tuple[str, ...] | None:
    if not name.startswith("("):
        return None
    try:
        found = ast.literal_eval(name)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if not isinstance(found, tuple) or not found or not all(isinstance(one, str) for one in found):
        return None
    return tuple(one.strip() for one in found)


def _check_types(path: Path, schema: pa.Schema, names: list[str]) -> None:
    for name in names:
        kind = schema.field(name).type
        if types.is_dictionary(kind):
            kind = kind.value_type
        if not any(check(kind) for check in READ):
            raise refused(
                path,
                f"the column holds values of type {kind}, which are no cells",
                f"Write numbers, dates or words, or leave it out: ignore = [{json.dumps(name)}] in the table's line of "
                "[inputs].",
                name,
            )


def _in_strings(path: Path, table: pa.Table) -> pa.Table:
    """Return a table whose texts are strings: of views as polars writes them, and of bytes as other programs do."""
    for at, name in enumerate(table.column_names):
        kind = table.schema.field(at).type
        if types.is_fixed_size_binary(kind):  # pyarrow casts it to binary alone
            table = table.set_column(at, name, table.column(at).cast(pa.binary()))
        elif not (types.is_string_view(kind) or types.is_binary(kind) or types.is_large_binary(kind)):
            continue
        try:
            table = table.set_column(at, name, table.column(at).cast(pa.large_string()))
        except pa.ArrowInvalid:
            raise refused(path, "the column holds bytes that are no text in UTF-8", "Write words.", name) from None
    return table


def _is_text(kind: pa.DataType) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind))


def _check_texts(path: Path, table: pa.Table, size: int) -> None:
    """Refuse texts that would take much more memory than the file has bytes: one long text in many rows."""
    total = 0
    for name in table.column_names:
        for chunk in table.column(name).chunks:
            if not types.is_dictionary(chunk.type) or not _is_text(chunk.type.value_type):
                continue
            lengths = pc.binary_length(chunk.dictionary)
            if (pc.max(lengths).as_py() or 0) > LARGEST_CELL_BYTES:
                what = f"has a cell of more than {LARGEST_CELL_BYTES >> 20} MB"
                raise refused(path, what, "Shorten it; no cell is that long.", name)
            total += pc.sum(pc.take(lengths, chunk.indices)).as_py() or 0
            if total > max(FREE_BYTES, MOST_RATIO * size):
                raise refused(
                    path,
                    f"unpacks to more than {MOST_RATIO} times its size, which no table of quantities does",
                    "Leave out texts that repeat in every row.",
                    name,
                )


def _typed(path: Path, name: str, column: pa.ChunkedArray) -> pd.Series[Any]:
    """Return a column of numbers, times or words."""
    kind = column.type
    numeric = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_null(kind)
    try:
        if types.is_timestamp(kind):
            moments: pd.Series[Any] = column.to_pandas()
            zoned: Any = f"datetime64[ns, {kind.tz}]" if kind.tz else "datetime64[ns]"
            return pd.Series(moments.astype(zoned))
        if types.is_date(kind):
            return pd.Series(column.cast(pa.timestamp("ns")).to_pandas())
        if numeric and not is_word_name(name):
            if types.is_decimal(kind):  # by its digits, as a text is read
                column = column.cast(pa.string())
            values = to_pandas(column.cast(pa.float64(), safe=False))
            if np.isinf(values).any():
                raise NeedsText
            return values
    except (ValueError, OverflowError, KeyError, TypeError, pa.ArrowException):
        raise NeedsText from None
    if types.is_dictionary(kind) and _is_text(kind.value_type):
        return to_pandas(column)
    return _cells(path, name, column).astype("category")


def _cells(path: Path, name: str, column: pa.ChunkedArray) -> pd.Series[str]:
    """Return a column as text."""
    try:
        if types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if types.is_floating(column.type):
            values: pd.Series[float] = column.to_pandas().astype("float64")
            return values.map(lambda value: "" if np.isnan(value) else repr(float(value))).astype(str)
        as_pandas = types.is_timestamp(column.type) or types.is_boolean(column.type)
        words: pd.Series[str] = (column if as_pandas else column.cast(pa.large_string())).to_pandas()
        return words.astype("string").fillna("").astype(str)
    except (ValueError, OverflowError, KeyError, TypeError, pa.ArrowException) as error:
        said = " ".join(str(error).split())
        raise refused(path, f"the column holds values that cannot be read: {said}", "Correct them.", name) from None
