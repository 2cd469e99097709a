"""`ImageStore`: reading for everybody, writing for one process at a time."""

from __future__ import annotations

import time
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
import zarr

from finnex.data.calendar import Days
from finnex.errors import StoreCorrupt, StoreError, StoreMismatch, nearest
from finnex.store.drafts import DraftTarget, Receipt
from finnex.store.template import FAILED, FIXED, FORMAT, NO_BAR, READY, StoreTemplate, lay_out


@dataclass(frozen=True)
class SymbolState:
    """What the store knows of one symbol, by position on the date axis."""

    days: Days
    status: npt.NDArray[np.int8]
    input_hash: npt.NDArray[np.uint64]
    image_crc: npt.NDArray[np.uint32]


class ImageStore:
    """Images, their status, features and labels, by symbol and session.

    Create or open one with `ImageStore.prepare` (writers) or `ImageStore.open` (readers).
    """

    def __init__(self, path: Path, root: zarr.Group) -> None:
        self.path = path
        self._root = root

    @classmethod
    def open(cls, path: Path) -> ImageStore:
        """Open an existing store for reading.

        Raises
        ------
        StoreError
            There is none at `path`, or another program made it.
        """
        if not (path / "zarr.json").is_file():
            raise StoreError(f"{path} holds no image store. `finnex build --config F` makes one.")
        root = zarr.open_group(str(path), mode="r", use_consolidated=False)
        if root.attrs.get("finnex_format") != FORMAT:
            raise StoreError(
                f"{path} is a Zarr group that this version of FinNeX did not make. Choose another [store] path."
            )
        return cls(path, root)

    @classmethod
    def prepare(cls, path: Path, template: StoreTemplate) -> ImageStore:
        """Open the store for writing, making it first where there is none. Call under `writing`.

        Raises
        ------
        StoreMismatch
            The store was made for another layout, exchange or label settings.
        StoreError
            The path cannot be written.
        """
        if not (path / "zarr.json").is_file():
            if path.exists() and any(path.iterdir()):
                raise StoreError(f"{path} exists and is no image store. Choose an empty or new [store] path.")
            attrs = {
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
            zarr.create_group(str(path), attributes=attrs)
        store = cls.open(path)
        found = store.attrs
        wanted = {
            "layout_hash": template.layout_hash,
            "exchange": template.exchange,
            "label_settings": dict(template.label_settings),
            "synthetic_tables": list(template.synthetic_tables),
        }
        for key, value in wanted.items():
            if found[key] != value:
                raise StoreMismatch(
                    f"{path} was made with {key} {found[key]!r}, this run has {value!r}. "
                    "Set another [store] path, or put the earlier setting back."
                )
        return cls(path, zarr.open_group(str(path), mode="r+", use_consolidated=False))

    # ---- reading -------------------------------------------------------------------------------------------

    @property
    def attrs(self) -> dict[str, Any]:
        """The store's own description: layout, catalogue, exchange, label settings."""
        return dict(self._root.attrs)

    @property
    def symbols(self) -> list[str]:
        """Symbols that have a group, sorted."""
        return sorted(name for name, _ in self._root.groups())

    def _group(self, symbol: str) -> zarr.Group:
        if symbol not in self.symbols:
            raise StoreError(f"{self.path} has no symbol '{symbol}'. {nearest(symbol, self.symbols)}")
        found = self._root[symbol]
        assert isinstance(found, zarr.Group)
        return found

    def _read(self, symbol: str, name: str) -> npt.NDArray[Any]:
        found = self._group(symbol)[name]
        assert isinstance(found, zarr.Array)
        return np.asarray(found[...])

    def state(self, symbol: str) -> SymbolState:
        """Return status, hashes and checksums of every session on the symbol's axis."""
        return SymbolState(
            days=self._read(symbol, "date").astype("datetime64[D]"),
            status=self._read(symbol, "status"),
            input_hash=self._read(symbol, "input_hash"),
            image_crc=self._read(symbol, "image_crc"),
        )

    def open_sessions(self, symbol: str) -> xr.Dataset:
        """Return every session of a symbol's axis, published or not, as a lazy data set; go by `status`."""
        self._group(symbol)
        data: xr.Dataset = xr.open_zarr(str(self.path), group=symbol, consolidated=False, chunks=None)
        return data

    def open_images(self, symbol: str) -> xr.Dataset:
        """Return the published sessions of a symbol as a lazy data set: images, features, labels, coverage."""
        data = self.open_sessions(symbol)
        return data.isel(date=np.flatnonzero(data["status"].to_numpy() == READY))

    def image_array(self, symbol: str) -> zarr.Array[Any]:
        """Return the raw image array for readers that stream by position; go by `state().status` first."""
        found = self._group(symbol)["image"]
        assert isinstance(found, zarr.Array)
        return found

    def image(self, symbol: str, day: np.datetime64) -> npt.NDArray[np.float32]:
        """Return one published image, (y, x, channel) float32 in [0, 1].

        Raises
        ------
        StoreError
            That session is not published.
        StoreCorrupt
            The bytes on disk are not those that were published.
        """
        state = self.state(symbol)
        position = np.flatnonzero((state.days == day) & (state.status == READY))
        if len(position) == 0:
            raise StoreError(
                f"{self.path} has no published image of {symbol} for {day}. `finnex info` lists what it has."
            )
        index = int(position[0])
        if self._crc_on_disk(symbol, index) != int(state.image_crc[index]):
            raise StoreCorrupt(f"the image of {symbol} for {day} is damaged on disk. `finnex build` draws it again.")
        return np.asarray(self.image_array(symbol)[index], dtype=np.float32)

    def fingerprint(self) -> str:
        """Return the version of the data: a hash over layout, published checksums, labels and their settings."""
        digest = blake2b(digest_size=16)
        digest.update(repr([self.attrs[key] for key in ("layout_hash", "exchange")]).encode())
        digest.update(repr(sorted(self.attrs["label_settings"].items())).encode())
        for symbol in self.symbols:
            state = self.state(symbol)
            ready = state.status == READY
            digest.update(symbol.encode())
            digest.update(state.days[ready].astype("<i8").tobytes())
            digest.update(state.image_crc[ready].astype("<u4").tobytes())
            for name in sorted(
                name for name, _ in self._group(symbol).arrays() if name.startswith(("label_", "return_"))
            ):
                digest.update(self._read(symbol, name)[ready].tobytes())
        return digest.hexdigest()

    # ---- writing: one process, under the lock --------------------------------------------------------------

    def ensure_symbol(self, symbol: str, days: Days, template: StoreTemplate) -> None:
        """Lay out the calendar of a symbol, or extend it; existing sessions keep their positions.

        Raises
        ------
        StoreMismatch
            `days` begins before the stored axis or disagrees with it.
        """
        days = np.asarray(days, dtype="datetime64[D]")
        if symbol not in self.symbols:
            lay_out(self._root, symbol, days, template)
            self._consolidate()
            return
        stored = self._read(symbol, "date").astype("datetime64[D]")
        if days[0] < stored[0]:
            raise StoreMismatch(
                f"{self.path}: {symbol} begins at {stored[0]}, the inputs now begin at {days[0]}. "
                "Build into a new [store] path: features depend on the first row."
            )
        common = days[days <= stored[-1]]
        if not np.array_equal(common, stored[np.searchsorted(stored, days[0]) :][: len(common)]):
            raise StoreMismatch(
                f"{self.path}: the calendar of {symbol} differs from the stored one. Use a new [store] path."
            )
        extra = days[days > stored[-1]]
        if len(extra):
            size = len(stored) + len(extra)
            # Every array grows before the dates do: a reader that sees a date finds its row in all others.
            for name, array in self._group(symbol).arrays():
                if name not in FIXED:
                    array.resize((size, *array.shape[1:]))
            dates = self._group(symbol)["date"]
            assert isinstance(dates, zarr.Array)
            dates.resize((size,))
            dates[len(stored) :] = extra.astype("int64")
            self._consolidate()

    def _consolidate(self) -> None:
        """Copy all arrays' metadata into the root's: readers then see one size for all of them, at all times.

        It is also what `xarray.open_zarr` looks for; without it every reader is warned.
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
            zarr.consolidate_metadata(str(self.path))

    def target(self, symbol: str, token: str) -> DraftTarget:
        """Return where workers of the run `token` write their drafts of a symbol."""
        image_dir = self.path / symbol / "image"
        (image_dir / ".drafts").mkdir(exist_ok=True)
        return DraftTarget(str(image_dir), token)

    def sweep_drafts(self) -> int:
        """Remove drafts that an interrupted run left behind; return how many. Call under `writing`."""
        left = list(self.path.glob("*/image/.drafts/*"))
        for draft in left:
            draft.unlink(missing_ok=True)
        return len(left)

    def _chunk_path(self, symbol: str, index: int) -> Path:
        return self.path / symbol / "image" / "c" / str(index) / "0" / "0" / "0"

    def _crc_on_disk(self, symbol: str, index: int) -> int:
        try:
            return zlib.crc32(self._chunk_path(symbol, index).read_bytes())
        except FileNotFoundError:
            return -1

    def damaged(self, symbol: str) -> npt.NDArray[np.intp]:
        """Return positions of published images whose bytes on disk no longer match their checksum."""
        state = self.state(symbol)
        ready = np.flatnonzero(state.status == READY)
        return np.array(
            [i for i in ready if self._crc_on_disk(symbol, int(i)) != int(state.image_crc[i])], dtype=np.intp
        )

    def publish(self, symbol: str, receipts: Sequence[Receipt]) -> list[Receipt]:
        """Check drafts against their receipts, move them into place and set their status, in this order.

        Returns
        -------
        list of Receipt
            Those that could not be published, each with its error.
        """
        good, bad = [], [receipt for receipt in receipts if receipt.error]
        for receipt in receipts:
            if receipt.error:
                continue
            draft = Path(receipt.draft)
            found = zlib.crc32(draft.read_bytes()) if draft.is_file() else -1
            if found != receipt.crc:
                bad.append(
                    Receipt(
                        receipt.index,
                        receipt.input_hash,
                        error=f"the draft {draft} is not the bytes its worker wrote",
                    )
                )
                continue
            chunk = self._chunk_path(symbol, receipt.index)
            chunk.parent.mkdir(parents=True, exist_ok=True)
            draft.replace(chunk)
            good.append(receipt)
        state = self.state(symbol)
        for receipt in good:
            state.input_hash[receipt.index] = receipt.input_hash
            state.image_crc[receipt.index] = receipt.crc
            state.status[receipt.index] = READY
        for receipt in bad:
            if state.status[receipt.index] != READY:  # a published image stays; its redraw is what failed
                state.status[receipt.index] = FAILED
        if good:
            rows = np.array([receipt.index for receipt in good])
            rendered = self._read(symbol, "rendered_at")
            rendered[rows] = int(time.time())
            self._write(symbol, "rendered_at", rendered)
            for name, values in (
                ("coverage", [receipt.coverage for receipt in good]),
                ("region_weight", [receipt.weights for receipt in good]),
            ):
                table = self._read(symbol, name)
                table[rows] = np.array(values, dtype=np.float32)
                self._write(symbol, name, table)
            self._write(symbol, "input_hash", state.input_hash)
            self._write(symbol, "image_crc", state.image_crc)
        if good or bad:
            self._write(symbol, "status", state.status)
        return bad

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
