"""How one file is read: its cells, typed or as text, under our own names; and what is reported of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from finnex.config import Config, TableSource, files_of
from finnex.data import parse
from finnex.data.arrange import FILE_NAMES, IGNORED, arranged
from finnex.data.arranged_words import OF_SYMBOLS, is_named_after_its_symbol, stem_of, word_in_name
from finnex.data.cell_in_file import cells_of
from finnex.data.cells import distinct
from finnex.data.folder_words import SYMBOL_NAMES, symbol_of_folder, words_in_folders
from finnex.data.lexicon import LexiconName
from finnex.data.preset import PLAIN, Preset, plain, preset_of
from finnex.errors import Problem, shown

OF_ONE_COMPANY = ("prices", "splits", "options", "enhanced", "fundamentals")
"""Tables of which a file without a symbol is taken for one company's: a second company would repeat its days."""
TICKER = r"\^?[A-Z0-9][A-Z0-9.:^=-]{0,14}"
"""A symbol rather than the name of a company: in capitals, without blanks."""
PLAIN_SOURCE = TableSource(path="")


@dataclass
class Reading:
    """How one file is read; the last fields fill while it is.

    Attributes
    ----------
    table
        Table that the file is of.
    source
        What the configuration says of the file.
    lexicon
        Lexicon for records that have a text and no score.
    wanted
        Symbols of the run; rows of others are left out before they are checked. None where all are wanted.
    file_names
        Our column to the file's name of it.
    ignored
        The file's columns that are left out on purpose.
    assumed
        Whose the file is taken to be should it not say so, where its name does not say it either; in words.
    says_symbol
        Whether the file has a column of symbols.
    symbol_given
        Whether the configuration, or a folder, says whose the file is.
    said_by_folders
        Our columns that the file lacks, of which folders named key=value have the word.
    """

    table: str = ""
    source: TableSource = PLAIN_SOURCE
    preset: Preset = PLAIN
    lexicon: LexiconName | None = None
    wanted: frozenset[str] | None = None
    assumed: str = ""
    file_names: dict[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    says_symbol: bool = True
    symbol_given: bool = False
    said_by_folders: tuple[str, ...] = ()

    @property
    def company(self) -> str:
        """Whose the whole file is, as that is known before it is read; '' where its rows alone say it."""
        return "" if self.assumed else self.source.constants.get("symbol", "")

    @property
    def zone(self) -> str | None:
        """Zone of times that carry none, and in which midnight counts as a date."""
        return self.source.timezone or self.preset.timezone

    @property
    def written(self) -> TableSource:
        """What is known of how the file is written: by the configuration, else by the preset."""
        known = {name: getattr(self.preset, name) for name in ("delimiter", "decimal", "thousands")}
        signs = {self.source.decimal, self.source.thousands} - {None}  # a sign has one meaning: the configuration's
        return self.source.model_copy(
            update={
                name: value
                for name, value in known.items()
                if value and not getattr(self.source, name) and (name == "delimiter" or value not in signs)
            }
        )

    def parts(self, path: Path, problems: list[Problem], *, typed: bool) -> list[pd.DataFrame]:
        """Return the file's cells under our names of its columns, in parts that each have a row of the file once.

        Raises
        ------
        InputError
            The file cannot be read, or lacks what the configuration or the preset names.
        NeedsText
            With `typed`: something is, or may be, at fault, and the file must be read as text.
        """
        missing = (*self.source.missing, *self.preset.missing)
        frame, levels = parse.read_cells(
            path, self.written, typed=typed, missing=missing, as_written=self.preset.reads_amounts
        )
        if words := words_in_folders(path, self.table, list(map(str, frame.columns)), self.preset, self.source):
            self._say(words)
        own = "symbol" in self.source.columns or any(plain(name) == "symbol" for name in frame.columns)
        in_doubt = not own and not self.symbol_given and self.table in OF_ONE_COMPANY
        tickers = ticker_columns(frame, self.source.ignore) if in_doubt else {}
        if self.preset is PLAIN and (column := several_tickers(tickers)):
            constants = {name: value for name, value in self.source.constants.items() if name != "symbol"}
            columns = {**self.source.columns, "symbol": column}
            self.source = self.source.model_copy(update={"columns": columns, "constants": constants})
            own = True
        found = arranged(frame, levels, self.table, self.preset, self.written, path, problems)
        self.file_names = {ours: theirs for part in reversed(found) for ours, theirs in part.attrs[FILE_NAMES].items()}
        self.ignored = tuple(dict.fromkeys(name for part in found for name in part.attrs[IGNORED]))
        self.says_symbol = own or "symbol" in self.file_names
        if self.assumed and not self.says_symbol:
            problems += _of_another(tickers, self.source.constants["symbol"], path)
        return found

    def _say(self, words: Mapping[str, str]) -> None:
        """Take words of folders for columns that the file lacks; what the configuration says goes before them."""
        columns = {ours: theirs for ours, theirs in self.source.columns.items() if ours not in words}
        constants = {**words, **{name: word for name, word in self.source.constants.items() if name != "symbol"}}
        if "symbol" in words:
            self.symbol_given = True
        elif "symbol" in self.source.constants:
            constants["symbol"] = self.source.constants["symbol"]
        self.source = self.source.model_copy(update={"columns": columns, "constants": constants})
        self.said_by_folders = tuple(dict.fromkeys((*self.said_by_folders, *words)))

    def in_the_files_words(self, path: Path, problems: Sequence[Problem]) -> list[Problem]:
        """Return the problems of a file under its own names of columns, with the cells as the file has them."""
        named = [replace(one, column=self.file_names.get(one.column or "", one.column)) for one in problems]
        places = [(one.row or 0, one.column or "") for one in named]
        shows = [_shows_a_cell(one) for one in named]
        cells = cells_of(path, [place for place, does in zip(places, shows, strict=True) if does], self.written)
        return [
            replace(one, value=shown(cells[place])) if does and place in cells else one
            for one, place, does in zip(named, places, shows, strict=True)
        ]


def _shows_a_cell(problem: Problem) -> bool:
    """Return whether a problem's value is a cell's text, and no sentence about two columns."""
    named = problem.row is not None and problem.column is not None
    return named and isinstance(problem.value, str) and problem.value[:1] in ("'", '"')


def reading_of(config: Config, table: str, source: TableSource | None = None, path: Path | None = None) -> Reading:
    """Return how the configuration wants a file of a table to be read.

    Parameters
    ----------
    config
        Configuration.
    table
        Table that the file is of.
    source
        Group of files that are read alike; by default the table's first.
    path
        The file; by default the first of the group.

    Returns
    -------
    Reading
        Keys of the configuration, the preset, and whose file it is should it not say so itself.

    Raises
    ------
    ConfigError
        The preset is unknown, or has no such table.
    """
    if source is None:
        given = config.inputs.sources_of(table)
        source = given[0] if given else PLAIN_SOURCE
    path = path or (source.files[0] if source.files else Path(source.path))
    preset = preset_of(source.preset, table, Path())
    assumed = ""
    symbol_given = "symbol" in source.constants
    by_folder: tuple[str, ...] = ()
    if not symbol_given and table in OF_SYMBOLS and (word := symbol_of_folder(path)):
        word = _configured((*config.peers, *config.symbols)).get(word.casefold(), word)
        source = source.model_copy(update={"constants": {**source.constants, "symbol": word}})
        symbol_given, by_folder = True, ("symbol",)
    if not symbol_given and table not in ("companies", "macro", "events"):
        symbol, assumed = _symbol_of(config, table, source, path, preset)
        if symbol:
            source = source.model_copy(update={"constants": {**source.constants, "symbol": symbol}})
    return Reading(
        table,
        source,
        preset,
        config.inputs.lexicon,
        assumed=assumed,
        symbol_given=symbol_given,
        said_by_folders=by_folder,
    )


def readings(config: Config, table: str) -> list[tuple[Path, Reading]]:
    """Return the files of a table with how each is read, in the order given."""
    return [
        (path, reading_of(config, table, source, path)) for source, path in files_of(config.inputs.sources_of(table))
    ]


def _symbol_of(config: Config, table: str, source: TableSource, path: Path, preset: Preset) -> tuple[str, str]:
    """Return whose file it is, should it not say so itself, and why; '' where nothing says it."""
    stem, known = stem_of(path), _configured((*config.peers, *config.symbols))
    words = [stem, *re.split(r"[_\s-]+", stem)]
    named = list(dict.fromkeys(known[word.casefold()] for word in words if word.casefold() in known))
    if len(named) == 1:
        return named[0], ""
    if (
        is_named_after_its_symbol(source, path)
        or word_in_name(path, preset.file_names, "symbol")
        or "symbol" in preset.constants
    ):
        return "", ""  # `fill_words` takes it from the file's name, or from the preset
    alone = len(config.symbols) == 1 and len(config.inputs.files_of(table)) == 1
    if alone and (source.preset is not None or table in OF_ONE_COMPANY):
        symbol = config.symbols[0]
        return symbol, f"has no column of symbols; it is taken for {symbol}'s, the only configured symbol"
    return "", ""


def ticker_columns(frame: pd.DataFrame, ignore: Iterable[str] = ()) -> dict[str, pd.Series[str]]:
    """Return the words of each column that may have symbols under another name, those of `ignore` left out.

    Parameters
    ----------
    frame
        Cells of a file.
    ignore
        Columns that are not read.

    Returns
    -------
    dict
        By the file's name of the column, in its order: each word one time, stripped, without the empty one.
    """
    left = {plain(name) for name in ignore}
    found = {}
    for number, name in enumerate(map(str, frame.columns)):
        if plain(name) in SYMBOL_NAMES and plain(name) not in left:
            words = distinct(frame.iloc[:, number])[1].astype("str").str.strip()
            found[name] = words[words != ""]
    return found


def several_tickers(columns: Mapping[str, pd.Series[str]]) -> str:
    """Return the column that has the symbols of several companies, of those that `ticker_columns` finds; else ''.

    Examples
    --------
    >>> several_tickers(ticker_columns(pd.DataFrame({"Ticker": ["ACME", "BETA"], "Close": ["1", "2"]})))
    'Ticker'
    >>> several_tickers(ticker_columns(pd.DataFrame({"Name": ["Acme Inc", "Beta Ltd"], "Close": ["1", "2"]})))
    ''
    """
    several = (name for name, words in columns.items() if len(words) > 1 and words.str.fullmatch(TICKER).all())
    return next(several, "")


def _of_another(columns: Mapping[str, pd.Series[str]], symbol: str, path: Path) -> list[Problem]:
    """Refuse to take a file for the only configured company's where a column of it has the symbol of another."""
    for name, words in columns.items():
        own = words.str.split(r"[.:]", regex=True).map(lambda parts: symbol in parts)
        others = words[words.str.fullmatch(TICKER) & ~own & (words != symbol)]
        if len(others):
            what = f"is not taken for {symbol}'s, the only configured symbol: its column '{name}' has {others.iloc[0]}"
            remedy = f'Say columns = {{ symbol = "{name}" }}, or symbol = "{symbol}" where all rows are its own.'
            return [Problem(str(path), what, remedy)]
    return []


@lru_cache(maxsize=8)
def _configured(symbols: tuple[str, ...]) -> dict[str, str]:
    """Return symbols by their names without regard to case; kept, because each of thousands of files is asked for."""
    return {symbol.casefold(): symbol for symbol in symbols}


def filed(columns: Mapping[str, str] = MappingProxyType({}), symbol: str | None = None) -> Reading:
    """Return how a table of fundamentals is read."""
    constants = {} if symbol is None else {"symbol": symbol}
    return Reading("fundamentals", TableSource(path="", columns=dict(columns), constants=constants))
