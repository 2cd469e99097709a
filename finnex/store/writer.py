"""`StoreWriter`: lays out, publishes and recovers. One process at a time, under `finnex.store.writing`.

Every change of what readers see is an `Intent`: it is written to the journal, its steps are taken, the journal is
cleared. `finnex.store.journal_replay` has the steps of each.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime

import numpy as np
import numpy.typing as npt

from finnex.errors import StoreCorrupt, StoreError
from finnex.store import journal
from finnex.store.attributes import attributes_of, check_agreement, renew_catalogue, write_copy
from finnex.store.drafts import DraftTarget, Receipt, drafts_of
from finnex.store.folder import PARTIAL
from finnex.store.image_store import ImageStore
from finnex.store.journal import Intent
from finnex.store.keys import DRAFTS
from finnex.store.layout_changes import LayoutChanges
from finnex.store.place import place_of
from finnex.store.presence import holds_a_store
from finnex.store.record import InputLimits, RootRecord, read_record, write_record
from finnex.store.repair import mend_metadata
from finnex.store.states import QUARANTINED, READY, check_transition
from finnex.store.store_template import StoreTemplate
from finnex.store.upgrade import EARLIER_FORMATS, upgrade
from finnex.store.upgrade_chunks import complete
from finnex.store.zarr_metadata import FILE, read_document, root_document, write_document
from finnex.store_path import StorePath

UNKNOWN_INPUTS = 0
"""Input hash of a session whose hash was lost, and of one that has no image."""


class StoreWriter(LayoutChanges):
    """An image store that this process may write to; open one with `StoreWriter.prepare`."""

    @classmethod
    def prepare(cls, path: StorePath, template: StoreTemplate, whole: Collection[str] = ()) -> StoreWriter:
        """Open the store for writing, making it first where there is none, and recover from a crash.

        The store takes over the directions of the template's catalogue.

        Parameters
        ----------
        path
            The store.
        template
            Of the run that the store belongs to.
        whole
            Companies whose metadata need not be looked at.

        Raises
        ------
        StoreMismatch
            The store was made for another layout, exchange or label settings.
        StoreCorrupt
            What it was made with is damaged.
        StoreError
            The path cannot be written.
        """
        wanted, place = attributes_of(template), place_of(str(path))
        if not holds_a_store(path):
            if read_record(place) not in (None, RootRecord()):  # an empty one is left by a crash before the root's file
                raise StoreCorrupt(f"{path}/{FILE} is gone. `finnex repair` makes it anew.")
            if path.exists() and any(one.name != ".finnex" for one in path.iterdir()):
                raise StoreError(f"{path} exists and is no image store. Choose an empty or new [store] path.")
            write_record(place, RootRecord())
            write_copy(place, wanted)
            place.sync()
            write_document(place, "", root_document({"attributes": wanted, "zarr_format": 3, "node_type": "group"}, {}))
            place.sync()
        check_agreement(place, template)
        store = cls.reopen(path, whole)
        store.attrs = renew_catalogue(place, store.attrs, template.catalogue_csv)
        return store

    @classmethod
    def reopen(cls, path: StorePath, whole: Collection[str] = ()) -> StoreWriter:
        """Open a store that is there for writing, upgrade it, and recover from a crash. Call under `writing`.

        Parameters
        ----------
        path
            The store.
        whole
            Companies whose metadata need not be looked at.

        Raises
        ------
        StoreError
            There is none.
        """
        store = cls.unrecovered(path)
        store.recover(whole)
        return store

    @classmethod
    def unrecovered(cls, path: StorePath) -> StoreWriter:
        """Open a store for a repair, without replaying the journal: `recover` does that.

        Raises
        ------
        StoreError
            There is none.
        """
        if ImageStore.open(path).attrs["finnex_format"] in EARLIER_FORMATS:
            upgrade(place_of(str(path)))
        return cls(path, ImageStore.open(path).attrs)

    def recover(self, whole: Collection[str] = ()) -> None:
        """Replay or roll back the journal of a writer that crashed, and remove the files that it left.

        Parameters
        ----------
        whole
            Companies whose metadata need not be looked at.
        """
        intent = journal.read_intent(self._place, claim=True)
        looked_at = [symbol for symbol in self.record().companies if symbol not in whole]
        mend_metadata(self._place, looked_at)
        if intent is not None:
            for one in intent.details.get("receipts", ()):
                if not self.is_whole(Receipt(**one)):
                    self._place.delete(one["draft"])
            if self._can_be_finished(intent):
                self._take_steps(intent)
            journal.clear_intent(self._place)  # drafts of one that cannot be are swept below
        held = ((read_document(self._place) or {}).get("consolidated_metadata") or {}).get("metadata", {})
        companies = self.record().companies
        missing = [symbol for symbol in companies if symbol not in held]
        if missing or any(name.split("/")[0] not in companies for name in held):
            self._hold_companies(missing)
        complete(self._place, self._root, [symbol for symbol in companies if symbol not in whole])
        if any(company.years for company in companies.values()):
            self.raise_format()
        self.sweep()

    def _can_be_finished(self, intent: Intent) -> bool:
        """Return whether the company of a change is there; it is not where a repair had to remove it."""
        of_absent = {journal.ENSURE, journal.REMOVE, journal.CHECK, journal.INPUTS}
        return intent.action in of_absent or intent.symbol in self.record().companies

    def lost(self, symbol: str, indexes: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Return which published images have to be drawn again.

        The bytes of an image are read and compared with their checksum, unless its size and time of modification, in a
        bucket its ETag, are those of the publication.
        """
        tags, crcs = self._read(symbol, "image_tag"), self._read(symbol, "image_crc")
        now = np.array([self._tag(symbol, int(i), int(crcs[i])) for i in indexes], dtype=np.uint64)
        suspects = np.asarray(indexes, dtype=np.intp)[(now == 0) | (now != tags[indexes])]
        found = self.damaged(symbol, suspects)
        whole = np.isin(indexes, np.setdiff1d(suspects, found)) & (now != 0)
        if whole.any():  # published by a version of FinNeX that kept no tags
            tags[indexes[whole]] = now[whole]
            self._write(symbol, {"image_tag": tags})
        return found

    def forget_tags(self, symbol: str, indexes: npt.NDArray[np.intp]) -> None:
        """Have the next `lost` read some images: their bytes are not those that were published."""
        tags = self._read(symbol, "image_tag")
        tags[indexes] = 0
        self._write(symbol, {"image_tag": tags})

    def sweep(self) -> int:
        """Remove drafts and half-written files that an interrupted run left behind; return how many."""
        left = [key for symbol in self._place.folders(DRAFTS) for key in self._place.keys(f"{DRAFTS}/{symbol}")]
        left += self._place.keys(PARTIAL)
        for key in left:
            self._place.delete(key)
        return len(left)

    def target(self, symbol: str, token: str) -> DraftTarget:
        """Return where workers of the run `token` write their drafts of a symbol."""
        self._place.prepare(drafts_of(symbol))
        return DraftTarget(self._place.address, symbol, token)

    def in_place(self, symbol: str, receipts: Sequence[Receipt]) -> None:
        """Move checked drafts into place and record them. A quarantined image stays so if its inputs are the same."""
        status, hashes = self._read(symbol, "status"), self._read(symbol, "input_hash")
        wanted = []
        for one in receipts:
            same = status[one.index] == QUARANTINED and hashes[one.index] in (one.input_hash, UNKNOWN_INPUTS)
            wanted.append(QUARANTINED if same else READY)
            event = "drawn again from the same inputs" if same else "published"
            check_transition(symbol, int(status[one.index]), event, wanted[-1])
        self.take_out(symbol, [one.index for one in receipts])
        self._place.flush(one.draft for one in receipts)
        details = {"receipts": [vars(one) for one in receipts], "status": wanted, "rendered_at": int(time.time())}
        self._change(Intent(journal.PUBLISH, symbol, details))

    def is_whole(self, receipt: Receipt) -> bool:
        """Return whether a draft is the bytes that its worker wrote."""
        return self._crc_on_disk(receipt.draft) == receipt.crc

    def remove(self, symbol: str) -> None:
        """Remove a company with its images, features, labels and predictions."""
        self._change(Intent(journal.REMOVE, symbol))

    def record_predictions(
        self, symbol: str, indexes: Sequence[int], probabilities: npt.NDArray[np.float64], version: int
    ) -> int:
        """Keep what a model predicted of sessions; return how many predictions are new.

        A session's first prediction stays: it shows what was predicted before the outcome, and `predicted_at` when.

        Parameters
        ----------
        symbol, indexes
            The sessions, as positions on the symbol's date axis.
        probabilities
            (session, class): sell, hold, buy.
        version
            Of the registered model, from 1.

        Returns
        -------
        int
            How many are new, 0 to `len(indexes)`.
        """
        versions = self._read(symbol, "prediction_version")
        new = [number for number, index in enumerate(indexes) if versions[index] == 0]
        if new:
            details = {
                "rows": [int(indexes[number]) for number in new],
                "prediction": np.asarray(probabilities, dtype=np.float32)[new].tolist(),
                "predicted_at": int(time.time()),
                "prediction_version": version,  # last: a reader that sees it sees the others
            }
            self._change(Intent(journal.PREDICT, symbol, details))
        return len(new)

    def record_inputs(self, symbols: Iterable[str], limits: Mapping[str, tuple[date, date]], renderer: str) -> bool:
        """Record where the inputs of a build begin and end; nothing is written where the same is recorded already.

        Parameters
        ----------
        symbols
            Companies that the build has completed.
        limits
            First and last date of each table, as `finnex.data.tables.Tables.limits` gives them.
        renderer
            Version of the renderer that drew every image of these companies; '' where several may have.

        Returns
        -------
        bool
            Whether anything was written.
        """
        tables = {name: (str(first), str(last)) for name, (first, last) in limits.items()}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        changed = self.record().lacking(InputLimits(tuple(symbols), now, tables, renderer))
        if not changed:
            return False
        details = {"symbols": changed, "recorded_at": now, "tables": tables, "renderer": renderer}
        self._change(Intent(journal.INPUTS, details=details))
        return True
