"""Presets: how a vendor's files are read, as data (TOML). The bundled ones lie in `finnex/data/presets`.

A preset has a section for each table that it can read. Every key is optional:

    title = "Nasdaq.com, historical quotes"
    source = "https://www.nasdaq.com/market-activity/stocks/aapl/historical"

    [prices]
    names = { close = ["Close/Last"] }     # our column to the names it may have; the first found wins
    ignore = ["Dividends"]                 # columns that nothing reads
    date_formats = ["%m/%d/%Y"]            # tried in this order; ISO 8601 is always read
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from finnex.config import Section
from finnex.errors import ConfigError, nearest
from finnex.files.text_file import parse_toml, read_text

Names = tuple[str, ...]
PRICE_COLUMNS = ("open", "high", "low", "close", "volume")


def plain(name: str) -> str:
    """Return a name without regard to case, spaces and hyphens as underscores: how names are compared.

    Examples
    --------
    >>> plain(" Adj Close "), plain("Stock-Splits")
    ('adj_close', 'stock_splits')
    """
    return re.sub(r"[\s-]+", "_", name.strip().casefold())


class Preset(Section):
    """How one table of a vendor is read.

    Attributes
    ----------
    names
        Our column to the names that it may have in the file; the first found wins.
    ignore
        Columns of the file that nothing reads, without a warning.
    constants
        Columns that the file lacks, with their one word.
    date_formats
        As `strptime` has them, tried in this order; ISO 8601 is always read.
    delimiter, decimal, thousands
        How the text is written; absent, detected.
    missing
        Words for "no value".
    words
        Our column to the vendor's words and ours.
    columns_are
        What the columns that have no name of ours are: `series` reads each as one macro series.
    lag_days
        Series to the days after its observation on which its value counts as known, where the file has no release
        date; the key `*` holds for all others.
    value_is_newest
        Whether values are given as they are today, after revisions; a warning says so.
    splits
        Column with the ratio of a split on its day, 0 or 1 on others: rows of the table of splits.
    unadjusted
        Whether prices and volumes are as they were traded, and are adjusted for the splits of that column.
    symbol_endings
        Endings of the file's symbols that are taken off: `.US`.
    """

    names: dict[str, Names] = Field(default_factory=dict)
    ignore: Names = ()
    constants: dict[str, str] = Field(default_factory=dict)
    date_formats: Names = ()
    delimiter: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    missing: Names = ()
    words: dict[str, dict[str, str]] = Field(default_factory=dict)
    columns_are: Literal["series"] | None = None
    lag_days: dict[str, Annotated[int, Field(ge=0, le=366)]] = Field(default_factory=dict)
    value_is_newest: bool = False
    splits: str | None = None
    unadjusted: bool = False
    symbol_endings: Names = ()


class PresetFile(Section):
    """All tables of one preset."""

    title: str
    source: str
    note: str = ""
    prices: Preset | None = None
    macro: Preset | None = None
    fundamentals: Preset | None = None
    sentiment: Preset | None = None
    competitive: Preset | None = None
    events: Preset | None = None
    options: Preset | None = None
    splits: Preset | None = None
    enhanced: Preset | None = None

    def tables(self) -> list[str]:
        """Return the tables that the preset reads."""
        return [name for name in type(self).model_fields if isinstance(getattr(self, name), Preset)]


PLAIN = Preset()
"""A file under our own names."""


@lru_cache(maxsize=1)
def bundled() -> Mapping[str, PresetFile]:
    """Return the presets that FinNeX ships, by name."""
    folder = resources.files("finnex.data") / "presets"
    found = sorted(one.name for one in folder.iterdir() if one.name.endswith(".toml"))
    return {
        name.removesuffix(".toml"): _checked(parse_toml((folder / name).read_text(encoding="utf-8")), name)
        for name in found
    }


def preset_file(name: str, folder: Path) -> PresetFile:
    """Return a preset by name, or from a TOML file of the user's, relative to `folder`.

    Raises
    ------
    ConfigError
        There is none of that name, or the file does not describe one.
    """
    if not name.endswith(".toml"):
        if name not in bundled():
            remedy = f"{nearest(name, bundled())} Or name a TOML file of your own (docs/presets.md)."
            raise ConfigError(f"[inputs] preset '{name}' is unknown. {remedy}")
        return bundled()[name]
    path = folder / name
    try:
        document = parse_toml(read_text(path))
    except ValueError as error:
        raise ConfigError(f"preset {path}: {error}.") from None
    return _checked(document, str(path))


def preset_of(name: str | None, table: str, folder: Path) -> Preset:
    """Return how a preset reads a table; without a name, a file under our own names.

    Raises
    ------
    ConfigError
        There is none of that name, it does not describe one, or it has no such table.
    """
    if name is None:
        return PLAIN
    whole = preset_file(name, folder)
    found = getattr(whole, table)
    if not isinstance(found, Preset):
        fitting = [one for one, file in bundled().items() if getattr(file, table) is not None]
        raise ConfigError(
            f"[inputs] {table}: the preset '{name}' has no table {table}, only {', '.join(whole.tables())}. "
            + (f"Presets for it: {', '.join(fitting)}." if fitting else "Name columns instead.")
        )
    return found


def _checked(document: dict[str, Any], path: str) -> PresetFile:
    try:
        return PresetFile.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        valid = [*PresetFile.model_fields, *Preset.model_fields]
        hint = f" {nearest(str(first['loc'][-1]), valid)}" if first["type"] == "extra_forbidden" else ""
        raise ConfigError(f"preset {path}: key '{where}': {first['msg']}.{hint}") from None
