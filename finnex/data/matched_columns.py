"""Which column of a file is which of ours, and which bundled presets fit a header."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from finnex.config.table_source import TableSource
from finnex.data.faults import Faults
from finnex.data.names import CONCEPTS, METRICS, SERIES, SERIES_ALIASES
from finnex.data.own_columns import KEYS, OWN_NAMES
from finnex.data.preset import PLAIN, Preset, bundled, plain
from finnex.data.wide_tables import NO_NAME, vintage_of
from finnex.errors import nearest

GENERAL = ("specification",)
"""Presets without a vendor's marks: named last."""
UNDER_INPUTS = "under [inputs]"
"""In a remedy that is a line of the configuration."""
WITHOUT_PRESET = {"macro": ("series", "date", "available_date", "value")}
"""Columns that a file under our own names must have, where these are more than `KEYS`."""


def matched(header: Sequence[str], table: str, preset: Preset, source: TableSource, faults: Faults) -> dict[str, str]:
    """Return our column to the file's: as the configuration names it, as the preset does, or by our own name.

    Parameters
    ----------
    header
        Names of the file's columns.
    table
        Which table it is.
    preset
        Names that a column may have.
    source
        Its `columns` override the preset, and so does what it ignores.
    faults
        Configured columns that are not there are added to it.

    Returns
    -------
    dict
        Names are compared without regard to case, with spaces and hyphens as underscores.
    """
    by_plain = {plain(name): name for name in reversed(header)}
    found: dict[str, str] = {}
    for ours, theirs in source.columns.items():
        if theirs in header or plain(theirs) in by_plain:
            found[ours] = theirs if theirs in header else by_plain[plain(theirs)]
        else:
            what = f"[inputs.columns] reads '{ours}' from it, and it is not there"
            faults.of_file(what, nearest(theirs, header), theirs)
    configured = {*found.values(), *(name for name in header if plain(name) in {plain(one) for one in source.ignore})}
    for ours, options in preset.names.items():
        names = [by_plain[plain(option)] for option in options if plain(option) in by_plain]
        names = [name for name in names if name not in configured]
        if names:
            found.setdefault(ours, names[0])
    ignored = ignored_names(preset, source)
    taken = {*found, *found.values()}
    for ours in OWN_NAMES.get(table, ()):
        theirs = by_plain.get(ours, "")
        if theirs and ours not in found and theirs not in taken and plain(theirs) not in ignored:
            found[ours] = theirs
    return found


def ignored_names(preset: Preset, source: TableSource | None = None) -> set[str]:
    """Return the columns that are not read, as `plain` writes them."""
    return {plain(name) for name in (*preset.ignore, *(source.ignore if source else ()))}


def series_columns(header: Iterable[str], found: Mapping[str, str], ignored: set[str]) -> list[str]:
    """Return the columns of a macro table that are series of their own: all that are neither ours nor ignored."""
    taken = set(found.values())
    others = [name for name in header if name not in taken and plain(name) not in ignored]
    return [name for name in others if name.strip() and NO_NAME.fullmatch(name) is None]


def lacking(header: Sequence[str], table: str, preset: Preset, found: Mapping[str, str]) -> list[str]:
    """Return what keeps a file from being of a preset: its marks, and key columns by the vendor's names.

    Parameters
    ----------
    header
        Names of the file's columns.
    table
        Which table it is.
    preset
        Its marks and names.
    found
        As `matched` returns it.

    Returns
    -------
    list of str
        Columns, as the vendor writes them; empty where the file is of the preset.
    """
    names = {plain(name) for name in header}
    lost = []
    if preset.marks and not names & {plain(mark) for mark in preset.marks}:
        lost.append(preset.marks[0])
    for ours in KEYS[table]:
        if ours in found or ours in preset.constants:
            continue
        if ours == "value" and preset.columns_are == "series":
            if series_columns(header, found, ignored_names(preset)):
                continue
            lost.append("a column of values")
        else:
            options = preset.names.get(ours, (ours,))
            lost += [option for option in options[:1] if option not in lost]
    if table == "sentiment" and not {"text", "score"} & set(found):
        lost.append(preset.names.get("text", ("text",))[0])
    if table == "fundamentals" and "value" not in found and not set(METRICS) & set(found):
        lost.append(preset.names.get("value", ("value",))[0])
    return list(dict.fromkeys(lost))


def fitting(header: Sequence[str], table: str, *, wide: bool = False) -> list[str]:
    """Return the bundled presets that read a file of this header, the one that knows most of its columns first.

    Parameters
    ----------
    header
        Names of the columns; of a header of two levels, the first column's name and those of the fields.
    table
        Which table it is.
    wide
        Whether the header has a level of tickers: presets whose files have one come first.

    Returns
    -------
    list of str
        Names, as the key `preset` takes them.

    Examples
    --------
    >>> fitting(["Date", "Close/Last", "Volume", "Open", "High", "Low"], "prices")
    ['nasdaq']
    >>> fitting(["observation_date", "DGS10"], "macro")
    ['fred']
    """
    scores: list[tuple[bool, bool, bool, int, str]] = []
    nowhere = TableSource(path=".")
    for name, whole in bundled().items():
        preset = whole.of(table)
        if preset is None:
            continue
        found = matched(header, table, preset, nowhere, Faults(Path(), []))
        if lacking(header, table, preset, found) or not _names_series(header, preset, found):
            continue
        known = {plain(one) for options in preset.names.values() for one in options} | ignored_names(preset)
        unknown = sum(plain(one) not in known for one in header)
        scores.append((name in GENERAL, wide and not preset.tickers_in_header, not preset.marks, unknown, name))
    return [name for *_, name in sorted(scores)]


def _names_series(header: Sequence[str], preset: Preset, found: Mapping[str, str]) -> bool:
    """Return whether columns that would be series have the names of series."""
    if preset.columns_are != "series" or "value" in found:
        return True
    known = {*SERIES, *SERIES_ALIASES, *preset.lags}
    columns = series_columns(header, found, ignored_names(preset))
    return any((vintage_of(name) or (name, ""))[0].upper() in known for name in columns)


def refusal(
    header: Sequence[str],
    table: str,
    preset: Preset,
    source: TableSource,
    found: Mapping[str, str],
    faults: Faults,
    *,
    wide: bool = False,
) -> None:
    """Refuse a file that is not of its preset, and name the preset that fits it.

    Parameters
    ----------
    header
        Names of the file's columns.
    table
        Which table it is.
    preset
        What it was to be read by. Without one, a file is refused here where a preset fits it; otherwise the readers say
        which columns are missing.
    source
        It names the preset.
    found
        As `matched` returns it.
    faults
        The file is added to it.
    wide
        Whether the file's header had the tickers too.
    """
    if source.preset is None:
        given = {*found, *source.constants, *(("available_date",) if source.lag_days is not None else ())}
        missing = [ours for ours in WITHOUT_PRESET.get(table, KEYS[table]) if ours not in given]
        by_hand = _by_hand(header, table, source)
        if missing and not source.columns and (others := _vendors(header, table, source, wide=wide)):
            what = f"has no column {_listed(missing)} under that name"
            faults.of_file(what, f"Its columns are those of {others}; or {by_hand}")
        return
    # Where the configuration names columns it is known whose file this is: a page in another language lacks the marks.
    lost = lacking(header, table, preset.model_copy(update={"marks": ()}) if source.columns else preset, found)
    if not lost:
        return
    by_hand = _by_hand(header, table, source)
    others = _vendors(header, table, source, wide=wide)
    if set(header) >= {*KEYS[table], *({"symbol"} & set(OWN_NAMES[table]))}:
        remedy = "It has our own names of columns: leave preset out."
    elif source.preset.endswith(".toml"):
        remedy = _in_own_preset(header, table, preset, found, Path(source.preset).name)
    elif others:
        remedy = f"Its columns are those of {others}; or {by_hand}"
    else:
        remedy = f"Name another preset (docs/presets.md), or {by_hand}"
    faults.of_file(f"is not a file that the preset '{source.preset}' reads: it has no column {_listed(lost)}", remedy)


def _listed(columns: Sequence[str]) -> str:
    return " and no column ".join(f"'{one}'" for one in columns)


def _by_hand(header: Sequence[str], table: str, source: TableSource) -> str:
    """Return the line of [inputs] that names a file's columns without a preset: those that have not our own name."""
    own = source.model_copy(update={"preset": None})
    found = matched(header, table, PLAIN, own, Faults(Path(), []))
    given = {*found, *source.constants, *(("available_date",) if source.lag_days is not None else ())}
    wanted = (*WITHOUT_PRESET.get(table, KEYS[table]), *(("volume",) if table == "prices" else ()))
    missing = [ours for ours in wanted if ours not in given]
    if not missing:
        return "leave preset out: its columns have our own names."
    lag = ""
    if table == "macro" and {"series", "available_date"} & set(missing):
        lag = ' Instead of columns that it does not have, series = "DGS10" and lag_days = 30 say it of all rows.'
    return f"name its columns {UNDER_INPUTS}: {line_of_columns(table, source.path, missing)}.{lag}"


def line_of_columns(table: str, path: str, columns: Sequence[str]) -> str:
    """Return the line of [inputs] in which columns of a file get our names.

    Examples
    --------
    >>> line_of_columns("prices", "bars.csv", ["date", "close"])
    'prices = { path = "bars.csv", columns = { date = "...", close = "..." } }'
    """
    own = ", ".join(f'{ours} = "..."' for ours in columns)
    return f"{table} = {{ path = {json.dumps(path, ensure_ascii=False)}, columns = {{ {own} }} }}"


def _in_own_preset(header: Sequence[str], table: str, preset: Preset, found: Iterable[str], file: str) -> str:
    """Return what a preset of the user's lacks to read a file of this header."""
    if preset.marks and not {plain(name) for name in header} & {plain(mark) for mark in preset.marks}:
        own = ", ".join(json.dumps(name, ensure_ascii=False) for name in header[:3])
        return f"It has none of the preset's marks: add one of its own columns ({own}) to marks in [{table}] of {file}."
    free = [name for name in header if plain(name) not in ignored_names(preset)]
    own = ", ".join(json.dumps(name, ensure_ascii=False) for name in free[:8])
    missing = [ours for ours in KEYS[table] if ours not in {*found, *preset.constants}]
    lines = " and ".join(f'names.{ours} = ["..."]' for ours in missing) or "names of its columns"
    return f"Add {lines} to [{table}] of {file}; the file's columns are {own}{', ...' if len(free) > 8 else ''}."


def _vendors(header: Sequence[str], table: str, source: TableSource, *, wide: bool) -> str:
    """Return the vendors' presets that fit a header best, other than the one that the source names; '' without any."""
    best = fitting(header, table, wide=wide)
    others = [one for one in best if one != source.preset and one not in GENERAL]
    return f'preset = "{others[0]}"' if others else ""


def metric_in(words: Iterable[str]) -> str | None:
    """Return the one of some words that is a metric or EDGAR's name of one, whatever its case."""
    known = {name.casefold(): name for name in (*CONCEPTS, *METRICS)}
    return next((known[word.casefold()] for word in words if word.casefold() in known), None)
