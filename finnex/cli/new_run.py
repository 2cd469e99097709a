"""What `finnex init --prices` writes: how the configuration names the file, and the symbols that it has."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from finnex.cli.terminal import check_symbols
from finnex.config import TableSource, parse_config
from finnex.config.table_source import TABLE_SUFFIXES
from finnex.data.arranged_words import word_in_name
from finnex.data.checks import COLUMN_MISSING
from finnex.data.folder_words import SYMBOL_NAMES, symbol_of_folder
from finnex.data.matched_columns import UNDER_INPUTS, line_of_columns
from finnex.data.preset import plain, preset_of
from finnex.data.remarks import reports
from finnex.data.tables import read_bars
from finnex.errors import ConfigError, InputError, Problem

Source = str | dict[str, Any]
"""A path, or keys about it."""


@dataclass(frozen=True)
class NewRun:
    """Prices of a new configuration.

    Attributes
    ----------
    source
        The value of `prices`: a path, or keys about it.
    symbols
        What to draw.
    said
        What was assumed, as a sentence; '' where nothing was.
    """

    source: Source
    symbols: tuple[str, ...]
    said: str = ""


def new_run(path: Path, prices: Path, preset: str | None, symbols: list[str] | None) -> NewRun:
    """Return how a new configuration names a file of bars, and the symbols to draw, once the file has been read.

    Parameters
    ----------
    path
        The configuration that is to be written.
    prices
        File, folder or pattern, relative to the current folder.
    preset
        Name of a preset, or a TOML file, relative to the current folder.
    symbols
        Symbols to draw; None for all of the file. One alone is the symbol of a file that does not name it.

    Returns
    -------
    NewRun
        What the configuration says of the prices, which have been read so.

    Raises
    ------
    ConfigError
        There is no such file or preset, or a symbol is none of the file's.
    InputError
        The file cannot be read so.
    """
    files = TableSource(path=str(prices.absolute())).find(Path())
    if not files:
        what = f"is a folder without a table ({', '.join(TABLE_SUFFIXES)})" if prices.is_dir() else "does not exist"
        raise ConfigError(f"--prices: {prices.absolute()} {what}. Name a file of bars, or a folder of such files.")
    named = from_folder(path.parent, prices)
    source: Source = named
    guess = prices.name.split(".")[0]
    if preset is not None:
        given = Path(preset).expanduser().absolute()
        if preset.endswith(".toml") and not given.is_file():
            raise ConfigError(f"--preset: {given} does not exist. Name a TOML file, or a preset of docs/presets.md.")
        found = preset_of(str(given) if preset.endswith(".toml") else preset, "prices", Path())
        guess = word_in_name(prices, found.file_names, "symbol") or found.constants.get("symbol") or guess
        source = {"path": named, "preset": from_folder(path.parent, given) if preset.endswith(".toml") else preset}
    names, says, column = _read(path, source, symbols or [guess])
    if column and not says:
        keys = {"path": named, **(source if isinstance(source, dict) else {}), "columns": {"symbol": column}}
        with suppress(InputError):  # the column is none of symbols
            names, says, _ = _read(path, keys, symbols or [guess])
            source = keys
    if symbols and len(symbols) == len(files) == len(names) == 1 and symbols[0] not in names and not says:
        source = {**(source if isinstance(source, dict) else {"path": named}), "symbol": symbols[0]}
        names, says, _ = _read(path, source, symbols)
    if symbols:
        return NewRun(source, tuple(check_symbols(symbols, names, f"the symbols of {prices}")))
    said = ""
    if len(files) == 1 and not says:
        origin = "the preset" if names[0].casefold() not in prices.name.casefold() else "the file's name"
        origin = "the folder's name" if symbol_of_folder(files[0]) else origin
        said = f"The symbol {names[0]} is taken from {origin}; --symbol NAME says otherwise."
    return NewRun(source, tuple(_drawn(path, source, names)), said)


def _drawn(path: Path, source: Source, names: tuple[str, ...]) -> list[str]:
    """Return the symbols that are no sector funds; all where there are no others."""
    sectors = parse_config(_document(source, names), path).sectors
    return [name for name in names if name not in sectors] or list(names)


def _document(source: Source, symbols: list[str] | tuple[str, ...]) -> dict[str, object]:
    return {"inputs": {"prices": source}, "store": {"path": "images.zarr"}, "symbols": list(symbols)}


def _read(path: Path, source: Source, symbols: list[str]) -> tuple[tuple[str, ...], bool, str]:
    """Return the symbols of a file of bars, whether it names them, and a column that may hold them, else ''."""
    try:
        bars = read_bars(parse_config(_document(source, symbols), path))
    except InputError as error:
        raise InputError(_with_first_step(error.problems, path, source)) from None
    found = reports(bars)
    column = next((name for one in found for name in one.unread if plain(name) in SYMBOL_NAMES), "")
    return tuple(sorted(set(bars["symbol"]))), all("symbol" in one.used for one in found), column


def _with_first_step(problems: Sequence[Problem], path: Path, source: Source) -> list[Problem]:
    """Return problems with the step before a remedy that is a line of the configuration: there is none yet."""
    first = (
        f"Run `finnex init {path.parent}` without --prices first: it writes {path.name}, in which this line replaces "
        "that of prices; name your symbols there too."
    )
    found = [replace(one, remedy=f"{one.remedy} {first}") if UNDER_INPUTS in one.remedy else one for one in problems]
    if missing := [one.column for one in found if one.what == COLUMN_MISSING and one.column]:
        line = line_of_columns("prices", source["path"] if isinstance(source, dict) else source, missing)
        at = max(number for number, one in enumerate(found) if one.what == COLUMN_MISSING)
        found[at] = replace(found[at], remedy=f"{found[at].remedy} All {UNDER_INPUTS}: {line}. {first}")
    return found


def from_folder(directory: Path, path: Path) -> str:
    """Return a path as the configuration in a folder names it: relative where it lies in that folder."""
    whole, folder = path.resolve(), directory.resolve()
    return str(whole.relative_to(folder) if whole.is_relative_to(folder) else whole)
