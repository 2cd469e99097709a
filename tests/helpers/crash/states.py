"""What a store holds, what readers find in it, and how that may differ from the two states it lies between."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from finnex.errors import FinnexError, StoreError
from finnex.store import READY, ImageStore
from finnex.store.scrub import SCRUB
from finnex.store.verified import VERIFIED

CLOCKS = frozenset({"image_tag", "rendered_at", "predicted_at"})
"""Arrays that say when: of them only whether there is a time is compared."""
NOTES = (SCRUB, VERIFIED)
"""Files that say what a build need not read again: they have times of modification in them, and no reader's values."""
DAMAGED_CHUNK = "Stored and computed checksum do not match"
"""What Zarr says of a small array that is read late, from a data set that is open."""
Arrays = dict[str, npt.NDArray[Any]]
Limits = Mapping[str, Mapping[str, tuple[str, str]]]


@dataclass(frozen=True)
class Stored:
    """A store at rest, read by plain xarray: by company all small arrays, and the ready images by date.

    `limits` are by company the first and last date of every input table, as far as they are recorded.
    """

    arrays: dict[str, Arrays]
    images: dict[str, dict[np.datetime64, bytes]]
    files: frozenset[str]
    limits: Limits = field(default_factory=dict)

    def __contains__(self, image: tuple[str, np.datetime64]) -> bool:
        symbol, day = image
        return day in self.images.get(symbol, ())

    def published(self) -> set[tuple[str, np.datetime64]]:
        """Return company and date of every ready image."""
        return {(symbol, day) for symbol, images in self.images.items() for day in images}


NOTHING = Stored({}, {}, frozenset())


def read_group(data: xr.Dataset) -> tuple[Arrays, dict[np.datetime64, bytes]]:
    """Read all small arrays of a company, then its ready images."""
    arrays = {str(name): data[name].to_numpy() for name in data.variables if name != "image"}
    ready = np.flatnonzero(arrays["status"] == READY)
    days = arrays["date"].astype("datetime64[D]")
    images = data["image"].isel(date=ready).to_numpy() if len(ready) else ()
    return arrays, {days[index]: image.tobytes() for index, image in zip(ready, images, strict=True)}


def read_plainly(path: Path, symbol: str) -> tuple[Arrays, dict[np.datetime64, bytes]]:
    """Read a company by plain xarray: where its own array has no image of a ready session, its year has it."""
    with xr.open_zarr(str(path), group=symbol, chunks=None) as data:
        arrays, images = read_group(data)
    for day, image in images.items():
        if np.isnan(np.frombuffer(image, dtype=np.float32)).all():
            with xr.open_zarr(str(path / symbol / "years" / str(day)[:4]), chunks=None) as year:
                images[day] = year["image"].sel(date=day.astype("datetime64[ns]")).to_numpy().tobytes()
    return arrays, images


def files_of(path: Path) -> frozenset[str]:
    """List the files in and beside a store, but for its locks."""
    found = (str(file.relative_to(path.parent)) for file in path.parent.rglob("*") if not file.is_dir())
    return frozenset(name for name in found if not name.endswith((".lock", *NOTES)))


def stored(path: Path) -> Stored:
    """Read a store at rest; one that is not there is empty."""
    if not (path / "zarr.json").exists():
        return NOTHING
    arrays, images, store = {}, {}, ImageStore.open(path)
    for symbol in store.symbols:
        arrays[symbol], images[symbol] = read_plainly(path, symbol)
    return Stored(arrays, images, files_of(path), store.record().limits())


@dataclass(frozen=True)
class Between:
    """The two undisturbed states that an interrupted change lies between.

    Attributes
    ----------
    damaged
        The store was damaged after the first: a reader may be refused, FinNeX's by a `FinnexError` or by an array's
        checksum, and images may be withdrawn. What is read is of these states all the same.
    moving
        Builds write meanwhile: what is read twice may be of the one state first and of the other then.
    """

    before: Stored
    after: Stored
    damaged: bool = False
    moving: bool = False

    def redrawn(self) -> set[tuple[str, np.datetime64]]:
        """Return the images that are published in both states, with other bytes."""
        both = self.before.published() & self.after.published()
        return {(name, day) for name, day in both if self.before.images[name][day] != self.after.images[name][day]}

    def _group_faults(self, symbol: str, arrays: Arrays, images: dict[np.datetime64, bytes], who: str) -> list[str]:
        """Return what of a company is in neither state."""
        states = [state for state in (self.before, self.after) if symbol in state.arrays]
        faults = []
        for name in ("date", "horizon", "region", "feature", "channel", "class"):
            if not any(np.array_equal(arrays[name], state.arrays[symbol][name]) for state in states):
                faults.append(f"{who}: {symbol}/{name} is that of neither state ({len(arrays[name])} values)")
        allowed: dict[np.datetime64, list[bytes | None]] = {}
        for day in {*images, *(day for state in states for day in state.images[symbol])}:
            allowed[day] = [state.images[symbol].get(day) for state in states]
            if self.damaged or (len(states) == 1 and self.before is not states[0]):
                allowed[day].append(None)  # withdrawn, or of a new company
            if images.get(day) not in allowed[day]:
                kind = "lost" if day not in images else "of neither state" if any(allowed[day]) else "unknown"
                faults.append(f"{who}: the image {symbol} {day} is {kind}")
        return faults

    def reader_faults(self, path: Path) -> list[str]:
        """Open the store in every way that readers have, and return what is wrong with what they get."""
        faults: list[str] = []

        def attempt(who: str, read: Callable[[], Iterable[str]]) -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                plain = who.startswith("xarray")
                try:
                    faults.extend(read())
                except Exception as error:
                    if self.damaged and (isinstance(error, FinnexError) or DAMAGED_CHUNK in str(error) or plain):
                        return
                    faults.append(f"{who}: {type(error).__name__}: {' '.join(str(error).split())[:160]}")

        attempt("ImageStore", lambda: self._own_reader(path, attempt))
        for symbol in self.before.arrays:
            attempt(f"xarray {symbol}", lambda symbol=symbol: self._plain_reader(path, symbol))  # type: ignore[misc]
        return faults

    def _own_reader(self, path: Path, attempt: Callable[[str, Callable[[], Iterable[str]]], None]) -> Iterable[str]:
        try:
            store = ImageStore.open(path)
        except StoreError as error:
            if self.before.arrays or "holds no image store" not in str(error):
                raise
            return
        symbols = store.symbols
        if lacking := set(self.before.arrays) & set(self.after.arrays) - set(symbols):
            yield f"ImageStore: {sorted(lacking)} are not listed"
        if strange := set(symbols) - {*self.before.arrays, *self.after.arrays}:
            yield f"ImageStore: {sorted(strange)} are listed"
        limits = store.record().limits()
        if limits not in (self.before.limits, self.after.limits) and not (self.damaged and not limits):
            yield f"ImageStore: the limits of the inputs are those of neither state ({limits})"
        for symbol in symbols:
            attempt(f"ImageStore {symbol}", lambda symbol=symbol: self._own_group(store, symbol))  # type: ignore[misc]

    def _own_group(self, store: ImageStore, symbol: str) -> Iterable[str]:
        with store.open_sessions(symbol) as data:
            arrays, images = read_group(data)
        with store.open_images(symbol) as ready:
            found = set(ready["date"].to_numpy().astype("datetime64[D]"))
            if found != set(images) and not self.moving:
                yield f"open_images: {symbol} has other sessions than open_sessions"
        yield from self._group_faults(symbol, arrays, images, "ImageStore")
        state = store.state(symbol)
        if len({len(state.days), len(state.status), len(state.input_hash), len(state.image_crc)}) > 1:
            yield f"state: {symbol} has arrays of several sizes"
        for day in images:
            allowed = [images[day]]
            if self.moving:
                allowed += [state.images[symbol][day] for state in (self.before, self.after) if (symbol, day) in state]
            if store.image(symbol, day).tobytes() not in allowed:
                yield f"ImageStore.image: {symbol} {day} differs from open_images"
        if len(damaged := store.damaged(symbol)):
            yield f"damaged: {symbol} at {damaged.tolist()}"
        store.fingerprint()

    def _plain_reader(self, path: Path, symbol: str) -> Iterable[str]:
        try:
            arrays, images = read_plainly(path, symbol)
        except (KeyError, FileNotFoundError):
            if symbol in self.after.arrays:
                raise
            return  # a company that is removed is there as a whole, or not at all
        yield from self._group_faults(symbol, arrays, images, "xarray")

    def result_faults(self, path: Path, undisturbed: Path) -> list[str]:
        """Return how a store at rest differs from the undisturbed one: in files, in metadata, in values."""
        ours, theirs = files_of(path), files_of(undisturbed)
        faults = [f"result: file {name} is missing" for name in sorted(theirs - ours)]
        faults += [f"result: file {name} was left" for name in sorted(ours - theirs)]
        odd = [name for name in sorted(ours & theirs) if not _same_file(path.parent / name, undisturbed.parent / name)]
        faults += [f"result: {name} differs" for name in odd if name.endswith(".json")]
        # Equal bytes have equal values; where bytes differ, values are compared.
        return faults + (self.value_faults(path) if faults or odd else [])

    def value_faults(self, path: Path) -> list[str]:
        """Return how a store at rest differs in values from the state after the change."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = stored(path)
        faults = [] if found.limits == self.after.limits else ["result: the limits of the inputs differ"]
        if found.images != self.after.images:
            odd = found.published() ^ self.after.published()
            faults.append(f"result: images differ{f', {len(odd)} are not in both' if odd else ''}")
        for symbol, wanted in self.after.arrays.items():
            if symbol not in found.arrays:
                faults.append(f"result: company {symbol} is missing")
                continue
            got = found.arrays[symbol]
            faults += [f"result: {symbol}/{name} differs" for name in wanted if not _same(name, got.get(name), wanted)]
        return faults + [
            f"result: company {symbol} is new" for symbol in found.arrays.keys() - self.after.arrays.keys()
        ]


def _same_file(one: Path, other: Path) -> bool:
    if one.read_bytes() == other.read_bytes():
        return True
    return one.suffix == ".json" and _timeless(one) == _timeless(other)


def _timeless(file: Path) -> dict[str, Any]:
    """Return what a JSON file says, without the time at which the limits of the inputs were recorded."""
    found: dict[str, Any] = json.loads(file.read_bytes())
    for inputs in found.get("content", {}).get("inputs", ()):
        found.pop("crc32", None)
        del inputs["recorded_at"]
    return found


def _same(name: str, got: npt.NDArray[Any] | None, wanted: Arrays) -> bool:
    if got is None or got.dtype != wanted[name].dtype or got.shape != wanted[name].shape:
        return False
    if name in CLOCKS:
        nothing = np.zeros((), wanted[name].dtype)
        return bool(np.array_equal(got == nothing, wanted[name] == nothing))
    return got.tobytes() == wanted[name].tobytes() if got.dtype.kind not in "OT" else bool((got == wanted[name]).all())
