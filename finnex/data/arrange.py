"""A vendor's frame under our names of columns: renamed, its words, dates and amounts ours, wide tables taken apart.

What is arranged is not checked: the readers check it as they check every file, and name the file's own columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from finnex.config.table_source import TableSource
from finnex.data import edgar_facts
from finnex.data.arranged_amounts import read_amounts, scaled, split_adjusted, without_values
from finnex.data.arranged_dates import read_date_columns
from finnex.data.arranged_words import fill_words, map_symbols, map_words
from finnex.data.bar_intervals import refuse_times_of_a_day
from finnex.data.cells import constant, distinct, empty, without
from finnex.data.faults import Faults
from finnex.data.json_tables import NUMBERED
from finnex.data.macro_series import of_series
from finnex.data.matched_columns import ignored_names, matched, refusal
from finnex.data.names import TAXONOMY
from finnex.data.preset import PLAIN, Preset, bundled, plain
from finnex.data.remarks import Caution
from finnex.data.wide_tables import by_ticker, flat_levels, level_in_rows, tuple_levels
from finnex.errors import Problem, repeated

FILE_NAMES, IGNORED, SAID = "finnex_file_names", "finnex_ignored", "finnex_said"
"""In a part's `attrs`: our names of columns to the file's; the file's columns that are left out on purpose; and what
was detected or assumed, as sentences without a full stop."""
TEXTS = ("text",)
"""Columns in which no word means "no value"."""
WORDS = {"macro": "series", "events": "name", "fundamentals": "metric"}
"""Columns whose words are names that features read, as names of columns are elsewhere."""
Levels = Sequence[Sequence[str]]


@dataclass
class Part:
    """Rows of a file under our names of columns, while they are arranged."""

    frame: pd.DataFrame
    file_names: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    ignored: tuple[str, ...] = ()

    def with_attrs(self) -> pd.DataFrame:
        """Return the rows with what is known of them in `attrs`."""
        named = {ours: theirs for ours, theirs in self.file_names.items() if ours in self.frame.columns}
        self.frame.attrs = {FILE_NAMES: named, IGNORED: self.ignored, SAID: tuple(dict.fromkeys(self.said))}
        return self.frame


def arranged(
    frame: pd.DataFrame,
    levels: Levels,
    table: str,
    preset: Preset,
    source: TableSource,
    path: Path,
    problems: list[Problem],
) -> list[pd.DataFrame]:
    """Return the rows of a file under our names of columns: one part, or one for each ticker or series of a wide file.

    Parameters
    ----------
    frame
        The file's cells under its own names: text ('' is empty), also as categories, or typed. Its index is the row.
    levels
        Where columns have names of several levels, those after the first, by column; () elsewhere.
    table
        Which table it is.
    preset
        How the vendor's files are read; `PLAIN` for our own names.
    source
        What the configuration says of the file; it overrides the preset.
    path
        The file, for problems and for words in its name.
    problems
        List that problems are added to. Rows that have one are left out of the parts.

    Returns
    -------
    list of pandas.DataFrame
        By the row of the file, each row once in a part; `FILE_NAMES`, `IGNORED` and `SAID` are in `attrs`. Columns that
        have no name of ours, and are not ignored, keep theirs. Empty where the file cannot be read on.
    """
    faults = Faults(path, problems, source)
    above = [list(level) for level in levels]
    if not above:
        frame, above = tuple_levels(frame)
    if not above:
        frame, above = level_in_rows(frame)
    of_levels = bool(above)
    if not above:
        frame, above = flat_levels(frame)
    if above:
        known = of_levels and table == "prices" and not preset.absent
        parts = _of_tickers(frame, above, table, preset, source, faults, as_yfinance=known)
    else:
        parts = _parts(frame, {}, table, preset, source, faults)
    return [] if faults.whole else [one.with_attrs() for one in parts]


def _of_tickers(
    frame: pd.DataFrame,
    levels: Levels,
    table: str,
    preset: Preset,
    source: TableSource,
    faults: Faults,
    *,
    as_yfinance: bool,
) -> list[Part]:
    parts: list[Part] = []
    for one in by_ticker(frame, levels):
        if again := repeated(map(str, one.frame.columns)):
            column = one.file_names.get(again[0], again[0])
            faults.of_file("the column appears twice", "Keep one, or give each a name of its own.", column)
            break
        names = [str(name) for name in one.frame.columns]
        ticker = "Ticker" if "symbol" in preset.names else "symbol"
        named = one.frame.assign(**{ticker: constant(one.ticker, one.frame.index)}) if one.ticker else one.frame
        for part in _parts(named, one.file_names, table, preset, source, faults, wide=True):
            if one.ticker:
                part.said.insert(0, f"the header names the ticker {one.ticker}")
            if as_yfinance:
                part.said += [
                    Caution(f"the header is as yfinance writes it, and {sentence}")
                    for sentence in _yfinance_lacks(names)
                ]
            if one.left_out:
                rows = f"{one.left_out} rows are" if one.left_out > 1 else "a row is"
                part.said.append(Caution(f"{one.ticker}: {rows} left out, where its cells are all empty"))
            parts.append(part)
        if faults.whole:
            break
    return parts


def _parts(
    frame: pd.DataFrame,
    written: dict[str, str],
    table: str,
    preset: Preset,
    source: TableSource,
    faults: Faults,
    *,
    wide: bool = False,
) -> list[Part]:
    """Return the parts of a frame with one name a column; `written` has the file's own where these were made."""
    header = [str(name) for name in frame.columns]
    if table == "fundamentals" and preset == PLAIN:
        preset = _filed()
    found = matched(header, table, preset, source, faults)
    if not faults.whole:
        refusal(header, table, preset, source, found, faults, wide=wide)
    if faults.whole:
        return []
    part = _renamed(frame, found, ignored_names(preset, source))
    part.said += _remarks(header, preset)
    if words := (*preset.missing, *source.missing):
        for name in part.frame.columns.difference(list(TEXTS)):
            part.frame[name] = without(part.frame[name], words)
    _without_rows(part, preset)
    part.frame = fill_words(part.frame, part.said, table, preset, source, faults.path)
    map_words(part.frame, part.file_names, preset, faults)
    map_symbols(part.frame, preset, source)
    faults.symbols = part.frame["symbol"] if "symbol" in part.frame.columns else None
    _read_days(part, table, preset, source, faults)
    if faults.whole:
        return []
    read_amounts(part.frame, frame, preset, faults)
    scaled(part.frame, part.file_names, source, faults)
    part.frame = without_values(part.frame, part.said, preset)
    part.frame = split_adjusted(part.frame, part.said, preset, faults)
    if table == "fundamentals" and preset.marks:
        part.frame = edgar_facts.tidied(part.frame, part.said)
    part.frame = faults.without(part.frame)
    if faults.whole:
        return []
    parts = [part]
    if table == "macro":
        own = of_series(part.frame, part.file_names, part.said, preset, source, faults)
        parts = [Part(*one, part.ignored) for one in own]
    for one in parts:
        _without_words(one, table, source)
        one.file_names = {ours: written.get(theirs, theirs) for ours, theirs in one.file_names.items()}
    return parts


def _read_days(part: Part, table: str, preset: Preset, source: TableSource, faults: Faults) -> None:
    """Read the columns of days, in place; of bars with times of a day, no cell is named, but what they are."""
    of_bars = table in ("prices", "enhanced")
    if of_bars:  # before a format is looked for, which would name each cell
        refuse_times_of_a_day(part.frame, part.file_names, faults)
    if not faults.whole:
        read_date_columns(part.frame, part.said, preset, source, faults)
    if of_bars and not faults.whole:
        refuse_times_of_a_day(part.frame, part.file_names, faults)


def _yfinance_lacks(header: Sequence[str]) -> Iterator[str]:
    """Yield what yfinance's preset says of columns that a header lacks: of prices that are adjusted for dividends."""
    prices = bundled()["yfinance"].prices
    assert prices is not None
    return _absences(header, prices)


def _filed() -> Preset:
    """Return how fundamentals under our own names are read: EDGAR's names of columns are aliases."""
    edgar = bundled()["edgar"].fundamentals
    assert edgar is not None
    return Preset(names=edgar.names, ignore=edgar.ignore)


def _renamed(frame: pd.DataFrame, found: dict[str, str], ignored: set[str]) -> Part:
    """Return the columns that have a name of ours under it, then the others that are not ignored."""
    names = [str(name) for name in frame.columns]
    used = {*found, *found.values()}
    others = [name for name in names if name not in used]
    left = tuple(name for name in others if plain(name) in ignored)
    rest = [name for name in others if name not in set(left)]
    at = {name: number for number, name in enumerate(names)}
    kept = frame.iloc[:, [at[name] for name in (*found.values(), *rest)]]
    return Part(kept.set_axis([*found, *rest], axis="columns"), dict(found), ignored=left)


def _remarks(header: Sequence[str], preset: Preset) -> Iterator[str]:
    names = {plain(NUMBERED.sub("", name)) for name in header}
    yield from (Caution(sentence) for column, sentence in preset.present.items() if plain(column) in names)
    yield from _absences(header, preset)


def _absences(header: Sequence[str], preset: Preset) -> Iterator[str]:
    names = {plain(name) for name in header}
    yield from (Caution(sentence) for column, sentence in preset.absent.items() if plain(column) not in names)


def _without_words(part: Part, table: str, source: TableSource) -> None:
    """Leave out rows of series, events and metrics that the configuration ignores, as it does columns."""
    column = WORDS.get(table, "")
    if not source.ignore or column not in part.frame.columns:
        return
    codes, each = distinct(part.frame[column])
    ignored = {plain(name) for name in source.ignore}
    names = each.str.strip().str.replace(TAXONOMY, "", regex=True)
    out = (names.map(plain).isin(ignored) | each.map(plain).isin(ignored)).to_numpy(dtype=bool)
    if (gone := out[codes]).any():
        part.frame = part.frame[~gone]
        part.ignored += tuple(each[out].str.strip())


def _without_rows(part: Part, preset: Preset) -> None:
    """Leave out rows without a value in a column of which the preset says that they need one."""
    for name in preset.drop_empty:
        if name not in part.frame.columns:
            continue
        bare = empty(part.frame[name])
        if not bare.any():
            continue
        part.frame = part.frame[~bare]
        if name not in preset.drop_values:
            rows = int(np.count_nonzero(bare))
            many = f"{rows} rows" if rows > 1 else "a row"
            said = f"{many} without '{part.file_names[name]}' {'are' if rows > 1 else 'is'} left out"
            part.said.append(Caution(said))
