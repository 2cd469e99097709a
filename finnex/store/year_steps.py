"""The steps by which a year is compacted, and by which it is taken out again. Each may be taken twice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from finnex.store.array_writer import ArrayWriter
from finnex.store.attributes import raise_format
from finnex.store.drafts import Receipt, chunk_of
from finnex.store.record import Year, write_record
from finnex.store.year_shard import YEARS, document_bytes, folder_of, shard_of, year_documents
from finnex.store.zarr_metadata import arrays_of, read_document


class YearSteps(ArrayWriter):
    """Moves images between files of their own and the shard of their year."""

    _format_raised = False

    def _do_compact(self, symbol: str, details: dict[str, Any]) -> None:
        """Put the shard into place, have readers go by it, then remove the files that the images had.

        Where the draft is lost the images stay where they are.
        """
        number, receipt = str(details["year"]), Receipt(**details["receipts"][0])
        if number not in self.record().companies[symbol].years:
            shard = shard_of(symbol, number)
            try:
                self._place.move(receipt.draft, shard)
            except FileNotFoundError:  # moved before the crash, or lost with it
                if self._crc_on_disk(shard) != receipt.crc:
                    self._place.delete_folder(folder_of(symbol, number))
                    return
            year = Year(details["first"], details["sessions"], details["generation"])
            self.write_year(symbol, number, year)
            self.raise_format()
            self._place.sync()
            self._note_year(symbol, number, year)
        self._images.renewed(symbol)
        rows = np.array(details["rows"], dtype=np.intp)
        self._note_tags(symbol, rows)
        for row in rows:
            self._place.delete(chunk_of(symbol, int(row)))

    def _do_take_out(self, symbol: str, details: dict[str, Any]) -> None:
        """Write the images of a year into files of their own, have readers go by them, then remove the year.

        Bytes that are damaged stay damaged; of a shard that is gone, or whose index is, no image is left.
        """
        number = str(details["year"])
        if (year := self._images.renewed(symbol).get(number)) is not None:
            index = self._images.index(symbol, number, year)
            for session in () if index is None else index.there:
                row = year.first + int(session)
                if (found := self._images.get(symbol, row)) is not None:
                    self._place.put(chunk_of(symbol, row), found)
            self._place.sync()
            self._note_year(symbol, number, None)
        self._place.delete_folder(folder_of(symbol, number))
        self._images.renewed(symbol)
        self._note_tags(symbol, np.array(details.get("rows", ()), dtype=np.intp))

    def write_year(self, symbol: str, number: str, year: Year) -> None:
        """Write all files of a compacted year but its shard, for plain readers: FinNeX's go by the record."""
        for key, data in self.wanted_of_year(symbol, number, year).items():
            if self._place.get(key) != data:
                self._place.put(key, data)
        days = self._read(symbol, "date")[year.first : year.first + year.sessions]
        array = self.writable(symbol, f"{YEARS}/{number}/date")
        array[...] = days

    def wanted_of_year(self, symbol: str, number: str, year: Year) -> dict[str, bytes]:
        """Return what the metadata of a compacted year must be, by key."""
        documents = year_documents(symbol, number, year, arrays_of(read_document(self._place, symbol)))
        return {key: document_bytes(document) for key, document in documents.items()}

    def raise_format(self) -> None:
        """Keep earlier versions of FinNeX, which would take the images of compacted years for lost, from the store."""
        if not self._format_raised:  # once a process: the root's metadata grows with the number of companies
            self.attrs = raise_format(self._place, self.attrs)
            self._format_raised = True

    def years_with(self, symbol: str, rows: Iterable[int]) -> list[str]:
        """Return the compacted years whose shards hold the image of one of some rows, or whose shards are damaged."""
        wanted, found = np.array(list(rows), dtype=np.intp), []
        for number, year in self._images.renewed(symbol).items():
            index = self._images.index(symbol, number, year)
            held = np.arange(year.sessions) if index is None else index.there
            if np.isin(wanted, year.first + held).any():
                found.append(number)
        return found

    def _note_year(self, symbol: str, number: str, year: Year | None) -> None:
        """Have the root record say where the images of a year lie; it survives a power cut when this returns."""
        record = self.record()
        company = record.companies[symbol]
        years = {name: known for name, known in company.years.items() if name != number}
        if year is not None:
            years[number] = year
        write_record(self._place, record.with_company(symbol, replace(company, years=dict(sorted(years.items())))))
        self._place.sync()

    def _remove_other_years(self, symbol: str) -> None:
        """Remove compacted years that the root record does not name: their images have files of their own."""
        for number in self._place.folders(f"{symbol}/{YEARS}"):
            if number not in self.record().companies[symbol].years:
                self._place.delete_folder(folder_of(symbol, number))

    def _note_tags(self, symbol: str, rows: npt.NDArray[np.intp]) -> None:
        """Write the versions of images whose bytes were moved."""
        if len(rows):
            tags, crcs = self._read(symbol, "image_tag"), self._read(symbol, "image_crc")
            tags[rows] = [self._tag(symbol, int(row), int(crcs[row])) for row in rows]
            self._write(symbol, {"image_tag": tags})

    def _tag(self, symbol: str, index: int, crc: int) -> int:
        """Return the version of an image as `image_tag` keeps it: bound to the checksum, 0 where there are none.

        Images of a compacted year have the version of its shard.
        """
        tag = self._place.tag(self._images.location(symbol, index).key)
        return tag ^ crc if tag else 0
