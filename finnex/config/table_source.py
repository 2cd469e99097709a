"""How one input table is named: a path, a list, a pattern, a folder, or a table of options about its files.

prices = "prices.csv"                                  # one file
prices = ["2023.csv", "2024.csv"]                      # several
prices = "bars/*.csv"                                  # a pattern
prices = "bars"                                        # a folder, a file for each symbol; or folders symbol=ACME in it
prices = { path = "ACME.csv", preset = "yfinance", symbol = "ACME" }
macro = [{ path = "DGS10.csv", preset = "fred" }, "others.csv"]
"""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import BeforeValidator, Field, field_validator, model_validator

from finnex.config.key_folders import files_below
from finnex.config.section import Section
from finnex.errors import nearest

PATTERN = frozenset("*?[")
"""Characters that make a path a pattern."""
TABLE_SUFFIXES = (
    ".csv", ".tsv", ".txt", ".parquet", ".pq", ".json", ".gz", ".bz2", ".xz", ".zip",
)  # fmt: skip
"""Of the files of a folder that are tables; others (a README, a manifest) are left alone."""
CONSTANTS = ("symbol", "series", "source", "provider", "peer", "metric", "origin", "currency", "name")
"""Columns that a file may lack because its rows all have the same word there: keys of their own."""
Character = Annotated[str, Field(min_length=1, max_length=1)]


class TableSource(Section):
    """Files of one table that are read alike.

    Attributes
    ----------
    path
        File, pattern or folder, relative to the configuration file; after `parse_config` in `files`.
    files
        The files that `path` names, absolute; filled in by `parse_config`.
    preset
        Bundled description of a vendor's files, or a TOML file of one's own (`docs/presets.md`).
    columns
        Our name of a column to the file's name of it; overrides the preset.
    ignore
        Columns of the file that are not read, and not warned of; names of series, events and metrics in its rows too.
    delimiter, encoding, decimal, thousands
        How the text is written; absent, detected.
    date_format
        As `strptime` has it: `%d.%m.%Y`; of several (`date_formats` too) the one that reads every date;
        absent, ISO 8601 or what the preset says.
    missing
        Words for "no value", besides the empty cell.
    timezone
        IANA zone of times that carry none, and in which exactly midnight counts as a date.
    scale
        Factor of every price and value, or of each column by its name: 0.01 where a file is in pence.
    lag_days
        Days after its observation on which a value without a release date counts as known.
    constants
        Further columns that the file lacks, with their one word.
    symbols_as
        The file's spelling of a symbol to the configured one.
    """

    path: str
    files: tuple[Path, ...] = ()
    preset: str | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    delimiter: Character | None = None
    encoding: str | None = None
    decimal: Character | None = None
    thousands: Character | None = None
    date_format: str | tuple[str, ...] | None = None
    missing: tuple[str, ...] = ()
    timezone: str | None = None
    scale: float | dict[str, float] = 1.0
    lag_days: Annotated[int, Field(ge=0, le=366)] | None = None
    constants: dict[str, str] = Field(default_factory=dict)
    symbols_as: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _constants_have_keys(cls, given: Any) -> Any:
        """Take `symbol = "ACME"`, `series = "DGS10"` for constants, and a preset's key `date_formats`."""
        if not isinstance(given, dict):
            return given
        if "date_formats" in given and "date_format" not in given:
            given = {("date_format" if name == "date_formats" else name): value for name, value in given.items()}
        own = {name: given[name] for name in CONSTANTS if isinstance(given.get(name), str)}
        constants = given.get("constants", {})
        if own and isinstance(constants, dict):
            return {name: value for name, value in given.items() if name not in own} | {"constants": own | constants}
        return given

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, given: str | None) -> str | None:
        if given is not None and given not in (zones := available_timezones()):
            raise ValueError(f"timezone '{given}' is unknown. {nearest(given, zones)}")
        return given

    @field_validator("encoding")
    @classmethod
    def _encoding_exists(cls, given: str | None) -> str | None:
        if given is not None:
            try:
                "".encode(given)
            except LookupError:
                raise ValueError(f"encoding '{given}' is unknown. Give utf-8, utf-16, cp1252 or latin-1") from None
        return given

    @model_validator(mode="after")
    def _signs_differ(self) -> TableSource:
        signs = [one for one in (self.decimal, self.thousands, self.delimiter) if one is not None]
        if len(set(signs)) < len(signs):
            raise ValueError("delimiter, decimal and thousands must be different characters")
        scales = self.scale.values() if isinstance(self.scale, dict) else [self.scale]
        if not all(one > 0 for one in scales):
            raise ValueError("a scale must be above zero")
        return self

    def factor(self, column: str) -> float:
        """Return what a column of the file is multiplied by; 1 where its scale is not given by name."""
        return self.scale.get(column, 1.0) if isinstance(self.scale, dict) else self.scale

    @property
    def of_symbols(self) -> bool:
        """Whether the path is a folder or a pattern, whose files are named after their symbols."""
        return bool(self.files) and self.files[0].name != Path(self.path).name

    def located(self, root: Path) -> TableSource:
        """Return the source with its files, and a preset of one's own, as absolute paths."""
        own = self.preset is not None and self.preset.endswith(".toml")
        preset = str(root / Path(str(self.preset)).expanduser()) if own else self.preset
        return self.model_copy(update={"files": tuple(self.find(root)), "preset": preset})

    def find(self, root: Path) -> list[Path]:
        """Return the files that the path names now, in the order of their names; none where it names nothing."""
        whole = root / Path(self.path).expanduser()
        try:
            if whole.is_dir():
                return [
                    one for one in files_below(whole)
                    if one.suffix.lower() in TABLE_SUFFIXES and not one.name.startswith(".")
                ]  # fmt: skip
            if whole.is_file():
                return [whole]
            if PATTERN & set(self.path):
                return sorted(one for one in map(Path, glob.glob(str(whole), recursive=True)) if one.is_file())  # noqa: PTH207
        except OSError:  # a name that is longer than the file system takes, or a folder that may not be looked into
            return []
        return []


def as_sources(given: Any) -> Any:
    """Return what the configuration gives for a table as a list of `TableSource` or of their keys."""
    if given is None:
        return ()
    if isinstance(given, str | Path | dict | TableSource):
        given = [given]
    if not isinstance(given, list | tuple):
        raise ValueError("give a path, a list of paths, or a table with the key path")
    return tuple({"path": str(one)} if isinstance(one, str | Path) else one for one in given)


def source_at(path: Path) -> tuple[TableSource, ...]:
    """Return one file, under our own names, as a table's sources.

    Examples
    --------
    >>> source_at(Path("/data/prices.csv"))[0].files
    (PosixPath('/data/prices.csv'),)
    """
    return (TableSource(path=str(path), files=(path,)),)


Sources = Annotated[tuple[TableSource, ...], BeforeValidator(as_sources)]
"""What a key of `[inputs]` names: any number of files, in groups that are read alike."""


def files_of(sources: tuple[TableSource, ...]) -> Iterator[tuple[TableSource, Path]]:
    """Yield every file with how it is read, in the order given."""
    for source in sources:
        for path in source.files or (Path(source.path),):  # one that `parse_config` did not locate names its file
            yield source, path
