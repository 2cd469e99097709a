"""The input tables: their paths, how files of other formats are read, and when their rows become known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import available_timezones

from pydantic import Field, model_validator

from finnex.config.section import Section
from finnex.config.table_source import Sources, TableSource, files_of
from finnex.errors import nearest

SECTOR_ETFS = ("XLB", "XLC", "XLE", "XLF", "XLI", "XLK", "XLP", "XLRE", "XLU", "XLV", "XLY")
"""The eleven sector funds: reference instruments, never competitors of a company."""
REFERENCE_FUNDS: Final = ("SPY", "TLT", "IEF", "LQD", "TIP", "EEM", "EFA")
"""Funds of the market, bonds and other countries that features read, from the prices or the macro table."""

TABLES = (
    "companies", "prices", "macro", "fundamentals", "sentiment", "competitive", "events", "options", "splits",
    "enhanced",
)  # fmt: skip
"""Input tables, in the order in which they are read."""

TableName = Literal[
    "companies",
    "prices",
    "macro",
    "fundamentals",
    "sentiment",
    "competitive",
    "events",
    "options",
    "splits",
    "enhanced",
]
OF_THE_SPECIFICATION: Final = ("enhanced", "sentiment", "competitive")
"""Tables that the key `preset` of all inputs reaches; a table's own key goes before it."""

LONGEST_DELAY_MINUTES = 366 * 24 * 60


AMERICAN_QUOTES_MINUTES: Final = {"VIX": 15, "SP500": 0, "NASDAQ": 0} | dict.fromkeys(
    (*REFERENCE_FUNDS, *SECTOR_ETFS), 0
)
"""Quotes of New York to minutes after its close until they are known; the VIX settles at 16:15."""
CLOSE_WITH_NEW_YORK: Final = frozenset(
    (
        *("XNYS", "NYSE", "XNAS", "NASDAQ", "ARCX", "XASE", "BATS", "OOTC", "XTSE", "TSX", "XTSX"),
        *("CME", "CMES", "CBOT", "COMEX", "NYMEX", "CFE", "XCBF", "us_futures", "24/5", "24/7"),
    )
)
"""Exchanges, as `exchange_calendars` names them, that never close before New York on a date, half days included."""
BEFORE_NEW_YORK_MINUTES: Final = 18 * 60
"""Added where an exchange closes earlier: a quote then enters the next session, which closes after New York did."""


def quotes_of(exchange: str) -> dict[str, int]:
    """Return the quotes of New York with the minutes after an exchange's close until they are known.

    An exchange that does not close with New York knows them at its next session.

    Examples
    --------
    >>> quotes_of("XNYS")["SP500"], quotes_of("XTKS")["SP500"]
    (0, 1080)
    """
    more = 0 if exchange in CLOSE_WITH_NEW_YORK else BEFORE_NEW_YORK_MINUTES
    return {name: minutes + more for name, minutes in AMERICAN_QUOTES_MINUTES.items()}


class Inputs(Section):
    """Paths of the input tables, relative to the configuration file, and when their rows become known."""

    prices: Sources = ()
    """Absent, the open, high, low, close and volume of the enhanced file are the prices."""
    companies: Sources = ()
    """The universe: which companies are members from when to when, and of which industry."""
    macro: Sources = ()
    fundamentals: Sources = ()
    sentiment: Sources = ()
    competitive: Sources = ()
    events: Sources = ()
    options: Sources = ()
    splits: Sources = ()
    """Stock splits, to match share counts to the split-adjusted prices."""
    enhanced: Sources = ()
    synthetic: tuple[str, ...] = ()
    """Names of tables that hold generated data; written into every store and report."""
    preset: Literal["specification"] | None = None
    """Preset of the enhanced, sentiment and competitive files that name none of their own."""
    columns: dict[TableName, dict[str, str]] = Field(default_factory=dict)
    """By table, our name of a column to the file's name of it, for files that name none of their own."""
    timestamp_zone: str | None = None
    """Time zone (IANA) of all files that name none of their own: `TableSource.timezone`."""
    lexicon: Literal["vader", "loughran_mcdonald"] | None = None
    """What scores a sentiment record that has a text and no score; absent, such a record is refused."""
    enhanced_heatmaps: tuple[str, ...] = ()
    """Heat maps that take the enhanced file's columns which the catalogue does not know, filled in this order;
    absent, such columns are refused."""
    quote_delay_minutes: dict[str, Annotated[int, Field(ge=0, le=LONGEST_DELAY_MINUTES)]] = Field(
        default_factory=lambda: dict(AMERICAN_QUOTES_MINUTES)
    )
    """Macro series that are market quotes, with minutes after the session close until their value is known.
    Every other series follows `available_date`, a date being usable from the next session on. The default fits New
    York; on exchanges that close earlier it is `quotes_of(exchange)`."""

    @model_validator(mode="after")
    def _prices_come_from_somewhere(self) -> Inputs:
        if not self.prices and not self.enhanced:
            raise ValueError("there are no prices; name a prices table, or an enhanced file that has them")
        if self.timestamp_zone is not None and self.timestamp_zone not in (zones := available_timezones()):
            raise ValueError(
                f"timestamp_zone '{self.timestamp_zone}' is unknown. {nearest(self.timestamp_zone, zones)}"
            )
        return self

    def tables(self) -> Iterator[tuple[str, tuple[TableSource, ...]]]:
        """Yield name and sources of every table that is given, with the keys that all inputs have in common."""
        for name in TABLES:
            if sources := self.sources_of(name):
                yield name, sources

    def sources_of(self, table: str) -> tuple[TableSource, ...]:
        """Return how a table's files are read, in the order given; a source's own keys go before those of all."""
        common: dict[str, Any] = {"timezone": self.timestamp_zone, "columns": self.columns.get(table, {})}  # type: ignore[call-overload]
        common["preset"] = self.preset if table in OF_THE_SPECIFICATION else None
        given: tuple[TableSource, ...] = getattr(self, table)
        return tuple(
            one.model_copy(update={key: value for key, value in common.items() if value and not getattr(one, key)})
            for one in given
        )

    def files_of(self, table: str) -> tuple[Path, ...]:
        """Return the files of a table, in the order given; none where it is not given."""
        given: tuple[TableSource, ...] = getattr(self, table)
        return tuple(path for _, path in files_of(given))

    def place_of(self, table: str) -> str:
        """Return a table's file for a message; of several the first, and how many more there are."""
        files = self.files_of(table)
        if not files:
            return table
        return str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
