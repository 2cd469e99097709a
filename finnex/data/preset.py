"""Presets: how a vendor's files are read, as data (TOML). The bundled ones lie in `finnex/data/presets`.

A preset has a title, a source, and a section for each table that it can read, of which every key is optional:

    title = "Nasdaq.com, historical quotes"
    source = "https://www.nasdaq.com/market-activity/stocks/aapl/historical"

    [prices]
    names = { close = ["Close/Last"] }     # our column to the names it may have; the first found wins
    date_formats = ["%m/%d/%Y"]
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from finnex.config import Section
from finnex.errors import ConfigError, near_name, nearest, shown
from finnex.files.text_file import parse_toml, read_text


def _listed(given: object) -> object:
    return (given,) if isinstance(given, str) else given


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""Some words; one alone needs no brackets."""
Period = Literal["day", "week", "month", "quarter", "year"]


def plain(name: str) -> str:
    """Return a name without regard to case, spaces and hyphens as underscores: how names are compared.

    Examples
    --------
    >>> plain(" Adj Close "), plain("Stock-Splits")
    ('adj_close', 'stock_splits')
    """
    return re.sub(r"[\s-]+", "_", name.strip().casefold())


class Lag(Section):
    """How long after its observation a value is published.

    Attributes
    ----------
    days
        Days from the end of the period to the publication, at the late end of the source's own schedule.
    period
        What one value is about: `day` and `week` end on the observation date; `month`, `quarter` and `year` begin on
        it or contain it, and end before their next first day.
    business
        Whether days are counted without weekends and United States federal holidays.
    """

    days: Annotated[int, Field(ge=0, le=366)]
    period: Period = "day"
    business: bool = False


class Preset(Section):
    """How one table of a vendor is read.

    Attributes
    ----------
    names
        Our column to the names that it may have in the file; the first found wins.
    marks
        Columns of which this vendor's files have one or more; a file without any is refused.
    ignore
        Columns of the file that nothing reads, without a warning.
    constants
        Columns that the file lacks, with their one word.
    date_formats
        As `strptime` has them; the one that reads every date is used. ISO 8601 and epochs are always read.
    timezone
        IANA zone of times that carry none.
    delimiter, decimal, thousands
        How the text is written; absent, detected.
    missing
        Words for "no value".
    currency
        Signs before or after an amount that are taken off: `$`.
    units
        Letters after an amount, with their factor: `M` is a million.
    words
        Our column to the vendor's words and ours.
    columns_are
        What the columns that have no name of ours are: `series` reads each as one macro series.
    tickers_in_header
        Whether the vendor writes files with a header of two levels, fields and tickers.
    lags
        Series to when its values are published, where the file has no release date; `*` for all that it does not name.
    lags_by_period
        The same for series that `lags` does not name, by how often they have values.
    value_is_newest
        Whether values are given as they are today, after revisions; this is said.
    splits
        Column with the ratio of a split on its first day at the new price, 0 or 1 on others: by it prices and volumes,
        which are as they were traded, are adjusted.
    drop_empty
        Our columns without which a row says nothing: such rows are left out and counted.
    drop_values
        Our columns with the numbers whose rows are left out.
    symbol_endings
        Endings of the file's symbols that are taken off: `.US`.
    file_names
        How a file's name holds a word that the file lacks: `daily_{symbol}`, `{series}_History`.
    present, absent
        Column of the file to what is said where the file has it, or lacks it.
    """

    names: dict[str, Names] = Field(default_factory=dict)
    marks: Names = ()
    ignore: Names = ()
    constants: dict[str, str] = Field(default_factory=dict)
    date_formats: Names = ()
    timezone: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    missing: Names = ()
    currency: Names = ()
    units: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    words: dict[str, dict[str, str]] = Field(default_factory=dict)
    columns_are: Literal["series"] | None = None
    tickers_in_header: bool = False
    lags: dict[str, Lag] = Field(default_factory=dict)
    lags_by_period: dict[Period, Lag] = Field(default_factory=dict)
    value_is_newest: bool = False
    splits: str | None = None
    drop_empty: Names = ()
    drop_values: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    symbol_endings: Names = ()
    file_names: Names = ()
    present: dict[str, str] = Field(default_factory=dict)
    absent: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _one_format(cls, given: Any) -> Any:
        """Take `date_format`, the key of a table, for `date_formats`."""
        if not isinstance(given, dict) or "date_format" not in given or "date_formats" in given:
            return given
        return {("date_formats" if name == "date_format" else name): value for name, value in given.items()}

    @property
    def reads_amounts(self) -> bool:
        """Whether amounts are read as the preset says they are written, and not as the file shows."""
        return bool(self.currency or self.units or self.thousands or self.decimal)

    @field_validator("file_names")
    @classmethod
    def _one_word_each(cls, given: Names) -> Names:
        for one in given:
            if len(re.findall(r"\{[a-z_]+\}", one)) != 1:
                raise ValueError(f"'{one}' must hold one column in braces, such as daily_{{symbol}}")
        return given

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, given: str | None) -> str | None:
        if given is not None and given not in (zones := available_timezones()):
            raise ValueError(f"timezone '{given}' is unknown. {nearest(given, zones)}")
        return given


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

    def of(self, table: str) -> Preset | None:
        """Return how a table is read; None where the preset has no such table."""
        found = getattr(self, table)
        return found if isinstance(found, Preset) else None


REQUIRED = {"title": "whose files it reads", "source": "where their shape is published"}
"""Keys that every preset has, with what they say."""
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
            near = f"Did you mean '{close}'? " if (close := near_name(name, bundled())) else ""
            remedy = f"{near}Valid names: {', '.join(bundled())}. Or name a TOML file of your own (docs/presets.md)."
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
    found = whole.of(table)
    if found is None:
        fitting = [one for one, file in bundled().items() if file.of(table) is not None]
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
        valid = PresetFile.model_fields if len(first["loc"]) == 1 else [*Preset.model_fields, *Lag.model_fields]
        if first["type"] == "missing":
            says = f': {where} = "...", {REQUIRED[where]}' if where in REQUIRED else " (docs/presets.md)"
            what = f"preset {path}: key '{where}' is required and absent. Add it{says}."
        elif first["type"] == "extra_forbidden":
            hint = nearest(str(first["loc"][-1]), valid, most=len(list(valid)))
            what = f"preset {path}: unknown key '{where}'. {hint}"
        else:
            said = first["msg"].removeprefix("Value error, ")
            what = f"preset {path}: key '{where}': {said} (value: {shown(first['input'])})."
        raise ConfigError(what) from None
