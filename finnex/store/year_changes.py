"""Compaction of a year, and the way back: what is checked first, and what is written to the journal."""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Iterable
from dataclasses import asdict

import numpy as np
import numpy.typing as npt

from finnex.errors import StoreCorrupt, StoreError
from finnex.store import journal
from finnex.store.drafts import Receipt, drafts_of
from finnex.store.image_store import DRAW_AGAIN, ImageStore
from finnex.store.journal import Intent
from finnex.store.journal_replay import StoreSteps
from finnex.store.states import READY
from finnex.store.year_shard import shard_bytes

Rows = npt.NDArray[np.intp]


def to_compact(store: ImageStore, symbol: str, before: int) -> dict[str, int]:
    """Return how many images a compaction puts into the shard of each year.

    Parameters
    ----------
    store
        The store.
    symbol
        The company.
    before
        Years before this one are closed.

    Returns
    -------
    dict
        By year, of those that have a published image in a file of its own.
    """
    state, found = store.state(symbol), dict[str, int]()
    ready, held = state.status == READY, store.in_shards(symbol)
    years = state.days.astype("datetime64[Y]").astype(int) + 1970
    for number in np.unique(years[years < before]).tolist():
        of_year = ready & (years == number)
        if (of_year & ~held).any():
            found[str(number)] = int(of_year.sum())
    return found


class YearChanges(StoreSteps):
    """A store whose closed years this process may compact."""

    def compact(self, symbol: str, number: str) -> int:
        """Move the published images of a year into one shard; return how many.

        Their bytes are copied and not encoded again: an image keeps its checksum. A session that is quarantined keeps
        its image in a file of its own, as plain readers of a year see all that lies in its shard; released, it is
        taken in by the next compaction of the year. So is one that was drawn since. A session that was never drawn has
        no image in the shard.

        Parameters
        ----------
        symbol
            The company.
        number
            The year.

        Returns
        -------
        int
            Images in the shard; 0 where the year has none, and no shard then.

        Raises
        ------
        StoreCorrupt
            An image is not what was published; nothing is changed.
        StoreError
            The shard cannot be written whole.
        """
        state = self.state(symbol)
        of_year = np.flatnonzero(state.days.astype("datetime64[Y]") == np.datetime64(number, "Y"))
        rows = of_year[state.status[of_year] == READY]
        chunks: dict[int, bytes] = {}
        for row in rows.tolist():
            try:
                chunks[row] = self._images.checked(symbol, row, int(state.image_crc[row]))
            except ValueError as error:
                raise StoreCorrupt(
                    f"the image of {symbol} for {state.days[row]} is damaged ({error}), so {number} of {symbol} stays "
                    f"as it is. {DRAW_AGAIN} Then compact again."
                ) from None
        if not len(rows):
            return 0
        if number in self._images.renewed(symbol):
            self._take_out(symbol, number)
        receipt = self._draft_of(symbol, chunks, state.image_crc, of_year)
        self.raise_format()
        details = {
            "year": number, "first": int(of_year[0]), "sessions": len(of_year), "rows": rows.tolist(),
            "generation": self.record().generation + 1, "receipts": [asdict(receipt)],
        }  # fmt: skip
        self._change(Intent(journal.COMPACT, symbol, details))
        return len(rows)

    def _draft_of(self, symbol: str, chunks: dict[int, bytes], crcs: npt.NDArray[np.uint32], of_year: Rows) -> Receipt:
        """Write the shard of a year as a draft, read it back, and return its receipt."""
        first = int(of_year[0])
        inner = {row - first: data for row, data in chunks.items()}
        shard = shard_bytes(inner, {row - first: int(crcs[row]) for row in chunks}, len(of_year))
        receipt = Receipt(first, 0, f"{drafts_of(symbol)}/{uuid.uuid4().hex[:12]}-year", zlib.crc32(shard))
        self._place.draft(receipt.draft, shard)
        self._place.flush([receipt.draft])
        if self._crc_on_disk(receipt.draft) != receipt.crc:
            raise StoreError(
                f"{self.path}/{receipt.draft} is not the bytes that were written. Look at the disk, then compact again."
            )
        return receipt

    def take_out(self, symbol: str, rows: Iterable[int]) -> list[str]:
        """Give the images of compacted years files of their own again, where one of some rows lies in their shards.

        Parameters
        ----------
        symbol
            The company.
        rows
            Positions on its date axis, of images that are to change.

        Returns
        -------
        list of str
            The years.
        """
        found = self.years_with(symbol, rows)
        for number in found:
            self._take_out(symbol, number)
        return found

    def _take_out(self, symbol: str, number: str) -> None:
        year = self._images.renewed(symbol)[number]
        index = self._images.index(symbol, number, year)
        rows = [] if index is None else (year.first + index.there).tolist()
        self._change(Intent(journal.TAKE_OUT, symbol, {"year": number, "rows": rows}))
