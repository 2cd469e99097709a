"""A file's cells under our own names of their columns: names, words and dates of other formats brought to ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from finnex.config import TableSource
from finnex.data import parse
from finnex.data.columns import by_word
from finnex.data.csv_file import line_of
from finnex.data.mapping import COLLECTED, FILED, OWN_NAMES, PLATFORMS, SOURCES, SPECIFICATION, nearest_platform
from finnex.data.preset import Preset, plain
from finnex.errors import InputError, Problem, first_of, nearest, shown

FILE_NAMES, IGNORED = "finnex_file_names", "finnex_ignored"
"""In a part's `attrs`: our names of columns to the file's, and the file's columns that are left out on purpose."""


def arranged(
    frame: pd.DataFrame,
    levels: tuple[tuple[str, ...], ...],
    table: str,
    preset: Preset | None,
    source: TableSource,
    path: Path,
    problems: list[Problem],
) -> list[pd.DataFrame]:
    """Return a file's cells under our names.

    Parameters
    ----------
    frame
        Cells under the file's own names of its columns, by the row of the file: texts, '' where empty, words and their
        codes, float64 or `datetime64`.
    levels
        Further levels of the header, by column.
    table
        Table that it is read for.
    preset
        How the vendor's files of that table are read.
    source
        What the configuration says of the file.
    path
        File, for the problems.
    problems
        List that problems are added to.

    Returns
    -------
    list of pandas.DataFrame
        Parts that each have a row of the file once. Their `attrs` hold `FILE_NAMES` and `IGNORED`.
    """
    old = SPECIFICATION.get(table) if source.preset == "specification" else None
    names, left_out = (dict(old.names), old.left_out) if old is not None else ({}, ())
    if table == "fundamentals":
        named = {plain(theirs) for theirs in source.columns.values()}
        names = {ours: tuple(one for one in options if one not in named) for ours, options in FILED.names.items()}
        left_out = FILED.left_out
    absent = [
        Problem(str(path), f"[inputs.columns] reads '{ours}' from it, and it is not there",
                nearest(theirs, frame.columns), column=theirs)
        for ours, theirs in source.columns.items()
        if theirs not in frame.columns
    ]  # fmt: skip
    if absent:
        raise InputError(absent)
    found = _names(frame.columns, names, source, OWN_NAMES.get(table, ()))
    ignored = [name for name in frame.columns if name in source.ignore or (plain(name) in left_out)]
    if found or ignored:
        used = set(found) | set(found.values()) | set(ignored)
        rest = [name for name in frame.columns if name not in used]
        ours = [frame[theirs].rename(name) for name, theirs in found.items()]
        frame = pd.concat([*ours, frame[rest]], axis="columns")
    if missing := [*source.missing, *(preset.missing if preset is not None else ())]:
        frame = frame.apply(lambda cells: _without(cells, missing))
    for name, word in source.constants.items():
        if name not in frame.columns:
            frame.insert(0, name, pd.Series([word] * len(frame), index=frame.index, dtype="str"))
    if source.symbols_as and "symbol" in frame.columns:
        frame["symbol"] = by_word(frame["symbol"], lambda text: text.str.strip().replace(source.symbols_as))
    if old is not None:
        _fill(frame, found, path, problems)
    frame.attrs |= {FILE_NAMES: found, IGNORED: ignored}
    return [frame]


def _names(
    columns: Sequence[str], names: dict[str, tuple[str, ...]], source: TableSource, own: Sequence[str]
) -> dict[str, str]:
    by_plain = {plain(name): name for name in reversed(list(columns))}
    found = dict(source.columns)
    for ours, options in names.items():
        given = [by_plain[option] for option in options if option in by_plain]
        if given:
            found.setdefault(ours, given[0])
    taken = {*found, *found.values()}
    for ours in own:
        theirs = by_plain.get(ours, ours)
        if ours not in columns and theirs != ours and not taken & {ours, theirs}:
            found[ours] = theirs
    return found


def _fill(text: pd.DataFrame, found: dict[str, str], path: Path, problems: list[Problem]) -> None:
    """Bring the words of the specification's files to ours; in place."""
    if "date" not in text.columns and "peer" in text.columns and (stamp := COLLECTED.search(path.name)):
        text["date"] = "-".join(stamp.groups())
    if found.get("provider") == found.get("source", ""):
        text["provider"] = _each(text["provider"], plain)
    if "source" in found:
        words = parse.text_of(_each(text["source"], plain))
        strange = (words != "") & ~words.isin(PLATFORMS)
        problems += [
            Problem(
                str(path), "is no platform that the preset knows", nearest_platform(words[row]),
                row=line_of(path, int(row)), column="source", value=shown(text.at[row, "source"]),
                further=further,
            )
            for row, further in first_of(words.index[strange].tolist())
        ]  # fmt: skip
        # A word that was refused must not be refused a second time by the reader's own list.
        text["source"] = words.map(PLATFORMS).where(~strange, SOURCES[0]).fillna("")


def _without(cells: pd.Series[Any], words: Sequence[str]) -> pd.Series[Any]:
    if cells.dtype.kind in "fM":
        return cells
    return parse.text_of(cells).mask(lambda text: text.isin(words), "")


def _each(cells: pd.Series[Any], made: Any) -> pd.Series[Any]:
    return by_word(cells, lambda text: text.map(made))
