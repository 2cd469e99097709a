"""Quotation marks that are not closed in their row: a cell then takes up rows below it, and no row is counted wrong."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from finnex.config import TableSource
from finnex.data.cells import distinct, is_text
from finnex.data.csv_file import Facts, line_of
from finnex.data.csv_format import CsvFormat
from finnex.data.file_kind import opened
from finnex.errors import InputError, Problem, first_of

REMEDY = "Close it where the cell ends, or remove it."
END = "the end of the file"
"""Read after the last line: a row of its own unless a quotation mark is open."""
AMOUNT = re.compile(r"[-+]?[$€£¥]?[\d.,\u00a0 ]*\d%?(?:[eE][-+]?\d+)?")


def refuse_stray_quotes(
    path: Path, written: CsvFormat, facts: Facts, frame: pd.DataFrame, source: TableSource | None
) -> None:
    """Refuse a file in which a quotation mark takes rows into a cell.

    Parameters
    ----------
    path
        The file.
    written, facts
        How it is written, and what the pass over it found.
    frame
        Its cells, by the row from 0.
    source
        What the configuration says of it; to find the line of a row.

    Raises
    ------
    InputError
        A mark is open at the end of the file, or a cell holds lines with the cells of rows. A text of several lines is
        no fault.
    """
    if not facts.quoted:
        return
    in_doubt = facts.odd_quotes or (frame.size and "\n" in str(frame.iloc[-1, -1]))  # two marks may be within words
    if in_doubt and (line := _open_at_the_end(path, written)):
        what = "a quotation mark is not closed, so that its cell takes up the rest of the file"
        raise InputError([Problem(str(path), what, REMEDY, row=line)])
    if rows := _rows_with_rows(frame, written.delimiter):
        what = "a cell holds rows of the table: its quotation mark is not closed in the row"
        found = first_of(rows)
        raise InputError(
            [Problem(str(path), what, REMEDY, row=line_of(path, row, source), further=more) for row, more in found]
        )


def _open_at_the_end(path: Path, written: CsvFormat) -> int:
    """Return the line on which the row begins whose quotation mark is open at the end; 0 where none is."""
    line = begins = 1
    row: list[str] = []
    with io.TextIOWrapper(opened(path), encoding=written.encoding, newline="") as file:
        rows = csv.reader(chain(file, ["\n", END]), delimiter=written.delimiter)
        try:
            for row in rows:  # noqa: B007  the last one
                begins, line = line, rows.line_num + 1
        except csv.Error:  # the cell is longer than any
            return line
    return 0 if row == [END] else begins


def _rows_with_rows(frame: pd.DataFrame, delimiter: str) -> list[int]:
    """Return the rows whose cells hold lines that are rows: with as many cells, of the kinds that the others have."""
    lines = np.zeros(len(frame), dtype=np.int64)
    delimiters = np.zeros(len(frame), dtype=np.int64)
    for at in range(frame.shape[1]):
        if not is_text(frame.iloc[:, at]):
            continue
        codes, each = distinct(frame.iloc[:, at])
        several = each.str.contains("\n", regex=False).to_numpy(dtype=bool)
        if several.any():
            counts = np.zeros((2, len(each)), dtype=np.int64)
            counts[0, several] = each[several].str.count(r"[\r\n]+[^\r\n]")
            counts[1, several] = each[several].str.count(re.escape(delimiter))
            lines += counts[0, codes]
            delimiters += counts[1, codes]
    likely = np.flatnonzero((lines > 0) & (delimiters == (frame.shape[1] - 1) * lines))
    return [row for row in likely.tolist() if _holds_rows(frame.iloc[row].tolist(), delimiter)]


def _holds_rows(cells: Sequence[Any], delimiter: str) -> bool:
    lines: list[list[Any]] = [[]]
    for cell in cells:
        if not isinstance(cell, str) or "\n" not in cell:
            lines[-1].append(cell)
            continue
        first, *others = [line.split(delimiter) for line in re.split(r"[\r\n]+", cell)]
        lines[-1] += first
        lines += others
    if any(len(line) != len(cells) for line in lines):
        return False
    kinds = [{kind for line in lines if (kind := _kind(line[column]))} for column in range(len(cells))]
    return all(len(found) <= 1 for found in kinds) and ({"amount"} in kinds or {"time"} in kinds)


def _kind(cell: Any) -> str:
    """Return what a cell holds: an amount, a time, a word, or '' where it is empty."""
    text = "" if pd.isna(cell) else str(cell).replace('"', "").strip()
    if not text:
        return ""
    if AMOUNT.fullmatch(text):
        return "amount"
    return "time" if text[0].isdigit() else "word"
