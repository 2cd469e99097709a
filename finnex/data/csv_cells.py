"""The cells of a CSV file: typed as its first rows show, or all as text.

Numbers are float64, every other column its words and their codes (a categorical): dates and symbols repeat. pyarrow
reads them: it is fast, bounded by its blocks, and FinNeX has it for Parquet anyway. A file in which anything is at
fault is read again as text, which says where.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from finnex.config import TableSource
from finnex.data.columns import NeedsText, is_word_name, to_pandas
from finnex.data.csv_file import facts_of, has_trailing_delimiter, in_utf8, line_of, rows_of
from finnex.data.csv_format import UTF8, CsvFormat, format_of
from finnex.data.file_kind import opened
from finnex.data.other_delimiters import refuse_other_delimiter
from finnex.data.stray_quotes import refuse_stray_quotes
from finnex.data.table_file import check_columns, unreadable
from finnex.errors import InputError, Problem, first_of

BLOCK_BYTES = 16 << 20
"""Of the parser; a row must fit into one."""
MOST_RETRIES = 8
"""Columns that turn out to hold words after the first rows, each for another reading of the file."""
MANY_NAMES = 3
"""Of a header that is looked for among the rows: fewer words may be a row of words."""
WORDS = pa.dictionary(pa.int32(), pa.string())
IN_COLUMN = re.compile(r"In CSV column #(\d+): ")


def read_csv(
    path: Path,
    source: TableSource | None = None,
    *,
    typed: bool = False,
    missing: Iterable[str] = (),
    as_written: bool = False,
) -> tuple[pd.DataFrame, tuple[tuple[str, ...], ...]]:
    """Return a CSV file's cells, '' where a text is empty, and the further levels of its header.

    Numbers are written as Python writes them, unless `as_written`. Encoding, delimiter, rows before the header, and
    decimal and thousands signs are detected (`finnex.data.csv_format`) where `source` does not give them. A delimiter
    at the end of every row (one empty cell more than the header has) is read as such.

    Parameters
    ----------
    path
        File.
    source
        How it is written, as far as the configuration says.
    typed
        Whether columns of numbers are float64 (NaN where empty) and others categorical.
    missing
        Words for "no value" among numbers.
    as_written
        Whether texts keep the file's own signs: a preset reads its amounts from them, and one reading of a sign is
        enough.

    Returns
    -------
    tuple
        Cells, rows numbered from 0; and the further levels of the header, by column.

    Raises
    ------
    InputError
        A row has fewer or more cells than the header, or see `facts_of`.
    NeedsText
        With `typed`: a number is not finite, so that only its text can be judged.
    """
    written = format_of(path, source)
    facts = facts_of(path, written.encoding)
    names = [name or f"Unnamed: {number}" for number, name in enumerate(written.names)]
    if names:
        refuse_other_delimiter(path, written, source)
    if written.levels == 1:
        check_columns(path, names)
    if not names:
        return pd.DataFrame(), ()
    types = _types(names, written, frozenset(missing)) if typed else [pa.string()] * len(names)
    if not typed or written.thousands:
        missing = ()
    try:
        table = _parsed(path, written, types, quoted=facts.quoted, missing=missing)
    except InputError:
        refuse_other_delimiter(path, written, source, ragged=True)
        raise
    columns = {}
    for number, name in enumerate(names):
        column = table.column(number)
        words = is_word_name(name)
        if pa.types.is_floating(column.type) and pc.any(pc.invert(pc.is_finite(column))).as_py():
            raise NeedsText
        cells = to_pandas(column)
        columns[number] = cells if as_written or written.is_plain or words else plain_cells(cells, written)
    frame = pd.DataFrame(columns, copy=False)
    frame.columns = pd.Index(names, dtype="str")
    refuse_stray_quotes(path, written, facts, frame, source)
    if not typed:
        _refuse_repeated_headers(path, frame, written)
    return frame, written.further_levels


def _refuse_repeated_headers(path: Path, frame: pd.DataFrame, written: CsvFormat) -> None:
    """Refuse rows that are the header again: files were put one after the other."""
    if written.levels > 1 or len(written.names) < MANY_NAMES:
        return
    again = np.logical_and.reduce(
        [(frame.iloc[:, at].str.strip() == name).to_numpy() for at, name in enumerate(written.names)]
    )
    if not again.any():
        return
    what, remedy = "the row is the header again", "Remove it: the names of the columns are read from the first one."
    raise InputError(
        [
            Problem(str(path), what, remedy, row=line_of(path, int(row), None), further=further)
            for row, further in first_of(np.flatnonzero(again).tolist())
        ]
    )


def _types(names: list[str], written: CsvFormat, missing: frozenset[str]) -> list[pa.DataType]:
    words = [*written.words, *[frozenset[str]()] * (len(names) - len(written.words))]
    return [
        pa.float64() if words_of <= missing and not is_word_name(name) else WORDS
        for name, words_of in zip(names, words, strict=False)
    ]


def _parsed(
    path: Path, written: CsvFormat, types: list[pa.DataType], *, quoted: bool, missing: Iterable[str]
) -> pa.Table:
    """Return the cells; where the first rows were numbers and a later one is none, its column as words."""
    trailing = retries = 0
    while True:
        names = [str(number) for number in range(len(types) + trailing)]
        kinds = dict(zip(names, [*types, *[pa.string()] * trailing], strict=True))
        try:
            with _at_cells(path, written) as file:
                return arrow_csv.read_csv(
                    file,
                    arrow_csv.ReadOptions(column_names=names, block_size=BLOCK_BYTES),
                    arrow_csv.ParseOptions(delimiter=written.delimiter, newlines_in_values=quoted),
                    arrow_csv.ConvertOptions(
                        column_types=kinds, null_values=["", *missing], strings_can_be_null=False,
                        decimal_point=written.decimal,
                    ),
                )  # fmt: skip
        except pa.ArrowInvalid as error:
            found = IN_COLUMN.match(str(error))
            if found is not None and int(found[1]) < len(types) and types[int(found[1])] == pa.float64():
                retries += 1
                types[int(found[1])] = WORDS
                if retries > MOST_RETRIES:
                    types = [WORDS] * len(types)
            elif "Empty CSV file" in str(error):
                return pa.table({name: pa.array([], kind) for name, kind in kinds.items()})
            elif not trailing and has_trailing_delimiter(path, written):
                trailing = 1
            else:
                raise unreadable(path, error) from None


def _at_cells(path: Path, written: CsvFormat) -> BinaryIO:
    """Open a file of text, in UTF-8, at its first row of cells."""
    before = next((line for number, (line, _) in enumerate(rows_of(path, written)) if number == written.rows_before), 0)
    if not before:
        return io.BytesIO()
    if written.returns:
        text = b"".join(in_utf8(path, written.encoding))
        file: BinaryIO = io.BytesIO(text.replace(b"\r", b"\n"))
    else:
        file = opened(path) if written.encoding in UTF8 else io.BytesIO(b"".join(in_utf8(path, written.encoding)))
    for _ in range(before - 1):
        file.readline()
    return file


def plain_cells(cells: pd.Series[str], written: CsvFormat) -> pd.Series[str]:
    """Return a column whose numbers are written as Python writes them; other texts as they are."""
    if isinstance(cells.dtype, pd.CategoricalDtype):
        words = cells.cat.categories.to_series().reset_index(drop=True)
        plain = _plain_numbers(words, written)
        codes, each = pd.factorize(plain)
        return pd.Series(pd.Categorical.from_codes(codes[cells.cat.codes], each), index=cells.index)
    return cells if cells.dtype == "float64" else _plain_numbers(cells, written)


def _plain_numbers(cells: pd.Series[str], written: CsvFormat) -> pd.Series[str]:
    """Return a column whose numbers have no thousands sign and a point; cells that are no numbers as they are.

    Next to decimal commas a point precedes groups of three, in a row that was not looked at too: 1.234 is no fraction.
    """
    thousands = written.thousands or ("." if written.decimal == "," else "")
    decimal, group = re.escape(written.decimal), re.escape(thousands)
    whole = rf"\d{{1,3}}(?:{group}\d{{3}})+|\d+" if group else r"\d+"
    number = cells.str.fullmatch(rf"[\s$€£¥]*[-+]?[$€£¥]?(?:{whole})(?:{decimal}\d+)?(?:[eE][-+]?\d+)?[\s%€£¥]*")
    found = cells[number]
    if thousands:
        found = found.str.replace(thousands, "", regex=False)
    return cells.mask(number, found.str.replace(written.decimal, ".", regex=False))
