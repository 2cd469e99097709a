"""`StoreWriter`: lays out, publishes and heals. One process at a time, under `finnex.store.writing`."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from finnex.data.calendar import Days
from finnex.errors import StoreError, StoreMismatch
from finnex.store.drafts import DraftTarget, Receipt, chunk_of, drafts_of
from finnex.store.images import ImageStore, holds_a_store, journal_of
from finnex.store.lock import check_right_to_write
from finnex.store.place import place_of
from finnex.store.template import EMPTY, FAILED, FIXED, FORMAT, NO_BAR, NOT_A_DAY, READY, StoreTemplate, lay_out
from finnex.store_path import StorePath

MUST_AGREE = ("layout_hash", "exchange", "label_settings", "synthetic_tables")
"""What a store was made with and a run must have too."""


class StoreWriter(ImageStore):
    """An image store that this process may write to; open one with `StoreWriter.prepare`."""

    @classmethod
    def prepare(cls, path: StorePath, template: StoreTemplate) -> StoreWriter:
        """Open the store for writing, making it first where there is none, and heal what a killed run left.

        Raises
        ------
        StoreMismatch
            The store was made for another layout, exchange or label settings.
        StoreError
            The path cannot be written.
        """
        wanted, place = _attributes(template), place_of(str(path))
        if not holds_a_store(path):
            if path.exists() and any(path.iterdir()):
                raise StoreError(f"{path} exists and is no image store. Choose an empty or new [store] path.")
            zarr.create_group(place.zarr(read_only=False), attributes=wanted)
        found = ImageStore.open(path).attrs
        for key in MUST_AGREE:
            if found[key] != wanted[key]:
                raise StoreMismatch(
                    f"{path} was made with {key} {found[key]!r}, this run has {wanted[key]!r}. "
                    "Set another [store] path, or put the earlier setting back."
                )
        return cls.reopen(path)

    @classmethod
    def reopen(cls, path: StorePath) -> StoreWriter:
        """Open a store that is there for writing, and heal what a killed run left. Call under `writing`.

        Raises
        ------
        StoreError
            There is none.
        """
        ImageStore.open(path)
        store = cls(path, zarr.open_group(place_of(str(path)).zarr(read_only=False), mode="r+", use_consolidated=False))
        store._heal()
        return store

    def _heal(self) -> None:
        """Finish what a run that was killed had begun: images in place without a status, leftovers."""
        for symbol in self.symbols:
            noted = self._place.get(journal_of(symbol))
            if noted is not None:
                receipts = [Receipt(**one) for one in json.loads(noted)]
                self._record(
                    symbol, [one for one in receipts if self._crc_on_disk(chunk_of(symbol, one.index)) == one.crc]
                )
                self._place.delete(journal_of(symbol))
        self.sweep()

    def lost(self, symbol: str, indexes: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Return which published images have to be drawn again, as far as it can be told at once.

        On a disk, those whose bytes are not what was published. A bucket guards bytes with checksums of its own, so
        only its listing is read; `damaged` reads them all the same.
        """
        if not self._place.checks_itself:
            return self.damaged(symbol, indexes)
        there = set(self._place.keys(f"{symbol}/image"))
        return np.array([i for i in indexes if chunk_of(symbol, int(i)) not in there], dtype=np.intp)

    def sweep(self) -> int:
        """Remove drafts and half-written files that an interrupted run left behind; return how many."""
        left = [key for symbol in self.symbols for key in self._place.keys(drafts_of(symbol))]
        left += self._place.unfinished()
        for key in left:
            self._place.delete(key)
        return len(left)

    def ensure_symbol(self, symbol: str, days: Days, template: StoreTemplate) -> None:
        """Lay out the calendar of a symbol, or extend it; sessions that hold anything keep their positions.

        A planned session on which the exchange stayed shut keeps its row, without a bar; one that was announced after
        the plan was made takes its place among those that hold nothing yet.

        Raises
        ------
        StoreMismatch
            `days` begins before the stored axis, lacks a session that is published, or has one among those that are.
        """
        days = np.asarray(days, dtype="datetime64[D]")
        if symbol not in self.symbols:
            lay_out(self._root, symbol, days, template)
            self._consolidate()
            return
        stored = self._read(symbol, "date")
        stored = stored[stored != NOT_A_DAY].astype("datetime64[D]")  # an extension that was cut short
        status = self._read(symbol, "status")[: len(stored)]
        if days[0] < stored[0]:
            raise StoreMismatch(
                f"{self.path}: {symbol} begins at {stored[0]}, the inputs now begin at {days[0]}. "
                "Build into a new [store] path: features depend on the first row."
            )
        remedy = "Put the earlier version of exchange_calendars back, or use a new [store] path."
        shut = (stored >= days[0]) & (stored <= days[-1]) & ~np.isin(stored, days)
        if (gone := stored[shut & (status == READY)]).size:
            raise StoreMismatch(
                f"{self.path}: {symbol} has an image of {gone[0]}, which is no session of its calendar now. {remedy}"
            )
        kept = int(np.flatnonzero(status != EMPTY).max(initial=-1)) + 1
        new = days[~np.isin(days, stored)]
        if (among := new[np.searchsorted(stored, new) < kept]).size:
            raise StoreMismatch(
                f"{self.path}: {among[0]} is a session of the calendar of {symbol} now, and later ones are stored "
                f"already. {remedy}"
            )
        if len(new):
            size = len(stored) + len(new)
            # Every array grows before the dates do: a reader that sees a date finds its row in all others.
            group = self._group(symbol)
            for name in self._place.folders(symbol):
                array = group[name]
                if name not in FIXED and isinstance(array, zarr.Array):
                    array.resize((size, *array.shape[1:]))
            dates = group["date"]
            assert isinstance(dates, zarr.Array)
            dates.resize((size,))
            dates[kept:] = np.union1d(stored[kept:], new).astype("int64")
            self._consolidate()

    def _consolidate(self) -> None:
        """Copy all arrays' metadata into the root's: readers then see one size for all of them, at all times.

        It is also what `xarray.open_zarr` looks for; without it every reader is warned.
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
            warnings.filterwarnings("ignore", message="Object at .* is not recognized")  # a symbol not laid out yet
            zarr.consolidate_metadata(self._place.zarr(read_only=False))

    def target(self, symbol: str, token: str) -> DraftTarget:
        """Return where workers of the run `token` write their drafts of a symbol."""
        self._place.prepare(drafts_of(symbol))
        return DraftTarget(self._place.address, symbol, token)

    def in_place(self, symbol: str, receipts: Sequence[Receipt]) -> None:
        """Move checked drafts into place and record them.

        A note of what is being published lies in the store meanwhile: whoever is killed half-way is finished by the
        next writer, and readers know whose bytes they may trust.
        """
        check_right_to_write(self._place.address)
        note = json.dumps([vars(receipt) for receipt in receipts]).encode()
        self._place.put(f"{journal_of(symbol)}.new", note)
        self._place.move(f"{journal_of(symbol)}.new", journal_of(symbol))
        for receipt in receipts:
            self._place.move(receipt.draft, chunk_of(symbol, receipt.index))
        self._record(symbol, receipts)
        self._place.delete(journal_of(symbol))

    def is_whole(self, receipt: Receipt) -> bool:
        """Return whether a draft is the bytes that its worker wrote."""
        return self._crc_on_disk(receipt.draft) == receipt.crc

    def mark_failed(self, symbol: str, indexes: Sequence[int]) -> None:
        """Record sessions that could not be drawn; one that is published stays so: its redraw is what failed."""
        status = self._read(symbol, "status")
        failed = np.array(indexes)[status[indexes] != READY]
        if len(failed):
            status[failed] = FAILED
            self._write(symbol, "status", status)

    def _record(self, symbol: str, receipts: Sequence[Receipt]) -> None:
        """Write what is known of images that lie in their place; their status last."""
        if not receipts:
            return
        rows = np.array([receipt.index for receipt in receipts])
        for name, values in (
            ("rendered_at", [int(time.time())] * len(rows)),
            ("coverage", [receipt.coverage for receipt in receipts]),
            ("region_weight", [receipt.weights for receipt in receipts]),
            ("input_hash", [receipt.input_hash for receipt in receipts]),
            ("image_crc", [receipt.crc for receipt in receipts]),
            ("status", [READY] * len(rows)),
        ):
            table = self._read(symbol, name)
            table[rows] = np.array(values, dtype=table.dtype)
            self._write(symbol, name, table)

    def record_predictions(
        self, symbol: str, indexes: Sequence[int], probabilities: npt.NDArray[np.float64], version: int
    ) -> int:
        """Keep what a model said of sessions; return how many are new.

        A session's first prediction stays: it shows what was said before anybody knew, and `predicted_at` when.

        Parameters
        ----------
        probabilities
            (session, class): sell, hold, buy.
        version
            Of the registered model, from 1.
        """
        check_right_to_write(self._place.address)
        versions = self._read(symbol, "prediction_version")
        new = [place for place, index in enumerate(indexes) if versions[index] == 0]
        rows = [indexes[place] for place in new]
        for name, values in (
            ("prediction", probabilities[new]),
            ("predicted_at", int(time.time())),
            ("prediction_version", version),  # last: whoever sees it sees the others
        ):
            table = self._read(symbol, name)
            table[rows] = values
            if rows:
                self._write(symbol, name, table)
        return len(rows)

    def mark_no_bar(self, symbol: str, indexes: npt.NDArray[np.intp]) -> None:
        """Record sessions on which the symbol has no bar, so that nobody looks for their image."""
        status = self._read(symbol, "status")
        stale = indexes[status[indexes] != NO_BAR]
        if len(stale):
            status[stale] = NO_BAR
            self._write(symbol, "status", status)

    def write_rows(self, symbol: str, name: str, first: int, values: npt.NDArray[Any]) -> bool:
        """Write consecutive rows of a small array where they differ from what is stored; return whether they did."""
        array = self._group(symbol)[name]
        assert isinstance(array, zarr.Array)
        rows = slice(first, first + len(values))
        stored = np.asarray(array[rows])
        if stored.tobytes() == values.astype(stored.dtype).tobytes():
            return False
        array[rows] = values.astype(stored.dtype)
        return True

    def _write(self, symbol: str, name: str, values: npt.NDArray[Any]) -> None:
        array = self._group(symbol)[name]
        assert isinstance(array, zarr.Array)
        array[...] = values


class Publication:
    """Drafts of one symbol on their way to readers: checked as they come, put in place together.

    Readers see none of them before `finish`, and of each the old image or the new one, never a part.
    """

    def __init__(self, store: StoreWriter, symbol: str) -> None:
        self._store, self._symbol = store, symbol
        self._good: list[Receipt] = []
        self._bad: list[Receipt] = []

    def add(self, receipts: Iterable[Receipt]) -> None:
        """Check drafts against their receipts."""
        for receipt in receipts:
            if receipt.error:
                self._bad.append(receipt)
            elif self._store.is_whole(receipt):
                self._good.append(receipt)
            else:
                error = f"the draft {receipt.draft} is not the bytes its worker wrote"
                self._bad.append(replace(receipt, error=error))

    def finish(self) -> list[Receipt]:
        """Move what is whole into place, then set status; return what is not, each with its error."""
        if self._good:
            self._store.in_place(self._symbol, sorted(self._good, key=lambda receipt: receipt.index))
        if self._bad:
            self._store.mark_failed(self._symbol, [receipt.index for receipt in self._bad])
        return sorted(self._bad, key=lambda receipt: receipt.index)


def _attributes(template: StoreTemplate) -> dict[str, Any]:
    return {
        "finnex_format": FORMAT,
        "layout_name": template.layout_name,
        "layout_hash": template.layout_hash,
        "layout_toml": template.layout_toml,
        "catalogue_csv": template.catalogue_csv,
        "lookback_sessions": template.lookback_sessions,
        "blending": template.blending,
        "exchange": template.exchange,
        "label_settings": dict(template.label_settings),
        "synthetic_tables": list(template.synthetic_tables),
    }
