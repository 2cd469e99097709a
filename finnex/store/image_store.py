"""`ImageStore`: what every process may read, at any time."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import xarray as xr
import zarr
from upath import UPath

from finnex.data.calendar import Days
from finnex.errors import StoreCorrupt, StoreError
from finnex.store.chunks import IMAGE, chunk_keys
from finnex.store.company_arrays import CompanyArrays
from finnex.store.drafts import chunk_of, decode_into
from finnex.store.journal import PUBLISH, read_intent
from finnex.store.record import Company
from finnex.store.states import DRAFTED, EMPTY, FAILED, NO_BAR, QUARANTINED, READY

LOOKS = 3
"""Reads of an image that seems damaged, before it is reported."""
SURVEYED_TOGETHER = 16
"""Companies of a store in a bucket whose small arrays are read at a time."""
T = TypeVar("T")
DRAW_AGAIN = "A `finnex build` whose symbols and range cover it draws it again."


@dataclass(frozen=True)
class SymbolState:
    """What the store knows of one symbol, by position on the date axis."""

    days: Days
    status: npt.NDArray[np.int8]
    input_hash: npt.NDArray[np.uint64]
    image_crc: npt.NDArray[np.uint32]


@dataclass(frozen=True)
class CompanySurvey:
    """What a training goes by of one company; arrays of its date axis, outcomes (date, horizon)."""

    symbol: str
    days: Days
    status: npt.NDArray[np.int8]
    image_crc: npt.NDArray[np.uint32]
    horizon: npt.NDArray[np.int64]
    outcomes: dict[str, npt.NDArray[Any]]
    version: str


class Fingerprint:
    """The version of a store's data, of its companies in order of their symbols."""

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        self._digest = blake2b(digest_size=16)
        self._digest.update(repr([attributes[key] for key in ("layout_hash", "exchange")]).encode())
        self._digest.update(repr(sorted(attributes["label_settings"].items())).encode())

    def add(self, company: CompanySurvey) -> None:
        """Take in a company."""
        ready = company.status == READY
        self._digest.update(company.symbol.encode())
        self._digest.update(company.days[ready].astype("<i8").tobytes())
        self._digest.update(company.image_crc[ready].astype("<u4").tobytes())
        for values in company.outcomes.values():
            self._digest.update(values[ready].tobytes())

    def hexdigest(self) -> str:
        """Return the version, 32 hexadecimal digits."""
        return self._digest.hexdigest()


class ImageStore(CompanyArrays):
    """Images, their status, features and labels, by symbol and session.

    Open one with `ImageStore.open`; a writer uses `StoreWriter`.
    """

    def state(self, symbol: str) -> SymbolState:
        """Return status, hashes and checksums of every session on the symbol's axis, all of one length.

        A session whose first image is being published is drafted.
        """
        return self._state(symbol, self._company(symbol))

    def _state(self, symbol: str, company: Company) -> SymbolState:
        found = self._tables(symbol, ("status", "date", "input_hash", "image_crc"), company)
        status = found["status"]
        moving = [i for i in self._on_its_way(symbol) if i < len(status) and status[i] in (EMPTY, FAILED, NO_BAR)]
        status[moving] = DRAFTED
        return SymbolState(
            days=found["date"].astype("datetime64[D]"),
            status=status,
            input_hash=found["input_hash"],
            image_crc=found["image_crc"],
        )

    def rows_of(self, symbol: str, days: Iterable[date]) -> npt.NDArray[np.intp]:
        """Return the positions of sessions on the symbol's axis.

        Raises
        ------
        StoreError
            A day is no session of it.
        """
        axis = self._read(symbol, "date").astype("datetime64[D]")
        wanted = np.array(list(days), dtype="datetime64[D]")
        if (strange := wanted[~np.isin(wanted, axis)]).size:
            raise StoreError(
                f"{strange[0]} is no session of {symbol} in {self.path}, whose sessions run from {axis[0]} to "
                f"{axis[-1]}. Correct the date."
            )
        return np.searchsorted(axis, wanted)

    def open_sessions(self, symbol: str) -> xr.Dataset:
        """Return every session of a symbol's axis, published or not, as a lazy data set; go by `status`."""
        company = self._company(symbol)
        group = self._group(symbol, company)
        data: xr.Dataset = xr.open_zarr(
            group.store, consolidated=group.metadata.consolidated_metadata is not None, chunks=None
        )
        return data.isel(date=slice(company.sessions)) if data.sizes["date"] != company.sessions else data

    def open_images(self, symbol: str) -> xr.Dataset:
        """Return the published sessions of a symbol as a lazy data set: images, features, labels, coverage."""
        data = self.open_sessions(symbol)
        return data.isel(date=np.flatnonzero(data["status"].to_numpy() == READY))

    def image_array(self, symbol: str) -> zarr.Array[Any]:
        """Return the raw image array for readers that stream by position; go by `state().status` first."""
        return self._array(symbol, "image")

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
        try:
            crcs = (int(state.image_crc[index]), self._on_its_way(symbol).get(index))
            encoded = self._images.checked(symbol, index, *crcs)
        except ValueError:
            raise StoreCorrupt(f"the image of {symbol} for {day} is damaged on disk. {DRAW_AGAIN}") from None
        height, width, channels = self.image_array(symbol).shape[1:]
        planes = np.empty((channels, height, width), dtype=np.float32)
        decode_into(encoded, planes)
        return np.ascontiguousarray(planes.transpose(1, 2, 0))

    def read_planes(self, symbol: str, index: int, out: npt.NDArray[np.float32], crc: int | None = None) -> None:
        """Decode one image into `out`, (channel, y, x) float32: the order of the chunk, without a copy.

        For a reader that streams by position; go by `state().status` first.

        Parameters
        ----------
        symbol
            Symbol of the image.
        index
            Position on the symbol's date axis.
        out
            (channel, y, x) float32: filled with brightness in [0, 1], 0 where not known.
        crc
            What the bytes must sum to, `state().image_crc`; absent, they are not checked.

        Raises
        ------
        StoreCorrupt
            There is no chunk, its bytes are others, or it cannot be decoded.
        """
        try:
            encoded = self._images.get(symbol, index) if crc is None else self._images.checked(symbol, index, crc)
            if encoded is None:
                raise ValueError("it is missing")
            decode_into(encoded, out)
        except (ValueError, RuntimeError) as error:
            raise StoreCorrupt(
                f"the image of {symbol} at position {index} of {self.path} cannot be read ({error}). {DRAW_AGAIN}"
            ) from None

    def damaged(self, symbol: str, indexes: Iterable[int] | None = None) -> npt.NDArray[np.intp]:
        """Return positions of published images whose bytes on disk no longer match their checksum.

        What seems damaged is looked at again: a writer may have put an image in its place between the look at the
        checksums and the one at the bytes.

        Parameters
        ----------
        indexes
            Positions to look at, published or quarantined; all published ones where none are given.
        """
        suspects = np.flatnonzero(self.state(symbol).status == READY).tolist() if indexes is None else list(indexes)
        for _ in range(LOOKS):
            state, moving = self.state(symbol), self._on_its_way(symbol)
            suspects = [
                i
                for i in suspects
                if state.status[i] in (READY, QUARANTINED)
                and self._crc_of(symbol, int(i)) not in (int(state.image_crc[i]), moving.get(int(i)))
            ]
            if not suspects:
                break
        return np.array(suspects, dtype=np.intp)

    def matching(self, symbol: str) -> npt.NDArray[np.bool_]:
        """Return for every session whether there are an image and a checksum that agree, for any status."""
        crcs = self._read(symbol, "image_crc")
        found = np.zeros(len(crcs), dtype=bool)
        for index in np.flatnonzero(crcs):
            found[index] = self._crc_of(symbol, int(index)) == int(crcs[index])
        return found

    def has_chunk(self, symbol: str) -> npt.NDArray[np.bool_]:
        """Return for every session whether a chunk of its image exists, of any status and with any bytes."""
        there, joined = set(self._place.keys(f"{symbol}/{IMAGE}")), self.in_shards(symbol)
        alone = np.array([chunk_of(symbol, row) in there for row in range(len(joined))], dtype=bool)
        found: npt.NDArray[np.bool_] = joined | alone
        return found

    def in_shards(self, symbol: str) -> npt.NDArray[np.bool_]:
        """Return for every session whether its image lies in the shard of a compacted year."""
        found = np.zeros(self._company(symbol).sessions, dtype=bool)
        found[sorted(self._images.rows(symbol))] = True
        return found

    def compacted(self, symbol: str) -> dict[str, int]:
        """Return how many images the shard of each compacted year holds; 0 where it is gone or cannot be read."""
        years = self._images.renewed(symbol)
        indexes = {number: self._images.index(symbol, number, year) for number, year in sorted(years.items())}
        return {number: 0 if index is None else len(index.there) for number, index in indexes.items()}

    def _crc_of(self, symbol: str, index: int) -> int:
        """Return the crc32 of an image's bytes, -1 where there are none."""
        found = self._images.get(symbol, index)
        return -1 if found is None else zlib.crc32(found)

    def _crc_on_disk(self, key: str) -> int:
        """Return the crc32 of what lies under a key, -1 where nothing does."""
        found = self._place.get(key)
        return -1 if found is None else zlib.crc32(found)

    def _on_its_way(self, symbol: str) -> dict[int, int]:
        """Return position to checksum of the images that a writer is moving into their place."""
        intent = read_intent(self._place)
        if intent is None or intent.action != PUBLISH or intent.symbol != symbol:
            return {}
        return {int(one["index"]): int(one["crc"]) for one in intent.details["receipts"]}

    def outcomes(self, symbol: str) -> dict[str, npt.NDArray[Any]]:
        """Return all labels, returns and label ends of a symbol by name, sorted; each (date, horizon)."""
        return self._outcomes(symbol, self._company(symbol))

    def _outcomes(self, symbol: str, company: Company) -> dict[str, npt.NDArray[Any]]:
        return self._tables(symbol, self._outcome_names(symbol, company), company)

    def _outcome_names(self, symbol: str, company: Company) -> list[str]:
        held = self._document(symbol, company)[1] or self._group(symbol, company).array_keys()
        return sorted(name for name in held if name.startswith(("label_", "return_")))

    def surveys(self) -> Iterator[CompanySurvey]:
        """Yield what a training goes by of every company, in order of their symbols, as one root record names them.

        Each is read once, and nothing of it stays open.
        """
        companies = self.record().companies
        yield from self._each(lambda symbol: self._survey(symbol, companies[symbol]), sorted(companies))

    def _each(self, look: Callable[[str], T], symbols: Sequence[str]) -> Iterator[T]:
        """Yield what is found of each symbol, in their order; of a bucket, which answers slowly, several at a time."""
        if not isinstance(self.path, UPath):  # where threads wait for each other and not for a disk
            yield from map(look, symbols)
            return
        with ThreadPoolExecutor(SURVEYED_TOGETHER, "finnex-survey") as threads:
            for first in range(0, len(symbols), 4 * SURVEYED_TOGETHER):  # no more than these are held at a time
                yield from threads.map(look, symbols[first : first + 4 * SURVEYED_TOGETHER])

    def survey(self, symbol: str) -> CompanySurvey:
        """Return what a training goes by of a company."""
        return self._survey(symbol, self._company(symbol))

    def _survey(self, symbol: str, company: Company) -> CompanySurvey:
        version = self._version(symbol, company)  # first: what is written meanwhile has another one later
        names = self._outcome_names(symbol, company)
        found = self._tables(symbol, ("status", "date", "image_crc", "horizon", *names), company)
        self._documents.pop(symbol, None)  # of hundreds of companies they take more memory than the samples
        return CompanySurvey(
            symbol, found["date"].astype("datetime64[D]"), found["status"], found["image_crc"], found["horizon"],
            {name: found[name] for name in names}, version,
        )  # fmt: skip

    def survey_versions(self, symbols: Iterable[str] | None = None) -> dict[str, str]:
        """Return by company what changes when something that a survey reads does; '' where it is not known.

        Parameters
        ----------
        symbols
            Companies; those that the store does not have are left out. Absent, all.
        """
        companies = self.record().companies
        wanted = [symbol for symbol in (companies if symbols is None else symbols) if symbol in companies]

        def version(symbol: str) -> str:
            found = self._version(symbol, companies[symbol])
            self._documents.pop(symbol, None)  # as in `_survey`
            return found

        found = self._each(version, wanted)
        return dict(zip(wanted, found, strict=True))

    def _version(self, symbol: str, company: Company) -> str:
        documents = self._document(symbol, company)[1]
        names = ("status", "date", "image_crc", *self._outcome_names(symbol, company))
        if any(name not in documents for name in names):
            return ""
        keys = [f"{symbol}/{name}/{part}" for name in names for part in chunk_keys(documents[name], company.sessions)]
        found = self._place.version(keys)
        return f"{found}-{company.generation}-{company.sessions}-{company.axis_crc}" if found else ""

    def features(self, symbol: str) -> npt.NDArray[np.float32]:
        """Return the normalised features of a symbol's axis, (session, feature) in [0.02, 1], NaN where not known."""
        name = "feature_normalized"
        return self._tables(symbol, (name,), self._company(symbol))[name].astype(np.float32, copy=False)

    def unpredicted(self, symbol: str, newest: int) -> npt.NDArray[np.intp]:
        """Return positions of the `newest` published sessions for which no model has said anything yet."""
        company = self._company(symbol)
        ready = np.flatnonzero(self._read(symbol, "status", company) == READY)[-newest:]
        silent: npt.NDArray[np.intp] = ready[self._read(symbol, "prediction_version", company)[ready] == 0]
        return silent

    def fingerprint(self) -> str:
        """Return the version of the data: a hash over layout, published checksums, labels and their settings."""
        digest = Fingerprint(self.attrs)
        for company in self.surveys():
            digest.add(company)
        return digest.hexdigest()
