"""The encoded bytes of an image, wherever they lie: in a file of its own, or in the shard of a compacted year."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

from finnex.store.drafts import chunk_of
from finnex.store.place import Place
from finnex.store.record import Year, read_record
from finnex.store.year_shard import ABSENT, ShardIndex, index_bytes, read_index, shard_of


class Location(NamedTuple):
    """Where an image lies: a key, and which of its bytes.

    Attributes
    ----------
    length
        None is all of them.
    crc
        crc32 by the shard's table; None where the image has a file of its own.
    """

    key: str
    first: int = 0
    length: int | None = None
    crc: int | None = None


class ImageBytes:
    """Reads images by symbol and row; keeps the compacted years and the indexes of their shards.

    What it keeps is read anew where it leads to no image or to other bytes: a writer may have compacted the year, or
    taken it out, since. So an image of a compacted year costs one read of its own bytes. Threads may share it.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._years: dict[str, Mapping[str, Year]] = {}
        self._indexes: dict[tuple[str, str, int], ShardIndex | None] = {}

    def years(self, symbol: str) -> Mapping[str, Year]:
        """Return the compacted years of a company as they were when they were last looked at."""
        known = self._years.get(symbol)
        return self.renewed(symbol) if known is None else known

    def renewed(self, symbol: str) -> Mapping[str, Year]:
        """Return the compacted years of a company as they are now."""
        record = read_record(self._place)
        company = None if record is None else record.companies.get(symbol)
        self._years[symbol] = {} if company is None else company.years
        return self._years[symbol]

    def index(self, symbol: str, number: str, year: Year) -> ShardIndex | None:
        """Return the index of a compacted year, None where its shard is gone or the index damaged."""
        key = (symbol, number, year.generation)
        if (known := self._indexes.get(key)) is not None:
            return known
        head = self._place.get(shard_of(symbol, number), 0, index_bytes(year.sessions))
        found = read_index(head, year.sessions)
        if found is not None:  # else it is read again when it is next asked for
            self._indexes[key] = found
        return found

    def location(self, symbol: str, row: int, years: Mapping[str, Year] | None = None) -> Location:
        """Return where an image lies, or would lie.

        Parameters
        ----------
        symbol
            Symbol of the image.
        row
            Its position on the date axis.
        years
            The compacted years to go by; absent, those that are known.

        Returns
        -------
        Location
            In the shard of its year, where that has it.
        """
        for number, year in (self.years(symbol) if years is None else years).items():
            session = row - year.first
            if 0 <= session < year.sessions and (index := self.index(symbol, number, year)) is not None:
                if index.length[session] == ABSENT:
                    break
                length, crc = int(index.length[session]), int(index.crc[session])
                return Location(shard_of(symbol, number), int(index.first[session]), length, crc)
        return Location(chunk_of(symbol, row))

    def get(self, symbol: str, row: int) -> bytes | None:
        """Return the bytes of an image, None where there is none; they may be damaged."""
        return self._found(symbol, row, lambda where, data: where.crc in (None, zlib.crc32(data)))[0]

    def checked(self, symbol: str, row: int, *crcs: int | None) -> bytes:
        """Return the bytes of an image.

        Parameters
        ----------
        symbol
            Symbol of the image.
        row
            Its position on the date axis.
        *crcs
            What the bytes may sum to.

        Returns
        -------
        bytes
            The encoded image.

        Raises
        ------
        ValueError
            There is none, or its bytes are others.
        """
        found, good = self._found(symbol, row, lambda _, data: zlib.crc32(data) in crcs)
        if found is None or not good:
            raise ValueError("it is missing" if found is None else "its bytes do not match their checksum")
        return found

    def _found(self, symbol: str, row: int, is_good: Callable[[Location, bytes], bool]) -> tuple[bytes | None, bool]:
        """Return the bytes of an image, and whether they are good; bytes that are not are looked for a second time."""
        years = self.years(symbol)
        while True:
            where = self.location(symbol, row, years)
            found = self._place.get(where.key, where.first, where.length)
            if found is not None and is_good(where, found):
                return found, True
            before, years = years, self.renewed(symbol)
            if before == years:
                return found, False

    def rows(self, symbol: str) -> set[int]:
        """Return the rows whose images lie in shards now."""
        found = set()
        for number, year in self.renewed(symbol).items():
            if (index := self.index(symbol, number, year)) is not None:
                found.update((year.first + index.there).tolist())
        return found
