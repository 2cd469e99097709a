"""The root record: the companies of a store, their sessions, where its inputs end. One file, replaced as a whole."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache

import numpy as np
from pydantic import TypeAdapter, ValidationError

from finnex.data.calendar import Days
from finnex.errors import StoreCorrupt, StoreError
from finnex.store.place import Place
from finnex.store.sealed import seal, unseal

RECORD = ".finnex/root.json"
FIRST_RENDERER = "1"
YEAR_LAYOUT = 1
"""Of the files of a compacted year, `finnex.store.year_shard`."""


@dataclass(frozen=True)
class Year:
    """A year whose images lie in one file.

    Attributes
    ----------
    first
        Row of its first session on the company's date axis.
    sessions
        How many rows of the axis it has, with an image or without.
    generation
        Of the record when it was compacted.
    layout
        Of its files; later versions of FinNeX may have others.
    """

    first: int
    sessions: int
    generation: int
    layout: int = YEAR_LAYOUT


@dataclass(frozen=True)
class Company:
    """What readers go by for one company.

    Attributes
    ----------
    sessions
        Length of its date axis; rows behind it, of a calendar that is being extended, do not count.
    generation
        Of the record when this company's axis was laid out or extended.
    first, last
        First and last day of the axis, as YYYY-MM-DD.
    axis_crc
        crc32 of the axis, days since 1970-01-01 as little-endian int64.
    quarantined
        Why a session is withheld, by its day.
    predictions
        How many sessions have one; None where it is not known.
    years
        The compacted years, by their number.
    """

    sessions: int
    generation: int
    first: str
    last: str
    axis_crc: int
    quarantined: Mapping[str, str] = field(default_factory=dict)
    predictions: int | None = None
    years: Mapping[str, Year] = field(default_factory=dict)

    @classmethod
    def of(cls, days: Days, generation: int) -> Company:
        """Describe an axis of a company without predictions."""
        return cls(len(days), generation, str(days[0]), str(days[-1]), axis_crc(days), predictions=0)


@dataclass(frozen=True)
class InputLimits:
    """Where the input tables begin and end, as a build read them for some companies.

    Attributes
    ----------
    symbols
        The companies whose last completed build read these tables, in order.
    recorded_at
        When the first build that found these limits recorded them: ISO 8601, UTC.
    tables
        First and last date of every table that was given and has a row, as YYYY-MM-DD.
    renderer
        Version of the renderer that drew every image of these companies, '' where several may have. Records of versions
        of FinNeX that had one renderer lack it.
    """

    symbols: tuple[str, ...]
    recorded_at: str
    tables: Mapping[str, tuple[str, str]]
    renderer: str = FIRST_RENDERER

    def agrees(self, other: InputLimits) -> bool:
        """Return whether another entry says the same of its companies."""
        return self.tables == other.tables and self.renderer == other.renderer


@dataclass(frozen=True)
class RootRecord:
    """The companies of a store by symbol; `generation` grows with every change.

    `inputs` has every company at most once, none before a build has recorded it; earlier versions of FinNeX did not.
    """

    generation: int = 0
    companies: Mapping[str, Company] = field(default_factory=dict)
    inputs: tuple[InputLimits, ...] = ()

    def with_company(self, symbol: str, company: Company) -> RootRecord:
        """Return the next record, with a company laid out, extended or changed."""
        return self.with_companies({symbol: company})

    def with_companies(self, companies: Mapping[str, Company]) -> RootRecord:
        """Return the next record, with several companies laid out, extended or changed."""
        return replace(self, generation=self.generation + 1, companies={**self.companies, **companies})

    def with_inputs(self, inputs: InputLimits) -> RootRecord:
        """Return the next record, in which some companies have other limits; the same limits stay one entry."""
        same = [known for known in self.inputs if known.agrees(inputs)]
        symbols = {*inputs.symbols, *(symbol for known in same for symbol in known.symbols)}
        first = same[0].recorded_at if same else inputs.recorded_at
        taken = replace(inputs, symbols=tuple(sorted(symbols)), recorded_at=first)
        others = [known for known in _without(self.inputs, symbols) if not known.agrees(inputs)]
        return replace(self, generation=self.generation + 1, inputs=(*others, taken))

    def lacking(self, inputs: InputLimits) -> list[str]:
        """Return the companies of an entry of which the record says otherwise, or nothing."""
        known = {symbol: entry for entry in self.inputs for symbol in entry.symbols}
        return [one for one in inputs.symbols if one not in known or not known[one].agrees(inputs)]

    def limits(self) -> dict[str, Mapping[str, tuple[str, str]]]:
        """Return by company where its inputs begin and end, by table; a company of which no build recorded it lacks."""
        return {symbol: known.tables for known in self.inputs for symbol in known.symbols}

    def renderer(self, symbol: str) -> str:
        """Return the version of the renderer that drew every image of a company, '' where it is not known."""
        return self._renderers.get(symbol, "")

    @cached_property
    def later_years(self) -> tuple[str, ...]:
        """Compacted years whose files a later version of FinNeX wrote, as SYMBOL/years/YEAR."""
        return tuple(
            f"{symbol}/years/{number}"
            for symbol, company in self.companies.items()
            for number, year in company.years.items()
            if year.layout != YEAR_LAYOUT
        )

    @cached_property
    def _renderers(self) -> dict[str, str]:
        return {symbol: known.renderer for known in self.inputs for symbol in known.symbols}

    def without(self, symbol: str) -> RootRecord:
        """Return the next record, without a company."""
        left = {name: company for name, company in self.companies.items() if name != symbol}
        return replace(
            self, generation=self.generation + 1, companies=left, inputs=tuple(_without(self.inputs, {symbol}))
        )


def _without(inputs: Iterable[InputLimits], symbols: Collection[str]) -> Iterator[InputLimits]:
    """Yield the entries without some companies; none that has no other."""
    for known in inputs:
        if left := tuple(symbol for symbol in known.symbols if symbol not in symbols):
            yield replace(known, symbols=left)


_parsed: TypeAdapter[RootRecord] = TypeAdapter(RootRecord)


def axis_crc(days: Days) -> int:
    """Return the crc32 of a date axis."""
    return zlib.crc32(np.asarray(days, dtype="datetime64[D]").astype("<i8").tobytes())


def read_record(place: Place) -> RootRecord | None:
    """Return the root record, None where there is none.

    Raises
    ------
    StoreCorrupt
        It is damaged.
    StoreError
        A later version of FinNeX compacted a year.
    """
    found = place.get(RECORD)
    if found is None:
        return None
    try:
        record = _parse(found)
    except (ValueError, ValidationError) as error:
        raise StoreCorrupt(
            f"{place.address}/{RECORD} is damaged ({type(error).__name__}). "
            "`finnex repair` makes it anew from what lies in the store."
        ) from None
    if record.later_years:
        raise StoreError(
            f"{place.address}/{record.later_years[0]} was compacted by a later version of FinNeX. Install that version."
        )
    return record


@lru_cache(maxsize=8)
def _parse(data: bytes) -> RootRecord:
    """Parse a record; the same bytes once, as every array of a company is read with it and it names all companies."""
    return _parsed.validate_python(unseal(data))


def write_record(place: Place, record: RootRecord) -> None:
    """Replace the root record."""
    content = asdict(record)
    for company in content["companies"].values():
        if not company["years"]:  # a store without compacted years is what earlier versions write
            del company["years"]
    place.put(RECORD, seal(content))
