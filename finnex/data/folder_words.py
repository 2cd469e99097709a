"""Words of a table that are in the names of folders: symbol=ACME/part-0.parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from finnex.config.key_folders import words_of_folders
from finnex.config.table_source import TableSource
from finnex.data.faults import Faults
from finnex.data.matched_columns import matched
from finnex.data.own_columns import OWN_NAMES
from finnex.data.preset import Preset, plain

SYMBOL_NAMES = frozenset(
    ("ticker", "tickers", "<ticker>", "tic", "name", "stock", "security", "instrument", "ric", "ticker_symbol")
)
"""What others call the column of symbols."""
OF_VALUES = ("metric", "currency")
"""Columns of fundamentals that say something of a column `value`."""


def symbol_of_folder(path: Path) -> str:
    """Return the symbol that a folder says: of symbol=ACME, ticker=ACME; '' where none does.

    Examples
    --------
    >>> symbol_of_folder(Path("bars/Ticker=ACME/year=2020/part-0.parquet"))
    'ACME'
    """
    words = {plain(key): word for key, word in words_of_folders(path).items()}
    return next((words[key] for key in ("symbol", *sorted(SYMBOL_NAMES)) if words.get(key)), "")


def words_in_folders(
    path: Path, table: str, header: Sequence[str], preset: Preset, source: TableSource
) -> dict[str, str]:
    """Return our columns that a file lacks, with the word that a folder has for each.

    Parameters
    ----------
    path
        The file.
    table
        Which table it is.
    header
        Names of the file's columns.
    preset
        Names that a column may have.
    source
        What the configuration says of the file.

    Returns
    -------
    dict
        The symbol is among them only where the configuration names a folder's key for it: else `symbol_of_folder` has
        it.
    """
    words = {plain(key): word for key, word in words_of_folders(path).items()}
    if not words:
        return {}
    named = {ours: words[plain(theirs)] for ours, theirs in source.columns.items() if plain(theirs) in words}
    given = {plain(name) for name in header}
    named = {ours: word for ours, word in named.items() if plain(source.columns[ours]) not in given}
    found = matched(header, table, preset, source, Faults(path, []))
    asked = {*OWN_NAMES[table], *(OF_VALUES if "value" in found or given & {"value", "val"} else ())} - {
        "symbol",
        *found,
    }
    return {name: word for name, word in words.items() if name in asked and word} | named
