"""A vendor's frame under our names of columns: renamed, its words, dates and amounts ours, wide tables taken apart.

What is arranged is not checked: the readers check it as they check every file. Their messages name the file's own
columns, by `Part.file_names`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from finnex.config.table_source import TableSource
from finnex.data import edgar_facts
from finnex.data.arranged_amounts import read_amounts, scaled, split_adjusted, without_values
from finnex.data.arranged_dates import read_date_columns
from finnex.data.arranged_words import fill_words, map_symbols, map_words
from finnex.data.cells import constant, empty, without
from finnex.data.macro_series import of_series
from finnex.data.matched_columns import ignored_names, matched, refusal
from finnex.data.preset import PLAIN, Preset, plain
from finnex.data.wide_tables import FIELDS, by_ticker, levels_in_names
from finnex.errors import Problem

Levels = Sequence[Sequence[str]]
TEXTS = ("text",)
"""Columns in which no word means "no value"."""


@dataclass
class Part:
    """Rows of a file under our names of columns.

    Attributes
    ----------
    frame
        Its index is the row of the file, from 0. Columns that have no name of ours keep theirs.
    file_names
        Our name of a column to the file's; what the file lacks (a constant, a lag) is not in it.
    said
        What was detected or assumed, as sentences without a full stop.
    """

    frame: pd.DataFrame
    file_names: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)


def arranged(
    frame: pd.DataFrame,
    levels: Levels,
    table: str,
    preset: Preset,
    source: TableSource,
    path: Path,
    problems: list[Problem],
) -> list[Part]:
    """Return the rows of a file under our names of columns: one part, or one for each ticker or series of a wide file.

    Parameters
    ----------
    frame
        The file's cells under its own names: text ('' is empty), also as categories, or typed. Its index is the row.
    levels
        Where the header has two rows of names, each row's from the second column on; () elsewhere.
    table
        Which table it is.
    preset
        How the vendor's files are read; `PLAIN` for our own names.
    source
        What the configuration says of the file; it goes before the preset.
    path
        The file, for problems and for words in its name.
    problems
        List that problems are added to; where it grows, the parts are not to be read on.

    Returns
    -------
    list of Part
        Empty where there is a problem with the file as a whole.
    """
    if not levels:
        frame, levels = levels_in_names(frame)
    if not levels:
        return _parts(frame, {}, table, preset, source, path, problems)
    parts: list[Part] = []
    tables = [one for one in by_ticker(frame, levels) if one.ticker or len(levels) == 1]
    if "symbol" in source.constants and len(tables) > 1:
        some = ", ".join(one.ticker for one in tables[:5])
        what = f"holds several tickers ({some}), and symbol = names one"
        return _refused(problems, [Problem(str(path), what, "Leave symbol out: the header names them.")])
    for one in tables:
        named = one.frame
        if "symbol" not in source.constants:
            named = named.assign(Ticker=constant(one.ticker, named.index))
        before = len(problems)
        own = _parts(named, one.file_names, table, preset, source, path, problems)
        if len(problems) > before and not own:
            return []
        for part in own:
            part.said.insert(0, f"the header names the ticker {one.ticker}")
            if one.left_out:
                part.said.append(f"{one.ticker}: {one.left_out} rows have no value of it and are left out")
        parts += own
    return parts


def _refused(problems: list[Problem], found: list[Problem]) -> list[Part]:
    problems += found
    return []


def _parts(
    frame: pd.DataFrame,
    written: dict[str, str],
    table: str,
    preset: Preset,
    source: TableSource,
    path: Path,
    problems: list[Problem],
) -> list[Part]:
    """Return the parts of a frame with one name a column; `written` has the file's own where these were made."""
    header = [str(name) for name in frame.columns]
    before = len(problems)
    found = matched(header, table, preset, source, path, problems)
    if len(problems) > before:
        return []
    if lost := refusal(header, table, preset, source, found, path):
        return _refused(problems, lost)
    part = Part(*_renamed(frame, found, ignored_names(preset, source)))
    part.said += _remarks(header, preset)
    words = (*preset.missing, *source.missing)
    for name in part.frame.columns.difference(TEXTS) if words else ():
        part.frame[name] = without(part.frame[name], words)
    _without_rows(part, preset)
    fill_words(part.frame, part.said, table, preset, source, path)
    map_words(part.frame, preset, path, problems)
    map_symbols(part.frame, preset, source)
    read_date_columns(part.frame, part.said, preset, source, path, problems)
    read_amounts(part.frame, preset, path, problems)
    scaled(part.frame, part.file_names, source, path, problems)
    without_values(part.frame, part.said, preset)
    split_adjusted(part.frame, part.said, preset, path, problems)
    if table == "fundamentals" and preset != PLAIN:
        part.frame = edgar_facts.tidied(part.frame, part.said)
    parts = [part]
    if table == "macro":
        parts = [Part(*one) for one in of_series(part.frame, part.file_names, part.said, preset, source, path, problems)]
    for one in parts:
        one.file_names = {ours: written.get(theirs, theirs) for ours, theirs in one.file_names.items()}
    return parts


def _renamed(
    frame: pd.DataFrame, found: dict[str, str], ignored: set[str]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the columns that have a name of ours under it, then the others that are not ignored."""
    used = set(found.values())
    columns = {ours: frame[theirs] for ours, theirs in found.items()}
    rest = {
        str(name): frame[name] for name in frame.columns
        if name not in used and name not in columns and plain(str(name)) not in ignored
    }  # fmt: skip
    return pd.DataFrame(columns | rest, index=frame.index), dict(found)


def _remarks(header: Sequence[str], preset: Preset) -> Iterator[str]:
    names = {plain(name) for name in header}
    for column, sentence in preset.present.items():
        if plain(column) in names:
            yield sentence
    for column, sentence in preset.absent.items():
        if plain(column) not in names:
            yield sentence


def _without_rows(part: Part, preset: Preset) -> None:
    """Leave out rows without a column that they say nothing without."""
    for name in preset.drop_empty:
        if name in part.frame.columns and (bare := empty(part.frame[name])).any():
            part.frame = part.frame[~bare]
            theirs = part.file_names[name]
            if not (preset.drop_values.get(name)):
                part.said.append(f"{int(bare.sum())} rows without '{theirs}' are left out")
