"""The image store: plain Zarr v3 behind one door, readable by anyone with `xarray.open_zarr`.

One group per symbol, one layout per store. The exchange calendar is laid out ahead; an image is one chunk with
one writer. A worker writes a *draft* beside the chunks and returns a receipt; the coordinator checks the bytes
on disk against the receipt, moves the draft into place and only then sets `status`. A reader that goes by
`status == ready` never sees a half-made or unchecked image.
"""

from __future__ import annotations

import os
import time
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
import zarr
from filelock import FileLock, Timeout
from numcodecs import Blosc
from zarr.codecs import BloscCodec, BytesCodec

from finnex.data.calendar import Days
from finnex.errors import StoreBusy, StoreCorrupt, StoreError, StoreMismatch, nearest

FORMAT = 1
EMPTY, READY, FAILED, NO_BAR = 0, 1, 2, 3
STATUS_WORDS = {EMPTY: "empty", READY: "ready", FAILED: "failed", NO_BAR: "no_bar"}
LABEL_WORDS = {-1: "unknown", 0: "sell", 1: "hold", 2: "buy"}
DATE_CHUNK = 65_536  # one chunk for two centuries: small arrays are rewritten whole, by one process
FEATURE_ROWS = 512  # sessions in one chunk of the feature tables: a night rewrites one
UNITS = {"units": "days since 1970-01-01", "calendar": "proleptic_gregorian"}
NOT_A_DAY = np.iinfo(np.int64).min

_encoder = Blosc(cname="lz4", clevel=3, shuffle=Blosc.SHUFFLE)


@dataclass(frozen=True)
class StoreTemplate:
    """What every group of a store has in common; a store refuses a template that differs."""

    layout_name: str
    layout_hash: str
    layout_toml: str
    catalogue_csv: str
    lookback_sessions: int
    shape: tuple[int, int, int]  # height, width, channel
    channels: tuple[str, ...]
    regions: tuple[str, ...]
    features: tuple[str, ...]
    horizons: tuple[int, ...]
    label_kinds: tuple[str, ...]
    label_settings: Mapping[str, Any]
    exchange: str
    synthetic_tables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Receipt:
    """What a worker tells of one image: where its draft lies and what its bytes sum to, or why there is none."""

    index: int
    input_hash: int
    draft: str = ""
    crc: int = 0
    coverage: tuple[float, ...] = ()
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class SymbolState:
    """What the store knows of one symbol, by position on the date axis."""

    days: Days
    status: npt.NDArray[np.int8]
    input_hash: npt.NDArray[np.uint64]
    image_crc: npt.NDArray[np.uint32]


@dataclass(frozen=True)
class DraftTarget:
    """Where a worker puts its drafts: two strings and a number, so that it travels to any process."""

    image_dir: str
    token: str

    def write(self, index: int, image: npt.NDArray[np.float32]) -> tuple[str, int]:
        """Encode one image as Zarr's codecs would, write it as a draft; return its path and the bytes' crc32."""
        encoded = _encoder.encode(np.ascontiguousarray(image, dtype="<f4"))
        path = f"{self.image_dir}/.drafts/{self.token}-{index}"
        with open(path, "wb") as file:  # noqa: PTH123  a thousand a second: Path costs more than the call
            file.write(encoded)
        return path, zlib.crc32(encoded)


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
            raise StoreError(f"{path} is a Zarr group that this version of FinNeX did not make. Choose another [store] path.")
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

    def open_images(self, symbol: str) -> xr.Dataset:
        """Return the published sessions of a symbol as a lazy data set: images, features, labels, coverage."""
        self._group(symbol)
        data = xr.open_zarr(str(self.path), group=symbol, consolidated=False, chunks=None)
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
            for name in sorted(name for name, _ in self._group(symbol).arrays() if name.startswith(("label_", "return_"))):
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
            self._create_group(symbol, days, template)
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
            raise StoreMismatch(f"{self.path}: the calendar of {symbol} differs from the stored one. Use a new [store] path.")
        extra = days[days > stored[-1]]
        if len(extra):
            size = len(stored) + len(extra)
            # Every array grows before the dates do: a reader that sees a date finds its row in all others.
            for name, array in self._group(symbol).arrays():
                if name not in {"date", "horizon", "region", "feature", "channel"}:
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

    def _create_group(self, symbol: str, days: Days, template: StoreTemplate) -> None:
        group = self._root.create_group(symbol, attributes={"symbol": symbol, "synthetic_tables": list(template.synthetic_tables)})
        n, regions, features = len(days), len(template.regions), len(template.features)
        horizons = len(template.horizons)

        def add(name: str, dims: Sequence[str], shape: Sequence[int], chunks: Sequence[int], dtype: Any, fill: Any, **attrs: Any) -> zarr.Array[Any]:
            return group.create_array(
                name, shape=tuple(shape), chunks=tuple(chunks), dtype=dtype, fill_value=fill,
                dimension_names=list(dims), attributes=attrs,
                compressors=BloscCodec(cname="lz4", clevel=3, shuffle="shuffle"), serializer=BytesCodec(),
            )  # fmt: skip

        flags = {"flag_values": list(STATUS_WORDS), "flag_meanings": " ".join(STATUS_WORDS.values())}
        label_flags = {"flag_values": list(LABEL_WORDS), "flag_meanings": " ".join(LABEL_WORDS.values())}
        per_date = (DATE_CHUNK,)
        height, width, channels = template.shape
        image = add("image", ("date", "y", "x", "channel"), (n, *template.shape), (1, height, width, channels), "float32", float("nan"), valid_range=[0.0, 1.0], not_known=0.0)
        (self.path / image.path / ".drafts").mkdir(exist_ok=True)
        add("status", ("date",), (n,), per_date, "int8", EMPTY, **flags)
        add("input_hash", ("date",), (n,), per_date, "uint64", 0)
        add("image_crc", ("date",), (n,), per_date, "uint32", 0)
        add("rendered_at", ("date",), (n,), per_date, "int64", 0, units="seconds since 1970-01-01", calendar="proleptic_gregorian")
        add("coverage", ("date", "region"), (n, regions), (DATE_CHUNK, regions), "float32", float("nan"), long_name="share of a region's pixels that are known")
        for name, dtype in (("feature_normalized", "float32"), ("feature_original", "float64")):
            add(name, ("date", "feature"), (n, features), (FEATURE_ROWS, features), dtype, float("nan"))
        for kind in template.label_kinds:
            dims, shape, chunks = ("date", "horizon"), (n, horizons), (DATE_CHUNK, horizons)
            add(f"label_{kind}", dims, shape, chunks, "int8", -1, **label_flags)
            add(f"return_{kind}", dims, shape, chunks, "float32", float("nan"), units="1", long_name="simple return, entry at the next open")
            add(f"label_end_{kind}", dims, shape, chunks, "int64", NOT_A_DAY, _FillValue=NOT_A_DAY, **UNITS)
        add("horizon", ("horizon",), (horizons,), (horizons,), "int64", 0, units="sessions")[...] = np.array(template.horizons)
        text = np.dtypes.StringDType()
        for name, words in (("region", template.regions), ("feature", template.features), ("channel", template.channels)):
            group.create_array(name, shape=(len(words),), chunks=(len(words),), dtype=text, dimension_names=[name])[...] = np.array(words, dtype=text)
        dates = add("date", ("date",), (n,), per_date, "int64", 0, **UNITS)
        dates[...] = days.astype("int64")

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
        return np.array([i for i in ready if self._crc_on_disk(symbol, int(i)) != int(state.image_crc[i])], dtype=np.intp)

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
                bad.append(Receipt(receipt.index, receipt.input_hash, error=f"the draft {draft} is not the bytes its worker wrote"))
                continue
            chunk = self._chunk_path(symbol, receipt.index)
            chunk.parent.mkdir(parents=True, exist_ok=True)
            os.replace(draft, chunk)
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
            rendered, coverage = self._read(symbol, "rendered_at"), self._read(symbol, "coverage")
            rendered[rows] = int(time.time())
            coverage[rows] = np.array([receipt.coverage for receipt in good], dtype=np.float32)
            self._write(symbol, "rendered_at", rendered)
            self._write(symbol, "coverage", coverage)
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


@contextmanager
def writing(path: Path, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the store's writer lock: one writer at a time, readers never wait.

    The lock is a file beside the store, not in it, so that the store's tree stays plain Zarr.

    Raises
    ------
    StoreBusy
        Another process kept the lock for `wait_seconds`.
    StoreError
        The folder cannot be written.
    """
    lock = FileLock(str(path.with_name(f".{path.name}.lock")))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=wait_seconds)
        if path.is_dir():
            probe = path / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
    except Timeout:
        raise StoreBusy(f"another process is writing to {path}. Wait for it to end, or stop it.") from None
    except OSError as error:
        lock.release()
        raise StoreError(f"the store {path} cannot be written ({error.strerror}). Correct [store] path or its permissions.") from None
    try:
        yield
    finally:
        lock.release()
