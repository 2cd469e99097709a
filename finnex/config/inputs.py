"""The input tables: their paths, how files of other formats are read, and when their rows become known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import available_timezones

from pydantic import Field, model_validator

from finnex.config.section import Section
from finnex.errors import nearest

SECTOR_ETFS = ("XLB", "XLC", "XLE", "XLF", "XLI", "XLK", "XLP", "XLRE", "XLU", "XLV", "XLY")
"""The eleven sector funds: reference instruments, never competitors of a company."""

TABLES = (
    "prices", "macro", "fundamentals", "sentiment", "competitive", "events", "options", "splits", "enhanced",
)  # fmt: skip
"""Input tables, in the order in which they are read."""

MappedTable = Literal["enhanced", "sentiment", "competitive", "fundamentals"]
"""Tables whose columns may have other names in the file."""


LONGEST_DELAY_MINUTES = 366 * 24 * 60


AMERICAN_QUOTES_MINUTES: Final = {"VIX": 15, "SP500": 0, "NASDAQ": 0} | dict.fromkeys(
    ("SPY", "TLT", "IEF", "LQD", "TIP", "EEM", "EFA", *SECTOR_ETFS), 0
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

    prices: Path | None = None
    """Absent, the open, high, low, close and volume of the enhanced file are the prices."""
    macro: Path | None = None
    fundamentals: Path | None = None
    sentiment: Path | None = None
    competitive: Path | None = None
    events: Path | None = None
    options: Path | None = None
    splits: Path | None = None
    """Stock splits, to match share counts to the split-adjusted prices."""
    enhanced: Path | None = None
    synthetic: tuple[str, ...] = ()
    """Names of tables that hold generated data; written into every store and report."""
    preset: Literal["specification"] | None = None
    """How enhanced, sentiment and competitive files of another format are read: `finnex.data.mapping`."""
    columns: dict[MappedTable, dict[str, str]] = Field(default_factory=dict)
    """By table, our name of a column to the file's name of it; goes before the preset."""
    timestamp_zone: str | None = None
    """IANA zone of sentiment records whose time stamp carries none (absent, such a stamp is refused), and in which
    exactly midnight counts as a date, in any table."""
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
        if self.prices is None and self.enhanced is None:
            raise ValueError("there are no prices; name a prices table, or an enhanced file that has them")
        if self.timestamp_zone is not None and self.timestamp_zone not in (zones := available_timezones()):
            raise ValueError(
                f"timestamp_zone '{self.timestamp_zone}' is unknown. {nearest(self.timestamp_zone, zones)}"
            )
        return self

    def tables(self) -> Iterator[tuple[str, Path]]:
        """Yield name and path of every table that is given."""
        for name in TABLES:
            path = getattr(self, name)
            if path is not None:
                yield name, path
