"""`CompanyArrays`: a store that is opened for reading, and the small arrays of each company in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import zarr

from finnex.errors import StoreCorrupt, StoreError, nearest
from finnex.store.attributes import read_attributes
from finnex.store.chunks import broken_chunks
from finnex.store.document import Document
from finnex.store.image_bytes import ImageBytes
from finnex.store.place import place_of
from finnex.store.presence import holds_a_store
from finnex.store.record import Company, RootRecord, axis_crc, read_record
from finnex.store.small_arrays import SmallArray
from finnex.store.store_template import FIXED, READABLE, WORDS
from finnex.store.upgrade import EARLIER_FORMATS, derive_record
from finnex.store.upgrade_chunks import is_complete
from finnex.store.zarr_metadata import arrays_of, read_document
from finnex.store.zarr_store import WithoutEmptyFolders, WithoutGaps, WithYears
from finnex.store_path import StorePath, store_path


class CompanyArrays:
    """The companies of a store and their small arrays, as far as the root record goes.

    Readers follow the root record, with the companies and lengths that it names, also while a writer changes the store.
    """

    def __init__(self, path: StorePath, attributes: dict[str, Any]) -> None:
        self.path = path
        self.attrs = attributes
        """The store's own description: layout, catalogue, exchange, label settings."""
        self._place = place_of(str(path))
        self._images = ImageBytes(self._place)
        self._opened: dict[str, tuple[Company, zarr.Group]] = {}
        self._documents: dict[str, tuple[Company, Document, dict[str, Document]]] = {}

    @classmethod
    def open(cls, path: StorePath | str) -> Self:
        """Open an existing store for reading.

        Raises
        ------
        ConfigError
            `path` is neither a folder nor in a bucket.
        StoreError
            There is none at `path`, or another program made it, or it cannot be reached.
        StoreCorrupt
            Its metadata is damaged, or is not what the copy of it says.
        """
        path = store_path(path)
        if not holds_a_store(path):
            raise StoreError(f"{path} holds no image store. `finnex build --config F` makes one.")
        return cls(path, read_attributes(place_of(str(path))))

    def record(self) -> RootRecord:
        """Return the root record: companies, lengths of their axes, sessions that are withheld.

        Raises
        ------
        StoreCorrupt
            It is damaged, or gone.
        """
        found = read_record(self._place)
        if found is None and self.attrs["finnex_format"] in EARLIER_FORMATS:
            found = derive_record(self._place)
        if found is None:
            raise StoreCorrupt(f"{self.path} has no root record. `finnex repair` makes it anew.")
        return found

    @property
    def symbols(self) -> list[str]:
        """Symbols that are laid out, sorted."""
        return sorted(self.record().companies)

    def _company(self, symbol: str) -> Company:
        companies = self.record().companies
        if symbol not in companies:
            raise StoreError(f"{self.path} has no symbol '{symbol}'. {nearest(symbol, sorted(companies))}")
        return companies[symbol]

    def _document(self, symbol: str, company: Company) -> tuple[Document, dict[str, Document]]:
        """Return the metadata of a symbol, and that of its arrays, which have the sizes that they had together."""
        known = self._documents.get(symbol)
        if known is None or known[0].generation != company.generation:
            document = read_document(self._place, symbol) or {}
            arrays = arrays_of(document)
            if not arrays and self.attrs["finnex_format"] in READABLE:
                raise StoreCorrupt(f"{self.path}/{symbol}/zarr.json is damaged or gone. `finnex repair` makes it anew.")
            known = self._documents[symbol] = (company, document, arrays)
        return known[1:]

    def _group(self, symbol: str, company: Company) -> zarr.Group:
        """Return the group of a symbol, with the sizes that its arrays had together."""
        known = self._opened.get(symbol)
        if known is None or known[0].generation != company.generation:
            document, arrays = self._document(symbol, company)
            store = self._place.zarr(read_only=True, folder=symbol)
            try:
                self._images.years(symbol)
                checked = WithoutGaps(store) if is_complete(document) else WithoutEmptyFolders(store)
                opened = zarr.open_group(
                    WithYears(checked, self._images, symbol),
                    mode="r",
                    use_consolidated=bool(arrays),
                )
            except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
                raise StoreCorrupt(
                    f"the metadata of {self.path}/{symbol} is damaged ({error}). `finnex repair` makes it anew."
                ) from None
            known = self._opened[symbol] = (company, opened)
        return known[1]

    def _array(self, symbol: str, name: str, company: Company | None = None) -> zarr.Array[Any]:
        try:
            found = self._group(symbol, company or self._company(symbol))[name]
        except KeyError:
            found = None
        if not isinstance(found, zarr.Array):
            raise StoreCorrupt(f"{self.path} has no array {symbol}/{name}. `finnex repair` makes it anew.")
        return found

    def _small(self, symbol: str, name: str, company: Company) -> SmallArray:
        """Return an array of numbers of a symbol, as its metadata describes it."""
        arrays = self._document(symbol, company)[1]
        found = arrays[name] if name in arrays else read_document(self._place, f"{symbol}/{name}")
        if found is None:
            raise StoreCorrupt(f"{self.path} has no array {symbol}/{name}. `finnex repair` makes it anew.")
        return SmallArray.of(f"{symbol}/{name}", found)

    def _read(self, symbol: str, name: str, company: Company | None = None) -> npt.NDArray[Any]:
        """Return an array as far as the root record goes.

        Parameters
        ----------
        company
            What the record says of the symbol: the same for arrays that are compared, as a writer may extend the axis
            between two reads. Absent, the record is read.

        Raises
        ------
        StoreCorrupt
            Its metadata or its bytes are damaged.
        StoreError
            This account may not read it.
        """
        company = company or self._company(symbol)
        with self._reading(symbol, name):
            if name in WORDS:
                return np.asarray(self._array(symbol, name, company)[...])
            array, complete = self._small(symbol, name, company), is_complete(self._document(symbol, company)[0])
            rows = array.shape[0] if name in FIXED and name != "date" else company.sessions
            found = array.read(self._place, 0, rows, complete=complete)
            if name == "date" and axis_crc(found.astype("datetime64[D]")) != company.axis_crc:
                raise ValueError("it does not match its checksum")
        return found

    def _tables(self, symbol: str, names: Iterable[str], company: Company) -> dict[str, npt.NDArray[Any]]:
        """Return several arrays as `_read` gives them, by name."""
        return {name: self._read(symbol, name, company) for name in names}

    @contextmanager
    def _reading(self, symbol: str, name: str) -> Iterator[None]:
        """Say of an array that is read meanwhile that it is damaged, or that this account may not read it."""
        try:
            yield
        except PermissionError as error:
            raise StoreError(
                f"the array {symbol}/{name} of {self.path} cannot be read ({error.strerror}). Give this account the "
                "right to read it."
            ) from None
        except (ValueError, RuntimeError, TypeError, OverflowError, OSError) as error:
            raise StoreCorrupt(
                f"the array {symbol}/{name} of {self.path} is damaged ({error}). `finnex repair` makes it anew."
            ) from None

    def array_names(self, symbol: str) -> list[str]:
        """Return the names of a symbol's arrays, sorted."""
        return sorted(self._group(symbol, self._company(symbol)).array_keys())

    def values(self, symbol: str, name: str) -> npt.NDArray[Any]:
        """Return a small array as far as the symbol's axis goes.

        Raises
        ------
        StoreCorrupt
            Its metadata or its bytes are damaged.
        """
        return self._read(symbol, name)

    def is_written(self, symbol: str, name: str) -> npt.NDArray[np.bool_]:
        """Return for every session whether its row of a table holds anything but what an empty one holds."""
        values, empty = self._read(symbol, name), self._small(symbol, name, self._company(symbol)).fill
        same = np.isnan(values) if values.dtype.kind == "f" else values == empty
        found: npt.NDArray[np.bool_] = ~same.all(axis=1)
        return found

    def broken(self, symbol: str) -> dict[str, str]:
        """Return what is wrong with the small arrays of a symbol, by their names; each is read once.

        Raises
        ------
        StoreCorrupt
            The metadata of the symbol is damaged.
        """
        company = self._company(symbol)
        self._group(symbol, company)
        found = broken_chunks(self._place, symbol, read_document(self._place, symbol) or {}, company.sessions)
        if "date" not in found:
            try:
                self._read(symbol, "date")
            except StoreCorrupt:
                found["date"] = "it does not match its checksum"
        return found
