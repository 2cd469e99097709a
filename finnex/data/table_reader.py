"""One table from its files: each read typed, again as text where anything is at fault, then checked together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.data import checks, parse
from finnex.data.arrange import SAID
from finnex.data.columns import NeedsText, Strict
from finnex.data.file_format import detected, kind_words
from finnex.data.reading import Reading
from finnex.data.remarks import FileReport, remark, remarks, with_reports
from finnex.data.rows import Rows, Where
from finnex.errors import InputError, Problem


@dataclass(frozen=True)
class Part:
    """Cells of a file under our names of their columns.

    Attributes
    ----------
    cells
        By the row of the file, from 0.
    where
        The rows' places.
    reading
        How the file is read.
    """

    cells: pd.DataFrame
    where: Rows
    reading: Reading


MAY_LACK_SYMBOLS = ("sentiment", "fundamentals", "competitive", "options")
"""Tables with rows of no company: headlines about a market. A bar or a split without a symbol is damaged."""
ReadPart = Callable[[Part, list[Problem]], pd.DataFrame]
"""Cells of a part to typed and checked columns, under the same labels."""


class Finish(Protocol):
    """Checks the rows of all files together, and puts them in order."""

    def __call__(self, frame: pd.DataFrame, where: Where, problems: list[Problem]) -> pd.DataFrame:
        """Return the table."""
        ...


@dataclass(frozen=True)
class TableReader:
    """Reads a table. What is wrong with it is added to `problems`; the result is to be used only without any.

    Attributes
    ----------
    table
        Name of the table.
    required
        Columns that every file must have.
    part
        Reads and checks the cells of each part of a file.
    finish
        Checks all rows together.
    reads
        Columns that are read into others.
    """

    table: str
    required: tuple[str, ...]
    part: ReadPart
    finish: Finish
    reads: tuple[str, ...] = ()

    def __call__(self, path: Path, problems: list[Problem], reading: Reading | None = None) -> pd.DataFrame:
        """Return the table of one file."""
        return self.read([(path, reading or Reading(self.table))], problems)

    def read(
        self, files: Sequence[tuple[Path, Reading]], problems: list[Problem], *, leave_out: bool = False
    ) -> pd.DataFrame:
        """Return the table of some files, in the order given.

        Parameters
        ----------
        files
            Path of each, and how it is read.
        problems
            List that problems are added to.
        leave_out
            Leave out all rows of companies that have a problem; a file of one company is that company's. The result is
            to be used where every problem names its companies.

        Returns
        -------
        pandas.DataFrame
            The checked rows.

        Raises
        ------
        InputError
            A file cannot be read at all.
        """
        found: list[Problem] = []
        frames: list[pd.DataFrame] = []
        file_of, rows, reports = [], [], []
        for number, (path, reading) in enumerate(files):
            parts, report = self._of(path, reading, found) if leave_out else self._file(path, reading, found)
            reports.append(report)
            for frame in parts:
                frames.append(frame)
                rows.append(frame.index.to_numpy(dtype=np.int64))
                file_of.append(np.full(len(frame), number, dtype=np.int64))
        if not frames:
            remedy = "Give at least one value, or leave the file out."
            problems += found or [Problem(str(path), "has no row with a value", remedy) for path, _ in files]
            return pd.DataFrame()
        said = [sentence for frame in frames for sentence in remarks(frame)]
        whole = frames[0].reset_index(drop=True) if len(frames) == 1 else pd.concat(frames, ignore_index=True)
        whole.attrs.clear()
        where = Rows(
            [(path, reading.written) for path, reading in files], np.concatenate(file_of), np.concatenate(rows),
            whole["symbol"] if "symbol" in whole.columns else None,
        )  # fmt: skip
        table = self._finished(whole, where, found) if leave_out else self.finish(whole, where, found)
        by_path = {str(path): reading for path, reading in files}
        of_file: dict[str, list[Problem]] = {}
        for problem in found:
            of_file.setdefault(problem.file, []).append(problem)
        in_words = {file: iter(by_path[file].in_the_files_words(Path(file), own)) for file, own in of_file.items()}
        problems += [next(in_words[problem.file]) for problem in found]
        finished = remarks(table)
        table.attrs.clear()
        return with_reports(remark(table, [*dict.fromkeys(said), *finished]), reports)

    def _of(self, path: Path, reading: Reading, found: list[Problem]) -> tuple[list[pd.DataFrame], FileReport]:
        """Return the parts of a file, none of one that cannot be read and is of one company."""
        company, own = reading.company, list[Problem]()
        try:
            parts, report = self._file(path, reading, own)
        except InputError as error:
            if not company:
                raise
            own += error.problems
            parts, report = [], FileReport(self.table, path, "refused")
        found += [replace(one, companies=(company,)) if company and not one.companies else one for one in own]
        return parts, report

    def _finished(self, whole: pd.DataFrame, where: Rows, found: list[Problem]) -> pd.DataFrame:
        """Return the checked rows of companies that have no problem; of all where a problem names no company."""
        left_out: set[str] | None = None
        while all(one.companies for one in found):
            bad = {name for one in found for name in one.companies}
            if bad == left_out:
                break  # what is wrong is not gone with their rows
            left_out = bad
            if bad:
                whole = whole[~whole["symbol"].isin(bad).to_numpy()]
            more: list[Problem] = []
            table = self.finish(whole, where, more)
            if not more:
                return table
            found += more
        return self.finish(whole, where, found)

    def _file(self, path: Path, reading: Reading, problems: list[Problem]) -> tuple[list[pd.DataFrame], FileReport]:
        """Return the checked parts of a file, none where it lacks a column, and what was found in it."""
        try:
            return self._attempt(path, reading, Strict(), typed=True)
        except (NeedsText, InputError):
            pass  # the text says what is at fault, and where
        return self._attempt(path, reading, problems, typed=False)

    def _attempt(
        self, path: Path, reading: Reading, problems: list[Problem], *, typed: bool
    ) -> tuple[list[pd.DataFrame], FileReport]:
        frames: list[pd.DataFrame] = []
        notes, said, unread, rows = list[str](), list[str](), set[str](), 0
        others: Counter[str] = Counter()
        for cells in reading.parts(path, problems, typed=typed):
            if missing := checks.require_columns(cells, self.required, path):
                problems += missing
                continue
            said += cells.attrs.get(SAID, ())
            labels = int(cells.index.max()) + 1 if len(cells) else 0
            rows = max(rows, labels)
            symbols = cells["symbol"] if "symbol" in cells.columns else None
            where = Rows([(path, reading.written)], np.zeros(labels, dtype=np.int64), np.arange(labels), symbols)
            own, absent = _wanted(cells, reading.wanted, blank=self.table in MAY_LACK_SYMBOLS)
            others.update(absent)
            frame = self.part(Part(own, where, reading), problems)
            unread |= set(own.columns) - set(frame.columns) - {*self.required, *self.reads}
            frames.append(frame)
        if reading.assumed and not reading.says_symbol:
            notes.insert(0, reading.assumed)
        if named := [name for name in reading.said_by_folders if name not in reading.file_names]:
            notes.append(f"is read with {', '.join(named)} as its folder's name says")
        report = FileReport(
            self.table, path, kind_words(path), detected(path, reading.source), tuple(dict.fromkeys(notes)),
            tuple(dict.fromkeys(said)), rows,
            sum(map(len, frames)), *_span(frames), reading.file_names, reading.ignored, tuple(sorted(unread)), others,
        )  # fmt: skip
        return frames, report


def _span(frames: Sequence[pd.DataFrame]) -> tuple[tuple[str, ...], date | None, date | None]:
    """Return the names in some parts, and their first and last day."""
    names: set[str] = set()
    days: list[pd.Timestamp] = []
    for frame in frames:
        name = next((one for one in ("symbol", "series", "name") if one in frame.columns), None)
        names |= set(frame[name].unique()) if name else set()
        day = next((one for one in ("date", "available", "timestamp") if one in frame.columns), None)
        if day and frame[day].notna().any():
            days += [frame[day].min(), frame[day].max()]
    return tuple(sorted(names)), min(days).date() if days else None, max(days).date() if days else None


def _wanted(cells: pd.DataFrame, wanted: frozenset[str] | None, *, blank: bool) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the rows of wanted symbols, and how many rows each of the others has.

    A row without a symbol is of no company where `blank`; elsewhere it is kept, and refused as damaged.
    """
    if wanted is None or "symbol" not in cells.columns:
        return cells, {}
    symbols = parse.text_of(cells["symbol"])
    others = ~symbols.isin(wanted if blank else wanted | {""})
    if not others.any():
        return cells, {}
    counts: dict[Any, int] = symbols[others].value_counts().to_dict()
    return cells[~others], {str(name): int(count) for name, count in counts.items()}


def in_order(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return a frame's rows in the order of some columns, those that are alike in the order given; labels from 0."""
    words = {name: pd.factorize(values) for name, values in frame.items() if values.dtype == "str"}
    keys = [_rank(*words[name]) if name in words else frame[name].to_numpy() for name in columns]
    if _ascending(keys):
        return frame.reset_index(drop=True)
    order = np.lexsort(keys[::-1])
    taken = {}
    for name, values in frame.items():
        if name in words:  # a row's code is near to the last one's in memory, and its text is not
            codes, each = words[name]
            taken[name] = pd.Series(each.take(codes[order]), dtype="str")
        else:
            taken[name] = values.take(order).reset_index(drop=True)
    return pd.DataFrame(taken, copy=False)


def unique_in_order(frame: pd.DataFrame, columns: Sequence[str], where: Where, problems: list[Problem]) -> pd.DataFrame:
    """Return a frame's rows in the order of the columns that are its key, and refuse rows with the key of another.

    Parameters
    ----------
    frame
        Rows of all files.
    columns
        Columns of the key.
    where
        The rows' places.
    problems
        List that problems are added to.

    Returns
    -------
    pandas.DataFrame
        Labels from 0.
    """
    table = in_order(frame, columns)
    same = np.ones(max(0, len(table) - 1), dtype=bool)
    for name in columns:
        values = table[name].to_numpy() if table[name].dtype != "str" else pd.factorize(table[name])[0]
        same &= values[1:] == values[:-1]
    if same.any():
        problems += checks.duplicates(frame, list(columns), where)
    return table


def _rank(codes: npt.NDArray[np.intp], each: pd.Index[Any]) -> npt.NDArray[np.intp]:
    """Return the place of each row's word among the words, in their order; no word comes last."""
    rank = np.full(len(each) + 1, len(each), dtype=np.intp)
    rank[np.argsort(np.asarray(each, dtype=object), kind="stable")] = np.arange(len(each))
    return rank[codes]


def _ascending(keys: Sequence[npt.NDArray[Any]]) -> bool:
    """Return whether rows are in the order of their keys; False where a key has no value."""
    if not keys or not len(keys[0]):
        return True
    before = np.zeros(len(keys[0]) - 1, dtype=bool)
    same = ~before
    for key in keys:
        before |= same & (key[:-1] < key[1:])
        same &= key[:-1] == key[1:]
    return bool((before | same).all())
