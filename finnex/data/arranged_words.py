"""Words of a vendor's file to ours: constants that it lacks, symbols, a vendor's own vocabulary."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from finnex.config.key_folders import words_of_folders
from finnex.config.table_source import TABLE_SUFFIXES, TableSource
from finnex.data.cells import constant, distinct, mapped
from finnex.data.faults import Faults
from finnex.data.matched_columns import metric_in
from finnex.data.preset import Preset, plain
from finnex.errors import nearest

COLLECTED = re.compile(r"_(\d{4})(\d{2})(\d{2})_\d{6}(?=\.)")
"""The collection stamp that the specification's file names carry."""
STAMP = re.compile(r"\d{8,}")
"""The day or moment of a download, which vendors put into names of files; no symbol has so many digits."""
_NOUNS = {"source": "platform"}
OF_SYMBOLS = ("prices", "fundamentals", "sentiment", "competitive", "options", "splits", "enhanced")
"""Tables whose rows are of a symbol."""


def stem_of(path: Path) -> str:
    """Return a file's name without the endings of tables: ACME.US.csv.gz is ACME.US."""
    name = path.name
    while name.lower().endswith(TABLE_SUFFIXES):
        name = name[: name.rindex(".")]
    return name


def is_named_after_its_symbol(source: TableSource, path: Path) -> bool:
    """Return whether a file of a folder or a pattern has its symbol for a name; a part below symbol=ACME has not."""
    return source.of_symbols and not words_of_folders(path)


def word_in_name(path: Path, patterns: tuple[str, ...], column: str) -> str | None:
    """Return the word that a file's name holds for a column, by patterns such as `daily_{symbol}`.

    Examples
    --------
    >>> word_in_name(Path("daily_adjusted_ACME.csv"), ("daily_adjusted_{symbol}",), "symbol")
    'ACME'
    """
    stem = re.sub(r"( ?\(\d+\)|-\d{1,2})$", "", stem_of(path))  # a browser's second download
    for pattern in patterns:
        before, found, after = pattern.partition(f"{{{column}}}")
        lowered = stem.casefold()
        if (
            found
            and lowered.startswith(before.casefold())
            and lowered.endswith(after.casefold())
            and len(stem) > len(before) + len(after)
        ):
            word = stem[len(before) : len(stem) - len(after)]
            if STAMP.fullmatch(word) is None:
                return _capitals(word)
    return None


def _capitals(word: str) -> str:
    return word.upper() if word == word.lower() else word


def fill_words(
    frame: pd.DataFrame, said: list[str], table: str, preset: Preset, source: TableSource, path: Path
) -> pd.DataFrame:
    """Fill in columns that the file lacks: from the configuration, the file's name, or the preset.

    Parameters
    ----------
    frame
        Under our names.
    said
        List that sentences are added to.
    table
        Which table it is.
    preset
        Its constants come last.
    source
        Its constants replace a column of the file too, but for the symbol.
    path
        Its name may hold a word.

    Returns
    -------
    pandas.DataFrame
        The columns of `frame`, then those that it lacked.
    """
    given = dict(source.constants)
    if table in OF_SYMBOLS and "symbol" not in frame.columns and "symbol" not in given:
        word = word_in_name(path, preset.file_names, "symbol") or (
            _capitals(stem_of(path)) if is_named_after_its_symbol(source, path) else None
        )
        if word is not None:
            given["symbol"] = word
            said.append(f"symbol is {word}, from the file's name")
    if table == "fundamentals" and "value" in frame.columns and not {"metric"} & {*frame.columns, *given}:
        metric = metric_in(re.split(r"[^A-Za-z0-9]+", stem_of(path)))
        if metric is not None:
            given["metric"] = metric
            said.append(f"metric is {metric}, from the file's name")
    if table == "competitive" and "date" not in frame.columns and (stamp := COLLECTED.search(path.name)):
        given.setdefault("date", "-".join(stamp.groups()))
        said.append(f"date is {given['date']}, from the file's name")
    for name, word in preset.constants.items():
        if name not in frame.columns and name not in given and name != "series":
            given[name] = word
            said.append(f"{name} is {word}, as of every file of the preset")
    # A series may be in the header: `macro_series`. A symbol may be that of the run; the file's own goes before.
    words = {
        name: constant(word, frame.index)
        for name, word in given.items()
        if name != "series" and not (name == "symbol" and name in frame.columns)
    }
    kept = frame.drop(columns=[name for name in words if name in frame.columns])
    return pd.concat([kept, pd.DataFrame(words, index=frame.index)], axis="columns") if words else frame


def map_words(frame: pd.DataFrame, file_names: Mapping[str, str], preset: Preset, faults: Faults) -> None:
    """Replace a vendor's words by ours, in place; a word that the preset does not know is a fault.

    A provider that is read from the same column keeps the vendor's word, as `plain` writes it.

    Parameters
    ----------
    frame
        Under our names.
    file_names
        Our name of a column to the file's.
    preset
        Its `words`.
    faults
        Cells with unknown words are added to it.
    """
    for name, vocabulary in preset.words.items():
        if name not in frame.columns or name not in file_names:
            continue
        if file_names.get("provider") == file_names[name]:
            frame["provider"] = mapped(frame["provider"], lambda text: text.map(plain))
        known = {plain(theirs): ours for theirs, ours in vocabulary.items()}
        cells = frame[name]
        codes, each = distinct(cells)
        words = each.map(plain)
        strange = ((words != "") & ~words.isin(known)).to_numpy(dtype=bool)
        if (bad := strange[codes]).any():
            remedy = f"{nearest(str(words[strange].iloc[0]), known)} Or write one of {', '.join(_ours(vocabulary))}."
            faults.of_cells(cells, bad, name, f"is no {_NOUNS.get(name, name)} that the preset knows", remedy)
        frame[name] = mapped(cells, partial(_translated, known=known))


def _ours(vocabulary: Mapping[str, str]) -> list[str]:
    return list(dict.fromkeys(vocabulary.values()))


def _translated(text: pd.Series[str], known: Mapping[str, str]) -> pd.Series[str]:
    return text.map(plain).map(known).fillna("")


def map_symbols(frame: pd.DataFrame, preset: Preset, source: TableSource) -> None:
    """Take endings off symbols and replace other spellings by the configured ones, in place."""
    if "symbol" in frame.columns and (preset.symbol_endings or source.symbols_as):
        frame["symbol"] = mapped(
            frame["symbol"], lambda text: text.map(lambda word: spelt(word, preset.symbol_endings, source.symbols_as))
        )


def spelt(symbol: str, endings: tuple[str, ...], symbols_as: Mapping[str, str]) -> str:
    """Return a symbol as the configuration spells it.

    Examples
    --------
    >>> spelt("ACME.US", (".US",), {}), spelt("BRK/B", (), {"BRK/B": "BRK.B"})
    ('ACME', 'BRK.B')
    """
    word = symbol.strip()
    if word in symbols_as:
        return symbols_as[word]
    for ending in endings:
        if word.casefold().endswith(ending.casefold()) and len(word) > len(ending):
            word = word[: -len(ending)]
            break
    return symbols_as.get(word, word)
