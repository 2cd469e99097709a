"""Macro values: a column for each series, vintages, and when a value without a release date counts as known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from finnex.config.table_source import TableSource
from finnex.data.arranged_words import stem_of, word_in_name
from finnex.data.cells import constant
from finnex.data.faults import Faults
from finnex.data.matched_columns import series_columns
from finnex.data.names import SERIES, SERIES_ALIASES
from finnex.data.preset import Preset
from finnex.data.publication import available_dates
from finnex.data.remarks import Caution
from finnex.data.wide_tables import new_values, vintage_of
from finnex.data.written_times import read_times

NEWEST: Final = Caution(
    "values are as published today, after later revisions; ALFRED's vintages, which have a realtime_start, hold what "
    "was known on each day"
)
OWN = ("series", "date", "available_date", "value", "symbol")
Arranged = tuple[pd.DataFrame, dict[str, str], list[str]]


def of_series(
    frame: pd.DataFrame,
    file_names: dict[str, str],
    said: list[str],
    preset: Preset,
    source: TableSource,
    faults: Faults,
) -> list[Arranged]:
    """Return a macro table's rows with series, date, available_date and value: one table for each column of values.

    Parameters
    ----------
    frame
        Under our names.
    file_names
        Our name of a column to the file's.
    said
        Sentences so far; those of all series are added to it.
    preset, source
        Lags, and the series where the file lacks it.
    faults
        A file that does not say its series is added to it; the series may be in the file's name.

    Returns
    -------
    list of tuple
        Frame, file's names and sentences of each part.
    """
    if "available_date" in frame.columns and preset.value_is_newest and _one_day(frame["available_date"]):
        day = f"every '{file_names.get('available_date')}' is the same day, that of the download: it is no release date"
        said.append(Caution(day))
        frame = frame.drop(columns="available_date")
        file_names = {ours: theirs for ours, theirs in file_names.items() if ours != "available_date"}
    known = source.constants.get("series")
    columns = series_columns(map(str, frame.columns), {name: name for name in OWN}, set())
    if "value" in frame.columns or preset.columns_are != "series" or not columns:
        return [_one_table(frame, file_names, said, preset, source, faults)]
    if known is not None and len(columns) > 1 and not all(vintage_of(name) for name in columns):
        what = f"holds several series ({', '.join(columns[:5])}), and series = names one"
        faults.of_file(what, "Leave series out, or ignore the other columns.")
        return []
    parts: list[Arranged] = []
    days = [name for name in OWN if name in frame.columns]
    before: dict[str, pd.Series[Any]] = {}
    for name in sorted(columns, key=lambda one: vintage_of(one) or (one, "")):
        series, day = vintage_of(name) or (name, "")
        own = frame[days].assign(value=frame[name], series=constant(known or series, frame.index))
        names = {**file_names, "value": name}
        sentences = [f"the column {name} is the series {known or series}" + (f" as of {day}" if day else "")]
        if day:
            fresh = new_values(frame[name], before.get(series))
            before[series] = frame[name]
            own = own[fresh].assign(available_date=constant(day, frame.index[fresh]))
            if not own.empty:
                parts.append((own, names, sentences))
            continue
        own, names, sentences = _with_lags(own, names, sentences, preset, source, faults)
        parts.append((own, names, sentences))
    if parts:
        parts[0][2][:0] = said
    return parts


def series_in(words: Sequence[str], preset: Preset) -> str | None:
    """Return the one of some words that is a series which features read, or of which the preset knows the lag.

    Examples
    --------
    >>> series_in(["fred", "dgs10"], Preset()), series_in(["my", "rates"], Preset())
    ('DGS10', None)
    """
    known = {*SERIES, *SERIES_ALIASES, *preset.lags}
    found = dict.fromkeys(word.upper() for word in words if word.upper() in known)
    return next(iter(found)) if len(found) == 1 else None


def _one_day(cells: pd.Series[Any]) -> bool:
    return len(cells) > 1 and len(cells.unique()) == 1


def _one_table(
    frame: pd.DataFrame,
    file_names: dict[str, str],
    said: list[str],
    preset: Preset,
    source: TableSource,
    faults: Faults,
) -> Arranged:
    """Return a table of one column of values; its series is a column, a constant, or in the file's name."""
    word = source.constants.get("series")
    if word is None and "series" not in frame.columns:
        word = word_in_name(faults.path, preset.file_names, "series")
        word = series_in(re.split(r"[^A-Za-z0-9]+", stem_of(faults.path)), preset) or word
        if word is not None:
            said.append(f"series is {word}, from the file's name")
        elif (word := preset.constants.get("series")) is not None:
            said.append(f"series is {word}, as of every file of the preset")
        elif preset.names:
            what, remedy = "does not say which series its values are", 'Name it: series = "DGS10".'
            faults.of_file(what, remedy)
    if word is not None:
        frame = frame.assign(series=constant(word, frame.index))
        file_names = {ours: theirs for ours, theirs in file_names.items() if ours != "series"}
    return _with_lags(frame, file_names, said, preset, source, faults)


def _with_lags(
    frame: pd.DataFrame,
    file_names: dict[str, str],
    said: list[str],
    preset: Preset,
    source: TableSource,
    faults: Faults,
) -> Arranged:
    """Return a table with the day on which each value counts as known, where it has none and a lag is given."""
    lags = source.lag_days is not None or preset.lags or preset.lags_by_period
    if "available_date" in frame.columns or not lags or not {"series", "date"} <= set(frame.columns):
        return frame, file_names, said
    clock = read_times(frame["date"]).clock
    available, sentences, without = available_dates(frame["series"], clock, preset, source.lag_days)
    said += sentences
    if without:
        what = f"has no release dates, and the preset no lag of the series {', '.join(without[:5])}"
        faults.of_file(what, "Say after how many days its values count as known: lag_days = 30.")
    if preset.value_is_newest:
        said.append(NEWEST)
    return frame.assign(available_date=available), file_names, said
